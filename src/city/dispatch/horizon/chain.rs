//! What one courier would do from now on: trips one after another, each from one counter to its doors; and what that costs.

use super::Weights;
use super::town::{Town, Wish};

/// Doors of one trip, at most.
pub const DOORS_MAX: usize = 6;

/// Wishes of one counter in the sequence of their doors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trip {
    doors: [u16; DOORS_MAX],
    len: u8,
}

impl Trip {
    /// A trip to one door.
    #[must_use]
    pub fn to(wish: usize) -> Self {
        let mut trip = Self { doors: [0; DOORS_MAX], len: 0 };
        trip.insert(0, wish);
        trip
    }

    /// A trip through several doors in this sequence; `None` if there is none, or there are too many.
    #[must_use]
    pub fn through(wishes: &[usize]) -> Option<Self> {
        let (first, others) = wishes.split_first().filter(|(_, others)| others.len() < DOORS_MAX)?;
        let mut trip = Self::to(*first);
        others.iter().for_each(|wish| trip.insert(trip.len(), *wish));
        Some(trip)
    }

    /// The doors in sequence. Never empty.
    pub fn wishes(&self) -> impl DoubleEndedIterator<Item = usize> + Clone + '_ {
        self.doors[..usize::from(self.len)].iter().map(|wish| usize::from(*wish))
    }

    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a trip is never empty")]
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Puts another door at a place of the sequence.
    ///
    /// # Panics
    /// If the trip is full, or the number of the wish does not fit (a round plans far fewer).
    pub fn insert(&mut self, at: usize, wish: usize) {
        let len = self.len();
        self.doors.copy_within(at..len, at + 1);
        self.doors[at] = u16::try_from(wish).expect("a round plans at most a few thousand wishes");
        self.len += 1;
    }

    /// Takes a door out; `None` if it was the last one.
    #[must_use]
    pub fn without(mut self, wish: usize) -> Option<Self> {
        let at = self.wishes().position(|door| door == wish)?;
        let len = self.len();
        self.doors.copy_within(at + 1..len, at);
        self.len -= 1;
        (self.len > 0).then_some(self)
    }

    #[must_use]
    pub fn counter(&self, town: &Town) -> usize {
        town.wishes[usize::from(self.doors[0])].counter
    }

    #[must_use]
    pub fn size(&self, town: &Town) -> u32 {
        self.wishes().map(|wish| town.wishes[wish].size).sum()
    }

    /// When all of it is ready.
    #[must_use]
    pub fn ready_s(&self, town: &Town) -> i64 {
        self.wishes().map(|wish| town.wishes[wish].ready_s).max().unwrap_or(i64::MIN)
    }
}

/// The hours of one trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    /// The latest departure that does not delay the pickup; for who was sent already, when they are there.
    pub leave_s: i64,
    pub pickup_s: i64,
    pub end_s: i64,
}

/// Where a walk through trips stands.
#[derive(Clone, Copy, Debug)]
struct Walk {
    free_s: i64,
    /// `None`: where the hand is free first.
    door: Option<usize>,
    cost: i64,
    carried: u32,
}

/// What is impossible.
pub const NEVER: i64 = i64::MAX / 8;

/// The cost of bringing a wish at `dropoff_s`. What has been waited before now is lost whatever is done, and does not count.
fn wait_cost(town: &Town, weights: &Weights, wish: &Wish, dropoff_s: i64) -> i64 {
    let waits_s = dropoff_s - wish.ready_s.max(town.now_s);
    let late_s = (dropoff_s - wish.due_s.max(town.now_s)).max(0);
    waits_s * weights.wait + late_s * weights.late
}

fn begin(town: &Town, hand: usize) -> Walk {
    let known = &town.hands[hand];
    // Who stands at a counter already has some of the service behind them.
    let free_s = if known.sent_to.is_some() { known.free_s } else { known.free_s.max(town.now_s) };
    Walk { free_s, door: None, cost: 0, carried: 0 }
}

fn step(town: &Town, weights: &Weights, hand: usize, first: bool, walk: Walk, trip: &Trip) -> Option<(Walk, Hours)> {
    let known = &town.hands[hand];
    let counter = trip.counter(town);
    let sent = first && known.sent_to.is_some();
    let way_s = match walk.door {
        _ if sent => 0, // `free_s` is the arrival
        None => town.ways.from_hand(hand, counter)?,
        Some(door) => town.ways.from_door(known.class, door, counter)?,
    };
    let half_s = town.service.pickup_s / 2;
    let pickup_s = (walk.free_s + way_s + half_s).max(trip.ready_s(town)).max(town.now_s);
    if pickup_s > known.off_s || trip.size(town) > known.room || (sent && known.sent_to != Some(counter)) {
        return None;
    }
    let leave_s = if sent { walk.free_s } else { (pickup_s - half_s - way_s).max(walk.free_s) };
    let mut at_s = pickup_s + half_s;
    let mut cost = walk.cost;
    let mut previous = None;
    let half_s = town.service.dropoff_s / 2;
    for wish in trip.wishes() {
        let leg_s = match previous {
            None => town.ways.own(known.class, wish),
            Some(previous) => town.ways.between(known.class, previous, wish),
        };
        let dropoff_s = at_s + leg_s + half_s;
        cost += wait_cost(town, weights, &town.wishes[wish], dropoff_s);
        at_s = dropoff_s + half_s;
        previous = Some(wish);
    }
    // Standing in front of a counter costs the courier what riding does.
    cost += (at_s - leave_s) * weights.busy;
    // Of those who cost nearly the same, who has earned less.
    cost += trip.len() as i64 * i64::from(known.pay_permille) * weights.fair;
    let carried = walk.carried + trip.len() as u32;
    cost += i64::from(carried.saturating_sub(known.owed).min(trip.len() as u32)) * weights.pay;
    Some((Walk { free_s: at_s, door: previous, cost, carried }, Hours { leave_s, pickup_s, end_s: at_s }))
}

/// What a hand's trips cost together; [`NEVER`] if one cannot be done.
pub fn cost<'a>(town: &Town, weights: &Weights, hand: usize, trips: impl IntoIterator<Item = &'a Trip>) -> i64 {
    let mut walk = begin(town, hand);
    for (place, trip) in trips.into_iter().enumerate() {
        match step(town, weights, hand, place == 0, walk, trip) {
            Some((next, _)) => walk = next,
            None => return NEVER,
        }
    }
    // Whoever goes home afterwards is worth the same everywhere.
    let rest = walk.door.filter(|_| walk.free_s < town.hands[hand].off_s);
    walk.cost + rest.map_or(0, |door| town.rest.farther_s(hand, door) * weights.rest)
}

/// When a hand would do its trips; it stops where one cannot be done.
#[must_use]
pub fn hours(town: &Town, weights: &Weights, hand: usize, trips: &[Trip]) -> Vec<Hours> {
    let begin = begin(town, hand);
    let walk = trips.iter().enumerate().scan(begin, |walk, (place, trip)| {
        let (next, hours) = step(town, weights, hand, place == 0, *walk, trip)?;
        *walk = next;
        Some(hours)
    });
    walk.collect()
}
