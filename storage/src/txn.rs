//! A running command's transaction: it sees everything before it and its own writes; the store keeps them only if the command succeeds.

use std::collections::BTreeMap;

use crate::clock::Timestamp;
use crate::id::{Id, Kind};
use crate::random::Random;
use crate::view::{self, Direction, Read, View};
use crate::{Change, Key, Value};

/// Reads, writes, the time, ids and chance of one command.
pub struct Txn<'a> {
    view: &'a View,
    random: &'a mut Random,
    now: Timestamp,
    seq: u64,
    overlay: BTreeMap<Key, Change>,
}

impl<'a> Txn<'a> {
    pub(crate) fn new(view: &'a View, random: &'a mut Random, now: Timestamp, seq: u64) -> Self {
        Self { view, random, now, seq, overlay: BTreeMap::new() }
    }

    /// The time of this command: the same during all of it, never before an earlier command's.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The sequence number that this command takes if it commits.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// A new id, ordered after every earlier one.
    pub fn new_id<K: Kind>(&mut self) -> Id<K> {
        Id::from_u128(self.random.uuid_v7(self.now))
    }

    /// Randomness.
    pub fn random(&mut self) -> &mut Random {
        self.random
    }

    /// Whether anything has been written.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        self.overlay.is_empty()
    }

    /// How many keys have been written.
    #[must_use]
    pub fn changes(&self) -> usize {
        self.overlay.len()
    }

    /// What this command has written so far, by key.
    pub fn overlay(&self) -> impl ExactSizeIterator<Item = (&Key, &Change)> {
        self.overlay.iter()
    }

    /// Whether this command has written to a table or an index.
    #[must_use]
    pub fn touched(&self, table: u16) -> bool {
        let from = table.to_be_bytes();
        let to = crate::table::after_prefix(&from);
        self.overlay.range::<[u8], _>(view::bounds(&from, &to)).next().is_some()
    }

    /// The value under `key` before this command.
    #[must_use]
    pub fn before(&self, key: &[u8]) -> Option<Value> {
        self.view.get_raw(key)
    }

    /// Sets or removes an encoded key. Domain code goes through [`crate::Table`].
    pub fn set_raw(&mut self, key: &[u8], change: Change) {
        self.overlay.insert(key.into(), change);
    }

    /// Where the writes stand, for [`Txn::rollback`].
    #[must_use]
    pub fn savepoint(&self) -> Savepoint {
        Savepoint(self.overlay.clone())
    }

    /// Forgets every write since `savepoint`.
    pub fn rollback(&mut self, savepoint: Savepoint) {
        self.overlay = savepoint.0;
    }

    pub(crate) fn into_changes(self) -> BTreeMap<Key, Change> {
        self.overlay
    }
}

impl Read for Txn<'_> {
    fn get_raw(&self, key: &[u8]) -> Option<Value> {
        match self.overlay.get(key) {
            Some(change) => change.clone(),
            None => self.view.get_raw(key),
        }
    }

    fn scan_raw<'s>(&'s self, from: &[u8], to: &[u8], direction: Direction) -> Box<dyn Iterator<Item = (Key, Value)> + 's> {
        let mut sources = self.view.layers(from, to, direction);
        let own = self.overlay.range::<[u8], _>(view::bounds(from, to)).map(|(key, change)| (key.clone(), change.clone()));
        sources.insert(0, view::ordered(own, direction));
        view::merge(sources, direction)
    }
}

/// A command's writes at some moment.
pub struct Savepoint(BTreeMap<Key, Change>);
