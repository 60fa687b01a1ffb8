//! Durable is not published: with a follower's acknowledgement to wait for, batches are in flight between the two.
//!
//! The writer works on the head; readers see what [`Store::publish_to`] let them see. A fold takes only what is published, so that the state file
//! never holds what another leader's history could replace.

use std::sync::Arc;

use super::{Fatal, Store, Tables, entry_bytes};
use crate::base::Snapshot;
use crate::changes;
use crate::disk::planted::{self, Bug};
use crate::log::Position;
use crate::view::{Layer, View};

/// A batch that is durable here, and the picture that holds it.
pub(super) struct Flight {
    view: View,
    count: u32,
    /// Its change set: a fold that begins meanwhile moves it into a new layer.
    body: Vec<u8>,
    tables: Tables,
}

impl Store {
    /// Makes the open batch durable with one append and one sync. Returns how many commands it held; nobody sees them before
    /// [`Store::publish_to`].
    ///
    /// # Errors
    /// [`Fatal`]: the caller must stop the process; nothing may be acknowledged.
    pub fn sync(&mut self) -> Result<u32, Fatal> {
        let count = self.batch.count;
        if count == 0 {
            return Ok(0);
        }
        let late = planted::is(Bug::AckBeforeSync);
        if late {
            self.log.sync()?; // the record before, which was acknowledged too early
        }
        self.head.position = self.log.append(self.epoch, count, self.batch.now, &self.batch.body)?;
        if !late {
            self.log.sync()?;
        }
        self.batch.count = 0;
        self.recent_bytes += std::mem::take(&mut self.batch.recent_bytes);
        let body = std::mem::take(&mut self.batch.body);
        let tables = std::mem::take(&mut self.batch.tables);
        self.fly(count, body, tables);
        Ok(count)
    }

    pub(super) fn fly(&mut self, count: u32, body: Vec<u8>, tables: Tables) {
        self.flights.push_back(Flight { view: self.head.clone(), count, body, tables });
    }

    /// What [`Store::publish_to`] would show: the last command, and which tables were written to. `None` if nothing.
    #[must_use]
    pub fn due_to(&self, seq: u64) -> Option<(u64, Tables)> {
        let mut due = None;
        for flight in self.flights.iter().take_while(|flight| flight.view.position.seq <= seq) {
            let (last, tables) = due.get_or_insert((0, Tables::default()));
            *last = flight.view.position.seq;
            tables.join(&flight.tables);
        }
        due
    }

    /// Lets readers see every batch that ends at or before `seq`. Whether that changed anything.
    pub fn publish_to(&mut self, seq: u64) -> bool {
        let mut newest = None;
        while let Some(flight) = self.flights.pop_front_if(|flight| flight.view.position.seq <= seq) {
            newest = Some(flight);
        }
        let Some(Flight { view, mut body, .. }) = newest else { return false };
        if self.batch.count == 0 && self.batch.body.capacity() == 0 {
            body.clear();
            self.batch.body = body;
        }
        self.published.0.store(Arc::new(view));
        true
    }

    /// Up to where readers see.
    #[must_use]
    pub fn published(&self) -> Position {
        self.published.0.load().position
    }

    /// How many batches are durable and not published.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// The picture of everything durable, without an open batch.
    pub(super) fn durable(&self) -> View {
        self.flights.back().map_or_else(|| View::clone(&self.published.now()), |flight| flight.view.clone())
    }

    /// Moves the published part of the recent layer below a new one that holds what is in flight.
    pub(super) fn layer_to_fold(&mut self) -> Option<(Layer, Position)> {
        let mut shown = View::clone(&self.published.now());
        if shown.recent.is_empty() {
            return None;
        }
        shown.folding = std::mem::take(&mut shown.recent);
        let (mut above, mut bytes) = (shown.clone(), 0);
        for flight in &mut self.flights {
            let commands = changes::decode(&flight.body, flight.count).expect("the batch was encoded by the same code or decoded before");
            for (key, change) in commands.into_iter().flatten() {
                bytes += entry_bytes(&key, &change);
                above.recent.insert(key, change);
            }
            above.position = flight.view.position;
            flight.view = above.clone();
        }
        self.recent_bytes = bytes;
        self.head = above;
        let (layer, position) = (shown.folding.clone(), shown.position);
        self.published.0.store(Arc::new(shown));
        Some((layer, position))
    }

    /// The folded layer is in the base now: every picture rests on that.
    pub(super) fn rest_on(&mut self, base: Snapshot) {
        let settle = |view: &mut View| {
            view.folding = Layer::new();
            view.base = base.clone();
        };
        settle(&mut self.head);
        self.flights.iter_mut().for_each(|flight| settle(&mut flight.view));
        let shown = View::clone(&self.published.now());
        let shown = View { folding: Layer::new(), base, ..shown };
        self.published.0.store(Arc::new(shown));
    }
}
