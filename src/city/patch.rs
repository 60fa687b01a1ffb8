//! A field of a JSON merge patch (RFC 7396): left out, cleared with null, or set.

use serde::{Deserialize, Deserializer};

use super::field::Invalid;

/// What a patch says about one field. In a body: `#[serde(default)] name: Patch<String>`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// Not mentioned: stays as it is.
    #[default]
    Keep,
    /// `null`: has no value afterwards.
    Clear,
    /// A new value.
    Set(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Clear, Self::Set))
    }
}

impl<T> Patch<T> {
    /// Puts a new value, made by `check`, into a field that must have one.
    ///
    /// # Errors
    /// What `check` refuses; `required` if the patch clears it.
    pub fn apply<V>(self, pointer: &str, field: &mut V, check: impl FnOnce(T) -> Result<V, Invalid>) -> Result<(), Invalid> {
        match self {
            Self::Keep => Ok(()),
            Self::Clear => Err(Invalid::required(pointer)),
            Self::Set(value) => check(value).map(|value| *field = value),
        }
    }

    /// Puts a new value, made by `check`, into a field that may have none, or clears it.
    ///
    /// # Errors
    /// What `check` refuses.
    pub fn apply_or_clear<V: Default>(self, field: &mut V, check: impl FnOnce(T) -> Result<V, Invalid>) -> Result<(), Invalid> {
        match self {
            Self::Keep => Ok(()),
            Self::Clear => {
                *field = V::default();
                Ok(())
            }
            Self::Set(value) => check(value).map(|value| *field = value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Body {
        #[serde(default)]
        name: Patch<String>,
    }

    #[test]
    fn three_ways_to_say_it() {
        for (json, expected) in [("{}", Patch::Keep), (r#"{"name": null}"#, Patch::Clear), (r#"{"name": "a"}"#, Patch::Set("a".to_owned()))]
        {
            assert_eq!(serde_json::from_str::<Body>(json).expect("a patch"), Body { name: expected }, "{json}");
        }
    }

    #[test]
    fn what_it_does() {
        let apply = |patch: Patch<u8>| {
            let (mut must, mut may) = (1, Some(1));
            let refused = patch.clone().apply("/x", &mut must, Ok).map_err(|invalid| invalid.code);
            patch.apply_or_clear(&mut may, |value| Ok(Some(value))).expect("never refused here");
            (refused, must, may)
        };
        assert_eq!(apply(Patch::Keep), (Ok(()), 1, Some(1)));
        assert_eq!(apply(Patch::Clear), (Err("required"), 1, None));
        assert_eq!(apply(Patch::Set(2)), (Ok(()), 2, Some(2)));
    }
}
