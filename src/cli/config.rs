//! The configuration file, and `medina config check`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Deserialize;

use crate::app::Sizes;
use crate::city::history::HistoryConfig;
use crate::ops::backup::BackupConfig;

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
    pub backup: BackupConfig,
    pub history: HistoryConfig,
    pub storage: Sizes,
    pub ledger: Option<Ledger>,
}

/// The published ledger.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// The log's name in its checkpoints, for ever: a host name and a path, without scheme (`city.example/ledger`). Made from the key if absent.
    pub origin: Option<String>,
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
        toml::from_str(&text).map_err(|source| ConfigError::Toml { path: path.to_owned(), source: Box::new(source) })
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
    Config::read(file).map_err(|error| error.to_string())?;
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
        std::fs::write(file.path(), "listen = \"127.0.0.1:1\"\n").expect("written");
        assert_eq!(Config::read(file.path()).expect("valid").listen, "127.0.0.1:1".parse().ok());
    }
}
