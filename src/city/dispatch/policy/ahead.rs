//! What weighing people will ask about ways, asked in one go: a routing server answers one table sooner than a way for each of them.

use index::geo::Point;

use super::Person;
use crate::city::couriers::Vehicle;
use crate::city::dispatch::travel::{MEASURED_BY, Speeds, Times};

/// Ways of one question; what people carry makes questions grow like a square.
const WAYS_MAX: usize = 10_000;

/// The ways on which people bring what they carry, and something more that is taken and brought at `ends`.
pub fn ask_routes(times: &dyn Times, ends: &[Point], people: &[&Person]) {
    for by in Speeds::VEHICLES {
        let theirs: Vec<&Person> = people.iter().copied().filter(|person| person.account.vehicle == by).collect();
        let mut rest = &theirs[..];
        while !rest.is_empty() {
            let (some, others) = rest.split_at(fitting(rest, ends.len()));
            ask(times, ends, some, by);
            rest = others;
        }
    }
}

/// How far each of some people is from where something is taken, and how far it is brought.
pub fn ask_metres<'p>(times: &dyn Times, pickup: Point, dropoff: Point, people: impl Iterator<Item = &'p Person>) {
    let from: Vec<Point> = people.map(|person| person.position).chain([pickup]).collect();
    times.ask_ahead(&from, &[pickup, dropoff], MEASURED_BY);
}

/// How many of the first fit into one question: one at least.
fn fitting(people: &[&Person], ends: usize) -> usize {
    let (mut from, mut to) = (ends, ends);
    let fits = |person: &&&Person| {
        let stops = stops(person).count();
        (from, to) = (from + stops + 1, to + stops);
        from * to <= WAYS_MAX
    };
    people.iter().take_while(fits).count().max(1)
}

fn ask(times: &dyn Times, ends: &[Point], people: &[&Person], by: Vehicle) {
    let mut to = ends.to_vec();
    to.extend(people.iter().flat_map(|person| stops(person)));
    let from: Vec<Point> = people.iter().map(|person| person.position).chain(to.iter().copied()).collect();
    if !to.is_empty() {
        times.ask_ahead(&from, &to, by);
    }
}

fn stops(person: &Person) -> impl Iterator<Item = Point> {
    person.tasks.iter().flat_map(|task| task.pickup.into_iter().chain([task.dropoff]))
}
