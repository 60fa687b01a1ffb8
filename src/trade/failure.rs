//! How a command here fails: by the policy, by a machine, by what was asked, or because something is broken.

use storage::Timestamp;

use crate::city::field::Invalid;
use crate::engine::{Denied, Fault};
use crate::money::payments;
use crate::trade::carts;
use crate::trade::orders::model::{OrderId, Refusal};
use crate::trade::quotes;

/// Why not; nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Cart(#[from] carts::model::Refusal),
    #[error(transparent)]
    Quote(#[from] quotes::model::Refusal),
    #[error(transparent)]
    Payment(#[from] payments::Refusal),
    #[error("the quote was good until {at}")]
    QuoteExpired { at: Timestamp },
    #[error("the quote has become order {order}")]
    QuoteUsed { order: OrderId },
    #[error("{why}")]
    MethodUnavailable { why: &'static str },
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Failure {
    /// A field that is needed here.
    #[must_use]
    pub fn required(pointer: &'static str, detail: &'static str) -> Self {
        Invalid::new(pointer, "required", detail).into()
    }

    /// A field with a value that cannot be.
    #[must_use]
    pub fn out_of_range(pointer: &'static str, detail: &'static str) -> Self {
        Invalid::new(pointer, "out_of_range", detail).into()
    }
}
