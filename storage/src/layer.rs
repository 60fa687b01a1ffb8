//! A layer of changes in memory: an ordered map with one writer, whose copies are pictures of it that never change.
//!
//! A skip list that only grows. Each write takes the next stamp, a copy is a pointer and the stamp of its time, and a reader passes over what is newer.
//! So a write touches the new node and the few links that lead to it, where a persistent tree would copy a path of nodes (and count every key and value in
//! them) once a batch. Old values stay until the layer goes, which a fold sees to.
//!
//! Source: W. Pugh, "Skip lists: a probabilistic alternative to balanced trees" (1990); LevelDB, `db/skiplist.h` (one writer, readers without locks).

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use crate::view::{Direction, Source};
use crate::{Change, Key};

/// With a quarter of the nodes on each next level this is enough for 16 million.
const LEVELS_MAX: usize = 12;
/// Nodes are made room for in pieces: none is ever moved, and none takes long to make.
const PIECE: usize = 256;
/// Pieces of the first directory; each next directory has twice as many.
const PIECES: usize = 64;
const DIRECTORIES: usize = 19;
/// Every link that 32 bits can hold has a place in a directory.
const _: () = assert!((((1_u64 << DIRECTORIES) - 1) * PIECES as u64 * PIECE as u64) > u32::MAX as u64 / 2);
/// No node: the end, or the head.
const NONE: u32 = 0;
/// Index keys with an account, a time and an id have 47 bytes.
const INLINE_MAX: usize = 54;

/// Changes by key: a copy is cheap, and stays as it is whatever is written to the original.
#[derive(Clone)]
pub struct Layer {
    list: Arc<List>,
    /// The newest write that this picture shows.
    stamp: u64,
}

struct List {
    directories: [OnceLock<Box<[OnceLock<Piece>]>>; DIRECTORIES],
    head: [AtomicU32; LEVELS_MAX],
    levels: AtomicUsize,
    len: AtomicU32,
    /// The newest write. Who holds the layer with this stamp, and raises it, may write.
    tip: AtomicU64,
}

type Piece = Box<[OnceLock<Node>]>;

/// One write of one key. Nodes are ordered by key, and the writes of one key from the newest to the oldest.
struct Node {
    key: Name,
    stamp: u64,
    change: Change,
    next: Tower,
}

/// A key's bytes: in the node itself, if they are few, so that a comparison reads nothing else.
enum Name {
    Short(u8, [u8; INLINE_MAX]),
    Long(Box<[u8]>),
}

/// The links to the next node: on the two lowest levels, and on those above for the one node in sixteen that has them.
struct Tower {
    low: [AtomicU32; 2],
    high: Box<[AtomicU32]>,
}

impl Name {
    fn new(key: &[u8]) -> Self {
        let mut bytes = [0; INLINE_MAX];
        match bytes.get_mut(..key.len()) {
            Some(room) => {
                room.copy_from_slice(key);
                Self::Short(key.len() as u8, bytes)
            }
            None => Self::Long(key.into()),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Short(len, bytes) => &bytes[..usize::from(*len)],
            Self::Long(bytes) => bytes,
        }
    }
}

impl Tower {
    fn new(height: usize, link: impl Fn(usize) -> u32) -> Self {
        let low = std::array::from_fn(|level| AtomicU32::new(if level < height { link(level) } else { NONE }));
        Self { low, high: (2..height).map(|level| AtomicU32::new(link(level))).collect() }
    }

    fn at(&self, level: usize) -> &AtomicU32 {
        if level < 2 { &self.low[level] } else { &self.high[level - 2] }
    }
}

/// A quarter of the nodes reach level 2, a sixteenth level 3, and so on; a pure function, so that a simulation repeats.
fn height_of(stamp: u64) -> usize {
    // Source: Sebastiano Vigna, <https://prng.di.unimi.it/splitmix64.c>, as a function of the state.
    let z = stamp.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (1 + (z ^ (z >> 31)).trailing_zeros() as usize / 2).min(LEVELS_MAX)
}

/// Where a node is: directory, piece in it, place in that.
fn place_of(link: u32) -> (usize, usize, usize) {
    let at = link as usize - 1;
    let piece = at / PIECE + PIECES;
    let directory = (piece / PIECES).ilog2() as usize;
    (directory, piece - (PIECES << directory), at % PIECE)
}

impl List {
    fn new() -> Self {
        Self {
            directories: std::array::from_fn(|_| OnceLock::new()),
            head: std::array::from_fn(|_| AtomicU32::new(NONE)),
            levels: AtomicUsize::new(1),
            len: AtomicU32::new(0),
            tip: AtomicU64::new(0),
        }
    }

    fn node(&self, link: u32) -> &Node {
        let (directory, piece, place) = place_of(link);
        let piece = self.directories[directory].get().and_then(|directory| directory[piece].get());
        piece.and_then(|piece| piece[place].get()).expect("a link is written after the node that it leads to")
    }

    fn next(&self, from: u32, level: usize) -> &AtomicU32 {
        if from == NONE { &self.head[level] } else { self.node(from).next.at(level) }
    }

    /// The last node before a place in the order, on each level; [`NONE`] is the head.
    fn before(&self, is_before: impl Fn(&Node) -> bool) -> [u32; LEVELS_MAX] {
        let mut before = [NONE; LEVELS_MAX];
        let (mut at, mut beyond) = (NONE, NONE);
        for level in (0..self.levels.load(Ordering::Acquire)).rev() {
            loop {
                let next = self.next(at, level).load(Ordering::Acquire);
                // On the way down most levels lead to the node that was too far already.
                if next == NONE || next == beyond {
                    break;
                }
                if !is_before(self.node(next)) {
                    beyond = next;
                    break;
                }
                at = next;
            }
            before[level] = at;
        }
        before
    }

    /// The first node at or after `key`, as it was at `stamp`.
    fn first(&self, key: &[u8], stamp: u64) -> u32 {
        let before = self.before(|node| node.is_before(key, stamp));
        self.next(before[0], 0).load(Ordering::Acquire)
    }

    /// Only for who has raised the tip to `stamp`: one at a time.
    fn insert(&self, key: &[u8], stamp: u64, change: Change) {
        let before = self.before(|node| node.is_before(key, stamp));
        let height = height_of(stamp);
        if height > self.levels.load(Ordering::Relaxed) {
            self.levels.store(height, Ordering::Release);
        }
        let next = Tower::new(height, |level| self.next(before[level], level).load(Ordering::Acquire));
        let link = self.push(Node { key: Name::new(key), stamp, change, next });
        for (level, before) in before.into_iter().enumerate().take(height) {
            self.next(before, level).store(link, Ordering::Release);
        }
    }

    fn push(&self, node: Node) -> u32 {
        let link = self.len.load(Ordering::Relaxed).checked_add(1).expect("memory ends long before four thousand million nodes");
        let (directory, piece, place) = place_of(link);
        let directory = self.directories[directory].get_or_init(|| (0..PIECES << directory).map(|_| OnceLock::new()).collect());
        let piece = directory[piece].get_or_init(|| (0..PIECE).map(|_| OnceLock::new()).collect());
        assert!(piece[place].set(node).is_ok(), "a place in a layer is filled once");
        self.len.store(link, Ordering::Relaxed);
        link
    }
}

impl Node {
    fn is_before(&self, key: &[u8], stamp: u64) -> bool {
        match self.key.bytes().cmp(key) {
            std::cmp::Ordering::Equal => self.stamp > stamp,
            order => order.is_lt(),
        }
    }
}

impl Default for Layer {
    fn default() -> Self {
        Self { list: Arc::new(List::new()), stamp: 0 }
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
                own.insert(key, change.clone());
            }
            *self = own;
            return self.insert(key, change);
        }
        self.list.insert(key.as_ref(), next, change);
        self.stamp = next;
    }

    /// The change of `key`, if there is one.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&Change> {
        let node = self.node(self.list.first(key, self.stamp))?;
        (node.key.bytes() == key).then_some(&node.change)
    }

    /// Everything, by key.
    #[must_use]
    pub fn iter(&self) -> Forward<'_> {
        Forward { layer: self, next: self.list.head[0].load(Ordering::Acquire) }
    }

    /// What has `from <= key < to`, in key order or against it.
    pub(crate) fn scan<'a>(&'a self, from: &[u8], to: &[u8], direction: Direction) -> Source<'a> {
        let owned = |(key, change): (&[u8], &Change)| (Key::from(key), change.clone());
        match direction {
            Direction::Forward => {
                let to = to.to_vec();
                let all = Forward { layer: self, next: self.list.first(from, u64::MAX) };
                Box::new(all.take_while(move |(key, _)| *key < &to[..]).map(owned))
            }
            Direction::Backward => {
                let from = from.to_vec();
                let all = Backward { layer: self, end: Key::from(to) };
                Box::new(all.take_while(move |(key, _)| *key >= &from[..]).map(owned))
            }
        }
    }

    fn node(&self, link: u32) -> Option<&Node> {
        (link != NONE).then(|| self.list.node(link))
    }
}

/// See [`Layer::iter`].
pub struct Forward<'a> {
    layer: &'a Layer,
    next: u32,
}

impl<'a> Iterator for Forward<'a> {
    type Item = (&'a [u8], &'a Change);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let node = self.layer.node(self.next)?;
            self.next = node.next.at(0).load(Ordering::Acquire);
            if node.stamp > self.layer.stamp {
                continue;
            }
            // The newest that this picture shows came first; the older ones of its key follow.
            while let Some(older) = self.layer.node(self.next).filter(|older| older.key.bytes() == node.key.bytes()) {
                self.next = older.next.at(0).load(Ordering::Acquire);
            }
            return Some((node.key.bytes(), &node.change));
        }
    }
}

/// Against the order: links lead forward only, so each step is a search.
struct Backward<'a> {
    layer: &'a Layer,
    end: Key,
}

impl<'a> Iterator for Backward<'a> {
    type Item = (&'a [u8], &'a Change);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let before = self.layer.list.before(|node| node.key.bytes() < &self.end[..]);
            let key = self.layer.node(before[0])?.key.bytes();
            self.end = key.into();
            if let Some(change) = self.layer.get(key) {
                return Some((key, change));
            }
        }
    }
}

#[cfg(test)]
#[path = "layer_tests.rs"]
mod tests;
