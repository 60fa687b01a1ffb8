//! Keys: fields in an encoding whose byte order is the fields' order.
//!
//! Integers are big-endian (signed ones with the sign flipped), strings write 00 as 00 FF and end with 00 00, so that no key is a prefix of
//! another of the same shape. Source: FoundationDB, "Tuple layer" (strings); the layout is in `FORMAT.md`.

use crate::clock::Timestamp;
use crate::id::{Id, Kind};

/// A field, or a tuple of fields, of a key.
pub trait KeyPart: Sized {
    /// Appends the encoding.
    fn encode(&self, into: &mut Vec<u8>);
    /// Takes one value off the front, or says that the bytes are not its encoding.
    fn decode(from: &mut &[u8]) -> Option<Self>;

    /// The encoding alone.
    fn to_key(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(32);
        self.encode(&mut bytes);
        bytes
    }
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = from.split_first_chunk::<N>()?;
    *from = rest;
    Some(*head)
}

macro_rules! unsigned {
    ($($ty:ty),*) => {$(
        impl KeyPart for $ty {
            fn encode(&self, into: &mut Vec<u8>) {
                into.extend_from_slice(&self.to_be_bytes());
            }
            fn decode(from: &mut &[u8]) -> Option<Self> {
                take(from).map(Self::from_be_bytes)
            }
        }
    )*};
}
unsigned!(u8, u16, u32, u64, u128);

impl KeyPart for i64 {
    fn encode(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(&((*self as u64) ^ (1 << 63)).to_be_bytes());
    }
    fn decode(from: &mut &[u8]) -> Option<Self> {
        take(from).map(|bytes| (u64::from_be_bytes(bytes) ^ (1 << 63)) as i64)
    }
}

impl KeyPart for bool {
    fn encode(&self, into: &mut Vec<u8>) {
        into.push(u8::from(*self));
    }
    fn decode(from: &mut &[u8]) -> Option<Self> {
        take::<1>(from).map(|byte| byte[0] != 0)
    }
}

impl<const N: usize> KeyPart for [u8; N] {
    fn encode(&self, into: &mut Vec<u8>) {
        into.extend_from_slice(self);
    }
    fn decode(from: &mut &[u8]) -> Option<Self> {
        take(from)
    }
}

impl KeyPart for Timestamp {
    fn encode(&self, into: &mut Vec<u8>) {
        self.millis().encode(into);
    }
    fn decode(from: &mut &[u8]) -> Option<Self> {
        i64::decode(from).map(Timestamp::from_millis)
    }
}

impl<K: Kind> KeyPart for Id<K> {
    fn encode(&self, into: &mut Vec<u8>) {
        self.as_u128().encode(into);
    }
    fn decode(from: &mut &[u8]) -> Option<Self> {
        u128::decode(from).map(Self::from_u128)
    }
}

impl KeyPart for String {
    fn encode(&self, into: &mut Vec<u8>) {
        for byte in self.bytes() {
            into.push(byte);
            if byte == 0 {
                into.push(0xFF);
            }
        }
        into.extend_from_slice(&[0, 0]);
    }
    fn decode(from: &mut &[u8]) -> Option<Self> {
        let mut bytes = Vec::new();
        loop {
            match take::<1>(from)? {
                [0] => match take::<1>(from)? {
                    [0] => return Self::from_utf8(bytes).ok(),
                    [0xFF] => bytes.push(0),
                    [_] => return None,
                },
                [byte] => bytes.push(byte),
            }
        }
    }
}

impl KeyPart for () {
    fn encode(&self, _: &mut Vec<u8>) {}
    fn decode(_: &mut &[u8]) -> Option<Self> {
        Some(())
    }
}

macro_rules! tuple {
    ($($name:ident $place:tt),+) => {
        impl<$($name: KeyPart),+> KeyPart for ($($name,)+) {
            fn encode(&self, into: &mut Vec<u8>) {
                $(self.$place.encode(into);)+
            }
            fn decode(from: &mut &[u8]) -> Option<Self> {
                Some(($($name::decode(from)?,)+))
            }
        }
    };
}
tuple!(A 0);
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The order of the bytes is the order of the fields, and what was written is read.
        #[test]
        fn bytes_sort_as_the_fields_do(a: (String, i64, u32), b: (String, i64, u32)) {
            prop_assert_eq!(a.to_key().cmp(&b.to_key()), a.cmp(&b));
            prop_assert_eq!(<(String, i64, u32)>::decode(&mut a.to_key().as_slice()), Some(a));
        }
    }

    #[test]
    fn golden_bytes() {
        let cases: [(Vec<u8>, &[u8]); 5] = [
            (7_u16.to_key(), &[0, 7]),
            ((-1_i64).to_key(), &[0x7F, 255, 255, 255, 255, 255, 255, 255]),
            ("a\0b".to_owned().to_key(), &[b'a', 0, 0xFF, b'b', 0, 0]),
            ((1_u8, true).to_key(), &[1, 1]),
            (Timestamp::from_millis(1).to_key(), &[0x80, 0, 0, 0, 0, 0, 0, 1]),
        ];
        for (bytes, expected) in cases {
            assert_eq!(bytes, expected);
        }
    }
}
