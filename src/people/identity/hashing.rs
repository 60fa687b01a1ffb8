//! Password hashing: argon2id, outside the writer, a few at a time.

use std::sync::OnceLock;

use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

use crate::engine::Fault;

/// Source: OWASP Password Storage Cheat Sheet, argon2id: 19 MiB, 2 passes, 1 lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Hashings that run at the same time: each takes 19 MiB and a core for some 20 ms.
const AT_ONCE: usize = 2;
/// Hashings that may wait; one more is refused with 503.
const WAITING_MAX: usize = 64;

/// Runs argon2id on blocking threads.
pub struct Hashing {
    running: Semaphore,
    places: Semaphore,
    /// A hash of nothing that anybody knows: a sign-in for an unknown address costs the same.
    decoy: OnceLock<String>,
}

impl Default for Hashing {
    fn default() -> Self {
        Self::new()
    }
}

impl Hashing {
    #[must_use]
    pub fn new() -> Self {
        Self { running: Semaphore::new(AT_ONCE), places: Semaphore::new(AT_ONCE + WAITING_MAX), decoy: OnceLock::new() }
    }

    /// A PHC string with a fresh salt.
    ///
    /// # Errors
    /// [`Fault::Overloaded`] if too many wait.
    pub async fn hash(&self, password: String) -> Result<String, Fault> {
        self.run(move || hash(&password)).await?
    }

    /// Whether the password is the one of `phc`; without one the same work is done and the answer is no.
    ///
    /// # Errors
    /// [`Fault::Overloaded`] if too many wait.
    pub async fn verify(&self, password: String, phc: Option<String>) -> Result<bool, Fault> {
        let is_known = phc.is_some();
        let phc = match phc {
            Some(phc) => phc,
            None => self.decoy().await?,
        };
        let fits = self
            .run(move || argon2().is_ok_and(|argon2| PasswordVerifier::<str>::verify_password(&argon2, password.as_bytes(), &phc).is_ok()))
            .await?;
        Ok(fits && is_known)
    }

    async fn decoy(&self) -> Result<String, Fault> {
        if let Some(decoy) = self.decoy.get() {
            return Ok(decoy.clone());
        }
        let secret = crate::people::keyring::slots::random::<32>().map_err(|error| Fault::new(error.to_string()))?;
        let made = self.hash(crate::people::keyring::hex(&secret)).await?;
        Ok(self.decoy.get_or_init(|| made).clone())
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
        let _place = self.places.try_acquire().map_err(|_| Fault::Overloaded { retry_after_s: 2 })?;
        let _turn = self.running.acquire().await.map_err(|_| Fault::Stopping)?;
        tokio::task::spawn_blocking(work).await.map_err(|error| Fault::new(format!("password hashing: {error}")))
    }
}

fn argon2() -> Result<Argon2<'static>, Fault> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(|error| Fault::new(format!("argon2: {error}")))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Hashes here and now: for the command line, which has no other work to hold up.
///
/// # Errors
/// [`Fault`] if the machine gives no salt.
pub fn hash(password: &str) -> Result<String, Fault> {
    Ok(argon2()?.hash_password(password.as_bytes()).map_err(|error| Fault::new(format!("argon2: {error}")))?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn right_wrong_and_unknown() {
        let hashing = Hashing::new();
        let phc = hashing.hash("correct horse".to_owned()).await.expect("hashed");
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        assert_ne!(phc, hash("correct horse").expect("hashed"), "every hash has a salt of its own");
        let cases = [("correct horse", Some(phc.clone()), true), ("wrong horse", Some(phc), false), ("correct horse", None, false)];
        for (password, phc, expected) in cases {
            assert_eq!(hashing.verify(password.to_owned(), phc).await.expect("verified"), expected, "{password}");
        }
    }

    #[tokio::test]
    async fn too_many_at_once_are_refused() {
        let hashing = Hashing::new();
        let _all = hashing.places.acquire_many((AT_ONCE + WAITING_MAX) as u32).await.expect("all places");
        assert_eq!(hashing.hash("x".to_owned()).await, Err(Fault::Overloaded { retry_after_s: 2 }));
    }
}
