//! Tables without their types, so that all of them can be gone through: every row decodes, every index holds exactly what its rows say.

use std::collections::BTreeMap;

use crate::fault::{Fault, catch};
use crate::key::KeyPart;
use crate::table::{Row, Table, after_prefix};
use crate::view::{Direction, Read};

/// A table as the house's inventory sees it.
pub trait AnyTable: Sync {
    /// Its name.
    fn name(&self) -> &'static str;
    /// Its own id, then its indexes'.
    fn ids(&self) -> Vec<u16>;
    /// Goes through all rows and index entries; says what is wrong to `found`, a sentence each, and returns how many rows there are.
    fn inspect(&self, read: &dyn Read, found: &mut dyn FnMut(String)) -> u64;
}

impl<K: KeyPart + 'static, V: Row + 'static> AnyTable for Table<K, V> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn ids(&self) -> Vec<u16> {
        Table::ids(self).collect()
    }

    fn inspect(&self, read: &dyn Read, found: &mut dyn FnMut(String)) -> u64 {
        let mut rows = 0;
        let mut entries: BTreeMap<u16, u64> = BTreeMap::new();
        let walked = catch(|| {
            let from = self.id.to_key();
            for (raw, value) in read.scan_raw(&from, &after_prefix(&from), Direction::Forward) {
                rows += 1;
                let mut fields = &raw[2..];
                let key = K::decode(&mut fields).filter(|_| fields.is_empty());
                let (Some(key), Some(row)) = (key, V::from_bytes(&value)) else {
                    found(format!("{}: {}", self.name, Fault::damaged(&raw, "it does not decode")));
                    continue;
                };
                let primary = key.to_key();
                for index in self.indexes() {
                    let mut expected = index.entries(&key, &row);
                    expected.sort_unstable();
                    expected.dedup();
                    *entries.entry(index.id).or_default() += expected.len() as u64;
                    for entry in expected {
                        if read.get_raw(&entry).as_deref() != Some(&primary[..]) {
                            found(format!("{}: {}", index.name, Fault::damaged(&entry, "the entry that a row needs is not there")));
                        }
                    }
                }
            }
            for index in self.indexes() {
                let from = index.id.to_key();
                let there = read.scan_raw(&from, &after_prefix(&from), Direction::Forward).count() as u64;
                let needed = entries.get(&index.id).copied().unwrap_or(0);
                if there != needed {
                    found(format!("{}: {there} entries, and its table's rows need {needed}", index.name));
                }
            }
        });
        if let Err(fault) = walked {
            found(format!("{}: {fault}", self.name));
        }
        rows
    }
}
