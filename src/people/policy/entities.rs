//! Principals and resources as Cedar sees them.

use std::collections::{HashMap, HashSet};

use cedar_policy::{Entity, EntityId, EntityTypeName, EntityUid, RestrictedExpression, Schema};

use super::effective;
use crate::engine::{Attribute, Resource, UserId};
use crate::people::users::{Role, User, city_text, courier_text, merchant_text};

/// Type names, parsed once.
pub struct Shapes {
    types: HashMap<String, EntityTypeName>,
    roles: HashMap<Role, EntityUid>,
}

fn uid(name: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(name.clone(), EntityId::new(id))
}

fn text(text: impl Into<String>) -> RestrictedExpression {
    RestrictedExpression::new_string(text.into())
}

fn set(texts: impl IntoIterator<Item = String>) -> RestrictedExpression {
    RestrictedExpression::new_set(texts.into_iter().map(text))
}

impl Shapes {
    /// The entity types of a schema.
    pub fn of(schema: &Schema) -> Self {
        let types: HashMap<String, EntityTypeName> = schema.entity_types().map(|name| (name.to_string(), name.clone())).collect();
        let role = types.get("Role");
        let roles = Role::ALL.into_iter().filter_map(|one| role.map(|role| (one, uid(role, one.as_str())))).collect();
        Self { types, roles }
    }

    /// Somebody who did not sign in.
    pub fn anonymous(&self) -> Entity {
        let name = self.types.get("Anonymous").expect("the embedded schema declares Anonymous; a test parses it");
        Entity::new_no_attrs(uid(name, "anonymous"), HashSet::new())
    }

    /// A user, with roles and memberships from state.
    pub fn user(&self, id: UserId, user: &User) -> Option<Entity> {
        let id = id.to_string();
        let uid = uid(self.types.get("User")?, &id);
        let mut attributes = HashMap::from([
            ("id".to_owned(), text(id)),
            ("merchants".to_owned(), set(user.merchants.iter().copied().map(merchant_text))),
            ("cities".to_owned(), set(user.cities.iter().copied().map(city_text))),
        ]);
        if let Some(courier) = user.courier {
            attributes.insert("courier".to_owned(), text(courier_text(courier)));
        }
        let roles = effective(user).iter().filter_map(|role| self.roles.get(role).cloned()).collect();
        Entity::new(uid, attributes, roles).ok()
    }

    /// A resource with its attributes, and its id as one.
    pub fn resource(&self, resource: &Resource) -> Option<Entity> {
        let Some(name) = self.types.get(resource.kind) else {
            tracing::error!(kind = resource.kind, "asked about a kind of thing that the schema does not know: denied");
            return None;
        };
        let mut attributes = HashMap::with_capacity(resource.attributes.len() + 1);
        attributes.insert("id".to_owned(), text(resource.id.as_str()));
        for (name, value) in &resource.attributes {
            let value = match value {
                Attribute::Text(value) => text(value.as_str()),
                Attribute::Set(values) => set(values.iter().cloned()),
                Attribute::Flag(value) => RestrictedExpression::new_bool(*value),
            };
            attributes.insert((*name).to_owned(), value);
        }
        Entity::new(uid(name, &resource.id), attributes, HashSet::new()).ok()
    }
}
