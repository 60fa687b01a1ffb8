//! Who asks.

use std::net::IpAddr;

use storage::{Id, Kind};

/// Ids of people (`usr_…`).
#[derive(Debug)]
pub struct UserTag;
impl Kind for UserTag {
    const PREFIX: &'static str = "usr";
}
pub type UserId = Id<UserTag>;

/// Who a command or a read is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    Anonymous,
    User(UserId),
    /// The appliance itself, and why.
    System(&'static str),
}

/// A principal, the sign-in it came by, and where from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub principal: Principal,
    /// The session family's 128 bits.
    pub session: Option<u128>,
    pub address: Option<IpAddr>,
}

impl Caller {
    /// Nobody in particular.
    #[must_use]
    pub fn anonymous() -> Self {
        Self { principal: Principal::Anonymous, session: None, address: None }
    }

    /// A person.
    #[must_use]
    pub fn user(user: UserId) -> Self {
        Self { principal: Principal::User(user), session: None, address: None }
    }

    /// The appliance itself: timers, outbox answers, the dispatcher, the command line. Only in-process code can make one; the edge never does.
    #[must_use]
    pub fn system(cause: &'static str) -> Self {
        Self { principal: Principal::System(cause), session: None, address: None }
    }

    /// The person, if it is one.
    #[must_use]
    pub fn user_id(&self) -> Option<UserId> {
        match self.principal {
            Principal::User(user) => Some(user),
            Principal::Anonymous | Principal::System(_) => None,
        }
    }

    /// How it is written in audit rows, event actors and idempotency scopes.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.principal {
            Principal::Anonymous => "anonymous".to_owned(),
            Principal::User(user) => user.to_string(),
            Principal::System(cause) => format!("system:{cause}"),
        }
    }
}
