//! A file system in memory that breaks on purpose, the same way each time for the same seed.
//!
//! What was synced stays. Of the rest, a crash keeps any subset: writes are torn at sectors of 512 bytes, and survive or not each for itself
//! and in any order; names (creations, renames, removals) survive or not until their folder is synced.
//! That is more than a real disk does, and so a protocol that holds here holds there.

mod files;
mod names;
mod world;

use super::{Disk, DiskFile, Open};
use files::Inode;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use world::World;

/// What a call fails with when it is told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An I/O error. Of a write, any part is done; of a sync, any part is durable and the rest never will be ("fsyncgate").
    Eio,
    /// No room: nothing is done.
    Enospc,
    /// Half of a write is done, then no room. Any other call: as [`Fault::Eio`].
    ShortWrite,
}

/// The simulated disk. Clones are handles of the same disk.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<World>>);

impl SimDisk {
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(World::new(seed))))
    }

    /// A disk of its own in the same state, whose chance goes another way: many crash images of one run. Handles, locks, planned
    /// faults and crashes stay behind.
    #[must_use]
    pub fn fork(&self, seed: u64) -> Self {
        Self(Arc::new(Mutex::new(self.world().fork(seed))))
    }

    /// The `calls`-th call from now that changes or syncs something is the crash (1: the next). It may still do a part of its work.
    pub fn crash_after(&self, calls: u64) {
        let mut world = self.world();
        world.crash_at = Some(world.calls + calls.max(1));
    }

    /// From now on every call fails, until [`SimDisk::reboot`].
    pub fn crash_now(&self) {
        self.world().crashed = true;
    }

    #[must_use]
    pub fn is_crashed(&self) -> bool {
        self.world().crashed
    }

    /// The power comes back (or is cut now and comes back): what was not synced is kept or lost by chance, locks are free, files opened
    /// before fail, and planned faults and crashes are forgotten.
    pub fn reboot(&self) {
        self.world().reboot();
    }

    /// Only the process dies and starts again: the page cache stays, locks are free, files opened before fail.
    pub fn restart_process(&self) {
        self.world().restart_process();
    }

    /// The next call that changes or syncs something fails.
    pub fn fail_next(&self, fault: Fault) {
        self.fail_call(1, fault);
    }

    /// The `n`-th call from now that changes or syncs something fails (1: the next). May be planned many times.
    pub fn fail_call(&self, n: u64, fault: Fault) {
        let mut world = self.world();
        let at = world.calls + n.max(1);
        world.faults.push((at, fault));
    }

    /// The `n`-th read from now fails with an I/O error (1: the next).
    pub fn fail_read(&self, n: u64) {
        let mut world = self.world();
        world.fail_read_at = Some(world.reads + n.max(1));
    }

    /// A bit turns over at rest. `bit` is 0..=7.
    ///
    /// # Panics
    /// If there is no such file or byte: the test is wrong.
    pub fn flip_bit(&self, path: &Path, offset: u64, bit: u8) {
        self.world().inode_of(path).flip(offset as usize, 1 << bit);
    }

    /// How many calls changed or synced something, so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.world().calls
    }

    /// BLAKE3 of what is durable: two runs of one seed must agree.
    #[must_use]
    pub fn state_hash(&self) -> [u8; 32] {
        self.world().state_hash()
    }

    /// A planted bug of the disk itself: syncs of files answer `Ok` and do nothing.
    pub fn lie_about_sync(&self, lie: bool) {
        self.world().lying = lie;
    }

    /// What [`Disk::room`] says from now on, in bytes (endless at first). Writes do not heed it: plan [`Fault::Enospc`] for that.
    pub fn say_room(&self, bytes: u64) {
        self.world().room = bytes;
    }

    /// All files as a process sees them, with their lengths in bytes, sorted.
    #[must_use]
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        self.world().files()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        // A test that panicked while it held the lock has failed already.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk for SimDisk {
    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.world().create_dir_all(dir)
    }

    fn open(&self, path: &Path, how: Open) -> io::Result<Box<dyn DiskFile>> {
        let mut world = self.world();
        let inode = world.open(path, how)?;
        Ok(Box::new(SimFile { disk: self.clone(), inode, boot: world.boot, writable: how != Open::Read }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.world().rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.world().remove(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.world().list(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.world().sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Box<dyn Send + Sync>> {
        let boot = self.world().lock(path)?;
        Ok(Box::new(SimLock { disk: self.clone(), path: path.to_path_buf(), boot }))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.world().exists(path)
    }

    fn room(&self, _: &Path) -> io::Result<u64> {
        Ok(self.world().room)
    }
}

struct SimLock {
    disk: SimDisk,
    path: PathBuf,
    boot: u64,
}

impl Drop for SimLock {
    fn drop(&mut self) {
        self.disk.world().unlock(&self.path, self.boot);
    }
}

struct SimFile {
    disk: SimDisk,
    inode: u64,
    boot: u64,
    writable: bool,
}

impl SimFile {
    fn with<T>(&self, act: impl FnOnce(&mut World, u64) -> io::Result<T>) -> io::Result<T> {
        let mut world = self.disk.world();
        world.alive(self.boot)?;
        act(&mut world, self.inode)
    }

    fn writing<T>(&self, act: impl FnOnce(&mut World, u64) -> io::Result<T>) -> io::Result<T> {
        if !self.writable {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "opened for reading"));
        }
        self.with(act)
    }
}

impl DiskFile for SimFile {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.with(|world, inode| world.read(inode, offset as usize, into))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.writing(|world, inode| world.write(inode, offset as usize, bytes))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(World::sync)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.writing(|world, inode| world.set_len(inode, len as usize))
    }

    fn len(&self) -> io::Result<u64> {
        self.with(|world, inode| Ok(world.inode(inode).len() as u64))
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        self.disk.world().close(self.inode, self.boot);
    }
}
