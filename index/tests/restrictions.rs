//! Turn restrictions as OpenStreetMap's files have them: a file is written byte by byte, and read.
//!
//! Source: the wiki's page "PBF Format".
#![allow(clippy::unwrap_used)]

use index::geo::Point;
use index::roads::{Mode, RoadMap, networks};

/// Protocol Buffers, as much as is needed.
#[derive(Default)]
struct Message(Vec<u8>);

fn varint(mut number: u64, bytes: &mut Vec<u8>) {
    while number >= 128 {
        bytes.push(number as u8 | 128);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63) as u64
}

impl Message {
    fn number(mut self, field: u64, number: u64) -> Self {
        varint(field << 3, &mut self.0);
        varint(number, &mut self.0);
        self
    }

    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        varint(field << 3 | 2, &mut self.0);
        varint(bytes.len() as u64, &mut self.0);
        self.0.extend_from_slice(bytes);
        self
    }

    fn packed(self, field: u64, numbers: impl IntoIterator<Item = u64>) -> Self {
        let mut bytes = Vec::new();
        numbers.into_iter().for_each(|number| varint(number, &mut bytes));
        self.bytes(field, &bytes)
    }

    /// Each as the difference to the one before.
    fn deltas(self, field: u64, numbers: &[i64]) -> Self {
        let before = [0].into_iter().chain(numbers.iter().copied());
        self.packed(field, numbers.iter().zip(before).map(|(number, before)| zigzag(number - before)))
    }
}

const STRINGS: [&str; 10] = ["", "highway", "residential", "type", "restriction", "no_left_turn", "only_straight_on", "from", "via", "to"];

fn string(text: &str) -> u64 {
    STRINGS.iter().position(|known| *known == text).unwrap() as u64
}

/// A member: its role, whether it is a way, its id.
type Member = (&'static str, bool, i64);

/// Nodes in a row from south to north by id, ways along nodes, relations.
fn file(nodes: i64, ways: &[(i64, &[i64])], restrictions: &[(&str, &[Member])]) -> tempfile::NamedTempFile {
    let strings = STRINGS.iter().fold(Message::default(), |table, text| table.bytes(1, text.as_bytes()));
    let node = |group: Message, id: i64| {
        let (lat, lon) = (430_000_000 + id * 10_000, 70_000_000);
        group.bytes(1, &Message::default().number(1, zigzag(id)).number(8, zigzag(lat)).number(9, zigzag(lon)).0)
    };
    let way = |group: Message, (id, along): &(i64, &[i64])| {
        let way = Message::default().number(1, *id as u64).packed(2, [string("highway")]).packed(3, [string("residential")]);
        group.bytes(3, &way.deltas(8, along).0)
    };
    let relation = |group: Message, (id, (kind, members)): (u64, &(&str, &[Member]))| {
        let ids: Vec<i64> = members.iter().map(|(.., id)| *id).collect();
        let relation = Message::default().number(1, id).packed(2, [string("type"), string("restriction")]);
        let relation = relation.packed(3, [string("restriction"), string(kind)]).packed(8, members.iter().map(|(role, ..)| string(role)));
        group.bytes(4, &relation.deltas(9, &ids).packed(10, members.iter().map(|(_, is_way, _)| u64::from(*is_way))).0)
    };
    let groups = [
        (1..=nodes).fold(Message::default(), node),
        ways.iter().fold(Message::default(), way),
        (1..).zip(restrictions).fold(Message::default(), relation),
    ];
    let block = groups.iter().fold(Message::default().bytes(1, &strings.0), |block, group| block.bytes(2, &group.0));
    let blob = Message::default().bytes(1, &block.0);
    let header = Message::default().bytes(1, b"OSMData").number(3, blob.0.len() as u64);
    let bytes = [&(header.0.len() as u32).to_be_bytes(), &header.0[..], &blob.0].concat();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    file
}

/// 1 – 2 – 3 – 4 – 5, and off it at 4 to 6; nodes are named in the order in which ways come to them.
const WAYS: [(i64, &[i64]); 5] = [(10, &[1, 2]), (20, &[2, 3]), (21, &[4, 3]), (30, &[4, 5]), (40, &[6, 4])];

fn check(kind: &str, members: &[Member], expected: &[&[u32]]) {
    let file = file(6, &WAYS, &[(kind, members)]);
    let networks = networks(file.path()).unwrap();
    assert_eq!(networks.iter().map(|network| network.points.len()).collect::<Vec<_>>(), [6; 4]);
    assert!(networks[Mode::Foot as usize].banned.is_empty(), "who walks turns anywhere");
    for mode in [Mode::Bike, Mode::Motorbike, Mode::Car] {
        assert_eq!(networks[mode as usize].banned, expected, "{kind} {members:?} by {mode:?}");
    }
}

#[test]
fn over_a_node_and_over_ways() {
    let (from, to) = (("from", true, 10), ("to", true, 30));
    check("no_left_turn", &[("from", true, 30), ("via", false, 4), ("to", true, 40)], &[&[4, 3, 5]]);
    check("no_left_turn", &[from, ("via", true, 20), ("via", true, 21), to], &[&[0, 1, 2, 3, 4]]);
    check("no_left_turn", &[to, ("via", true, 21), from, ("via", true, 20)], &[&[0, 1, 2, 3, 4]]);
    check("only_straight_on", &[from, ("via", true, 20), ("via", true, 21), to], &[&[0, 1, 2, 3, 2], &[0, 1, 2, 3, 5]]);
    // Who says both, neither, or two nodes, is not understood.
    check("no_left_turn", &[from, ("via", true, 20), ("via", false, 3), ("via", true, 21), to], &[]);
    check("no_left_turn", &[from, to], &[]);
    check("no_left_turn", &[from, ("via", false, 2), ("via", false, 3), to], &[]);
}

#[test]
fn a_map_keeps_to_it() {
    let place = |id: u32| Point::new(43.0 + f64::from(id) * 0.001, 7.0).unwrap();
    let import = |restrictions: &[(&str, &[Member])]| RoadMap::import(file(6, &WAYS, restrictions).path()).unwrap();
    let members = [("from", true, 10), ("via", true, 20), ("via", true, 21), ("to", true, 30)];
    let (free, held) = (import(&[]), import(&[("no_left_turn", &members)]));
    let line = |map: &RoadMap, from: u32| map.route(place(from), place(5), Mode::Car).unwrap().line.len();
    assert_eq!((line(&free, 1), line(&held, 1)), (5, 7), "on to the side street and back");
    assert_eq!((line(&free, 2), line(&held, 2)), (4, 4));
}
