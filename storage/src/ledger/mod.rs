//! Double entry: accounts with constraints, transfers that never change once written, balances that can be rebuilt from them.
//!
//! ```text
//!   single ──────────────► posted
//!   pending ──► post (in full or in part) ──► posted
//!      ├──────► void ──► released
//!      └──────► timeout ──► released
//! ```
//! Reading order: [`model`], [`post`] (the rules), [`audit`] (rebuild and compare), [`tree`] (proof that nothing was rewritten).
//!
//! Source: TigerBeetle documentation, "Data modeling" and "Two-Phase Transfers".

pub mod audit;
pub mod model;
pub mod post;
pub mod tree;

pub use audit::{Audit, CurrencyTotals, Mismatch, audit, trial_balance};
pub use model::{
    ACCOUNTS, Account, AccountKey, Constraint, Currency, LEAVES, Leaf, PENDING_BY_EXPIRY, Refusal, Step, TRANSFERS, TRANSFERS_BY_ACCOUNT,
    Transfer, TransferId, TransferKind,
};
pub use post::{Posted, expire_due, leaf_count, next_expiry, number_old, open, post, post_linked};
