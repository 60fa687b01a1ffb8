//! Checkpoints as signed notes: a tree's size and root in words, and who says so.
//!
//! Sources: C2SP `tlog-checkpoint`, C2SP `signed-note` (Ed25519: algorithm 1).

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use storage::ledger::tree::NodeHash;

/// The algorithm's number in key ids and keys.
const ED25519_NUMBER: u8 = 1;
/// Begins a line that signs.
const SIGNATURE: &str = "\u{2014} ";

/// What a note says: this log has this many leaves and this root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub origin: String,
    pub size: u64,
    pub root: NodeHash,
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, BASE64.encode(self.root))
    }
}

impl FromStr for Checkpoint {
    type Err = NoteError;

    /// Lines after the third are extensions: they are signed, and nothing to us.
    fn from_str(text: &str) -> Result<Self, NoteError> {
        let mut lines = text.lines();
        let mut line = || lines.next().ok_or(NoteError::Malformed);
        let (origin, size, root) = (line()?, line()?, line()?);
        let is_canonical = |size: &u64| size.to_string() == lines_size(text);
        let size = size.parse().ok().filter(is_canonical).ok_or(NoteError::Malformed)?;
        let root = BASE64.decode(root).ok().and_then(|root| root.try_into().ok()).ok_or(NoteError::Malformed)?;
        if origin.is_empty() { Err(NoteError::Malformed) } else { Ok(Self { origin: origin.to_owned(), size, root }) }
    }
}

fn lines_size(text: &str) -> &str {
    text.lines().nth(1).unwrap_or_default()
}

/// Why a note proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    #[error("it is not a signed checkpoint")]
    Malformed,
    #[error("it is not signed by {0}")]
    NotSignedBy(String),
    #[error("its signature by {0} is wrong")]
    Forged(String),
    #[error("not a verifier key: NAME+HASH+KEY, as `/ledger/key` serves it")]
    BadKey,
    #[error("{0:?} cannot be the log's name: it needs letters and has neither spaces nor plus signs")]
    BadName(String),
}

/// A key that checks notes; as text it is what verifiers are given.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    pub name: String,
    public: [u8; 32],
}

fn key_id(name: &str, public: &[u8]) -> [u8; 4] {
    let bytes = [name.as_bytes(), b"\n", &[ED25519_NUMBER], public].concat();
    let hash = digest(&SHA256, &bytes);
    hash.as_ref().first_chunk().copied().expect("SHA-256 has 32 bytes, of which 4 are the first")
}

fn hex(id: [u8; 4]) -> String {
    format!("{:08x}", u32::from_be_bytes(id))
}

fn checked_name(name: &str) -> Result<String, NoteError> {
    let is_good = !name.is_empty() && !name.chars().any(|letter| letter.is_whitespace() || letter.is_control() || letter == '+');
    if is_good { Ok(name.to_owned()) } else { Err(NoteError::BadName(name.to_owned())) }
}

impl VerifierKey {
    /// A key under a name.
    ///
    /// # Errors
    /// [`NoteError::BadName`].
    pub fn new(name: &str, public: [u8; 32]) -> Result<Self, NoteError> {
        Ok(Self { name: checked_name(name)?, public })
    }

    /// The same key under another name: a log that was renamed signs with the same key.
    ///
    /// # Errors
    /// [`NoteError::BadName`].
    pub fn renamed(&self, name: &str) -> Result<Self, NoteError> {
        Self::new(name, self.public)
    }

    /// What a note says, if this key signed it. Other signatures (witnesses') may stand beside.
    ///
    /// # Errors
    /// [`NoteError`].
    pub fn open(&self, note: &str) -> Result<Checkpoint, NoteError> {
        let end = note.rfind("\n\n").ok_or(NoteError::Malformed)? + 1;
        let (text, signatures) = (&note[..end], &note[end + 1..]);
        if !signatures.ends_with('\n') {
            return Err(NoteError::Malformed);
        }
        let mut is_signed = false;
        for line in signatures.lines() {
            let (name, signature) = line.strip_prefix(SIGNATURE).and_then(|line| line.split_once(' ')).ok_or(NoteError::Malformed)?;
            let signature = BASE64.decode(signature).map_err(|_| NoteError::Malformed)?;
            let (id, signature) = signature.split_first_chunk::<4>().ok_or(NoteError::Malformed)?;
            if name == self.name && *id == key_id(&self.name, &self.public) {
                let key = UnparsedPublicKey::new(&ED25519, self.public);
                key.verify(text.as_bytes(), signature).map_err(|_| NoteError::Forged(self.name.clone()))?;
                is_signed = true;
            }
        }
        if is_signed { text.parse() } else { Err(NoteError::NotSignedBy(self.name.clone())) }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[ED25519_NUMBER], &self.public[..]].concat();
        write!(f, "{}+{}+{}", self.name, hex(key_id(&self.name, &self.public)), BASE64.encode(key))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for VerifierKey {
    type Err = NoteError;

    fn from_str(text: &str) -> Result<Self, NoteError> {
        // Base 64 has plus signs of its own: name and hash come first.
        let mut parts = text.trim().splitn(3, '+');
        let mut part = || parts.next().ok_or(NoteError::BadKey);
        let (name, id, key) = (part()?, part()?, part()?);
        let key = BASE64.decode(key).map_err(|_| NoteError::BadKey)?;
        let (&[ED25519_NUMBER], public) = key.split_first_chunk::<1>().ok_or(NoteError::BadKey)? else { return Err(NoteError::BadKey) };
        let key = Self::new(name, public.try_into().map_err(|_| NoteError::BadKey)?)?;
        if hex(key_id(name, &key.public)) == id { Ok(key) } else { Err(NoteError::BadKey) }
    }
}

/// A key that signs checkpoints.
pub struct Signer {
    key: VerifierKey,
    pair: Ed25519KeyPair,
}

impl Signer {
    /// From a seed of 32 random bytes. Without a name the log is called after its key.
    ///
    /// # Errors
    /// [`NoteError::BadName`].
    pub fn new(name: Option<&str>, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("any 32 bytes are an Ed25519 seed (RFC 8032, section 5.1.5)");
        let public: [u8; 32] = pair.public_key().as_ref().try_into().expect("an Ed25519 public key has 32 bytes");
        let name = name.map_or_else(|| format!("medina/ledger/{:016x}", own_number(&public)), ToOwned::to_owned);
        Ok(Self { key: VerifierKey::new(&name, public)?, pair })
    }

    /// The key that checks what this one signs.
    #[must_use]
    pub fn verifier(&self) -> &VerifierKey {
        &self.key
    }

    /// A checkpoint of this log, signed.
    #[must_use]
    pub fn sign(&self, size: u64, root: NodeHash) -> String {
        let text = Checkpoint { origin: self.key.name.clone(), size, root }.to_string();
        let signature = self.pair.sign(text.as_bytes());
        let signed = [&key_id(&self.key.name, &self.key.public), signature.as_ref()].concat();
        format!("{text}\n{SIGNATURE}{} {}\n", self.key.name, BASE64.encode(signed))
    }
}

/// Stable as long as the key is, and another's is another.
fn own_number(public: &[u8; 32]) -> u64 {
    u64::from_be_bytes(blake3::hash(public).as_bytes()[..8].try_into().expect("8 of 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key and the note of the signed-note package's own documentation.
    ///
    /// Source: golang.org/x/mod/sumdb/note, `ExampleOpen`.
    #[test]
    fn notes_of_others_open() {
        let key: VerifierKey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW".parse().expect("a key");
        assert_eq!(key.to_string(), "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW");
        let note = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\u{2014} PeterNeumann \
                    x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
        // The signature is right; it is no checkpoint.
        assert_eq!(key.open(note), Err(NoteError::Malformed));
        let forged = note.replace("answer", "reply");
        assert_eq!(key.open(&forged), Err(NoteError::Forged("PeterNeumann".to_owned())));
    }

    #[test]
    fn only_what_was_signed_opens() {
        let signer = Signer::new(Some("city.example/ledger"), &[7; 32]).expect("a good name");
        let note = signer.sign(42, [5; 32]);
        let key: VerifierKey = signer.verifier().to_string().parse().expect("our own key");
        let said = Checkpoint { origin: "city.example/ledger".to_owned(), size: 42, root: [5; 32] };
        assert_eq!(key.open(&note), Ok(said.clone()));
        let witness = Signer::new(Some("witness.example"), &[8; 32]).expect("a good name");
        let witnessed = format!("{note}{}", witness.sign(42, [5; 32]).rsplit("\n\n").next().expect("signature lines"));
        assert_eq!(key.open(&witnessed), Ok(said));
        assert!(matches!(witness.verifier().open(&note), Err(NoteError::NotSignedBy(_))));
        for (from, to) in [("42", "43"), ("BQUF", "BQUG"), ("city.example/ledger\n42", "town.example/ledger\n42")] {
            assert!(key.open(&note.replacen(from, to, 1)).is_err(), "{from}");
        }
        for bad in ["", "a b", "a+b", "a\n"] {
            assert!(Signer::new(Some(bad), &[7; 32]).is_err(), "{bad:?}");
        }
        assert!("city.example/ledger+00000000+AQUF".parse::<VerifierKey>().is_err());
    }
}
