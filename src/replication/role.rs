//! What a data folder remembers of its part: `DATA/replication.json`, written whole and durable before anything follows from it.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::engine::Ack;

const NAME: &str = "replication.json";

/// What a node does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    #[default]
    Leader,
    Follower,
}

/// What the leader last said about who has what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    pub ack: Ack,
    /// The follower whose acknowledgement it waits for.
    pub follower: Option<String>,
}

/// The folder's part; it wins over the configuration, which only says how a folder begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub role: Role,
    /// A leader opens this epoch before it serves, if its history has not reached it.
    pub epoch: u64,
    /// A follower's last leader.
    pub leader: Option<String>,
    pub promise: Option<Promise>,
}

impl Part {
    /// A folder's first part.
    #[must_use]
    pub fn first(role: Role, leader: Option<String>) -> Self {
        Self { role, epoch: 0, leader, promise: None }
    }

    /// What the folder remembers; `None` if it has not taken part before.
    ///
    /// # Errors
    /// The file system's, or [`io::ErrorKind::InvalidData`].
    pub fn read(data: &Path) -> io::Result<Option<Self>> {
        match fs::read(data.join(NAME)) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Remembers it; durable on return.
    ///
    /// # Errors
    /// The file system's.
    pub fn write(&self, data: &Path) -> io::Result<()> {
        let draft = data.join("replication.json.new");
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        file.write_all(crate::engine::json_text(self).as_bytes())?;
        file.sync_all()?;
        fs::rename(&draft, data.join(NAME))?;
        fs::File::open(data)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_remembers_its_part() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(Part::read(folder.path()).expect("read"), None);
        let promise = Some(Promise { ack: Ack::FollowerOrDegrade, follower: Some("b".to_owned()) });
        let part = Part { role: Role::Follower, epoch: 3, leader: Some("http://a".to_owned()), promise };
        part.write(folder.path()).expect("written");
        assert_eq!(Part::read(folder.path()).expect("read"), Some(part));
        fs::write(folder.path().join(NAME), "{").expect("damaged");
        assert!(Part::read(folder.path()).is_err(), "damage is not a fresh start");
    }
}
