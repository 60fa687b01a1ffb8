//! `medina verify`: offline, or through the control socket of the server that has the folder.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use storage::archive::Goal;
use storage::disk::{Disk, RealDisk};
use storage::store::OpenError;
use storage::{Options, Store};
use tokio::runtime::Handle;

use crate::app::control::{self, Ask};
use crate::app::inspection::{self, Finding, Inspection};
use crate::ops::backup::Destination;
use crate::ops::backup::config::S3;
use crate::ops::backup::rebuild::rebuild;

/// What `medina verify` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct VerifyArgs {
    /// Data folder. If a server has it open, that server is asked.
    #[arg(long, env = "MEDINA_DATA_DIR", default_value = super::serve::DATA)]
    pub data: PathBuf,
    /// Also build the state a second time, from the newest local snapshot and the log after it, and compare.
    #[arg(long)]
    pub deep: bool,
    /// Where --deep builds it; the system's temporary folder if absent.
    #[arg(long)]
    pub scratch: Option<PathBuf>,
    /// One JSON object with the counts and the findings.
    #[arg(long)]
    pub json: bool,
}

/// Runs the verb: 0 if everything is in order, 1 if something is not.
///
/// # Errors
/// Why nothing could be verified, in a sentence.
pub async fn run(args: &VerifyArgs) -> Result<ExitCode, String> {
    let mut inspection: Inspection = match control::ask(&args.data, &Ask::Verify).await? {
        Some(answer) => serde_json::from_value(answer).map_err(|error| error.to_string())?,
        None => {
            let data = args.data.clone();
            tokio::task::spawn_blocking(move || offline(&data)).await.map_err(|error| error.to_string())??
        }
    };
    if args.deep {
        let (args, runtime) = (args.clone(), Handle::current());
        inspection =
            tokio::task::spawn_blocking(move || deeper(&args, inspection, &runtime)).await.map_err(|error| error.to_string())??;
    }
    if args.json {
        println!("{}", serde_json::json!(inspection));
    } else {
        say(&inspection);
    }
    Ok(if inspection.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Opens the folder's state as a start would (a torn tail of the log is cut, as there) and inspects it. What keeps it from opening is a finding.
fn offline(data: &Path) -> Result<Inspection, String> {
    let state = data.join("state");
    if !state.is_dir() {
        return Err(format!("{} is not a data folder: it has no state", data.display()));
    }
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    // Opening runs over foreign bytes: what is damaged enough to end in a panic is a finding too.
    let opened = storage::fault::catch(|| Store::open(disk.clone(), &state, Options::with_seed([0; 32])));
    let store = match opened {
        Ok(Ok(store)) => store,
        Ok(Err(OpenError::Locked(_))) => {
            return Err(format!("another process has {} open, and does not answer on its control socket", data.display()));
        }
        Ok(Err(error)) => return Ok(unopened(&error.to_string())),
        Err(fault) => return Ok(unopened(&fault.to_string())),
    };
    let view = store.views().now();
    let mut inspection = inspection::inspect(&view);
    inspection::read_log(&disk, &state.join("log"), &view.position(), &mut inspection);
    drop(view);
    // redb writes its map of free pages when it is closed, and panics over one that is damaged.
    if let Err(fault) = storage::fault::catch(|| drop(store)) {
        inspection.findings.push(Finding { check: "state".to_owned(), what: format!("its map of free pages is damaged: {fault}") });
    }
    Ok(inspection)
}

/// The same commands must give the same state: the newest snapshot and the log after it, up to where the inspected state stands.
fn deeper(args: &VerifyArgs, mut inspection: Inspection, runtime: &Handle) -> Result<Inspection, String> {
    let Some(digest) = inspection.digest.clone() else { return Ok(inspection) };
    let mut scratch = tempfile::Builder::new();
    let scratch = scratch.prefix("medina-verify-");
    let scratch = args.scratch.as_ref().map_or_else(|| scratch.tempdir(), |folder| scratch.tempdir_in(folder));
    let scratch = scratch.map_err(|error| format!("a scratch folder: {error}"))?;
    let folder = args.data.to_str().ok_or("the data folder's name is not UTF-8")?;
    let from = Destination::open(folder, &S3::default(), false, runtime)?;
    let goal = Goal { seq: Some(inspection.seq), ..Goal::default() };
    let found = match rebuild(&from, goal, &scratch.path().join("state"), &|_, _| ()) {
        Ok(again) if again.digest == digest => None,
        Ok(again) => {
            Some(format!("the snapshot and the log after it make a state with digest {}, and this one has {digest}", again.digest))
        }
        Err(why) => Some(format!("the state cannot be built again: {why} (`medina snapshot` makes one)")),
    };
    inspection.findings.extend(found.map(|what| Finding { check: "deep".to_owned(), what }));
    Ok(inspection)
}

fn unopened(why: &str) -> Inspection {
    Inspection { findings: vec![Finding { check: "open".to_owned(), what: why.to_owned() }], ..Inspection::default() }
}

fn say(inspection: &Inspection) {
    let Inspection { epoch, seq, hash, digest, entries, tables, accounts, transfers, log, findings } = inspection;
    println!("position   {epoch}.{seq}, hash {hash}");
    if let Some(digest) = digest {
        println!("state      {entries} entries in the file, digest {digest}");
    }
    println!("tables     {} rows in {} tables", tables.values().sum::<u64>(), tables.len());
    println!("ledger     {accounts} accounts, {transfers} transfers");
    if let Some((first, last)) = log {
        println!("log        {first} to {last}, chain whole");
    }
    for Finding { check, what } in findings {
        println!("FOUND      {check}: {what}");
    }
    println!("{}", if findings.is_empty() { "clean" } else { "NOT CLEAN: keep this folder, and restore a snapshot into another one" });
}
