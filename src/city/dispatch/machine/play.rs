//! Jobs, offers and hands together, under random commands: the promises of dispatch, without a database.

use std::collections::BTreeMap;

use index::geo::Point;
use proptest::prelude::*;
use storage::Timestamp;

use super::{job, offer};
use crate::city::cities::CityId;
use crate::city::couriers::machine::{self as hands, Account, Answer};
use crate::city::couriers::{Availability, Carried, CourierId, Presence, Status};
use crate::city::dispatch::model::{Job, JobId, JobState, OfferId, OfferState, Pause, RefusedBecause, Request};
use crate::money::Money;

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const OFFER_S: i64 = 30;
const COURIERS: usize = 3;
const JOBS: usize = 4;

/// What may happen next; numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Move {
    Pass(u8),
    Request(usize),
    Offer(usize, usize),
    Accept(usize),
    Decline(usize),
    Lapse(usize),
    Void(usize),
    Report(usize, Availability),
    PickUp(usize),
    Release(usize),
    Finish(usize),
    Withdraw(usize),
    Nobody(usize),
    Look(usize),
    GiveUp(usize),
    ReadyAt(usize, u8),
}

fn moves() -> impl Strategy<Value = Move> {
    let n = || 0_usize..16;
    let availability = prop_oneof![4 => Just(Availability::Online), 1 => Just(Availability::Offline), 1 => Just(Availability::Break)];
    prop_oneof![
        2 => any::<u8>().prop_map(Move::Pass),
        3 => n().prop_map(Move::Request),
        6 => (n(), n()).prop_map(|(job, courier)| Move::Offer(job, courier)),
        5 => n().prop_map(Move::Accept),
        2 => n().prop_map(Move::Decline),
        2 => n().prop_map(Move::Lapse),
        1 => n().prop_map(Move::Void),
        3 => (n(), availability).prop_map(|(courier, availability)| Move::Report(courier, availability)),
        2 => n().prop_map(Move::PickUp),
        1 => n().prop_map(Move::Release),
        3 => n().prop_map(Move::Finish),
        1 => n().prop_map(Move::Withdraw),
        1 => n().prop_map(Move::Nobody),
        1 => n().prop_map(Move::Look),
        1 => n().prop_map(Move::GiveUp),
        1 => (n(), any::<u8>()).prop_map(|(job, s)| Move::ReadyAt(job, s)),
    ]
}

#[derive(Clone)]
struct Asked {
    job: usize,
    courier: usize,
    facts: offer::Facts,
}

/// A city of rows in memory; each step is what the commands do in one commit, all or nothing.
#[derive(Clone)]
struct City {
    now: Timestamp,
    capacity: u32,
    jobs: BTreeMap<usize, Job>,
    offers: Vec<Asked>,
    hands: Vec<Presence>,
}

fn courier(n: usize) -> CourierId {
    CourierId::from_u128(n as u128)
}

impl City {
    fn new(capacity: u32) -> Self {
        let online = Presence { availability: Availability::Online, ..Presence::default() };
        Self { now: START, capacity, jobs: BTreeMap::new(), offers: Vec::new(), hands: vec![online; COURIERS] }
    }

    fn request(&self, n: usize) -> Request {
        let place = Point::new(5.0, 0.0).expect("on the earth").into();
        Request {
            subject: n as u128,
            city: CityId::from_u128(1),
            merchant: 1,
            pickup: place,
            pickup_name: "Kitchen".to_owned(),
            dropoff: place,
            ready_at: self.now,
            due_at: None,
            size: 1 + n as u32 % 2,
            items_count: 1,
            pay: Money::new(500, "GHS".parse().expect("a currency")),
            cash_due: None,
        }
    }

    fn job(&mut self, n: usize, command: &job::Command) -> Option<Job> {
        let next = job::apply(self.jobs.get(&n), command, self.now).ok()?;
        self.jobs.insert(n, next.clone());
        Some(next)
    }

    fn hand(&mut self, n: usize, command: &hands::Command) -> Option<()> {
        let account = Account { status: Status::Active, capacity: self.capacity };
        self.hands[n] = hands::apply(&self.hands[n], account, command, self.now).ok()?;
        Some(())
    }

    fn end(&mut self, id: usize, command: offer::Command, answer: Answer, why: Option<RefusedBecause>) -> Option<()> {
        let Asked { job, courier: by, facts } = self.offers.get(id)?.clone();
        self.offers[id].facts.state = offer::apply(facts, command, self.now).ok()?;
        self.hand(by, &hands::Command::Answer { offer: id as u128, answer })?;
        let offer = OfferId::from_u128(id as u128);
        if command == offer::Command::Accept {
            let taken = self.job(job, &job::Command::Accept { offer, courier: courier(by) })?;
            let carried = Carried { subject: job as u128, merchant: 1, size: taken.request.size, cash: 0, picked_up: false };
            self.hand(by, &hands::Command::TakeOn(carried))
        } else {
            self.job(job, &job::Command::Refused { offer, courier: courier(by), why }).map(drop)
        }
    }

    fn holder(&self, n: usize) -> Option<usize> {
        match self.jobs.get(&n)?.state {
            JobState::Assigned { courier, .. } => Some(courier.as_u128() as usize),
            JobState::Waiting { .. } | JobState::Offered { .. } | JobState::Done { .. } | JobState::Withdrawn | JobState::Unassignable => {
                None
            }
        }
    }

    /// `None`: refused, and then nothing of it stands.
    fn step(&mut self, step: &Move) -> Option<()> {
        let offers = self.offers.len().max(1);
        match *step {
            Move::Pass(s) => {
                self.now = self.now.plus_s(i64::from(s));
                Some(())
            }
            Move::Request(n) => {
                let request = self.request(n % JOBS);
                self.job(n % JOBS, &job::Command::Request(request)).map(drop)
            }
            Move::Offer(n, by) => {
                let (n, by) = (n % JOBS, by % COURIERS);
                let id = self.offers.len();
                let size = self.jobs.get(&n)?.request.size;
                // What `eligible` says, as far as it concerns the hands.
                (self.hands[by].load() + size <= self.capacity).then_some(())?;
                self.job(n, &job::Command::Offer { offer: OfferId::from_u128(id as u128) })?;
                self.hand(by, &hands::Command::Ask { offer: id as u128 })?;
                let facts = offer::Facts { state: OfferState::Made, expires_at: self.now.plus_s(OFFER_S) };
                self.offers.push(Asked { job: n, courier: by, facts });
                Some(())
            }
            Move::Accept(id) => self.end(id % offers, offer::Command::Accept, Answer::Accepted, None),
            Move::Decline(id) => self.end(id % offers, offer::Command::Decline, Answer::Declined, Some(RefusedBecause::Declined)),
            Move::Lapse(id) => self.end(id % offers, offer::Command::Lapse, Answer::Lapsed, Some(RefusedBecause::Lapsed)),
            Move::Void(id) => self.end(id % offers, offer::Command::Void, Answer::Void, Some(RefusedBecause::Unseen)),
            Move::Report(by, availability) => {
                let by = by % COURIERS;
                if let (Some(id), true) = (self.hands[by].asked, availability != Availability::Online) {
                    self.end(id as usize, offer::Command::Void, Answer::Void, None)?;
                }
                self.hand(by, &hands::Command::Report { availability, until: None, position: None })
            }
            Move::PickUp(n) => {
                let by = self.holder(n % JOBS)?;
                self.job(n % JOBS, &job::Command::PickUp { courier: courier(by) })?;
                self.hand(by, &hands::Command::PickUp { subject: (n % JOBS) as u128 })
            }
            Move::Release(n) => {
                let by = self.holder(n % JOBS)?;
                self.job(n % JOBS, &job::Command::Release { courier: courier(by), why: RefusedBecause::Released })?;
                self.hand(by, &hands::Command::PutDown { subject: (n % JOBS) as u128, delivered: false })
            }
            Move::Finish(n) => {
                let by = self.holder(n % JOBS)?;
                self.job(n % JOBS, &job::Command::Finish)?;
                self.hand(by, &hands::Command::PutDown { subject: (n % JOBS) as u128, delivered: true })
            }
            Move::Withdraw(n) => {
                let n = n % JOBS;
                match self.jobs.get(&n)?.state {
                    JobState::Offered { offer } => self.end(offer.as_u128() as usize, offer::Command::Void, Answer::Void, None)?,
                    JobState::Assigned { courier, .. } => {
                        self.hand(courier.as_u128() as usize, &hands::Command::PutDown { subject: n as u128, delivered: false })?;
                    }
                    JobState::Waiting { .. } | JobState::Done { .. } | JobState::Withdrawn | JobState::Unassignable => (),
                }
                self.job(n, &job::Command::Withdraw).map(drop)
            }
            Move::Nobody(n) => self.job(n % JOBS, &job::Command::Pause { pause: Pause::Nobody, until: self.now.plus_s(5) }).map(drop),
            Move::Look(n) => self.job(n % JOBS, &job::Command::Look).map(drop),
            Move::GiveUp(n) => self.job(n % JOBS, &job::Command::GiveUp).map(drop),
            Move::ReadyAt(n, s) => self.job(n % JOBS, &job::Command::ReadyAt(self.now.plus_s(i64::from(s)))).map(drop),
        }
    }

    /// The promises.
    fn check(&self) -> Result<(), TestCaseError> {
        for (by, presence) in self.hands.iter().enumerate() {
            prop_assert!(presence.load() <= self.capacity, "courier {} carries {} of {}", by, presence.load(), self.capacity);
            prop_assert!(
                presence.availability != Availability::Offline || presence.carries.is_empty(),
                "an offline courier carries nothing"
            );
            let live: Vec<usize> = (0..self.offers.len())
                .filter(|id| self.offers[*id].courier == by && self.offers[*id].facts.state == OfferState::Made)
                .collect();
            prop_assert_eq!(
                presence.asked.map(|id| id as usize).into_iter().collect::<Vec<_>>(),
                live,
                "one live offer at a time, and both sides know it"
            );
        }
        for (n, job) in &self.jobs {
            let carriers: Vec<usize> =
                (0..COURIERS).filter(|by| self.hands[*by].carries.iter().any(|carried| carried.subject == *n as u128)).collect();
            prop_assert_eq!(&carriers, &self.holder(*n).into_iter().collect::<Vec<_>>(), "job {} has at most one courier, who knows it", n);
            if let JobState::Offered { offer } = job.state {
                let asked = &self.offers[offer.as_u128() as usize];
                prop_assert!(asked.job == *n && asked.facts.state == OfferState::Made, "an offered job has a live offer");
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// However it goes: a job has at most one courier, a courier at most one live offer and never more than they can carry, an offer lives no longer than
    /// its deadline, and what is asked for ends, or is still looked for.
    #[test]
    fn the_promises_of_dispatch(capacity in 1_u32..5, moves in proptest::collection::vec(moves(), 1..120)) {
        let mut city = City::new(capacity);
        for step in &moves {
            let before = city.clone();
            let accepted: Vec<OfferState> = city.offers.iter().map(|asked| asked.facts.state).collect();
            if city.step(step).is_none() {
                city = before;
                continue;
            }
            for (asked, before) in city.offers.iter().zip(accepted) {
                if asked.facts.state == OfferState::Accepted && before != OfferState::Accepted {
                    prop_assert!(city.now < asked.facts.expires_at, "accepted at {} although it expired at {}", city.now, asked.facts.expires_at);
                }
            }
            city.check()?;
        }
        // The deadlines pass and somebody finishes the rest: nothing is stuck.
        city.now = city.now.plus_s(OFFER_S);
        for id in 0..city.offers.len() {
            let _ = city.end(id, offer::Command::Lapse, Answer::Lapsed, Some(RefusedBecause::Lapsed));
        }
        city.check()?;
        prop_assert!(city.offers.iter().all(|asked| asked.facts.state != OfferState::Made), "no offer outlives its deadline");
        for n in city.jobs.keys().copied().collect::<Vec<_>>() {
            prop_assert!(city.step(&Move::Finish(n)).is_some() || city.step(&Move::GiveUp(n)).is_some() || city.jobs[&n].state.is_over(), "job {} is stuck in {:?}", n, city.jobs[&n].state);
        }
        city.check()?;
        prop_assert!(city.jobs.values().all(|job| job.state.is_over()));
    }
}

#[test]
fn who_gave_it_back_is_never_forgotten() {
    let mut city = City::new(1);
    for step in [Move::Request(0), Move::Offer(0, 0), Move::Accept(0), Move::Release(0), Move::Offer(0, 1), Move::Decline(1)] {
        assert!(city.step(&step).is_some(), "{step:?}");
    }
    let job = &city.jobs[&0];
    let remembered: Vec<(CourierId, RefusedBecause)> = job.refused.iter().map(|refused| (refused.courier, refused.why)).collect();
    assert_eq!(remembered, [(courier(0), RefusedBecause::Released), (courier(1), RefusedBecause::Declined)]);
    assert_eq!((job.round, job.state), (2, JobState::Waiting { pause: None }));
    assert_eq!(JobId::from_u128(1).to_string().split('_').next(), Some("job"));
}
