//! A scene as the numbers that a plan is made of.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use index::geo::Point;
use storage::Timestamp;

use crate::city::cities::CityId;
use crate::city::couriers::{CourierId, Vehicle};
use crate::city::dispatch::horizon::demand::mean_way_s;
use crate::city::dispatch::horizon::town::{Hand, Reach, Rest, Spot, Town, Ways, Wish};
use crate::city::dispatch::model::{Job, JobId, WhyNot};
use crate::city::dispatch::policy::ahead::ask_routes;
use crate::city::dispatch::policy::eligible::{barred, off_duty};
use crate::city::dispatch::policy::fair_pay::MEAN_PERMILLE;
use crate::city::dispatch::policy::{Person, Rules, Scene};

/// People looked at in a moment: the fewer counters, the more around each, but not fewer than these, and more while hardly anybody of them is free.
const LOOKED_AT: usize = 4_096;
const NEAR_MIN: usize = 16;
const NEAR_MAX: usize = 512;
const FREE_MIN: usize = 6;
/// Hands times counters up to which everybody comes into question everywhere; beyond, only who is near.
const EVERYBODY_MAX: usize = 100_000;
/// Zones that orders come from, the busiest; and ways from places to them, of one moment.
const ZONES_MAX: usize = 64;
const REST_MAX: usize = 40_000;

/// One city, one moment: what the plan's numbers stand for.
pub struct Moment {
    pub town: Town,
    pub rules: Rules,
    /// By hand.
    pub people: Vec<Person>,
    /// By hand: what they have earned by the hour today beside the others, where that is known.
    pub standings: Vec<Option<u32>>,
    /// Who was near, and cannot be thought of now.
    pub away: Vec<(Person, WhyNot)>,
    /// By wish; `None`: it is in somebody's hands already.
    pub jobs: Vec<Option<(JobId, Job)>>,
    /// By counter of a job: who is near, as numbers into `people`, and into `away`.
    pub near: Vec<(Vec<usize>, Vec<usize>)>,
    wish_of: BTreeMap<JobId, usize>,
}

/// Counters are told apart by merchant and place.
type CounterKey = (u128, u64, u64);

#[derive(Default)]
struct Counters {
    known: BTreeMap<CounterKey, usize>,
    points: Vec<Point>,
}

impl Counters {
    fn at(&mut self, merchant: u128, point: Point) -> usize {
        let next = self.points.len();
        let counter = *self.known.entry((merchant, point.lat().to_bits(), point.lon().to_bits())).or_insert(next);
        if counter == next {
            self.points.push(point);
        }
        counter
    }
}

fn seconds(at: Timestamp) -> i64 {
    at.millis().div_euclid(1_000)
}

impl Moment {
    /// `jobs` are all of `city`, each once.
    #[must_use]
    pub fn of(scene: &dyn Scene, city: CityId, jobs: Vec<(JobId, Job)>) -> Self {
        let (now, rules) = (scene.now(), scene.rules(city));
        let now_s = seconds(now);
        let mut counters = Counters::default();
        let mut wishes: Vec<Wish> = jobs.iter().map(|(_, job)| wish(job, &mut counters)).collect();
        let mut doors: Vec<Point> = jobs.iter().map(|(_, job)| job.request.dropoff.point()).collect();
        let Gathered { people, away, near } = gather(scene, city, &counters.points, &rules);
        let standings = scene.standings(&people);
        let mut vehicles: Vec<Vehicle> = Vec::new();
        let busy: Vec<&Person> = people.iter().filter(|person| !person.tasks.is_empty()).collect();
        ask_routes(scene.times(city), &[], &busy);
        let mut hands = Vec::with_capacity(people.len());
        let mut from = Vec::with_capacity(people.len());
        for (number, person) in people.iter().enumerate() {
            let vehicle = person.account.vehicle;
            let class = vehicles.iter().position(|known| *known == vehicle).unwrap_or_else(|| {
                vehicles.push(vehicle);
                vehicles.len() - 1
            });
            let until = person.presence.until.map_or(i64::MAX / 4, seconds);
            let room = person.account.capacity;
            let pay_permille = standings.get(number).copied().flatten().unwrap_or(MEAN_PERMILLE);
            let mut hand = Hand { free_s: now_s, off_s: until, room, class, sent_to: None, owed: scene.owed(person), pay_permille };
            let mut at = person.position;
            if let Some((merchant, point)) = sent_to(person) {
                let counter = counters.at(merchant, point);
                hand.sent_to = Some(counter);
                hand.free_s = seconds(scene.arrives(person, point, city));
                at = point;
                for (task, carried) in person.tasks.iter().zip(&person.presence.carries) {
                    let ready_s = seconds(task.ready_at);
                    let due_s = i64::MAX / 4;
                    wishes.push(Wish { counter, ready_s, due_s, size: carried.size, owner: Some(number) });
                    doors.push(task.dropoff);
                }
            } else if !person.presence.carries.is_empty() {
                let (free_at, last) = scene.frees(person, city);
                // Whatever is thought, they are not free before they say so.
                hand.free_s = seconds(free_at).max(now_s + 1);
                at = last;
            }
            hands.push(hand);
            from.push(at);
        }
        let times = scene.times(city);
        let point = |spot| match spot {
            Spot::Hand(hand) => from[hand],
            Spot::Counter(counter) => counters.points[counter],
            Spot::Door(wish) => doors[wish],
        };
        let all = counters.points.len() * hands.len() <= EVERYBODY_MAX;
        let mut close: Vec<Vec<usize>> = Vec::new();
        if !all {
            close.extend(near.iter().map(|(people, _)| people.clone()));
            close.resize(counters.points.len(), Vec::new());
        }
        let reach = if all { Reach::All } else { Reach::Near(&close) };
        let ways = Ways::new(&hands, &wishes, counters.points.len(), reach, |class, a, b| {
            let points = |spots: &[Spot]| spots.iter().map(|spot| point(*spot)).collect::<Vec<Point>>();
            times.table(&points(a), &points(b), vehicles[class])
        });
        // A city so full that only who is near comes into question has somebody everywhere.
        let rest = if all { rest(scene, city, &from, &doors, vehicles.first().copied()) } else { Rest::default() };
        let numbers: BTreeMap<CourierId, usize> = people.iter().enumerate().map(|(number, person)| (person.id, number)).collect();
        let barred = (0..wishes.len()).map(|wish| jobs.get(wish).map_or_else(Vec::new, |(_, job)| not_for(job, &numbers, now))).collect();
        let pace = scene.pace();
        let town =
            Town { now_s, round_s: pace.round_s, ahead_s: pace.ahead_s, service: scene.service(), hands, barred, ways, wishes, rest };
        let wish_of = jobs.iter().enumerate().map(|(wish, (id, _))| (*id, wish)).collect();
        let mut jobs: Vec<Option<(JobId, Job)>> = jobs.into_iter().map(Some).collect();
        jobs.resize(town.wishes.len(), None);
        Self { town, rules, people, standings, away, jobs, near, wish_of }
    }

    /// The wish of a job.
    #[must_use]
    pub fn wish_of(&self, id: JobId) -> Option<usize> {
        self.wish_of.get(&id).copied()
    }
}

/// How far it is from each place to where orders come from, as one kind of vehicle goes: what counts is the difference between places.
fn rest(scene: &dyn Scene, city: CityId, hands: &[Point], doors: &[Point], by: Option<Vehicle>) -> Rest {
    let (mut zones, places) = (scene.demand(city), [hands, doors].concat());
    let Some(by) = by.filter(|_| !zones.is_empty()) else { return Rest::default() };
    zones.sort_by_key(|(_, weight)| Reverse(*weight));
    zones.truncate(ZONES_MAX.min(REST_MAX / places.len().max(1)));
    let (points, weights): (Vec<Point>, Vec<u64>) = zones.into_iter().unzip();
    let far = scene.times(city).table(&places, &points, by);
    let mut ways = far.iter().map(|row| mean_way_s(row, &weights));
    Rest { hands: ways.by_ref().take(hands.len()).collect(), doors: ways.collect() }
}

fn wish(job: &Job, counters: &mut Counters) -> Wish {
    let request = &job.request;
    let counter = counters.at(request.merchant, request.pickup.point());
    let due_s = request.due_at.map_or(i64::MAX / 4, seconds);
    Wish { counter, ready_s: seconds(request.ready_at), due_s, size: request.size, owner: None }
}

/// Whom a job must not be given to.
fn not_for(job: &Job, numbers: &BTreeMap<CourierId, usize>, now: Timestamp) -> Vec<usize> {
    let refused = job.refused.iter().filter(|refused| barred(job, refused.courier, now).is_some());
    let hands: BTreeSet<usize> = refused.filter_map(|refused| numbers.get(&refused.courier).copied()).collect();
    hands.into_iter().collect()
}

/// Everybody near a counter.
struct Gathered {
    /// Who can be planned with, in the order of their ids.
    people: Vec<Person>,
    away: Vec<(Person, WhyNot)>,
    near: Vec<(Vec<usize>, Vec<usize>)>,
}

/// Around each counter: as many as the moment allows, and more until some of them are free.
fn gather(scene: &dyn Scene, city: CityId, counters: &[Point], rules: &Rules) -> Gathered {
    let mut known: BTreeMap<CourierId, (Person, Option<WhyNot>)> = BTreeMap::new();
    let mut around: Vec<Vec<CourierId>> = Vec::with_capacity(counters.len());
    let now = scene.now();
    for counter in counters {
        let mut limit = NEAR_MIN.max(LOOKED_AT / counters.len());
        around.push(loop {
            let people = scene.around(*counter, rules.reach_m, limit);
            let (ids, mut free): (Vec<CourierId>, usize) = (people.iter().map(|person| person.id).collect(), 0);
            for person in people {
                let (person, why) = known.entry(person.id).or_insert_with(|| {
                    let why = off_duty(city, &person.account, &person.presence, now);
                    let why = why.or_else(|| scene.is_silent(person.id).then_some(WhyNot::Silent));
                    let why = why.or_else(|| person.presence.asked.is_some().then_some(WhyNot::Asked));
                    (person, why)
                });
                free += usize::from(why.is_none() && person.presence.carries.is_empty());
            }
            if free >= FREE_MIN || ids.len() < limit || limit >= NEAR_MAX {
                break ids;
            }
            limit *= 2;
        });
    }
    let (mut people, mut away) = (Vec::new(), Vec::new());
    let mut numbers: BTreeMap<CourierId, Result<usize, usize>> = BTreeMap::new();
    for (id, (person, why)) in known {
        numbers.insert(id, if why.is_none() { Ok(people.len()) } else { Err(away.len()) });
        match why {
            Some(why) => away.push((person, why)),
            None => people.push(person),
        }
    }
    let split = |ids: &Vec<CourierId>| {
        let numbers = ids.iter().filter_map(|id| numbers.get(id));
        let here = numbers.clone().filter_map(|number| number.ok()).collect();
        (here, numbers.filter_map(|number| number.err()).collect())
    };
    let near = around.iter().map(split).collect();
    Gathered { people, away, near }
}

/// The counter that a person is under way to, if all that they carry is still there.
fn sent_to(person: &Person) -> Option<(u128, Point)> {
    let merchant = person.presence.carries.first()?.merchant;
    let point = person.tasks.first()?.pickup?;
    let same = |carried: &crate::city::couriers::Carried| !carried.picked_up && carried.merchant == merchant;
    let whole = person.tasks.len() == person.presence.carries.len();
    let here = person.tasks.iter().all(|task| task.pickup == Some(point));
    (whole && here && person.presence.carries.iter().all(same)).then_some((merchant, point))
}
