//! Where the persons' keys are: a file of fixed slots, or memory.
//!
//! ```text
//! people.keys   magic "medina-keys\0\0\0\0\x01" (16) | id (16) | slot 0 | slot 1 | …
//! slot          state (1: 1 live, 2 erased) | zero (7) | key (32) | first 8 bytes of BLAKE3(slot number LE64 | the 40 bytes before)
//! ```
//! Slots are written 1,024 at a time and synced before the first of them is allotted, so that no row can name a key that a crash takes away.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::folder;

const MAGIC: &[u8; 16] = b"medina-keys\0\0\0\0\x01";
const HEADER_BYTES: u64 = 32;
const SLOT_BYTES: u64 = 48;
const GROWTH: u64 = 1_024;
const NAME: &str = "people.keys";

const LIVE: u8 = 1;
const ERASED: u8 = 2;

/// A person's key.
pub type Key = [u8; 32];

/// Keys by slot number.
pub enum Slots {
    File(SlotFile),
    /// The key of a slot follows from the seed.
    Memory {
        seed: [u8; 32],
        erased: Mutex<BTreeSet<u64>>,
    },
}

impl Slots {
    /// The key in `slot`; `None` once it is erased.
    ///
    /// # Errors
    /// The file cannot be read, or the slot is damaged or was never made.
    pub fn key(&self, slot: u64) -> io::Result<Option<Key>> {
        match self {
            Self::File(file) => file.key(slot),
            Self::Memory { seed, erased } => {
                let gone = erased.lock().unwrap_or_else(PoisonError::into_inner).contains(&slot);
                Ok((!gone).then(|| *blake3::keyed_hash(seed, &slot.to_le_bytes()).as_bytes()))
            }
        }
    }

    /// Makes sure that `slot` has a durable key.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn reserve(&self, slot: u64) -> io::Result<()> {
        match self {
            Self::File(file) => file.reserve(slot),
            Self::Memory { .. } => Ok(()),
        }
    }

    /// Overwrites the key; durable on return.
    ///
    /// # Errors
    /// The file cannot be written, or the slot was never made.
    pub fn erase(&self, slot: u64) -> io::Result<()> {
        match self {
            Self::File(file) => file.erase(slot),
            Self::Memory { erased, .. } => {
                erased.lock().unwrap_or_else(PoisonError::into_inner).insert(slot);
                Ok(())
            }
        }
    }
}

/// The file form.
pub struct SlotFile {
    file: File,
    /// Slots that are durable.
    made: AtomicU64,
    growing: Mutex<()>,
    /// Raised by every growth and erasure.
    version: AtomicU64,
}

impl SlotFile {
    /// Opens or makes `people.keys`; its id, which the state remembers.
    ///
    /// # Errors
    /// The file system's, or [`io::ErrorKind::InvalidData`] if the file is not one of ours.
    pub fn open(keys: &Path) -> io::Result<(Self, u128)> {
        if !keys.join(NAME).exists() {
            let mut bytes = MAGIC.to_vec();
            bytes.extend_from_slice(&random::<16>()?);
            bytes.extend_from_slice(&new_slots(0)?);
            folder::write_new(keys, NAME, &bytes)?;
        }
        let file = OpenOptions::new().read(true).write(true).open(keys.join(NAME))?;
        let mut header = [0; HEADER_BYTES as usize];
        file.read_exact_at(&mut header, 0)?;
        let (magic, id) = header.split_at(16);
        if magic != MAGIC {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "people.keys is not a file of person keys"));
        }
        let id = u128::from_be_bytes(id.try_into().map_err(|_| io::ErrorKind::InvalidData)?);
        let slots = Self { made: AtomicU64::new(0), growing: Mutex::new(()), version: AtomicU64::new(1), file };
        // A crash while growing may leave torn slots at the end: nobody was given one of them.
        let mut made = slots.file.metadata()?.len().saturating_sub(HEADER_BYTES) / SLOT_BYTES;
        while made > 0 && slots.read(made - 1).is_err() {
            made -= 1;
        }
        slots.made.store(made, Ordering::Release);
        Ok((slots, id))
    }

    fn key(&self, slot: u64) -> io::Result<Option<Key>> {
        if slot >= self.made.load(Ordering::Acquire) {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("people.keys has no slot {slot}: is it older than the data?")));
        }
        self.read(slot)
    }

    fn read(&self, slot: u64) -> io::Result<Option<Key>> {
        let mut bytes = [0; SLOT_BYTES as usize];
        self.file.read_exact_at(&mut bytes, HEADER_BYTES + slot * SLOT_BYTES)?;
        let (body, sum) = bytes.split_at(40);
        if checksum(slot, body) != sum {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("slot {slot} of people.keys is damaged")));
        }
        match body[0] {
            LIVE => Ok(body[8..].try_into().ok()),
            ERASED => Ok(None),
            other => Err(io::Error::new(io::ErrorKind::InvalidData, format!("slot {slot} of people.keys has the unknown state {other}"))),
        }
    }

    fn reserve(&self, slot: u64) -> io::Result<()> {
        while slot >= self.made.load(Ordering::Acquire) {
            let _one = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
            let made = self.made.load(Ordering::Acquire);
            if slot >= made {
                self.file.write_all_at(&new_slots(made)?, HEADER_BYTES + made * SLOT_BYTES)?;
                self.file.sync_data()?;
                self.made.store(made + GROWTH, Ordering::Release);
                self.version.fetch_add(1, Ordering::Release);
            }
        }
        Ok(())
    }

    fn erase(&self, slot: u64) -> io::Result<()> {
        if slot >= self.made.load(Ordering::Acquire) {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("people.keys has no slot {slot}")));
        }
        self.file.write_all_at(&slot_bytes(slot, ERASED, &[0; 32]), HEADER_BYTES + slot * SLOT_BYTES)?;
        self.file.sync_data()?;
        self.version.fetch_add(1, Ordering::Release);
        Ok(())
    }

    /// Another number after every growth and erasure of this process.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Header and durable slots.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn export(&self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; (HEADER_BYTES + self.made.load(Ordering::Acquire) * SLOT_BYTES) as usize];
        self.file.read_exact_at(&mut bytes, 0)?;
        Ok(bytes)
    }

    /// The slots whose keys are erased.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn erased(&self) -> io::Result<BTreeSet<u64>> {
        let bytes = self.export()?;
        let slots = bytes[HEADER_BYTES as usize..].chunks(SLOT_BYTES as usize);
        Ok((0..).zip(slots).filter(|(_, slot)| slot[0] == ERASED).map(|(slot, _)| slot).collect())
    }

    /// Takes new slots and erasures over from another node's export. An erased slot never comes back. Durable on return.
    ///
    /// # Errors
    /// The file system's, or [`io::ErrorKind::InvalidData`] if these are other keys, or damaged ones: then nothing was written.
    pub fn import(&self, bytes: &[u8]) -> io::Result<()> {
        let foreign = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
        let (header, slots) = bytes.split_at_checked(HEADER_BYTES as usize).ok_or_else(|| foreign("no header"))?;
        let _one = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        let own = self.export()?;
        if header != &own[..HEADER_BYTES as usize] {
            return Err(foreign("the leader's people.keys is another one: its copy in DATA/keys is needed first"));
        }
        let mut taken = Vec::new();
        for (slot, theirs) in (0..).zip(slots.chunks(SLOT_BYTES as usize)) {
            let (body, sum) = theirs.split_at_checked(40).ok_or_else(|| foreign("half a slot"))?;
            if checksum(slot, body) != sum || !matches!(body[0], LIVE | ERASED) {
                return Err(foreign("a slot is damaged"));
            }
            let at = HEADER_BYTES + slot * SLOT_BYTES;
            let mine = own.get(at as usize..(at + SLOT_BYTES) as usize);
            if mine.is_none_or(|mine| mine != theirs && mine[0] != ERASED) {
                taken.push((at, theirs));
            }
        }
        for (at, slot) in &taken {
            self.file.write_all_at(slot, *at)?;
        }
        if !taken.is_empty() {
            self.file.sync_data()?;
            self.made.fetch_max((slots.len() as u64) / SLOT_BYTES, Ordering::AcqRel);
            self.version.fetch_add(1, Ordering::Release);
        }
        Ok(())
    }
}

fn checksum(slot: u64, body: &[u8]) -> [u8; 8] {
    let hash = blake3::Hasher::new().update(&slot.to_le_bytes()).update(body).finalize();
    let mut sum = [0; 8];
    sum.copy_from_slice(&hash.as_bytes()[..8]);
    sum
}

fn slot_bytes(slot: u64, state: u8, key: &Key) -> Vec<u8> {
    let mut bytes = vec![state, 0, 0, 0, 0, 0, 0, 0];
    bytes.extend_from_slice(key);
    let sum = checksum(slot, &bytes);
    bytes.extend_from_slice(&sum);
    bytes
}

fn new_slots(first: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity((GROWTH * SLOT_BYTES) as usize);
    for slot in first..first + GROWTH {
        bytes.extend_from_slice(&slot_bytes(slot, LIVE, &random()?));
    }
    Ok(bytes)
}

/// Bytes from the operating system's generator.
///
/// # Errors
/// The generator failed.
pub fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| io::Error::other("the machine's random generator failed"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_survive_a_reopen_and_a_torn_growth() {
        let folder = tempfile::tempdir().expect("a folder");
        let (slots, id) = SlotFile::open(folder.path()).expect("made");
        slots.reserve(GROWTH).expect("grown");
        let keys: Vec<_> = [0, 1, GROWTH].map(|slot| slots.key(slot).expect("read").expect("live")).into();
        assert!(keys[0] != keys[1] && keys[1] != keys[2], "every person has a key of their own");
        slots.erase(1).expect("erased");
        drop(slots);

        // Half a growth, as a crash leaves it.
        let file = OpenOptions::new().write(true).open(folder.path().join(NAME)).expect("open");
        file.write_all_at(&[7; 100], HEADER_BYTES + 2 * GROWTH * SLOT_BYTES).expect("torn");

        let (slots, again) = SlotFile::open(folder.path()).expect("opened");
        assert_eq!(again, id);
        assert_eq!(slots.key(0).expect("read"), Some(keys[0]));
        assert_eq!(slots.key(1).expect("read"), None, "an erased key stays erased");
        assert_eq!(slots.key(GROWTH).expect("read"), Some(keys[2]));
        assert!(slots.key(2 * GROWTH).is_err(), "a torn slot was never given to anybody");
        slots.reserve(2 * GROWTH).expect("grown over the torn part");
        assert!(slots.key(2 * GROWTH).expect("read").is_some());
    }

    #[test]
    fn another_node_takes_growth_and_erasures_over() {
        let (here, there) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let (leader, _) = SlotFile::open(here.path()).expect("made");
        std::fs::copy(here.path().join(NAME), there.path().join(NAME)).expect("the first copy is made by hand");
        let (follower, _) = SlotFile::open(there.path()).expect("opened");
        let version = leader.version();
        leader.reserve(GROWTH).expect("grown");
        leader.erase(3).expect("erased");
        assert_ne!(leader.version(), version, "a follower can see that there is something new");
        follower.erase(4).expect("erased");
        follower.import(&leader.export().expect("read")).expect("the same city's");
        assert_eq!(follower.key(GROWTH).expect("read"), leader.key(GROWTH).expect("read"));
        assert_eq!((follower.key(3).expect("read"), follower.key(4).expect("read")), (None, None), "what is erased stays erased");

        let mut damaged = leader.export().expect("read");
        *damaged.last_mut().expect("bytes") ^= 1;
        let before = follower.export().expect("read");
        assert!(follower.import(&damaged).is_err());
        let (stranger, _) = SlotFile::open(tempfile::tempdir().expect("a folder").path()).expect("made");
        assert!(follower.import(&stranger.export().expect("read")).is_err());
        assert_eq!(follower.export().expect("read"), before, "a refused import changes nothing");
    }

    #[test]
    fn a_damaged_slot_is_said_to_be_damaged() {
        let folder = tempfile::tempdir().expect("a folder");
        let (slots, _) = SlotFile::open(folder.path()).expect("made");
        slots.file.write_all_at(&[0xAA], HEADER_BYTES + 5 * SLOT_BYTES + 20).expect("flipped");
        assert_eq!(slots.key(5).map_err(|error| error.kind()), Err(io::ErrorKind::InvalidData));
    }
}
