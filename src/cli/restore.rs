//! `medina restore`: a data folder from a copy, or only the proof that a copy can be restored.

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

use storage::Timestamp;
use storage::archive::Goal;
use tokio::runtime::Handle;

use super::snapshot::{advance, bar, settings};
use crate::app::inspection;
use crate::ops::backup::Destination;
use crate::ops::backup::restore::{Restored, drill, restore};
use crate::ops::backup::seal::Unseal;

/// What `medina restore` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct RestoreArgs {
    /// Where the copies are: a folder, s3://bucket/prefix, or another data folder (its snapshots, then its log).
    #[arg(long)]
    pub from: String,
    /// An empty folder, or one that is not there yet.
    #[arg(long, required_unless_present = "verify")]
    pub to: Option<PathBuf>,
    /// The last command to restore: a sequence number, epoch.seq, or a time (2026-11-21T08:00:00Z). Default: everything there is.
    #[arg(long)]
    pub at: Option<At>,
    /// Restores to scratch, checks every invariant, says what it found, and removes it again.
    #[arg(long, conflicts_with_all = ["to", "keys"])]
    pub verify: bool,
    /// Where the scratch folder of --verify is made. Default: the system's temporary folder.
    #[arg(long, requires = "verify")]
    pub scratch: Option<PathBuf>,
    /// A copy of the original's DATA/keys, to be put into the new folder.
    #[arg(long)]
    pub keys: Option<PathBuf>,
    /// An age identity file, if the copies are encrypted.
    #[arg(long)]
    pub identity: Option<PathBuf>,
    /// Configuration file (TOML): its `[backup.s3]` says how to reach a bucket.
    #[arg(long, env = "MEDINA_CONFIG")]
    pub config: Option<PathBuf>,
    /// One JSON object: what was restored, from what, what was found.
    #[arg(long)]
    pub json: bool,
}

/// A goal as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At(pub Goal);

impl FromStr for At {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(seq) = text.parse() {
            return Ok(Self(Goal { seq: Some(seq), ..Goal::default() }));
        }
        if let Some((epoch, seq)) = text.split_once('.')
            && let (Ok(epoch), Ok(seq)) = (epoch.parse(), seq.parse())
        {
            return Ok(Self(Goal { epoch: Some(epoch), seq: Some(seq), ..Goal::default() }));
        }
        let time: Timestamp =
            text.parse().map_err(|_| format!("{text} is no sequence number, no epoch.seq, and no time such as 2026-11-21T08:00:00Z"))?;
        Ok(Self(Goal { time: Some(time), ..Goal::default() }))
    }
}

/// Runs the verb: 0 restored and (with --verify) in order, 1 otherwise.
///
/// # Errors
/// Why it could not be restored, in a sentence.
pub async fn run(args: RestoreArgs) -> Result<ExitCode, String> {
    let runtime = Handle::current();
    let json = args.json;
    let restored = tokio::task::spawn_blocking(move || work(&args, &runtime)).await.map_err(|error| error.to_string())??;
    if json {
        println!("{}", serde_json::json!(restored));
    } else {
        say(&restored);
    }
    Ok(if restored.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn work(args: &RestoreArgs, runtime: &Handle) -> Result<Restored, String> {
    let config = settings(args.config.as_deref())?;
    let identity = args.identity.as_ref().or(config.identity_file.as_ref());
    let unseal = identity.map(|file| Unseal::read(file)).transpose()?;
    let from = Destination::open(&args.from, &config.s3, false, runtime)?.unsealing(unseal);
    let goal = args.at.map_or_else(Goal::default, |At(goal)| goal);
    let bar = bar("restoring");
    let progress = |done, all| advance(&bar, done, all);
    if let Some(to) = &args.to {
        return restore(&from, to, goal, args.keys.as_deref(), &progress);
    }
    let scratch = match &args.scratch {
        Some(folder) => tempfile::Builder::new().prefix("medina-drill-").tempdir_in(folder),
        None => tempfile::Builder::new().prefix("medina-drill-").tempdir(),
    };
    let scratch = scratch.map_err(|error| format!("a scratch folder: {error}"))?;
    drill(&from, &scratch.path().join("drill"), goal, &inspection::sentences, &progress)
}

fn say(restored: &Restored) {
    println!(
        "restored   {} ({}), from the snapshot {} and {} records after it, in {} ms",
        restored.position, restored.time, restored.snapshot, restored.records, restored.took_ms
    );
    println!("digest     {}", restored.digest);
    if let Some(why) = &restored.stopped {
        println!("STOPPED    the log was not followed to its end: {why}");
    }
    match restored.epoch {
        Some(epoch) => {
            println!("epoch      {epoch}: this copy's history is its own from here on");
            println!("outbox     paused; when the original no longer runs: medina outbox release");
            if restored.keys {
                println!("keys       copied");
                if restored.erased_again > 0 {
                    println!("erased     {} persons again, whose keys were still in that copy of the keys", restored.erased_again);
                }
            } else {
                println!(
                    "keys       NOT in the copy, by design: put the backup of DATA/keys into the new folder before `medina serve` (or --keys DIR)"
                );
            }
        }
        None => {
            for what in &restored.findings {
                println!("FOUND      {what}");
            }
            println!("{}", if restored.findings.is_empty() { "verified: it restores, and everything is in order" } else { "NOT IN ORDER" });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_read() {
        let time = "2026-11-21T08:00:00.000Z".parse().ok();
        let cases = [
            ("500", Some(Goal { seq: Some(500), ..Goal::default() })),
            ("2.500", Some(Goal { epoch: Some(2), seq: Some(500), time: None })),
            ("2026-11-21T08:00:00Z", Some(Goal { time, ..Goal::default() })),
            ("yesterday", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(text.parse::<At>().ok().map(|At(goal)| goal), wanted, "{text}");
        }
    }
}
