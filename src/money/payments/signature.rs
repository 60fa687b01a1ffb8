//! Webhook signatures as Standard Webhooks has them: HMAC-SHA256 over `id.timestamp.body`.
//!
//! Source: Standard Webhooks specification 1.0, "Signature scheme".

use aws_lc_rs::{constant_time, hmac};
use axum::http::HeaderMap;
use storage::Timestamp;

/// A delivery may be this much older or newer than the receiver's clock.
pub const TOLERANCE_MS: i64 = 5 * 60 * 1000;

/// The names of the headers: the delivery's id, the seconds since the epoch, the signatures.
pub const ID: &str = "webhook-id";
pub const TIMESTAMP: &str = "webhook-timestamp";
pub const SIGNATURE: &str = "webhook-signature";

/// Not signed by whom we know, or too long ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature is missing, wrong or out of time")]
pub struct BadSignature;

/// A secret that both sides know.
pub struct Secret(hmac::Key);

impl Secret {
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// `v1,` and the signature in base 64.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp_s: i64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(format!("{id}.{timestamp_s}.").as_bytes());
        context.update(body);
        format!("v1,{}", base64(context.sign().as_ref()))
    }

    /// Checks a delivery; several signatures (a secret being changed) are separated by spaces, one must be right.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<(), BadSignature> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).ok_or(BadSignature);
        let timestamp_s: i64 = text(TIMESTAMP)?.parse().map_err(|_| BadSignature)?;
        if timestamp_s.saturating_mul(1000).saturating_sub(now.millis()).saturating_abs() > TOLERANCE_MS {
            return Err(BadSignature);
        }
        let right = self.sign(text(ID)?, timestamp_s, body);
        let given = text(SIGNATURE)?;
        let matches = |one: &str| constant_time::verify_slices_are_equal(one.as_bytes(), right.as_bytes()).is_ok();
        if given.split(' ').any(matches) { Ok(()) } else { Err(BadSignature) }
    }
}

/// Source: RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().chain([0, 0].iter()).take(3).fold(0_u32, |word, byte| (word << 8) | u32::from(*byte));
        for place in 0..4 {
            let digit = ALPHABET[(word >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_vectors() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    /// The example of the specification's reference libraries: secret `MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw` in base 64.
    #[test]
    fn reference_vector() {
        let secret = Secret::new(&[
            0x31, 0xf2, 0x90, 0xf6, 0xbf, 0x06, 0x29, 0x8a, 0xab, 0x4f, 0x08, 0xd4, 0x3c, 0x3f, 0x08, 0x2c, 0xf6, 0x48, 0xa3, 0x62, 0xda,
            0x2d, 0xa4, 0xb0,
        ]);
        let signed = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn only_what_was_signed_in_time_passes() {
        let (secret, now) = (Secret::new(b"ours"), Timestamp::from_millis(1_700_000_000_000));
        let signed = secret.sign("evt_1", 1_700_000_000, b"{}");
        let old = secret.sign("evt_1", 1_699_999_699, b"{}");
        let others = Secret::new(b"theirs").sign("evt_1", 1_700_000_000, b"{}");
        let both = format!("{others} {signed}");
        let cases: [(&str, &str, &str, &[u8], bool); 9] = [
            ("evt_1", "1700000000", &signed, b"{}", true),
            ("evt_1", "1700000000", &both, b"{}", true),
            ("evt_2", "1700000000", &signed, b"{}", false),
            ("evt_1", "1700000001", &signed, b"{}", false),
            ("evt_1", "1700000000", &signed, b"{ }", false),
            ("evt_1", "1700000000", &others, b"{}", false),
            ("evt_1", "1699999699", &old, b"{}", false),
            ("evt_1", "soon", &signed, b"{}", false),
            ("evt_1", "1700000000", "", b"{}", false),
        ];
        for (id, timestamp, signature, body, passes) in cases {
            let mut headers = HeaderMap::new();
            for (name, value) in [(ID, id), (TIMESTAMP, timestamp), (SIGNATURE, signature)] {
                headers.insert(name, value.parse().expect("a header value"));
            }
            assert_eq!(secret.verify(&headers, body, now).is_ok(), passes, "{id} {timestamp} {signature}");
        }
        assert_eq!(secret.verify(&HeaderMap::new(), b"{}", now), Err(BadSignature));
    }
}
