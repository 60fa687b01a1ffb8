//! The secret that the nodes of one city share.

use std::path::Path;

use axum::http::{HeaderMap, header};

/// Shorter secrets could be guessed.
const BYTES_MIN: usize = 16;

/// A secret; never shown.
#[derive(Clone)]
pub struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// Reads the secret from a file; white space around it does not count.
    ///
    /// # Errors
    /// A sentence: the file cannot be read, or what is in it could be guessed or not be sent.
    pub fn read(file: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(file).map_err(|error| format!("the replication token {}: {error}", file.display()))?;
        let text = text.trim();
        if text.len() < BYTES_MIN || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!("the replication token {} needs at least {BYTES_MIN} visible ASCII characters", file.display()));
        }
        Ok(Self(text.to_owned()))
    }

    /// For the `Authorization` of a request.
    #[must_use]
    pub fn bearer(&self) -> &str {
        &self.0
    }

    /// Whether a request carries it, compared in constant time.
    #[must_use]
    pub fn is_carried(&self, headers: &HeaderMap) -> bool {
        let carried =
            headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| value.strip_prefix("Bearer "));
        // Of hashes: their length says nothing about the secret's.
        let hash = |text: &str| *blake3::hash(text.as_bytes()).as_bytes();
        carried.is_some_and(|carried| aws_lc_rs::constant_time::verify_slices_are_equal(&hash(carried), &hash(&self.0)).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secret_itself_is_let_in() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), "0123456789abcdef\n").expect("written");
        let token = Token::read(file.path()).expect("long enough");
        let cases =
            [("Bearer 0123456789abcdef", true), ("Bearer 0123456789abcdeF", false), ("Bearer ", false), ("0123456789abcdef", false)];
        for (text, wanted) in cases {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, text.parse().expect("a header"))]);
            assert_eq!(token.is_carried(&headers), wanted, "{text}");
        }
        assert!(!token.is_carried(&HeaderMap::new()));
        std::fs::write(file.path(), "short").expect("written");
        assert!(Token::read(file.path()).is_err());
    }
}
