#![no_main]
//! A snapshot, an archived piece and their names from foreign bytes: an error or a value, never a panic.

use libfuzzer_sys::fuzz_target;
use storage::archive::{self, PieceName, Place};
use storage::snapshot;

const NAME: &str = "00000000000000000001-0000000000000000-00000000000000000002-e1-t0-0000000000000000";

fuzz_target!(|bytes: &[u8]| {
    let _ = snapshot::check(bytes);
    if let Ok(name) = NAME.parse::<PieceName>() {
        let _ = archive::decode(&name, 1, bytes);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        for shown in [text.parse::<PieceName>().map(|name| name.to_string()), text.parse::<Place>().map(|place| place.to_string())].into_iter().flatten() {
            assert_eq!(shown, text);
        }
    }
});
