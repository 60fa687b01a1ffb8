//! A layer of changes in memory: an ordered map with one writer, whose copies are pictures of it that never change.
//!
//! A skip list that only grows. Each write takes the next stamp, a copy is a pointer and the stamp of its time, and a reader passes over what is newer.
//! So a write touches the new node and the few links that lead to it, where a persistent tree would copy a path of nodes (and count every key and value in
//! them) once a batch. Old values stay until the layer goes, which a fold sees to.
//!
//! Source: W. Pugh, "Skip lists: a probabilistic alternative to balanced trees" (1990); LevelDB, `db/skiplist.h` (one writer, readers without locks).

use std::cmp::Ordering::{Equal, Greater, Less};
use std::sync::Arc;

use crate::sync::{AtomicU64, AtomicUsize, Ordering};
use crate::view::{Direction, Source};
use crate::words::{NONE, Node, Sought, Words};
use crate::{Change, Key};

/// With a quarter of the nodes on each next level this is enough for 16 million.
pub(crate) const LEVELS_MAX: usize = 12;
/// Tables that are remembered where the last write to them went.
const FINGERS: usize = 64;

/// Changes by key: a copy is cheap, and stays as it is whatever is written to the original.
pub struct Layer {
    list: Arc<List>,
    /// The newest write that this picture shows.
    stamp: u64,
    fingers: Option<Box<Fingers>>,
}

/// By table: the last node written and those before it, level by level. Rows named by a number or a time come in order, and then the next one goes right
/// behind the last. Only who writes has them.
type Fingers = [[u32; LEVELS_MAX]; FINGERS];

struct List {
    words: Words,
    /// The node before all, as high as any.
    head: u32,
    levels: AtomicUsize,
    /// The newest write. Who holds the layer with this stamp, and raises it, may write.
    tip: AtomicU64,
}

/// A quarter of the nodes reach level 2, a sixteenth level 3, and so on; a pure function, so that a simulation repeats.
fn height_of(stamp: u64) -> usize {
    // Source: Sebastiano Vigna, <https://prng.di.unimi.it/splitmix64.c>, as a function of the state.
    let z = stamp.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (1 + (z ^ (z >> 31)).trailing_zeros() as usize / 2).min(LEVELS_MAX)
}

impl List {
    fn new() -> Self {
        let words = Words::new();
        let head = words.push(&Sought::new(&[]), 0, None, LEVELS_MAX, |_| NONE);
        Self { words, head, levels: AtomicUsize::new(1), tip: AtomicU64::new(0) }
    }

    /// Whether `node` stands before the write of `key` at `stamp`: the writes of one key go from the newest to the oldest.
    fn is_before(node: Node<'_>, key: &Sought, stamp: u64) -> bool {
        match node.compare(key) {
            Less => true,
            Equal => node.stamp() > stamp,
            Greater => false,
        }
    }

    /// The last node before a place in the order, on each level in use, and the first one behind it.
    ///
    /// Whoever asks the last node for its link again may be led to what was written in the meantime.
    fn around(&self, is_before: impl Fn(Node<'_>) -> bool) -> ([u32; LEVELS_MAX], u32) {
        let mut before = [self.head; LEVELS_MAX];
        let (mut at, mut beyond) = (self.head, NONE);
        for level in (0..self.levels.load(Ordering::Acquire)).rev() {
            loop {
                let next = self.words.node(at).next(level);
                // On the way down most levels lead to the node that was too far already.
                if next == NONE || next == beyond || !is_before(self.words.node(next)) {
                    beyond = next;
                    break;
                }
                at = next;
            }
            before[level] = at;
        }
        (before, beyond)
    }

    /// The first node at or after `key`, as it was at `stamp`.
    fn first(&self, key: &Sought, stamp: u64) -> u32 {
        self.around(|node| Self::is_before(node, key, stamp)).1
    }

    /// Whether the place is right behind these nodes, on the lowest `height` levels.
    fn is_right_behind(&self, before: &[u32; LEVELS_MAX], height: usize, key: &Sought, stamp: u64) -> bool {
        let is_before = |link: u32| link == self.head || Self::is_before(self.words.node(link), key, stamp);
        let ends = |link: u32| link == NONE || !Self::is_before(self.words.node(link), key, stamp);
        is_before(before[0]) && before[..height].iter().enumerate().all(|(level, before)| ends(self.words.node(*before).next(level)))
    }

    /// Only for who has raised the tip to `stamp`: one at a time.
    fn insert(&self, key: &[u8], stamp: u64, change: Option<&[u8]>, fingers: &mut Fingers) {
        let finger = &mut fingers[key.get(1).map_or(0, |low| usize::from(*low)) % FINGERS];
        let sought = Sought::new(key);
        let height = height_of(stamp);
        if height > self.levels.load(Ordering::Relaxed) {
            self.levels.store(height, Ordering::Release);
        }
        if !self.is_right_behind(finger, height, &sought, stamp) {
            (*finger, _) = self.around(|node| Self::is_before(node, &sought, stamp));
        }
        let link = self.words.push(&sought, stamp, change, height, |level| self.words.node(finger[level]).next(level));
        for (level, before) in finger.iter_mut().enumerate().take(height) {
            self.words.node(*before).lead_to(level, link);
            *before = link;
        }
    }
}

impl Default for Layer {
    fn default() -> Self {
        Self { list: Arc::new(List::new()), stamp: 0, fingers: None }
    }
}

impl Clone for Layer {
    fn clone(&self) -> Self {
        Self { list: self.list.clone(), stamp: self.stamp, fingers: None }
    }
}

impl Layer {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing has been written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stamp == 0
    }

    /// Forgets everything; copies keep theirs.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Writes a change over what was there. Copies made before do not see it. The first write to a copy that is no longer the newest moves everything
    /// to a list of its own.
    pub fn insert(&mut self, key: impl AsRef<[u8]>, change: Change) {
        let next = self.stamp + 1;
        if self.list.tip.compare_exchange(self.stamp, next, Ordering::AcqRel, Ordering::Acquire).is_err() {
            let mut own = Self::new();
            for (key, change) in self.iter() {
                own.insert(key, change);
            }
            *self = own;
            return self.insert(key, change);
        }
        let head = self.list.head;
        let fingers = self.fingers.get_or_insert_with(|| Box::new([[head; LEVELS_MAX]; FINGERS]));
        self.list.insert(key.as_ref(), next, change.as_deref(), fingers);
        self.stamp = next;
    }

    /// The change of `key`, if there is one.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Change> {
        if self.is_empty() {
            return None;
        }
        let key = Sought::new(key);
        let node = self.node(self.list.first(&key, self.stamp))?;
        (node.compare(&key) == Equal).then(|| node.change())
    }

    /// Everything, by key.
    #[must_use]
    pub fn iter(&self) -> Forward<'_> {
        Forward { layer: self, next: self.list.words.node(self.list.head).next(0) }
    }

    /// What has `from <= key < to`, in key order or against it.
    pub(crate) fn scan<'a>(&'a self, from: &[u8], to: &[u8], direction: Direction) -> Source<'a> {
        match direction {
            Direction::Forward => {
                let to = to.to_vec();
                let all = Forward { layer: self, next: self.list.first(&Sought::new(from), u64::MAX) };
                Box::new(all.take_while(move |(key, _)| key[..] < to[..]))
            }
            Direction::Backward => {
                let from = from.to_vec();
                let all = Backward { layer: self, end: to.into() };
                Box::new(all.take_while(move |(key, _)| key[..] >= from[..]))
            }
        }
    }

    fn node(&self, link: u32) -> Option<Node<'_>> {
        (link != NONE).then(|| self.list.words.node(link))
    }
}

/// See [`Layer::iter`].
pub struct Forward<'a> {
    layer: &'a Layer,
    next: u32,
}

impl Iterator for Forward<'_> {
    type Item = (Key, Change);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let node = self.layer.node(self.next)?;
            self.next = node.next(0);
            if node.stamp() > self.layer.stamp {
                continue;
            }
            // The newest that this picture shows came first; the older ones of its key follow.
            while let Some(older) = self.layer.node(self.next).filter(|older| older.has_key_of(node)) {
                self.next = older.next(0);
            }
            return Some((node.key(), node.change()));
        }
    }
}

/// Against the order: links lead forward only, so each step is a search.
struct Backward<'a> {
    layer: &'a Layer,
    end: Key,
}

impl Iterator for Backward<'_> {
    type Item = (Key, Change);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let end = Sought::new(&self.end);
            let ([before, ..], _) = self.layer.list.around(|node| node.compare(&end) == Less);
            if before == self.layer.list.head {
                return None;
            }
            let key = self.layer.list.words.node(before).key();
            self.end = key.clone();
            if let Some(change) = self.layer.get(&key) {
                return Some((key, change));
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
#[path = "layer_tests.rs"]
mod tests;

#[cfg(all(test, loom))]
#[path = "layer_loom.rs"]
mod interleavings;
