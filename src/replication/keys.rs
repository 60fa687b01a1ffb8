//! The people's keys on their way to a follower: outside the log and outside snapshots, sealed with what the nodes' secret makes.
//!
//! A follower that has rows and not the keys that they are sealed with would lose people at a fail-over, whatever was acknowledged. So each heartbeat
//! says which version of the keys the leader has, and a follower that has another one fetches them. The leader makes keys a thousand persons ahead of
//! need, so that a follower has a key well before the first row that is sealed with it.

use std::io;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::Token;

/// Binds the sealed bytes to what they are.
const KIND: &[u8] = b"medina people.keys 1";

/// The people's keys, as replication sees them: bytes with a version.
pub trait PeopleKeys: Send + Sync {
    /// Another number after every growth and every erasure; counted from the process's start.
    fn version(&self) -> u64;
    /// All of them.
    ///
    /// # Errors
    /// The file system's.
    fn export(&self) -> io::Result<Vec<u8>>;
    /// Takes over what another node exported: new keys, and erasures. What is erased here stays erased. Durable on return.
    ///
    /// # Errors
    /// The file system's, or [`io::ErrorKind::InvalidData`] if the bytes are not the keys of this city; then nothing was changed.
    fn import(&self, bytes: &[u8]) -> io::Result<()>;
}

fn cipher(token: &Token) -> LessSafeKey {
    let key = blake3::derive_key("medina 2026 replication of people.keys", token.bearer().as_bytes());
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).expect("an AES-256 key has 32 bytes"))
}

/// Seals for the nodes that share the secret (AES-256-GCM under a random nonce, which stands before it).
///
/// # Errors
/// The machine's random generator failed.
pub fn seal(token: &Token, mut bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut nonce = [0; NONCE_LEN];
    aws_lc_rs::rand::fill(&mut nonce).map_err(|_| io::Error::other("the machine's random generator failed"))?;
    cipher(token)
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(KIND), &mut bytes)
        .map_err(|_| io::Error::other("too many keys for one message"))?;
    Ok([nonce.as_slice(), &bytes].concat())
}

/// Opens what [`seal`] made; `None` if another secret did, or it was changed on the way.
#[must_use]
pub fn open(token: &Token, sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let mut body = body.to_vec();
    let length = cipher(token).open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(KIND), &mut body).ok()?.len();
    body.truncate(length);
    Some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> Token {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), text).expect("written");
        Token::read(file.path()).expect("long enough")
    }

    #[test]
    fn only_the_same_secret_opens_it() {
        let (ours, theirs) = (token("0123456789abcdef"), token("0123456789abcdeX"));
        let sealed = seal(&ours, b"keys".to_vec()).expect("sealed");
        assert_eq!(open(&ours, &sealed).as_deref(), Some(&b"keys"[..]));
        assert_eq!(open(&theirs, &sealed), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(open(&ours, &changed), None, "byte {at}");
        }
    }
}
