//! A second machine with the same history: the leader streams its log, followers keep it, and one of them can take over.
//!
//! ```text
//!           GET /replication/log (records, heartbeats)
//!   leader ───────────────────────────────────────────► follower ── promote ──► leader of the next epoch
//!      ▲    POST /replication/ack (on my disk up to …)      │
//!      └────────────────────────────────────────────────────┘
//!      └── a peer leads with a higher epoch: stop at once, begin anew as its follower
//! ```
//! A node has one role for the life of its process; it changes by writing the folder's [`role`] and beginning anew, so that a change of role and a
//! start after a crash are the same code.
//!
//! Reading order: [`role`] (what a folder remembers), [`wire`] (what is said), [`token`], [`source`] (the leader's side), [`peer`] (a client of it),
//! [`rejoin`] (before the folder opens), [`stream`] (the follower's side), [`watch`] (is somebody else leading?), [`node`] (what they share).

pub mod keys;
pub mod node;
pub mod peer;
pub mod rejoin;
pub mod role;
mod session;
pub mod source;
pub mod stream;
pub mod token;
pub mod watch;
pub mod wire;

pub use node::Node;
pub use role::Role;
pub use token::Token;

use std::path::PathBuf;
use std::time::Duration;

use crate::engine::AckOptions;

/// How a node takes part.
#[derive(Clone, Debug)]
pub struct ReplicationOptions {
    /// What it is called; the leader's `follower` is such a name.
    pub node: String,
    /// The secret that all nodes share.
    pub token_file: PathBuf,
    /// The role of a folder that does not remember another one.
    pub role: Role,
    /// Where a follower begins to look, such as `https://leader.example:8443`.
    pub leader: Option<String>,
    /// Every other node: where a leader looks for a higher epoch, and a follower for a new leader.
    pub peers: Vec<String>,
    pub acks: AckOptions,
    /// The follower whose acknowledgement counts.
    pub follower: Option<String>,
    /// Where other nodes and clients reach this one, if that is not the address that it listens on.
    pub url: Option<String>,
    /// A copy of the leader's `DATA/keys`, for a follower that has none.
    pub keys: Option<PathBuf>,
    /// A PEM file: only what these authorities signed is believed of other nodes (HTTPS); the machine's roots if absent.
    pub ca: Option<PathBuf>,
    /// A follower that has said nothing for so long comes onto the operators' list.
    pub silent_after: Duration,
}
