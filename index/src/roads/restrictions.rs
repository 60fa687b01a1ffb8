//! What OpenStreetMap forbids at crossings.
//!
//! Source: the wiki's page "Relation:restriction". Taken are those over one node (`via`) and those over ways that join end to end in the order they are
//! listed. What says that there is only one way on says it at the end of `via`: on the way there everybody may turn off. Left out are conditional ones
//! (`restriction:conditional`) and those for vehicles that nobody here rides.

use super::{Mode, Street};
use osmpbf::{RelMemberType, Relation};
use std::collections::{HashMap, HashSet};

/// Over what a restriction leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Via {
    Node(i64),
    /// At least one.
    Ways(Vec<i64>),
}

/// A restriction: ids of OpenStreetMap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Restriction {
    pub from: Vec<i64>,
    pub via: Via,
    pub to: Vec<i64>,
    /// Whether everything but `to` is forbidden.
    pub only: bool,
    /// Whom it is for, in the order of [`Mode::ALL`].
    pub holds: [bool; 4],
}

/// Names of a mode in `except` and behind `restriction:`; none for whom restrictions do not hold.
fn names(mode: Mode) -> &'static [&'static str] {
    match mode {
        Mode::Foot => &[],
        Mode::Bike => &["bicycle", "vehicle"],
        Mode::Motorbike => &["motorcycle", "motor_vehicle", "vehicle"],
        Mode::Car => &["motorcar", "motor_vehicle", "vehicle"],
    }
}

/// Whether and how a restriction's tags hold for a mode.
fn kind<'t>(mode: Mode, tags: &HashMap<&str, &'t str>) -> Option<&'t str> {
    let names = names(mode);
    let own = names.iter().find_map(|name| tags.get(format!("restriction:{name}").as_str()).copied());
    let excepted = tags.get("except").is_some_and(|except| except.split(';').any(|name| names.contains(&name.trim())));
    let general = tags.get("restriction").copied().filter(|_| !names.is_empty() && !excepted);
    own.or(general)
}

impl Restriction {
    /// What a relation forbids, if it forbids anything to anybody here.
    pub(super) fn of(relation: &Relation<'_>) -> Option<Self> {
        let tags: HashMap<&str, &str> = relation.tags().collect();
        if tags.get("type") != Some(&"restriction") {
            return None;
        }
        let (mut from, mut nodes, mut ways, mut to) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for member in relation.members() {
            match (member.role().ok()?, member.member_type) {
                ("from", RelMemberType::Way) => from.push(member.member_id),
                ("to", RelMemberType::Way) => to.push(member.member_id),
                ("via", RelMemberType::Node) => nodes.push(member.member_id),
                ("via", RelMemberType::Way) => ways.push(member.member_id),
                _ => (),
            }
        }
        let via = match (&nodes[..], ways.is_empty()) {
            ([node], true) => Via::Node(*node),
            ([], false) => Via::Ways(ways),
            _ => return None,
        };
        Self::read(&tags, from, via, to)
    }

    fn read(tags: &HashMap<&str, &str>, from: Vec<i64>, via: Via, to: Vec<i64>) -> Option<Self> {
        let kinds = Mode::ALL.map(|mode| kind(mode, tags));
        let said = kinds.iter().flatten().next()?;
        let only = said.starts_with("only_");
        if !only && !said.starts_with("no_") {
            return None;
        }
        // One relation says one thing; whoever it says something else to is left out.
        let holds = kinds.map(|kind| kind == Some(said));
        Some(Self { from, via, to, only, holds })
    }
}

/// The nodes along ways that are listed one after the other, in both directions; nothing where they do not join.
fn along(ids: &[i64], ways: &HashMap<i64, &[i64]>) -> Vec<Vec<i64>> {
    let walk = |is_turned: bool| {
        let mut nodes = ways.get(ids.first()?)?.to_vec();
        if is_turned {
            nodes.reverse();
        }
        for id in &ids[1..] {
            let next = ways.get(id)?;
            match nodes.last() {
                here if here == next.first() => nodes.extend(&next[1..]),
                here if here == next.last() => nodes.extend(next.iter().rev().skip(1)),
                _ => return None,
            }
        }
        Some(nodes)
    };
    // The first one's direction is the one in which the second follows, if there is one.
    let forth = [false, true].into_iter().filter_map(walk);
    forth.flat_map(|nodes| [nodes.iter().rev().copied().collect(), nodes]).collect()
}

/// The turns that restrictions forbid to a mode, by the network's names. `ways` are the nodes of OpenStreetMap's ways, `name` finds a node.
pub(super) fn banned(
    mode: Mode,
    restrictions: &[Restriction],
    ways: &HashMap<i64, &[i64]>,
    streets: &[Street],
    name: impl Fn(i64) -> Option<u32>,
) -> Vec<Vec<u32>> {
    // Each restriction with what it leads over: a node, or a stretch of nodes, which may be meant in either direction.
    let over = |restriction: &Restriction| match &restriction.via {
        Via::Node(node) => vec![vec![*node]],
        Via::Ways(ids) => along(ids, ways),
    };
    let holding = restrictions.iter().filter(|restriction| restriction.holds[mode as usize]);
    let stretches: Vec<(&Restriction, Vec<i64>)> =
        holding.flat_map(|restriction| over(restriction).into_iter().map(move |stretch| (restriction, stretch))).collect();
    let concerned: HashSet<u32> = stretches.iter().flat_map(|(_, stretch)| stretch).filter_map(|node| name(*node)).collect();
    let (mut into, mut out): (HashMap<u32, Vec<u32>>, HashMap<u32, Vec<u32>>) = Default::default();
    for street in streets {
        if concerned.contains(&street.to) {
            into.entry(street.to).or_default().push(street.from);
        }
        if concerned.contains(&street.from) {
            out.entry(street.from).or_default().push(street.to);
        }
    }
    // The neighbours of a node along some ways.
    let beside = |ids: &[i64], via: i64| -> HashSet<u32> {
        let pairs = ids.iter().filter_map(|id| ways.get(id)).flat_map(|nodes| nodes.windows(2));
        let other = |pair: &[i64]| match (pair[0] == via, pair[1] == via) {
            (true, false) => name(pair[1]),
            (false, true) => name(pair[0]),
            _ => None,
        };
        pairs.filter_map(other).collect()
    };
    let leads = |pair: &[u32]| out.get(&pair[0]).is_some_and(|ends| ends.contains(&pair[1]));
    let mut banned = Vec::new();
    for (restriction, stretch) in &stretches {
        let Some(via) = stretch.iter().map(|node| name(*node)).collect::<Option<Vec<u32>>>() else { continue };
        let (Some(first), Some(last), true) = (stretch.first(), stretch.last(), via.windows(2).all(leads)) else { continue };
        let (from, to) = (beside(&restriction.from, *first), beside(&restriction.to, *last));
        let arrivals = into.get(&via[0]).into_iter().flatten().filter(|node| from.contains(node));
        let departures = out.get(&via[via.len() - 1]);
        if restriction.only && !departures.into_iter().flatten().any(|node| to.contains(node)) {
            // The only way on is closed to this mode: then it was not meant.
            continue;
        }
        for arrival in arrivals {
            let forbidden = departures.into_iter().flatten().filter(|node| to.contains(node) != restriction.only);
            banned.extend(forbidden.map(|node| [&[*arrival], &via[..], &[*node]].concat()));
        }
    }
    banned.sort_unstable();
    banned.dedup();
    banned
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roads::Cost;

    fn read(tags: &[(&'static str, &'static str)]) -> Option<(bool, [bool; 4])> {
        let tags = tags.iter().copied().collect();
        Restriction::read(&tags, vec![1], Via::Node(2), vec![3]).map(|restriction| (restriction.only, restriction.holds))
    }

    #[test]
    fn whom_a_restriction_holds_for() {
        // In the order foot, bicycle, motorbike, car.
        let (vehicles, motors) = ([false, true, true, true], [false, false, true, true]);
        for (tags, expected) in [
            (&[("restriction", "no_left_turn")][..], Some((false, vehicles))),
            (&[("restriction", "only_straight_on")], Some((true, vehicles))),
            (&[("restriction", "no_left_turn"), ("except", "bicycle")], Some((false, motors))),
            (&[("restriction", "no_u_turn"), ("except", "psv; bicycle")], Some((false, motors))),
            (&[("restriction:motorcar", "no_left_turn")], Some((false, [false, false, false, true]))),
            (&[("restriction:hgv", "no_left_turn")], None),
            (&[("restriction", "give_way")], None),
            (&[("restriction:conditional", "no_left_turn @ (07:00-19:00)")], None),
        ] {
            assert_eq!(read(tags), expected, "{tags:?}");
        }
    }

    const NONE: Vec<Vec<u32>> = Vec::new();

    #[test]
    fn which_turns_over_ways_are_meant() {
        // 1–2, a middle 2–3–4 in two ways of which one is drawn against the other, and on to 5 or 6; off it at 2 to 7.
        let lists: [(i64, &[i64]); 7] =
            [(10, &[1, 2]), (20, &[2, 3]), (21, &[4, 3]), (30, &[4, 5]), (40, &[6, 4]), (50, &[2, 7]), (60, &[2, 3, 4])];
        let ways: HashMap<i64, &[i64]> = lists.into_iter().collect();
        let street = |from, to| Street { from, to, cost: Cost::new(1, 1) };
        let both = |a, b| [street(a, b), street(b, a)];
        let streets = [both(1, 2), both(2, 3), both(3, 4), both(4, 5), both(4, 6), both(2, 7)].concat();
        let turns = |from: i64, via: &[i64], to: i64, only: bool, streets: &[Street]| {
            let restriction =
                Restriction { from: vec![from], via: Via::Ways(via.to_vec()), to: vec![to], only, holds: [false, true, true, true] };
            banned(Mode::Car, &[restriction], &ways, streets, |id| (id <= 7).then_some(id as u32))
        };
        for via in [&[20, 21][..], &[21, 20], &[60]] {
            assert_eq!(turns(10, via, 30, false, &streets), [[1, 2, 3, 4, 5]], "{via:?}");
            assert_eq!(turns(30, via, 10, false, &streets), [[5, 4, 3, 2, 1]], "{via:?}, the other way");
            assert_eq!(turns(10, via, 30, true, &streets), [[1, 2, 3, 4, 3], [1, 2, 3, 4, 6]], "{via:?} is the only way on");
        }
        assert_eq!(turns(10, &[20, 30], 40, false, &streets), NONE, "they do not join");
        assert_eq!(turns(10, &[20, 99], 30, false, &streets), NONE, "one of them is nobody's");
        let one_way: Vec<Street> = streets.iter().copied().filter(|street| (street.from, street.to) != (3, 4)).collect();
        assert_eq!(turns(10, &[60], 30, false, &one_way), NONE, "nobody comes there");
        assert_eq!(turns(30, &[60], 10, false, &one_way), [[5, 4, 3, 2, 1]]);
    }

    #[test]
    fn which_turns_are_meant() {
        // Way 10 is 1–2, way 20 is 2–3, way 30 is 2–4: a crossing at 2, which everybody may cross in all directions.
        let lists: [(i64, &[i64]); 3] = [(10, &[1, 2]), (20, &[2, 3]), (30, &[4, 2])];
        let ways: HashMap<i64, &[i64]> = lists.into_iter().collect();
        let street = |from, to| Street { from, to, cost: Cost::new(1, 1) };
        let streets: Vec<Street> = [1, 3, 4].into_iter().flat_map(|node| [street(node, 2), street(2, node)]).collect();
        let turns = |from: i64, to: i64, only: bool| {
            let restriction = Restriction { from: vec![from], via: Via::Node(2), to: vec![to], only, holds: [false, true, true, true] };
            let name = |id: i64| (id <= 4).then_some(id as u32);
            let of = |mode| banned(mode, std::slice::from_ref(&restriction), &ways, &streets, name);
            assert_eq!(of(Mode::Foot), NONE);
            of(Mode::Car)
        };
        assert_eq!(turns(10, 20, false), [[1, 2, 3]]);
        assert_eq!(turns(10, 20, true), [[1, 2, 1], [1, 2, 4]]);
        assert_eq!(turns(20, 20, false), [[3, 2, 3]], "no turning round");
        assert_eq!(turns(10, 99, true), NONE, "an only way on that nobody may go is not meant");
    }
}
