//! Search: the index follows the log.
//!
//! ```text
//!   commit ──► events (seq, n) ──► dirty keys ──► documents, built from one View ──► index commit, payload epoch.seq
//! ```
//! The payload says what the index has applied: after a start the feed goes on exactly there. Where that place is not known (no index yet, a damaged
//! one, events swept, another timeline) everything is fed anew. Nothing else writes to the index.
//!
//! What may have changed since a document was built, whether somebody is open above all, is read from the View at query time.
//!
//! Reading order: [`documents`], [`feed`], [`service`] (the index, and how far it is), [`ask`] (a question and its answer), [`http`].

pub mod ask;
pub mod documents;
pub mod feed;
pub mod http;
pub mod service;

pub use http::routes;
pub use service::Search;
