//! An offer: made once, ended once.

use storage::Timestamp;

use crate::city::dispatch::model::{OfferState, Refusal};
use crate::city::dispatch::planted;

/// What is asked of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    Accept,
    Decline,
    /// The deadline's timer rang.
    Lapse,
    /// Nobody saw it in time, or job or courier are gone.
    Void,
}

/// What is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    pub state: OfferState,
    pub expires_at: Timestamp,
}

/// The state after `command`.
///
/// # Errors
/// [`Refusal::Expired`] from the deadline on, and once it ended without a yes; [`Refusal::Taken`] once it ended with one.
pub fn apply(offer: Facts, command: Command, now: Timestamp) -> Result<OfferState, Refusal> {
    let over = now >= offer.expires_at;
    match (command, offer.state) {
        (Command::Accept, OfferState::Made) if over && !planted::is(planted::ACCEPTED_LATE) => Err(Refusal::Expired),
        (Command::Accept, OfferState::Made) => Ok(OfferState::Accepted),
        (Command::Decline, OfferState::Made) if over => Err(Refusal::Expired),
        (Command::Decline, OfferState::Made) => Ok(OfferState::Declined),
        (Command::Lapse, OfferState::Made) if over => Ok(OfferState::Lapsed),
        // The deadline was moved after this timer was set.
        (Command::Lapse, OfferState::Made) => Err(Refusal::NotWhile("made")),
        (Command::Void, OfferState::Made) => Ok(OfferState::Withdrawn),
        (Command::Accept | Command::Decline | Command::Lapse | Command::Void, OfferState::Accepted) => Err(Refusal::Taken),
        (
            Command::Accept | Command::Decline | Command::Lapse | Command::Void,
            OfferState::Declined | OfferState::Lapsed | OfferState::Withdrawn,
        ) => Err(Refusal::Expired),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_edge() {
        const AT: Timestamp = Timestamp::from_millis(30_000);
        let made = Facts { state: OfferState::Made, expires_at: AT };
        let ended = |state| Facts { state, expires_at: AT };
        let cases = [
            (made, Command::Accept, 29_999, Ok(OfferState::Accepted)),
            (made, Command::Accept, 30_000, Err(Refusal::Expired)),
            (made, Command::Decline, 29_999, Ok(OfferState::Declined)),
            (made, Command::Decline, 30_000, Err(Refusal::Expired)),
            (made, Command::Lapse, 29_999, Err(Refusal::NotWhile("made"))),
            (made, Command::Lapse, 30_000, Ok(OfferState::Lapsed)),
            (made, Command::Void, 40_000, Ok(OfferState::Withdrawn)),
            (ended(OfferState::Accepted), Command::Accept, 0, Err(Refusal::Taken)),
            (ended(OfferState::Withdrawn), Command::Accept, 0, Err(Refusal::Expired)),
            (ended(OfferState::Declined), Command::Lapse, 40_000, Err(Refusal::Expired)),
        ];
        for (offer, command, now, expected) in cases {
            assert_eq!(apply(offer, command, Timestamp::from_millis(now)), expected, "{command:?} at {now} of {offer:?}");
        }
    }
}
