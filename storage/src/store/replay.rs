//! What recovery replays, on its way into a layer: gathered first and put in order at once. Entries that come in any order cost a tree of a million keys a dozen
//! misses of the cache each; in ascending order they cost hardly any.

use super::entry_bytes;
use crate::view::Layer;
use crate::{Change, Key};

/// The beginning of a key, beside it: most comparisons end here, without a look at the key itself.
type Prefix = [u8; 24];

/// Changes in the order of the log.
#[derive(Default)]
pub(super) struct Replayed {
    entries: Vec<(Prefix, Key, Change)>,
    bytes: usize,
}

impl Replayed {
    pub fn add(&mut self, key: Key, change: Change) {
        self.bytes += entry_bytes(&key, &change);
        self.entries.push((prefix(&key), key, change));
    }

    /// What was added, everything that was overwritten later included.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The layer that all of it makes, and its size. The last change of a key counts.
    pub fn into_layer(self) -> (Layer, usize) {
        let mut entries = self.entries;
        // Stable: changes of one key stay in the log's order.
        entries.sort_by(|left, right| left.0.cmp(&right.0).then_with(|| left.1.cmp(&right.1)));
        let (mut layer, mut bytes) = (Layer::new(), 0);
        let mut entries = entries.into_iter().peekable();
        while let Some((_, key, change)) = entries.next() {
            if entries.peek().is_none_or(|(_, next, _)| *next != key) {
                bytes += entry_bytes(&key, &change);
                layer.insert(key, change);
            }
        }
        (layer, bytes)
    }
}

/// Padded with zeros, so that it never sorts a key after one that it is the beginning of.
fn prefix(key: &[u8]) -> Prefix {
    let mut prefix = Prefix::default();
    let length = key.len().min(prefix.len());
    prefix[..length].copy_from_slice(&key[..length]);
    prefix
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// It is what inserting one after the other would make, whatever the keys have in common.
        #[test]
        fn the_last_change_of_each_key_counts(
            changes in vec((vec(0_u8..3, 0..30), proptest::option::of(vec(any::<u8>(), 0..4))), 0..200)
        ) {
            let (mut replayed, mut layer) = (Replayed::default(), Layer::new());
            for (key, change) in changes {
                let (key, change): (Key, Change) = (key.into(), change.map(Into::into));
                replayed.add(key.clone(), change.clone());
                layer.insert(key, change);
            }
            let bytes: usize = layer.iter().map(|(key, change)| entry_bytes(&key, &change)).sum();
            prop_assert!(replayed.bytes() >= bytes);
            let (made, counted) = replayed.into_layer();
            prop_assert_eq!(counted, bytes);
            prop_assert!(made.iter().eq(layer.iter()));
        }
    }
}
