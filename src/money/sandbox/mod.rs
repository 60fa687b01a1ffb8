//! A payment provider for the test mode: a real other side. It has a port and a file of its own, is spoken to over HTTP with idempotency keys,
//! answers by signed webhooks until they are taken, and knows nothing of the appliance but its webhook address. It survives the appliance's
//! crash and its own.
//!
//! ```text
//!   authorize ──tok_ok──────────────► authorized ──capture──► captured ──refund…
//!      │  ├─────tok_requires_action──► action_required ──approve──► authorized, ──fail──► declined
//!      │  ├─────tok_timeout──────────► undecided ──after 30 s──► authorized
//!      │  └─────tok_declined, …──────► declined
//!      └── void: from anything that is not captured ──► voided
//! ```
//!
//! Reading order: [`charge`] (the rules), [`journal`] (its file), [`desk`] (one request at a time), [`server`] (its HTTP side), [`sender`] (its
//! webhooks); on our side [`connector`] (the adapter) and [`http`] (what the payer does there).

pub mod charge;
pub mod connector;
pub mod desk;
pub mod http;
pub mod journal;
pub mod sender;
pub mod server;

pub use connector::SandboxConnector;
pub use server::Sandbox;
