#![no_main]
//! A change set from foreign bytes: an error or a value, never a panic; a value encodes to the same bytes' meaning again.

use libfuzzer_sys::fuzz_target;
use storage::changes::{decode, encode};

fuzz_target!(|input: (u8, Vec<u8>)| {
    let (count, body) = input;
    if let Ok(commands) = decode(&body, u32::from(count)) {
        let mut again = Vec::new();
        for command in &commands {
            encode(command.iter().map(|(key, change)| (key, change)).collect::<Vec<_>>().into_iter(), &mut again);
        }
        assert_eq!(decode(&again, u32::from(count)).as_ref(), Ok(&commands));
    }
});
