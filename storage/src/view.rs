//! What a reader sees: whole, durable batches, as one pointer.
//!
//! ```text
//!   overlay (a running command's own writes, Txn only)
//!   recent  (batches since the last fold began)        ─┐
//!   folding (being written into redb, if a fold runs)   ├ View
//!   base    (redb, as of the last finished fold)       ─┘
//! ```
//! A read goes down, the first layer that knows the key answers, a tombstone answers "not there". A scan merges the layers, the upper wins.

use std::iter::Peekable;

use std::sync::Arc;

use crate::base::Snapshot;
use crate::log::Position;
use crate::touched::{Footprint, Moment, Notes, Touched, Trace};
use crate::{Change, Key, Value};

pub use crate::layer::Layer;

/// Which way a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Forward,
    Backward,
}

/// Something that rows can be read from: a [`View`], or a [`crate::Txn`] that also sees its own writes.
///
/// A damaged or unreadable value does not come back as an answer: it [raises](crate::fault::raise).
pub trait Read {
    /// The value under an encoded key.
    fn get_raw(&self, key: &[u8]) -> Option<Value>;
    /// Entries with `from <= key < to`, in key order or against it.
    fn scan_raw<'a>(&'a self, from: &[u8], to: &[u8], direction: Direction) -> Box<dyn Iterator<Item = (Key, Value)> + 'a>;
    /// The moment of this picture, for an answer that is to be kept; `None` where nothing may be kept (a command's own picture).
    fn moment(&self) -> Option<Moment> {
        None
    }
    /// Whether rows with these traces are the same here as they were at `since`. Never wrongly `true`.
    fn stands(&self, traces: &[Trace], since: Moment) -> bool {
        let (_, _) = (traces, since);
        false
    }
}

impl<T: Read + ?Sized> Read for std::sync::Arc<T> {
    fn get_raw(&self, key: &[u8]) -> Option<Value> {
        (**self).get_raw(key)
    }
    fn scan_raw<'a>(&'a self, from: &[u8], to: &[u8], direction: Direction) -> Box<dyn Iterator<Item = (Key, Value)> + 'a> {
        (**self).scan_raw(from, to, direction)
    }
    fn moment(&self) -> Option<Moment> {
        (**self).moment()
    }
    fn stands(&self, traces: &[Trace], since: Moment) -> bool {
        (**self).stands(traces, since)
    }
}

/// A consistent, immutable picture of the state at a position of the log.
#[derive(Clone)]
pub struct View {
    pub(crate) recent: Layer,
    pub(crate) folding: Layer,
    pub(crate) base: Snapshot,
    pub(crate) position: Position,
    pub(crate) touched: Touched,
    /// What is read, if somebody wants to know.
    pub(crate) notes: Option<Arc<Notes>>,
}

impl View {
    /// The same picture; what is read of it is noted for [`View::footprint`].
    #[must_use]
    pub fn noting(&self) -> Self {
        Self { notes: Some(Arc::default()), ..self.clone() }
    }

    /// What was read of this picture since [`View::noting`] made it.
    #[must_use]
    pub fn footprint(&self) -> Footprint {
        let traces = self.notes.as_ref().map(|notes| notes.taken()).unwrap_or_default();
        Footprint::new(self.touched.moment(self.position.seq), traces)
    }

    /// The last command that this picture contains.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }

    pub(crate) fn layers<'a>(&'a self, from: &[u8], to: &[u8], direction: Direction) -> Vec<Source<'a>> {
        let mut sources: Vec<Source<'a>> = Vec::with_capacity(4);
        for layer in [&self.recent, &self.folding] {
            if !layer.is_empty() {
                sources.push(layer.scan(from, to, direction));
            }
        }
        sources.push(self.base.scan(from, to, direction));
        sources
    }
}

impl Read for View {
    fn get_raw(&self, key: &[u8]) -> Option<Value> {
        if let Some(notes) = &self.notes {
            notes.key(key);
        }
        if let Some(change) = self.recent.get(key).or_else(|| self.folding.get(key)) {
            return change;
        }
        self.base.get(key)
    }

    fn scan_raw<'a>(&'a self, from: &[u8], to: &[u8], direction: Direction) -> Box<dyn Iterator<Item = (Key, Value)> + 'a> {
        if let Some(notes) = &self.notes {
            notes.range(from, to);
        }
        merge(self.layers(from, to, direction), direction)
    }

    fn moment(&self) -> Option<Moment> {
        Some(self.touched.moment(self.position.seq))
    }

    fn stands(&self, traces: &[Trace], since: Moment) -> bool {
        let stands = self.touched.stands(traces, since, self.position.seq);
        if let Some(notes) = self.notes.as_ref().filter(|_| stands) {
            notes.add(traces);
        }
        stands
    }
}

/// One layer of a merge, already in the wanted direction.
pub(crate) type Source<'a> = Box<dyn Iterator<Item = (Key, Change)> + 'a>;

pub(crate) fn bounds<'a>(from: &'a [u8], to: &'a [u8]) -> (std::ops::Bound<&'a [u8]>, std::ops::Bound<&'a [u8]>) {
    // An empty range is legal for callers (a cursor at the end) but not for every map: make it empty and well formed.
    let to = to.max(from);
    (std::ops::Bound::Included(from), std::ops::Bound::Excluded(to))
}

pub(crate) fn ordered<'a, I>(range: I, direction: Direction) -> Source<'a>
where
    I: DoubleEndedIterator<Item = (Key, Change)> + 'a,
{
    match direction {
        Direction::Forward => Box::new(range),
        Direction::Backward => Box::new(range.rev()),
    }
}

/// Merges layers, uppermost first; tombstones hide what is below and are not shown.
pub(crate) fn merge<'a>(sources: Vec<Source<'a>>, direction: Direction) -> Box<dyn Iterator<Item = (Key, Value)> + 'a> {
    Box::new(Merge { sources: sources.into_iter().map(Iterator::peekable).collect(), direction })
}

struct Merge<'a> {
    sources: Vec<Peekable<Source<'a>>>,
    direction: Direction,
}

impl Iterator for Merge<'_> {
    type Item = (Key, Value);

    fn next(&mut self) -> Option<(Key, Value)> {
        loop {
            let mut next: Option<Key> = None;
            for source in &mut self.sources {
                if let Some((key, _)) = source.peek() {
                    let sooner = next.as_ref().is_none_or(|best| match self.direction {
                        Direction::Forward => key < best,
                        Direction::Backward => key > best,
                    });
                    if sooner {
                        next = Some(key.clone());
                    }
                }
            }
            let next = next?;
            let mut change: Option<Change> = None;
            for source in &mut self.sources {
                if source.peek().is_some_and(|(key, _)| *key == next) {
                    let below = source.next().map(|(_, change)| change);
                    change = change.or(below);
                }
            }
            if let Some(Some(value)) = change {
                return Some((next, value));
            }
        }
    }
}
