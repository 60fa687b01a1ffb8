//! What was promised to whom, and whether it was kept.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use storage::disk::{Disk, SimDisk};
use storage::{Change, Direction, Key, Position, Read, Timestamp, Value, View, changes};

use super::act::Request;
use super::town::DATA;
use crate::app::inspection::{self, Inspection};
use crate::engine::Core;
use crate::engine::idempotency::{ONCE, SealAnswers};
use crate::people::keyring::answers::PersonAnswers;

/// Every row, as the acknowledged commands left them.
pub type Rows = BTreeMap<Key, Value>;

/// An answer that a client has, or would have had.
#[derive(Clone, Debug)]
pub struct Told {
    pub request: Request,
    pub body: Vec<u8>,
    /// The command's sequence number.
    pub seq: u64,
    /// Until when a repeat must get it again.
    pub kept_until: Timestamp,
}

/// The batch whose fate is not known: the process died before anybody was answered.
pub struct Doubt {
    /// How many commands it held.
    pub count: u32,
    /// Every row if it is there.
    pub rows: Rows,
    /// What its clients would have been answered.
    pub told: Vec<Told>,
}

/// Something that must not be. `lost` and `invented` count commands.
#[derive(Clone, Debug, Default)]
pub struct Wrong {
    pub what: String,
    pub lost: u64,
    pub invented: u64,
}

impl From<String> for Wrong {
    fn from(what: String) -> Self {
        Self { what, ..Self::default() }
    }
}

impl From<&str> for Wrong {
    fn from(what: &str) -> Self {
        what.to_owned().into()
    }
}

/// Everything promised so far.
#[derive(Default)]
pub struct Book {
    rows: Rows,
    /// The last acknowledged command.
    acknowledged: Position,
    /// By the request's key.
    told: BTreeMap<u64, Told>,
    doubt: Option<Doubt>,
    /// A command has committed by itself: what the rows should be is not known any more (only with a bug planted).
    is_astray: bool,
}

/// Rows of a view, without storage's own table.
pub fn rows(view: &View) -> impl Iterator<Item = (Key, Value)> + '_ {
    view.scan_raw(&[0, 1], &[0xFF; 32], Direction::Forward)
}

impl Book {
    /// Begins with what the town left.
    pub fn begin(core: &Core) -> Self {
        let view = core.store.views().now();
        Self { rows: rows(&view).collect(), acknowledged: view.position(), ..Self::default() }
    }

    /// The last acknowledged command.
    #[must_use]
    pub fn acknowledged(&self) -> Position {
        self.acknowledged
    }

    /// Every acknowledged row.
    #[must_use]
    pub fn rows(&self) -> &Rows {
        &self.rows
    }

    /// How many answers clients hold.
    #[must_use]
    pub fn answers(&self) -> usize {
        self.told.len()
    }

    /// The `n`th of them.
    #[must_use]
    pub fn answer(&self, n: usize) -> Option<&Told> {
        self.told.values().nth(n)
    }

    /// What this request was answered.
    #[must_use]
    pub fn answered(&self, key: u64) -> Option<&Told> {
        self.told.get(&key)
    }

    /// The rows after the open batch of `core`, and how many commands it holds; call it before the commit.
    ///
    /// # Errors
    /// The batch does not read.
    pub fn foresee(&mut self, core: &Core, told: Vec<Told>) -> Result<Doubt, Wrong> {
        let (count, body) = core.store.batch();
        let commands = changes::decode(body, count).map_err(|error| error.to_string())?;
        // A command whose answer goes into another commit has committed without being asked to.
        self.is_astray |= core.store.position() != self.acknowledged;
        let mut rows = if count == 0 { Rows::new() } else { self.rows.clone() };
        for (key, change) in commands.into_iter().flatten() {
            apply(&mut rows, key, change);
        }
        let more = core.store.position().seq.saturating_sub(self.acknowledged.seq) as u32;
        Ok(Doubt { count: count + more, rows, told })
    }

    /// The batch is durable, and its clients are answered.
    pub fn acknowledge(&mut self, batch: Doubt, position: Position) {
        if batch.count > 0 {
            self.rows = batch.rows;
        }
        self.acknowledged = position;
        for told in batch.told {
            self.told.insert(told.request.key, told);
        }
    }

    /// Nobody knows whether the batch is there.
    pub fn doubt(&mut self, batch: Doubt) {
        self.doubt = Some(batch);
    }

    /// After a recovery that was checked: what was in doubt is decided. Requests of a batch in doubt are to be repeated by their clients.
    pub fn decide(&mut self, position: Position) {
        if let Some(doubt) = self.doubt.take()
            && position.seq > self.acknowledged.seq
        {
            self.rows = doubt.rows;
        }
        self.acknowledged = position;
    }

    /// Whether what came back is what was promised. Returns whether the batch in doubt is there.
    ///
    /// # Errors
    /// The first promise that is broken.
    pub fn check(&self, core: &Core, disk: &SimDisk, now: Timestamp) -> Result<bool, Wrong> {
        let view = core.store.views().now();
        let is_there = self.reaches(&view.position())?;
        self.repeats(&view, now)?;
        if !self.is_astray {
            let expected = self.doubt.as_ref().filter(|_| is_there).map_or(&self.rows, |doubt| &doubt.rows);
            compare(expected, &view)?;
        }
        let mut inspection = inspection::inspect(&view);
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        inspection::read_log(&disk, &Path::new(DATA).join("log"), &view.position(), &mut inspection);
        clean(&inspection)?;
        Ok(is_there)
    }

    /// Every acknowledged command, perhaps the whole batch in doubt, and nothing else.
    fn reaches(&self, position: &Position) -> Result<bool, Wrong> {
        let (promised, found) = (self.acknowledged.seq, position.seq);
        if found < promised {
            let what = format!("{} acknowledged commands are lost: {promised} were promised, {found} are there", promised - found);
            return Err(Wrong { what, lost: promised - found, invented: 0 });
        }
        let more = found - promised;
        let whole = self.doubt.as_ref().map_or(0, |doubt| u64::from(doubt.count));
        match more {
            0 if position.hash != self.acknowledged.hash => Err("the last acknowledged record has another hash".into()),
            0 => Ok(false),
            _ if more == whole => Ok(true),
            _ if more < whole => Err(format!("{more} of the {whole} commands of one batch are there").into()),
            _ => {
                let what = format!("{} commands are there that nobody asked for", more - whole);
                Err(Wrong { what, lost: 0, invented: more - whole })
            }
        }
    }

    /// A kept answer is there exactly if its command is, and says what it said.
    fn repeats(&self, view: &View, now: Timestamp) -> Result<(), Wrong> {
        let in_doubt = self.doubt.iter().flat_map(|doubt| &doubt.told);
        for told in self.told.values().chain(in_doubt) {
            let is_done = told.seq <= view.position().seq;
            let Request { key, act, caller } = &told.request;
            match ONCE.get(view, &told.request.once().scope) {
                None if !is_done || told.kept_until <= now => (),
                None => {
                    return Err(format!("request {key} ({act:?}) is done and its answer is not kept: a repeat would do it again").into());
                }
                Some(row) if row.seq != told.seq => {
                    let what = format!("request {key} ({act:?}) was done as command {}, and its answer was kept by {}", told.seq, row.seq);
                    return Err(what.into());
                }
                Some(_) if !is_done => return Err(format!("request {key} ({act:?}) has an answer and was never done").into()),
                Some(row) if PersonAnswers.open(view, caller, &row.answer.body) != told.body => {
                    return Err(format!("request {key} ({act:?}) is answered differently now").into());
                }
                Some(_) => (),
            }
        }
        Ok(())
    }

    /// BLAKE3 over the acknowledged rows: two runs of a seed must agree.
    pub fn hash(&self, hasher: &mut blake3::Hasher) {
        for (key, value) in &self.rows {
            for part in [key, value] {
                hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
            }
        }
        hasher.update(&self.acknowledged.hash.0);
    }
}

fn apply(rows: &mut Rows, key: Key, change: Change) {
    match change {
        Some(value) => rows.insert(key, value),
        None => rows.remove(&key),
    };
}

/// Row by row: nothing half, nothing more.
pub fn compare(expected: &Rows, view: &View) -> Result<(), Wrong> {
    let mut wanted = expected.iter();
    for (key, value) in rows(view) {
        match wanted.next() {
            Some((known, right)) if *known == key && *right == value => (),
            Some((known, _)) if *known == key => return Err(format!("the row {} has another value", name(&key)).into()),
            Some((known, _)) if *known < key => return Err(format!("the row {} is missing", name(known)).into()),
            Some(_) | None => return Err(format!("the row {} is there and should not be", name(&key)).into()),
        }
    }
    wanted.next().map_or(Ok(()), |(known, _)| Err(format!("the row {} is missing", name(known)).into()))
}

fn name(key: &[u8]) -> String {
    let table = u16::from_be_bytes([key[0], key[1]]);
    let fields: String = key[2..].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{fields} of table {table}")
}

/// The laws between rows.
///
/// # Errors
/// The first that is broken.
pub fn clean(inspection: &Inspection) -> Result<(), Wrong> {
    inspection.findings.first().map_or(Ok(()), |found| Err(format!("inspection, {}: {}", found.check, found.what).into()))
}
