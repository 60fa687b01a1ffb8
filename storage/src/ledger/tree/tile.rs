//! The tree as tiles: rows of 256 hashes, each the root of 256 of the level below, under names that never change what they hold.
//!
//! Source: C2SP `tlog-tiles` (tile height 8, paths, entry bundles).

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use super::hash::{NodeHash, Nodes, node_hash};

/// Hashes in a full tile, and entries in a full bundle.
pub const TILE_WIDTH: u64 = 256;
/// Levels of a tree of up to 2⁶⁴ leaves.
const LEVELS: u8 = 8;

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TileKind {
    /// Hashes of subtrees of 256ˡᵉᵛᵉˡ leaves; level 0 are the leaves' own.
    Hashes { level: u8 },
    /// The leaves themselves, each behind its length.
    Entries,
}

/// A tile's name: `0/x001/234`, `1/000.p/7`, `entries/067`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tile {
    pub kind: TileKind,
    pub index: u64,
    /// 1 to 256; less than 256 is a partial tile.
    pub width: u64,
}

/// Not a tile's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a tile")]
pub struct BadTile;

impl Tile {
    /// The tile of hashes with this index, as wide as a tree of `size` leaves has it; `None` if the tree does not reach it.
    #[must_use]
    pub fn at(level: u8, index: u64, size: u64) -> Option<Self> {
        Self::widest(TileKind::Hashes { level }, index, size)
    }

    /// The bundle of entries with this index, as wide as a tree of `size` leaves has it.
    #[must_use]
    pub fn entries(index: u64, size: u64) -> Option<Self> {
        Self::widest(TileKind::Entries, index, size)
    }

    fn widest(kind: TileKind, index: u64, size: u64) -> Option<Self> {
        let before = index.checked_mul(TILE_WIDTH)?;
        let width = kind.count(size).checked_sub(before)?.min(TILE_WIDTH);
        (width > 0).then_some(Self { kind, index, width })
    }

    /// Whether a tree of `size` leaves has all of it.
    #[must_use]
    pub fn is_in(&self, size: u64) -> bool {
        Self::widest(self.kind, self.index, size).is_some_and(|widest| self.width <= widest.width)
    }

    /// The place of its first hash or entry among all of its kind.
    #[must_use]
    pub fn first(&self) -> u64 {
        self.index * TILE_WIDTH
    }
}

impl TileKind {
    /// How many hashes or entries of this kind a tree of `size` leaves has.
    #[must_use]
    pub fn count(self, size: u64) -> u64 {
        match self {
            Self::Entries => size,
            Self::Hashes { level } => size.checked_shr(8 * u32::from(level)).unwrap_or(0),
        }
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Hashes { level } => write!(f, "{level}")?,
            TileKind::Entries => f.write_str("entries")?,
        }
        let groups = (1..7).take_while(|group| self.index >= 1000_u64.pow(*group)).count() as u32;
        for group in (1..=groups).rev() {
            write!(f, "/x{:03}", self.index / 1000_u64.pow(group) % 1000)?;
        }
        write!(f, "/{:03}", self.index % 1000)?;
        if self.width < TILE_WIDTH { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

impl FromStr for Tile {
    type Err = BadTile;

    fn from_str(text: &str) -> Result<Self, BadTile> {
        let (kind, rest) = text.split_once('/').ok_or(BadTile)?;
        let kind = match kind {
            "entries" => TileKind::Entries,
            level => TileKind::Hashes { level: level.parse().ok().filter(|level| *level < LEVELS).ok_or(BadTile)? },
        };
        let (index, width) = match rest.split_once(".p/") {
            Some((index, width)) => (index, width.parse().ok().filter(|width| (1..TILE_WIDTH).contains(width)).ok_or(BadTile)?),
            None => (rest, TILE_WIDTH),
        };
        let digits: String = index.split('/').map(|group| group.strip_prefix('x').unwrap_or(group)).collect();
        let tile = Self { kind, index: digits.parse().map_err(|_| BadTile)?, width };
        // One name for each tile: what is not written as we write it is another resource.
        if tile.index <= u64::MAX / TILE_WIDTH && tile.to_string() == text { Ok(tile) } else { Err(BadTile) }
    }
}

/// Adds an entry to a bundle.
///
/// # Panics
/// If it is longer than 65,535 bytes.
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) {
    let len = u16::try_from(entry.len()).expect("entries are a few hundred bytes");
    bundle.extend_from_slice(&len.to_be_bytes());
    bundle.extend_from_slice(entry);
}

/// A bundle's entries; `None` if the bytes are not a bundle.
#[must_use]
pub fn bundled(mut bundle: &[u8]) -> Option<Vec<&[u8]>> {
    let mut entries = Vec::new();
    while !bundle.is_empty() {
        let (len, rest) = bundle.split_first_chunk::<2>()?;
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        entries.push(entry);
        bundle = rest;
    }
    Some(entries)
}

/// Where tiles of hashes come from: files, a cache, somebody's server.
pub trait TileSource {
    type Error;

    /// The tile's bytes: 32 for each hash.
    ///
    /// # Errors
    /// The source's own, also if it has no such tile or one of another length.
    fn tile(&self, tile: Tile) -> Result<Vec<u8>, Self::Error>;
}

/// The nodes of a tree of `size` leaves, from its tiles, each read once.
///
/// It believes the tiles: proofs made from them are checked like proofs from anywhere.
pub struct TileNodes<'a, S> {
    source: &'a S,
    size: u64,
    read: RefCell<HashMap<Tile, Vec<u8>>>,
}

impl<'a, S: TileSource> TileNodes<'a, S> {
    /// Nodes of the first `size` leaves.
    pub fn new(source: &'a S, size: u64) -> Self {
        Self { source, size, read: RefCell::default() }
    }
}

impl<S: TileSource> Nodes for TileNodes<'_, S> {
    type Error = S::Error;

    fn node(&self, level: u8, index: u64) -> Result<NodeHash, S::Error> {
        // The row that holds what the node is made of, and how many hashes of it.
        let (row, count) = (level / 8, 1_usize << (level % 8));
        let first = index << (level % 8);
        let tile = Tile::at(row, first / TILE_WIDTH, self.size).expect("a node of the tree is made of hashes that its tiles hold");
        if !self.read.borrow().contains_key(&tile) {
            let bytes = self.source.tile(tile)?;
            self.read.borrow_mut().insert(tile, bytes);
        }
        let read = self.read.borrow();
        let (hashes, _) = read[&tile].as_chunks::<32>();
        let start = (first % TILE_WIDTH) as usize;
        Ok(fold(&hashes[start..start + count]))
    }
}

/// The root of a power of two of hashes.
fn fold(hashes: &[NodeHash]) -> NodeHash {
    match hashes {
        [one] => *one,
        _ => {
            let (left, right) = hashes.split_at(hashes.len() / 2);
            node_hash(&fold(left), &fold(right))
        }
    }
}

/// The root of a full tile: a hash of the level above.
///
/// # Panics
/// If `hashes` are not a power of two.
#[must_use]
pub fn tile_root(hashes: &[NodeHash]) -> NodeHash {
    assert!(hashes.len().is_power_of_two(), "a tile is full before it has a root");
    fold(hashes)
}
