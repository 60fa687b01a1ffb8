//! The one policy decision point: Cedar policies that come with the binary (`default.cedar`), checked against `medina.cedarschema`.
//!
//! At load the policies are sliced by action: a decision evaluates the two or three that name its action, not all. Principal and resource are built
//! for each question from state, never from the token. What Cedar cannot say stands here: no sign-in → 401, a one-time password in use → 403
//! `password_change_required`, suspended → 403, and of the other denials which are 403 and which 404 (see `default.cedar`).

mod entities;
mod memo;
mod slice;

use cedar_policy::{Authorizer, Context, Decision, Entities, Request, Schema, ValidationMode, Validator};
use storage::Read;

use crate::engine::{Authorize, Caller, Denied, Principal, Question};
use crate::people::users::{self, Role, User};
use entities::Shapes;
use slice::{Slice, Slices};

/// The policies of the product.
pub const POLICIES: &str = include_str!("default.cedar");
/// What they may look at.
pub const SCHEMA: &str = include_str!("medina.cedarschema");

/// What somebody with a one-time password may do: change it, or leave.
const BEFORE_PASSWORD_CHANGE: [&str; 2] = ["auth.password", "auth.logout"];

/// Policies that do not load.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    #[error("the schema does not parse: {0}")]
    Schema(String),
    #[error("the policies do not parse: {0}")]
    Syntax(String),
    #[error("a policy has no @id, or two have the same: {0}")]
    Id(String),
    #[error("the policies do not fit the schema: {0}")]
    Invalid(String),
}

/// Decides, for the engine.
pub struct Policies {
    authorizer: Authorizer,
    slices: Slices,
    shapes: Shapes,
    memo: memo::Memo,
}

impl Policies {
    /// The policies that come with the binary.
    ///
    /// # Errors
    /// [`PolicyError`]; a test holds that there is none.
    pub fn embedded() -> Result<Self, PolicyError> {
        Self::parse(POLICIES, SCHEMA)
    }

    /// Parses and validates (strictly), and slices.
    ///
    /// # Errors
    /// [`PolicyError`], with what Cedar says.
    pub fn parse(policies: &str, schema: &str) -> Result<Self, PolicyError> {
        let (schema, _) = Schema::from_cedarschema_str(schema).map_err(|error| PolicyError::Schema(error.to_string()))?;
        let policies = slice::named(policies)?;
        let found = Validator::new(schema.clone()).validate(&policies, ValidationMode::Strict);
        if !found.validation_passed_without_warnings() {
            let all: Vec<String> =
                found.validation_errors().map(ToString::to_string).chain(found.validation_warnings().map(ToString::to_string)).collect();
            return Err(PolicyError::Invalid(all.join("; ")));
        }
        Ok(Self {
            memo: memo::Memo::default(),
            authorizer: Authorizer::new(),
            slices: Slices::cut(&schema, &policies)?,
            shapes: Shapes::of(&schema),
        })
    }

    /// Every action that a policy may name.
    pub fn actions(&self) -> impl Iterator<Item = &str> {
        self.slices.actions()
    }

    fn permits(&self, slice: &Slice, principal: cedar_policy::Entity, question: &Question) -> Option<String> {
        let resource = self.shapes.resource(&question.resource)?;
        let request = Request::new(principal.uid(), slice.action.clone(), resource.uid(), Context::empty(), None).ok()?;
        // Somebody asking about themselves is one entity, not two.
        let entities = if principal.uid() == resource.uid() { vec![principal] } else { vec![principal, resource] };
        let entities = Entities::from_entities(entities, None).ok()?;
        let response = self.authorizer.is_authorized(&request, &slice.policies, &entities);
        for error in response.diagnostics().errors() {
            tracing::error!(action = question.action, %error, "a policy could not be evaluated: does the question lack an attribute?");
        }
        match response.decision() {
            Decision::Allow => Some(response.diagnostics().reason().next().map(ToString::to_string).unwrap_or_default()),
            Decision::Deny => None,
        }
    }

    fn decide_user(&self, slice: &Slice, user: &User, id: users::UserId, question: &Question) -> Result<String, Denied> {
        if user.suspended {
            return Err(Denied::Forbidden);
        }
        if user.password_change_required && !BEFORE_PASSWORD_CHANGE.contains(&question.action) {
            return Err(Denied::PasswordChange);
        }
        self.memo
            .recall(id, user, question, || self.permits(slice, self.shapes.user(id, user)?, question))
            .ok_or_else(|| if slice.names(&effective(user)) { Denied::NotFound } else { Denied::Forbidden })
    }
}

/// An administrator may what support may.
fn effective(user: &User) -> Vec<Role> {
    let mut roles = user.roles.clone();
    if user.has(Role::Admin) && !user.has(Role::Support) {
        roles.push(Role::Support);
    }
    roles
}

impl Authorize for Policies {
    fn decide(&self, read: &dyn Read, caller: &Caller, question: &Question) -> Result<String, Denied> {
        let Some(slice) = self.slices.of(question.action) else {
            tracing::error!(action = question.action, "asked about an action that the schema does not know: denied");
            return Err(Denied::Forbidden);
        };
        match caller.principal {
            Principal::Anonymous => self.permits(slice, self.shapes.anonymous(), question).ok_or(Denied::Unauthenticated),
            Principal::User(id) => self.memo.standing(read, id, question, || {
                let user = users::get(read, id).ok_or(Denied::Unauthenticated)?;
                self.decide_user(slice, &user, id, question)
            }),
            // The engine lets itself in before it asks.
            Principal::System(_) => Err(Denied::Forbidden),
        }
    }
}
