//! People: who somebody is, how they prove it, what they may do, and what is kept of them.
//!
//! | folder | holds |
//! | --- | --- |
//! | [`keyring`] | a key per person; personal fields are [`keyring::Sealed`] with it, erasing the key erases the person |
//! | [`users`] | the person's row: contacts (sealed), roles, memberships |
//! | [`identity`] | one-time codes, passwords, sessions and their refresh tokens, access tokens, the published keys |
//! | [`erasure`] | somebody wants to be forgotten, and is |
//! | [`policy`] | may they? Cedar policies for every action of the product |
//!
//! Secrets live in `DATA/keys/`, outside the log: `people.keys`, `lookup.key`, `token-….p8`.

pub mod admin;
pub mod erasure;
pub mod http;
pub mod identity;
pub mod keyring;
pub mod policy;
pub mod users;

use std::io;
use std::path::Path;
use std::sync::Arc;

use identity::hashing::Hashing;
use identity::tokens::Tokens;
use keyring::Keyring;
use policy::Policies;

/// What the people's handlers and the composition root need. A clone is four pointers.
#[derive(Clone)]
pub struct People {
    pub keyring: Arc<Keyring>,
    pub tokens: Arc<Tokens>,
    pub hashing: Arc<Hashing>,
    /// Hand this to the engine as its `Authorize`.
    pub policies: Arc<Policies>,
    /// Whether something sends text messages. Without it one-time codes are refused outside a sandbox: nobody would get them.
    pub sends_sms: bool,
}

/// Why people's part does not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the keys in {folder} could not be opened: {source}")]
    Keys { folder: String, source: io::Error },
    #[error("the policies are not valid: {0}")]
    Policies(String),
}

impl People {
    /// Opens the keys in `data_dir/keys` (made at the first start, 0700 and 0600) and the policies that come with the binary.
    ///
    /// # Errors
    /// [`OpenError`], in a sentence for an operator.
    pub fn open(data_dir: &Path) -> Result<Self, OpenError> {
        let folder = data_dir.join("keys");
        let keys = |source: io::Error| OpenError::Keys { folder: folder.display().to_string(), source };
        keyring::folder::make(&folder).map_err(keys)?;
        Ok(Self {
            keyring: Keyring::open(&folder).map_err(keys)?,
            tokens: Arc::new(Tokens::open(&folder).map_err(keys)?),
            hashing: Arc::new(Hashing::new()),
            policies: Arc::new(Policies::embedded().map_err(|error| OpenError::Policies(error.to_string()))?),
            sends_sms: false,
        })
    }

    /// Without files: keys that follow from `seed`, for the simulator and for tests of other modules. Access tokens are signed with a fresh key.
    ///
    /// # Errors
    /// [`OpenError`] if the policies are wrong or the machine makes no signing key.
    pub fn in_memory(seed: [u8; 32]) -> Result<Self, OpenError> {
        let keys = |source: io::Error| OpenError::Keys { folder: "memory".to_owned(), source };
        Ok(Self {
            keyring: Keyring::in_memory(seed),
            tokens: Arc::new(Tokens::in_memory().map_err(keys)?),
            hashing: Arc::new(Hashing::new()),
            policies: Arc::new(Policies::embedded().map_err(|error| OpenError::Policies(error.to_string()))?),
            sends_sms: false,
        })
    }
}
