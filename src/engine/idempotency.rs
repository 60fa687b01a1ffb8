//! A request repeated with its key gets its first answer: the answer is stored in the commit of its effects.
//!
//! Source: IETF draft-ietf-httpapi-idempotency-key-header.

use serde::{Deserialize, Serialize};
use storage::{Index, Read, Row, Table, Timestamp};

use super::caller::Caller;
use super::tx::Tx;

/// Which request this is: scope (principal, method, path, key) and fingerprint (body), as hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Once {
    pub scope: [u8; 32],
    pub fingerprint: [u8; 32],
}

impl Once {
    /// From the parts, unambiguously joined.
    #[must_use]
    pub fn new(principal: &str, method: &str, path: &str, key: &str, body: &[u8]) -> Self {
        let mut scope = blake3::Hasher::new();
        for part in [principal, method, path, key] {
            scope.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
        }
        Self { scope: *scope.finalize().as_bytes(), fingerprint: *blake3::hash(body).as_bytes() }
    }

    /// The same request's part number `place`, for one that takes several commits.
    #[must_use]
    pub fn part(self, place: usize) -> Self {
        let mut scope = blake3::Hasher::new_keyed(&self.scope);
        scope.update(&(place as u64).to_le_bytes());
        Self { scope: *scope.finalize().as_bytes(), ..self }
    }
}

/// An answer as it went out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredAnswer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// The row under a scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnceRow {
    pub fingerprint: [u8; 32],
    pub answer: StoredAnswer,
    pub seq: u64,
    pub expires_at: Timestamp,
}

impl Row for OnceRow {
    const VERSION: u8 = 1;
}

/// By time of expiry, for the sweep.
pub static ONCE_BY_EXPIRY: Index<[u8; 32], OnceRow> = Index::new(28, "engine.once.by_expiry", |_, row, keys| keys.add(&row.expires_at));
pub static ONCE: Table<[u8; 32], OnceRow> = Table::new(27, "engine.once", &[&ONCE_BY_EXPIRY]);

/// Keeps kept answers unreadable without the caller's key: they hold names, addresses and codes. People implement it.
pub trait SealAnswers: Send + Sync {
    /// The body as it is stored.
    fn seal(&self, tx: &mut Tx<'_, '_>, caller: &Caller, body: &[u8]) -> Vec<u8>;
    /// The body as it was; empty once the caller's key is erased.
    fn open(&self, read: &dyn Read, caller: &Caller, stored: &[u8]) -> Vec<u8>;
}

/// Keeps answers as they are: for stores without persons.
pub struct Unsealed;

impl SealAnswers for Unsealed {
    fn seal(&self, _: &mut Tx<'_, '_>, _: &Caller, body: &[u8]) -> Vec<u8> {
        body.to_vec()
    }
    fn open(&self, _: &dyn Read, _: &Caller, stored: &[u8]) -> Vec<u8> {
        stored.to_vec()
    }
}

/// How long an answer is remembered: 7 days.
pub const KEPT_MS: i64 = 7 * 24 * 3600 * 1000;
