//! Identity: how people prove who they are, and for how long.
//!
//! ```text
//!   one-time code ─┐
//!   password ──────┼──► session family ──► refresh token (rotates; a used one ends the family)
//!                  │        │
//!                  │        └────────────► access token (15 min, ES256, proves sub, sid, exp; everything else comes from state)
//!
//!   a code:    none ──request──► live ──right──► none (signed in)
//!                                 │ ▲
//!                       wrong ×5  │ └─request (a new code, five new tries)
//!                                 ▼
//!                                dead ──5 min──► none
//!
//!   a family:  live ──refresh──► live ──logout │ reuse │ another device │ new password──► ended
//! ```
//!
//! Reading order: `model` (rows, refusals), `limits`, `otp`, `password`, `sessions` (commands), `hashing`, `keys`, `tokens` (outside the writer), `http`.
//!
//! What is deliberately not here: no grace for a refresh whose answer was lost. The old token is used, a retry with it looks exactly like theft, and the
//! family ends; the person signs in again. Codes leave through the outbox to the destination `sms`; until a connector takes that destination, they
//! end on the operators' list, and nobody but a sandbox can sign in by phone.

pub mod hashing;
pub mod http;
pub mod keys;
pub mod limits;
pub mod model;
pub mod otp;
pub mod password;
pub mod sessions;
pub mod tokens;

pub use model::{Device, Refusal, SessionId, SignedIn, Tried};
