//! Is everything in order? One inspection that `medina verify`, a restore drill, a promoted follower and the simulator share.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use storage::disk::Disk;
use storage::ledger::audit;
use storage::log::LogReader;
use storage::scrub::scrub;
use storage::{Direction, KeyPart, Position, Read, View};

use super::tables::TABLES;
use crate::engine::event::EVENTS;
use crate::trade::orders;

/// Something that is not in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was checked: `state`, `tables`, `ledger`, `orders`, `events`, `log`.
    pub check: String,
    /// What is wrong, and where: a sentence.
    pub what: String,
}

/// What an inspection looked at, and what it found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Inspection {
    pub epoch: u64,
    pub seq: u64,
    /// Of the last record, in hex.
    pub hash: String,
    /// Of the state (see [`View::digest`]), in hex; absent if it could not be read to its end.
    pub digest: Option<String>,
    /// Entries in the state file.
    pub entries: u64,
    /// Rows by table.
    pub tables: BTreeMap<String, u64>,
    pub accounts: u64,
    pub transfers: u64,
    /// The log that was read: its first and last sequence number.
    pub log: Option<(u64, u64)>,
    pub findings: Vec<Finding>,
}

impl Inspection {
    /// Whether nothing was found.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    fn find(&mut self, check: &str, what: impl Into<String>) {
        self.findings.push(Finding { check: check.to_owned(), what: what.into() });
    }
}

/// Goes through the state: checksums and tree, rows and indexes, the ledger against its transfers, the orders against their events, the events' numbering.
#[must_use]
pub fn inspect(view: &View) -> Inspection {
    let position = view.position();
    let mut inspection = Inspection { epoch: position.epoch, seq: position.seq, hash: position.hash.to_string(), ..Inspection::default() };
    let walked = scrub(view);
    inspection.entries = walked.rows;
    for what in &walked.damage {
        inspection.find("state", what);
    }
    if walked.damaged > walked.damage.len() as u64 {
        inspection.find("state", format!("{} damaged places in all", walked.damaged));
    }
    match storage::fault::catch(|| view.digest()) {
        Ok(digest) => inspection.digest = Some(digest.to_string()),
        Err(_) if walked.is_clean() => inspection.find("state", "it can be walked and not be read"),
        Err(_) => (),
    }
    rules(view, &mut inspection);
    inspection
}

/// What [`inspect`] found, a sentence each.
#[must_use]
pub fn sentences(view: &View) -> Vec<String> {
    inspect(view).findings.iter().map(|Finding { check, what }| format!("{check}: {what}")).collect()
}

/// The part of [`inspect`] that needs no walk over the pages: what must hold between rows.
pub fn rules(view: &View, inspection: &mut Inspection) {
    for table in TABLES {
        let rows = table.inspect(view, &mut |what| inspection.find("tables", what));
        inspection.tables.insert(table.name().to_owned(), rows);
    }
    strangers(view, inspection);
    type Rule = fn(&View, &mut Inspection);
    let rules: [(&str, Rule); 3] = [("ledger", books), ("orders", streams), ("events", numbering)];
    for (check, rule) in rules {
        if let Err(fault) = storage::fault::catch(std::panic::AssertUnwindSafe(|| rule(view, inspection))) {
            inspection.find(check, fault.to_string());
        }
    }
}

/// Entries of tables that this binary does not know.
fn strangers(view: &View, inspection: &mut Inspection) {
    let known: BTreeSet<u16> = TABLES.iter().flat_map(|table| table.ids()).collect();
    let mut id = 1;
    while id < u16::MAX {
        let to = known.range(id..).next().copied().unwrap_or(u16::MAX);
        let stranger = storage::fault::catch(|| view.scan_raw(&id.to_key(), &to.to_key(), Direction::Forward).next().map(|(key, _)| key));
        match stranger {
            Ok(Some(key)) => {
                inspection.find("tables", format!("table {} is not one that this binary knows", u16::from_be_bytes([key[0], key[1]])));
            }
            Ok(None) => (),
            Err(fault) => inspection.find("tables", fault.to_string()),
        }
        id = to.saturating_add(1);
    }
}

fn books(view: &View, inspection: &mut Inspection) {
    let audit = audit(view);
    inspection.accounts = audit.accounts;
    inspection.transfers = audit.transfers;
    for total in audit.totals.iter().filter(|total| total.difference() != 0) {
        inspection.find("ledger", format!("{:?}: debits and credits differ by {}", total.currency, total.difference()));
    }
    for wrong in &audit.mismatches {
        let what = format!("account {:?}: stored {:?}, its transfers make {:?}", wrong.account, wrong.stored, wrong.rebuilt);
        inspection.find("ledger", what);
    }
}

fn streams(view: &View, inspection: &mut Inspection) {
    for wrong in orders::audit(view) {
        inspection.find("orders", format!("order {}: {}", wrong.order, wrong.why));
    }
}

/// Events of one command are numbered 0, 1, 2, …, each but the last says that more follow, and none is ahead of the state.
fn numbering(view: &View, inspection: &mut Inspection) {
    let mut before: Option<(u64, u32, bool)> = None;
    for ((seq, n), event) in EVENTS.scan(view) {
        let follows = match before {
            Some((last, at, true)) => (seq, n) == (last, at + 1),
            Some((_, _, false)) | None => n == 0,
        };
        if !follows {
            inspection.find("events", format!("event {seq}.{n} does not follow the one before it"));
        }
        if seq > view.position().seq {
            inspection.find("events", format!("event {seq}.{n} is ahead of the state, which stands at {}", view.position().seq));
        }
        before = Some((seq, n, event.more));
    }
    if let Some((seq, n, true)) = before {
        inspection.find("events", format!("event {seq}.{n} promises another one, which is not there"));
    }
}

/// Reads the whole log of a data folder's state (`DATA/state/log`) up to `until`: every checksum, the chain of hashes, no gap.
pub fn read_log(disk: &Arc<dyn Disk>, log: &Path, until: &Position, inspection: &mut Inspection) {
    let oldest = match LogReader::oldest(&**disk, log) {
        Ok(Some(oldest)) => oldest,
        Ok(None) if until.seq == 0 => return,
        Ok(None) => return inspection.find("log", "there is no log"),
        Err(error) => return inspection.find("log", error.to_string()),
    };
    let read = LogReader::open(disk.clone(), log, oldest).and_then(|mut reader| {
        reader.until(until.seq);
        while reader.next()?.is_some() {}
        Ok(reader.position())
    });
    match read {
        Ok(end) if end.seq == until.seq && end.hash == until.hash => inspection.log = Some((oldest, end.seq)),
        Ok(end) if end.seq < oldest && until.seq + 1 == oldest => inspection.log = Some((oldest, until.seq)),
        Ok(end) => inspection.find(
            "log",
            format!("it ends at {} with hash {}, and the state stands at {} with hash {}", end.seq, end.hash, until.seq, until.hash),
        ),
        Err(error) => inspection.find("log", error.to_string()),
    }
}
