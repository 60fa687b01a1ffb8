//! Numbers that people can say across a counter: letters that are not mistaken for others, then two digits.

use storage::Timestamp;

use super::record::{Given, ORDER_NUMBERS};
use crate::city::cities::{City, CityId};
use crate::engine::Tx;

/// Letters that sound and look different from each other and from digits (no B/D/P/T together, no I, O, Q, S, Z).
const LETTERS: &[u8; 12] = b"ACEFHKLMRUXY";

/// The next number of the city's day.
pub fn next(tx: &mut Tx<'_, '_>, id: CityId, city: &City) -> String {
    let key = (id, day(tx.now(), city));
    let given = ORDER_NUMBERS.get(tx, &key).map_or(0, |given| given.0);
    ORDER_NUMBERS.put(tx, &key, &Given(given + 1));
    spoken(given)
}

/// Days since 1970-01-01 by the city's own calendar.
fn day(now: Timestamp, city: &City) -> i64 {
    let instant = jiff::Timestamp::from_millisecond(now.millis()).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let offset_s = i64::from(city.zone().to_offset(instant).seconds());
    (now.millis() / 1000 + offset_s).div_euclid(86_400)
}

/// The `n`th number from 0: `A01` … `A99`, `C01` … `Y99`, `AA01` ….
fn spoken(n: u32) -> String {
    let digits = n % 99 + 1;
    let mut block = n / 99;
    let mut letters = Vec::new();
    loop {
        letters.push(LETTERS[(block % 12) as usize] as char);
        if block < 12 {
            break;
        }
        block = block / 12 - 1;
    }
    let letters: String = letters.iter().rev().collect();
    format!("{letters}{digits:02}")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn numbers_are_short_and_different() {
        for (n, expected) in [(0, "A01"), (98, "A99"), (99, "C01"), (99 * 12 - 1, "Y99"), (99 * 12, "AA01"), (99 * 12 * 13, "AAA01")] {
            assert_eq!(spoken(n), expected);
        }
        let all: HashSet<String> = (0..100_000).map(spoken).collect();
        assert_eq!(all.len(), 100_000);
        assert!(all.iter().all(|number| number.len() <= 5));
    }
}
