//! Which release's layouts a state holds. A binary does not open a state that a newer one has migrated: it would misread it, or write what the newer one
//! no longer reads.

use serde::{Deserialize, Serialize};

use crate::table::{Row, Table};
use crate::txn::Txn;
use crate::view::Read;

/// The newest format that this program knows. Raised with each migration of the product.
pub const KNOWN: u32 = 2;

/// What the state holds. This row's layout never changes: every release must be able to read it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateFormat {
    pub format: u32,
    /// The release that migrated to it.
    pub release: String,
}

impl Row for StateFormat {
    const VERSION: u8 = 1;
}

/// No row: format 1, which was before the first migration.
pub static STATE_FORMAT: Table<(), StateFormat> = Table::new(2, "storage.format", &[]);

/// The format of a state.
#[must_use]
pub fn format_of(read: &(impl Read + ?Sized)) -> StateFormat {
    STATE_FORMAT.get(read, &()).unwrap_or_else(|| StateFormat { format: 1, release: "the first release".to_owned() })
}

/// Notes that the state now holds `format`.
pub fn set_format(txn: &mut Txn<'_>, format: u32, release: &str) {
    STATE_FORMAT.put(txn, &(), &StateFormat { format, release: release.to_owned() });
}
