//! Nodes of a [layer](crate::layer) as words of memory: written once by one thread, read by any, freed together.
//!
//! ```text
//!   0     link of level 0 (low half), of level 1 (high half)
//!   1     stamp
//!   2     length of the key (24 bits), height (8 bits), length of the value plus 1 or 0 for a removal (32 bits)
//!   3..   key, big-endian, filled up with zeros: words compare as the bytes do
//!   ..    links of levels 2 and higher, two to a word
//!   ..    value, little-endian
//! ```
//! What a search reads of a node stands in one cache line, and no two threads write: a word is an atomic only so that a reader may look at a link while the
//! one writer sets it.

use std::cmp::Ordering;
use std::sync::OnceLock;

use crate::sync::AtomicU64;
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::{Change, Key, Value};

/// No node.
pub(crate) const NONE: u32 = u32::MAX;
/// Words of a piece: none is ever moved, and none takes long to make. What is larger has a piece of its own.
#[cfg(not(loom))]
const PIECE: usize = 1 << 13;
/// Loom keeps a history of every word.
#[cfg(loom)]
const PIECE: usize = 1 << 4;
/// Pieces of the first directory; each next directory has twice as many.
const PIECES: usize = 64;
const DIRECTORIES: usize = 14;
/// Every link has a place in a directory.
#[cfg(not(loom))]
const _: () = assert!(((1_u64 << DIRECTORIES) - 1) * PIECES as u64 * PIECE as u64 >= NONE as u64);

const LINKS: usize = 0;
const STAMP: usize = 1;
const SHAPE: usize = 2;
const KEY: usize = 3;
/// Longer keys have no place in a node; nor has redb one for them.
const KEY_BYTES_MAX: usize = (1 << 24) - 1;
/// A key of up to so many words is searched for without memory of its own.
const SHORT: usize = 8;

type Piece = Box<[AtomicU64]>;

/// The words, in pieces.
pub(crate) struct Words {
    directories: [OnceLock<Box<[OnceLock<Piece>]>>; DIRECTORIES],
    /// Where the next node goes. Only the writer looks.
    end: AtomicU64,
}

/// A key as words, to compare nodes with.
pub(crate) struct Sought {
    len: usize,
    short: [u64; SHORT],
    long: Vec<u64>,
}

/// A node in its piece.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a>(&'a [AtomicU64]);

impl Sought {
    pub fn new(key: &[u8]) -> Self {
        let (mut short, mut long) = ([0; SHORT], Vec::new());
        let words = key.len().div_ceil(8);
        if words > SHORT {
            long.resize(words, 0);
        }
        let room = if words > SHORT { &mut long[..] } else { &mut short[..words] };
        let (whole, rest) = key.as_chunks::<8>();
        for (word, bytes) in room.iter_mut().zip(whole) {
            *word = u64::from_be_bytes(*bytes);
        }
        if !rest.is_empty() {
            let mut bytes = [0; 8];
            bytes[..rest.len()].copy_from_slice(rest);
            room[words - 1] = u64::from_be_bytes(bytes);
        }
        Self { len: key.len(), short, long }
    }

    fn words(&self) -> &[u64] {
        if self.long.is_empty() { &self.short[..self.len.div_ceil(8)] } else { &self.long }
    }
}

/// Directory, and piece in it.
fn place_of(link: u32) -> (usize, usize) {
    let piece = link as usize / PIECE + PIECES;
    let directory = (piece / PIECES).ilog2() as usize;
    (directory, piece - (PIECES << directory))
}

impl Words {
    pub fn new() -> Self {
        Self { directories: std::array::from_fn(|_| OnceLock::new()), end: AtomicU64::new(0) }
    }

    fn piece(&self, link: u32) -> Option<&[AtomicU64]> {
        let (directory, piece) = place_of(link);
        self.directories[directory].get()?[piece].get().map(|piece| &**piece)
    }

    /// The node that a link leads to.
    pub fn node(&self, link: u32) -> Node<'_> {
        let piece = self.piece(link).expect("a link is written after the node that it leads to");
        Node(&piece[link as usize % PIECE..])
    }

    /// Writes a node that nothing leads to yet. One caller at a time.
    pub fn push(&self, key: &Sought, stamp: u64, value: Option<&[u8]>, height: usize, next: impl Fn(usize) -> u32) -> u32 {
        let high = height.saturating_sub(2);
        let key_words = key.words();
        let value_at = KEY + key_words.len() + high.div_ceil(2);
        let len = value_at + value.map_or(0, |value| value.len().div_ceil(8));
        let link = self.room(len);
        let node = self.node(link).0;
        let value_len =
            value.map_or(0, |value| u32::try_from(value.len() + 1).expect("a value is part of a record, which has less than 2^32 bytes"));
        assert!(key.len <= KEY_BYTES_MAX, "a key of {} bytes", key.len);
        node[LINKS].store(link_of(height, 0, &next) | link_of(height, 1, &next) << 32, Relaxed);
        node[STAMP].store(stamp, Relaxed);
        node[SHAPE].store(key.len as u64 | (height as u64) << 24 | u64::from(value_len) << 32, Relaxed);
        for (word, key) in node[KEY..].iter().zip(key_words) {
            word.store(*key, Relaxed);
        }
        for (word, level) in node[KEY + key_words.len()..value_at].iter().zip((2..).step_by(2)) {
            word.store(link_of(height, level, &next) | link_of(height, level + 1, &next) << 32, Relaxed);
        }
        let (whole, rest) = value.unwrap_or_default().as_chunks::<8>();
        for (word, bytes) in node[value_at..].iter().zip(whole) {
            word.store(u64::from_le_bytes(*bytes), Relaxed);
        }
        if !rest.is_empty() {
            let mut bytes = [0; 8];
            bytes[..rest.len()].copy_from_slice(rest);
            node[value_at + whole.len()].store(u64::from_le_bytes(bytes), Relaxed);
        }
        link
    }

    /// Where `len` words are free: in the current piece, else in the next.
    fn room(&self, len: usize) -> u32 {
        let end = self.end.load(Relaxed) as usize;
        let starts_piece = end.is_multiple_of(PIECE) || end % PIECE + len > PIECE;
        let at = if starts_piece { end.next_multiple_of(PIECE) } else { end };
        let link = u32::try_from(at).ok().filter(|link| *link != NONE).expect("memory ends before 32 GiB of changes wait for a fold");
        if starts_piece {
            let (directory, piece) = place_of(link);
            let directory = self.directories[directory].get_or_init(|| (0..PIECES << directory).map(|_| OnceLock::new()).collect());
            let made = directory[piece].set((0..len.max(PIECE)).map(|_| AtomicU64::new(0)).collect());
            assert!(made.is_ok(), "a piece is begun once");
        }
        // A node larger than a piece has one to itself.
        self.end.store((at + len.min(PIECE)) as u64, Relaxed);
        link
    }
}

fn link_of(height: usize, level: usize, next: &impl Fn(usize) -> u32) -> u64 {
    u64::from(if level < height { next(level) } else { NONE })
}

impl Node<'_> {
    fn shape(self) -> u64 {
        self.0[SHAPE].load(Relaxed)
    }

    fn key_len(self) -> usize {
        self.shape() as usize & KEY_BYTES_MAX
    }

    fn link_word(&self, level: usize) -> &AtomicU64 {
        if level < 2 { &self.0[LINKS] } else { &self.0[KEY + self.key_len().div_ceil(8) + (level - 2) / 2] }
    }

    /// The next node of a level that this one reaches.
    pub fn next(self, level: usize) -> u32 {
        (self.link_word(level).load(Acquire) >> (level % 2 * 32)) as u32
    }

    /// Sets a link; what it leads to is whole from then on for who follows it. One caller at a time.
    pub fn lead_to(self, level: usize, link: u32) {
        let (word, shift) = (self.link_word(level), level % 2 * 32);
        let other = word.load(Relaxed) & !(u64::from(u32::MAX) << shift);
        word.store(other | u64::from(link) << shift, Release);
    }

    pub fn stamp(self) -> u64 {
        self.0[STAMP].load(Relaxed)
    }

    /// How this node's key stands to another.
    pub fn compare(self, key: &Sought) -> Ordering {
        let len = self.key_len();
        let words = &self.0[KEY..KEY + len.div_ceil(8)];
        for (own, other) in words.iter().zip(key.words()) {
            match own.load(Relaxed).cmp(other) {
                Ordering::Equal => (),
                order => return order,
            }
        }
        // Alike as far as the shorter goes: fillings are zeros, which come first, so the longer is the later one.
        len.cmp(&key.len)
    }

    pub fn has_key_of(self, other: Self) -> bool {
        let len = self.key_len();
        let words = KEY..KEY + len.div_ceil(8);
        len == other.key_len()
            && self.0[words.clone()].iter().zip(&other.0[words]).all(|(own, other)| own.load(Relaxed) == other.load(Relaxed))
    }

    pub fn key(self) -> Key {
        let len = self.key_len();
        bytes(&self.0[KEY..KEY + len.div_ceil(8)], len, u64::to_be_bytes)
    }

    pub fn change(self) -> Change {
        let shape = self.shape();
        let len = ((shape >> 32) as usize).checked_sub(1)?;
        let height = (shape >> 24) as u8 as usize;
        let at = KEY + self.key_len().div_ceil(8) + height.saturating_sub(2).div_ceil(2);
        Some(bytes(&self.0[at..at + len.div_ceil(8)], len, u64::to_le_bytes))
    }
}

/// The first `len` bytes of the words.
fn bytes(words: &[AtomicU64], len: usize, of: fn(u64) -> [u8; 8]) -> Value {
    const FEW: usize = 32;
    if words.len() <= FEW {
        let mut bytes = [[0; 8]; FEW];
        for (bytes, word) in bytes.iter_mut().zip(words) {
            *bytes = of(word.load(Relaxed));
        }
        return bytes.as_flattened()[..len].into();
    }
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| of(word.load(Relaxed))).collect();
    bytes.truncate(len);
    bytes.into()
}
