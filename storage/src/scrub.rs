//! Walking the whole state: every checksum, every key in its place, nothing missing. What redb does not check when it reads.
//!
//! A flipped bit in a value fails its CRC; one in a key fails it too, or breaks the order; one in a branch page makes a key that is there unfindable,
//! or loses a subtree (the tree's own count then disagrees).

use redb::StorageError;

use crate::base::Snapshot;
use crate::fault::{Fault, catch};
use crate::log::Hash;
use crate::table::after_prefix;
use crate::view::{Direction, Read, View};

/// Damage beyond this many places is counted, not listed.
const LISTED_MAX: usize = 100;

/// What the walk found.
#[derive(Clone, Debug, Default)]
pub struct Scrub {
    /// Entries in the state file.
    pub rows: u64,
    /// The first places that are damaged, a sentence each.
    pub damage: Vec<String>,
    /// All places that are damaged.
    pub damaged: u64,
    /// Whether the tree itself is damaged, not only values: a reader could be told "not there" of something that is.
    pub misleads: bool,
    /// The store was closed in the midst (the process ends): nothing is said of the rest, which is no damage.
    pub cut_short: bool,
}

impl Scrub {
    fn misled(&mut self, what: String) {
        self.misleads = true;
        self.found(what);
    }

    fn found(&mut self, what: String) {
        self.damaged += 1;
        if self.damage.len() < LISTED_MAX {
            self.damage.push(what);
        }
    }

    /// Whether nothing is damaged.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.damaged == 0
    }
}

/// Walks the state file as `view` sees it. Reads everything once and looks every key up again: minutes for gigabytes; any thread, no lock.
#[must_use]
pub fn scrub(view: &View) -> Scrub {
    let mut scrub = Scrub::default();
    let base = view.base.clone();
    if let Err(fault) = catch(|| walk(&base, &mut scrub)) {
        scrub.misled(fault.to_string());
    }
    scrub
}

fn walk(base: &Snapshot, scrub: &mut Scrub) {
    let mut before: Vec<u8> = Vec::new();
    let mut is_closed = false;
    let walked = base.walk(|key, value| {
        scrub.rows += 1;
        if !before.is_empty() && before.as_slice() >= key {
            scrub.misled(Fault::damaged(key, "it stands out of order").to_string());
        }
        before.clear();
        before.extend_from_slice(key);
        if value.is_none() {
            scrub.found(Fault::damaged(key, "its checksum does not match").to_string());
        } else {
            match base.finds(key) {
                Ok(true) => (),
                Ok(false) => scrub.misled(Fault::damaged(key, "it is there but cannot be found by its key").to_string()),
                Err(StorageError::DatabaseClosed) => is_closed = true,
                Err(why) => scrub.misled(Fault::damaged(key, format!("a search for it fails: {why}")).to_string()),
            }
        }
    });
    scrub.cut_short = is_closed || matches!(walked, Err(StorageError::DatabaseClosed));
    match walked {
        _ if scrub.cut_short => (),
        Err(why) => scrub.misled(format!("the state file cannot be read to its end: {why}")),
        Ok(counted) if counted != scrub.rows => {
            let rows = scrub.rows;
            scrub.misled(format!("the state file counts {counted} entries and {rows} can be reached"));
        }
        Ok(_) => (),
    }
}

impl View {
    /// BLAKE3 over everything that the commands up to [`View::position`] left, in key order, each key and value with its length before it. Storage's own
    /// table 0 is not in it, so that a leader, a follower and a restored copy agree however often each of them folded.
    #[must_use]
    pub fn digest(&self) -> Hash {
        let mut hasher = blake3::Hasher::new();
        for (key, value) in self.scan_raw(&[0, 1], &after_prefix(&[0xFF, 0xFF]), Direction::Forward) {
            hasher.update(&(key.len() as u64).to_le_bytes()).update(&key);
            hasher.update(&(value.len() as u64).to_le_bytes()).update(&value);
        }
        Hash(*hasher.finalize().as_bytes())
    }
}
