//! The person's row, and what is said about it.

use serde::{Deserialize, Serialize};
use storage::{Id, Index, Kind, Row, Table, Timestamp};
use utoipa::ToSchema;

use crate::engine::{Denied, Event, Fault, UserId};
use crate::people::keyring::Sealed;

/// What somebody may be here. Every user is a customer from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Customer,
    Merchant,
    Courier,
    Support,
    Admin,
}

impl Role {
    pub const ALL: [Self; 5] = [Self::Customer, Self::Merchant, Self::Courier, Self::Support, Self::Admin];

    /// As in tokens, policies and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Merchant => "merchant",
            Self::Courier => "courier",
            Self::Support => "support",
            Self::Admin => "admin",
        }
    }
}

/// A person. Contacts are sealed; the hashes are keyed, see [`crate::people::keyring::Keyring::lookup`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct User {
    /// The slot of the person's key.
    pub slot: u64,
    pub phone: Option<Sealed>,
    pub email: Option<Sealed>,
    pub name: Option<Sealed>,
    pub phone_hash: Option<[u8; 32]>,
    pub email_hash: Option<[u8; 32]>,
    /// Sorted, without repeats.
    pub roles: Vec<Role>,
    /// Merchants whose staff the person is, as 128 bits.
    pub merchants: Vec<u128>,
    /// Cities that a support person or admin is bound to; empty: all.
    pub cities: Vec<u128>,
    pub courier: Option<u128>,
    pub suspended: bool,
    /// A one-time password from the command line is still in use.
    pub password_change_required: bool,
    /// Rises with every change; the ETag.
    pub version: u64,
    pub created_at: Timestamp,
}

impl Row for User {
    const VERSION: u8 = 1;
}

impl User {
    /// Whether nothing finds or lets this person any more.
    #[must_use]
    pub fn is_forgotten(&self) -> bool {
        self.suspended && self.roles.is_empty() && self.phone_hash.is_none() && self.email_hash.is_none()
    }

    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

pub static USERS_BY_PHONE: Index<UserId, User> = Index::new(101, "people.users.by_phone", |_, user, keys| {
    if let Some(hash) = &user.phone_hash {
        keys.add(hash);
    }
});
pub static USERS_BY_EMAIL: Index<UserId, User> = Index::new(102, "people.users.by_email", |_, user, keys| {
    if let Some(hash) = &user.email_hash {
        keys.add(hash);
    }
});
/// Everybody who is more than a customer.
pub static USERS_BY_ROLE: Index<UserId, User> = Index::new(103, "people.users.by_role", |_, user, keys| {
    for role in user.roles.iter().filter(|role| **role != Role::Customer) {
        keys.add(&(*role as u8));
    }
});
pub static USERS: Table<UserId, User> = Table::new(100, "people.users", &[&USERS_BY_PHONE, &USERS_BY_EMAIL, &USERS_BY_ROLE]);

/// What an administrator sets. `None` leaves the memberships as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roles {
    pub roles: Vec<Role>,
    pub merchants: Option<Vec<u128>>,
    pub cities: Option<Vec<u128>>,
}

/// What people change of themselves: outer `None` leaves it, inner `None` clears it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    pub name: Option<Option<String>>,
    pub email: Option<Option<super::Email>>,
}

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("no such user")]
    Unknown,
    #[error("another account has this e-mail address")]
    EmailTaken,
    #[error("this address is how you sign in, and there is no phone: set another one instead of clearing it")]
    LastContact,
    #[error("this is the last administrator: make another one first")]
    LastAdmin,
    #[error("the user was changed meanwhile: version {now} now")]
    Changed { now: u64 },
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Something happened to a user. Other modules follow it by type; streams show ids and roles, nothing personal.
#[derive(Clone, Debug)]
pub struct Happened {
    pub user: UserId,
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    Created,
    RolesChanged {
        roles: Vec<Role>,
    },
    /// Nobody can read who they were.
    Erased,
}

impl Event for Happened {
    fn name(&self) -> &'static str {
        match self.what {
            What::Created => "UserCreated",
            What::RolesChanged { .. } => "UserRolesChanged",
            What::Erased => "UserErased",
        }
    }

    fn topics(&self) -> Vec<String> {
        Vec::new()
    }

    fn data(&self) -> serde_json::Value {
        match &self.what {
            What::Created | What::Erased => serde_json::json!({ "user_id": self.user }),
            What::RolesChanged { roles } => serde_json::json!({ "user_id": self.user, "roles": roles }),
        }
    }
}

/// Ids of other modules' things, where people's answers and policies show them: only their prefix is known here.
macro_rules! shown_ids {
    ($($tag:ident $prefix:literal $function:ident),*) => {$(
        #[derive(Debug)]
        pub struct $tag;
        impl Kind for $tag {
            const PREFIX: &'static str = $prefix;
        }
        /// The id as text.
        #[must_use]
        pub fn $function(bits: u128) -> String {
            Id::<$tag>::from_u128(bits).to_string()
        }
    )*};
}
shown_ids!(MerchantRef "mer" merchant_text, CityRef "cty" city_text, CourierRef "cou" courier_text);

#[cfg(test)]
mod tests {
    use super::*;

    /// The stored layout: a change here is a new `VERSION` and an `upgrade`.
    #[test]
    fn golden_bytes() {
        let user = User {
            slot: 7,
            phone: None,
            email: None,
            name: None,
            phone_hash: None,
            email_hash: None,
            roles: vec![Role::Customer, Role::Admin],
            merchants: vec![5],
            cities: vec![],
            courier: Some(300),
            suspended: false,
            password_change_required: true,
            version: 2,
            created_at: Timestamp::from_millis(1),
        };
        assert_eq!(user.to_bytes(), [1, 7, 0, 0, 0, 0, 0, 2, 0, 4, 1, 5, 0, 1, 0xAC, 2, 0, 1, 2, 2]);
    }
}
