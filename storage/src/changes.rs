//! The body of a log record: what each command of a batch changed, by key. Layout: `FORMAT.md`, "Change set".

use crate::{Change, Key};

/// Not a change set: the log says so before anything is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a change set (byte {at})")]
pub struct BadChanges {
    at: usize,
}

fn put_varint(mut value: u64, into: &mut Vec<u8>) {
    while value >= 0x80 {
        into.push((value as u8) | 0x80);
        value >>= 7;
    }
    into.push(value as u8);
}

/// Appends one command's changes.
pub fn encode<'a>(changes: impl ExactSizeIterator<Item = (&'a Key, &'a Change)>, into: &mut Vec<u8>) {
    put_varint(changes.len() as u64, into);
    for (key, change) in changes {
        put_varint(key.len() as u64, into);
        into.extend_from_slice(key);
        match change {
            None => put_varint(0, into),
            Some(value) => {
                put_varint(value.len() as u64 + 1, into);
                into.extend_from_slice(value);
            }
        }
    }
}

/// Decodes the changes of `count` commands, in order.
///
/// # Errors
/// [`BadChanges`] if the bytes are not exactly that.
pub fn decode(body: &[u8], count: u32) -> Result<Vec<Vec<(Key, Change)>>, BadChanges> {
    let mut reader = Reader { body, at: 0 };
    let mut commands = Vec::with_capacity(count.min(4096) as usize);
    for _ in 0..count {
        let changes = reader.varint()?;
        let mut command = Vec::with_capacity(changes.min(4096) as usize);
        for _ in 0..changes {
            let length = reader.varint()?;
            let key: Key = reader.bytes(length)?.into();
            let change = match reader.varint()? {
                0 => None,
                length => Some(reader.bytes(length - 1)?.into()),
            };
            command.push((key, change));
        }
        commands.push(command);
    }
    if reader.at == body.len() { Ok(commands) } else { Err(BadChanges { at: reader.at }) }
}

struct Reader<'a> {
    body: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, length: u64) -> Result<&'a [u8], BadChanges> {
        let bad = BadChanges { at: self.at };
        let end = usize::try_from(length).ok().and_then(|length| self.at.checked_add(length)).ok_or(bad)?;
        let bytes = self.body.get(self.at..end).ok_or(bad)?;
        self.at = end;
        Ok(bytes)
    }

    fn varint(&mut self) -> Result<u64, BadChanges> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.bytes(1)?[0];
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(BadChanges { at: self.at })
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn round_trip(commands in vec(vec((vec(any::<u8>(), 0..40), proptest::option::of(vec(any::<u8>(), 0..300))), 0..6), 0..6)) {
            let commands: Vec<Vec<(Key, Change)>> = commands.into_iter()
                .map(|command| command.into_iter().map(|(key, value)| (key.into(), value.map(Into::into))).collect()).collect();
            let mut body = Vec::new();
            for command in &commands {
                encode(command.iter().map(|(key, change)| (key, change)), &mut body);
            }
            prop_assert_eq!(decode(&body, commands.len() as u32), Ok(commands));
        }

        #[test]
        fn foreign_bytes_never_panic(body in vec(any::<u8>(), 0..200), count in 0_u32..10) {
            let _ = decode(&body, count);
        }
    }
}
