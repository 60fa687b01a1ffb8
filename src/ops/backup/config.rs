//! `[backup]` of the configuration file.

use std::path::PathBuf;

use serde::Deserialize;

use super::time::Time;

/// Where copies go, how often, how long they are kept. Without the section: a snapshot into `DATA/snapshots` every six hours.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BackupConfig {
    /// A folder, or `s3://bucket/prefix`. Without it copies stay in `DATA/snapshots`, on the same disk.
    pub to: Option<String>,
    /// A snapshot is taken this often; 0: only when asked.
    pub every_minutes: u32,
    /// So many of the newest snapshots stay in `DATA/snapshots`; at least 1.
    pub keep_local: u32,
    /// What stays in `to`.
    pub keep: Keep,
    /// Whether the log is sent to `to` as it is written.
    pub archive: bool,
    /// Public age keys (`age1…`): what leaves the machine is encrypted to all of them.
    pub recipients: Vec<String>,
    /// An age identity file; only a drill over encrypted copies needs it here.
    pub identity_file: Option<PathBuf>,
    /// Uploads take no more than this on average; 0: no limit.
    pub bytes_per_s: u64,
    /// A restore drill (restore the newest copy to scratch, check everything, remove it) is run this often; 0: never.
    pub drill_every_hours: u32,
    pub s3: S3,
    /// Whose time the schedule and the throttle go by; a test's own.
    #[serde(skip)]
    pub time: Time,
}

impl Default for BackupConfig {
    fn default() -> Self {
        Self {
            to: None,
            every_minutes: 360,
            keep_local: 2,
            keep: Keep::default(),
            archive: true,
            recipients: Vec::new(),
            identity_file: None,
            bytes_per_s: 0,
            drill_every_hours: 168,
            s3: S3::default(),
            time: Time::Machine,
        }
    }
}

/// A snapshot stays if any of these wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keep {
    /// The newest ones.
    pub last: u32,
    /// The newest of each of so many days that have one (UTC).
    pub daily: u32,
    /// The newest of each of so many weeks that have one (from Monday, UTC).
    pub weekly: u32,
}

impl Default for Keep {
    fn default() -> Self {
        Self { last: 3, daily: 7, weekly: 4 }
    }
}

/// An S3-compatible server. What is absent comes from the environment's usual `AWS_…` variables.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct S3 {
    /// Such as `https://s3.example.org`; `http://` is taken as it is said.
    pub endpoint: Option<String>,
    pub region: Option<String>,
    /// A file with `aws_access_key_id = …` and `aws_secret_access_key = …` (and, if need be, `aws_session_token = …`), as the AWS tools write it.
    pub credentials_file: Option<PathBuf>,
}
