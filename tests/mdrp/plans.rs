//! Laws of planning ahead, on any moment and on any day.

use std::collections::BTreeSet;

use medina::city::dispatch::horizon::town::{Hand, Reach, Rest, Service, Spot, Town, Ways, Wish};
use medina::city::dispatch::horizon::{Weights, decide};
use medina::city::dispatch::policy::Choice;
use medina::city::dispatch::policy::horizon::WEIGHTS;
use medina::cli::dispatch_bench::mind::PolicyMind;
use medina::mdrp::{Courier, Instance, Order, People, Point, Restaurant, check, play_by};
use proptest::prelude::*;

use crate::{MINUTE, parameters};

const NOW: i64 = 10_000;
const SERVICE: Service = Service { pickup_s: 120, dropoff_s: 60 };

#[derive(Clone, Debug)]
struct Facts {
    /// Position, free in, off in, room, on the way to this counter with its first wish.
    hands: Vec<(i64, i64, i64, u32, Option<usize>)>,
    /// Counter, door, ready in, size, a hand who refused.
    wishes: Vec<(usize, i64, i64, u32, Option<usize>)>,
    counters: Vec<i64>,
}

fn facts() -> impl Strategy<Value = Facts> {
    let place = -3_000..3_000_i64;
    let hand = (place.clone(), -600..1_200_i64, 0..4_000_i64, 1..4_u32, proptest::option::weighted(0.2, 0..3_usize));
    let wish = (0..3_usize, place.clone(), -900..1_500_i64, 1..3_u32, proptest::option::weighted(0.2, 0..6_usize));
    (proptest::collection::vec(hand, 0..6), proptest::collection::vec(wish, 0..14), proptest::collection::vec(place, 3))
        .prop_map(|(hands, wishes, counters)| Facts { hands, wishes, counters })
}

/// All of it; `sparse`: as in a city where only some hands come into question for each counter.
fn town(facts: &Facts, sparse: bool) -> Town {
    let mut hands: Vec<Hand> = Vec::new();
    let mut wishes: Vec<Wish> = Vec::new();
    let mut doors = Vec::new();
    let mut barred = Vec::new();
    for (counter, door, ready, size, refused) in &facts.wishes {
        wishes.push(Wish { counter: *counter, ready_s: NOW + ready, due_s: NOW + 2_400, size: *size, owner: None });
        doors.push(*door);
        barred.push(refused.iter().copied().collect());
    }
    for (number, (_, free, off, room, sent_to)) in facts.hands.iter().enumerate() {
        hands.push(Hand { free_s: NOW + free, off_s: NOW + off, room: *room, class: 0, sent_to: *sent_to, owed: 2, pay_permille: 500 });
        if let Some(counter) = sent_to {
            wishes.push(Wish { counter: *counter, ready_s: NOW + free, due_s: NOW + 2_400, size: 1, owner: Some(number) });
            doors.push(number as i64 * 100);
            barred.push(Vec::new());
        }
    }
    let at = |spot| match spot {
        Spot::Hand(hand) => facts.hands[hand].0,
        Spot::Counter(counter) => facts.counters[counter],
        Spot::Door(wish) => doors[wish],
    };
    let far = |from: Spot, to: Spot| ((at(from) - at(to)).abs() / 4) as u32;
    let table = |_, from: &[Spot], to: &[Spot]| from.iter().map(|from| to.iter().map(|to| far(*from, *to)).collect()).collect();
    let near: Vec<Vec<usize>> = (0..3).map(|counter| (0..hands.len()).filter(|hand| (hand + counter) % 2 == 0).collect()).collect();
    let ways = Ways::new(&hands, &wishes, 3, if sparse { Reach::Near(&near) } else { Reach::All }, table);
    // Orders come from the middle.
    let rest =
        Rest { hands: facts.hands.iter().map(|hand| hand.0.abs() / 4).collect(), doors: doors.iter().map(|door| door.abs() / 4).collect() };
    Town { now_s: NOW, round_s: 10, ahead_s: 60, service: SERVICE, hands, wishes, barred, ways, rest }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// No order twice, nobody beyond their room or their shift, nobody who is busy or said no, one counter a trip; and the same again.
    #[test]
    fn what_is_called_can_be_done(facts in facts(), sparse: bool) {
        let town = town(&facts, sparse);
        let round = decide(&town, &WEIGHTS);
        let (mut given, mut called) = (BTreeSet::new(), BTreeSet::new());
        for call in &round.calls {
            let hand = &town.hands[call.hand];
            prop_assert!(called.insert(call.hand), "one call a hand");
            prop_assert!(hand.sent_to.is_some() || hand.free_s <= NOW, "who is busy is not called");
            prop_assert!(call.pickup_s <= hand.off_s, "no pickup after the shift");
            prop_assert!(!call.wishes.is_empty());
            let counter = town.wishes[call.wishes[0]].counter;
            prop_assert!(hand.sent_to.is_some() || town.ways.from_hand(call.hand, counter).is_some(), "only who knows the way is called");
            prop_assert!(hand.sent_to.is_none_or(|sent| sent == counter), "nobody is diverted");
            for wish in &call.wishes {
                prop_assert!(given.insert(*wish), "no order twice");
                let known = &town.wishes[*wish];
                prop_assert_eq!((known.owner, known.counter), (None, counter));
                prop_assert!(known.ready_s <= call.pickup_s);
                prop_assert!(!town.barred[*wish].contains(&call.hand), "who said no is not asked");
            }
            let theirs = town.wishes.iter().filter(|wish| wish.owner == Some(call.hand)).map(|wish| wish.size);
            let units: u32 = call.wishes.iter().map(|wish| town.wishes[*wish].size).chain(theirs).sum();
            prop_assert!(units <= hand.room, "nobody carries more than fits");
        }
        prop_assert_eq!(decide(&town, &WEIGHTS), round);
    }

    /// An order that somebody who has no other plans can bring, and that is ready, is planned.
    #[test]
    fn nobody_stands_idle_beside_what_is_ready(facts in facts()) {
        let town = town(&facts, false);
        let round = decide(&town, &Weights { pay: 0, ..WEIGHTS });
        let has_plans = |hand: usize| round.outlooks.iter().flatten().any(|outlook| outlook.hand == hand);
        let idle = |hand: usize| town.hands[hand].sent_to.is_none() && town.hands[hand].free_s <= NOW && !has_plans(hand);
        for (wish, known) in town.wishes.iter().enumerate().filter(|(_, known)| known.owner.is_none() && known.ready_s <= NOW) {
            let can = |hand: usize| {
                let there_s = NOW + town.ways.from_hand(hand, known.counter).unwrap() + SERVICE.pickup_s / 2;
                idle(hand) && there_s <= town.hands[hand].off_s && known.size <= town.hands[hand].room && town.may(hand, wish)
            };
            // It may be planned with somebody else, but never with nobody.
            prop_assert!(round.outlooks[wish].is_some() || !(0..town.hands.len()).any(can), "wish {} is left although somebody could", wish);
        }
    }
}

fn any_day() -> impl Strategy<Value = Instance> {
    let place = (0..6_000_i32, 0..6_000_i32);
    let order = (place.clone(), 0..120_i64, 0..3_usize, 0..30_i64);
    let courier = (place.clone(), 0..60_i64, 10..180_i64);
    let lists = (proptest::collection::vec(order, 1..25), proptest::collection::vec(courier, 1..6), proptest::collection::vec(place, 3));
    lists.prop_map(|(orders, couriers, restaurants)| {
        let at = |(x, y): (i32, i32)| Point { x: f64::from(x), y: f64::from(y) };
        let order = |(n, (place, placed, restaurant, cooks)): (usize, ((i32, i32), i64, usize, i64))| Order {
            id: format!("o{n}"),
            at: at(place),
            placed_s: placed * MINUTE,
            restaurant,
            ready_s: (placed + cooks) * MINUTE,
        };
        let courier = |(n, (place, on, works)): (usize, ((i32, i32), i64, i64))| Courier {
            id: format!("c{n}"),
            at: at(place),
            on_s: on * MINUTE,
            off_s: (on + works) * MINUTE,
        };
        let restaurant = |(n, place): (usize, (i32, i32))| Restaurant { id: format!("r{n}"), at: at(place) };
        let orders = orders.into_iter().enumerate().map(order).collect();
        let couriers = couriers.into_iter().enumerate().map(courier).collect();
        let restaurants = restaurants.into_iter().enumerate().map(restaurant).collect();
        Instance::new("any", orders, couriers, restaurants, parameters()).unwrap()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// Any day, any policy, obedient people or not: the checker is content, no bundle is larger than the hands, every order ends once.
    #[test]
    fn a_day_obeys_the_rules(day in any_day(), seed in 0..1_000_u64, obedient: bool, capacity in 1..4_u32) {
        let people = if obedient { People::obedient() } else { People::real(seed) };
        for choice in [Choice::Immediate, Choice::Horizon, Choice::Rolling] {
            let play = || play_by(&day, &people, &mut PolicyMind::new(&day, choice.policy(), capacity));
            let played = play();
            let report = check(&played.real, &played.solution);
            prop_assert!(report.is_ok(), "{choice:?}: {:?}", report);
            prop_assert!(played.solution.assignments.iter().all(|bundle| bundle.orders.len() <= capacity as usize));
            let mut ends: Vec<usize> = played.lost.iter().chain(&played.left).copied().collect();
            ends.extend(played.solution.orders.iter().filter_map(|row| day.orders.iter().position(|order| order.id == row.order)));
            ends.sort_unstable();
            prop_assert_eq!(ends, (0..day.orders.len()).collect::<Vec<_>>(), "{:?}", choice);
            prop_assert!(!obedient || played.lost.is_empty());
            prop_assert_eq!(play(), played);
        }
    }
}
