//! What happens to names before their folder is synced.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A change of names, not yet durable.
#[derive(Clone, Debug)]
pub(super) enum Naming {
    Made { path: PathBuf, inode: u64 },
    Moved { from: PathBuf, to: PathBuf, inode: u64 },
    Removed { path: PathBuf, inode: u64 },
}

impl Naming {
    /// The folder whose sync makes it durable.
    pub fn dir(&self) -> Option<&Path> {
        match self {
            Self::Made { path, .. } | Self::Removed { path, .. } => path.parent(),
            Self::Moved { to, .. } => to.parent(),
        }
    }

    pub fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            Self::Made { path, inode } => {
                names.insert(path.clone(), *inode);
            }
            Self::Moved { from, to, inode } => {
                if names.get(from) == Some(inode) {
                    names.remove(from);
                }
                names.insert(to.clone(), *inode);
            }
            Self::Removed { path, inode } => {
                if names.get(path) == Some(inode) {
                    names.remove(path);
                }
            }
        }
    }

    pub fn inode(&self) -> u64 {
        match self {
            Self::Made { inode, .. } | Self::Moved { inode, .. } | Self::Removed { inode, .. } => *inode,
        }
    }
}
