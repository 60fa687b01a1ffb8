//! Damage that domain code cannot cure.
//!
//! A value whose checksum is wrong, or a read that the disk refuses, is not an outcome that a command could handle, and threading it through every
//! `get` would drown the rules. So it unwinds as a typed payload: the writer catches it together with panics (nothing of the command remains), the
//! edge answers 500, and the process is told to stop serving. [`raise`] and [`catch`] are the only two places that know this.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Why a read could not be answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A stored value does not match its checksum or cannot be decoded.
    #[error("damaged value in table {table}, key {key}: {why}; run `medina verify`, then `medina restore`")]
    Damaged { table: u16, key: String, why: String },
    /// The state file could not be read.
    #[error("the state could not be read: {0}")]
    Unreadable(String),
    /// Code panicked; the message is its own.
    #[error("a command panicked: {0}")]
    Panicked(String),
}

impl Fault {
    /// A value under `key` (table id and fields) that cannot be believed.
    #[must_use]
    pub fn damaged(key: &[u8], why: impl Into<String>) -> Self {
        let table = key.get(..2).map_or(0, |id| u16::from_be_bytes([id[0], id[1]]));
        let key = key.iter().skip(2).map(|byte| format!("{byte:02x}")).collect();
        Self::Damaged { table, key, why: why.into() }
    }
}

/// Leaves the current command or read; [`catch`] sees it.
pub fn raise(fault: Fault) -> ! {
    resume_unwind(Box::new(fault))
}

/// Runs `body`; a raised fault or a panic becomes an error.
///
/// # Errors
/// What was raised, or [`Fault::Panicked`] with the panic's message.
pub fn catch<T>(body: impl FnOnce() -> T) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(body)).map_err(|payload| {
        if let Some(fault) = payload.downcast_ref::<Fault>() {
            return fault.clone();
        }
        let message = payload.downcast_ref::<&str>().map(ToString::to_string);
        Fault::Panicked(message.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned()))
    })
}
