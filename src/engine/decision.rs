//! May they? The question, the answer, and the record without which nothing commits.

use storage::Read;

use super::caller::Caller;

/// What is asked of the policy: an action on a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// `orders.accept`
    pub action: &'static str,
    pub resource: Resource,
}

impl Question {
    /// A question about one resource.
    #[must_use]
    pub fn new(action: &'static str, resource: Resource) -> Self {
        Self { action, resource }
    }
}

/// A thing, with the attributes that policies may look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    pub kind: &'static str,
    pub id: String,
    pub attributes: Vec<(&'static str, Attribute)>,
}

impl Resource {
    /// A resource without attributes yet.
    // By value: ids are Copy, and `new("Order", id)` reads better than a borrow.
    #[allow(clippy::needless_pass_by_value)]
    #[must_use]
    pub fn new(kind: &'static str, id: impl ToString) -> Self {
        Self { kind, id: id.to_string(), attributes: Vec::new() }
    }

    /// Adds an attribute.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Attribute>) -> Self {
        self.attributes.push((name, value.into()));
        self
    }
}

/// An attribute's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attribute {
    Text(String),
    Set(Vec<String>),
    Flag(bool),
}

impl From<String> for Attribute {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}
impl From<&str> for Attribute {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
impl From<Vec<String>> for Attribute {
    fn from(set: Vec<String>) -> Self {
        Self::Set(set)
    }
}
impl From<bool> for Attribute {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("sign in first")]
    Unauthenticated,
    /// None of the caller's roles may ever do this.
    #[error("your role does not allow this")]
    Forbidden,
    /// It is somebody else's: as if it were not there.
    #[error("no such thing")]
    NotFound,
    /// A one-time password is still in use.
    #[error("change the one-time password first")]
    PasswordChange,
}

/// Decides. People implement it; the composition root hands it to the engine.
pub trait Authorize: Send + Sync {
    /// The id of the policy that allows it.
    ///
    /// # Errors
    /// [`Denied`].
    fn decide(&self, read: &dyn Read, caller: &Caller, question: &Question) -> Result<String, Denied>;
}

/// What allowed a command. A transaction that changed state and holds none is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// A policy, for an action.
    Allowed { action: &'static str, policy: String },
    /// The appliance's own doing; made only inside the engine.
    System(Cause),
}

/// Why the appliance acts by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause(&'static str);

impl Cause {
    pub(super) fn new(why: &'static str) -> Self {
        Self(why)
    }

    /// In words.
    #[must_use]
    pub fn why(&self) -> &'static str {
        self.0
    }
}
