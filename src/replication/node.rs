//! What the parts of a node's replication share.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::{Notify, watch};

use super::peer::Peers;
use super::role::{Part, Promise, Role};
use super::session::Sessions;
use super::{ReplicationOptions, Token};

/// What a follower knows of its leader.
#[derive(Clone, Debug, Default)]
pub struct Lag {
    /// Whether a stream is open.
    pub connected: bool,
    /// Where the leader was when it last spoke.
    pub leader_seq: u64,
    pub leader_epoch: u64,
    /// When that was.
    pub heard_at: Option<Instant>,
    /// When this node last had everything that the leader spoke of.
    pub level_at: Option<Instant>,
    /// Bytes that the leader has sent and this node has not taken.
    pub behind_bytes: u64,
    /// Whether the leader goes on without the follower that it should wait for.
    pub degraded: bool,
}

/// A promotion that may leave acknowledged writes behind skips up to so many epochs, by chance: two of them out of each other's sight open different
/// epochs (but for one in a million; then [`Node::split`]), so that the higher one wins and a position `epoch.seq` names one history.
const EPOCHS_SKIPPED_MAX: u32 = 1 << 20;

/// A node of a replicated city.
pub struct Node {
    pub options: ReplicationOptions,
    pub token: Token,
    pub peers: Peers,
    /// This process, in its own words to others.
    pub process: u64,
    pub(super) sessions: Sessions,
    data: PathBuf,
    part: Mutex<Part>,
    /// Why this leader takes no more commands, although it heard of no higher epoch.
    split: watch::Sender<Option<String>>,
    /// Why the process has to begin anew.
    turn: watch::Sender<Option<String>>,
    /// A reason to look at the peers now.
    pub look: Notify,
    pub lag: watch::Sender<Lag>,
    /// Whether clients are served: not before the named follower has what this leader recovered.
    pub serving: watch::Sender<bool>,
    /// How far the named follower has acknowledged, in this process's time.
    pub acknowledged: watch::Sender<u64>,
    /// While true nothing more is applied: a promotion is under way.
    pub closed: watch::Sender<bool>,
}

impl Node {
    /// Reads the token, and what the folder remembers.
    ///
    /// # Errors
    /// A sentence.
    pub fn open(data: &Path, options: ReplicationOptions) -> Result<Self, String> {
        let token = Token::read(&options.token_file)?;
        let part = Part::read(data).map_err(|error| format!("{}: {error}", data.join("replication.json").display()))?;
        let part = part.unwrap_or_else(|| Part::first(options.role, options.leader.clone()));
        let process = u64::from_le_bytes(random()?);
        let peers = Peers::new(token.clone(), process, options.ca.as_deref())?;
        let sessions = Sessions::default();
        if let Some(follower) = &options.follower {
            sessions.expect(follower);
        }
        Ok(Self {
            token,
            peers,
            process,
            sessions,
            split: watch::channel(None).0,
            data: data.to_owned(),
            part: Mutex::new(part),
            turn: watch::channel(None).0,
            look: Notify::new(),
            lag: watch::channel(Lag::default()).0,
            serving: watch::channel(true).0,
            acknowledged: watch::channel(0).0,
            closed: watch::channel(false).0,
            options,
        })
    }

    /// The folder's part.
    #[must_use]
    pub fn part(&self) -> Part {
        self.part.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes the part down as it is.
    ///
    /// # Errors
    /// The file system's.
    pub fn settle(&self) -> io::Result<()> {
        self.part().write(&self.data)
    }

    /// Remembers a change of the folder's part, durably.
    ///
    /// # Errors
    /// The file system's; then nothing has changed.
    pub fn remember(&self, change: impl FnOnce(&mut Part)) -> io::Result<()> {
        let mut part = self.part.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = part.clone();
        change(&mut next);
        if next != *part {
            next.write(&self.data)?;
            *part = next;
        }
        Ok(())
    }

    /// Asks for the process to begin anew.
    pub fn turn(&self, why: impl Into<String>) {
        let why = why.into();
        tracing::warn!(why, "this node begins anew");
        self.turn.send_replace(Some(why));
    }

    /// Returns when the process has to begin anew, with the reason.
    pub async fn turned(&self) -> String {
        let mut turn = self.turn.subscribe();
        match turn.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            Err(_) => std::future::pending().await,
        }
    }

    /// Everybody who may lead: the last leader, the configured one, the peers.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        let known = self.part().leader.into_iter().chain(self.options.leader.clone()).chain(self.options.peers.iter().cloned());
        for url in known {
            let url = url.trim_end_matches('/').to_owned();
            if Some(&url) != self.options.url.as_ref() && !all.contains(&url) {
                all.push(url);
            }
        }
        all
    }

    /// Another node leads the same epoch: neither may take commands until an operator has said which history goes on.
    pub fn split(&self, why: String) {
        self.split.send_replace(Some(why));
    }

    /// Why this leader stands still, if another one leads the same epoch.
    #[must_use]
    pub fn is_split(&self) -> Option<String> {
        self.split.borrow().clone()
    }

    /// A follower takes over: from the next start on it leads, in an epoch that nobody has reached. Returns that epoch. With `lose_tail` also a leader
    /// opens one: of two that lead the same epoch, the one that shall go on.
    ///
    /// # Errors
    /// A sentence: it leads already; or acknowledged writes may be missing here and `lose_tail` was not said; or it could not be remembered.
    pub async fn promote(&self, epoch: u64, lose_tail: bool) -> Result<u64, String> {
        let part = self.part();
        if !lose_tail {
            match (self.is_split(), part.role) {
                (Some(why), _) => return Err(format!("{why}; what only the other has is then set aside there")),
                (None, Role::Leader) => return Err("this node leads already".to_owned()),
                (None, Role::Follower) => self.has_everything(part.promise.as_ref())?,
            }
        }
        let skipped = if lose_tail { u64::from(u32::from_le_bytes(random()?) % EPOCHS_SKIPPED_MAX) } else { 0 };
        self.closed.send_replace(true);
        let others = self.peers.statuses(&self.addresses()).await;
        let epoch = others.iter().map(|(_, status)| status.epoch).chain([epoch]).max().unwrap_or(epoch) + 1 + skipped;
        self.remember(|part| *part = Part { epoch, ..Part::first(Role::Leader, None) }).map_err(|error| {
            self.closed.send_replace(false);
            format!("the new role could not be written: {error}")
        })?;
        Ok(epoch)
    }

    /// Whether nothing that was acknowledged can be missing here.
    fn has_everything(&self, promise: Option<&Promise>) -> Result<(), String> {
        let advice = "add --lose-tail to lead all the same; what is missing here is then set aside on the old leader when it comes back";
        let Some(promise) = promise else { return Err(format!("this node has never heard a leader; {advice}")) };
        let lag = self.lag.borrow().clone();
        match (promise.ack, promise.follower.as_deref()) {
            (crate::engine::Ack::Follower, Some(name)) if name == self.options.node => Ok(()),
            (crate::engine::Ack::Follower, name) => Err(format!(
                "the leader waits for `{}`, not for this node (`{}`): promote that one, or {advice}",
                name.unwrap_or("nobody"),
                self.options.node
            )),
            (crate::engine::Ack::Local | crate::engine::Ack::FollowerOrDegrade, _) => Err(format!(
                "the leader may have acknowledged writes that are not here (it was last heard at {}.{}): {advice}",
                lag.leader_epoch, lag.leader_seq
            )),
        }
    }
}

fn random<const N: usize>() -> Result<[u8; N], String> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| "the machine's random generator failed".to_owned())?;
    Ok(bytes)
}
