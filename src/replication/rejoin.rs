//! Before a follower's folder opens: does its history continue the leader's? If not, its end is set aside as text, cut, and the leader's takes its place; a
//! folder without a state, or too far behind, begins with the leader's snapshot. The old state stays until the new one is whole.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use storage::disk::{Disk, RealDisk};
use storage::log::{LogReader, Record};
use storage::replica::epoch::{EPOCHS, EpochStart};
use storage::replica::history;
use storage::store::CutError;
use storage::{Direction, Options, Position, Store};
use tokio::io::AsyncWriteExt;

use super::node::Node;
use super::peer::PeerError;
use super::wire::{Has, Status};

/// A record in words, for the file of what was given up.
pub type Tell = fn(&Record) -> String;

/// Where what was given up is kept, in the data folder.
pub const ASIDE: &str = "set-aside";
/// The leader's snapshot on its way into a state.
const FETCHED: &str = "bootstrap.snapshot";
/// In [`ASIDE`], for a moment: a state that the leader's replaces, and that had nothing of its own.
const OUTDATED: &str = "outdated";

/// Why a folder cannot follow (yet).
#[derive(Debug, thiserror::Error)]
pub enum RejoinError {
    #[error(transparent)]
    Peer(#[from] PeerError),
    #[error(transparent)]
    Open(#[from] storage::store::OpenError),
    #[error(transparent)]
    Cut(#[from] CutError),
    #[error(transparent)]
    Log(#[from] storage::log::LogError),
    #[error("{0}: {1}")]
    Io(&'static str, io::Error),
    #[error("the leader's snapshot: {0}")]
    Snapshot(#[from] storage::snapshot::SnapshotError),
    #[error("the leader {0} is {1} and this folder is not: a sandbox and a live city never mix")]
    Sandbox(String, &'static str),
}

/// The way of one folder back to its leader.
pub struct Rejoin<'a> {
    pub node: &'a Node,
    pub data: &'a Path,
    pub sandbox: bool,
    pub tell: Tell,
}

impl Rejoin<'_> {
    fn state(&self) -> PathBuf {
        self.data.join("state")
    }

    fn disk() -> Arc<dyn Disk> {
        Arc::new(RealDisk)
    }

    fn open(&self) -> Result<Store, RejoinError> {
        Ok(Store::open(Self::disk(), &self.state(), Options::with_seed([0; 32]))?)
    }

    /// Makes the folder one that continues the leader's history. A folder with a state of its own goes on with that while no leader answers; one without
    /// waits for a leader.
    ///
    /// # Errors
    /// [`RejoinError`]: an operator has to act.
    pub async fn run(&self) -> Result<(), RejoinError> {
        self.finish_a_replacement().map_err(|error| RejoinError::Io("a replacement that a crash ended", error))?;
        loop {
            let has_state = self.state().join("state.redb").exists();
            let here = if has_state { Some(self.open()?.position()) } else { None };
            let found = self.node.peers.leader(&self.node.addresses(), here.map_or(0, |here| here.epoch)).await;
            let Some((leader, status)) = found else {
                if has_state {
                    tracing::warn!("no leader answers: serving what is here");
                    return Ok(());
                }
                tracing::warn!("no leader answers, and there is nothing here yet: waiting for one");
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            };
            match self.meet(&leader, &status, here).await {
                Err(RejoinError::Peer(error)) => {
                    tracing::warn!(%error, leader, "the leader did not help; trying again");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                other => return other,
            }
        }
    }

    async fn meet(&self, leader: &str, status: &Status, here: Option<Position>) -> Result<(), RejoinError> {
        if status.sandbox != self.sandbox {
            return Err(RejoinError::Sandbox(leader.to_owned(), if status.sandbox { "a sandbox" } else { "live" }));
        }
        let Some(here) = here else {
            self.fetch(leader).await?;
            return self.put_in_place(None);
        };
        match self.node.peers.holds(leader, here).await? {
            Has::Yes => Ok(()),
            Has::Trimmed => {
                tracing::warn!(seq = here.seq, "too far behind the leader's log: beginning with its snapshot");
                self.fetch(leader).await?;
                self.replace_what_is_too_old(here)
            }
            Has::No => self.give_up_the_end(leader, here).await,
        }
    }

    /// This history has an end that the leader's has not.
    async fn give_up_the_end(&self, leader: &str, here: Position) -> Result<(), RejoinError> {
        let store = self.open()?;
        let log_dir = store.log_dir();
        let first_seq = first_seq(&log_dir)?;
        let places = history::places(&Self::disk(), &log_dir, first_seq, here)?;
        let common = self.last_common(leader, &places).await?;
        let aside = self.data.join(ASIDE);
        fs::DirBuilder::new().recursive(true).create(&aside).map_err(|error| RejoinError::Io("the folder for what is set aside", error))?;
        let from = common.map_or(first_seq, |common| common.seq + 1);
        let name = format!("{}.{from}-{}.{}", common.unwrap_or(here).epoch, here.epoch, here.seq);
        let file = aside.join(format!("{name}.jsonl"));
        let cut = match common {
            Some(common) => store.cut(common, &file, &mut |record| (self.tell)(record)),
            None => Err(CutError::Folded { checkpoint: store.checkpoint().seq, common: 0 }),
        };
        match cut {
            Ok(store) => drop(store),
            Err(CutError::Folded { .. }) => {
                self.write_down(&log_dir, from, here, &file)?;
                self.fetch(leader).await?;
                self.put_in_place(Some(&format!("state-{name}")))?;
            }
            Err(error) => return Err(error.into()),
        }
        // What was built from the lost end.
        remove_folder(&self.data.join("search")).map_err(|error| RejoinError::Io("the search index", error))?;
        tracing::error!(
            file = %file.display(), from, to = here.seq,
            "this node's end was not in the new leader's history: it is set aside in that file, for you to read"
        );
        Ok(())
    }

    /// The newest of `places` that the leader has too: both share a beginning, so halving finds it.
    async fn last_common(&self, leader: &str, places: &[Position]) -> Result<Option<Position>, RejoinError> {
        let (mut known, mut unknown) = (0, places.len());
        while known < unknown {
            let middle = known + (unknown - known) / 2;
            // What the leader no longer keeps lies before what it keeps: treat it as shared, and let the rest decide.
            match self.node.peers.holds(leader, places[middle]).await? {
                Has::Yes | Has::Trimmed => known = middle + 1,
                Has::No => unknown = middle,
            }
        }
        let Some(last) = known.checked_sub(1).map(|at| places[at]) else { return Ok(None) };
        // The leader must really say so of the one that counts.
        Ok((self.node.peers.holds(leader, last).await? == Has::Yes).then_some(last))
    }

    /// What would have been cut, if the state file did not hold it already.
    fn write_down(&self, log_dir: &Path, from: u64, here: Position, file: &Path) -> Result<(), RejoinError> {
        let mut reader = LogReader::open(Self::disk(), log_dir, from)?;
        reader.until(here.seq);
        let mut text = String::new();
        while let Some(record) = reader.next()? {
            text.push_str(&(self.tell)(&record));
        }
        fs::write(file, text)
            .and_then(|()| fs::File::open(file)?.sync_all())
            .map_err(|error| RejoinError::Io("the account of what is set aside", error))
    }

    /// The log of this node no longer reaches the leader's. What is here is a beginning of the leader's history, and goes; unless that history left
    /// this one's epoch before `here`: then this node has what nobody else has, and it is set aside.
    fn replace_what_is_too_old(&self, here: Position) -> Result<(), RejoinError> {
        let theirs = Store::open(Self::disk(), &self.incoming(), Options::with_seed([0; 32]))?;
        let later = EPOCHS.scan_range(theirs.head(), &here.epoch.saturating_add(1), &u64::MAX, Direction::Forward).next();
        drop(theirs);
        let Some((_, EpochStart(common))) = later.filter(|(_, EpochStart(before))| here.seq > before.seq) else {
            return self.put_in_place(None);
        };
        let log_dir = self.state().join("log");
        let from = first_seq(&log_dir)?.max(common.seq + 1);
        let name = format!("{}.{from}-{}.{}", common.epoch, here.epoch, here.seq);
        let aside = self.data.join(ASIDE);
        fs::create_dir_all(&aside).map_err(|error| RejoinError::Io("the folder for what is set aside", error))?;
        let file = aside.join(format!("{name}.jsonl"));
        self.write_down(&log_dir, from, here, &file)?;
        tracing::error!(file = %file.display(), from, to = here.seq, "this node's end was not in the leader's history: it is set aside in that file");
        self.put_in_place(Some(&format!("state-{name}")))
    }

    /// Where the leader's state is made, beside the one that is here.
    fn incoming(&self) -> PathBuf {
        self.data.join("state.incoming")
    }

    /// The fetched state takes the place of the one that is here, which is kept under `keep` in [`ASIDE`], or removed. What was built from the old one goes.
    ///
    /// At every moment one of the two is whole: see [`Rejoin::finish_a_replacement`].
    fn put_in_place(&self, keep: Option<&str>) -> Result<(), RejoinError> {
        let swap = || {
            let aside = self.data.join(ASIDE);
            let old = aside.join(keep.unwrap_or(OUTDATED));
            remove_folder(&old)?;
            if self.state().exists() {
                fs::create_dir_all(&aside)?;
                fs::rename(self.state(), &old)?;
                fs::File::open(&aside)?.sync_all()?;
            }
            fs::rename(self.incoming(), self.state())?;
            fs::File::open(self.data)?.sync_all()?;
            if keep.is_none() {
                remove_folder(&old)?;
            }
            remove_folder(&self.data.join("search"))
        };
        swap().map_err(|error| RejoinError::Io("the leader's state could not be put in the place of the old one", error))
    }

    /// A crash may have come after the old state was moved and before the new one was; or before what is outdated was removed. What an attempt fetched
    /// in vain goes.
    fn finish_a_replacement(&self) -> io::Result<()> {
        match fs::remove_file(self.data.join(FETCHED)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => (),
        }
        let is_whole = |folder: PathBuf| folder.join("state.redb").exists();
        if !is_whole(self.state()) && is_whole(self.incoming()) {
            remove_folder(&self.state())?;
            fs::rename(self.incoming(), self.state())?;
            fs::File::open(self.data)?.sync_all()?;
            remove_folder(&self.data.join("search"))?;
        }
        remove_folder(&self.data.join(ASIDE).join(OUTDATED))
    }

    /// Fetches the leader's snapshot and makes a state of it beside the one that is here; by way of a file: a slow restore must not hold the leader's pages.
    async fn fetch(&self, leader: &str) -> Result<(), RejoinError> {
        tracing::warn!(leader, "fetching the leader's snapshot");
        let path = self.data.join(FETCHED);
        let mut body = self.node.peers.snapshot(leader, &self.node.options.node).await?;
        let failed = |error| RejoinError::Io("the leader's snapshot could not be kept", error);
        let mut file = tokio::fs::File::create(&path).await.map_err(failed)?;
        while let Some(chunk) = body.chunk().await.map_err(PeerError::Away)? {
            file.write_all(&chunk).await.map_err(failed)?;
        }
        file.flush().await.map_err(failed)?;
        let (incoming, from) = (self.incoming(), path.clone());
        // An attempt that a crash ended.
        remove_folder(&incoming).map_err(failed)?;
        let restored = tokio::task::spawn_blocking(move || {
            let file = io::BufReader::new(fs::File::open(&from).map_err(failed)?);
            Ok::<_, RejoinError>(storage::snapshot::restore(file, Self::disk(), &incoming)?)
        });
        let header = restored.await.map_err(|error| failed(io::Error::other(error)))??;
        fs::remove_file(&path).map_err(failed)?;
        tracing::info!(epoch = header.position.epoch, seq = header.position.seq, "the leader's snapshot is here");
        Ok(())
    }
}

/// First sequence number of the oldest segment.
fn first_seq(log_dir: &Path) -> Result<u64, RejoinError> {
    let names = Rejoin::disk().list(log_dir).map_err(|error| RejoinError::Io("the log's folder", error))?;
    let mut numbers = names.iter().filter_map(|name| name.strip_suffix(".log")?.parse::<u64>().ok());
    Ok(numbers.next().unwrap_or(1))
}

fn remove_folder(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
