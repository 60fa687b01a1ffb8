//! Policies by action.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

use cedar_policy::{ActionConstraint, Effect, EntityUid, Policy, PolicyId, PolicySet, PrincipalConstraint, Schema};

use super::PolicyError;
use crate::people::users::Role;

/// The policies that name one action, and the roles that their heads name.
pub struct Slice {
    pub action: EntityUid,
    pub policies: PolicySet,
    named: Vec<Named>,
}

/// Whom a permit's head names.
enum Named {
    Everybody,
    Role(String),
}

impl Slice {
    /// Whether a permit for this action names one of the roles, whatever its conditions say.
    pub fn names(&self, roles: &[Role]) -> bool {
        self.named.iter().any(|named| match named {
            Named::Everybody => true,
            Named::Role(name) => roles.iter().any(|role| role.as_str() == name),
        })
    }
}

/// All slices.
pub struct Slices(HashMap<String, Slice>);

/// Parses policies; each takes the name of its `@id`.
pub fn named(source: &str) -> Result<PolicySet, PolicyError> {
    let parsed = PolicySet::from_str(source).map_err(|error| PolicyError::Syntax(error.to_string()))?;
    let mut all = PolicySet::new();
    for policy in parsed.policies() {
        let id = policy.annotation("id").filter(|id| !id.is_empty()).ok_or_else(|| PolicyError::Id(policy.to_string()))?;
        all.add(policy.new_id(PolicyId::new(id))).map_err(|error| PolicyError::Id(error.to_string()))?;
    }
    Ok(all)
}

impl Slices {
    /// One slice for each action of the schema.
    pub fn cut(schema: &Schema, policies: &PolicySet) -> Result<Self, PolicyError> {
        let mut slices = HashMap::new();
        for action in schema.actions() {
            let mine: BTreeMap<String, Policy> = policies
                .policies()
                .filter(|policy| covers(policy, action))
                .map(|policy| (policy.id().to_string(), policy.clone()))
                .collect();
            let named = mine.values().filter(|policy| policy.effect() == Effect::Permit).map(head).collect();
            let policies = PolicySet::from_policies(mine.into_values()).map_err(|error| PolicyError::Id(error.to_string()))?;
            slices.insert(action.id().unescaped().to_owned(), Slice { action: action.clone(), policies, named });
        }
        Ok(Self(slices))
    }

    pub fn of(&self, action: &str) -> Option<&Slice> {
        self.0.get(action)
    }

    pub fn actions(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

fn covers(policy: &Policy, action: &EntityUid) -> bool {
    match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::In(actions) => actions.contains(action),
        ActionConstraint::Eq(one) => one == *action,
    }
}

fn head(policy: &Policy) -> Named {
    match policy.principal_constraint() {
        PrincipalConstraint::In(role) | PrincipalConstraint::IsIn(_, role) => Named::Role(role.id().unescaped().to_owned()),
        PrincipalConstraint::Any | PrincipalConstraint::Is(_) | PrincipalConstraint::Eq(_) => Named::Everybody,
    }
}
