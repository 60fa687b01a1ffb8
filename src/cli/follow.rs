//! `medina follow` and `medina promote`

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use super::serve::{self, ServeArgs};
use crate::app::control::{self, Ask};
use crate::replication::{ReplicationOptions, Role};

/// What `medina follow` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct FollowArgs {
    #[command(flatten)]
    pub serve: ServeArgs,
    /// The leader's address, such as <https://leader.example:8443>.
    #[arg(long)]
    pub leader: String,
    /// A file with the secret that all nodes share.
    #[arg(long)]
    pub token_file: PathBuf,
    /// What this node is called; the leader's configuration may name it as the follower to wait for.
    #[arg(long)]
    pub node: Option<String>,
    /// Other nodes, where a new leader may be found; may be repeated.
    #[arg(long = "peer")]
    pub peers: Vec<String>,
    /// A copy of the leader's DATA/keys, copied into a folder that has none.
    #[arg(long)]
    pub keys: Option<PathBuf>,
    /// A PEM file with who signs the nodes' certificates; default: what the machine trusts.
    #[arg(long)]
    pub ca: Option<PathBuf>,
}

/// If the configuration does not say when a follower of this node counts as silent.
const SILENT_AFTER: Duration = Duration::from_secs(10);

/// Follows, and serves reads, until SIGINT or SIGTERM. A folder that has been promoted leads.
///
/// # Errors
/// Why it did not start, in a sentence.
pub async fn run(args: FollowArgs) -> Result<ExitCode, String> {
    let mut options = serve::options(&args.serve)?;
    let given = options.replication.take();
    let acks = given.as_ref().map(|given| given.acks).unwrap_or_default();
    let peers = if args.peers.is_empty() { given.as_ref().map(|given| given.peers.clone()).unwrap_or_default() } else { args.peers };
    options.replication = Some(ReplicationOptions {
        node: args.node.or(given.as_ref().map(|given| given.node.clone())).unwrap_or_else(own_name),
        token_file: args.token_file,
        role: Role::Follower,
        leader: Some(args.leader),
        peers,
        acks,
        follower: given.as_ref().and_then(|given| given.follower.clone()),
        silent_after: given.as_ref().map_or(SILENT_AFTER, |given| given.silent_after),
        ca: args.ca.or(given.as_ref().and_then(|given| given.ca.clone())),
        url: given.and_then(|given| given.url),
        keys: args.keys,
    });
    serve::serve(options).await
}

/// The machine's name.
#[must_use]
pub fn own_name() -> String {
    let name = std::fs::read_to_string("/etc/hostname").unwrap_or_default().trim().to_owned();
    if name.is_empty() { "node".to_owned() } else { name }
}

/// What `medina promote` is told.
#[derive(Clone, Debug, clap::Args)]
pub struct PromoteArgs {
    /// The follower's data folder.
    #[arg(long, default_value = serve::DATA)]
    pub data: PathBuf,
    /// Lead even if acknowledged writes may be missing here.
    #[arg(long)]
    pub lose_tail: bool,
}

/// How long a promoted node may take to begin anew.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes the running follower of a data folder the leader.
///
/// # Errors
/// Why not, in a sentence.
pub async fn promote(args: PromoteArgs) -> Result<ExitCode, String> {
    let ask = Ask::Promote { lose_tail: args.lose_tail };
    let answer = control::ask(&args.data, &ask).await?;
    let answer = answer.ok_or_else(|| format!("no server has {} open: start the follower first", args.data.display()))?;
    let epoch = answer["epoch"].as_u64().ok_or("the server's answer names no epoch")?;
    tokio::time::timeout(PATIENCE, leads(&args.data, epoch))
        .await
        .map_err(|_| format!("the node does not lead within {} s; see its log", PATIENCE.as_secs()))?;
    println!("this node leads epoch {epoch}");
    Ok(ExitCode::SUCCESS)
}

async fn leads(data: &Path, epoch: u64) {
    loop {
        if let Ok(Some(status)) = control::ask(data, &Ask::Replication {}).await
            && status["epoch"].as_u64() >= Some(epoch)
            && status["role"] == "leader"
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
