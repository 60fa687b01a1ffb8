//! `medina snapshot`: through the control socket of the server that has the folder, or offline.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use storage::disk::RealDisk;
use storage::{Options, Store};
use tokio::runtime::Handle;

use super::config::Config;
use crate::app::control::{self, Ask};
use crate::ops::backup::service::{Taken, taken};
use crate::ops::backup::{BackupConfig, Destination, ship, take};

/// What `medina snapshot` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct SnapshotArgs {
    /// Data folder. If a server has it open, that server takes the snapshot, without a pause.
    #[arg(long, env = "MEDINA_DATA_DIR", default_value = super::serve::DATA)]
    pub data: PathBuf,
    /// Where to send it besides DATA/snapshots: a folder or s3://bucket/prefix. Default: `[backup] to` of the configuration.
    #[arg(long)]
    pub to: Option<String>,
    /// Configuration file (TOML); a running server uses its own.
    #[arg(long, env = "MEDINA_CONFIG")]
    pub config: Option<PathBuf>,
    /// One JSON object: where it stands and what it holds.
    #[arg(long)]
    pub json: bool,
}

/// Runs the verb.
///
/// # Errors
/// Why there is no snapshot, in a sentence.
pub async fn run(args: SnapshotArgs) -> Result<ExitCode, String> {
    let taken: Taken = match control::ask(&args.data, &Ask::Snapshot { to: args.to.clone() }).await? {
        Some(answer) => serde_json::from_value(answer).map_err(|error| error.to_string())?,
        None => {
            let (args, runtime) = (args.clone(), Handle::current());
            tokio::task::spawn_blocking(move || offline(&args, &runtime)).await.map_err(|error| error.to_string())??
        }
    };
    if args.json {
        println!("{}", serde_json::json!(taken));
    } else {
        println!("snapshot   {} of {} rows in {} bytes, {} ms", taken.position, taken.rows, taken.bytes, taken.took_ms);
        println!("digest     {}", taken.digest);
        println!("in         {}", taken.folder);
        if let Some(to) = &taken.sent_to {
            println!("sent to    {to} ({} bytes were not there yet)", taken.sent_bytes);
        }
        println!("the keys ({}/keys) are not in it: keep a copy of them elsewhere", args.data.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// The `[backup]` section of a configuration file, or the defaults.
///
/// # Errors
/// What is wrong with the file.
pub fn settings(config: Option<&Path>) -> Result<BackupConfig, String> {
    Ok(config.map(Config::read).transpose().map_err(|error| error.to_string())?.unwrap_or_default().backup)
}

fn offline(args: &SnapshotArgs, runtime: &Handle) -> Result<Taken, String> {
    let begun = Instant::now();
    let config = settings(args.config.as_deref())?;
    let config = BackupConfig { to: args.to.clone().or(config.to), ..config };
    let to = Destination::configured(&config, runtime)?;
    let state = args.data.join("state");
    if !state.is_dir() {
        return Err(format!("{} is not a data folder: it has no state", args.data.display()));
    }
    let mode = std::fs::read_to_string(args.data.join("mode")).map_err(|error| format!("{}: {error}", args.data.join("mode").display()))?;
    let store = Store::open(Arc::new(RealDisk), &state, Options::with_seed([0; 32])).map_err(|error| error.to_string())?;
    let manifest = take::take(&store.views().now(), &args.data, mode.trim())?;
    let sent = match &to {
        Some(to) => {
            let bar = bar("sending");
            ship::ship(&args.data, &manifest, to, &|done, all| advance(&bar, done, all))?
        }
        None => 0,
    };
    taken(&args.data, &manifest, to.as_ref(), sent, begun)
}

/// A bar on stderr, silent where nobody watches.
pub fn bar(what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:9} [{bar:40}] {bytes}/{total_bytes} {bytes_per_sec} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(0).with_style(style);
    bar.set_message(what);
    bar
}

/// Shows how far it has come.
pub fn advance(bar: &ProgressBar, done: u64, all: u64) {
    bar.set_length(all);
    bar.set_position(done);
    if done >= all {
        bar.finish_and_clear();
    }
}
