//! Who gets how much of the work: offers, yeses and earnings per hour online, by group, so that unfairness shows.

use std::collections::{BTreeMap, BTreeSet};

use storage::{Read, Timestamp};

use crate::city::cities::{self, CityId};
use crate::city::couriers::model::COURIERS;
use crate::city::couriers::{self, Courier, CourierId, Vehicle, hours};
use crate::city::dispatch::by_hand::BY_HAND;
use crate::city::dispatch::jobs;
use crate::city::dispatch::model::{JOBS, JobState, OFFERS, OfferState};
use crate::money::Money;
use crate::money::amount::ratio_half_even;

const HOUR_MS: i64 = 3_600_000;
const WEEK_MS: i64 = 7 * 24 * HOUR_MS;

/// What couriers are told apart by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Group {
    City(CityId),
    Vehicle(Vehicle),
    Tenure(Tenure),
}

/// Since when the account exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tenure {
    FirstWeek,
    FirstMonth,
    FirstHalfYear,
    Longer,
}

impl Tenure {
    fn of(courier: &Courier, now: Timestamp) -> Self {
        match now.ms_since(courier.created_at) / WEEK_MS {
            ..1 => Self::FirstWeek,
            1..4 => Self::FirstMonth,
            4..26 => Self::FirstHalfYear,
            _ => Self::Longer,
        }
    }
}

/// What a group got. Sums; the shares are made of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    pub couriers: u32,
    pub online_ms: i64,
    pub offers: u32,
    pub accepted: u32,
    pub declined: u32,
    /// Not answered in time, though seen.
    pub lapsed: u32,
    pub delivered: u32,
    /// Pay of what was delivered, minor units.
    pub earned: i64,
}

impl Share {
    fn add(&mut self, other: &Self) {
        self.couriers += other.couriers;
        self.online_ms += other.online_ms;
        self.offers += other.offers;
        self.accepted += other.accepted;
        self.declined += other.declined;
        self.lapsed += other.lapsed;
        self.delivered += other.delivered;
        self.earned += other.earned;
    }

    /// Of the offers that got an answer or ran out, those that were taken, in thousandths; none: `None`.
    #[must_use]
    pub fn acceptance_permille(&self) -> Option<u32> {
        let answered = self.accepted + self.declined + self.lapsed;
        (answered > 0).then(|| 1_000 * self.accepted / answered)
    }

    /// Minor units an hour online, half to even; `None` without hours.
    #[must_use]
    pub fn earned_an_hour(&self) -> Option<i64> {
        (self.online_ms > 0).then(|| ratio_half_even(self.earned, HOUR_MS, self.online_ms)).flatten()
    }

    /// Thousandths of an offer an hour online; `None` without hours.
    #[must_use]
    pub fn offers_an_hour_permille(&self) -> Option<i64> {
        (self.online_ms > 0).then(|| ratio_half_even(i64::from(self.offers) * 1_000, HOUR_MS, self.online_ms)).flatten()
    }
}

/// Each group of each currency, over offers made in `from..until`. Reads every offer and courier once: a report, not a hot path.
#[must_use]
pub fn report(read: &(impl Read + ?Sized), city: Option<CityId>, from: Timestamp, until: Timestamp) -> BTreeMap<(Group, String), Share> {
    let mut shares: BTreeMap<CourierId, Share> = BTreeMap::new();
    let mut counted: BTreeSet<(u128, CourierId)> = BTreeSet::new();
    for (_, offer) in OFFERS.scan(read).filter(|(_, offer)| offer.made_at >= from && offer.made_at < until) {
        let share = shares.entry(offer.courier).or_default();
        share.offers += 1;
        match offer.state {
            OfferState::Accepted => share.accepted += 1,
            OfferState::Declined => share.declined += 1,
            OfferState::Lapsed if offer.seen_at.is_some() => share.lapsed += 1,
            OfferState::Made | OfferState::Lapsed | OfferState::Withdrawn => (),
        }
        if offer.state == OfferState::Accepted {
            for job in offer.jobs.iter().filter_map(|id| JOBS.get(read, id)) {
                if job.state == (JobState::Done { courier: offer.courier }) {
                    let Money { amount, .. } = job.request.pay;
                    counted.insert((job.request.subject, offer.courier));
                    share.delivered += 1;
                    share.earned += amount;
                }
            }
        }
    }
    // What an operator gave them they brought, too, without having been asked; the last hand that it was put into counts.
    let mut handed: BTreeMap<u128, CourierId> = BTreeMap::new();
    for ((subject, _), row) in BY_HAND.scan(read).filter(|(_, row)| row.at >= from && row.at < until) {
        handed.extend(row.to.map(|to| (subject, to)));
    }
    for (subject, courier) in handed.into_iter().filter(|to| !counted.contains(to)) {
        if let Some((_, job)) = jobs::of_subject(read, subject).filter(|(_, job)| job.state == JobState::Done { courier }) {
            let share = shares.entry(courier).or_default();
            share.delivered += 1;
            share.earned += job.request.pay.amount;
        }
    }
    let mut groups: BTreeMap<(Group, String), Share> = BTreeMap::new();
    for (id, courier) in COURIERS.scan(read).filter(|(_, courier)| city.is_none_or(|city| courier.city == city)) {
        let Some(currency) = cities::get(read, courier.city).map(|city| city.currency.to_string()) else { continue };
        let presence = couriers::presence(read, id);
        let mut share = shares.get(&id).copied().unwrap_or_default();
        share.couriers = 1;
        share.online_ms = hours::worked_ms(read, id, &presence, from, until);
        for group in [Group::City(courier.city), Group::Vehicle(courier.vehicle), Group::Tenure(Tenure::of(&courier, until))] {
            groups.entry((group, currency.clone())).or_default().add(&share);
        }
    }
    groups
}
