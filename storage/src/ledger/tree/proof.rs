//! Proofs: that a leaf is in a tree, that a tree is the beginning of another. Making them reads nodes; checking them needs nothing but the proof.

use super::hash::{NodeHash, Nodes, node_hash, range, split};

/// The hashes that lead from leaf `leaf` to the root of the first `size` leaves, lowest first.
///
/// Source: RFC 6962, section 2.1.1.
///
/// # Errors
/// The source's own.
///
/// # Panics
/// If there is no such leaf.
pub fn inclusion<N: Nodes>(nodes: &N, leaf: u64, size: u64) -> Result<Vec<NodeHash>, N::Error> {
    assert!(leaf < size, "leaf {leaf} is not in a tree of {size}");
    let (mut from, mut to, mut path) = (0, size, Vec::new());
    while to - from > 1 {
        let middle = from + split(to - from);
        if leaf < middle {
            path.push(range(nodes, middle, to)?);
            to = middle;
        } else {
            path.push(range(nodes, from, middle)?);
            from = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The hashes that show the first `old` leaves to be the beginning of the first `size`.
///
/// Source: RFC 6962, section 2.1.2.
///
/// # Errors
/// The source's own.
///
/// # Panics
/// If `old` is larger than `size`.
pub fn consistency<N: Nodes>(nodes: &N, old: u64, size: u64) -> Result<Vec<NodeHash>, N::Error> {
    assert!(old <= size, "a tree of {old} is not the beginning of one of {size}");
    let mut path = Vec::new();
    // Every tree begins with the empty one.
    if old == 0 {
        return Ok(path);
    }
    let (mut from, mut to, mut is_known) = (0, size, true);
    while old != to {
        let middle = from + split(to - from);
        if old <= middle {
            path.push(range(nodes, middle, to)?);
            to = middle;
        } else {
            path.push(range(nodes, from, middle)?);
            from = middle;
            is_known = false;
        }
    }
    // The old root itself is known to whoever checks; a subtree of it is not.
    if !is_known {
        path.push(range(nodes, from, to)?);
    }
    path.reverse();
    Ok(path)
}

/// Whether `path` leads from a leaf's hash to `root`.
///
/// Source: RFC 9162, section 2.1.3.2.
#[must_use]
pub fn verify_inclusion(path: &[NodeHash], leaf: u64, leaf_hash: &NodeHash, size: u64, root: &NodeHash) -> bool {
    if leaf >= size {
        return false;
    }
    let (mut node, mut last, mut hash) = (leaf, size - 1, *leaf_hash);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Whether `path` shows the tree of `old` leaves to be the beginning of the tree of `size`.
///
/// Source: RFC 9162, section 2.1.4.2.
#[must_use]
pub fn verify_consistency(path: &[NodeHash], old: u64, old_root: &NodeHash, size: u64, root: &NodeHash) -> bool {
    if old > size {
        return false;
    }
    if old == size {
        return path.is_empty() && old_root == root;
    }
    if old == 0 {
        return path.is_empty() && *old_root == super::EMPTY_ROOT;
    }
    // A whole subtree is where the old root itself stands.
    let mut hashes = old.is_power_of_two().then_some(old_root).into_iter().chain(path);
    let Some(first) = hashes.next() else { return false };
    let (mut node, mut last) = (old - 1, size - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let (mut was, mut is) = (*first, *first);
    for sibling in hashes {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            was = node_hash(sibling, &was);
            is = node_hash(sibling, &is);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            is = node_hash(&is, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && was == *old_root && is == *root
}
