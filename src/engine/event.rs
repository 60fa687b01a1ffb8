//! Domain events: what happened, in the commit in which it happened.

use std::any::Any;

use serde::{Deserialize, Serialize};
use storage::{Row, Table, Timestamp};

/// Something that happened. The type is what reactions subscribe to; the row is what streams show.
pub trait Event: Any + Send + Sync {
    /// Its name in streams; API for ever.
    fn name(&self) -> &'static str;
    /// Who may follow it: `order:ord_…`, `merchant:mer_…`, `courier:cou_…`, `city:cty_…`.
    fn topics(&self) -> Vec<String>;
    /// As it is shown: no codes, no secrets.
    fn data(&self) -> serde_json::Value;
}

/// An event as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredEvent {
    pub name: String,
    pub at: Timestamp,
    pub topics: Vec<String>,
    /// JSON text.
    pub data: String,
    /// Whether another event of the same command follows.
    pub more: bool,
}

impl Row for StoredEvent {
    const VERSION: u8 = 1;
}

/// Events by (sequence number of their command, place within it).
pub static EVENTS: Table<(u64, u32), StoredEvent> = Table::new(20, "engine.events", &[]);
/// The sequence number below which events have been swept.
pub static EVENTS_KEPT_FROM: Table<(), KeptFrom> = Table::new(21, "engine.events.kept_from", &[]);

/// The first sequence number whose events are kept.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct KeptFrom(pub u64);

impl Row for KeptFrom {
    const VERSION: u8 = 1;
}
