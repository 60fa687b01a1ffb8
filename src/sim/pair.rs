//! Two nodes: a leader who answers only what its follower has, a line between them that is slow, deaf or cut, and promotions.
//!
//! ```text
//!   leader: commit ──► durable here ──► records ──► follower: durable there ──► acknowledged ──► shown, answered
//!                          │                             │
//!                          └── crash, or cut off ────────┴──► promoted: a new epoch; the old leader comes back, sets its end aside, follows
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;

use storage::disk::{Disk, SimDisk};
use storage::log::{LogError, LogReader, Record};
use storage::replica::frame;
use storage::replica::history::{self, Holds};
use storage::snapshot;
use storage::store::{ApplyError, CutError};
use storage::{Position, Store};

use super::batch::Next;
use super::book::Wrong;
use super::play::Play;
use super::town::DATA;
use crate::engine::Core;

/// Batches that may be in flight; then the leader waits.
pub(super) const FLIGHTS_MAX: usize = 6;
/// Tries until a healthy follower must have caught up.
const TRIES_MAX: u32 = 40;

/// How the line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Good,
    /// Records arrive, acknowledgements do not.
    Deaf,
    Cut,
}

/// The node that follows, or will again.
pub(super) struct Other {
    pub disk: SimDisk,
    node: Option<Core>,
    line: Line,
    /// It has everything that was acknowledged: it may be promoted.
    is_close: bool,
}

impl Other {
    pub(super) fn new(disk: SimDisk) -> Self {
        Self { disk, node: None, line: Line::Good, is_close: false }
    }

    /// Its process dies, by a power cut or alone.
    fn die(&mut self, power: bool) {
        self.node = None;
        if power { self.disk.reboot() } else { self.disk.restart_process() }
    }
}

impl Play<'_> {
    /// Sends the follower what it lacks. Returns up to where it has acknowledged; `None` if there is no follower in this play.
    pub(super) fn ship(&mut self, leader: &Core) -> Result<Option<u64>, Wrong> {
        if self.other.is_some() && self.disk.is_crashed() {
            // The leader's machine has died, and its next write will tell.
            return Ok(Some(self.book.acknowledged()));
        }
        let Some(mut other) = self.other.take() else { return Ok(None) };
        let heard = self.ship_to(leader, &mut other);
        self.other = Some(other);
        heard.map(Some)
    }

    fn ship_to(&mut self, leader: &Core, other: &mut Other) -> Result<u64, Wrong> {
        let unheard = self.book.acknowledged();
        self.weather(other);
        if other.node.is_none() && (self.is_calm || self.dice.percent(40)) {
            self.join(leader, other)?;
        }
        let Some(follower) = other.node.as_mut().filter(|_| other.line != Line::Cut) else { return Ok(unheard) };
        let (most, back) = match (self.is_calm, self.dice.percent(25)) {
            (true, _) => (usize::MAX, 0),
            (false, again) => (self.dice.below(4), if again { 1 + self.dice.below(4) as u64 } else { 0 }),
        };
        // What was sent before may be sent again.
        let from = follower.store.position().seq.saturating_sub(back);
        let Some(records) = records(&self.disk, &leader.store, from, most)? else {
            // The log has been trimmed meanwhile: the follower begins anew.
            return self.bootstrap(leader, other).map(|()| unheard);
        };
        for record in records {
            match follower.store.apply(&record) {
                Ok(_) => (),
                Err(ApplyError::Fatal(_)) if other.disk.is_crashed() => {
                    other.die(true);
                    return Ok(unheard);
                }
                Err(error) => return Err(format!("the follower does not take its leader's record: {error}").into()),
            }
        }
        if self.dice.percent(8) && follower.store.fold_now().is_err() {
            if !other.disk.is_crashed() {
                return Err("a follower's fold failed on a healthy disk".into());
            }
            other.die(true);
            return Ok(unheard);
        }
        // A fold forgives the next segment that it could not make: the machine may be dead although nothing failed yet.
        if other.disk.is_crashed() {
            other.die(true);
            return Ok(unheard);
        }
        // What came twice must have changed nothing.
        if self.is_calm || back > 0 || self.dice.percent(10) {
            let view = follower.store.views().now();
            self.book.check(&view, &other.disk, self.latest).map_err(|wrong| on_the("follower", wrong))?;
        }
        if other.line == Line::Deaf {
            return Ok(unheard);
        }
        other.is_close |= follower.store.position().epoch == leader.store.position().epoch;
        Ok(follower.store.position().seq.min(leader.store.position().seq))
    }

    /// The line changes, and sometimes the follower's machine is about to die.
    fn weather(&mut self, other: &mut Other) {
        if self.is_calm {
            other.line = Line::Good;
            return;
        }
        other.line = match self.dice.below(20) {
            0 => Line::Cut,
            1 => Line::Deaf,
            2..6 => Line::Good,
            _ => other.line,
        };
        if self.dice.percent(5) {
            other.disk.crash_after(1 + self.dice.below(25) as u64);
        }
    }

    /// The follower's process starts: it finds where its history and the leader's part, gives its own end up, and goes on from there.
    fn join(&mut self, leader: &Core, other: &mut Other) -> Result<(), Wrong> {
        if self.dice.percent(25) {
            other.disk.crash_after(1 + self.dice.below(12) as u64);
        }
        let joined = self.try_to_join(leader, other);
        if other.disk.is_crashed() {
            other.die(true);
            return Ok(());
        }
        other.node = joined?;
        if other.node.is_none() { self.bootstrap(leader, other) } else { Ok(()) }
    }

    /// `None` if only a copy of the leader helps.
    fn try_to_join(&mut self, leader: &Core, other: &Other) -> Result<Option<Core>, Wrong> {
        let node = self.start(&other.disk).map_err(|wrong| on_the("follower", wrong))?;
        let Some(common) = common(&self.disk, &leader.store, &other.disk, &node.store)? else { return Ok(None) };
        if common == node.store.position() {
            return Ok(Some(node));
        }
        if other.is_close && common.seq < self.book.acknowledged() {
            let (promised, kept) = (self.book.acknowledged(), common.seq);
            return Err(format!("{promised} were acknowledged, and a follower would cut its history to {kept}").into());
        }
        let aside = Path::new(DATA).join(format!("aside-{}", node.store.position().seq));
        match node.store.cut(common, &aside, &mut |record| format!("{} {}\n", record.first_seq, record.count)) {
            Ok(store) => drop(store),
            Err(CutError::Folded { .. }) => return Ok(None),
            Err(error) => return Err(format!("an old leader's end cannot be cut: {error}").into()),
        }
        self.start(&other.disk).map(Some)
    }

    /// A fresh folder from the leader's snapshot.
    fn bootstrap(&mut self, leader: &Core, other: &mut Other) -> Result<(), Wrong> {
        let fail = |error: snapshot::SnapshotError| Wrong::from(format!("a follower cannot begin with its leader's snapshot: {error}"));
        let mut bytes = Vec::new();
        snapshot::write(&leader.store.views().now(), 1, &mut bytes).map_err(fail)?;
        *other = Other { line: other.line, ..Other::new(SimDisk::new(self.dice.roll())) };
        snapshot::restore(bytes.as_slice(), Arc::new(other.disk.clone()), Path::new(DATA)).map_err(fail)?;
        other.node = Some(self.start(&other.disk)?);
        Ok(())
    }

    /// After a start: nothing that only the leader has is served before its follower has it, too. `Died` if the leader's disk did.
    pub(super) fn catch_up(&mut self, leader: &Core) -> Result<Next, Wrong> {
        if self.other.is_none() {
            return Ok(Next::Going);
        }
        let calm = std::mem::replace(&mut self.is_calm, true);
        for _ in 0..TRIES_MAX {
            let shipped = self.ship(leader);
            if self.disk.is_crashed() {
                self.is_calm = calm;
                return Ok(Next::Died);
            }
            let stands = |other: &Other| other.node.as_ref().map(|node| node.store.position());
            if shipped? == Some(leader.store.position().seq) && self.other.as_ref().and_then(stands) == Some(leader.store.position()) {
                self.is_calm = calm;
                return Ok(Next::Going);
            }
        }
        Err("a follower does not catch up".into())
    }

    /// The leader is dead or cut off. Perhaps its follower leads from now on.
    pub(super) fn fail_over(&mut self) -> Result<(), Wrong> {
        let Some(mut other) = self.other.take() else { return Ok(()) };
        if other.is_close && self.dice.percent(60) {
            let power = other.disk.is_crashed() || self.dice.percent(30);
            other.die(power);
            std::mem::swap(&mut self.disk, &mut other.disk);
            other.is_close = false;
            self.promote()?;
        }
        self.other = Some(other);
        Ok(())
    }

    /// The disk that is ours now was the follower's: what it has is the history, and a new epoch begins, also if the machine dies meanwhile.
    fn promote(&mut self) -> Result<(), Wrong> {
        let mut core = self.start(&self.disk)?;
        self.check_leader(&core).map_err(|wrong| on_the("promoted follower", wrong))?;
        let before = core.store.position();
        for request in self.book.decide(before) {
            self.crowd.unanswered(request);
        }
        let epoch = before.epoch + 1;
        self.book.take_off(self.book.foresee_epoch(epoch, before));
        if self.dice.percent(30) {
            self.disk.crash_after(1 + self.dice.below(4) as u64);
        }
        let opened = core.store.open_epoch(epoch, self.clock);
        drop(core);
        if self.disk.is_crashed() {
            self.disk.reboot();
            let mut core = self.start(&self.disk)?;
            self.check_leader(&core).map_err(|wrong| on_the("promoted follower", wrong))?;
            core.store.open_epoch(epoch, self.clock).map_err(|fatal| fatal.to_string())?;
        } else {
            opened.map_err(|fatal| format!("an epoch does not begin on a healthy disk: {fatal}"))?;
            self.disk.restart_process();
        }
        self.tally.promotions += 1;
        Ok(())
    }

    /// What the follower's disk may have kept, if its machine dies now.
    pub(super) fn other_image(&self) -> Option<SimDisk> {
        self.other.as_ref().filter(|other| other.is_close).map(|other| other.disk.clone())
    }
}

fn on_the(node: &str, Wrong { what, lost, invented }: Wrong) -> Wrong {
    Wrong { what: format!("on the {node}: {what}"), lost, invented }
}

/// At most `most` records after `seq`, over the wire; `None` if the log begins later.
fn records(disk: &SimDisk, leader: &Store, seq: u64, most: usize) -> Result<Option<Vec<Record>>, Wrong> {
    let fail = |error: LogError| Wrong::from(format!("the leader's log does not read: {error}"));
    let end = leader.position();
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    if seq >= end.seq {
        return Ok(Some(Vec::new()));
    }
    let mut reader = match LogReader::open(disk, &leader.log_dir(), seq + 1) {
        Ok(reader) => reader,
        Err(LogError::Missing { .. }) => return Ok(None),
        Err(error) => return Err(fail(error)),
    };
    reader.until(end.seq);
    let (mut records, mut bytes) = (Vec::new(), Vec::new());
    while records.len() < most
        && let Some(record) = reader.next().map_err(fail)?
    {
        bytes.clear();
        frame::encode(&record, &mut bytes);
        records.push(frame::decode(&bytes).ok_or("a record does not survive the wire")?);
    }
    Ok(Some(records))
}

/// The last record that both histories have; `None` if the logs cannot say.
fn common(ours: &SimDisk, leader: &Store, theirs: &SimDisk, node: &Store) -> Result<Option<Position>, Wrong> {
    let fail = |error: LogError| Wrong::from(format!("where two histories part cannot be found: {error}"));
    let (ours, theirs): (Arc<dyn Disk>, Arc<dyn Disk>) = (Arc::new(ours.clone()), Arc::new(theirs.clone()));
    let (log, dir): (PathBuf, PathBuf) = (leader.log_dir(), node.log_dir());
    let known = |place: Position| history::holds(&ours, &log, leader.position(), place.seq, place.hash).map_err(fail);
    if known(node.position())? == Holds::Yes {
        return Ok(Some(node.position()));
    }
    let Some(oldest) = LogReader::oldest(&*theirs, &dir).map_err(fail)? else { return Ok(None) };
    let mut places = history::places(&theirs, &dir, oldest, node.position()).map_err(fail)?;
    while let Some(place) = places.pop() {
        if known(place)? == Holds::Yes {
            return Ok(Some(place));
        }
    }
    Ok(None)
}
