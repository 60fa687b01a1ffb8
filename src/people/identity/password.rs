//! Signing up and in by e-mail and password. Hashing is done outside the writer on a view; the commands check again what they rely on.

use storage::{Read, Timestamp};

use super::limits::{self, check, forget, spend};
use super::model::{Device, Ended, PASSWORDS, Password, Refusal, SessionId, SignedIn, Tried};
use super::sessions;
use crate::engine::{Denied, Question, Resource, Tx, UserId};
use crate::people::keyring::Keyring;
use crate::people::users::{self, Email, NewUser};

/// The shortest password, in characters. Source: NIST SP 800-63B, 5.1.1.2 (no rules of composition).
pub const CHARS_MIN: usize = 8;
/// The longest, in bytes: argon2 takes more, a form does not need it.
pub const BYTES_MAX: usize = 256;

/// What a sign-in must be measured against, before the hashing.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub user: Option<UserId>,
    pub phc: Option<String>,
}

/// Looks up whose password it would be, and whether another try is allowed.
///
/// # Errors
/// [`Refusal::RateLimited`].
pub fn candidate(read: &(impl Read + ?Sized), keyring: &Keyring, email: &Email, now: Timestamp) -> Result<Candidate, Refusal> {
    check(read, now, &tries_of(keyring, email), limits::PASSWORD)?;
    let user = users::by_email(read, keyring, email).map(|(id, _)| id);
    Ok(Candidate { user, phc: user.and_then(|id| PASSWORDS.get(read, &id)).map(|password| password.phc) })
}

fn tries_of(keyring: &Keyring, email: &Email) -> [u8; 32] {
    keyring.lookup("limit.password", email.as_str())
}

/// Makes an account with a password (already hashed), and signs in.
///
/// # Errors
/// [`Refusal::EmailTaken`].
pub fn register(
    tx: &mut Tx,
    keyring: &Keyring,
    email: &Email,
    phc: String,
    name: String,
    device: Option<Device>,
) -> Result<SignedIn, Refusal> {
    tx.authorize(&Question::new("auth.register", Resource::new("Auth", "register")))?;
    if users::by_email(tx, keyring, email).is_some() {
        return Err(Refusal::EmailTaken);
    }
    let user = users::create(tx, keyring, NewUser { email: Some(email.clone()), name: Some(name), phone: None })?;
    let changed_at = tx.now();
    PASSWORDS.put(tx, &user, &Password { phc, changed_at });
    Ok(sessions::begin(tx, keyring, user, device, true))
}

/// Ends a sign-in whose password has been measured: `fits` against `candidate`.
///
/// # Errors
/// [`Refusal::RateLimited`], [`Refusal::Suspended`], [`Refusal::PasswordMoved`]; remembered: [`Refusal::WrongCredentials`].
pub fn log_in(
    tx: &mut Tx,
    keyring: &Keyring,
    email: &Email,
    candidate: &Candidate,
    fits: bool,
    device: Option<Device>,
) -> Result<Tried<SignedIn>, Refusal> {
    tx.authorize(&Question::new("auth.login", Resource::new("Auth", "login")))?;
    let tries = tries_of(keyring, email);
    let Some(user) = candidate.user.filter(|_| fits) else {
        spend(tx, &tries, limits::PASSWORD)?;
        return Ok(Tried::Refused(Refusal::WrongCredentials));
    };
    // The limit may have been reached by others while this one was measured.
    let now = tx.now();
    check(tx, now, &tries, limits::PASSWORD)?;
    unmoved(tx, user, candidate)?;
    if users::get(tx, user).is_none_or(|user| user.suspended) {
        return Err(Refusal::Suspended);
    }
    forget(tx, &tries);
    Ok(Tried::Done(sessions::begin(tx, keyring, user, device, false)))
}

fn unmoved(tx: &Tx, user: UserId, candidate: &Candidate) -> Result<(), Refusal> {
    let now = PASSWORDS.get(tx, &user).map(|password| password.phc);
    if now == candidate.phc { Ok(()) } else { Err(Refusal::PasswordMoved) }
}

/// What a change of password must be measured against.
///
/// # Errors
/// [`Refusal::RateLimited`]; [`Refusal::Denied`] without a user.
pub fn own(read: &(impl Read + ?Sized), keyring: &Keyring, user: Option<UserId>, now: Timestamp) -> Result<Candidate, Refusal> {
    let user = user.ok_or(Denied::Unauthenticated)?;
    check(read, now, &changes_of(keyring, user), limits::PASSWORD)?;
    Ok(Candidate { user: Some(user), phc: PASSWORDS.get(read, &user).map(|password| password.phc) })
}

fn changes_of(keyring: &Keyring, user: UserId) -> [u8; 32] {
    keyring.lookup("limit.password.change", &user.to_string())
}

/// Sets the caller's new password (already hashed) if the old one fitted. All other sign-ins end.
///
/// # Errors
/// As [`log_in`].
pub fn change(tx: &mut Tx, keyring: &Keyring, candidate: &Candidate, fits: bool, phc: String) -> Result<Tried<()>, Refusal> {
    tx.authorize(&Question::new("auth.password", Resource::new("Auth", "password")))?;
    let user = tx.caller().user_id().ok_or(Denied::Unauthenticated)?;
    if !fits || candidate.user != Some(user) {
        let tries = changes_of(keyring, user);
        spend(tx, &tries, limits::PASSWORD)?;
        return Ok(Tried::Refused(Refusal::WrongCredentials));
    }
    unmoved(tx, user, candidate)?;
    set(tx, user, phc);
    users::require_password_change(tx, user, false)?;
    let this = tx.caller().session.map(SessionId::from_u128);
    sessions::end_all(tx, user, this, Ended::PasswordChanged);
    Ok(Tried::Done(()))
}

/// Writes a password. Part of another, decided command.
pub(in crate::people) fn set(tx: &mut Tx, user: UserId, phc: String) {
    let changed_at = tx.now();
    PASSWORDS.put(tx, &user, &Password { phc, changed_at });
}
/// A user has no password any more. Part of another, decided command.
pub(in crate::people) fn remove(tx: &mut Tx, user: UserId) {
    PASSWORDS.delete(tx, &user);
}
