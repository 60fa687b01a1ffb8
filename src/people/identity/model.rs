//! Rows of codes, passwords and sessions; why somebody is not let in.

use serde::{Deserialize, Serialize};
use storage::{Id, Index, Kind, Row, Table, Timestamp};
use utoipa::ToSchema;

use crate::engine::{Denied, Fault, UserId};
use crate::people::users;

/// How long a code lives.
pub const CODE_S: i64 = 5 * 60;
/// Wrong tries that kill a code.
pub const CODE_TRIES: u8 = 5;
/// A family that is not refreshed for this long is over.
pub const FAMILY_IDLE_S: i64 = 30 * 86_400;
/// No family lives longer than this: one must prove oneself once a year.
pub const FAMILY_MAX_S: i64 = 365 * 86_400;

/// Ids of session families (`ses_…`); `sid` in access tokens.
#[derive(Debug)]
pub struct SessionTag;
impl Kind for SessionTag {
    const PREFIX: &'static str = "ses";
}
pub type SessionId = Id<SessionTag>;

/// A code that was sent. Keyed by the keyed hash of its phone; used once, then gone.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Code {
    /// Keyed hash of phone, salt and code.
    pub hash: [u8; 32],
    pub salt: [u8; 16],
    pub tries_left: u8,
    pub expires_at: Timestamp,
}
impl Row for Code {
    const VERSION: u8 = 1;
}
pub static CODES_BY_EXPIRY: Index<[u8; 32], Code> = Index::new(113, "people.codes.by_expiry", |_, code, keys| keys.add(&code.expires_at));
pub static CODES: Table<[u8; 32], Code> = Table::new(112, "people.codes", &[&CODES_BY_EXPIRY]);

/// A password, as a PHC string of argon2id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Password {
    pub phc: String,
    pub changed_at: Timestamp,
}
impl Row for Password {
    const VERSION: u8 = 1;
}
pub static PASSWORDS: Table<UserId, Password> = Table::new(104, "people.passwords", &[]);

/// The device that a family is bound to, as it named itself at the sign-in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// The client's own stable id, 1 to 100 characters.
    pub id: String,
    /// Shown in a list of sessions.
    #[serde(default)]
    pub name: String,
    /// `ios`, `android`, `web`, …
    #[serde(default)]
    pub platform: String,
}

/// Why a family is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    LoggedOut,
    /// A used refresh token came back: somebody has a copy.
    TokenReused,
    /// A refresh token came from another device.
    WrongDevice,
    PasswordChanged,
}

/// A sign-in and everything refreshed from it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Family {
    pub user: UserId,
    pub device: Option<Device>,
    /// BLAKE3 of the one refresh token that is good now.
    pub current: [u8; 32],
    pub created_at: Timestamp,
    pub refreshed_at: Timestamp,
    pub expires_at: Timestamp,
    pub ended: Option<(Ended, Timestamp)>,
}
impl Row for Family {
    const VERSION: u8 = 1;
}

impl Family {
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.ended.is_none() && now < self.expires_at
    }
}

pub static FAMILIES_BY_USER: Index<SessionId, Family> =
    Index::new(117, "people.sessions.by_user", |_, family, keys| keys.add(&family.user));
pub static FAMILIES_BY_EXPIRY: Index<SessionId, Family> =
    Index::new(118, "people.sessions.by_expiry", |_, family, keys| keys.add(&family.expires_at));
pub static FAMILIES: Table<SessionId, Family> = Table::new(116, "people.sessions", &[&FAMILIES_BY_USER, &FAMILIES_BY_EXPIRY]);

/// Somebody who was let in. The refresh token is shown once, here.
#[derive(Clone)]
pub struct SignedIn {
    pub user: UserId,
    pub session: SessionId,
    pub refresh_token: String,
    pub is_new: bool,
}

// No token in a log by accident.
impl std::fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SignedIn({}, {})", self.user, self.session)
    }
}

/// Done, or refused in a way that the state remembers (a counted try, an ended family): both commit.
#[derive(Debug)]
pub enum Tried<T> {
    Done(T),
    Refused(Refusal),
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("this is not the code; {attempts_left} tries left")]
    WrongOtp { attempts_left: u8 },
    #[error("this code is dead: ask for a new one")]
    OtpDead,
    #[error("e-mail address or password is wrong")]
    WrongCredentials,
    #[error("another account has this e-mail address")]
    EmailTaken,
    #[error("too many tries; again in {retry_after_s} s")]
    RateLimited { retry_after_s: u32 },
    #[error("this refresh token is not one of ours, or its sign-in is over: sign in again")]
    BadToken,
    #[error("this refresh token was used before, so somebody may have a copy: its sign-in is over, sign in again")]
    TokenReused,
    #[error("this refresh token belongs to another device: its sign-in is over, sign in again")]
    WrongDevice,
    #[error("this account is suspended")]
    Suspended,
    #[error("the password was changed meanwhile: try again")]
    PasswordMoved,
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<users::Refusal> for Refusal {
    fn from(refusal: users::Refusal) -> Self {
        match refusal {
            users::Refusal::Denied(denied) => Self::Denied(denied),
            users::Refusal::Fault(fault) => Self::Fault(fault),
            users::Refusal::EmailTaken => Self::EmailTaken,
            users::Refusal::Unknown => Self::Denied(Denied::NotFound),
            other @ (users::Refusal::LastContact | users::Refusal::LastAdmin | users::Refusal::Changed { .. }) => {
                Self::Fault(Fault::new(other.to_string()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The stored layouts: a change here is a new `VERSION` and an `upgrade`.
    #[test]
    fn golden_bytes() {
        let at = Timestamp::from_millis(1);
        let code = Code { hash: [1; 32], salt: [2; 16], tries_left: 5, expires_at: at };
        assert_eq!(code.to_bytes(), [&[1][..], &[1; 32], &[2; 16], &[5, 2]].concat());
        let password = Password { phc: "$a".to_owned(), changed_at: at };
        assert_eq!(password.to_bytes(), [1, 2, b'$', b'a', 2]);
        let device = Some(Device { id: "d".to_owned(), name: String::new(), platform: "web".to_owned() });
        let ended = Some((Ended::TokenReused, at));
        let family =
            Family { user: UserId::from_u128(9), device, current: [3; 32], created_at: at, refreshed_at: at, expires_at: at, ended };
        let user = 9_u128.to_be_bytes();
        assert_eq!(family.to_bytes(), [&[1][..], &user, &[1, 1, b'd', 0, 3, b'w', b'e', b'b'], &[3; 32], &[2, 2, 2, 1, 1, 2]].concat());
    }
}
