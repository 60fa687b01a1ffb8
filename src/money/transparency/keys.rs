//! The ledger's secrets and its newest published head, in `DATA/keys/`:
//!
//! | file | holds |
//! | --- | --- |
//! | `ledger.key` | 32 bytes: pseudonyms are made with it. Show it to an auditor who may know whose entries are whose |
//! | `ledger-signing.key` | 32 bytes: the Ed25519 seed that signs checkpoints. Show it to nobody |
//! | `ledger.head` | the newest published checkpoint, as served |
//!
//! To begin a new log on purpose (a restore to before the head, say), move `ledger-signing.key` and `ledger.head` aside: the new log has a new key.

use std::io;
use std::path::{Path, PathBuf};

use storage::ledger::tree::Pseudonyms;

use super::note::{Checkpoint, NoteError, Signer};
use crate::people::keyring::{folder, slots};

const NAMES: &str = "ledger.key";
const SIGNING: &str = "ledger-signing.key";
const HEAD: &str = "ledger.head";

/// The ledger's keys, and where its head is kept.
pub struct LedgerKeys {
    folder: PathBuf,
    pub names: Pseudonyms,
    seed: [u8; 32],
}

fn invalid(why: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

fn read(folder: &Path, name: &str) -> io::Result<Option<[u8; 32]>> {
    let bytes = folder::read(folder, name)?;
    bytes.map(|bytes| bytes.try_into().map_err(|_| invalid(format!("{name} is not 32 bytes")))).transpose()
}

fn read_or_make(folder: &Path, name: &str) -> io::Result<[u8; 32]> {
    if let Some(key) = read(folder, name)? {
        return Ok(key);
    }
    let key = slots::random()?;
    folder::write_new(folder, name, &key)?;
    Ok(key)
}

impl LedgerKeys {
    /// Opens the keys in a folder; makes them at the first start.
    ///
    /// # Errors
    /// The file system's, or damage.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let (names, seed) = (read_or_make(folder, NAMES)?, read_or_make(folder, SIGNING)?);
        Ok(Self { folder: folder.to_owned(), names: Pseudonyms::new(names), seed })
    }

    /// Opens the keys in a folder that has them; makes nothing.
    ///
    /// # Errors
    /// The file system's, damage, or that there are none.
    pub fn existing(folder: &Path) -> io::Result<Self> {
        let missing = |name: &str| io::Error::new(io::ErrorKind::NotFound, format!("{} is not there", folder.join(name).display()));
        let key = |name: &str| read(folder, name)?.ok_or_else(|| missing(name));
        Ok(Self { folder: folder.to_owned(), names: Pseudonyms::new(key(NAMES)?), seed: key(SIGNING)? })
    }

    /// What signs checkpoints, under the log's name or one made from the key.
    ///
    /// # Errors
    /// [`NoteError::BadName`].
    pub fn signer(&self, origin: Option<&str>) -> Result<Signer, NoteError> {
        Signer::new(origin, &self.seed)
    }

    /// The newest published head, whatever the log was called then.
    ///
    /// # Errors
    /// The file system's, or a head that this key did not sign.
    pub fn head(&self) -> io::Result<Option<Checkpoint>> {
        let Some(bytes) = folder::read(&self.folder, HEAD)? else { return Ok(None) };
        let damaged = |why: NoteError| invalid(format!("{HEAD} cannot be believed: {why}"));
        let note = String::from_utf8(bytes).map_err(|_| damaged(NoteError::Malformed))?;
        let name = note.lines().next().unwrap_or_default();
        let signer = self.signer(Some(name)).map_err(damaged)?;
        signer.verifier().open(&note).map(Some).map_err(damaged)
    }

    /// Keeps a head, durably, before anybody sees it.
    ///
    /// # Errors
    /// The file system's.
    pub fn keep_head(&self, note: &str) -> io::Result<()> {
        folder::write_new(&self.folder, HEAD, note.as_bytes())
    }
}
