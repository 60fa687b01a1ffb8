//! What couriers do, known beside their slots: a search that shows ten couriers does not read ten rows.
//!
//! A slot's tag holds what a courier's presence row said, whether there was a row of their silence, and the command up to which that was seen. It counts
//! only as long as neither has been written since.

use std::sync::OnceLock;

use index::geo::Seen;
use storage::{Moment, Read};

use super::live::Tracking;
use crate::city::couriers::model::{PRESENCES, SILENCES};
use crate::city::couriers::{Availability, CourierId, views};

/// What of a presence a search shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doing {
    pub availability: Availability,
    /// Units in their hands.
    pub load: u32,
    /// Not heard of: the row of their silence says since when.
    pub silent: bool,
}

/// Whose sequence numbers the tags hold.
#[derive(Default)]
pub(super) struct Hints(OnceLock<Moment>);

const LOAD_BITS: u32 = 20;
const AVAILABILITY_BITS: u32 = 2;
const SILENT_BITS: u32 = 1;
const DOING_BITS: u32 = LOAD_BITS + AVAILABILITY_BITS + SILENT_BITS;

/// `None` for what has no room: it is read each time.
fn pack(seq: u64, doing: Doing) -> Option<u64> {
    let fits = doing.load < 1 << LOAD_BITS && seq < 1 << (u64::BITS - DOING_BITS);
    let availability = match doing.availability {
        Availability::Online => 0,
        Availability::Offline => 1,
        Availability::Break => 2,
    };
    let said = u64::from(doing.load) << AVAILABILITY_BITS | availability;
    fits.then_some((seq << (LOAD_BITS + AVAILABILITY_BITS) | said) << SILENT_BITS | u64::from(doing.silent))
}

/// The sequence number and what it was; `None` for a tag that was never set.
fn unpack(tag: u64) -> Option<(u64, Doing)> {
    let (said, silent) = (tag >> SILENT_BITS, tag & 1 == 1);
    let availability = match said & ((1 << AVAILABILITY_BITS) - 1) {
        0 => Availability::Online,
        1 => Availability::Offline,
        _ => Availability::Break,
    };
    let load = (said >> AVAILABILITY_BITS) & ((1 << LOAD_BITS) - 1);
    (tag != 0).then_some((tag >> DOING_BITS, Doing { availability, load: load as u32, silent }))
}

impl Tracking {
    /// What somebody whom a search found does, by the rows of `read`.
    pub fn doing(&self, read: &(impl Read + ?Sized), seen: &Seen) -> Doing {
        let courier = CourierId::from_u128(seen.id);
        let asked = || {
            let presence = views::presence(read, courier);
            Doing { availability: presence.availability, load: presence.load(), silent: views::silence(read, courier).is_some() }
        };
        let Some(now) = read.moment() else { return asked() };
        let store = *self.known_by.0.get_or_init(|| now);
        if !store.is_beside(now) {
            return asked();
        }
        if let Some((since, doing)) = unpack(seen.tag)
            && read.stands(&[PRESENCES.trace(&courier), SILENCES.trace(&courier)], store.at(since))
        {
            return doing;
        }
        let doing = asked();
        if let Some(tag) = pack(now.seq, doing) {
            self.positions.set_tag(seen.slot, tag);
        }
        doing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_out_again() {
        for availability in [Availability::Online, Availability::Offline, Availability::Break] {
            for (seq, load, silent) in [(1, 0, false), (1, 0, true), (7, 3, false), ((1 << 41) - 1, (1 << 20) - 1, true)] {
                let doing = Doing { availability, load, silent };
                assert_eq!(pack(seq, doing).and_then(unpack), Some((seq, doing)));
            }
        }
        assert_eq!(unpack(0), None);
        let doing = Doing { availability: Availability::Online, load: 1 << 20, silent: false };
        assert_eq!(pack(1, doing), None, "no room");
        assert_eq!(pack(1 << 41, Doing { load: 0, ..doing }), None, "no room");
    }
}
