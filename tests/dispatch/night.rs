//! A night of chance: couriers accept, decline, sleep, give back and go; every job ends, and the promises hold after every step.

use medina::city::couriers::{self, Availability};
use medina::city::dispatch;
use medina::city::dispatch::model::{JOBS, JobState, OFFERS, OfferState};
use medina::city::dispatch::policy::Choice;
use medina::engine::attention::ATTENTION;

use crate::town::{Rider, Town};

/// A small generator, so that a seed is all it takes to see a night again.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

fn check(town: &Town, riders: &[Rider], at: &str) {
    let view = town.engine.view();
    for rider in riders {
        let (account, presence) = (couriers::get(&*view, rider.id).unwrap(), couriers::presence(&*view, rider.id));
        assert!(presence.load() <= account.capacity, "{at}: {} carries too much", rider.id);
        assert!(presence.availability != Availability::Offline || presence.carries.is_empty(), "{at}: {} went home with it", rider.id);
        for carried in &presence.carries {
            let state = dispatch::jobs::of_subject(&*view, carried.subject).unwrap().1.state;
            assert!(matches!(state, JobState::Assigned { courier, .. } if courier == rider.id), "{at}: {} has what is {state:?}", rider.id);
        }
    }
    for (id, job) in JOBS.scan(&*view) {
        if let JobState::Assigned { courier, .. } = job.state {
            assert!(
                couriers::presence(&*view, courier).carries.iter().any(|carried| carried.subject == job.request.subject),
                "{at}: {courier} does not know of {id}"
            );
        }
        assert!(!job.state.is_due(), "{at}: {id} is due although the dispatcher is idle");
    }
    for (id, offer) in OFFERS.scan(&*view).filter(|(_, offer)| offer.state == OfferState::Made) {
        assert!(offer.expires_at > town.engine.now(), "{at}: {id} outlived its deadline");
        assert_eq!(couriers::presence(&*view, offer.courier).asked, Some(id.as_u128()), "{at}: {id} is unknown to its courier");
    }
}

async fn act(town: &Town, rider: &Rider, dice: &mut Dice) {
    match dice.roll(10) {
        0..=4 => {
            for offer in town.offers(rider).await {
                let word = if dice.roll(4) == 0 { "decline" } else { "accept" };
                assert_eq!(town.answer(rider, &offer, word).await.0, 200, "{word}");
            }
        }
        5..=7 => {
            let by = rider.id;
            let carried = couriers::presence(&*town.engine.view(), by).carries;
            let Some(first) = carried.first().cloned() else { return };
            let (subject, chance) = (first.subject, dice.roll(6));
            town.run(move |tx| match (first.picked_up, chance) {
                (false, 0) => dispatch::release(tx, subject, by, "a flat tyre"),
                (false, _) => dispatch::picked_up(tx, subject, by),
                (true, _) => dispatch::finished(tx, subject),
            })
            .await
            .unwrap();
        }
        8 => drop(town.report(rider, "online", Some(dice.roll(4_000) as f64)).await),
        _ => drop(town.report(rider, ["offline", "break"][dice.roll(2) as usize], None).await),
    }
}

async fn night(seed: u64, policy: Choice) {
    let dir = tempfile::tempdir().unwrap();
    let town = Town::planned_by(dir.path(), policy.policy()).await;
    let mut dice = Dice(seed * 2 + 1);
    let mut riders = Vec::new();
    for _ in 0..4 {
        riders.push(town.online(dice.roll(4_000) as f64).await);
    }
    let mut wanted = 0;
    for step in 0..40 {
        let at = format!("seed {seed}, step {step}");
        if dice.roll(3) == 0 {
            wanted += 1;
            let wish = dispatch::Request { merchant: u128::from(dice.roll(3)), ..town.wish(wanted, dice.roll(900) as i64) };
            town.run(move |tx| dispatch::request(tx, wish).map(drop)).await.unwrap();
        }
        if dice.roll(20) == 0 && wanted > 0 {
            let subject = 1 + u128::from(dice.roll(wanted as u64));
            town.run(move |tx| {
                dispatch::withdraw(tx, subject);
                Ok(())
            })
            .await
            .unwrap();
        }
        let rider = riders[dice.roll(4) as usize].clone();
        act(&town, &rider, &mut dice).await;
        town.pass(dice.roll(45) as i64).await;
        check(&town, &riders, &at);
    }
    // Morning: what is in somebody's hands is brought, what nobody took is on the operators' list.
    town.pass(3_600 + 900).await;
    for (id, job) in JOBS.scan(&*town.engine.view()).collect::<Vec<_>>() {
        let subject = job.request.subject;
        if matches!(job.state, JobState::Assigned { .. }) {
            town.run(move |tx| dispatch::finished(tx, subject)).await.unwrap();
        }
        let state = town.job(subject).state;
        let listed = ATTENTION
            .scan(&*town.engine.view())
            .any(|((kind, of), _)| kind == "unassigned" && of == dispatch::model::SubjectId::from_u128(subject).to_string());
        assert!(listed || matches!(state, JobState::Done { .. } | JobState::Withdrawn), "seed {seed}: {id} is {state:?} and nobody knows");
    }
    check(&town, &riders, &format!("seed {seed}, morning"));
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_job_ends_or_is_known_to_operators() {
    for seed in 1..=3 {
        night(seed, Choice::Immediate).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_job_ends_or_is_known_when_it_is_planned_ahead() {
    for seed in 1..=3 {
        night(seed, Choice::Horizon).await;
    }
}
