//! What stays and what goes.

use std::collections::{BTreeMap, BTreeSet};

use storage::archive::{PieceName, Place};

use super::config::Keep;
use super::destination::{Destination, plain_name};
use super::manifest::MANIFEST;
use super::pictures;

const MS_PER_DAY: i64 = 86_400_000;
/// 1970-01-01 was a Thursday.
const MONDAY: i64 = 3;

/// The snapshots that the policy wants, of those that are there; the newest always.
#[must_use]
pub fn wanted(there: &[Place], keep: Keep) -> BTreeSet<Place> {
    let mut newest_first: Vec<&Place> = there.iter().collect();
    newest_first.sort_unstable_by_key(|place| std::cmp::Reverse((place.epoch, place.seq)));
    let mut wanted: BTreeSet<Place> = newest_first.iter().take(keep.last.max(1) as usize).map(|place| **place).collect();
    let day = |place: &Place| place.time.millis().div_euclid(MS_PER_DAY);
    let week = |place: &Place| (day(place) + MONDAY).div_euclid(7);
    for (many, bucket) in [(keep.daily, &day as &dyn Fn(&Place) -> i64), (keep.weekly, &week)] {
        let mut newest_of: BTreeMap<i64, Place> = BTreeMap::new();
        for place in newest_first.iter().rev() {
            newest_of.insert(bucket(place), **place);
        }
        wanted.extend(newest_of.into_values().rev().take(many as usize));
    }
    wanted
}

/// What is in a destination, by its names.
pub struct Stock {
    /// Whole ones, oldest first.
    pub snapshots: Vec<Place>,
    /// Names of all objects below `snapshots/`, by the folder that they are in.
    objects: BTreeMap<Place, Vec<String>>,
    /// Pieces of the log and the names of their objects.
    pub pieces: BTreeMap<PieceName, String>,
}

impl Stock {
    /// Lists the destination.
    ///
    /// # Errors
    /// A sentence.
    pub fn of(at: &Destination) -> Result<Self, String> {
        let mut objects: BTreeMap<Place, Vec<String>> = BTreeMap::new();
        for name in at.list("snapshots")?.into_keys() {
            if let Some((folder, object)) = name.split_once('/')
                && let Ok(place) = folder.parse()
            {
                objects.entry(place).or_default().push(object.to_owned());
            }
        }
        let is_whole = |(place, names): (&Place, &Vec<String>)| names.iter().any(|name| name == MANIFEST).then_some(*place);
        let snapshots = objects.iter().filter_map(is_whole).collect();
        let piece = |name: String| plain_name(&name).strip_suffix(".rec").and_then(|piece| piece.parse().ok()).map(|piece| (piece, name));
        let pieces = at.list("log")?.into_keys().filter_map(piece).collect();
        Ok(Self { snapshots, objects, pieces })
    }
}

/// Removes what the policy no longer wants: snapshots, uploads that were given up, the log that no snapshot needs, and pictures that neither a snapshot
/// needs nor the state as it is (`pictures_now`). Returns how many objects went.
///
/// # Errors
/// A sentence; what is left is whole.
pub fn prune(at: &Destination, keep: Keep, pictures_now: &BTreeSet<[u8; 32]>) -> Result<u64, String> {
    let stock = Stock::of(at)?;
    let wanted = wanted(&stock.snapshots, keep);
    let (Some(oldest), Some(newest)) = (wanted.first(), wanted.last()) else { return Ok(0) };
    let mut removed = 0;
    for (place, objects) in &stock.objects {
        // An upload without its manifest that is newer than all may be under way.
        if wanted.contains(place) || (!stock.snapshots.contains(place) && place > newest) {
            continue;
        }
        let manifest_first = objects.iter().filter(|name| *name == MANIFEST).chain(objects.iter().filter(|name| *name != MANIFEST));
        for object in manifest_first {
            at.delete(&format!("snapshots/{place}/{object}"))?;
            removed += 1;
        }
        tracing::info!(%place, at = at.shown(), "an old snapshot was removed");
    }
    for (_, object) in stock.pieces.iter().filter(|(piece, _)| piece.end.seq <= oldest.seq) {
        at.delete(&format!("log/{object}"))?;
        removed += 1;
    }
    Ok(removed + pictures::prune(at, &wanted, pictures_now)?)
}

#[cfg(test)]
mod tests {
    use storage::Timestamp;

    use super::*;

    fn at(seq: u64, day: &str) -> Place {
        let time: Timestamp = format!("{day}T12:00:00.000Z").parse().expect("a time");
        Place { seq, epoch: 1, time, hash: [0; 8] }
    }

    #[test]
    fn the_policy_keeps_what_it_says() {
        let there = [
            at(1, "2026-11-01"), // Sunday
            at(2, "2026-11-02"), // Monday
            at(3, "2026-11-08"), // Sunday of that week
            at(4, "2026-11-10"),
            at(5, "2026-11-10"),
            at(6, "2026-11-11"),
        ];
        let cases: [(Keep, &[u64]); 5] = [
            (Keep { last: 0, daily: 0, weekly: 0 }, &[6]),
            (Keep { last: 2, daily: 0, weekly: 0 }, &[5, 6]),
            (Keep { last: 1, daily: 3, weekly: 0 }, &[3, 5, 6]),
            (Keep { last: 1, daily: 0, weekly: 3 }, &[1, 3, 6]),
            (Keep { last: 9, daily: 9, weekly: 9 }, &[1, 2, 3, 4, 5, 6]),
        ];
        for (keep, expected) in cases {
            let kept: Vec<u64> = wanted(&there, keep).into_iter().map(|place| place.seq).collect();
            assert_eq!(kept, expected, "{keep:?}");
        }
    }
}
