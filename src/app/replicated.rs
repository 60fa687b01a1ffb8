//! Replication's place in the appliance: which role this start has, and what runs because of it.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tokio::sync::watch;

use super::{StartError, tail};
use crate::edge::Problem;
use crate::engine::{Ack, AckOptions, Engine, Fault};
use crate::people::keyring::Keyring;
use crate::replication::keys::PeopleKeys;
use crate::replication::rejoin::Rejoin;
use crate::replication::role::Part;
use crate::replication::source::Source;
use crate::replication::{Node, ReplicationOptions, Role, stream, watch as peers};

/// What the engine has to know of its role.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Begins {
    pub following: bool,
    pub open_epoch: Option<u64>,
    pub acks: AckOptions,
}

/// Reads the folder's part; a follower's folder is made to continue the leader's history.
pub(super) async fn join(data: &Path, options: ReplicationOptions, sandbox: bool) -> Result<(Arc<Node>, Begins), StartError> {
    let keys = options.keys.clone();
    let node = Node::open(data, options).map_err(StartError::Replication)?;
    // Also a folder's first part is remembered: what it says must not change with a flag.
    node.settle().map_err(|error| StartError::Io("replication.json", error))?;
    let part = node.part();
    let following = part.role == Role::Follower;
    if following {
        keys_for_a_follower(data, keys.as_deref()).map_err(StartError::Replication)?;
        newest_keys(&node, data).await;
        Rejoin { node: &node, data, sandbox, tell: tail::tell }.run().await?;
    }
    let acks = if following { AckOptions::default() } else { node.options.acks };
    Ok((Arc::new(node), Begins { following, open_epoch: (part.epoch > 0).then_some(part.epoch), acks }))
}

/// Without its configuration a follower's folder would take commands of its own, and leave its leader's history.
pub(super) fn refuse_a_followers(data: &Path) -> Result<(), StartError> {
    let part = Part::read(data).map_err(|error| StartError::Io("replication.json", error))?;
    match part {
        Some(part) if part.role == Role::Follower => Err(StartError::Replication(format!(
            "{} follows {}: start it with its replication configuration, or as `medina follow`",
            data.display(),
            part.leader.as_deref().unwrap_or("a leader")
        ))),
        _ => Ok(()),
    }
}

/// A follower cannot make its own keys: the rows are sealed with the leader's.
fn keys_for_a_follower(data: &Path, from: Option<&Path>) -> Result<(), String> {
    let own = data.join("keys");
    if own.join("people.keys").exists() {
        return Ok(());
    }
    let Some(from) = from else {
        return Err(format!(
            "a follower needs the leader's keys, which do not travel with the log: copy the leader's DATA/keys to {}, or name a copy with --keys",
            own.display()
        ));
    };
    let copy = || {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&own)?;
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                let mut file =
                    fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(own.join(entry.file_name()))?;
                std::io::copy(&mut fs::File::open(entry.path())?, &mut file)?;
                file.sync_all()?;
            }
        }
        fs::File::open(&own)?.sync_all()
    };
    copy().map_err(|error: std::io::Error| format!("the keys in {} could not be copied: {error}", from.display()))
}

/// Rows that the leader has made since the keys were copied must be readable before the folder opens. If no leader is there, the keys that are here must do.
async fn newest_keys(node: &Node, data: &Path) {
    let Some((leader, _)) = node.peers.leader(&node.addresses(), 0).await else { return };
    let taken = match node.peers.keys(&leader).await {
        Ok(bytes) => Keyring::open(&data.join("keys")).and_then(|keyring| keyring.import(&bytes)).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = taken {
        tracing::warn!(error, leader, "the leader's newest keys could not be taken over");
    }
}

/// A leader asks its peers before it leads: it may have been away while another was promoted.
pub(super) async fn may_lead(node: &Arc<Node>, engine: &Engine) -> Result<(), StartError> {
    let epoch = engine.synced().borrow().epoch;
    let Some((leader, status)) = peers::other_leader(node, epoch).await else { return Ok(()) };
    if status.epoch == epoch {
        return Err(StartError::Replication(peers::split(&leader, epoch)));
    }
    tracing::error!(leader, epoch = status.epoch, "another node was promoted: this one follows");
    engine.fence(Some(leader.clone()));
    peers::step_down(node, &leader).map_err(|error| StartError::Io("the new role", error))?;
    let stopping = engine.clone();
    let _ = tokio::task::spawn_blocking(move || stopping.stop()).await;
    Err(StartError::Superseded(leader))
}

/// The people's keys, as replication carries them.
struct Keys(Arc<Keyring>);

impl PeopleKeys for Keys {
    fn version(&self) -> u64 {
        self.0.version()
    }
    fn export(&self) -> std::io::Result<Vec<u8>> {
        self.0.export()
    }
    fn import(&self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.import(bytes)
    }
}

/// From now on batches wait for the follower; whether clients have to wait until it has what was recovered.
pub(super) fn arm(node: &Node, engine: &Engine) -> bool {
    engine.acks().arm();
    let waits = !engine.is_following() && node.options.acks.ack != Ack::Local;
    node.serving.send_replace(!waits);
    waits
}

/// The nodes' routes, and the gate before everybody else's.
pub(super) fn routes(routes: Router, node: &Arc<Node>, engine: &Engine, keyring: &Arc<Keyring>, stop: watch::Receiver<bool>) -> Router {
    let gated = routes.layer(from_fn_with_state(node.clone(), gate));
    gated.merge(Source::new(node.clone(), engine.clone(), Arc::new(Keys(keyring.clone())), stop).routes())
}

/// What this leader recovered may not have reached the follower: nobody sees it before.
async fn gate(State(node): State<Arc<Node>>, request: Request, next: Next) -> Response {
    let probe = matches!(request.uri().path(), "/healthz" | "/metrics");
    if *node.serving.borrow() || probe {
        return next.run(request).await;
    }
    Problem::new(503, "not_ready", "waiting until the follower has everything that was recovered").retry_after(1).into_response()
}

/// Starts what belongs to the role.
pub(super) fn start(node: &Arc<Node>, engine: &Engine, keyring: &Arc<Keyring>, stop: &watch::Receiver<bool>) {
    if engine.is_following() {
        tokio::spawn(stream::run(node.clone(), engine.clone(), Arc::new(Keys(keyring.clone())), stop.clone()));
        return;
    }
    tokio::spawn(peers::run(node.clone(), engine.clone(), stop.clone()));
    tokio::spawn(peers::alarms(node.clone(), engine.clone(), stop.clone()));
    if !*node.serving.borrow() {
        tokio::spawn(open_the_gate(node.clone(), engine.clone()));
    }
}

async fn open_the_gate(node: Arc<Node>, engine: Engine) {
    let recovered = engine.synced().borrow().seq;
    let mut acknowledged = node.acknowledged.subscribe();
    let reached = acknowledged.wait_for(|seq| *seq >= recovered);
    let AckOptions { ack, timeout } = node.options.acks;
    if ack == Ack::FollowerOrDegrade {
        let _ = tokio::time::timeout(timeout, reached).await;
    } else if reached.await.is_err() {
        return;
    }
    loop {
        match engine.lead().await {
            Ok(()) => break,
            // The appliance's own first commands may have waited too long already; the writer has yet to hear of the acknowledgement.
            Err(Fault::NoFollower | Fault::Unacknowledged | Fault::Overloaded { .. }) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(fault) => {
                tracing::error!(%fault, "this node does not lead");
                return;
            }
        }
    }
    tracing::info!(seq = recovered, "the follower has everything that was recovered: serving");
    node.serving.send_replace(true);
}
