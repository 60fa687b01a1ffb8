//! Typed tables with the secondary indexes that belong to them.
//!
//! ```
//! # use storage::{Index, Table, Row, Txn, Read, Direction};
//! # use serde::{Serialize, Deserialize};
//! #[derive(Serialize, Deserialize)]
//! struct Shop { city: u64, name: String }
//! impl Row for Shop { const VERSION: u8 = 1; }
//!
//! static SHOPS_BY_CITY: Index<u64, Shop> = Index::new(901, "shops.by_city", |_, shop, keys| keys.add(&shop.city));
//! static SHOPS: Table<u64, Shop> = Table::new(900, "shops", &[&SHOPS_BY_CITY]);
//!
//! fn names(read: &impl Read, city: u64) -> Vec<String> {
//!     SHOPS.find(read, &SHOPS_BY_CITY, &city).map(|(_, shop)| shop.name).collect()
//! }
//! ```

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::fault::{Fault, raise};
use crate::key::KeyPart;
use crate::touched::Trace;
use crate::txn::Txn;
use crate::view::{Direction, Read};
use crate::{Key, Value};

/// A stored value: a version byte, then postcard.
pub trait Row: Serialize + DeserializeOwned {
    /// The layout that is written today, from 1. A change of layout is a new number, and [`Row::upgrade`] reads the old one.
    const VERSION: u8;

    /// Decodes a layout that earlier binaries wrote.
    fn upgrade(version: u8, _bytes: &[u8]) -> Option<Self> {
        let _ = version;
        None
    }

    /// Version byte and postcard.
    fn to_bytes(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![Self::VERSION])
            .expect("rows are plain data: postcard only fails on unsized sequences and full buffers")
    }

    /// The row, if the bytes are one.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&version, body) = bytes.split_first()?;
        if version == Self::VERSION { postcard::from_bytes(body).ok() } else { Self::upgrade(version, body) }
    }
}

/// Rows of one kind under keys of one kind. Declare as a `static`; ids are unique in the product and for ever.
pub struct Table<K: 'static, V: 'static> {
    pub id: u16,
    pub name: &'static str,
    indexes: &'static [&'static Index<K, V>],
}

/// A secondary index: for each row, the keys under which it is found too. Kept by [`Table::put`] and [`Table::delete`].
pub struct Index<K, V> {
    pub id: u16,
    pub name: &'static str,
    keys: fn(&K, &V, &mut IndexKeys),
}

impl<K: KeyPart, V> Index<K, V> {
    /// `keys` adds none, one or many keys for a row.
    #[must_use]
    pub const fn new(id: u16, name: &'static str, keys: fn(&K, &V, &mut IndexKeys)) -> Self {
        Self { id, name, keys }
    }

    pub(crate) fn entries(&self, key: &K, row: &V) -> Vec<Vec<u8>> {
        let mut keys = IndexKeys { index: self.id, primary: key.to_key(), entries: Vec::new() };
        (self.keys)(key, row, &mut keys);
        keys.entries
    }
}

/// Collects a row's index keys.
pub struct IndexKeys {
    index: u16,
    primary: Vec<u8>,
    entries: Vec<Vec<u8>>,
}

impl IndexKeys {
    /// The row is found under `fields` (the primary key is appended, so that equal fields do not collide).
    pub fn add(&mut self, fields: &impl KeyPart) {
        let mut entry = self.index.to_key();
        fields.encode(&mut entry);
        entry.extend_from_slice(&self.primary);
        self.entries.push(entry);
    }
}

/// Where a scan stands: the encoded key of the last entry seen. Opaque outside; lists hand it to clients as a cursor.
pub type Cursor = Vec<u8>;

/// What a scan yields, in its order.
pub type Rows<'a, T> = Box<dyn Iterator<Item = T> + 'a>;

impl<K: KeyPart + 'static, V: Row + 'static> Table<K, V> {
    /// A table and its indexes.
    #[must_use]
    pub const fn new(id: u16, name: &'static str, indexes: &'static [&'static Index<K, V>]) -> Self {
        assert!(id != 0, "table 0 is storage's own");
        Self { id, name, indexes }
    }

    /// The ids that this table uses: its own and its indexes'.
    pub fn ids(&self) -> impl Iterator<Item = u16> + '_ {
        std::iter::once(self.id).chain(self.indexes.iter().map(|index| index.id))
    }

    pub(crate) fn indexes(&self) -> &'static [&'static Index<K, V>] {
        self.indexes
    }

    fn raw_key(&self, key: &K) -> Vec<u8> {
        let mut bytes = self.id.to_key();
        key.encode(&mut bytes);
        bytes
    }

    /// The row under `key`.
    pub fn get(&self, read: &(impl Read + ?Sized), key: &K) -> Option<V> {
        let raw = self.raw_key(key);
        read.get_raw(&raw).map(|value| Self::decode(&raw, &value))
    }

    /// Where changes of the row under `key` leave their number.
    pub fn trace(&self, key: &K) -> Trace {
        Trace::of_key(&self.raw_key(key))
    }

    /// Whether there is a row under `key`.
    pub fn has(&self, read: &(impl Read + ?Sized), key: &K) -> bool {
        read.get_raw(&self.raw_key(key)).is_some()
    }

    fn decode(raw: &[u8], value: &[u8]) -> V {
        V::from_bytes(value).unwrap_or_else(|| {
            let version = value.first().copied().unwrap_or(0);
            raise(Fault::damaged(raw, format!("version {version} does not decode (this binary writes {})", V::VERSION)))
        })
    }

    /// Writes the row and whatever its indexes need.
    pub fn put(&self, txn: &mut Txn<'_>, key: &K, row: &V) {
        let raw = self.raw_key(key);
        if !self.indexes.is_empty() {
            let old = txn.get_raw(&raw).map(|value| Self::decode(&raw, &value));
            let primary: Value = key.to_key().into();
            for index in self.indexes {
                let before = old.as_ref().map(|old| index.entries(key, old)).unwrap_or_default();
                let after = index.entries(key, row);
                for gone in before.iter().filter(|entry| !after.contains(entry)) {
                    txn.set_raw(gone, None);
                }
                for new in after.iter().filter(|entry| !before.contains(entry)) {
                    txn.set_raw(new, Some(primary.clone()));
                }
            }
        }
        txn.set_raw(&raw, Some(row.to_bytes().into()));
    }

    /// Writes a row under a key that the caller has found to have none: the same as [`Table::put`] without the look at what was there.
    pub fn put_new(&self, txn: &mut Txn<'_>, key: &K, row: &V) {
        let raw = self.raw_key(key);
        debug_assert!(txn.get_raw(&raw).is_none(), "there is a row already: its index entries would stay");
        if !self.indexes.is_empty() {
            let primary: Value = key.to_key().into();
            for entry in self.indexes.iter().flat_map(|index| index.entries(key, row)) {
                txn.set_raw(&entry, Some(primary.clone()));
            }
        }
        txn.set_raw(&raw, Some(row.to_bytes().into()));
    }

    /// Adds the entries that `key`'s row needs and has not: those of an index that is newer than the row. Whether there were any. For migrations.
    pub fn mend(&self, txn: &mut Txn<'_>, key: &K) -> bool {
        let Some(row) = self.get(txn, key) else { return false };
        let primary: Value = key.to_key().into();
        let needed = self.indexes.iter().flat_map(|index| index.entries(key, &row));
        let missing: Vec<Vec<u8>> = needed.filter(|entry| txn.get_raw(entry).is_none()).collect();
        missing.iter().for_each(|entry| txn.set_raw(entry, Some(primary.clone())));
        !missing.is_empty()
    }

    /// Removes the row and its index entries; the row that was there.
    pub fn delete(&self, txn: &mut Txn<'_>, key: &K) -> Option<V> {
        let raw = self.raw_key(key);
        let old = Self::decode(&raw, &txn.get_raw(&raw)?);
        for index in self.indexes {
            for entry in index.entries(key, &old) {
                txn.set_raw(&entry, None);
            }
        }
        txn.set_raw(&raw, None);
        Some(old)
    }

    /// All rows, by key.
    pub fn scan<'a>(&self, read: &'a (impl Read + ?Sized)) -> Rows<'a, (K, V)> {
        self.scan_prefix(read, &(), Direction::Forward)
    }

    /// Rows whose key begins with `prefix`.
    pub fn scan_prefix<'a>(&self, read: &'a (impl Read + ?Sized), prefix: &impl KeyPart, direction: Direction) -> Rows<'a, (K, V)> {
        let mut from = self.id.to_key();
        prefix.encode(&mut from);
        let to = after_prefix(&from);
        Self::rows(read.scan_raw(&from, &to, direction))
    }

    /// Rows with `from <= key < to`, where both are (beginnings of) keys.
    pub fn scan_range<'a>(
        &self,
        read: &'a (impl Read + ?Sized),
        from: &impl KeyPart,
        to: &impl KeyPart,
        direction: Direction,
    ) -> Rows<'a, (K, V)> {
        let (mut low, mut high) = (self.id.to_key(), self.id.to_key());
        from.encode(&mut low);
        to.encode(&mut high);
        Self::rows(read.scan_raw(&low, &high, direction))
    }

    fn rows(raw: Rows<'_, (Key, Value)>) -> Rows<'_, (K, V)> {
        Box::new(raw.map(|(raw, value)| (Self::primary(&raw, &raw[2..]), Self::decode(&raw, &value))))
    }

    fn primary(raw: &[u8], mut bytes: &[u8]) -> K {
        K::decode(&mut bytes).unwrap_or_else(|| raise(Fault::damaged(raw, "its key does not decode")))
    }

    /// Rows that `index` lists under `prefix` (the leading fields of its keys), in the index's order.
    pub fn find<'a>(&'static self, read: &'a (impl Read + ?Sized), index: &'static Index<K, V>, prefix: &impl KeyPart) -> Rows<'a, (K, V)> {
        Box::new(self.page(read, index, prefix, None, Direction::Forward).map(|(_, key, row)| (key, row)))
    }

    /// Like [`Table::find`], in either direction and from a cursor on (exclusive); yields the cursor of each row too.
    pub fn page<'a>(
        &'static self,
        read: &'a (impl Read + ?Sized),
        index: &'static Index<K, V>,
        prefix: &impl KeyPart,
        after: Option<&[u8]>,
        direction: Direction,
    ) -> Rows<'a, (Cursor, K, V)> {
        let mut from = index.id.to_key();
        prefix.encode(&mut from);
        let mut to = after_prefix(&from);
        // A cursor from elsewhere (another list, a tampered one) can only narrow the range, never leave it.
        if let Some(after) = after {
            match direction {
                Direction::Forward => from = from.max([after, &[0]].concat()),
                Direction::Backward => to = to.min(after.to_vec()),
            }
        }
        Box::new(read.scan_raw(&from, &to, direction).map(move |(entry, primary)| {
            let key = Self::primary(&entry, &primary);
            let raw = self.raw_key(&key);
            let row = read.get_raw(&raw).unwrap_or_else(|| raise(Fault::damaged(&entry, "an index entry without its row")));
            (entry.to_vec(), key, Self::decode(&raw, &row))
        }))
    }

    /// The keys only, for counting or joining by hand.
    pub fn keys<'a>(&self, read: &'a (impl Read + ?Sized), index: &'static Index<K, V>, prefix: &impl KeyPart) -> Rows<'a, K> {
        let mut from = index.id.to_key();
        prefix.encode(&mut from);
        let to = after_prefix(&from);
        Box::new(read.scan_raw(&from, &to, Direction::Forward).map(|(entry, primary)| Self::primary(&entry, &primary)))
    }
}

/// The smallest key above every key that begins with `prefix`.
#[must_use]
pub fn after_prefix(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xFF {
            end.push(last + 1);
            return end;
        }
    }
    vec![0xFF; 64]
}
