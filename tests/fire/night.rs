//! One night: time passes, people act, the dispatcher plans on a view and carries out on the truth, the watch listens, the process dies now and then.

use std::sync::Arc;

use medina::city::couriers::model::SILENCES;
use medina::city::couriers::{self, CourierId};
use medina::city::dispatch::model::{JOBS, JOBS_DUE};
use medina::city::dispatch::policy::{Choice, Found, Plan, Policy};
use medina::city::dispatch::scene::LiveScene;
use medina::city::dispatch::{self, Job, JobId, OfferId, Watch, WatchConfig, jobs, offers, silence};
use medina::city::tracking::Tracking;
use medina::engine::timer::TIMERS;
use medina::engine::{Caller, Core, Fault, Tx, UserId, WriteError};
use medina::sim::Town;
use medina::sim::act::Sorry;
use medina::sim::dice::Dice;
use medina::sim::town::NOON;
use medina::trade::orders::model::OrderId;
use storage::disk::SimDisk;
use storage::{Timestamp, View};

use crate::{crowd, laws};

const STEPS: u32 = 140;
const WATCH: WatchConfig = WatchConfig { silent_seconds: 120, grace_seconds: 60 };
/// Devices have this long to come back after a start.
const GRACE_S: i64 = 60;
/// Somebody silent for longer than this has no business with what others could bring: the watch's time, the grace, and a few steps of ours.
const HOPELESS_MS: u64 = 260_000;
/// After the last move of the night, until everything must be final or known.
const MORNING_S: i64 = 4 * 3_600;
/// Of the morning.
const STEP_S: i64 = 120;

/// What a night was made of: a test of nothing must fail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub orders: u32,
    pub delivered: u32,
    pub offers: u32,
    pub declined: u32,
    pub too_late: u32,
    /// Plans that wanted somebody who was taken meanwhile.
    pub races: u32,
    pub lost: u32,
    pub back: u32,
    /// Came back and still had what they were to pick up.
    pub carried_on: u32,
    pub reassigned: u32,
    pub listed: u32,
    pub doubted: u32,
    pub late_pings: u32,
    pub delays: u32,
    pub moves: u32,
    pub moves_refused: u32,
    pub crashes: u32,
    pub by_hand: u32,
    pub handed_over: u32,
}

impl Seen {
    fn all(&mut self) -> [(&'static str, &mut u32); 19] {
        [
            ("orders", &mut self.orders),
            ("delivered", &mut self.delivered),
            ("offers", &mut self.offers),
            ("declined", &mut self.declined),
            ("answers that came too late", &mut self.too_late),
            ("races for a courier", &mut self.races),
            ("silent couriers", &mut self.lost),
            ("couriers who came back", &mut self.back),
            ("couriers who carried on", &mut self.carried_on),
            ("orders taken from the silent", &mut self.reassigned),
            ("orders in a silent bag", &mut self.listed),
            ("jumps", &mut self.doubted),
            ("late pings", &mut self.late_pings),
            ("delays", &mut self.delays),
            ("moved pins", &mut self.moves),
            ("pins that stayed", &mut self.moves_refused),
            ("crashes", &mut self.crashes),
            ("deliveries given by hand", &mut self.by_hand),
            ("bags handed over", &mut self.handed_over),
        ]
    }

    pub fn add(&mut self, other: &Self) {
        let mut other = *other;
        for ((_, sum), (_, more)) in self.all().into_iter().zip(other.all()) {
            *sum += *more;
        }
    }

    pub fn must_have_happened(mut self) {
        for (what, count) in self.all() {
            assert!(*count > 0, "the nights had no {what}");
        }
    }
}

/// A courier as the play knows them.
pub struct Rider {
    pub id: CourierId,
    pub user: UserId,
    /// Metres north and east of the centre.
    pub at: (f64, f64),
    /// The phone is dead until then.
    pub dead_until: u64,
    /// When the last sign of life reached the server.
    pub heard_ms: u64,
    /// How far the phone's clock is ahead.
    pub ahead_s: i64,
    pub seq: u64,
}

pub struct Night<'t> {
    pub town: &'t Town,
    pub seed: u64,
    pub step: u32,
    pub dice: Dice,
    pub now: Timestamp,
    pub mono_ms: u64,
    pub tracking: Arc<Tracking>,
    pub riders: Vec<Rider>,
    pub orders: Vec<OrderId>,
    /// Every offer ever made, and whose it was.
    pub offers: Vec<(OfferId, UserId)>,
    pub seen: Seen,
    disk: SimDisk,
    core: Option<Core>,
    watch: Watch,
    policy: Arc<dyn Policy>,
    life: u32,
    listens_from_ms: u64,
}

impl<'t> Night<'t> {
    pub fn begin(town: &'t Town, seed: u64) -> Self {
        let mut dice = Dice::new(seed, "fire");
        let couriers = town.quarters.iter().flat_map(|quarter| &quarter.couriers);
        let rider = |&(id, user): &(CourierId, UserId)| Rider {
            id,
            user,
            at: (100.0, 0.0),
            dead_until: 0,
            heard_ms: 0,
            ahead_s: 25 * i64::from(dice.percent(30)),
            seq: 0,
        };
        let riders = couriers.map(rider).collect();
        let tracking = Arc::new(Tracking::default());
        let policy = if seed % 3 == 2 { Choice::Horizon } else { Choice::Immediate };
        let mut night = Self {
            town,
            seed,
            step: 0,
            dice,
            now: NOON,
            mono_ms: 1_000_000,
            tracking: tracking.clone(),
            riders,
            orders: Vec::new(),
            offers: Vec::new(),
            seen: Seen::default(),
            disk: town.disk(seed),
            core: None,
            watch: Watch::new(tracking, WATCH),
            policy: policy.policy(),
            life: 0,
            listens_from_ms: 0,
        };
        night.start();
        night.load_lightly();
        night
    }

    /// In nights of a rush everybody rides with a small bag.
    fn load_lightly(&mut self) {
        if self.seed.is_multiple_of(2) {
            return;
        }
        self.open();
        for n in 0..self.riders.len() {
            let (id, capacity) = (self.riders[n].id, 1 + n as u32 % 2);
            let edited = self.system(move |tx| couriers::commands::edit(tx, id, None, |courier| courier.capacity = capacity));
            assert_eq!(edited.unwrap().capacity, capacity);
        }
        self.core().commit().unwrap();
    }

    /// As the appliance starts: recovery, the map from the rows, time for the devices to come back.
    fn start(&mut self) {
        self.life += 1;
        let mut entropy = [0; 32];
        entropy[..8].copy_from_slice(&self.seed.to_le_bytes());
        entropy[8..12].copy_from_slice(&self.life.to_le_bytes());
        self.core = Some(self.town.open(&self.disk, entropy).unwrap());
        self.tracking = Arc::new(Tracking::default());
        self.watch = Watch::new(self.tracking.clone(), WATCH);
        self.listens_from_ms = self.mono_ms + GRACE_S as u64 * 1000;
        self.tracking.restore(&*self.view(), self.listens_from_ms);
        let until = self.now.plus_s(GRACE_S);
        self.open();
        self.system(move |tx| offers::give_time(tx, until));
        let now = self.now;
        while self.core().fire_timers(now, 64) == 64 {}
        self.core().commit().unwrap();
    }

    fn crash(&mut self) {
        self.seen.crashes += 1;
        self.core = None;
        self.disk.reboot();
        self.start();
    }

    fn core(&mut self) -> &mut Core {
        self.core.as_mut().unwrap()
    }

    pub fn view(&self) -> Arc<View> {
        self.core.as_ref().unwrap().store.views().now()
    }

    pub fn digest(&self) -> String {
        self.view().digest().to_string()
    }

    /// Opens a batch.
    pub fn open(&mut self) {
        let now = self.now;
        self.core().store.begin(now);
    }

    /// Fires what is due and commits; now and then the power goes on the way. Whether the process lived.
    pub fn close(&mut self) -> bool {
        let now = self.now;
        while self.core().fire_timers(now, 64) == 64 {}
        let chance = self.dice.below(600);
        if chance == 0 {
            self.disk.crash_after(1 + self.dice.below(6) as u64);
        }
        let committed = self.core().commit().is_ok();
        if !committed || self.disk.is_crashed() || chance == 1 {
            self.crash();
            return false;
        }
        true
    }

    /// Asks as somebody: what it came to, or why not. Anything that only a bug can cause ends the play.
    pub fn ask<T, E>(&mut self, caller: &Caller, command: impl FnOnce(&mut Tx<'_, '_>) -> Result<T, E>) -> Result<T, String>
    where
        Sorry: From<E>,
    {
        match self.core().run(caller, "fire", command) {
            Ok(ran) => Ok(ran.value),
            Err(WriteError::Refused(refused)) => match Sorry::from(refused) {
                Sorry::No(why) => Err(why),
                Sorry::Broken(fault) => panic!("{fault}"),
            },
            Err(WriteError::Fault(fault)) => panic!("{fault}"),
        }
    }

    /// What the appliance does itself cannot be refused.
    fn system<T>(&mut self, command: impl FnOnce(&mut Tx<'_, '_>) -> T) -> T {
        let ran = self.core().run(&Caller::system("fire"), "fire", |tx| Ok::<T, Fault>(command(tx)));
        ran.unwrap_or_else(|error| panic!("{error:?}")).value
    }

    pub fn play(&mut self) {
        for step in 0..STEPS {
            self.step = step;
            let seconds = self.dice.below(25) as i64;
            self.pass(seconds);
            crowd::ping(self);
            for _ in 0..=self.dice.below(4) {
                self.open();
                crowd::act(self);
                self.close();
            }
            self.dispatch();
            self.listen();
            self.check();
        }
        self.morning();
    }

    fn pass(&mut self, seconds: i64) {
        self.now = self.now.plus_s(seconds);
        self.mono_ms += seconds as u64 * 1000;
        self.open();
        // What comes in the moment of a deadline stands in the queue before its timer.
        if self.dice.percent(60) {
            crowd::at_the_last_second(self);
        }
        self.close();
    }

    /// Whoever is asked says yes, and nobody does anything any more; in most nights half of the phones are dead. Everything must come to an end that somebody knows of.
    fn morning(&mut self) {
        for (n, rider) in self.riders.iter_mut().enumerate() {
            rider.dead_until = if n % 2 == 0 && !self.seed.is_multiple_of(4) { u64::MAX } else { 0 };
        }
        for _ in 0..3 {
            self.open();
            crowd::order_and_cook(self);
            self.close();
        }
        for n in 0..MORNING_S / STEP_S {
            self.step += 1;
            self.pass(STEP_S);
            crowd::ping(self);
            self.open();
            crowd::nod(self);
            self.close();
            self.dispatch();
            self.listen();
            if n % 15 == 0 {
                laws::rows(&self.view(), self.now);
            }
        }
        laws::rows(&self.view(), self.now);
        laws::nothing_is_forgotten(&self.view());
    }

    /// The dispatcher's passes: plans are made on a view, and somebody may act before they are carried out.
    fn dispatch(&mut self) {
        for _ in 0..8 {
            let view = self.view();
            let due: Vec<(JobId, Job)> = JOBS.find(&*view, &JOBS_DUE, &()).collect();
            if due.is_empty() {
                return;
            }
            self.tracking.refresh();
            // Planned each alone, two want the same courier.
            let alone = self.dice.percent(50);
            let groups: Vec<Vec<(JobId, Job)>> = if alone { due.into_iter().map(|job| vec![job]).collect() } else { vec![due] };
            let mut plans = Vec::new();
            for group in groups {
                let scene = LiveScene::new(view.clone(), self.tracking.clone(), self.now, group.iter().map(|(_, job)| job.request.city));
                plans.extend(self.policy.plan(&scene, &group));
            }
            if self.dice.percent(25) {
                self.open();
                crowd::act(self);
                self.close();
            }
            self.open();
            for plan in plans {
                self.carry_out(plan);
            }
            self.close();
        }
    }

    fn carry_out(&mut self, plan: Plan) {
        let policy = self.policy.name();
        let wanted = matches!(plan.found, Found::Offer { .. });
        let done = self.ask(&Caller::system("dispatch"), move |tx| match plan.found {
            Found::Offer { courier, .. } => offers::make(tx, &plan, policy).map(|offer| Some((offer, courier))),
            Found::Later { until } => jobs::later(tx, &plan.jobs, until).map(|()| None),
            Found::Nobody => jobs::nobody(tx, &plan, policy).map(|_| None),
        });
        match done {
            Ok(Some((offer, courier))) => {
                self.seen.offers += 1;
                let rider = self.riders.iter().find(|rider| rider.id == courier).unwrap();
                let (user, awake) = (rider.user, rider.dead_until <= self.mono_ms);
                self.offers.push((offer, user));
                if awake {
                    self.system(|tx| offers::seen(tx, offer));
                }
            }
            Ok(None) => (),
            Err(why) => self.seen.races += u32::from(wanted && why.contains("unanswered offer")),
        }
    }

    /// The watch's own ears, and its commands.
    fn listen(&mut self) {
        let listened = self.watch.listen(self.mono_ms);
        for courier in listened.returned {
            let had: Vec<u128> = self.carries(courier, false);
            let in_grace = SILENCES.get(&*self.view(), &courier).is_some_and(|silence| silence.grace.is_some());
            self.open();
            self.system(|tx| silence::back(tx, courier));
            if !self.close() {
                // What a process has heard dies with it.
                return;
            }
            self.tracking.mark_silent(courier, None);
            self.seen.back += 1;
            assert!(!SILENCES.has(&*self.view(), &courier), "{courier} is back");
            if in_grace {
                assert_eq!(self.carries(courier, false), had, "{courier} came back in time and carries on");
                self.seen.carried_on += u32::from(!had.is_empty());
            }
        }
        for overdue in self.watch.listen(self.mono_ms).overdue {
            let (courier, told) = (overdue.courier, self.watch.lost(&overdue));
            let heard_ms = self.riders.iter().find(|rider| rider.id == courier).unwrap().heard_ms;
            // Whoever was heard of since the start needs no grace of it.
            let since_start = heard_ms + GRACE_S as u64 * 1000 >= self.listens_from_ms;
            let heard_ms = if since_start { heard_ms } else { self.listens_from_ms };
            assert!(self.mono_ms - heard_ms >= 120_000, "{courier} was heard of {} ms ago", self.mono_ms - heard_ms);
            self.open();
            self.system(|tx| silence::lost(tx, courier, told));
            if !self.close() {
                return;
            }
            if couriers::silence(&*self.view(), courier).is_some() {
                self.tracking.mark_silent(courier, Some(overdue.heard_ms));
                self.seen.lost += 1;
                self.seen.listed += self.carries(courier, true).len() as u32;
            } else {
                self.tracking.stop_listening(courier);
            }
        }
    }

    /// What somebody has in the bag, or is to pick up.
    fn carries(&self, courier: CourierId, picked_up: bool) -> Vec<u128> {
        let carries = couriers::presence(&*self.view(), courier).carries;
        carries.iter().filter(|carried| carried.picked_up == picked_up).map(|carried| carried.subject).collect()
    }

    fn check(&mut self) {
        let view = self.view();
        laws::rows(&view, self.now);
        for (_, timer) in TIMERS.scan(&*view) {
            assert_eq!(timer.failures, 0, "a timer of kind {} has failed", timer.kind);
        }
        self.seen.reassigned = 0;
        for (_, job) in JOBS.scan(&*view) {
            let silent = job.refused.iter().filter(|refused| refused.why == dispatch::model::RefusedBecause::Silent);
            self.seen.reassigned += silent.count() as u32;
        }
        for rider in &self.riders {
            let silent_ms = self.mono_ms.saturating_sub(rider.heard_ms.max(self.listens_from_ms));
            if silent_ms >= HOPELESS_MS {
                assert_eq!(couriers::presence(&*view, rider.id).asked, None, "{} is asked, silent for {silent_ms} ms", rider.id);
                assert_eq!(self.carries(rider.id, false), Vec::<u128>::new(), "{} keeps it, silent for {silent_ms} ms", rider.id);
            }
            if let Some(live) = self.tracking.position(rider.id) {
                let centre = medina::sim::town::at(5.6, -0.2);
                assert!(live.point.distance_m(centre) < 9_000.0, "{} is believed to be {} m away", rider.id, live.point.distance_m(centre));
                // Two statements in one millisecond are told apart by the next one.
                assert!(live.at.ms_since(self.now) < 1_000, "{} is in the future", rider.id);
            }
        }
    }
}
