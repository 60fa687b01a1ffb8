//! Changes of a user's row.

use super::model::{Happened, Profile, Refusal, Role, Roles, USERS, USERS_BY_ROLE, User, What};
use super::{Email, Phone, UserId, views};
use crate::engine::{Fault, Question, Resource, Tx};
use crate::people::keyring::{Keyring, nonce, seal};

/// Somebody who signs in for the first time.
#[derive(Clone, Debug, Default)]
pub struct NewUser {
    pub phone: Option<Phone>,
    pub email: Option<Email>,
    pub name: Option<String>,
}

/// Makes a customer. The caller has been authorized and knows that nobody has these contacts.
///
/// # Errors
/// [`Fault`] if the key file cannot give a key.
pub fn create(tx: &mut Tx, keyring: &Keyring, new: NewUser) -> Result<UserId, Fault> {
    let NewUser { phone, email, name } = new;
    let id: UserId = tx.new_id();
    let slot = keyring.allot(tx)?;
    let sealed = |text: Option<&str>, tx: &mut Tx| text.map(|text| keyring.seal_in(slot, id, nonce(tx), text.as_bytes()));
    let user = User {
        slot,
        phone: sealed(phone.as_ref().map(Phone::as_str), tx),
        email: sealed(email.as_ref().map(Email::as_str), tx),
        name: sealed(name.as_deref(), tx),
        phone_hash: phone.as_ref().map(|phone| keyring.lookup("phone", phone.as_str())),
        email_hash: email.as_ref().map(|email| keyring.lookup("email", email.as_str())),
        roles: vec![Role::Customer],
        merchants: Vec::new(),
        cities: Vec::new(),
        courier: None,
        suspended: false,
        password_change_required: false,
        version: 1,
        created_at: tx.now(),
    };
    USERS.put(tx, &id, &user);
    tx.emit(Happened { user: id, what: What::Created });
    Ok(id)
}

fn change(tx: &mut Tx, id: UserId, change: impl FnOnce(&mut User)) -> Result<User, Refusal> {
    let mut user = USERS.get(tx, &id).ok_or(Refusal::Unknown)?;
    let roles = user.roles.clone();
    change(&mut user);
    user.roles.sort_unstable();
    user.roles.dedup();
    user.version += 1;
    USERS.put(tx, &id, &user);
    if user.roles != roles {
        tx.emit(Happened { user: id, what: What::RolesChanged { roles: user.roles.clone() } });
    }
    Ok(user)
}

/// Adds a role, if the user lacks it. Part of another, decided command.
///
/// # Errors
/// [`Refusal::Unknown`].
pub fn grant_role(tx: &mut Tx, id: UserId, role: Role) -> Result<(), Refusal> {
    if USERS.get(tx, &id).ok_or(Refusal::Unknown)?.has(role) {
        return Ok(());
    }
    change(tx, id, |user| user.roles.push(role)).map(drop)
}

/// Makes the user staff of a merchant, and a merchant by role. Part of another, decided command.
///
/// # Errors
/// [`Refusal::Unknown`].
pub fn bind_merchant(tx: &mut Tx, id: UserId, merchant: u128) -> Result<(), Refusal> {
    change(tx, id, |user| {
        user.roles.push(Role::Merchant);
        if !user.merchants.contains(&merchant) {
            user.merchants.push(merchant);
        }
    })
    .map(drop)
}

/// Says which courier the user is. The role comes with [`grant_role`], once the courier is active. Part of another, decided command.
///
/// # Errors
/// [`Refusal::Unknown`].
pub fn bind_courier(tx: &mut Tx, id: UserId, courier: u128) -> Result<(), Refusal> {
    change(tx, id, |user| user.courier = Some(courier)).map(drop)
}

/// An administrator sets roles and memberships. `expected` is the version of their `If-Match`, if they sent one.
///
/// # Errors
/// [`Refusal::Unknown`]; [`Refusal::LastAdmin`] if nobody could administrate any more; [`Refusal::Changed`]; [`Refusal::Denied`].
pub fn set_roles(tx: &mut Tx, id: UserId, roles: Roles, expected: Option<u64>) -> Result<User, Refusal> {
    tx.authorize(&Question::new("users.roles", Resource::new("User", id)))?;
    let user = USERS.get(tx, &id).ok_or(Refusal::Unknown)?;
    if expected.is_some_and(|version| version != user.version) {
        return Err(Refusal::Changed { now: user.version });
    }
    // Nobody can sign in as somebody who was erased: roles would only look as if they were held.
    if user.is_forgotten() {
        return Err(Refusal::Unknown);
    }
    let resigns = user.has(Role::Admin) && !roles.roles.contains(&Role::Admin);
    if resigns && is_last_admin(tx) {
        return Err(Refusal::LastAdmin);
    }
    change(tx, id, |user| {
        user.roles = roles.roles;
        user.merchants = roles.merchants.unwrap_or_else(|| std::mem::take(&mut user.merchants));
        user.cities = roles.cities.unwrap_or_else(|| std::mem::take(&mut user.cities));
    })
}

/// Whether there is only one administrator.
pub(in crate::people) fn is_last_admin(tx: &Tx) -> bool {
    USERS.keys(tx, &USERS_BY_ROLE, &(Role::Admin as u8)).take(2).count() == 1
}

/// Empties the row of somebody whose key is erased: nothing finds them, and they may nothing. The id stays for those who name it.
pub(in crate::people) fn forget(tx: &mut Tx, id: UserId) -> Result<(), Refusal> {
    change(tx, id, |user| {
        (user.phone, user.email, user.name) = (None, None, None);
        (user.phone_hash, user.email_hash) = (None, None);
        user.roles.clear();
        user.merchants.clear();
        user.cities.clear();
        user.suspended = true;
    })?;
    tx.emit(Happened { user: id, what: What::Erased });
    Ok(())
}

/// People change their name or e-mail address. `expected` is the version of their `If-Match`, if they sent one.
///
/// # Errors
/// [`Refusal::EmailTaken`], [`Refusal::LastContact`], [`Refusal::Changed`], [`Refusal::Denied`].
pub fn change_profile(tx: &mut Tx, keyring: &Keyring, id: UserId, profile: Profile, expected: Option<u64>) -> Result<User, Refusal> {
    tx.authorize(&Question::new("me.edit", Resource::new("User", id)))?;
    let user = USERS.get(tx, &id).ok_or(Refusal::Unknown)?;
    if expected.is_some_and(|version| version != user.version) {
        return Err(Refusal::Changed { now: user.version });
    }
    if let Some(Some(email)) = &profile.email
        && views::by_email(tx, keyring, email).is_some_and(|(other, _)| other != id)
    {
        return Err(Refusal::EmailTaken);
    }
    if profile.email == Some(None) && user.phone.is_none() {
        return Err(Refusal::LastContact);
    }
    let name = profile.name.map(|name| name.map(|name| seal(tx, id, name.as_bytes())));
    let email =
        profile.email.map(|email| email.map(|email| (keyring.lookup("email", email.as_str()), seal(tx, id, email.as_str().as_bytes()))));
    change(tx, id, |user| {
        if let Some(name) = name {
            user.name = name;
        }
        if let Some(email) = email {
            (user.email_hash, user.email) = email.unzip();
        }
    })
}

/// The one-time password is in use, or has been changed.
pub(in crate::people) fn require_password_change(tx: &mut Tx, id: UserId, required: bool) -> Result<(), Refusal> {
    change(tx, id, |user| user.password_change_required = required).map(drop)
}
