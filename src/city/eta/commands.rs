//! What changes an expectation. All are part of a decided command, or of the watcher's own.

use storage::Timestamp;

use super::machine::{self, News, Outlook};
use super::model::{CourierNear, ERRORS, EXPECTED, Expected, JobExpected, Since};
use crate::city::catalog::MerchantId;
use crate::city::couriers::CourierId;
use crate::city::dispatch::{self, What};
use crate::engine::{Fault, Tx};

/// Dispatch has news of a job: who has it, or has it no more. Registered with dispatch's own wiring.
///
/// # Errors
/// Never; the signature is the engine's.
pub fn on_dispatch(tx: &mut Tx, happened: &dispatch::Happened) -> Result<(), Fault> {
    match happened.what {
        What::Assigned { subject, courier, eta, .. } => {
            if let Some((_, job)) = dispatch::jobs::of_subject(tx, subject) {
                let expected = Expected {
                    courier,
                    city: happened.city,
                    merchant: job.request.merchant,
                    at_assignment: eta,
                    at_pickup: None,
                    picked_up_at: None,
                    arrived_at: None,
                    shown: eta,
                    near_counter: false,
                    near_door: false,
                };
                EXPECTED.put(tx, &subject, &expected);
            }
        }
        What::TakenOver { subject, to, eta, .. } => {
            // What was promised at the pick-up was another courier's way.
            if let Some(expected) = EXPECTED.get(tx, &subject) {
                let theirs = Expected {
                    courier: to,
                    at_assignment: eta,
                    at_pickup: None,
                    arrived_at: None,
                    shown: eta,
                    near_door: false,
                    ..expected
                };
                EXPECTED.put(tx, &subject, &theirs);
            }
        }
        What::Unassigned { subject, .. } => ended(tx, subject),
        What::OfferMade { .. }
        | What::OfferWithdrawn { .. }
        | What::OfferExpired { .. }
        | What::OfferDeclined { .. }
        | What::Unassignable { .. } => (),
    }
    Ok(())
}

/// It is in the bag; `shown` is what the customer is told from here on, if that changed with it.
pub fn picked_up(tx: &mut Tx, subject: u128, shown: Option<Timestamp>) {
    let Some(expected) = EXPECTED.get(tx, &subject) else { return };
    let picked_up_at = Some(tx.now());
    EXPECTED.put(tx, &subject, &Expected { picked_up_at, shown: shown.unwrap_or(expected.shown), ..expected });
}

/// The courier stands at the door.
pub fn arrived(tx: &mut Tx, subject: u128) {
    let Some(expected) = EXPECTED.get(tx, &subject).filter(|expected| expected.arrived_at.is_none()) else { return };
    let arrived_at = Some(tx.now());
    EXPECTED.put(tx, &subject, &Expected { arrived_at, ..expected });
}

/// It was brought: what was expected is compared with `arrived_at`, and the row goes.
pub(in crate::city) fn delivered(tx: &mut Tx, subject: u128, arrived_at: Timestamp) {
    let Some(expected) = EXPECTED.get(tx, &subject) else { return };
    EXPECTED.delete(tx, &subject);
    for (number, since) in (0..).zip(Since::ALL) {
        let thought = match since {
            Since::Assignment => Some(expected.at_assignment),
            Since::Pickup => expected.at_pickup,
        };
        let Some(thought) = thought else { continue };
        let error_s = arrived_at.ms_since(thought) / 1000;
        let key = (expected.city, number);
        let mut errors = ERRORS.get(tx, &key).unwrap_or_default();
        errors.count(error_s);
        ERRORS.put(tx, &key, &errors);
        // A figure of this process; the row is the truth, also should the command be unwound after this.
        metrics::histogram!("medina_eta_error_seconds", "since" => since.name()).record(error_s.unsigned_abs() as f64);
    }
}

/// Nobody brings it any more, or not this courier.
pub fn ended(tx: &mut Tx, subject: u128) {
    EXPECTED.delete(tx, &subject);
}

/// What a watcher saw of a courier's jobs: what is new is written and said. Looks again at the truth; a job that has changed hands says nothing.
///
/// # Errors
/// Never; the signature is the engine's.
pub fn tell(tx: &mut Tx, seen: &[(u128, CourierId, Outlook)]) -> Result<(), Fault> {
    for (subject, courier, outlook) in seen {
        let Some(expected) = EXPECTED.get(tx, subject).filter(|expected| expected.courier == *courier) else { continue };
        let news = machine::look(&expected, outlook, tx.now());
        if news.is_none() {
            continue;
        }
        EXPECTED.put(tx, subject, &machine::after(&expected, &news));
        let News { eta, near, at_pickup: _ } = news;
        if let Some(eta) = eta {
            tx.emit(JobExpected { subject: *subject, city: expected.city, courier: *courier, eta });
        }
        if let Some((stop, distance_m, eta)) = near {
            let merchant = MerchantId::from_u128(expected.merchant);
            tx.emit(CourierNear { subject: *subject, merchant, courier: *courier, stop, distance_m, eta });
        }
    }
    Ok(())
}
