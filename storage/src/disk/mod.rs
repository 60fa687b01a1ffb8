//! The file seam: everything below the log, the state and the snapshots goes through [`Disk`].
//!
//! [`RealDisk`] is the machine's file system. [`SimDisk`] is one in memory that loses, tears and breaks on purpose, under a seed.
//! Nothing above this module opens a file by itself; what the simulator cannot break has not been tested.

pub mod planted;
mod real;
mod sim;

pub use real::RealDisk;
pub use sim::{Fault, SimDisk};

use std::io;
use std::path::Path;

/// How a file is opened. Every way but [`Open::Read`] allows reading and writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Open {
    /// Must exist; reading only.
    Read,
    /// Must exist.
    Write,
    /// Made empty if it is not there.
    Create,
    /// Must not exist yet.
    CreateNew,
}

/// A file system, as far as storage needs one. Paths are absolute or relative to the process, as the operator gave them.
///
/// Durability is the caller's work: bytes are durable after [`DiskFile::sync_data`], names after [`Disk::sync_dir`] of the folder they are in.
pub trait Disk: Send + Sync + 'static {
    /// Makes `dir` and what is missing above it. Durable on return, unlike the other calls that change names.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn DiskFile>>;
    /// Replaces `to` if it is there, at once or not at all.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Names of the files in `dir`, sorted; folders are left out.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Makes creations, renames and removals in `dir` durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Takes `path` (a file of its own) for this process while the value lives.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] while another holds it.
    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>>;
    fn exists(&self, path: &Path) -> io::Result<bool>;
    /// Bytes that may still be written to the file system of `dir`. Others write there too: a hint, not a promise.
    fn room(&self, dir: &Path) -> io::Result<u64>;
}

/// An open file. Offsets and lengths are in bytes.
#[expect(clippy::len_without_is_empty, reason = "a length that costs a system call")]
pub trait DiskFile: Send + Sync + 'static {
    /// Fills `into` whole.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if the file ends before.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()>;
    /// Writes all of `bytes`; grows the file if needed. Not durable yet. After an error any part may have been written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes the bytes and the length durable. After an error nothing is known about what was written since the last success,
    /// and a second try proves nothing: the kernel may have dropped the pages ("fsyncgate"). Stop instead.
    fn sync_data(&self) -> io::Result<()>;
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Starts to bring what was written in `offset..offset + len` to the device, and waits until it took it. Promises nothing: it makes a later
    /// [`DiskFile::sync_data`] short.
    ///
    /// # Errors
    /// As of a sync, and of the same weight: the kernel may tell only once that bytes were lost.
    fn write_back(&self, offset: u64, len: u64) -> io::Result<()> {
        let _ = (offset, len);
        Ok(())
    }
    fn len(&self) -> io::Result<u64>;
}
