//! The operators' list: everything that waits for a person.

use serde::{Deserialize, Serialize};
use storage::{Row, Table, Timestamp};

/// One thing that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attention {
    pub reason: String,
    pub since: Timestamp,
    /// What the person may do about it, as API paths or words.
    pub actions: Vec<String>,
}

impl Row for Attention {
    const VERSION: u8 = 1;
}

/// By kind and subject: the same thing stands there once.
pub static ATTENTION: Table<(String, String), Attention> = Table::new(26, "engine.attention", &[]);
