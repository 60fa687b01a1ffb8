//! Ids that cannot be mixed up: a UUIDv7 with a type, written as a TypeID (`ord_01h455vb4pex5vsknk084sn02q`).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What an id is of; the prefix is API for ever.
pub trait Kind: 'static {
    /// Lower-case letters and underscores, at most 63.
    const PREFIX: &'static str;
}

/// An id of a `K`: 128 bits, ordered by the time of making.
pub struct Id<K: Kind>(u128, PhantomData<fn() -> K>);

/// Crockford's base 32 in lower case, as TypeID fixes it.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

impl<K: Kind> Id<K> {
    /// From its 128 bits.
    #[must_use]
    pub const fn from_u128(bits: u128) -> Self {
        Self(bits, PhantomData)
    }

    /// Its 128 bits.
    #[must_use]
    pub const fn as_u128(self) -> u128 {
        self.0
    }
}

/// Not a TypeID of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id of the form {prefix}_ and 26 characters")]
pub struct BadId {
    prefix: &'static str,
}

impl<K: Kind> fmt::Display for Id<K> {
    /// Source: TypeID specification v0.3, "base32 encoding".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0_u8; 26];
        for (place, slot) in text.iter_mut().enumerate() {
            *slot = ALPHABET[((self.0 >> (125 - 5 * place)) & 31) as usize];
        }
        write!(f, "{}_{}", K::PREFIX, std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl<K: Kind> FromStr for Id<K> {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = BadId { prefix: K::PREFIX };
        let digits = text.strip_prefix(K::PREFIX).and_then(|rest| rest.strip_prefix('_')).ok_or_else(|| bad.clone())?;
        // 26 digits hold 130 bits: the first may be at most 7.
        if digits.len() != 26 || digits.as_bytes()[0] > b'7' {
            return Err(bad);
        }
        digits
            .bytes()
            .try_fold(0_u128, |bits, byte| ALPHABET.iter().position(|&letter| letter == byte).map(|value| (bits << 5) | value as u128))
            .map(Self::from_u128)
            .ok_or(bad)
    }
}

impl<K: Kind> fmt::Debug for Id<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<K: Kind> Clone for Id<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K: Kind> Copy for Id<K> {}
impl<K: Kind> PartialEq for Id<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<K: Kind> Eq for Id<K> {}
impl<K: Kind> PartialOrd for Id<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K: Kind> Ord for Id<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
impl<K: Kind> Hash for Id<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl<K: Kind> Serialize for Id<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.to_be_bytes().serialize(serializer) }
    }
}

impl<'de, K: Kind> Deserialize<'de> for Id<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            std::borrow::Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
        } else {
            <[u8; 16]>::deserialize(deserializer).map(|bytes| Self::from_u128(u128::from_be_bytes(bytes)))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug)]
    struct Prefix;
    impl Kind for Prefix {
        const PREFIX: &'static str = "prefix";
    }

    /// Vectors of the TypeID specification (`valid.yml`, `invalid.yml`).
    #[test]
    fn typeid_vectors() {
        let valid = [
            ("prefix_00000000000000000000000000", 0),
            ("prefix_00000000000000000000000001", 1),
            ("prefix_7zzzzzzzzzzzzzzzzzzzzzzzzz", u128::MAX),
            ("prefix_01h455vb4pex5vsknk084sn02q", 0x0189_0a5d_ac96_774b_bcce_b302_099a_8057),
        ];
        for (text, bits) in valid {
            assert_eq!(text.parse::<Id<Prefix>>().map(Id::as_u128), Ok(bits), "{text}");
            assert_eq!(Id::<Prefix>::from_u128(bits).to_string(), text);
        }
        for text in [
            "prefix_8zzzzzzzzzzzzzzzzzzzzzzzzz",
            "prefix_1",
            "other_00000000000000000000000000",
            "prefix_0000000000000000000000000u",
            "PREFIX_00000000000000000000000000",
            "",
        ] {
            assert!(text.parse::<Id<Prefix>>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_and_bytes_round_trip(bits: u128) {
            let id = Id::<Prefix>::from_u128(bits);
            prop_assert_eq!(id.to_string().parse::<Id<Prefix>>(), Ok(id));
            let bytes = postcard::to_stdvec(&id).expect("an id encodes");
            prop_assert_eq!(bytes.len(), 16);
            prop_assert_eq!(postcard::from_bytes::<Id<Prefix>>(&bytes), Ok(id));
        }
    }
}
