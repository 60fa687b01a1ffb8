//! The best plan that can be found quickly: wishes are inserted where they cost least, then moved, and couriers exchange what they would do next.
//! Deterministic, and it stops by counting, not by the clock.

use std::cell::Cell;
use std::collections::BTreeMap;

use super::Weights;
use super::assign::assign_sparse;
use super::chain::{DOORS_MAX, NEVER, Trip, cost};
use super::town::Town;

/// A trip each hand would do after another, and what nobody would.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub chains: Vec<Vec<Trip>>,
    pub left: Vec<usize>,
}

/// Sweeps over all wishes and pairs; most moments settle after three.
const SWEEPS_MAX: usize = 8;
/// Trips planned ahead for one hand.
const TRIPS_MAX: usize = 8;
/// Hands tried for a wish: the soonest at its counter.
const NEAR: usize = 24;
/// Sweeps that end with an exact assignment: later ones hardly move anybody, and it costs the most.
const ASSIGNED_MAX: usize = 3;
/// Chains weighed in one search. A busy evening of one town settles with a tenth of it; a city's worst moment ends here, with the best plan so far.
const WEIGHED_MAX: u64 = 400_000;

/// A search under way.
pub struct Search<'t> {
    town: &'t Town,
    weights: &'t Weights,
    chains: Vec<Vec<Trip>>,
    costs: Vec<i64>,
    /// By wish: whose chain it is in.
    with: Vec<Option<usize>>,
    /// By counter: its wishes.
    of_counter: Vec<Vec<usize>>,
    /// By counter: hands, the soonest there first.
    near: Vec<Vec<usize>>,
    /// By hand: counters where it is one of the soonest, in order.
    close: Vec<Vec<usize>>,
    /// By hand: the sweep in which its chain changed last.
    changed: Vec<usize>,
    sweep: usize,
    weighed: Cell<u64>,
    scratch: Vec<Trip>,
}

/// Where a wish could go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    added: i64,
    hand: usize,
    trip: usize,
    /// A door's place in that trip; `None`: a trip of its own before it.
    door: Option<usize>,
}

impl<'t> Search<'t> {
    /// Everybody does only what is theirs for good.
    #[must_use]
    pub fn new(town: &'t Town, weights: &'t Weights) -> Self {
        let counters = town.wishes.iter().map(|wish| wish.counter + 1).max().unwrap_or(0);
        let near: Vec<Vec<usize>> = (0..counters).map(|counter| soonest(town, counter)).collect();
        let mut of_counter = vec![Vec::new(); counters];
        for (wish, known) in town.wishes.iter().enumerate() {
            of_counter[known.counter].push(wish);
        }
        let mut close = vec![Vec::new(); town.hands.len()];
        for (counter, hands) in near.iter().enumerate() {
            for hand in hands.iter().take(NEAR) {
                close[*hand].push(counter);
            }
        }
        let mut search = Self {
            town,
            weights,
            chains: vec![Vec::new(); town.hands.len()],
            costs: vec![0; town.hands.len()],
            with: vec![None; town.wishes.len()],
            of_counter,
            near,
            close,
            changed: vec![0; town.hands.len()],
            sweep: 0,
            weighed: Cell::new(0),
            scratch: Vec::new(),
        };
        let mut owned: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (wish, known) in town.wishes.iter().enumerate() {
            if let Some(hand) = known.owner {
                owned.entry(hand).or_default().push(wish);
            }
        }
        for (hand, theirs) in owned {
            if let Some((first, others)) = theirs.split_first() {
                let mut trip = Trip::to(*first);
                for wish in others.iter().take(DOORS_MAX - 1) {
                    trip = best_place(town, weights, hand, trip, *wish);
                }
                search.put(hand, vec![trip]);
            }
        }
        search
    }

    /// Begins with trips that somebody else thought of.
    pub fn give(&mut self, hand: usize, trip: Trip) {
        let mut chain = self.chains[hand].clone();
        chain.push(trip);
        if cost(self.town, self.weights, hand, &chain) < NEVER {
            self.put(hand, chain);
        }
    }

    fn price<'a>(&self, hand: usize, trips: impl IntoIterator<Item = &'a Trip>) -> i64 {
        self.weighed.set(self.weighed.get() + 1);
        cost(self.town, self.weights, hand, trips)
    }

    fn is_spent(&self) -> bool {
        self.weighed.get() >= WEIGHED_MAX
    }

    fn put(&mut self, hand: usize, chain: Vec<Trip>) {
        self.costs[hand] = self.price(hand, &chain);
        self.changed[hand] = self.sweep;
        for wish in chain.iter().flat_map(Trip::wishes) {
            self.with[wish] = Some(hand);
        }
        self.chains[hand] = chain;
    }

    /// The best slot for a wish that is in no chain.
    fn slot(&mut self, wish: usize) -> Option<Slot> {
        let town = self.town;
        let counter = town.wishes[wish].counter;
        // The soonest there, and whoever goes there anyway.
        let mut tried: Vec<usize> = self.near[counter].iter().copied().filter(|hand| town.may(*hand, wish)).take(NEAR).collect();
        let shares = self.of_counter[counter].iter().filter_map(|other| self.with[*other]).filter(|hand| town.may(*hand, wish));
        tried.extend(shares);
        tried.sort_unstable();
        tried.dedup();
        let mut best = None;
        for hand in tried {
            self.slots(wish, hand, &mut best);
        }
        best
    }

    fn slots(&mut self, wish: usize, hand: usize, best: &mut Option<Slot>) {
        let town = self.town;
        let counter = town.wishes[wish].counter;
        let mut scratch = std::mem::take(&mut self.scratch);
        let chain = &self.chains[hand];
        let mut consider = |scratch: &[Trip], trip, door| {
            let total = self.price(hand, scratch);
            if total < NEVER {
                let slot = Slot { added: total - self.costs[hand], hand, trip, door };
                if best.is_none_or(|best| slot < best) {
                    *best = Some(slot);
                }
            }
        };
        let first = usize::from(town.hands[hand].sent_to.is_some());
        for trip in 0..=chain.len() {
            if chain.len() < TRIPS_MAX && trip >= first {
                scratch.clear();
                scratch.extend_from_slice(&chain[..trip]);
                scratch.push(Trip::to(wish));
                scratch.extend_from_slice(&chain[trip..]);
                consider(&scratch, trip, None);
            }
            let Some(shared) = chain.get(trip).filter(|shared| shared.len() < DOORS_MAX && shared.counter(town) == counter) else {
                continue;
            };
            for door in 0..=shared.len() {
                scratch.clear();
                scratch.extend_from_slice(chain);
                scratch[trip].insert(door, wish);
                consider(&scratch, trip, Some(door));
            }
        }
        self.scratch = scratch;
    }

    fn insert(&mut self, wish: usize, slot: Slot) {
        let chain = &mut self.chains[slot.hand];
        match slot.door {
            Some(door) => chain[slot.trip].insert(door, wish),
            None => chain.insert(slot.trip, Trip::to(wish)),
        }
        self.costs[slot.hand] += slot.added;
        self.changed[slot.hand] = self.sweep;
        self.with[wish] = Some(slot.hand);
    }

    /// Takes a wish out of its chain; what that saves.
    fn remove(&mut self, wish: usize) -> i64 {
        let Some(hand) = self.with[wish].take() else { return 0 };
        let chain = &mut self.chains[hand];
        let at = chain.iter().position(|trip| trip.wishes().any(|door| door == wish)).expect("`with` says which chain holds it");
        match chain[at].without(wish) {
            Some(trip) => chain[at] = trip,
            None => drop(chain.remove(at)),
        }
        let before = self.costs[hand];
        self.costs[hand] = self.price(hand, &self.chains[hand]);
        before - self.costs[hand]
    }

    /// Inserts all that is left, the soonest ready first.
    pub fn fill(&mut self) {
        let mut left: Vec<usize> =
            (0..self.town.wishes.len()).filter(|wish| self.with[*wish].is_none() && self.town.wishes[*wish].owner.is_none()).collect();
        left.sort_by_key(|wish| (self.town.wishes[*wish].ready_s, *wish));
        for wish in left {
            if let Some(slot) = self.slot(wish).filter(|slot| slot.added < self.weights.left) {
                self.insert(wish, slot);
            }
        }
    }

    /// Moves single wishes to where they cost less. Whether anything got better.
    fn relocate(&mut self) -> bool {
        let mut better = false;
        let mut order: Vec<usize> = (0..self.town.wishes.len()).filter(|wish| self.town.wishes[*wish].owner.is_none()).collect();
        order.sort_by_key(|wish| (self.town.wishes[*wish].ready_s, *wish));
        for wish in order {
            if self.is_spent() {
                break;
            }
            let kept = self.with[wish].map(|hand| (hand, self.chains[hand].clone(), self.costs[hand]));
            let saved = if kept.is_some() { self.remove(wish) } else { self.weights.left };
            match self.slot(wish).filter(|slot| slot.added < saved) {
                Some(slot) => {
                    if let Some((hand, ..)) = kept {
                        self.changed[hand] = self.sweep;
                    }
                    self.insert(wish, slot);
                    better = true;
                }
                None => {
                    if let Some((hand, chain, cost)) = kept {
                        (self.chains[hand], self.costs[hand]) = (chain, cost);
                        self.with[wish] = Some(hand);
                    }
                }
            }
        }
        better
    }

    /// Pairs of hands exchange all that they would do from some trip on. Whether anything got better.
    fn exchange(&mut self) -> bool {
        let mut better = false;
        let mut partners = Vec::new();
        for a in 0..self.chains.len() {
            // Each pair once; of two who have nothing to do, never.
            if self.chains[a].is_empty() {
                continue;
            }
            self.partners(a, &mut partners);
            for b in partners.drain(..) {
                if self.chains[a].is_empty() {
                    break;
                }
                let is_other = b > a || self.chains[b].is_empty();
                // What has not changed since they were looked at has nothing new to exchange.
                let news = self.changed[a].max(self.changed[b]) + 1 >= self.sweep;
                if is_other && a != b && news && !self.is_spent() && (self.could_do(b, a) || self.could_do(a, b)) {
                    better |= self.exchange_pair(a, b);
                }
            }
        }
        better
    }

    /// Hands who could do something of another's chain, and those who have something that it could do. Each once, in order.
    fn partners(&self, hand: usize, partners: &mut Vec<usize>) {
        partners.extend(self.chains[hand].iter().flat_map(|trip| self.near[trip.counter(self.town)].iter().take(NEAR)));
        let there = self.close[hand].iter().flat_map(|counter| &self.of_counter[*counter]);
        partners.extend(there.filter_map(|wish| self.with[*wish]));
        partners.sort_unstable();
        partners.dedup();
    }

    /// Whether a hand is near to something of another's chain.
    fn could_do(&self, hand: usize, of: usize) -> bool {
        self.chains[of].iter().any(|trip| self.close[hand].binary_search(&trip.counter(self.town)).is_ok())
    }

    fn exchange_pair(&mut self, a: usize, b: usize) -> bool {
        let town = self.town;
        let first = |hand: usize| usize::from(town.hands[hand].sent_to.is_some());
        let now = self.costs[a] + self.costs[b];
        let mut best: Option<(i64, usize, usize)> = None;
        let (of_a, of_b) = (&self.chains[a], &self.chains[b]);
        for cut_a in first(a)..=of_a.len() {
            for cut_b in first(b)..=of_b.len() {
                if cut_a == of_a.len() && cut_b == of_b.len() {
                    continue;
                }
                if cut_a + of_b.len() - cut_b > TRIPS_MAX || cut_b + of_a.len() - cut_a > TRIPS_MAX {
                    continue;
                }
                let of_new_a = self.price(a, of_a[..cut_a].iter().chain(&of_b[cut_b..]));
                // Who was sent and cannot do even that any more must not take others' work into it.
                if of_new_a >= now.min(NEVER) || best.is_some_and(|(least, ..)| of_new_a >= least) {
                    continue;
                }
                let of_new_b = self.price(b, of_b[..cut_b].iter().chain(&of_a[cut_a..]));
                if of_new_b == NEVER {
                    continue;
                }
                let total = of_new_a + of_new_b;
                if total < now && best.is_none_or(|(least, ..)| total < least) {
                    let allowed = |hand: usize, trips: &[Trip]| trips.iter().flat_map(Trip::wishes).all(|wish| town.may(hand, wish));
                    if allowed(a, &of_b[cut_b..]) && allowed(b, &of_a[cut_a..]) {
                        best = Some((total, cut_a, cut_b));
                    }
                }
            }
        }
        let Some((_, cut_a, cut_b)) = best else { return false };
        let (mut new_a, mut new_b) = (self.chains[a].clone(), self.chains[b].clone());
        let tail_a = new_a.split_off(cut_a);
        new_a.extend(new_b.split_off(cut_b));
        new_b.extend(tail_a);
        self.put(a, new_a);
        self.put(b, new_b);
        true
    }

    /// Hands who were not sent anywhere yet exchange whole chains, all at once and exactly. Whether anything got better.
    fn reassign(&mut self) -> bool {
        let town = self.town;
        let is_free = |hand: &usize| town.hands[*hand].sent_to.is_none();
        let busy: Vec<usize> = (0..town.hands.len()).filter(|hand| is_free(hand) && !self.chains[*hand].is_empty()).collect();
        let mut prices: Vec<Vec<(usize, i64)>> = Vec::with_capacity(busy.len());
        for owner in &busy {
            let chain = &self.chains[*owner];
            // Who is near to where it begins; the one who has it can always keep it.
            let near = self.near[chain[0].counter(town)].iter().take(NEAR).copied().filter(|hand| hand != owner && is_free(hand));
            let may = |hand: &usize| chain.iter().flat_map(Trip::wishes).all(|wish| town.may(*hand, wish));
            let others = near.filter(may).map(|hand| (hand, self.price(hand, chain))).filter(|(_, price)| *price < NEVER);
            prices.push(others.chain([(*owner, self.costs[*owner].min(NEVER >> 12))]).collect());
        }
        let Some(answer) = assign_sparse(town.hands.len(), &prices) else { return false };
        let price = |row: usize, hand: usize| prices[row].iter().find(|(known, _)| *known == hand).map_or(NEVER >> 12, |(_, price)| *price);
        let after: i64 = answer.iter().enumerate().map(|(row, hand)| price(row, *hand)).sum();
        let before: i64 = busy.iter().map(|hand| self.costs[*hand].min(NEVER >> 12)).sum();
        if after >= before {
            return false;
        }
        let moved: Vec<Vec<Trip>> = busy.iter().map(|hand| std::mem::take(&mut self.chains[*hand])).collect();
        for hand in &busy {
            self.costs[*hand] = 0;
        }
        for (chain, hand) in moved.into_iter().zip(answer) {
            self.put(hand, chain);
        }
        true
    }

    /// Improves until nothing gets better, or the sweeps are over.
    pub fn improve(&mut self) {
        for sweep in 1..=SWEEPS_MAX {
            self.sweep = sweep;
            let moved = self.relocate();
            // A chain that nobody improved has its best hand since the last time.
            let assigned = sweep <= ASSIGNED_MAX && self.reassign();
            let exchanged = self.exchange();
            if self.is_spent() || !(moved || assigned || exchanged) {
                return;
            }
        }
    }

    /// What the plan costs as it stands, without what is left.
    #[must_use]
    pub fn cost(&self) -> i64 {
        self.costs.iter().sum()
    }

    #[must_use]
    pub fn done(self) -> Plan {
        let left = (0..self.with.len()).filter(|wish| self.with[*wish].is_none()).collect();
        Plan { chains: self.chains, left }
    }
}

/// Hands by when they could be at a counter.
fn soonest(town: &Town, counter: usize) -> Vec<usize> {
    let there = |hand: &usize| Some((town.hands[*hand].free_s.max(town.now_s) + town.ways.from_hand(*hand, counter)?, *hand));
    let mut hands: Vec<(i64, usize)> = (town.ways.near(counter).iter())
        .filter_map(there)
        .filter(|(there_s, hand)| *there_s + town.service.pickup_s / 2 <= town.hands[*hand].off_s)
        .collect();
    hands.sort_unstable();
    hands.into_iter().map(|(_, hand)| hand).collect()
}

/// The trip with one more door, where it costs this hand least.
fn best_place(town: &Town, weights: &Weights, hand: usize, trip: Trip, wish: usize) -> Trip {
    let with = |door| {
        let mut longer = trip;
        longer.insert(door, wish);
        longer
    };
    let door = (0..=trip.len()).min_by_key(|door| cost(town, weights, hand, [&with(*door)])).unwrap_or(trip.len());
    with(door)
}
