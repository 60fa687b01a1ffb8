//! Signing keys: `DATA/keys/token-<made at, Unix ms>.p8` (PKCS#8, P-256). The newest signs, all verify and are published, so that a rotation ends no
//! sign-in: make a new one, restart, and remove the old file once its last token is over (15 minutes).

use std::io;
use std::path::Path;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};

use crate::people::keyring::folder;

/// One signing key, its public half, and its id (the JWK's RFC 7638 thumbprint).
pub struct SigningKey {
    pub kid: String,
    pub signs: EncodingKey,
    pub verifies: DecodingKey,
    jwk: Jwk,
}

/// All keys, the newest last. Never empty.
pub struct SigningKeys(Vec<SigningKey>);

fn broken(error: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a signing key is not a P-256 key in PKCS#8: {error}"))
}

fn new_pkcs8() -> io::Result<Vec<u8>> {
    let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
    Ok(document.map_err(|_| io::Error::other("the machine made no signing key"))?.as_ref().to_vec())
}

fn load(pkcs8: &[u8]) -> io::Result<SigningKey> {
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map_err(broken)?;
    let signs = EncodingKey::from_ec_der(pkcs8);
    let mut jwk = Jwk::from_encoding_key(&signs, Algorithm::ES256).map_err(broken)?;
    let kid = jwk.thumbprint(ThumbprintHash::SHA256).map_err(broken)?;
    jwk.common.key_id = Some(kid.clone());
    jwk.common.public_key_use = Some(PublicKeyUse::Signature);
    let verifies = DecodingKey::from_jwk(&jwk).map_err(broken)?;
    Ok(SigningKey { kid, signs, verifies, jwk })
}

impl SigningKeys {
    /// Loads the keys of a folder; makes one if there is none.
    ///
    /// # Errors
    /// The file system's, or damage.
    pub fn open(keys: &Path) -> io::Result<Self> {
        let mut names = key_files(keys)?;
        if names.is_empty() {
            rotate(keys)?;
            names = key_files(keys)?;
        }
        let load = |(_, name): &(u64, String)| load(&folder::read(keys, name)?.unwrap_or_default());
        names.iter().map(load).collect::<io::Result<Vec<_>>>().map(Self)
    }

    /// One key that nobody keeps.
    ///
    /// # Errors
    /// The machine made none.
    pub fn in_memory() -> io::Result<Self> {
        Ok(Self(vec![load(&new_pkcs8()?)?]))
    }

    /// The one that signs.
    #[must_use]
    pub fn newest(&self) -> &SigningKey {
        self.0.last().expect("both constructors put a key in")
    }

    /// The one with this id.
    #[must_use]
    pub fn by_id(&self, kid: &str) -> Option<&SigningKey> {
        self.0.iter().find(|key| key.kid == kid)
    }

    /// The public halves.
    #[must_use]
    pub fn published(&self) -> JwkSet {
        JwkSet { keys: self.0.iter().map(|key| key.jwk.clone()).collect() }
    }
}

/// Names with their times, oldest first.
fn key_files(keys: &Path) -> io::Result<Vec<(u64, String)>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(keys)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(made_at) = name.strip_prefix("token-").and_then(|rest| rest.strip_suffix(".p8")).and_then(|ms| ms.parse().ok()) {
            names.push((made_at, name));
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Makes a new key; it signs from the next start on.
///
/// # Errors
/// The file system's.
pub fn rotate(keys: &Path) -> io::Result<()> {
    // Not a fact of the domain: file names only need to rise, also when the clock steps back.
    let now_ms =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0));
    let newest = key_files(keys)?.last().map_or(0, |(made_at, _)| made_at + 1);
    folder::write_new(keys, &format!("token-{:013}.p8", now_ms.max(newest)), &new_pkcs8()?)
}
