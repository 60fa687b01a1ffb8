//! What OpenStreetMap says about who may go where, how fast.
//!
//! Source: the wiki's pages "Key:highway", "Key:access" (the more specific key wins), "Key:oneway".

use super::{
    Cost, MapError, Mode, Network, Street,
    restrictions::{self, Restriction},
};
use crate::geo::Point;
use osmpbf::{Element, ElementReader};
use std::{collections::HashMap, path::Path};

/// Kilometres an hour on a class of way, by foot, bicycle, motorbike and car; 0 is closed unless a tag opens it. City driving: what is lost at lights is
/// in it.
const CLASSES: [(&str, [f64; 4]); 22] = [
    ("motorway", [0.0, 0.0, 80.0, 80.0]),
    ("motorway_link", [0.0, 0.0, 45.0, 45.0]),
    ("trunk", [0.0, 0.0, 60.0, 60.0]),
    ("trunk_link", [0.0, 0.0, 40.0, 40.0]),
    ("primary", [5.0, 16.0, 40.0, 36.0]),
    ("primary_link", [5.0, 16.0, 30.0, 30.0]),
    ("secondary", [5.0, 16.0, 36.0, 32.0]),
    ("secondary_link", [5.0, 16.0, 28.0, 28.0]),
    ("tertiary", [5.0, 16.0, 32.0, 28.0]),
    ("tertiary_link", [5.0, 16.0, 25.0, 25.0]),
    ("unclassified", [5.0, 16.0, 27.0, 24.0]),
    ("residential", [5.0, 16.0, 25.0, 22.0]),
    ("living_street", [5.0, 12.0, 10.0, 10.0]),
    ("service", [5.0, 14.0, 14.0, 12.0]),
    ("road", [5.0, 14.0, 20.0, 20.0]),
    ("track", [5.0, 12.0, 12.0, 10.0]),
    ("cycleway", [5.0, 17.0, 0.0, 0.0]),
    ("path", [5.0, 10.0, 0.0, 0.0]),
    ("footway", [5.0, 0.0, 0.0, 0.0]),
    ("pedestrian", [5.0, 0.0, 0.0, 0.0]),
    ("bridleway", [4.0, 0.0, 0.0, 0.0]),
    ("steps", [2.5, 0.0, 0.0, 0.0]),
];
/// Where a tag opens a way that its class closes, people are careful.
const OPENED_KMH: [f64; 4] = [4.0, 10.0, 10.0, 8.0];

/// How a way may be used by somebody: kilometres an hour along it and against it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Use {
    along: Option<f64>,
    against: Option<f64>,
}

fn access_keys(mode: Mode) -> &'static [&'static str] {
    match mode {
        Mode::Foot => &["foot", "access"],
        Mode::Bike => &["bicycle", "vehicle", "access"],
        Mode::Motorbike => &["motorcycle", "motor_vehicle", "vehicle", "access"],
        Mode::Car => &["motorcar", "motor_vehicle", "vehicle", "access"],
    }
}

fn usage(mode: Mode, tags: &HashMap<&str, &str>) -> Use {
    let tag = |key: &str| tags.get(key).copied();
    let Some((_, speeds)) = tag("highway").and_then(|class| CLASSES.iter().find(|(name, _)| *name == class)) else {
        return Use::default();
    };
    let usual = speeds[mode as usize];
    let kmh = match access_keys(mode).iter().find_map(|key| tag(key)) {
        Some("no" | "private" | "use_sidepath" | "agricultural" | "forestry" | "military") => return Use::default(),
        Some("dismount") => 4.0,
        // "destination", "customers", "delivery" are what couriers are there for.
        Some("yes" | "designated" | "permissive" | "destination" | "customers" | "delivery") if usual == 0.0 => OPENED_KMH[mode as usize],
        Some(_) | None => usual,
    };
    if kmh == 0.0 {
        return Use::default();
    }
    let is_motor = matches!(mode, Mode::Car | Mode::Motorbike);
    let limit = tag("maxspeed").and_then(|limit| match limit.strip_suffix(" mph") {
        Some(miles) => miles.parse::<f64>().ok().map(|miles| miles * 1.609),
        None => limit.parse::<f64>().ok(),
    });
    let kmh = if is_motor { limit.filter(|limit| *limit >= 5.0).map_or(kmh, |limit| kmh.min(limit)) } else { kmh };
    let implied = matches!(tag("junction"), Some("roundabout" | "circular")) || tag("highway") == Some("motorway");
    let oneway = match mode {
        Mode::Foot => tag("oneway:foot"),
        Mode::Bike => {
            let is_opposite =
                ["cycleway", "cycleway:left", "cycleway:right"].iter().any(|key| tag(key).is_some_and(|way| way.starts_with("opposite")));
            if is_opposite { Some("no") } else { tag("oneway:bicycle").or(tag("oneway")) }
        }
        Mode::Motorbike | Mode::Car => tag("oneway"),
    };
    let (along, against) = match oneway {
        Some("yes" | "1" | "true") => (true, false),
        Some("-1" | "reverse") => (false, true),
        Some(_) => (true, true),
        None => (true, !(implied && mode != Mode::Foot)),
    };
    Use { along: along.then_some(kmh), against: against.then_some(kmh) }
}

/// The networks of all modes, in the order of [`Mode::ALL`], from an `.osm.pbf`.
///
/// # Errors
/// [`MapError::Osm`]: it cannot be read.
pub fn read(path: &Path) -> Result<Vec<Network>, MapError> {
    let mut ways: Vec<Way> = Vec::new();
    let mut restrictions: Vec<Restriction> = Vec::new();
    ElementReader::from_path(path)?.for_each(|element| match element {
        Element::Way(way) => {
            let tags: HashMap<&str, &str> = way.tags().collect();
            let uses = Mode::ALL.map(|mode| usage(mode, &tags));
            if uses.iter().any(|usage| usage.along.or(usage.against).is_some()) {
                ways.push(Way { id: way.id(), nodes: way.refs().collect(), uses });
            }
        }
        Element::Relation(relation) => restrictions.extend(Restriction::of(&relation)),
        Element::Node(_) | Element::DenseNode(_) => (),
    })?;
    let mut points: HashMap<i64, Option<Point>> = ways.iter().flat_map(|way| &way.nodes).map(|id| (*id, None)).collect();
    let mut place = |id: i64, lat: f64, lon: f64| {
        if let Some(point) = points.get_mut(&id) {
            *point = Point::new(lat, lon).ok();
        }
    };
    ElementReader::from_path(path)?.for_each(|element| match element {
        Element::Node(node) => place(node.id(), node.lat(), node.lon()),
        Element::DenseNode(node) => place(node.id(), node.lat(), node.lon()),
        Element::Way(_) | Element::Relation(_) => (),
    })?;
    Ok(Mode::ALL.into_iter().map(|mode| network(mode, &ways, &restrictions, &points)).collect())
}

/// A way that is open to somebody.
struct Way {
    id: i64,
    nodes: Vec<i64>,
    uses: [Use; 4],
}

fn network(mode: Mode, ways: &[Way], restrictions: &[Restriction], points: &HashMap<i64, Option<Point>>) -> Network {
    let mut network = Network::default();
    let mut names: HashMap<i64, u32> = HashMap::new();
    for Way { nodes, uses, .. } in ways {
        let usage = uses[mode as usize];
        if usage == Use::default() {
            continue;
        }
        for pair in nodes.windows(2) {
            // An extract may lack the nodes beyond its edge.
            let (Some(Some(a)), Some(Some(b))) = (points.get(&pair[0]), points.get(&pair[1])) else { continue };
            let mut name = |id: i64, point: Point| {
                *names.entry(id).or_insert_with(|| {
                    network.points.push(point);
                    network.points.len() as u32 - 1
                })
            };
            let (from, to) = (name(pair[0], *a), name(pair[1], *b));
            let metres = a.distance_m(*b);
            let cost = |kmh: f64| Cost::new(((metres * 36.0 / kmh).ceil() as u32).max(1), (metres * 10.0).round() as u32);
            network.streets.extend(usage.along.map(|kmh| Street { from, to, cost: cost(kmh) }));
            network.streets.extend(usage.against.map(|kmh| Street { from: to, to: from, cost: cost(kmh) }));
        }
    }
    let by_id = ways.iter().map(|way| (way.id, way.nodes.as_slice())).collect();
    network.banned = restrictions::banned(mode, restrictions, &by_id, &network.streets, |id| names.get(&id).copied());
    network
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(mode: Mode, tags: &[(&'static str, &'static str)], along: bool, against: bool) {
        let usage = usage(mode, &tags.iter().copied().collect());
        assert_eq!((usage.along.is_some(), usage.against.is_some()), (along, against), "{mode:?} {tags:?}");
    }

    #[test]
    fn who_may_go_where() {
        use Mode::{Bike, Car, Foot, Motorbike};
        for (mode, tags, along, against) in [
            (Car, &[("highway", "residential")][..], true, true),
            (Car, &[("highway", "residential"), ("oneway", "yes")], true, false),
            (Car, &[("highway", "residential"), ("oneway", "-1")], false, true),
            (Bike, &[("highway", "residential"), ("oneway", "yes")], true, false),
            (Bike, &[("highway", "residential"), ("oneway", "yes"), ("oneway:bicycle", "no")], true, true),
            (Bike, &[("highway", "residential"), ("oneway", "yes"), ("cycleway", "opposite_lane")], true, true),
            (Foot, &[("highway", "residential"), ("oneway", "yes")], true, true),
            (Car, &[("highway", "tertiary"), ("junction", "roundabout")], true, false),
            (Foot, &[("highway", "tertiary"), ("junction", "roundabout")], true, true),
            (Car, &[("highway", "footway")], false, false),
            (Foot, &[("highway", "motorway")], false, false),
            (Motorbike, &[("highway", "motorway")], true, false),
            (Car, &[("highway", "service"), ("access", "private")], false, false),
            (Car, &[("highway", "service"), ("access", "private"), ("motor_vehicle", "delivery")], true, true),
            (Motorbike, &[("highway", "primary"), ("motorcycle", "no")], false, false),
            (Car, &[("highway", "primary"), ("motorcycle", "no")], true, true),
            (Bike, &[("highway", "pedestrian"), ("bicycle", "yes")], true, true),
            (Bike, &[("highway", "steps")], false, false),
            (Car, &[("waterway", "river")], false, false),
        ] {
            check(mode, tags, along, against);
        }
    }

    #[test]
    fn limits_slow_motors_only() {
        let kmh = |mode, limit| usage(mode, &HashMap::from([("highway", "primary"), ("maxspeed", limit)])).along;
        assert_eq!(
            [kmh(Mode::Car, "20"), kmh(Mode::Car, "10 mph"), kmh(Mode::Car, "signals"), kmh(Mode::Bike, "10")],
            [Some(20.0), Some(16.09), Some(36.0), Some(16.0)]
        );
    }
}
