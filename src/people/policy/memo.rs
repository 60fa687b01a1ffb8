//! Decisions remembered: a decision is a pure function of the policies, the principal's attributes and the question, and the same questions are asked
//! all day (a customer who watches an order asks one for each read). The key is the whole input, so a changed role or resource is another question.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{PoisonError, RwLock};

use crate::engine::{Attribute, Question};
use crate::people::users::{User, UserId};

const SHARDS: usize = 16;
/// A shard that has grown so far begins anew: the hot questions are back at once.
const SHARD_MAX: usize = 2_048;

/// What was decided: the id of the policy that permits, if one does.
type Known = HashMap<Box<[u8]>, Option<String>>;

/// See the module.
#[derive(Default)]
pub struct Memo {
    hasher: RandomState,
    shards: [RwLock<Known>; SHARDS],
}

impl Memo {
    /// The remembered decision, or `decide`'s.
    pub fn recall(&self, id: UserId, user: &User, question: &Question, decide: impl FnOnce() -> Option<String>) -> Option<String> {
        let key = key(id, user, question);
        let shard = &self.shards[(self.hasher.hash_one(&key) as usize) % SHARDS];
        if let Some(known) = shard.read().unwrap_or_else(PoisonError::into_inner).get(key.as_slice()) {
            return known.clone();
        }
        let decided = decide();
        let mut known = shard.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= SHARD_MAX {
            known.clear();
        }
        known.insert(key.into_boxed_slice(), decided.clone());
        decided
    }
}

/// Every part with its length, so that no two inputs have one key.
fn key(id: UserId, user: &User, question: &Question) -> Vec<u8> {
    let mut key = Vec::with_capacity(256);
    key.extend_from_slice(&id.as_u128().to_le_bytes());
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
