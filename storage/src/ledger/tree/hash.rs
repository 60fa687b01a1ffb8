//! Hashes of leaves, of nodes, and of trees of any size.

use sha2::{Digest, Sha256};

/// SHA-256 of a leaf, a node or a whole tree.
pub type NodeHash = [u8; 32];

/// The root of a tree without leaves: SHA-256 of nothing.
pub const EMPTY_ROOT: NodeHash = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b,
    0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// A leaf's hash: the prefix keeps leaves and nodes apart, so that no node can be passed off as a leaf.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> NodeHash {
    Sha256::new().chain_update([0]).chain_update(entry).finalize().into()
}

/// An inner node's hash.
#[must_use]
pub fn node_hash(left: &NodeHash, right: &NodeHash) -> NodeHash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// Where the hashes of complete subtrees come from.
pub trait Nodes {
    type Error;

    /// The hash over leaves `index << level .. (index + 1) << level`, all of which exist.
    ///
    /// # Errors
    /// The source's own.
    fn node(&self, level: u8, index: u64) -> Result<NodeHash, Self::Error>;
}

/// The root of the first `size` leaves.
///
/// # Errors
/// The source's own.
pub fn root<N: Nodes>(nodes: &N, size: u64) -> Result<NodeHash, N::Error> {
    if size == 0 { Ok(EMPTY_ROOT) } else { range(nodes, 0, size) }
}

/// The largest power of two below `leaves`, which is at least 2: how many leaves the left subtree has.
pub(super) fn split(leaves: u64) -> u64 {
    1 << (leaves - 1).ilog2()
}

/// The hash over leaves `from..to`, a range that the recursion of RFC 6962 reaches: `from` is a multiple of the range's left half.
pub(super) fn range<N: Nodes>(nodes: &N, from: u64, to: u64) -> Result<NodeHash, N::Error> {
    let leaves = to - from;
    if leaves.is_power_of_two() {
        let level = leaves.trailing_zeros() as u8;
        return nodes.node(level, from >> level);
    }
    let middle = from + split(leaves);
    Ok(node_hash(&range(nodes, from, middle)?, &range(nodes, middle, to)?))
}

/// A tree's right edge: takes leaves one by one and knows the root, in memory of a few hundred bytes.
#[derive(Clone, Debug, Default)]
pub struct Frontier {
    size: u64,
    /// Complete subtrees by level; where the size's bit is 0 the entry is stale.
    subtrees: Vec<NodeHash>,
}

impl Frontier {
    /// How many leaves it has taken.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// One more leaf.
    pub fn push(&mut self, leaf: NodeHash) {
        let mut hash = leaf;
        let level = self.size.trailing_ones() as usize;
        for left in &self.subtrees[..level] {
            hash = node_hash(left, &hash);
        }
        match self.subtrees.get_mut(level) {
            Some(slot) => *slot = hash,
            None => self.subtrees.push(hash),
        }
        self.size += 1;
    }

    /// The root of all leaves so far.
    #[must_use]
    pub fn root(&self) -> NodeHash {
        let complete = self.subtrees.iter().enumerate().filter(|(level, _)| self.size >> level & 1 == 1).map(|(_, hash)| *hash);
        complete.reduce(|right, left| node_hash(&left, &right)).unwrap_or(EMPTY_ROOT)
    }
}
