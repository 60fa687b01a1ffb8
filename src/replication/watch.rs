//! A leader looks at its peers: one that leads a higher epoch has been promoted, and this node's time is over.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use super::node::Node;
use super::role::{Part, Role};
use super::wire::Status;
use crate::engine::{Caller, Engine, Fault};

/// How often a leader looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// A peer that leads a higher epoch than `epoch`.
pub async fn newer_leader(node: &Node, epoch: u64) -> Option<(String, Status)> {
    node.peers.leader(&node.addresses(), epoch + 1).await
}

/// From the next start on this folder follows `leader`.
///
/// # Errors
/// The file system's.
pub fn step_down(node: &Node, leader: &str) -> std::io::Result<()> {
    node.remember(|part| *part = Part::first(Role::Follower, Some(leader.to_owned())))
}

/// Watches while this node leads.
pub async fn run(node: Arc<Node>, engine: Engine, mut stop: watch::Receiver<bool>) {
    if node.addresses().is_empty() {
        return;
    }
    loop {
        let epoch = engine.synced().borrow().epoch;
        metrics::gauge!("medina_replication_epoch").set(epoch as f64);
        if let Some((leader, status)) = newer_leader(&node, epoch).await {
            tracing::error!(leader, epoch = status.epoch, "another node leads with a higher epoch: this one takes no more writes");
            engine.fence(Some(leader.clone()));
            match step_down(&node, &leader) {
                Ok(()) => node.turn(format!("{leader} leads epoch {}", status.epoch)),
                // Fenced it stays; the next start finds the same leader.
                Err(error) => tracing::error!(%error, "the new role could not be written"),
            }
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => (),
            () = node.look.notified() => (),
            () = crate::edge::server::stopped(&mut stop) => return,
        }
    }
}

/// Puts the loss of the follower on the operators' list, and takes it off again.
pub async fn alarm(engine: Engine) {
    let mut degraded = engine.acks().degraded();
    metrics::gauge!("medina_replication_degraded").set(0.0);
    while degraded.changed().await.is_ok() {
        let is = *degraded.borrow_and_update();
        metrics::gauge!("medina_replication_degraded").set(f64::from(u8::from(is)));
        let told = engine.write(&Caller::system("replication"), "replication.alarm", move |tx| {
            if is {
                let why = "the follower does not acknowledge; writes are on this machine only";
                tx.attention("replication_degraded", "follower", why, &["check the follower and the network between the two"]);
            } else {
                tx.settle_attention("replication_degraded", "follower");
            }
            Ok::<(), Fault>(())
        });
        if let Err(error) = told.await {
            tracing::error!(?error, "the operators' list could not be told");
        }
    }
}

/// What the overview shows of replication.
#[must_use]
pub fn section(node: &Node, engine: &Engine) -> Value {
    let lag = node.lag.borrow().clone();
    serde_json::json!({
        "node": node.options.node,
        "role": node.part().role,
        "leads": engine.leads(),
        "leader": engine.leader(),
        "connected": lag.connected,
        "leader_seq": lag.leader_seq,
        "ack": engine.acks().options().ack,
        "degraded": *engine.acks().degraded().borrow(),
    })
}
