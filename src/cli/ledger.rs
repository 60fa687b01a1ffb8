//! `medina ledger verify`: was the ledger ever rewritten? Exit 0 no, 3 yes (proven), 1 it could not be found out.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::money::transparency::note::{Checkpoint, VerifierKey};
use crate::money::transparency::verify::{self, Doubt, Grown, Remote};

/// `medina ledger …`
#[derive(Clone, Debug, clap::Subcommand)]
pub enum LedgerVerb {
    /// Proves that the ledger only grew since an old checkpoint (keep one: `curl URL/ledger/checkpoint`). Exit 0: it did; 3: proof that it did not; 1: no
    /// answer.
    Verify(VerifyArgs),
}

/// What `medina ledger verify` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct VerifyArgs {
    /// A file with the old checkpoint, as the server served it.
    #[arg(long)]
    pub checkpoint: PathBuf,
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:8080", conflicts_with = "data")]
    pub url: String,
    /// A data folder instead of a server: hashes every transfer anew. No server may have it open.
    #[arg(long)]
    pub data: Option<PathBuf>,
    /// The log's verifier key (NAME+HASH+KEY). Without it the server's own word is taken, which proves less.
    #[arg(long)]
    pub key: Option<VerifierKey>,
    /// Fetches every entry too and hashes it anew.
    #[arg(long)]
    pub entries: bool,
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Exit code: the ledger did not only grow, and there is proof of it.
pub const EXIT_CAUGHT: u8 = 3;

/// Runs the verb: 0 it only grew, [`EXIT_CAUGHT`] it shrank, forked or was rewritten, 1 it could not be asked or what it says is not signed.
///
/// # Errors
/// A file that cannot be read.
pub async fn run(verb: LedgerVerb) -> Result<ExitCode, String> {
    let LedgerVerb::Verify(args) = verb;
    let path = &args.checkpoint;
    let old = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let (told, as_json) = (args.key.is_some(), args.json);
    let from_folder = args.data.is_some();
    crate::crypto::install();
    let checked = match args.data.clone() {
        Some(data) => {
            let key = args.key.clone();
            blocking(move || verify::folder(&data, key.as_ref(), &old)).await?
        }
        None => {
            let server = Remote::new(&args.url).map_err(|doubt| doubt.to_string())?;
            let (key, entries) = (args.key.clone(), args.entries);
            blocking(move || {
                let key = key.map_or_else(|| server.key(), Ok)?;
                verify::remote(&server, &key, &old, entries)
            })
            .await?
        }
    };
    Ok(say(&checked, path, as_json, told || from_folder))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())
}

fn shown(checkpoint: &Checkpoint) -> Value {
    let root: String = checkpoint.root.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({ "origin": checkpoint.origin, "size": checkpoint.size, "root": root })
}

fn say(checked: &Result<Grown, Doubt>, path: &Path, as_json: bool, is_key_known: bool) -> ExitCode {
    match checked {
        Ok(Grown { old, now, entries }) if as_json => {
            let (old, now) = (shown(old), shown(now));
            println!("{}", json!({ "ok": true, "old": old, "now": now, "entries_hashed": entries, "key_given": is_key_known }));
        }
        Ok(Grown { old, now, entries }) => {
            println!("the ledger only grew: {} transfers at {}, {} now", old.size, path.display(), now.size);
            println!("root {}", shown(now)["root"].as_str().unwrap_or_default());
            println!("{}", if *entries > 0 { "every transfer was hashed anew" } else { "transfers were not read: --entries does" });
            if !is_key_known {
                println!("the key was the server's own word: give one from elsewhere with --key");
            }
        }
        Err(doubt) if as_json => println!("{}", json!({ "ok": false, "proven": doubt.is_proof(), "why": doubt.to_string() })),
        Err(doubt) => eprintln!("medina: {doubt}"),
    }
    match checked {
        Ok(_) => ExitCode::SUCCESS,
        Err(doubt) if doubt.is_proof() => ExitCode::from(EXIT_CAUGHT),
        Err(_) => ExitCode::FAILURE,
    }
}
