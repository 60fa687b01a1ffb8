//! Kept answers (idempotency keys) under the key of the person whom they answered.

use storage::Read;

use super::{Sealed, open, seal};
use crate::engine::idempotency::SealAnswers;
use crate::engine::{Caller, Tx};

/// Seals each answer with its caller's key; what nobody in particular was answered stays as it is.
pub struct PersonAnswers;

impl SealAnswers for PersonAnswers {
    fn seal(&self, tx: &mut Tx<'_, '_>, caller: &Caller, body: &[u8]) -> Vec<u8> {
        match caller.user_id() {
            Some(user) => seal(tx, user, body).0,
            None => body.to_vec(),
        }
    }

    fn open(&self, read: &dyn Read, caller: &Caller, stored: &[u8]) -> Vec<u8> {
        match caller.user_id() {
            Some(user) => open(read, user, &Sealed(stored.to_vec())).unwrap_or_default(),
            None => stored.to_vec(),
        }
    }
}
