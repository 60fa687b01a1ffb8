//! The tree's hashes on disk, `DATA/ledger/<level>.hashes`: for each tile level one file of 32-byte hashes in their order. A tile is a slice of a file.
//!
//! A cache: it follows from the transfers, and what it says is believed only as far as it gives the published root.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use storage::ledger::tree::tile::tile_root;
use storage::ledger::tree::{NodeHash, TILE_WIDTH, Tile, TileKind, TileSource};

const HASH_BYTES: u64 = 32;
const LEVELS: usize = 8;

/// The files. One thread appends, any may read what was there before.
pub struct Rows {
    dir: PathBuf,
    levels: [OnceLock<File>; LEVELS],
}

impl Rows {
    /// Opens the folder; makes it if it is not there.
    ///
    /// # Errors
    /// The file system's.
    pub fn open(dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        Ok(Self { dir: dir.to_owned(), levels: Default::default() })
    }

    fn level(&self, level: usize) -> io::Result<&File> {
        if let Some(file) = self.levels[level].get() {
            return Ok(file);
        }
        let path = self.dir.join(format!("{level}.hashes"));
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        Ok(self.levels[level].get_or_init(|| file))
    }

    /// Writes the hashes of leaves `size` and following, and of whatever they complete.
    ///
    /// # Errors
    /// The file system's; written again, the same hashes give the same files.
    pub fn append(&self, size: u64, leaves: &[NodeHash]) -> io::Result<()> {
        self.level(0)?.write_all_at(leaves.as_flattened(), size * HASH_BYTES)?;
        let (mut from, mut to) = (size, size + leaves.len() as u64);
        for level in 1..LEVELS {
            let (first, end) = (from / TILE_WIDTH, to / TILE_WIDTH);
            if first == end {
                break;
            }
            let mut below = vec![0; ((end - first) * TILE_WIDTH * HASH_BYTES) as usize];
            self.level(level - 1)?.read_exact_at(&mut below, first * TILE_WIDTH * HASH_BYTES)?;
            let (hashes, _) = below.as_chunks::<32>();
            let roots: Vec<NodeHash> = hashes.chunks(TILE_WIDTH as usize).map(tile_root).collect();
            self.level(level)?.write_all_at(roots.as_flattened(), first * HASH_BYTES)?;
            (from, to) = (first, end);
        }
        Ok(())
    }

    /// Makes everything that was appended durable.
    ///
    /// # Errors
    /// The file system's.
    pub fn sync(&self) -> io::Result<()> {
        self.levels.iter().filter_map(OnceLock::get).try_for_each(File::sync_data)
    }
}

impl TileSource for Rows {
    type Error = io::Error;

    fn tile(&self, tile: Tile) -> io::Result<Vec<u8>> {
        let TileKind::Hashes { level } = tile.kind else { return Err(io::ErrorKind::NotFound.into()) };
        let mut bytes = vec![0; (tile.width * HASH_BYTES) as usize];
        self.level(usize::from(level))?.read_exact_at(&mut bytes, tile.first() * HASH_BYTES)?;
        Ok(bytes)
    }
}
