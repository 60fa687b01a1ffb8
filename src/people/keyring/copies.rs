//! The persons' keys as bytes that another node takes over.

use std::collections::BTreeSet;
use std::io;
use std::sync::PoisonError;

use super::Keyring;
use super::slots::Slots;

const IN_MEMORY: &str = "keys in memory belong to one process";

impl Keyring {
    /// Which `people.keys` this is.
    #[must_use]
    pub fn id(&self) -> u128 {
        self.id
    }

    /// The slots whose keys are erased.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn erased(&self) -> io::Result<BTreeSet<u64>> {
        match &self.slots {
            Slots::File(file) => file.erased(),
            Slots::Memory { erased, .. } => Ok(erased.lock().unwrap_or_else(PoisonError::into_inner).clone()),
        }
    }

    /// Another number after every growth and erasure of this process.
    #[must_use]
    pub fn version(&self) -> u64 {
        match &self.slots {
            Slots::File(file) => file.version(),
            Slots::Memory { .. } => 0,
        }
    }

    /// All persons' keys.
    ///
    /// # Errors
    /// The file cannot be read, or there is none.
    pub fn export(&self) -> io::Result<Vec<u8>> {
        match &self.slots {
            Slots::File(file) => file.export(),
            Slots::Memory { .. } => Err(io::Error::other(IN_MEMORY)),
        }
    }

    /// Takes new keys and erasures over from another node's export; durable on return.
    ///
    /// # Errors
    /// As for writing the file; [`io::ErrorKind::InvalidData`] if these are not this city's keys, and then nothing was changed.
    pub fn import(&self, bytes: &[u8]) -> io::Result<()> {
        match &self.slots {
            Slots::File(file) => file.import(bytes),
            Slots::Memory { .. } => Err(io::Error::other(IN_MEMORY)),
        }
    }
}
