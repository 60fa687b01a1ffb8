//! `medina outbox release`: lets a restored copy send what waits.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::app::control::{self, Ask};

/// `medina outbox …`
#[derive(Clone, Debug, clap::Subcommand)]
pub enum OutboxVerb {
    /// Lets a restored copy send what waits. Make sure first that the original no longer runs.
    Release {
        /// Data folder of the running server.
        #[arg(long, env = "MEDINA_DATA_DIR", default_value = super::serve::DATA)]
        data: PathBuf,
    },
}

/// Runs the verb.
///
/// # Errors
/// Why not, in a sentence.
pub async fn run(verb: OutboxVerb) -> Result<ExitCode, String> {
    let OutboxVerb::Release { data } = verb;
    let released = control::ask(&data, &Ask::OutboxRelease).await?;
    let released = released.ok_or_else(|| format!("no server runs on {}: start it first", data.display()))?;
    println!("released: {}", released["why"].as_str().unwrap_or_default());
    Ok(ExitCode::SUCCESS)
}
