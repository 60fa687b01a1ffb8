//! Encryption with age: to public keys on the way out, with an identity file on the way back. Source: <https://age-encryption.org/v1>.

use std::io::{Read, Write};
use std::path::Path;

use age::{Decryptor, Encryptor, Identity, IdentityFile, Recipient};

/// Encrypts to every recipient.
pub struct Seal(Vec<age::x25519::Recipient>);

impl Seal {
    /// `None` if there is nobody to encrypt to.
    ///
    /// # Errors
    /// Which recipient is none.
    pub fn new(recipients: &[String]) -> Result<Option<Self>, String> {
        let parse = |text: &String| text.trim().parse().map_err(|why| format!("{text} is not a public age key (age1…): {why}"));
        let recipients: Vec<_> = recipients.iter().map(parse).collect::<Result<_, String>>()?;
        Ok((!recipients.is_empty()).then_some(Self(recipients)))
    }

    /// Encrypts.
    ///
    /// # Errors
    /// age's.
    pub fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, String> {
        let recipients = self.0.iter().map(|recipient| recipient as &dyn Recipient);
        let encryptor = Encryptor::with_recipients(recipients).map_err(|error| error.to_string())?;
        let mut sealed = Vec::with_capacity(plain.len() + 1024);
        let written = encryptor.wrap_output(&mut sealed).and_then(|mut writer| {
            writer.write_all(plain)?;
            writer.finish().map(drop)
        });
        written.map_err(|error| error.to_string())?;
        Ok(sealed)
    }
}

/// Decrypts with the keys of an identity file.
pub struct Unseal(Vec<Box<dyn Identity + Send + Sync>>);

impl Unseal {
    /// Reads `AGE-SECRET-KEY-1…` lines, as `age-keygen` writes them.
    ///
    /// # Errors
    /// Why the file gives no key.
    pub fn read(file: &Path) -> Result<Self, String> {
        let bad = |why: String| format!("{} is not an age identity file: {why}", file.display());
        let text = std::fs::read(file).map_err(|error| bad(error.to_string()))?;
        let identities = IdentityFile::from_buffer(&text[..]).map_err(|error| bad(error.to_string()))?;
        identities.into_identities().map(Self).map_err(|error| bad(error.to_string()))
    }

    /// Decrypts.
    ///
    /// # Errors
    /// age's: the wrong key, or damage.
    pub fn open(&self, sealed: &[u8]) -> Result<Vec<u8>, String> {
        let identities = self.0.iter().map(|identity| identity.as_ref() as &dyn Identity);
        let decryptor = Decryptor::new_buffered(sealed).map_err(|error| error.to_string())?;
        let mut plain = Vec::with_capacity(sealed.len());
        decryptor.decrypt(identities).map_err(|error| error.to_string())?.read_to_end(&mut plain).map_err(|error| error.to_string())?;
        Ok(plain)
    }
}
