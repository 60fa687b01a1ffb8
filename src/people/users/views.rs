//! Users as others see them.

use serde::Serialize;
use storage::{Read, Timestamp};
use utoipa::ToSchema;

use super::model::{Role, USERS, USERS_BY_EMAIL, USERS_BY_PHONE, User, city_text, courier_text, merchant_text};
use super::{Email, Phone, UserId};
use crate::people::erasure::ERASURES;
use crate::people::keyring::{Keyring, open_text};

/// The row.
pub fn get(read: &(impl Read + ?Sized), id: UserId) -> Option<User> {
    USERS.get(read, &id)
}

/// Who has this phone.
pub fn by_phone(read: &(impl Read + ?Sized), keyring: &Keyring, phone: &Phone) -> Option<(UserId, User)> {
    USERS.find(read, &USERS_BY_PHONE, &keyring.lookup("phone", phone.as_str())).next()
}

/// Who has this e-mail address.
pub fn by_email(read: &(impl Read + ?Sized), keyring: &Keyring, email: &Email) -> Option<(UserId, User)> {
    USERS.find(read, &USERS_BY_EMAIL, &keyring.lookup("email", email.as_str())).next()
}

/// How to reach somebody: for those who have to do with them (an order's parties), while they do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Contact {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
}

/// The contact of a user; empty after their erasure, or if there is no such user.
pub fn contact(read: &(impl Read + ?Sized), id: UserId) -> Contact {
    let Some(user) = get(read, id) else { return Contact::default() };
    Contact { name: user.name.and_then(|name| open_text(read, id, &name)), phone: user.phone.and_then(|phone| open_text(read, id, &phone)) }
}

/// A user as they see themselves, and as administrators do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct UserView {
    #[schema(value_type = String, example = "usr_01h455vb4pex5vsknk084sn02q")]
    pub id: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub roles: Vec<Role>,
    pub merchant_ids: Vec<String>,
    pub city_ids: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub courier_id: Option<String>,
    pub password_change_required: bool,
    /// Asked to be forgotten: when that will be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erases_at: Option<String>,
    pub version: u64,
    pub created_at: String,
}

/// The view of a user's row, contacts opened.
pub fn view(read: &(impl Read + ?Sized), id: UserId, user: &User) -> UserView {
    let opened = |sealed: &Option<_>| sealed.as_ref().and_then(|sealed| open_text(read, id, sealed));
    let created_at: Timestamp = user.created_at;
    UserView {
        id,
        phone: opened(&user.phone),
        email: opened(&user.email),
        name: opened(&user.name),
        roles: user.roles.clone(),
        merchant_ids: user.merchants.iter().copied().map(merchant_text).collect(),
        city_ids: user.cities.iter().copied().map(city_text).collect(),
        courier_id: user.courier.map(courier_text),
        password_change_required: user.password_change_required,
        erases_at: ERASURES.get(read, &id).filter(|erasure| erasure.erased_at.is_none()).map(|erasure| erasure.due_at.to_string()),
        version: user.version,
        created_at: created_at.to_string(),
    }
}
