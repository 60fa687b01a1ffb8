//! Decisions remembered: a decision is a pure function of the policies, the principal's attributes and the question, and the same questions are asked
//! all day (a customer who watches an order asks one for each read).
//!
//! Twice: by the whole input, so a changed role or resource is another question; and, for reads, by who asks what, as long as nothing was written to
//! the principal's row.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use storage::{Moment, Read};

use crate::engine::{Attribute, Denied, Question};
use crate::people::users::{USERS, User, UserId};

const SHARDS: usize = 16;
/// A shard that has grown so far begins anew: the hot questions are back at once.
const SHARD_MAX: usize = 2_048;

/// Answers of one kind, by their whole input.
struct Known<T>([RwLock<HashMap<Box<[u8]>, T>>; SHARDS]);

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| RwLock::default()))
    }
}

impl<T: Clone> Known<T> {
    /// Ids end in chance.
    fn shard(&self, id: UserId) -> &RwLock<HashMap<Box<[u8]>, T>> {
        &self.0[(id.as_u128() as usize) % SHARDS]
    }

    fn get(&self, id: UserId, key: &[u8]) -> Option<T> {
        self.shard(id).read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn put(&self, id: UserId, key: Vec<u8>, value: T) {
        let mut known = self.shard(id).write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= SHARD_MAX {
            known.clear();
        }
        known.insert(key.into_boxed_slice(), value);
    }
}

/// See the module.
#[derive(Default)]
pub struct Memo {
    /// The id of the policy that permits, if one does.
    permitted: Known<Option<String>>,
    decided: Known<(Moment, Result<String, Denied>)>,
}

impl Memo {
    /// What was decided about the question of a user whose row has not been written since, or `decide`'s.
    pub fn standing(
        &self,
        read: &dyn Read,
        id: UserId,
        question: &Question,
        decide: impl FnOnce() -> Result<String, Denied>,
    ) -> Result<String, Denied> {
        let Some(moment) = read.moment() else { return decide() };
        let key = key(id, None, question);
        if let Some((since, decided)) = self.decided.get(id, &key)
            && read.stands(&[USERS.trace(&id)], since)
        {
            return decided;
        }
        let decided = decide();
        self.decided.put(id, key, (moment, decided.clone()));
        decided
    }

    /// The remembered decision, or `decide`'s.
    pub fn recall(&self, id: UserId, user: &User, question: &Question, decide: impl FnOnce() -> Option<String>) -> Option<String> {
        let key = key(id, Some(user), question);
        if let Some(known) = self.permitted.get(id, &key) {
            return known;
        }
        let decided = decide();
        self.permitted.put(id, key, decided.clone());
        decided
    }
}

/// Every part with its length, so that no two inputs have one key.
fn key(id: UserId, user: Option<&User>, question: &Question) -> Vec<u8> {
    let mut key = Vec::with_capacity(256);
    key.extend_from_slice(&id.as_u128().to_le_bytes());
    if let Some(user) = user {
        add_user(&mut key, user);
    }
    let mut words = |text: &str| {
        key.extend_from_slice(&(text.len() as u64).to_le_bytes());
        key.extend_from_slice(text.as_bytes());
    };
    words(question.action);
    words(question.resource.kind);
    words(&question.resource.id);
    for (name, value) in &question.resource.attributes {
        words(name);
        match value {
            Attribute::Text(text) => words(text),
            Attribute::Set(set) => {
                words(&format!("set of {}", set.len()));
                set.iter().for_each(|text| words(text));
            }
            Attribute::Flag(flag) => words(if *flag { "flag: yes" } else { "flag: no" }),
        }
        // What kind of value it was: a text that reads like a flag is none.
        words(match value {
            Attribute::Text(_) => "t",
            Attribute::Set(_) => "s",
            Attribute::Flag(_) => "f",
        });
    }
    key
}

fn add_user(key: &mut Vec<u8>, user: &User) {
    let mut numbers = |list: &[u128]| {
        key.extend_from_slice(&(list.len() as u64).to_le_bytes());
        for number in list {
            key.extend_from_slice(&number.to_le_bytes());
        }
    };
    numbers(&user.merchants);
    numbers(&user.cities);
    numbers(user.courier.as_slice());
    key.push(user.roles.len() as u8);
    key.extend(user.roles.iter().map(|role| *role as u8));
}
