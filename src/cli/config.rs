//! The configuration file, and `medina config check`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use serde::Deserialize;

use crate::app::Sizes;
use crate::city::dispatch::WatchConfig;
use crate::city::dispatch::policy::{Choice, Leanings};
use crate::city::history::HistoryConfig;
use crate::city::travel::{MAP_FILE, Provider};
use crate::engine::{Ack, AckOptions};
use crate::ops::backup::BackupConfig;
use crate::replication::{ReplicationOptions, Role};

/// Everything that can be configured; a misspelt key is an error.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub data: Option<PathBuf>,
    pub listen: Option<SocketAddr>,
    pub sandbox: bool,
    pub tls: Option<Tls>,
    /// Whether `/metrics` answers others than loopback.
    pub metrics_public: bool,
    /// How couriers are chosen.
    pub policy: Choice,
    pub dispatch: Leanings,
    pub backup: BackupConfig,
    pub history: HistoryConfig,
    pub storage: Sizes,
    pub ledger: Option<Ledger>,
    pub replication: Option<Replication>,
    pub travel: Travel,
    pub couriers: WatchConfig,
}

/// The published ledger.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// The log's name in its checkpoints, for ever: a host name and a path, without scheme (`city.example/ledger`). Made from the key if absent.
    pub origin: Option<String>,
}

/// This node's part in a replicated city.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replication {
    /// The secret that all nodes share.
    pub token_file: PathBuf,
    /// `leader` (default) or `follower`: how a new folder begins. Afterwards the folder remembers its role.
    #[serde(default)]
    pub role: Role,
    /// This node's name; the machine's if it is not given.
    pub node: Option<String>,
    /// How others reach this node.
    pub url: Option<String>,
    /// Where a follower begins to look.
    pub leader: Option<String>,
    /// The other nodes.
    #[serde(default)]
    pub peers: Vec<String>,
    /// `local` (default), `follower` or `follower-or-degrade`.
    #[serde(default)]
    pub ack: Ack,
    #[serde(default = "ack_timeout_ms")]
    pub ack_timeout_ms: u32,
    /// The name of the follower whose acknowledgement counts.
    pub follower: Option<String>,
    /// A copy of the leader's keys, for a follower's new folder.
    pub keys: Option<PathBuf>,
    /// Who signs the nodes' certificates (PEM); the machine's roots if absent.
    pub ca: Option<PathBuf>,
    /// A follower that has said nothing for so long comes onto the operators' list.
    #[serde(default = "follower_silent_s")]
    pub follower_silent_s: u32,
}

fn ack_timeout_ms() -> u32 {
    2_000
}

fn follower_silent_s() -> u32 {
    10
}

impl Replication {
    /// As the appliance takes it.
    #[must_use]
    pub fn options(self) -> ReplicationOptions {
        ReplicationOptions {
            node: self.node.unwrap_or_else(super::follow::own_name),
            token_file: self.token_file,
            role: self.role,
            leader: self.leader,
            peers: self.peers,
            acks: AckOptions { ack: self.ack, timeout: Duration::from_millis(self.ack_timeout_ms.into()) },
            follower: self.follower,
            url: self.url,
            keys: self.keys,
            ca: self.ca,
            silent_after: Duration::from_secs(self.follower_silent_s.into()),
        }
    }

    fn check(&self) -> Result<(), String> {
        if self.ack != Ack::Local && self.follower.is_none() {
            return Err("[replication] ack waits for a follower: say with `follower = \"NAME\"` for which one".to_owned());
        }
        if self.ack_timeout_ms == 0 {
            return Err("[replication] ack_timeout_ms is at least 1".to_owned());
        }
        if self.follower_silent_s == 0 {
            return Err("[replication] follower_silent_s is at least 1: a follower speaks each half second".to_owned());
        }
        Ok(())
    }
}

/// `[travel]`: who knows how long couriers need.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Travel {
    pub provider: TravelProvider,
    /// The routing server, such as `http://127.0.0.1:5000`; only for `osrm`.
    pub url: Option<String>,
    /// How long the server may take; 1 to 10000, 300 if absent.
    pub timeout_ms: Option<u64>,
}

/// See [`crate::city::travel`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TravelProvider {
    #[default]
    GreatCircle,
    Map,
    Osrm,
}

const TIMEOUT_MS: u64 = 300;

impl Travel {
    /// Who answers, with the map in the data folder.
    ///
    /// # Errors
    /// What does not go together, in a sentence.
    pub fn provider(&self, data: &Path) -> Result<Provider, String> {
        let timeout_ms = self.timeout_ms.unwrap_or(TIMEOUT_MS);
        if !(1..=10_000).contains(&timeout_ms) {
            return Err(format!("[travel] timeout_ms is {timeout_ms}: 1 to 10000"));
        }
        match (self.provider, &self.url) {
            (TravelProvider::GreatCircle, None) => Ok(Provider::GreatCircle),
            (TravelProvider::Map, None) => Ok(Provider::Map(data.join(MAP_FILE))),
            (TravelProvider::Osrm, Some(url)) => Ok(Provider::Osrm { url: url.clone(), timeout: Duration::from_millis(timeout_ms) }),
            (TravelProvider::Osrm, None) => Err("[travel] provider = \"osrm\" needs url".to_owned()),
            (TravelProvider::GreatCircle | TravelProvider::Map, Some(_)) => Err("[travel] url is only for provider = \"osrm\"".to_owned()),
        }
    }
}

/// PEM files.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{}: {why}", path.display())]
    Unsound { path: PathBuf, why: String },
    #[error("{}: {source}", path.display())]
    Toml { path: PathBuf, source: Box<toml::de::Error> },
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ConfigError`], with line and column.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Io { path: path.to_owned(), source })?;
        let config: Self = toml::from_str(&text).map_err(|source| ConfigError::Toml { path: path.to_owned(), source: Box::new(source) })?;
        let checked = config
            .replication
            .as_ref()
            .map_or(Ok(()), Replication::check)
            .and_then(|()| config.storage.check())
            .and_then(|()| config.dispatch.check());
        checked.map(|()| config).map_err(|why| ConfigError::Unsound { path: path.to_owned(), why })
    }
}

/// `medina config …`
#[derive(Clone, Debug, clap::Subcommand)]
pub enum ConfigVerb {
    /// Says whether a file is valid.
    Check { file: PathBuf },
}

/// Runs the verb.
///
/// # Errors
/// What is wrong with the file.
pub fn run(verb: &ConfigVerb) -> Result<ExitCode, String> {
    let ConfigVerb::Check { file } = verb;
    let config = Config::read(file).map_err(|error| error.to_string())?;
    config.travel.provider(Path::new(""))?;
    println!("{} is valid", file.display());
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_key_is_said_with_its_line() {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), "sandbox = true\nlisten_ = \"127.0.0.1:1\"\n").expect("written");
        let why = Config::read(file.path()).expect_err("it is misspelt").to_string();
        assert!(why.contains("line 2") && why.contains("listen_"), "{why}");
        let section = "[replication]\ntoken_file = \"t\"\nack = \"follower\"\n";
        std::fs::write(file.path(), section).expect("written");
        assert!(Config::read(file.path()).expect_err("which follower?").to_string().contains("follower = "));
        std::fs::write(file.path(), format!("{section}follower = \"b\"\n")).expect("written");
        Config::read(file.path()).expect("valid");
        std::fs::write(file.path(), "policy = \"nearest\"\n").expect("written");
        let why = Config::read(file.path()).expect_err("there is no such policy").to_string();
        assert!(why.contains("horizon"), "{why}");
        std::fs::write(file.path(), "listen = \"127.0.0.1:1\"\npolicy = \"horizon\"\n").expect("written");
        assert_eq!(Config::read(file.path()).expect("valid").policy, Choice::Horizon);
        std::fs::write(file.path(), "[dispatch]\nfair_pay_seconds = 601\n").expect("written");
        let why = Config::read(file.path()).expect_err("nobody waits so long for fairness").to_string();
        assert!(why.contains("fair_pay_seconds"), "{why}");
        std::fs::write(file.path(), "[dispatch]\nfair_pay_seconds = 0\n").expect("written");
        assert_eq!(Config::read(file.path()).expect("valid").dispatch, Leanings { fair_pay_seconds: 0 });
        std::fs::write(file.path(), "[travel]\nprovider = \"osrm\"\n").expect("written");
        let travel = Config::read(file.path()).expect("valid TOML").travel;
        assert!(travel.provider(Path::new("d")).is_err_and(|why| why.contains("url")));
        let travel = Travel { url: Some("http://h:1".to_owned()), ..travel };
        let timeout = Duration::from_millis(TIMEOUT_MS);
        assert_eq!(travel.provider(Path::new("d")), Ok(Provider::Osrm { url: "http://h:1".to_owned(), timeout }));
        let travel = Travel { provider: TravelProvider::Map, ..Travel::default() };
        assert_eq!(travel.provider(Path::new("d")), Ok(Provider::Map(Path::new("d").join(MAP_FILE))));
        std::fs::write(file.path(), "listen = \"127.0.0.1:1\"\n").expect("written");
        assert_eq!(Config::read(file.path()).expect("valid").listen, "127.0.0.1:1".parse().ok());
    }

    /// Everything in the file that is shipped is a comment or valid, and what stands behind a `# ` is valid once it is no comment.
    #[test]
    fn the_shipped_file_shows_every_section_as_it_is_read() {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/medina.toml");
        Config::read(&shipped).expect("valid as shipped");
        let text = std::fs::read_to_string(&shipped).expect("it is there");
        let is_setting = |line: &str| {
            let is_section = line.starts_with('[') && line.ends_with(']');
            let key = line.split_once(" = ").map(|(key, _)| key);
            is_section || key.is_some_and(|key| key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit()))
        };
        let shown = |line: &str| line.strip_prefix("# ").filter(|rest| is_setting(rest)).unwrap_or(line).to_owned();
        let all: Vec<String> = text.lines().map(shown).collect();
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), all.join("\n")).expect("written");
        let config = Config::read(file.path()).unwrap_or_else(|error| panic!("{error}\n{}", all.join("\n")));
        config.travel.provider(Path::new("d")).expect("an address for osrm");
        assert!(config.replication.is_some() && config.ledger.is_some() && config.tls.is_some() && config.data.is_some());
        let table: toml::Table = toml::from_str(&all.join("\n")).expect("read above");
        // What can be set is shown. (`s3` is a section below `backup`.)
        let sections: [(&str, &[&str]); 7] = [
            ("dispatch", &["fair_pay_seconds"]),
            ("storage", &["segment_mib", "cache_mib", "log_kept_mib"]),
            ("travel", &["provider", "url", "timeout_ms"]),
            ("ledger", &["origin"]),
            (
                "backup",
                &[
                    "to",
                    "every_minutes",
                    "keep_local",
                    "keep",
                    "archive",
                    "recipients",
                    "identity_file",
                    "bytes_per_s",
                    "drill_every_hours",
                    "s3",
                ],
            ),
            ("history", &["events_days", "tracks_raw_days", "tracks_days", "decisions_raw_days", "decisions_days", "offers_days"]),
            (
                "replication",
                &[
                    "token_file",
                    "role",
                    "node",
                    "url",
                    "leader",
                    "peers",
                    "ack",
                    "ack_timeout_ms",
                    "follower",
                    "follower_silent_s",
                    "keys",
                    "ca",
                ],
            ),
        ];
        for (section, keys) in sections {
            let shown = table[section].as_table().unwrap_or_else(|| panic!("[{section}] is not shown"));
            let missing: Vec<_> = keys.iter().filter(|key| !shown.contains_key(**key)).collect();
            assert!(missing.is_empty(), "[{section}] does not show {missing:?}");
        }
        assert!(table.contains_key("policy"));
    }

    /// The service manager starts it again after the disk refused to make the log durable, however often.
    #[test]
    fn the_unit_restarts_after_a_failed_sync() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/medina.service");
        let text = std::fs::read_to_string(&path).expect("it is there");
        let all = |key: &str| -> Vec<&str> { text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect() };
        let code = crate::engine::writer::EXIT_NOT_DURABLE.to_string();
        let names = |value: &&str| value.split_whitespace().any(|word| *word == code);
        assert!(matches!(all("Restart")[..], ["on-failure" | "always"]), "{:?}", all("Restart"));
        assert!(all("RestartForceExitStatus").iter().any(names), "{text}");
        assert!(!all("RestartPreventExitStatus").iter().any(names) && !all("SuccessExitStatus").iter().any(names), "{text}");
        assert_eq!(all("StartLimitIntervalSec"), ["0"], "a disk that is away for a minute must not end the restarts");
        let verified = std::process::Command::new("systemd-analyze").arg("verify").arg(&path).output();
        let Ok(verified) = verified else {
            println!("SKIPPED: there is no systemd-analyze");
            return;
        };
        let said = String::from_utf8_lossy(&verified.stderr);
        let ours: Vec<&str> = said.lines().filter(|line| line.contains("medina") && !line.contains("is not executable")).collect();
        assert!(ours.is_empty(), "{ours:?}");
    }
}
