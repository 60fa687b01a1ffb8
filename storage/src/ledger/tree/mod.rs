//! The ledger as an append-only Merkle tree: whoever kept an old root can check that nothing before it was ever rewritten.
//!
//! ```text
//!   transfer ── leaf.rs ──► entry (owners as pseudonyms) ── SHA-256 ──► leaf hash ─┐
//!                                                                                 tile.rs: 256 hashes wide
//!   old root + new root + consistency proof ──► proof.rs ──► "only grew"  ◄────────┘
//! ```
//! Everything here is pure: it hashes what it is given and reads nodes through a trait. The bytes are in `FORMAT.md`.
//!
//! Reading order: [`hash`], [`leaf`], [`proof`], [`tile`].
//!
//! Sources: RFC 6962 section 2.1 (hashing), RFC 9162 section 2.1 (verification), C2SP `tlog-tiles`.

pub mod hash;
pub mod leaf;
pub mod proof;
pub mod tile;

pub use hash::{EMPTY_ROOT, Frontier, NodeHash, Nodes, leaf_hash, node_hash, root};
pub use leaf::{ENTRY_BYTES, Pseudonyms, entry, entry_at};
pub use proof::{consistency, inclusion, verify_consistency, verify_inclusion};
pub use tile::{TILE_WIDTH, Tile, TileKind, TileNodes, TileSource};
