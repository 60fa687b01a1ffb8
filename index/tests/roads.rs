//! Ways by road against plain Dijkstra, which is slow and cannot be wrong: on random networks always, on Monaco where `$MEDINA_DATA` has it.
#![allow(clippy::unwrap_used)]

use index::geo::Point;
use index::roads::{Cost, MapError, Mode, Network, RoadMap, Street, networks};
use proptest::prelude::*;
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet},
    env, fs,
    path::PathBuf,
};

fn point(number: u32) -> Point {
    Point::new(43.0 + f64::from(number / 40) * 0.001, 7.0 + f64::from(number % 40) * 0.001).unwrap()
}

fn street(from: u32, to: u32, deciseconds: u32) -> Street {
    Street { from, to, cost: Cost::new(deciseconds, deciseconds * 7 + 1) }
}

fn network(nodes: u32, streets: Vec<Street>) -> Network {
    Network { points: (0..nodes).map(point).collect(), streets, banned: Vec::new() }
}

fn map(network: &Network) -> RoadMap {
    RoadMap::of(&[network.clone(), network.clone(), network.clone(), network.clone()]).unwrap()
}

/// Costs from one node to all.
fn dijkstra(network: &Network, from: u32) -> HashMap<u32, Cost> {
    let mut out: HashMap<u32, Vec<&Street>> = HashMap::new();
    network.streets.iter().for_each(|street| out.entry(street.from).or_default().push(street));
    let (mut done, mut queue) = (HashMap::new(), BinaryHeap::from([Reverse((Cost::default(), from))]));
    while let Some(Reverse((cost, node))) = queue.pop() {
        if done.contains_key(&node) {
            continue;
        }
        done.insert(node, cost);
        out.get(&node).into_iter().flatten().for_each(|street| queue.push(Reverse((cost.plus(street.cost), street.to))));
    }
    done
}

/// Costs from one node to all, remembering as much of the way as the longest forbidden turn has: slow, and every forbidden turn is looked at.
fn by_streets(network: &Network, from: u32) -> HashMap<u32, Cost> {
    let remembered = network.banned.iter().map(|turn| turn.len() - 1).max().unwrap_or(1);
    let mut out: HashMap<u32, Vec<&Street>> = HashMap::new();
    network.streets.iter().filter(|street| street.from != street.to).for_each(|street| out.entry(street.from).or_default().push(street));
    let (mut done, mut best) = (HashSet::new(), HashMap::new());
    let mut queue = BinaryHeap::from([Reverse((Cost::default(), vec![from]))]);
    while let Some(Reverse((cost, way))) = queue.pop() {
        if !done.insert(way.clone()) {
            continue;
        }
        let node = *way.last().unwrap();
        best.entry(node).or_insert(cost);
        for street in out.get(&node).into_iter().flatten() {
            let mut onward = [&way[..], &[street.to]].concat();
            if !network.banned.iter().any(|turn| onward.ends_with(turn)) {
                onward.drain(..onward.len().saturating_sub(remembered));
                queue.push(Reverse((cost.plus(street.cost), onward)));
            }
        }
    }
    best
}

fn whole(cost: Cost) -> (u32, u32) {
    (cost.deciseconds().div_ceil(10), (f64::from(cost.decimetres()) / 10.0).round() as u32)
}

/// The line is made of streets, and they cost what the route says.
fn check_line(network: &Network, map: &RoadMap, from: u32, to: u32) {
    let route = map.route(network.points[from as usize], network.points[to as usize], Mode::Car).unwrap();
    let name: HashMap<(i64, i64), u32> = network.points.iter().zip(0..).map(|(point, node)| (key(*point), node)).collect();
    let nodes: Vec<u32> = route.line.iter().map(|point| name[&key(*point)]).collect();
    assert_eq!((nodes.first(), nodes.last()), (Some(&from), Some(&to)));
    let step = |pair: &[u32]| {
        let streets = network.streets.iter().filter(|street| (street.from, street.to) == (pair[0], pair[1]));
        streets.map(|street| street.cost).min().unwrap_or_else(|| panic!("no street {pair:?} on the way from {from} to {to}"))
    };
    assert!(
        !network.banned.iter().any(|turn| nodes.windows(turn.len()).any(|way| way == turn)),
        "a forbidden turn from {from} to {to}: {nodes:?}"
    );
    let cost = nodes.windows(2).map(step).fold(Cost::default(), Cost::plus);
    assert_eq!((route.seconds, route.metres), whole(cost), "{from} to {to}");
}

fn key(point: Point) -> (i64, i64) {
    ((point.lat() * 1e7).round() as i64, (point.lon() * 1e7).round() as i64)
}

#[test]
fn a_small_town() {
    // A ring 0 → 1 → 2 → 3 → 0, a slow street both ways across it, a dead end at 4, and 5, which nobody reaches.
    let streets = vec![
        street(0, 1, 100),
        street(1, 2, 100),
        street(2, 3, 100),
        street(3, 0, 100),
        street(1, 3, 350),
        street(3, 1, 150),
        street(2, 4, 10),
        street(4, 2, 10),
        street(5, 0, 1),
    ];
    let town = network(6, streets);
    let map = map(&town);
    assert_eq!(map.size(Mode::Foot).0, 5, "the place that only leaves is no place to go");
    let seconds = |a: u32, b: u32| map.cost(point(a), point(b), Mode::Foot).map(|(seconds, _)| seconds);
    for (from, to, expected) in [(0, 0, 0), (0, 1, 10), (1, 0, 30), (1, 3, 20), (3, 1, 15), (4, 1, 26), (0, 4, 21)] {
        assert_eq!(seconds(from, to), Some(expected), "{from} to {to}");
    }
    assert_eq!(map.cost(point(0), Point::new(44.0, 7.0).unwrap(), Mode::Foot), None, "off the map");
    let beside = Point::new(point(1).lat() + 0.0001, point(1).lon()).unwrap();
    let (on_street, to_door) = (seconds(0, 1).unwrap(), map.cost(point(0), beside, Mode::Foot).unwrap());
    assert!(to_door.0 > on_street && to_door.1 >= 70 + 11, "the way from the street counts: {to_door:?}");
    for (from, to) in [(0, 4), (4, 0), (1, 0), (2, 2)] {
        check_line(&town, &map, from, to);
    }
}

#[test]
fn forbidden_turns() {
    // A cross: 0 in the middle, 1 west, 2 north, 3 east, 4 south; from the north one comes back at 5 only.
    let both = |a, b| [street(a, b, 100), street(b, a, 100)];
    let mut town = network(6, [both(0, 1), both(0, 2), both(0, 3), both(0, 4), both(2, 5)].concat());
    let seconds = |town: &Network, a: u32, b: u32| map(town).cost(point(a), point(b), Mode::Car).map(|(seconds, _)| seconds);
    assert_eq!(seconds(&town, 1, 3), Some(20));
    // No straight on from the west, and whoever tries the north may not turn round in the middle of it.
    town.banned = vec![vec![1, 0, 3], vec![0, 2, 0]];
    for (from, to, expected) in
        [(1, 3, Some(40)), (1, 0, Some(10)), (1, 4, Some(20)), (0, 3, Some(10)), (4, 3, Some(20)), (2, 3, Some(20)), (2, 2, Some(0))]
    {
        assert_eq!(seconds(&town, from, to), expected, "{from} to {to}");
        check_line(&town, &map(&town), from, to);
    }
    // Turning round is left nowhere on the south and the east either: over 5 and back.
    town.banned.extend([vec![0, 4, 0], vec![0, 3, 0], vec![0, 1, 0]]);
    assert_eq!(seconds(&town, 1, 3), Some(60));
    town.banned.push(vec![2, 5, 2]);
    assert_eq!(seconds(&town, 1, 3), None, "nothing is left");
    assert_eq!(map(&town).size(Mode::Car).0, 6 + 2 * 6, "a crossing grows by its forbidden arrivals and an end");
}

#[test]
fn turns_that_are_forbidden_over_a_stretch() {
    // Up 0 → 1 → 2, where one may go on to 3 or off to 4, and into 1 also from 5: who came from 0 does not get to 3 that way, who came from 5 does.
    let streets = vec![street(0, 1, 100), street(5, 1, 100), street(1, 2, 100), street(2, 3, 100), street(2, 4, 100), street(4, 5, 500)];
    let town = Network { banned: vec![vec![0, 1, 2, 3]], ..network(6, [streets, vec![street(3, 0, 100)]].concat()) };
    let seconds = |a: u32, b: u32| map(&town).cost(point(a), point(b), Mode::Car).map(|(seconds, _)| seconds);
    for (from, to, expected) in [(0, 2, 20), (0, 4, 30), (0, 3, 110), (1, 3, 20), (5, 3, 30), (2, 3, 10), (3, 3, 0), (4, 1, 60)] {
        assert_eq!(seconds(from, to), Some(expected), "{from} to {to}");
        check_line(&town, &map(&town), from, to);
    }
    assert_eq!(map(&town).size(Mode::Car).0, 6 + 2 * 2, "each crossing of the stretch grows by the way there and an end");
}

#[test]
fn a_stored_map_is_the_same_or_refused() {
    let streets = (0..30).flat_map(|n| [street(n, (n + 1) % 30, 20 + n), street((n * 7) % 30, n, 90)]).collect();
    let town = Network { banned: vec![vec![1, 2, 3], vec![2, 3, 21], vec![7, 8, 9], vec![11, 12, 13, 14, 15]], ..network(30, streets) };
    let map = map(&town);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("roads.map");
    map.save(&path).unwrap();
    let loaded = RoadMap::load(&path).unwrap();
    for (from, to) in (0..30).flat_map(|from| (0..30).map(move |to| (from, to))) {
        assert_eq!(loaded.route(point(from), point(to), Mode::Bike), map.route(point(from), point(to), Mode::Bike));
    }
    let bytes = fs::read(&path).unwrap();
    for at in (0..bytes.len()).step_by(7) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x20;
        fs::write(&path, &flipped).unwrap();
        let refused = RoadMap::load(&path).err();
        assert!(matches!(refused, Some(MapError::Version | MapError::Damaged(_))), "byte {at}: {refused:?}");
        fs::write(&path, &bytes[..at]).unwrap();
        assert!(RoadMap::load(&path).is_err(), "cut at {at}");
    }
    assert!(matches!(RoadMap::of(&[network(2, vec![])]), Err(MapError::Empty(Mode::Foot))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever the streets and the forbidden turns: as if one had gone from street to street.
    #[test]
    fn no_forbidden_turn_is_taken(nodes in 3..40_u32, links in prop::collection::vec((0..40_u32, 0..40_u32, 1..300_u32, any::<bool>()), 5..120),
        banned in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..40)) {
        let streets = links.iter().flat_map(|(a, b, cost, both)| {
            let (a, b) = (a % nodes, b % nodes);
            [Some(street(a, b, *cost)), both.then(|| street(b, a, *cost))].into_iter().flatten()
        });
        let mut town = network(nodes, streets.collect()).heart();
        prop_assume!(town.streets.iter().any(|street| street.from != street.to));
        for (first, second) in banned {
            let first = *first.get(&town.streets);
            let onward: Vec<&Street> = town.streets.iter().filter(|street| street.from == first.to).collect();
            if first.from != first.to && !onward.is_empty() {
                let turn = vec![first.from, first.to, second.get(&onward).to];
                town.banned.push(turn);
            }
        }
        let map = map(&town);
        let table = map.table(&town.points, &town.points, Mode::Car);
        for from in 0..town.points.len() as u32 {
            let costs = by_streets(&town, from);
            for to in 0..town.points.len() as u32 {
                let expected = costs.get(&to).map(|cost| whole(*cost));
                prop_assert_eq!(map.cost(town.points[from as usize], town.points[to as usize], Mode::Car), expected);
                prop_assert_eq!(table[from as usize][to as usize], expected);
                if expected.is_some() {
                    check_line(&town, &map, from, to);
                }
            }
        }
    }

    /// Turns that are forbidden over stretches of road, however they overlap: as if one had remembered the whole way.
    #[test]
    fn no_forbidden_stretch_is_taken(nodes in 3..14_u32, links in prop::collection::vec((0..14_u32, 0..14_u32, 1..300_u32, any::<bool>()), 5..30),
        walks in prop::collection::vec((any::<prop::sample::Index>(), prop::collection::vec(any::<prop::sample::Index>(), 1..4)), 0..16)) {
        let streets = links.iter().flat_map(|(a, b, cost, both)| {
            let (a, b) = (a % nodes, b % nodes);
            [Some(street(a, b, *cost)), both.then(|| street(b, a, *cost))].into_iter().flatten()
        });
        let mut town = network(nodes, streets.filter(|street| street.from != street.to).collect()).heart();
        prop_assume!(!town.streets.is_empty());
        for (first, onward) in walks {
            let first = first.get(&town.streets);
            let mut turn = vec![first.from, first.to];
            for choice in onward {
                let leaving: Vec<&Street> = town.streets.iter().filter(|street| Some(&street.from) == turn.last()).collect();
                turn.push(choice.get(&leaving).to);
            }
            town.banned.push(turn);
        }
        let map = map(&town);
        for from in 0..town.points.len() as u32 {
            let costs = by_streets(&town, from);
            for to in 0..town.points.len() as u32 {
                let expected = costs.get(&to).map(|cost| whole(*cost));
                prop_assert_eq!(map.cost(town.points[from as usize], town.points[to as usize], Mode::Car), expected);
                if expected.is_some() {
                    check_line(&town, &map, from, to);
                }
            }
        }
    }

    /// Whatever the streets: costs, tables and lines are those of the fastest way.
    #[test]
    fn the_fastest_way_is_found(nodes in 2..60_u32, links in prop::collection::vec((0..60_u32, 0..60_u32, 1..300_u32, any::<bool>()), 1..200)) {
        let streets = links.iter().flat_map(|(a, b, cost, both)| {
            let (a, b) = (a % nodes, b % nodes);
            [Some(street(a, b, *cost)), both.then(|| street(b, a, *cost))].into_iter().flatten()
        });
        let town = network(nodes, streets.collect()).heart();
        prop_assume!(town.streets.iter().any(|street| street.from != street.to));
        let map = map(&town);
        let table = map.table(&town.points, &town.points, Mode::Car);
        for from in 0..town.points.len() as u32 {
            let costs = dijkstra(&town, from);
            prop_assert_eq!(costs.len(), town.points.len(), "the heart is connected");
            for (to, cost) in costs {
                let expected = Some(whole(cost));
                prop_assert_eq!(map.cost(town.points[from as usize], town.points[to as usize], Mode::Car), expected);
                prop_assert_eq!(table[from as usize][to as usize], expected);
                check_line(&town, &map, from, to);
            }
        }
    }
}

#[test]
fn monaco() {
    let path = env::var_os("MEDINA_DATA").map(|data| PathBuf::from(data).join("osm/monaco.osm.pbf")).filter(|path| path.is_file());
    let Some(path) = path else {
        eprintln!("SKIPPED: MEDINA_DATA does not name a folder with osm/monaco.osm.pbf");
        return;
    };
    let networks = networks(&path).unwrap();
    let started = std::time::Instant::now();
    let map = RoadMap::of(&networks).unwrap();
    println!("monaco: contracted in {:.1} s", started.elapsed().as_secs_f64());
    let mut pairs = 0;
    for (mode, network) in Mode::ALL.into_iter().zip(&networks) {
        let heart = network.heart();
        println!(
            "monaco: {mode:?} {} of {} nodes, {} streets, {} forbidden turns, {} arcs",
            heart.points.len(),
            network.points.len(),
            heart.streets.len(),
            heart.banned.len(),
            map.size(mode).1
        );
        assert!(heart.points.len() * 10 > network.points.len() * 8, "most of the town hangs together for {mode:?}");
        let mut seen: HashMap<(i64, i64), u32> = HashMap::new();
        heart.points.iter().for_each(|point| *seen.entry(key(*point)).or_default() += 1);
        // Nodes on the same spot (a bridge's lift) cannot be told apart by their place.
        let alone: Vec<u32> = (0..heart.points.len() as u32).filter(|node| seen[&key(heart.points[*node as usize])] == 1).collect();
        let mut dice = 0x9e37_79b9_7f4a_7c15_u64;
        let mut pick = || {
            dice ^= dice << 13;
            dice ^= dice >> 7;
            dice ^= dice << 17;
            alone[(dice % alone.len() as u64) as usize]
        };
        for _ in 0..10 {
            let from = pick();
            let targets: Vec<u32> = (0..100).map(|_| pick()).collect();
            let costs = by_streets(&heart, from);
            let place = |node: &u32| heart.points[*node as usize];
            let row = &map.table(&[place(&from)], &targets.iter().map(place).collect::<Vec<_>>(), mode)[0];
            for (to, in_table) in targets.iter().zip(row) {
                let expected = costs.get(to).map(|cost| whole(*cost));
                assert_eq!(map.cost(place(&from), place(to), mode), expected, "{mode:?} {from} to {to}");
                assert_eq!(*in_table, expected, "{mode:?} {from} to {to}, in a table");
                pairs += 1;
            }
            if mode == Mode::Car {
                check_line(&heart, &map, from, targets[0]);
            }
        }
    }
    assert_eq!(pairs, 4_000);
}
