//! Reads.

use storage::Read;

use super::model::{COURIERS, COURIERS_BY_USER, Courier, CourierId, PRESENCES, Presence, SILENCES, Silence};
use crate::engine::UserId;

/// The courier's account.
#[must_use]
pub fn get(read: &(impl Read + ?Sized), id: CourierId) -> Option<Courier> {
    COURIERS.get(read, &id)
}

/// The courier that a user is.
#[must_use]
pub fn of_user(read: &(impl Read + ?Sized), user: UserId) -> Option<(CourierId, Courier)> {
    COURIERS.find(read, &COURIERS_BY_USER, &user).next()
}

/// What the courier does now; somebody who never said anything is offline.
#[must_use]
pub fn presence(read: &(impl Read + ?Sized), id: CourierId) -> Presence {
    PRESENCES.get(read, &id).unwrap_or_default()
}

/// The courier's silence, while it lasts.
#[must_use]
pub fn silence(read: &(impl Read + ?Sized), id: CourierId) -> Option<Silence> {
    SILENCES.get(read, &id)
}
