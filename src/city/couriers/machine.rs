//! Presence and hands, without a database: the graph is in [`super`].

use storage::Timestamp;

use super::model::{Availability, Carried, Presence, Refusal, Status};
use crate::city::dispatch::planted;
use crate::city::place::Place;

/// What is asked of a courier's presence.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// The courier says what they do now.
    Report {
        availability: Availability,
        until: Option<Timestamp>,
        position: Option<Place>,
    },
    /// An offer is on its way to them.
    Ask {
        offer: u128,
    },
    /// The live offer ended.
    Answer {
        offer: u128,
        answer: Answer,
    },
    TakeOn(Carried),
    PickUp {
        subject: u128,
    },
    PutDown {
        subject: u128,
        delivered: bool,
    },
}

/// How an offer ended, as the courier's record sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Accepted,
    Declined,
    /// Seen, not answered.
    Lapsed,
    /// Taken back, or never seen: says nothing about the courier.
    Void,
}

/// What is known of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    pub status: Status,
    pub capacity: u32,
}

/// Whether hands that can hold `capacity` have room for `size` more.
#[must_use]
pub fn has_room(presence: &Presence, capacity: u32, size: u32) -> bool {
    presence.load().saturating_add(size) <= capacity || planted::is(planted::HANDS_WITHOUT_END)
}

/// The presence after `command`, or why it cannot be.
///
/// # Errors
/// [`Refusal`]; the presence stays as it is.
pub fn apply(presence: &Presence, account: Account, command: &Command, now: Timestamp) -> Result<Presence, Refusal> {
    let mut next = presence.clone();
    match command {
        Command::Report { availability, until, position } => report(&mut next, account, *availability, *until, *position, now)?,
        &Command::Ask { offer } => {
            if presence.availability != Availability::Online {
                return Err(Refusal::NotOnline);
            }
            if account.status != Status::Active {
                return Err(Refusal::NotActive);
            }
            if presence.asked.is_some() {
                return Err(Refusal::Asked);
            }
            next.asked = Some(offer);
            next.record.asked += 1;
            next.record.last_asked_at = Some(now);
        }
        &Command::Answer { offer, answer } => {
            if presence.asked != Some(offer) {
                return Err(Refusal::NotAsked);
            }
            next.asked = None;
            answered(&mut next, answer);
        }
        Command::TakeOn(carried) => {
            if presence.availability == Availability::Offline {
                return Err(Refusal::NotOnline);
            }
            if !has_room(presence, account.capacity, carried.size) {
                return Err(Refusal::Full);
            }
            assert!(presence.carries.iter().all(|other| other.subject != carried.subject), "a job is taken on once");
            next.carries.push(carried.clone());
        }
        &Command::PickUp { subject } => {
            let carried = next.carries.iter_mut().find(|carried| carried.subject == subject).ok_or(Refusal::NotCarried)?;
            carried.picked_up = true;
        }
        &Command::PutDown { subject, delivered } => {
            let at = next.carries.iter().position(|carried| carried.subject == subject).ok_or(Refusal::NotCarried)?;
            next.carries.remove(at);
            next.record.delivered += u32::from(delivered);
        }
    }
    assert!(next.load() <= presence.load() || has_room(&next, account.capacity, 0), "no courier is given more than they can carry");
    Ok(next)
}

fn report(
    next: &mut Presence,
    account: Account,
    availability: Availability,
    until: Option<Timestamp>,
    position: Option<Place>,
    now: Timestamp,
) -> Result<(), Refusal> {
    match availability {
        Availability::Online | Availability::Break if account.status != Status::Active => return Err(Refusal::NotActive),
        Availability::Offline if !next.carries.is_empty() => return Err(Refusal::HasActiveOrders),
        Availability::Online | Availability::Break | Availability::Offline => (),
    }
    if until.is_some_and(|until| until <= now) {
        return Err(Refusal::UntilPassed);
    }
    next.availability = availability;
    next.until = until;
    next.position = position.or(next.position);
    next.changed_at = now;
    Ok(())
}

/// Each answer moves the share by an eighth of the way: the last eight or so offers decide it.
fn answered(next: &mut Presence, answer: Answer) {
    let record = &mut next.record;
    let target = match answer {
        Answer::Accepted => {
            record.accepted += 1;
            1000
        }
        Answer::Declined => {
            record.declined += 1;
            0
        }
        Answer::Lapsed => {
            record.lapsed += 1;
            0
        }
        Answer::Void => return,
    };
    record.acceptance_permille = (record.acceptance_permille * 7 + target) / 8;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn commands() -> impl Strategy<Value = Command> {
        let availability = prop_oneof![Just(Availability::Online), Just(Availability::Offline), Just(Availability::Break)];
        prop_oneof![
            availability.prop_map(|availability| Command::Report { availability, until: None, position: None }),
            (0_u128..4).prop_map(|offer| Command::Ask { offer }),
            ((0_u128..4), prop_oneof![Just(Answer::Accepted), Just(Answer::Declined), Just(Answer::Lapsed), Just(Answer::Void)])
                .prop_map(|(offer, answer)| Command::Answer { offer, answer }),
            (any::<u64>(), 0_u32..4).prop_map(|(subject, size)| Command::TakeOn(Carried {
                subject: u128::from(subject),
                merchant: 1,
                size,
                cash: 0,
                picked_up: false
            })),
        ]
    }

    proptest! {
        /// Whatever comes, hands hold at most the capacity, an offline courier holds nothing, and the share stays a share.
        #[test]
        fn hands_never_overflow(capacity in 0_u32..6, drop_every in 1_usize..5, list in proptest::collection::vec(commands(), 1..60)) {
            let account = Account { status: Status::Active, capacity };
            let mut presence = Presence::default();
            for (n, command) in list.iter().enumerate() {
                if let Ok(next) = apply(&presence, account, command, NOW) {
                    presence = next;
                }
                if n % drop_every == 0 && let Some(subject) = presence.carries.first().map(|carried| carried.subject) {
                    presence = apply(&presence, account, &Command::PutDown { subject, delivered: true }, NOW).expect("it is carried");
                }
                prop_assert!(presence.load() <= capacity);
                prop_assert!(presence.record.acceptance_permille <= 1000);
                prop_assert!(presence.record.asked >= presence.record.accepted + presence.record.declined + presence.record.lapsed);
                prop_assert!(presence.availability != Availability::Offline || presence.carries.is_empty());
            }
        }
    }

    #[test]
    fn reports_are_refused_in_the_domains_words() {
        let carrying = Presence {
            carries: vec![Carried { subject: 1, merchant: 1, size: 1, cash: 0, picked_up: true }],
            availability: Availability::Online,
            ..Presence::default()
        };
        let active = Account { status: Status::Active, capacity: 2 };
        let pending = Account { status: Status::Pending, ..active };
        let report = |availability, until| Command::Report { availability, until, position: None };
        let cases = [
            (&carrying, active, report(Availability::Offline, None), Err(Refusal::HasActiveOrders)),
            (&carrying, active, report(Availability::Break, None), Ok(Availability::Break)),
            (&Presence::default(), pending, report(Availability::Online, None), Err(Refusal::NotActive)),
            (&Presence::default(), pending, report(Availability::Offline, None), Ok(Availability::Offline)),
            (&Presence::default(), active, report(Availability::Online, Some(NOW)), Err(Refusal::UntilPassed)),
            (&Presence::default(), active, report(Availability::Online, Some(NOW.plus_s(1))), Ok(Availability::Online)),
            (&Presence::default(), active, Command::Ask { offer: 1 }, Err(Refusal::NotOnline)),
            (&carrying, active, Command::PutDown { subject: 2, delivered: true }, Err(Refusal::NotCarried)),
        ];
        for (presence, account, command, expected) in cases {
            assert_eq!(apply(presence, account, &command, NOW).map(|next| next.availability), expected, "{command:?}");
        }
    }
}
