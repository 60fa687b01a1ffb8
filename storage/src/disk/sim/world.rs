//! The simulated disk's names, calls, faults and crashes.

use super::files::{Chance, SECTOR};
use super::names::Naming;
use super::{Fault, Inode, Open};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

/// Whether a call goes on, and how it ends.
enum Fate {
    Done,
    /// The crash or fault of this call: do a part of it, then fail.
    Failing(io::Error, Option<Fault>),
}

#[derive(Clone)]
pub(super) struct World {
    chance: Chance,
    inodes: BTreeMap<u64, Inode>,
    /// How many open files each inode has.
    open: BTreeMap<u64, u32>,
    next_inode: u64,
    current: BTreeMap<PathBuf, u64>,
    durable: BTreeMap<PathBuf, u64>,
    unsynced: Vec<Naming>,
    dirs: BTreeSet<PathBuf>,
    locks: BTreeSet<PathBuf>,
    pub boot: u64,
    pub calls: u64,
    pub reads: u64,
    pub crashed: bool,
    pub crash_at: Option<u64>,
    pub faults: Vec<(u64, Fault)>,
    pub fail_read_at: Option<u64>,
    pub lying: bool,
    /// What the file system says is free, in bytes.
    pub room: u64,
}

impl World {
    pub fn new(seed: u64) -> Self {
        Self {
            chance: Chance::new(seed),
            inodes: BTreeMap::new(),
            open: BTreeMap::new(),
            next_inode: 0,
            current: BTreeMap::new(),
            durable: BTreeMap::new(),
            unsynced: Vec::new(),
            dirs: BTreeSet::new(),
            locks: BTreeSet::new(),
            boot: 0,
            calls: 0,
            reads: 0,
            crashed: false,
            crash_at: None,
            faults: Vec::new(),
            fail_read_at: None,
            lying: false,
            room: u64::MAX,
        }
    }

    pub fn fork(&self, seed: u64) -> Self {
        let mut world = self.clone();
        world.chance = Chance::new(seed);
        world.forget_process();
        world
    }

    fn forget_process(&mut self) {
        self.boot += 1;
        self.crashed = false;
        self.crash_at = None;
        self.faults.clear();
        self.fail_read_at = None;
        self.locks.clear();
        self.open.clear();
    }

    pub fn restart_process(&mut self) {
        self.forget_process();
        self.collect();
    }

    pub fn reboot(&mut self) {
        self.forget_process();
        let survival = self.chance.survival();
        for naming in std::mem::take(&mut self.unsynced) {
            if self.chance.percent(survival) {
                naming.apply(&mut self.durable);
            }
        }
        self.current = self.durable.clone();
        self.collect();
        for inode in self.inodes.values_mut() {
            inode.reboot(&mut self.chance);
        }
    }

    /// Drops the files that have neither a name nor an open handle any more.
    fn collect(&mut self) {
        let named: BTreeSet<u64> =
            self.current.values().chain(self.durable.values()).copied().chain(self.unsynced.iter().map(Naming::inode)).collect();
        self.inodes.retain(|inode, _| named.contains(inode) || self.open.contains_key(inode));
    }

    pub fn alive(&self, boot: u64) -> io::Result<()> {
        if self.crashed {
            return Err(crash());
        }
        if boot != self.boot {
            return Err(io::Error::other("simulated disk: opened before the reboot"));
        }
        Ok(())
    }

    /// Counts a call that changes or syncs something.
    fn call(&mut self) -> io::Result<Fate> {
        self.alive(self.boot)?;
        self.calls += 1;
        if self.crash_at == Some(self.calls) {
            self.crashed = true;
            return Ok(Fate::Failing(crash(), None));
        }
        let now = self.calls;
        let fault = self.faults.iter().position(|(at, _)| *at == now);
        Ok(match fault.map(|found| self.faults.swap_remove(found).1) {
            None => Fate::Done,
            Some(fault @ Fault::Eio) => Fate::Failing(errno(libc::EIO), Some(fault)),
            Some(fault) => Fate::Failing(errno(libc::ENOSPC), Some(fault)),
        })
    }

    /// A call that changes names: done, or failed and done only by the chance that a crash has.
    fn change_names(&mut self, naming: Naming) -> io::Result<()> {
        let fate = self.call()?;
        let happens = match &fate {
            Fate::Done => true,
            Fate::Failing(_, fault) => fault.is_none() && self.chance.percent(50),
        };
        if happens {
            naming.apply(&mut self.current);
            self.unsynced.push(naming);
        }
        match fate {
            Fate::Done => Ok(()),
            Fate::Failing(error, _) => Err(error),
        }
    }

    pub fn create_dir_all(&mut self, dir: &Path) -> io::Result<()> {
        self.alive(self.boot)?;
        if self.dirs.contains(dir) {
            return Ok(());
        }
        if let Fate::Failing(error, _) = self.call()? {
            return Err(error);
        }
        self.dirs.extend(dir.ancestors().map(Path::to_path_buf));
        Ok(())
    }

    pub fn open(&mut self, path: &Path, how: Open) -> io::Result<u64> {
        self.alive(self.boot)?;
        let inode = match (self.current.get(path), how) {
            (Some(_), Open::CreateNew) => return Err(io::ErrorKind::AlreadyExists.into()),
            (Some(inode), _) => *inode,
            (None, Open::Read | Open::Write) => return Err(not_found(path)),
            (None, Open::Create | Open::CreateNew) => {
                self.check_dir(path.parent().unwrap_or(Path::new("")))?;
                let inode = self.next_inode;
                self.next_inode += 1;
                self.inodes.insert(inode, Inode::default());
                self.change_names(Naming::Made { path: path.to_path_buf(), inode })?;
                inode
            }
        };
        *self.open.entry(inode).or_default() += 1;
        Ok(inode)
    }

    pub fn close(&mut self, inode: u64, boot: u64) {
        if boot != self.boot {
            return;
        }
        if let Some(handles) = self.open.get_mut(&inode) {
            *handles -= 1;
            if *handles == 0 {
                self.open.remove(&inode);
            }
        }
    }

    pub fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let inode = self.named(from)?;
        self.check_dir(to.parent().unwrap_or(Path::new("")))?;
        self.change_names(Naming::Moved { from: from.to_path_buf(), to: to.to_path_buf(), inode })
    }

    pub fn remove(&mut self, path: &Path) -> io::Result<()> {
        let inode = self.named(path)?;
        self.change_names(Naming::Removed { path: path.to_path_buf(), inode })
    }

    pub fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.alive(self.boot)?;
        self.check_dir(dir)?;
        let inside = self.current.keys().filter(|path| path.parent() == Some(dir));
        let mut names: Vec<String> = inside.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect();
        names.sort_unstable();
        Ok(names)
    }

    pub fn sync_dir(&mut self, dir: &Path) -> io::Result<()> {
        self.alive(self.boot)?;
        self.check_dir(dir)?;
        // A crash or fault here may have written any part: the reboot decides.
        if let Fate::Failing(error, _) = self.call()? {
            return Err(error);
        }
        let all = std::mem::take(&mut self.unsynced).into_iter();
        let (synced, rest): (Vec<_>, _) = all.partition(|naming| naming.dir() == Some(dir));
        self.unsynced = rest;
        for naming in &synced {
            naming.apply(&mut self.durable);
        }
        self.collect();
        Ok(())
    }

    pub fn lock(&mut self, path: &Path) -> io::Result<u64> {
        self.alive(self.boot)?;
        if self.locks.insert(path.to_path_buf()) { Ok(self.boot) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }

    pub fn unlock(&mut self, path: &Path, boot: u64) {
        if boot == self.boot {
            self.locks.remove(path);
        }
    }

    pub fn exists(&self, path: &Path) -> io::Result<bool> {
        self.alive(self.boot)?;
        Ok(self.current.contains_key(path) || self.dirs.contains(path))
    }

    pub fn read(&mut self, inode: u64, at: usize, into: &mut [u8]) -> io::Result<()> {
        self.reads += 1;
        if self.fail_read_at == Some(self.reads) {
            return Err(errno(libc::EIO));
        }
        if self.inode(inode).read(at, into) { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    pub fn write(&mut self, inode: u64, at: usize, bytes: &[u8]) -> io::Result<()> {
        let fate = self.call()?;
        let done = match &fate {
            Fate::Done => bytes.len(),
            Fate::Failing(_, Some(Fault::Enospc)) => 0,
            Fate::Failing(_, Some(Fault::ShortWrite)) => cut(at, bytes.len(), bytes.len() / 2),
            // Before, in the middle, or all of it: the crash tears it further.
            Fate::Failing(_, None | Some(Fault::Eio)) => match self.chance.below(3) {
                0 => 0,
                1 => cut(at, bytes.len(), self.chance.below(bytes.len())),
                _ => bytes.len(),
            },
        };
        self.inode(inode).write(at, &bytes[..done]);
        match fate {
            Fate::Done => Ok(()),
            Fate::Failing(error, _) => Err(error),
        }
    }

    pub fn set_len(&mut self, inode: u64, len: usize) -> io::Result<()> {
        match self.call()? {
            Fate::Done => {
                self.inode(inode).set_len(len);
                Ok(())
            }
            Fate::Failing(error, fault) => {
                if fault.is_none() && self.chance.percent(50) {
                    self.inode(inode).set_len(len);
                }
                Err(error)
            }
        }
    }

    pub fn sync(&mut self, inode: u64) -> io::Result<()> {
        match self.call()? {
            Fate::Done if self.lying => Ok(()),
            Fate::Done => {
                self.inode(inode).sync();
                Ok(())
            }
            // The crash: the reboot decides what was written.
            Fate::Failing(error, None) => Err(error),
            Fate::Failing(error, Some(_)) => {
                let mut chance = self.chance.clone();
                self.inode(inode).fail_sync(&mut chance);
                self.chance = chance;
                Err(error)
            }
        }
    }

    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let len = |inode| self.inodes.get(inode).map_or(0, |file| file.len() as u64);
        self.current.iter().map(|(path, inode)| (path.clone(), len(inode))).collect()
    }

    pub fn state_hash(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        for (path, inode) in &self.durable {
            let bytes = self.inodes.get(inode).map_or(&[][..], Inode::durable);
            let path = path.as_os_str().as_encoded_bytes();
            for part in [path, bytes] {
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part);
            }
        }
        *hasher.finalize().as_bytes()
    }

    pub fn inode(&mut self, inode: u64) -> &mut Inode {
        self.inodes.get_mut(&inode).expect("an inode lives while it has a name or an open file")
    }

    pub fn inode_of(&mut self, path: &Path) -> &mut Inode {
        let inode = self.current.get(path).copied();
        self.inode(inode.expect("the test names a file that is there"))
    }

    fn named(&self, path: &Path) -> io::Result<u64> {
        self.alive(self.boot)?;
        self.current.get(path).copied().ok_or_else(|| not_found(path))
    }

    fn check_dir(&self, dir: &Path) -> io::Result<()> {
        if dir.as_os_str().is_empty() || self.dirs.contains(dir) { Ok(()) } else { Err(not_found(dir)) }
    }
}

/// How much of a write of `len` bytes at `at` is done if it stops after about `done`: the kernel copies and writes whole pages, and so
/// whole sectors.
fn cut(at: usize, len: usize, done: usize) -> usize {
    ((at + done).next_multiple_of(SECTOR) - at).min(len)
}

fn crash() -> io::Error {
    io::Error::other("simulated disk: crashed")
}

fn errno(code: i32) -> io::Error {
    io::Error::from_raw_os_error(code)
}

fn not_found(path: &Path) -> io::Error {
    let what = format!("no {} on the simulated disk", path.display());
    io::Error::new(io::ErrorKind::NotFound, what)
}
