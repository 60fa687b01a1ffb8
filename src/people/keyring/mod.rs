//! A key for every person: personal fields are written sealed with it, so that erasing 32 bytes erases the person from a history that only grows.
//!
//! ```text
//! user's row ── slot number ──► people.keys (outside the log) ── AES-256-GCM ──► Sealed fields in any module's rows
//! state row "people.keyring" ── id ──► which people.keys belongs to this state
//! ```
//! The state remembers the id of the file that its slots are in: a folder with somebody else's keys is noticed, not misread, and several
//! appliances can live in one process (tests, a follower beside its leader).

pub mod answers;
mod copies;
pub mod folder;
pub mod slots;

use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, Weak};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde::{Deserialize, Serialize};
use storage::{Read, Row, Table};

use crate::engine::{Fault, Tx, UserId};
use crate::people::users::USERS;
use slots::{SlotFile, Slots};

/// Bytes that only the person's key opens: nonce, ciphertext, tag. Stored in rows as they are.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed(Vec<u8>);

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

/// Which key file the state's slots are in, and the next free one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Allotment {
    keyring: u128,
    next: u64,
}
impl Row for Allotment {
    const VERSION: u8 = 1;
}
pub static ALLOTMENT: Table<(), Allotment> = Table::new(110, "people.keyring", &[]);

/// The persons' keys, the key for lookups, and what follows from it.
pub struct Keyring {
    id: u128,
    lookup: [u8; 32],
    slots: Slots,
}

/// So many keys are made before they are needed: a follower has them well before the first row that is sealed with one.
const AHEAD: u64 = 1_024;

/// Open keyrings of this process, found by the id that a state remembers.
static OPEN: RwLock<Vec<Weak<Keyring>>> = RwLock::new(Vec::new());

/// Nobody expects more people in one city's history; 768 MiB of keys.
const SLOTS_MAX: u64 = 1 << 24;

impl Keyring {
    /// Opens the keys in a folder; makes them at the first start.
    ///
    /// # Errors
    /// The file system's, or damage.
    pub fn open(keys: &Path) -> io::Result<Arc<Self>> {
        let (file, id) = SlotFile::open(keys)?;
        let lookup = match folder::read(keys, "lookup.key")? {
            Some(bytes) => bytes.try_into().map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "lookup.key is not 32 bytes"))?,
            None => {
                let key = slots::random()?;
                folder::write_new(keys, "lookup.key", &key)?;
                key
            }
        };
        Ok(Self::register(Self { id, lookup, slots: Slots::File(file) }))
    }

    /// Keys that follow from a seed: the same seed, the same bytes in every run.
    #[must_use]
    pub fn in_memory(seed: [u8; 32]) -> Arc<Self> {
        let derive = |what: &str| *blake3::keyed_hash(&seed, what.as_bytes()).as_bytes();
        let id = u128::from_be_bytes(derive("id")[..16].try_into().expect("the first half of 32 bytes is 16 bytes"));
        Self::register(Self {
            id,
            lookup: derive("lookup"),
            slots: Slots::Memory { seed: derive("slots"), erased: std::sync::Mutex::default() },
        })
    }

    fn register(keyring: Self) -> Arc<Self> {
        let keyring = Arc::new(keyring);
        let mut open = OPEN.write().unwrap_or_else(PoisonError::into_inner);
        // A folder that is opened again replaces itself.
        open.retain(|other| other.upgrade().is_some_and(|other| other.id != keyring.id));
        open.push(Arc::downgrade(&keyring));
        keyring
    }

    /// A keyed hash by which something personal is found without being stored: nobody can try all phone numbers without `lookup.key`.
    #[must_use]
    pub fn lookup(&self, kind: &'static str, text: &str) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.lookup);
        hasher.update(&(kind.len() as u64).to_le_bytes()).update(kind.as_bytes()).update(text.as_bytes());
        *hasher.finalize().as_bytes()
    }

    /// The next free slot, with a durable key in it.
    ///
    /// # Errors
    /// [`Fault`] if the state belongs to another key file, or the file cannot grow.
    pub fn allot(&self, tx: &mut Tx) -> Result<u64, Fault> {
        let mut allotment = ALLOTMENT.get(tx, &()).unwrap_or(Allotment { keyring: self.id, next: 0 });
        if allotment.keyring != self.id {
            return Err(Fault::new("DATA/keys/people.keys does not belong to this data: bring back the keys folder that was made with it"));
        }
        // In a copy from before somebody signed up their slot is free again, and erased for ever if they were: nothing of the next person could be read in it.
        let slot = loop {
            let slot = allotment.next;
            allotment.next += 1;
            let key = self.slots.reserve(slot).and_then(|()| self.slots.key(slot));
            if key.map_err(|error| Fault::new(format!("people.keys: {error}")))?.is_some() {
                break slot;
            }
        };
        ALLOTMENT.put(tx, &(), &allotment);
        Ok(slot)
    }

    /// Refuses keys that cannot open this state. Call it once at the start.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn check(&self, read: &(impl Read + ?Sized)) -> Result<(), String> {
        let Some(allotment) = ALLOTMENT.get(read, &()) else { return Ok(()) };
        if allotment.keyring != self.id {
            return Err("DATA/keys/people.keys does not belong to this data: bring back the keys folder that was made with it".to_owned());
        }
        allotment.next.checked_sub(1).map_or(Ok(()), |last| self.slots.key(last).map(drop).map_err(|error| error.to_string()))
    }

    /// Makes the keys of the next sign-ups before they are needed, so that the writer need not wait for the disk. For a blocking thread.
    ///
    /// # Errors
    /// The file cannot grow; a sign-up will try again.
    pub fn keep_ahead(&self, read: &(impl Read + ?Sized)) -> io::Result<()> {
        ALLOTMENT.get(read, &()).map_or(Ok(()), |allotment| self.slots.reserve(allotment.next + AHEAD))
    }

    /// Seals with the key in `slot`; without a key (erased) there is nothing that could ever be opened, so nothing is kept.
    pub(super) fn seal_in(&self, slot: u64, person: UserId, nonce: [u8; NONCE_LEN], plaintext: &[u8]) -> Sealed {
        self.key(slot).map_or(Sealed(Vec::new()), |key| Sealed(encrypt(&key, &person.as_u128().to_be_bytes(), nonce, plaintext)))
    }

    fn open_in(&self, slot: u64, person: UserId, sealed: &Sealed) -> Option<Vec<u8>> {
        decrypt(&self.key(slot)?, &person.as_u128().to_be_bytes(), &sealed.0)
    }

    fn key(&self, slot: u64) -> Option<[u8; 32]> {
        self.slots.key(slot).unwrap_or_else(|error| storage::fault::raise(storage::Fault::Unreadable(error.to_string())))
    }

    /// Erases the person in `slot`: whatever was sealed for them is gone, wherever it is copied.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn erase(&self, slot: u64) -> io::Result<()> {
        self.slots.erase(slot)
    }

    /// The same where these keys may be so old that they do not have the slot yet: it is made first, so that nobody is ever given it.
    ///
    /// # Errors
    /// The file cannot be written, or nobody can have such a slot.
    pub fn erase_even_if_new(&self, slot: u64) -> io::Result<()> {
        if slot >= SLOTS_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{slot} is no slot of people.keys")));
        }
        self.slots.reserve(slot)?;
        self.slots.erase(slot)
    }

    /// Seals the body of an effect that is for somebody who may have no row yet (a code for a new phone). Text, for JSON.
    #[must_use]
    pub fn seal_effect(&self, nonce: [u8; NONCE_LEN], plaintext: &[u8]) -> String {
        hex(&encrypt(&self.effects_key(), b"effect", nonce, plaintext))
    }

    /// Opens what [`Keyring::seal_effect`] made: for the connector that sends it.
    #[must_use]
    pub fn open_effect(&self, text: &str) -> Option<Vec<u8>> {
        decrypt(&self.effects_key(), b"effect", &unhex(text)?)
    }

    fn effects_key(&self) -> [u8; 32] {
        self.lookup("effects", "")
    }
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("32 bytes are a key of AES-256"))
}

/// Nonces are 96 random bits under a key that seals one person's few fields: far below the 2^32 messages that GCM allows.
fn encrypt(key: &[u8; 32], bound_to: &[u8], nonce: [u8; NONCE_LEN], plaintext: &[u8]) -> Vec<u8> {
    let mut body = plaintext.to_vec();
    cipher(key)
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(bound_to), &mut body)
        .expect("AES-GCM only refuses messages over 64 GiB");
    [nonce.as_slice(), &body].concat()
}

fn decrypt(key: &[u8; 32], bound_to: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let mut body = body.to_vec();
    let plain = cipher(key).open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(bound_to), &mut body).ok()?;
    let length = plain.len();
    body.truncate(length);
    Some(body)
}

/// A nonce from the command's randomness.
pub(super) fn nonce(tx: &mut Tx) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    tx.random().fill(&mut nonce);
    nonce
}

fn keyring_of(read: &(impl Read + ?Sized)) -> Option<Arc<Keyring>> {
    let id = ALLOTMENT.get(read, &())?.keyring;
    let open = OPEN.read().unwrap_or_else(PoisonError::into_inner);
    let found = open.iter().filter_map(Weak::upgrade).find(|keyring| keyring.id == id);
    Some(found.unwrap_or_else(|| storage::fault::raise(storage::Fault::Unreadable("the keyring of this data is not open".to_owned()))))
}

/// Overwrites the key in `slot` of this state's keys; durable on return.
///
/// # Errors
/// The file cannot be written.
pub(super) fn erase_of(read: &(impl Read + ?Sized), slot: u64) -> io::Result<()> {
    keyring_of(read).map_or(Ok(()), |keyring| keyring.erase(slot))
}

/// Seals something about `person` with their key. For an erased or unknown person nothing is kept.
pub fn seal(tx: &mut Tx, person: UserId, plaintext: &[u8]) -> Sealed {
    let nonce = nonce(tx);
    let slot = USERS.get(tx, &person).map(|user| user.slot);
    match (keyring_of(tx), slot) {
        (Some(keyring), Some(slot)) => keyring.seal_in(slot, person, nonce, plaintext),
        _ => Sealed(Vec::new()),
    }
}

/// What was sealed about `person`; `None` after their erasure, or if it was not sealed for them.
pub fn open(read: &(impl Read + ?Sized), person: UserId, sealed: &Sealed) -> Option<Vec<u8>> {
    let slot = USERS.get(read, &person)?.slot;
    keyring_of(read)?.open_in(slot, person, sealed)
}

/// [`open`], as text.
pub fn open_text(read: &(impl Read + ?Sized), person: UserId, sealed: &Sealed) -> Option<String> {
    String::from_utf8(open(read, person, sealed)?).ok()
}

/// Lower-case hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
        text
    })
}

/// The bytes of a hexadecimal text.
pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_person_s_own_key_opens() {
        let keyring = Keyring::in_memory([1; 32]);
        let (ama, kofi) = (UserId::from_u128(1), UserId::from_u128(2));
        let sealed = keyring.seal_in(0, ama, [9; 12], b"+233241234567");
        assert_eq!(keyring.open_in(0, ama, &sealed).as_deref(), Some(b"+233241234567".as_slice()));
        assert_eq!(keyring.open_in(1, ama, &sealed), None, "another key");
        assert_eq!(keyring.open_in(0, kofi, &sealed), None, "moved into another person's row");
        let mut flipped = sealed.clone();
        flipped.0[15] ^= 1;
        assert_eq!(keyring.open_in(0, ama, &flipped), None, "tampered");

        keyring.erase(0).expect("erased");
        assert_eq!(keyring.open_in(0, ama, &sealed), None, "erased");
        assert_eq!(keyring.seal_in(0, ama, [9; 12], b"later"), Sealed(Vec::new()), "nothing more is kept of them");
    }

    #[test]
    fn effects_are_sealed_as_text() {
        let keyring = Keyring::in_memory([2; 32]);
        let text = keyring.seal_effect([3; 12], b"your code is 123456");
        assert!(!text.contains("123456"));
        assert_eq!(keyring.open_effect(&text).as_deref(), Some(b"your code is 123456".as_slice()));
        assert_eq!(Keyring::in_memory([4; 32]).open_effect(&text), None);
        assert_eq!(keyring.open_effect("zz"), None);
    }
}
