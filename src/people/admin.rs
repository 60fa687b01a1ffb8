//! Administrators made on the command line: by whoever has the machine, so no policy is asked (the engine's own `System` decision stands).

use super::identity::model::Ended;
use super::identity::{Refusal, password, sessions};
use super::keyring::{Keyring, slots};
use super::users::{self, Email, NewUser, Role, UserId};
use crate::engine::{Denied, Fault, Principal, Tx};

/// A password of 20 characters that is easy to read out: 100 random bits in Crockford's base 32, in groups of five.
///
/// # Errors
/// [`Fault`] if the machine's generator fails.
pub fn one_time_password() -> Result<String, Fault> {
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let bytes = slots::random::<20>().map_err(|error| Fault::new(error.to_string()))?;
    let letters: Vec<String> =
        bytes.chunks(5).map(|group| group.iter().map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect()).collect();
    Ok(letters.join("-"))
}

/// Makes an administrator with this password (hashed by [`super::identity::hashing::hash`]). An account that has the address already becomes one: its
/// password is replaced and all its sign-ins end, which is also the way back for an administrator who lost theirs.
/// `must_change`: the password is a one-time one (not in a sandbox).
///
/// # Errors
/// [`Refusal::Denied`] for any caller but the appliance itself.
pub fn create(tx: &mut Tx, keyring: &Keyring, email: &Email, phc: String, must_change: bool) -> Result<UserId, Refusal> {
    match tx.caller().principal {
        Principal::System(_) => (),
        Principal::Anonymous | Principal::User(_) => return Err(Denied::Forbidden.into()),
    }
    let user = match users::by_email(tx, keyring, email) {
        Some((id, _)) => id,
        None => users::create(tx, keyring, NewUser { email: Some(email.clone()), ..NewUser::default() })?,
    };
    users::grant_role(tx, user, Role::Admin)?;
    password::set(tx, user, phc);
    users::require_password_change(tx, user, must_change)?;
    sessions::end_all(tx, user, None, Ended::PasswordChanged);
    Ok(user)
}
