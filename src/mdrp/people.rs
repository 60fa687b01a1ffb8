//! Couriers and kitchens as they are: some say no, some vanish, food is early or late. A seed decides, so that a day can be played again.

use super::instance::{Instance, Order};

/// How people are. All shares are thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct People {
    pub seed: u64,
    pub declines_permille: u64,
    /// A kitchen takes this much more or less than it said, at most.
    pub kitchen_permille: u64,
    /// Couriers who stop in the middle of their shift without a word.
    pub vanish_permille: u64,
    /// After how long without a word somebody is taken for gone.
    pub silence_s: i64,
    shifts: Shifts,
}

/// Where in their shift somebody vanishes, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shifts {
    from_permille: u64,
    to_permille: u64,
}

/// What a courier says to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Yes,
    No,
}

/// What each throw is for, so that no two share one.
#[derive(Clone, Copy)]
enum Throw {
    Decline = 1,
    Kitchen = 2,
    Vanish = 3,
    When = 4,
}

impl People {
    /// Everybody obeys, all is ready when it was said.
    #[must_use]
    pub fn obedient() -> Self {
        let shifts = Shifts { from_permille: 0, to_permille: 0 };
        Self { seed: 0, declines_permille: 0, kitchen_permille: 0, vanish_permille: 0, silence_s: 0, shifts }
    }

    /// 25 % of calls declined, kitchens up to half off, 5 % of couriers gone mid-shift (noticed after five minutes).
    #[must_use]
    pub fn real(seed: u64) -> Self {
        let shifts = Shifts { from_permille: 250, to_permille: 750 };
        Self { seed, declines_permille: 250, kitchen_permille: 500, vanish_permille: 50, silence_s: 300, shifts }
    }

    /// The day as the kitchens really make it.
    #[must_use]
    pub fn cook(&self, instance: &Instance) -> Instance {
        let mut real = instance.clone();
        for (number, order) in real.orders.iter_mut().enumerate() {
            order.ready_s = self.really_s(number, order);
        }
        real
    }

    fn really_s(&self, number: usize, order: &Order) -> i64 {
        let said_s = order.ready_s - order.placed_s;
        if said_s <= 0 || self.kitchen_permille == 0 {
            return order.ready_s;
        }
        let off = self.throw(Throw::Kitchen, number as u64, 0, 2 * self.kitchen_permille + 1) as i64 - self.kitchen_permille as i64;
        // Whole minutes, as everything in an instance.
        order.placed_s + (said_s * (1_000 + off) / 1_000).div_euclid(60) * 60
    }

    pub(super) fn answer(&self, courier: usize, order: usize, now_s: i64) -> Answer {
        let thrown = self.throw(Throw::Decline, (courier as u64) << 32 | order as u64, now_s as u64, 1_000);
        if thrown < self.declines_permille { Answer::No } else { Answer::Yes }
    }

    /// When a courier vanishes, if they do. `on_s..off_s` is their shift.
    pub(super) fn vanishing_s(&self, courier: usize, on_s: i64, off_s: i64) -> Option<i64> {
        let does = self.throw(Throw::Vanish, courier as u64, 0, 1_000) < self.vanish_permille;
        let Shifts { from_permille, to_permille } = self.shifts;
        let at = from_permille + self.throw(Throw::When, courier as u64, 0, to_permille - from_permille + 1);
        does.then_some(on_s + (off_s - on_s) * at as i64 / 1_000)
    }

    /// A number below `below`.
    fn throw(&self, what: Throw, a: u64, b: u64, below: u64) -> u64 {
        let mixed = [self.seed, what as u64, a, b].into_iter().fold(0x9e37_79b9_7f4a_7c15, |state, word| mix(state ^ word));
        mixed % below.max(1)
    }
}

/// One step of SplitMix64 (Steele, Lea, Flood 2014).
fn mix(state: u64) -> u64 {
    let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
