//! The provider's file: a line for every change, made durable before the change is answered.
//!
//! A line is 16 hexadecimal digits of the BLAKE3 hash of the rest, a space, JSON. A torn last line is cut off when the file is opened, and the
//! file is then written anew with what still counts.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::charge::{Charge, Hook};

/// One change.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Entry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charge: Option<Charge>,
    /// The answer that a key has got.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<Hook>,
    /// Webhooks that need not be sent any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub done: Vec<String>,
}

/// An answered request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answer {
    pub key: String,
    pub status: u16,
    pub body: String,
}

/// The open file.
pub struct Journal {
    file: File,
}

impl Journal {
    /// Reads what is there (nothing, if there is no file).
    ///
    /// # Errors
    /// The file system's.
    pub fn read(dir: &Path) -> io::Result<Vec<Entry>> {
        let text = match fs::read(path(dir)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        // Whatever follows a line that is not whole was never answered for.
        Ok(text.split(|byte| *byte == b'\n').map_while(decode).collect())
    }

    /// Writes the file anew with these entries and opens it for more.
    ///
    /// # Errors
    /// The file system's.
    pub fn rewrite(dir: &Path, entries: &[Entry]) -> io::Result<Self> {
        let (path, fresh) = (path(dir), dir.join("journal.new"));
        let mut file = File::create(&fresh)?;
        file.write_all(&entries.iter().flat_map(encode).collect::<Vec<u8>>())?;
        file.sync_all()?;
        fs::rename(&fresh, &path)?;
        File::open(dir)?.sync_all()?;
        Ok(Self { file: OpenOptions::new().append(true).open(&path)? })
    }

    /// Appends a change. It is durable on return, or (not `durable`) may be forgotten by a crash.
    ///
    /// # Errors
    /// The file system's.
    pub fn append(&mut self, entry: &Entry, durable: bool) -> io::Result<()> {
        self.file.write_all(&encode(entry))?;
        if durable { self.file.sync_data() } else { Ok(()) }
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join("journal")
}

fn checksum(json: &[u8]) -> String {
    blake3::hash(json).to_hex()[..16].to_owned()
}

fn encode(entry: &Entry) -> Vec<u8> {
    let json = serde_json::to_vec(entry).expect("entries are plain data with string keys");
    [checksum(&json).as_bytes(), b" ", &json, b"\n"].concat()
}

fn decode(line: &[u8]) -> Option<Entry> {
    let (sum, json) = (line.get(..16)?, line.get(17..)?);
    if sum == checksum(json).as_bytes() { serde_json::from_slice(json).ok() } else { None }
}
