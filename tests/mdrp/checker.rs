//! Each rule of the checker kills what breaks it, and only that.

use std::collections::BTreeSet;

use medina::mdrp::{Move, Rule, Solution, check};

use crate::{MINUTE, broken, played, small};

#[test]
fn each_broken_rule_is_found() {
    type Tamper = fn(&mut Solution);
    // o3 stands in two assignments, in the first with a stranger, too early; and o2's row is left alone.
    const TWO_RESTAURANTS: &[Rule] =
        &[Rule::AssignedOnce, Rule::OneRestaurant, Rule::NotBeforePlacement, Rule::PickupWhenReady, Rule::RowsFit];
    let table: &[(&str, Tamper, &[Rule])] = &[
        ("unknown order", |s| s.orders[0].order = "o9".into(), &[Rule::KnownIds]),
        ("a courier as a door", |s| s.moves[1].destination = "c2".into(), &[Rule::KnownIds]),
        ("assigned twice", |s| s.assignments.push(s.assignments[1].clone()), &[Rule::AssignedOnce]),
        ("twice in a bundle", |s| s.assignments[0].orders.push("o1".into()), &[Rule::AssignedOnce]),
        ("two restaurants", |s| s.assignments[0].orders[1] = "o3".into(), TWO_RESTAURANTS),
        ("empty bundle", |s| s.assignments[1].orders.clear(), &[Rule::OneRestaurant, Rule::RowsFit]),
        ("second not yet placed", |s| s.assignments[0].assigned_s -= 1, &[Rule::NotBeforePlacement]),
        ("assigned after pickup", |s| s.assignments[0].assigned_s = 26 * MINUTE, &[Rule::AssignedBeforePickup]),
        ("picked up unready", |s| shift_trip(s, 0, -MINUTE), &[Rule::PickupWhenReady]),
        ("no pickup service", |s| shift_trip(s, 1, -1), &[Rule::PickupService]),
        ("late pickup", |s| shift_trip(s, 1, 16 * MINUTE), &[Rule::PickupInShift]),
        ("late empty move", |s| s.moves.push(leg("c1", 61, Some("o3"), "r1")), &[Rule::PickupInShift]),
        ("early riser", |s| s.moves[0].depart_s = 4 * MINUTE, &[Rule::MoveInShift]),
        ("teleported", |s| s.moves[3].origin = Some("o1".into()), &[Rule::Continuous]),
        ("home again", |s| s.moves[3].origin = None, &[Rule::Continuous]),
        ("diverted on the way", |s| s.moves.insert(1, leg("c1", 13, Some("r1"), "r2")), &[Rule::NotDiverted]),
        ("left while serving", |s| s.moves[3].depart_s -= 1, &[Rule::NotDiverted]),
        ("other sequence", |s| s.assignments[0].orders.reverse(), &[Rule::MovesFit]),
        ("no moves", |s| s.moves.clear(), &[Rule::MovesFit]),
        ("no approach", |s| drop(s.moves.remove(3)), &[Rule::MovesFit]),
        ("other restaurant", |s| (s.moves[3].destination, s.moves[4].origin) = ("r1".into(), Some("r1".into())), &[Rule::MovesFit]),
        ("door without order", |s| s.moves.push(leg("c1", 52, Some("o3"), "o1")), &[Rule::MovesFit]),
        ("dawdles at the restaurant", |s| s.moves[1].depart_s += 1, &[Rule::LeavesAfterService]),
        ("dawdles at a door", |s| s.moves[2].depart_s += 1, &[Rule::LeavesAfterService]),
        ("drop-off too early", |s| s.orders[1].dropoff_s -= 1, &[Rule::DropoffTime]),
        ("drop-off too late", |s| s.orders[1].dropoff_s += 1, &[Rule::DropoffTime]),
        ("other placement", |s| s.orders[0].placed_s += 1, &[Rule::RowsFit]),
        ("other ready time", |s| s.orders[0].ready_s -= 1, &[Rule::RowsFit]),
        ("other pickup", |s| s.orders[0].pickup_s += 1, &[Rule::RowsFit]),
        ("other courier", |s| s.orders[0].courier = "c2".into(), &[Rule::RowsFit]),
        ("two rows", |s| s.orders.push(s.orders[0].clone()), &[Rule::RowsFit]),
        ("no row", |s| drop(s.orders.remove(2)), &[Rule::RowsFit]),
        ("no assignment", |s| drop(s.assignments.remove(1)), &[Rule::RowsFit]),
        ("two blocks", |s| s.moves.insert(2, leg("c2", 1, None, "r1")), &[Rule::OneBlock]),
    ];
    let instance = small();
    assert_eq!(broken(&instance, &played(&instance)), BTreeSet::new());
    for (what, tamper, expected) in table {
        let mut solution = played(&instance);
        tamper(&mut solution);
        assert_eq!(broken(&instance, &solution), expected.iter().copied().collect(), "{what}");
    }
    let covered: BTreeSet<Rule> = table.iter().flat_map(|(_, _, rules)| rules.iter().copied()).collect();
    assert_eq!(covered.len(), 16, "a rule has no row in this table");
}

fn leg(courier: &str, depart: i64, origin: Option<&str>, destination: &str) -> Move {
    Move { courier: courier.into(), depart_s: depart * MINUTE, origin: origin.map(Into::into), destination: destination.into() }
}

/// Moves the pickup of an assignment and all that follows from it in its trip, so that only the pickup itself is wrong.
fn shift_trip(solution: &mut Solution, assignment: usize, by_s: i64) {
    let orders = solution.assignments[assignment].orders.clone();
    solution.assignments[assignment].pickup_s += by_s;
    for row in solution.orders.iter_mut().filter(|row| orders.contains(&row.order)) {
        row.pickup_s += by_s;
        row.dropoff_s += by_s;
    }
    solution.moves.iter_mut().filter(|leg| orders.contains(&leg.destination)).for_each(|leg| leg.depart_s += by_s);
}

#[test]
fn who_was_sent_ahead_is_allowed_and_counted() {
    let instance = small();
    let mut solution = played(&instance);
    solution.moves[0].depart_s = 9 * MINUTE; // before o1 is placed
    solution.moves.push(leg("c2", 0, None, "r2"));
    let report = check(&instance, &solution).unwrap();
    assert_eq!((report.sent_ahead, report.left_before_placement, report.empty_moves), (1, 1, 1));
    let report = check(&instance, &played(&instance)).unwrap();
    assert_eq!((report.sent_ahead, report.left_before_placement, report.empty_moves), (0, 0, 0));
}
