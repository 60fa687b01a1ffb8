//! The bytes, in a folder, each file named by the BLAKE3 hash of what it holds.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tokio::sync::{Semaphore, SemaphorePermit};

/// Pictures that may be on their way in at once, each in memory.
const UPLOADS_MAX: usize = 16;

/// The folder.
pub struct Shelf {
    dir: PathBuf,
    uploads: Semaphore,
}

impl Shelf {
    /// Opens the folder; makes it if it is not there.
    ///
    /// # Errors
    /// What the file system said.
    pub fn open(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        Ok(Self { dir: dir.to_owned(), uploads: Semaphore::new(UPLOADS_MAX) })
    }

    /// A place for a picture on its way in; `None` if all are taken.
    pub(super) fn place(&self) -> Option<SemaphorePermit<'_>> {
        self.uploads.try_acquire().ok()
    }

    fn path(&self, hash: &[u8; 32]) -> PathBuf {
        self.dir.join(blake3::Hash::from(*hash).to_hex().as_str())
    }

    /// Puts bytes on the shelf, durably, and answers their hash. Bytes that are there already are left alone. Blocks.
    ///
    /// # Errors
    /// What the file system said; nothing is on the shelf then.
    pub fn put(&self, bytes: &[u8]) -> io::Result<[u8; 32]> {
        let hash = *blake3::hash(bytes).as_bytes();
        let path = self.path(&hash);
        // Files appear whole or not at all, so that one of the right length is the right one, until `take` finds otherwise.
        if fs::metadata(&path).is_ok_and(|found| found.len() == bytes.len() as u64) {
            return Ok(hash);
        }
        let mut file = tempfile::NamedTempFile::new_in(&self.dir)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(&path).map_err(|error| error.error)?;
        File::open(&self.dir)?.sync_all()?;
        Ok(hash)
    }

    /// Takes bytes from the shelf. Blocks.
    ///
    /// # Errors
    /// `NotFound`; `InvalidData` if they are no longer what was put there.
    pub fn take(&self, hash: &[u8; 32]) -> io::Result<Vec<u8>> {
        let bytes = fs::read(self.path(hash))?;
        if blake3::hash(&bytes).as_bytes() == hash {
            Ok(bytes)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidData, format!("{} is damaged", self.path(hash).display())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_is_taken_and_damage_is_seen() {
        let dir = tempfile::tempdir().expect("a folder");
        let shelf = Shelf::open(&dir.path().join("media")).expect("opens");
        let hash = shelf.put(b"a picture").expect("put");
        assert_eq!(shelf.put(b"a picture").expect("put again"), hash);
        assert_eq!(shelf.take(&hash).expect("there"), b"a picture");
        assert_eq!(fs::read_dir(&shelf.dir).expect("lists").count(), 1, "once, and nothing left over");
        fs::write(shelf.path(&hash), b"a pictura").expect("damaged");
        assert_eq!(shelf.take(&hash).expect_err("damaged").kind(), io::ErrorKind::InvalidData);
        assert_eq!(shelf.take(&[0; 32]).expect_err("absent").kind(), io::ErrorKind::NotFound);
    }
}
