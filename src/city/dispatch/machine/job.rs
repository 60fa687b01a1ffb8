//! A job's way from somebody's wish to somebody's hands.

use storage::Timestamp;

use crate::city::couriers::CourierId;
use crate::city::dispatch::model::{Job, JobState, OfferId, Pause, Refusal, Refused, RefusedBecause, Request};
use crate::city::place::Place;

/// What is asked of a job.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Somebody wants it brought (again).
    Request(Request),
    /// It will be ready at another time.
    ReadyAt(Timestamp),
    /// A dispatcher found that it is too early, or that there is nobody.
    Pause {
        pause: Pause,
        until: Timestamp,
    },
    /// The pause is over, or somebody came free.
    Look,
    Offer {
        offer: OfferId,
    },
    /// The offer ended without a yes. `why`: what is remembered of the courier, if anything.
    Refused {
        offer: OfferId,
        courier: CourierId,
        why: Option<RefusedBecause>,
    },
    Accept {
        offer: OfferId,
        courier: CourierId,
    },
    PickUp {
        courier: CourierId,
    },
    /// An operator gives it to somebody: from where it waits, or out of another courier's hands or bag.
    Assign {
        courier: CourierId,
    },
    /// It goes to another door.
    Dropoff {
        dropoff: Place,
        due_at: Option<Timestamp>,
    },
    /// The courier gives it back, or it is taken from them.
    Release {
        courier: CourierId,
        why: RefusedBecause,
    },
    Finish,
    GiveUp,
    Withdraw,
}

/// The job after `command`.
///
/// # Errors
/// [`Refusal::NotWhile`] with the state that forbids it, [`Refusal::Taken`] and [`Refusal::NotTheirs`] where another offer or courier has it.
pub fn apply(job: Option<&Job>, command: &Command, now: Timestamp) -> Result<Job, Refusal> {
    let Some(job) = job else {
        let Command::Request(request) = command else { return Err(Refusal::NoJob) };
        return Ok(Job {
            request: request.clone(),
            state: DUE,
            round: 0,
            misses: 0,
            refused: Vec::new(),
            searching_since: now,
            look: None,
        });
    };
    let mut next = job.clone();
    use JobState as S;
    match (command, job.state) {
        (Command::Request(request), S::Unassignable | S::Withdrawn) => {
            next = Job { request: request.clone(), state: DUE, round: 0, misses: 0, searching_since: now, ..next };
        }
        // Asked twice: the first wish stands.
        (Command::Request(_), S::Waiting { .. } | S::Offered { .. } | S::Assigned { .. }) => (),
        (&Command::ReadyAt(ready_at), S::Waiting { pause }) => {
            next.request.ready_at = ready_at;
            // What was too early may not be now; that there is nobody has not changed.
            next.state = S::Waiting { pause: pause.filter(|(pause, _)| *pause == Pause::Nobody) };
        }
        (&Command::ReadyAt(ready_at), S::Offered { .. } | S::Assigned { .. }) => next.request.ready_at = ready_at,
        (&Command::Pause { pause, until }, S::Waiting { pause: None }) => {
            next.state = S::Waiting { pause: Some((pause, until)) };
            match pause {
                Pause::Early => (),
                Pause::Nobody => next.misses = job.misses.saturating_add(1),
            }
        }
        (Command::Look, S::Waiting { .. }) => next.state = DUE,
        (&Command::Offer { offer }, S::Waiting { .. }) => next.state = S::Offered { offer },
        (&Command::Refused { offer, courier, why }, S::Offered { offer: live }) if live == offer => {
            next.state = DUE;
            remember(&mut next, courier, why, now);
        }
        (&Command::Accept { offer, courier }, S::Offered { offer: live }) if live == offer => {
            next.state = S::Assigned { courier, picked_up: false };
            next.misses = 0;
        }
        (Command::Refused { .. } | Command::Accept { .. }, S::Offered { .. } | S::Assigned { .. }) => return Err(Refusal::Taken),
        (&Command::Assign { courier }, S::Waiting { .. } | S::Unassignable) => {
            next.state = S::Assigned { courier, picked_up: false };
            next.misses = 0;
        }
        (&Command::Assign { courier }, S::Assigned { courier: theirs, picked_up }) if courier != theirs => {
            next.state = S::Assigned { courier, picked_up };
        }
        (&Command::PickUp { courier }, S::Assigned { courier: theirs, .. }) if courier == theirs => {
            next.state = S::Assigned { courier, picked_up: true }
        }
        (&Command::Dropoff { dropoff, due_at }, S::Waiting { .. } | S::Offered { .. } | S::Assigned { .. } | S::Unassignable) => {
            next.request.dropoff = dropoff;
            next.request.due_at = due_at;
        }
        (&Command::Release { courier, .. }, S::Assigned { courier: theirs, picked_up: true }) if courier == theirs => {
            return Err(Refusal::NotWhile("picked up"));
        }
        (&Command::Release { courier, why }, S::Assigned { courier: theirs, .. }) if courier == theirs => {
            next.state = DUE;
            // However late it is: a new search has its own hour.
            next.searching_since = now;
            remember(&mut next, courier, Some(why), now);
        }
        (Command::PickUp { .. } | Command::Release { .. }, S::Assigned { .. }) => return Err(Refusal::NotTheirs),
        (Command::Finish, S::Assigned { courier, .. }) => next.state = S::Done { courier },
        (Command::GiveUp, S::Waiting { .. }) => next.state = S::Unassignable,
        (Command::Withdraw, S::Waiting { .. } | S::Offered { .. } | S::Assigned { .. } | S::Unassignable) => next.state = S::Withdrawn,
        (
            Command::Request(_)
            | Command::ReadyAt(_)
            | Command::Dropoff { .. }
            | Command::Pause { .. }
            | Command::Look
            | Command::Offer { .. }
            | Command::Refused { .. }
            | Command::Accept { .. }
            | Command::PickUp { .. }
            | Command::Assign { .. }
            | Command::Release { .. }
            | Command::Finish
            | Command::GiveUp
            | Command::Withdraw,
            state,
        ) => return Err(Refusal::NotWhile(name(state))),
    }
    Ok(next)
}

const DUE: JobState = JobState::Waiting { pause: None };

/// A refusal widens the search; nobody's fault does not.
fn remember(job: &mut Job, courier: CourierId, why: Option<RefusedBecause>, now: Timestamp) {
    let Some(why) = why else { return };
    job.refused.retain(|refused| refused.courier != courier || refused.why == RefusedBecause::Released);
    if !job.refused.iter().any(|refused| refused.courier == courier) {
        job.refused.push(Refused { courier, why, at: now });
    }
    if !matches!(why, RefusedBecause::Unseen | RefusedBecause::Silent | RefusedBecause::ByHand) {
        job.round = job.round.saturating_add(1);
    }
}

/// A state in a word.
#[must_use]
pub fn name(state: JobState) -> &'static str {
    match state {
        JobState::Waiting { .. } => "waiting",
        JobState::Offered { .. } => "offered",
        JobState::Assigned { .. } => "assigned",
        JobState::Done { .. } => "done",
        JobState::Withdrawn => "withdrawn",
        JobState::Unassignable => "unassignable",
    }
}
