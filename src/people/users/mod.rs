//! Users: one row per person. Contacts are sealed with the person's key and found by keyed hash; roles and memberships are in the clear, because
//! every decision reads them.
//!
//! Reading order: `contact` (what a phone and an e-mail are), `model`, `commands`, `views`.

mod commands;
mod contact;
pub mod http;
mod model;
mod views;

pub use commands::{NewUser, bind_courier, bind_merchant, change_profile, create, grant_role, set_roles};
pub(in crate::people) use commands::{forget, is_last_admin, require_password_change};
pub use contact::{Email, NotAContact, Phone, Prefix};
pub use model::{Happened, Profile, Refusal, Role, Roles, USERS, User, What};
pub use model::{city_text, courier_text, merchant_text};
pub use views::{Contact, UserView, by_email, by_phone, contact, get, view};

pub use crate::engine::UserId;
