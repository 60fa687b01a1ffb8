//! In which order a courier visits what they carry, and when they get there. Pure.

use index::geo::Point;
use storage::Timestamp;

use super::travel::Times;
use crate::city::couriers::Vehicle;

/// Parking, finding the door, handing over at the merchant's.
pub const PICKUP_S: i64 = 120;
/// The same at the customer's.
pub const DROPOFF_S: i64 = 120;
/// Up to this many stops the best place for each is searched; beyond that what comes later is visited later.
const SEARCHED_MAX: usize = 16;

/// One job in a courier's hands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Task {
    pub subject: u128,
    /// `None` once picked up.
    pub pickup: Option<Point>,
    pub dropoff: Point,
    pub ready_at: Timestamp,
}

/// What happens at a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopKind {
    Pickup,
    Dropoff,
}

/// A stop, and when the courier is there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stop {
    pub kind: StopKind,
    pub subject: u128,
    pub point: Point,
    /// Not picked up before.
    ready_at: Timestamp,
    pub arrive_at: Timestamp,
}

/// A courier's way from here on.
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    pub stops: Vec<Stop>,
    /// When the last stop is done: `now` for an empty route.
    pub free_at: Timestamp,
    /// Sum over the drop-offs of seconds from `now` until the courier is at the door: what is minimised.
    pub cost_s: i64,
}

/// From where, when, and how a courier travels.
#[derive(Clone, Copy)]
pub struct Start<'t> {
    pub from: Point,
    pub now: Timestamp,
    pub by: Vehicle,
    pub times: &'t dyn Times,
}

/// The route over all tasks: what is picked up already first in line, then by ready time, each inserted where it delays the drop-offs least.
#[must_use]
pub fn plan(start: Start<'_>, tasks: &[Task]) -> Route {
    let mut tasks = tasks.to_vec();
    tasks.sort_by_key(|task| (task.pickup.is_some(), task.ready_at, task.subject));
    tasks.iter().fold(timed(start, Vec::new()), |route, task| insert(start, &route, task))
}

/// `route` with one more task, the others in the order they had.
#[must_use]
pub fn insert(start: Start<'_>, route: &Route, task: &Task) -> Route {
    let dropoff = stop(StopKind::Dropoff, task, task.dropoff);
    let pickup = task.pickup.map(|point| stop(StopKind::Pickup, task, point));
    let len = route.stops.len();
    let first = if len > SEARCHED_MAX { len } else { 0 };
    let mut best: Option<Route> = None;
    for at in first..=len {
        for drop_at in at..=len {
            // Without a pickup the outer loop has nothing to place.
            if pickup.is_none() && at != first {
                continue;
            }
            let mut stops = route.stops.clone();
            stops.insert(drop_at, dropoff);
            if let Some(pickup) = pickup {
                stops.insert(at, pickup);
            }
            let candidate = timed(start, stops);
            if best.as_ref().is_none_or(|best| (candidate.cost_s, candidate.free_at) < (best.cost_s, best.free_at)) {
                best = Some(candidate);
            }
        }
    }
    best.expect("the loop runs at least once: first is at most len")
}

fn stop(kind: StopKind, task: &Task, point: Point) -> Stop {
    Stop { kind, subject: task.subject, point, ready_at: task.ready_at, arrive_at: task.ready_at }
}

fn timed(start: Start<'_>, mut stops: Vec<Stop>) -> Route {
    let (mut here, mut at, mut cost_s) = (start.from, start.now, 0);
    for stop in &mut stops {
        at = at.plus_s(i64::from(start.times.seconds(here, stop.point, start.by)));
        stop.arrive_at = at;
        here = stop.point;
        at = match stop.kind {
            StopKind::Pickup => at.plus_s(PICKUP_S).max(stop.ready_at),
            StopKind::Dropoff => {
                cost_s += at.ms_since(start.now) / 1000;
                at.plus_s(DROPOFF_S)
            }
        };
    }
    Route { stops, free_at: at, cost_s }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::travel::GreatCircle;
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn point(metres_east: i32) -> Point {
        // One degree on the equator is 111.19 km.
        Point::new(0.0, f64::from(metres_east) / 111_195.0).expect("on the earth")
    }

    fn tasks() -> impl Strategy<Value = Vec<Task>> {
        let task = (any::<bool>(), -5_000..5_000_i32, -5_000..5_000_i32, 0_i64..3_600);
        proptest::collection::vec(task, 0..6).prop_map(|tasks| {
            let task = |(n, (picked_up, pickup, dropoff, ready_s)): (usize, (bool, i32, i32, i64))| Task {
                subject: n as u128,
                pickup: (!picked_up).then(|| point(pickup)),
                dropoff: point(dropoff),
                ready_at: NOW.plus_s(ready_s),
            };
            tasks.into_iter().enumerate().map(task).collect()
        })
    }

    proptest! {
        /// Every drop-off once, its pickup once and before it unless it is in hand, nobody leaves before it is ready, time only goes forward.
        #[test]
        fn a_route_can_be_ridden(tasks in tasks()) {
            let times = GreatCircle { speed_mps: 5.0 };
            let route = plan(Start { from: point(0), now: NOW, by: Vehicle::Bike, times: &times }, &tasks);
            prop_assert_eq!(route.stops.len(), tasks.len() + tasks.iter().filter(|task| task.pickup.is_some()).count());
            for task in &tasks {
                let at = |kind| route.stops.iter().position(|stop| stop.subject == task.subject && stop.kind == kind);
                let dropoff = at(StopKind::Dropoff).expect("every task is dropped off");
                prop_assert_eq!(at(StopKind::Pickup).is_some(), task.pickup.is_some());
                if let Some(pickup) = at(StopKind::Pickup) {
                    prop_assert!(pickup < dropoff);
                    prop_assert!(route.stops[dropoff].arrive_at >= task.ready_at);
                }
            }
            prop_assert!(route.stops.windows(2).all(|pair| pair[0].arrive_at <= pair[1].arrive_at));
            prop_assert!(route.free_at >= NOW);
        }
    }

    #[test]
    fn doors_on_the_way_come_first() {
        let times = GreatCircle { speed_mps: 5.0 };
        let task = |subject, dropoff| Task { subject, pickup: Some(point(1_000)), dropoff: point(dropoff), ready_at: NOW };
        let route = plan(Start { from: point(0), now: NOW, by: Vehicle::Bike, times: &times }, &[task(1, 3_000), task(2, 2_000)]);
        // Both are picked up at the same counter, in either sequence.
        let order: Vec<(StopKind, u128)> = route.stops.iter().map(|stop| (stop.kind, stop.subject)).collect();
        assert_eq!(order[2..], [(StopKind::Dropoff, 2), (StopKind::Dropoff, 1)]);
    }
}
