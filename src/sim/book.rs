//! What was promised to whom, and whether it was kept.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use storage::disk::{Disk, SimDisk};
use storage::replica::epoch::{EPOCHS, EpochStart};
use storage::{Change, Direction, Hash, Key, KeyPart, Position, Read, Row, Timestamp, Value, View, changes};

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

/// A batch that nobody has been answered for yet.
pub struct Flight {
    /// The last command's number: where the history stands if the batch is there.
    pub end: u64,
    /// How many commands it holds.
    pub count: u32,
    /// Every row if it is there.
    pub rows: Arc<Rows>,
    /// What its clients will be answered.
    pub told: Vec<Told>,
    /// Webhooks that it has taken.
    pub hooks: Vec<String>,
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
    rows: Arc<Rows>,
    /// The last acknowledged command.
    acknowledged: u64,
    /// Hash of its record, where it is known.
    hash: Option<Hash>,
    /// By the request's key.
    told: BTreeMap<u64, Told>,
    /// Batches whose fate is not known, in order: any beginning of them may be there.
    flights: VecDeque<Flight>,
    /// A command has committed by itself: what the rows should be is not known any more (only with a bug planted).
    is_astray: bool,
}

/// Rows of a view, without storage's own table.
pub fn rows(view: &View) -> impl Iterator<Item = (Key, Value)> + '_ {
    view.scan_raw(&[0, 1], &[0xFF; 32], Direction::Forward)
}

impl Book {
    /// Begins with what the town left.
    #[must_use]
    pub fn begin(view: &View) -> Self {
        let position = view.position();
        Self { rows: Arc::new(rows(view).collect()), acknowledged: position.seq, hash: Some(position.hash), ..Self::default() }
    }

    /// The last acknowledged command.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// How many batches nobody was answered for.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.flights.len()
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

    /// What the open batch of `core` will make of the rows; call it before the commit.
    ///
    /// # Errors
    /// The batch does not read.
    pub fn foresee(&mut self, core: &Core, told: Vec<Told>, hooks: Vec<String>) -> Result<Flight, Wrong> {
        let (count, body) = core.store.batch();
        let commands = changes::decode(body, count).map_err(|error| error.to_string())?;
        let (begun, before) = self.flights.back().map_or((self.acknowledged, &self.rows), |flight| (flight.end, &flight.rows));
        let mut rows = before.clone();
        for (key, change) in commands.into_iter().flatten() {
            apply(Arc::make_mut(&mut rows), key, change);
        }
        // A command whose answer goes into another commit has committed without being asked to.
        let at = core.store.position().seq;
        self.is_astray |= at != begun;
        Ok(Flight { end: at + u64::from(count), count: (at + u64::from(count) - begun) as u32, rows, told, hooks })
    }

    /// The node will open an epoch: one command, one row.
    #[must_use]
    pub fn foresee_epoch(&self, epoch: u64, before: Position) -> Flight {
        let mut rows = self.flights.back().map_or(&self.rows, |flight| &flight.rows).clone();
        let mut key = EPOCHS.id.to_key();
        epoch.encode(&mut key);
        Arc::make_mut(&mut rows).insert(key.into(), EpochStart(before).to_bytes().into());
        Flight { end: before.seq + 1, count: 1, rows, told: Vec::new(), hooks: Vec::new() }
    }

    /// The batch is on its way to the disk, and from now on nobody knows whether it is there.
    pub fn take_off(&mut self, batch: Flight) {
        self.flights.push_back(batch);
    }

    /// Everything up to `seq` is durable wherever it has to be: clients are answered. Returns what has landed.
    pub fn land(&mut self, seq: u64, hash: Option<Hash>) -> Vec<Flight> {
        let mut landed = Vec::new();
        while let Some(flight) = self.flights.pop_front_if(|flight| flight.end <= seq) {
            self.rows = flight.rows.clone();
            self.acknowledged = flight.end;
            self.hash = hash;
            for told in &flight.told {
                self.told.insert(told.request.key, told.clone());
            }
            landed.push(flight);
        }
        landed
    }

    /// After a recovery that was checked: what was in flight is there up to `position`, and the rest never will be. Returns the requests that got no
    /// answer either way.
    pub fn decide(&mut self, position: Position) -> Vec<Request> {
        let flights = std::mem::take(&mut self.flights);
        if let Some(last) = flights.iter().rfind(|flight| flight.end <= position.seq) {
            self.rows = last.rows.clone();
        }
        (self.acknowledged, self.hash) = (position.seq, Some(position.hash));
        flights.into_iter().flat_map(|flight| flight.told).map(|told| told.request).collect()
    }

    /// Whether what came back is what was promised: acknowledged commands, perhaps some of the batches in flight, each whole, and nothing else.
    ///
    /// # Errors
    /// The first promise that is broken.
    pub fn check(&self, view: &View, disk: &SimDisk, now: Timestamp) -> Result<(), Wrong> {
        let expected = self.reaches(&view.position())?;
        self.repeats(view, now)?;
        if !self.is_astray {
            compare(expected, view)?;
        }
        let mut inspection = inspection::inspect(view);
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        inspection::read_log(&disk, &Path::new(DATA).join("log"), &view.position(), &mut inspection);
        clean(&inspection)
    }

    /// Which rows belong to this position.
    fn reaches(&self, position: &Position) -> Result<&Rows, Wrong> {
        let (promised, found) = (self.acknowledged, position.seq);
        if found < promised {
            let what = format!("{} acknowledged commands are lost: {promised} were promised, {found} are there", promised - found);
            return Err(Wrong { what, lost: promised - found, invented: 0 });
        }
        if found == promised {
            return match self.hash {
                Some(hash) if hash != position.hash => Err("the last acknowledged record has another hash".into()),
                Some(_) | None => Ok(&self.rows),
            };
        }
        match self.flights.iter().find(|flight| flight.end >= found) {
            Some(flight) if flight.end == found => Ok(&flight.rows),
            Some(flight) => {
                let there = u64::from(flight.count) - (flight.end - found);
                Err(format!("{there} of the {} commands of one batch are there", flight.count).into())
            }
            None => {
                let invented = found - self.flights.back().map_or(promised, |last| last.end);
                Err(Wrong { what: format!("{invented} commands are there that nobody asked for"), lost: 0, invented })
            }
        }
    }

    /// A kept answer is there exactly if its command is, and says what it said.
    fn repeats(&self, view: &View, now: Timestamp) -> Result<(), Wrong> {
        let in_doubt = self.flights.iter().flat_map(|flight| &flight.told);
        for told in self.told.values().chain(in_doubt) {
            let is_done = told.seq <= view.position().seq;
            let Request { key, act, caller } = &told.request;
            match ONCE.get(view, &told.request.once().scope) {
                None if !is_done || told.kept_until <= now => (),
                None => {
                    return Err(format!("request {key} ({act:?}) is done and its answer is not kept: a repeat would do it again").into());
                }
                Some(row) if row.seq == told.seq => {
                    if !is_done {
                        return Err(format!("request {key} ({act:?}) has an answer and was never done").into());
                    }
                    if PersonAnswers.open(view, caller, &row.answer.body) != told.body {
                        return Err(format!("request {key} ({act:?}) is answered differently now").into());
                    }
                }
                // Forgotten after its time, and asked and done anew since; or that is in flight and the older answer, which perhaps nobody got, is still here.
                Some(_) if told.kept_until <= now => (),
                Some(row) if !is_done && (self.told.contains_key(key) || row.expires_at <= now) => (),
                Some(row) => {
                    let what = format!("request {key} ({act:?}) was done as command {}, and its answer was kept by {}", told.seq, row.seq);
                    return Err(what.into());
                }
            }
        }
        Ok(())
    }

    /// BLAKE3 over the acknowledged rows: two runs of a seed must agree.
    pub fn digest_into(&self, hasher: &mut blake3::Hasher) {
        for (key, value) in &*self.rows {
            for part in [key, value] {
                hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
            }
        }
        hasher.update(&self.acknowledged.to_le_bytes());
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
