#![no_main]
//! Keys and ids from foreign bytes.

use libfuzzer_sys::fuzz_target;
use storage::KeyPart;

fuzz_target!(|bytes: &[u8]| {
    let mut rest = bytes;
    if let Some(key) = <(String, i64, u32)>::decode(&mut rest) {
        assert_eq!(key.to_key(), bytes[..bytes.len() - rest.len()]);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(id) = text.parse::<medina::engine::UserId>() {
            assert_eq!(id.to_string(), text);
        }
        let _ = text.parse::<storage::Timestamp>();
    }
});
