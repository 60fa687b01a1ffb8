//! Medina's storage: an append-only log that is the truth, a redb tree that is a view of it, typed tables over both, and a
//! double-entry ledger. It knows no HTTP, no async runtime and no product.
//!
//! Reading order: [`disk`] and [`clock`] (the seams), [`log`], [`key`] and [`table`], [`view`] and [`txn`], [`store`] (group commit, fold,
//! recovery), [`snapshot`], [`archive`], [`replica`], [`ledger`].

pub mod archive;
pub mod changes;
pub mod clock;
pub mod disk;
pub mod fault;
pub mod id;
pub mod integrity;
pub mod key;
pub mod ledger;
pub mod log;
pub mod pace;
pub mod random;
pub mod replica;
pub mod scrub;
pub mod snapshot;
pub mod store;
pub mod table;
pub mod touched;
pub mod txn;
pub mod upgrade;
pub mod view;

mod base;
mod layer;
mod sync;
mod words;

pub use clock::{Clock, MachineClock, ManualClock, Timestamp};
pub use fault::Fault;
pub use id::{Id, Kind};
pub use key::KeyPart;
pub use log::{Hash, Position};
pub use store::{Options, Store};
pub use table::{Index, Row, Table};
pub use touched::{Footprint, Moment, Trace};
pub use txn::Txn;
pub use view::{Direction, Read, View};

/// An encoded key: table id, then fields, in an order that byte comparison keeps.
pub type Key = std::sync::Arc<[u8]>;
/// An encoded value: version byte, then postcard.
pub type Value = std::sync::Arc<[u8]>;
/// What a commit does to a key: a new value, or its removal.
pub type Change = Option<Value>;
