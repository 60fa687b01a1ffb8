//! Follows the commits, hashes what was posted, and publishes a head at least each second while there is something new.
//!
//! ```text
//!   started ──head on disk fits──► publishing ──► publishing …
//!      │                               │ a check of all transfers against the head fails
//!      └──────does not fit─────────────┴──► halted (until an operator decides)
//! ```

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use storage::ledger::tree::{Frontier, NodeHash, TileNodes, TileSource, entry_at, leaf_hash, root};
use storage::ledger::{leaf_count, tree};
use storage::{Position, View};
use tokio::sync::watch;

use super::keys::LedgerKeys;
use super::note::{Checkpoint, NoteError, Signer, VerifierKey};
use super::rows::Rows;
use crate::engine::handle::WeakEngine;
use crate::engine::{Caller, Fault};

/// Between two heads. With the work of one it stays below a second.
const PERIOD: Duration = Duration::from_millis(400);
/// A head at least each second while there is traffic: the pause is well below it, whatever the traffic.
const _: () = assert!(PERIOD.as_millis() <= 500);
/// Leaves hashed between two looks at whether to go on.
const CHUNK: u64 = 4_096;

/// A published head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub size: u64,
    pub root: NodeHash,
    /// The checkpoint as served.
    pub note: String,
}

/// Why the ledger cannot be published at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the ledger's keys or hashes cannot be used: {0}")]
    Io(#[from] io::Error),
    #[error("the ledger's origin: {0}")]
    Name(#[from] NoteError),
}

/// Hashes, signs, publishes; answers for what it published.
pub struct Publisher {
    keys: LedgerKeys,
    signer: Signer,
    rows: Rows,
    head: ArcSwapOption<Head>,
    halted: OnceLock<String>,
    hashing: Mutex<Hashing>,
}

/// What the one thread that hashes knows.
struct Hashing {
    /// Leaves whose hashes are in the rows.
    leaves: u64,
    /// The head of before the start, until the hashes have been found to give it.
    owed: Option<Checkpoint>,
}

impl Publisher {
    /// Opens keys and hashes, and looks whether they fit what was published last. A ledger that does not fit opens too, halted: the city goes on trading.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(keys: &Path, rows: &Path, origin: Option<&str>, view: &View) -> Result<Arc<Self>, OpenError> {
        let keys = LedgerKeys::open(keys)?;
        let signer = keys.signer(origin)?;
        let owed = keys.head()?;
        let rows = Rows::open(rows)?;
        let mut hashing = Hashing { leaves: 0, owed: None };
        let mut head = None;
        let posted = leaf_count(view);
        let halted = OnceLock::new();
        match owed {
            None => (),
            Some(owed) if owed.size > posted => {
                let why = format!("{} transfers were published and the ledger has {posted}: it went back in time", owed.size);
                let _ = halted.set(why);
            }
            // Files that were lost or are damaged are made anew from the transfers.
            Some(owed) if root(&TileNodes::new(&rows, owed.size), owed.size).is_ok_and(|root| root == owed.root) => {
                hashing.leaves = owed.size;
                head = Some(Arc::new(Head { size: owed.size, root: owed.root, note: signer.sign(owed.size, owed.root) }));
            }
            Some(owed) => hashing.owed = Some(owed),
        }
        let publisher = Self { keys, signer, rows, head: ArcSwapOption::from(head), halted, hashing: Mutex::new(hashing) };
        Ok(Arc::new(publisher))
    }

    /// The newest published head; `None` until there is one.
    #[must_use]
    pub fn head(&self) -> Option<Arc<Head>> {
        self.head.load_full()
    }

    /// Why nothing more is published, if so.
    #[must_use]
    pub fn halted(&self) -> Option<&str> {
        self.halted.get().map(String::as_str)
    }

    /// The key that checks the heads.
    #[must_use]
    pub fn verifier(&self) -> &VerifierKey {
        self.signer.verifier()
    }

    /// The hashes, for whoever knows up to which size they are published.
    #[must_use]
    pub fn tiles(&self) -> &impl TileSource<Error = io::Error> {
        &self.rows
    }

    /// How owners are called in entries.
    #[must_use]
    pub fn names(&self) -> &tree::Pseudonyms {
        &self.keys.names
    }

    fn halt(&self, why: String) {
        tracing::error!(why, "the ledger is not published any more");
        let _ = self.halted.set(why);
    }

    /// Hashes what `view` has and was not hashed yet, and publishes it. Blocks.
    ///
    /// # Errors
    /// The file system's; what was published stands, and a later call goes on from there.
    pub fn advance(&self, view: &View) -> io::Result<()> {
        let mut hashing = self.hashing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.halted().is_some() {
            return Ok(());
        }
        let posted = leaf_count(view);
        while hashing.leaves < posted {
            let to = posted.min(hashing.leaves + CHUNK);
            let hashes: Vec<NodeHash> = (hashing.leaves..to).map(|leaf| self.leaf(view, leaf)).collect();
            self.rows.append(hashing.leaves, &hashes)?;
            hashing.leaves = to;
        }
        if let Some(owed) = &hashing.owed {
            let now = root(&TileNodes::new(&self.rows, owed.size), owed.size)?;
            if now != owed.root {
                self.halt(format!("the first {} transfers are not those that were published: the ledger was rewritten", owed.size));
                return Ok(());
            }
            hashing.owed = None;
        }
        if self.head().is_none_or(|head| head.size < posted) {
            let root = root(&TileNodes::new(&self.rows, posted), posted)?;
            let note = self.signer.sign(posted, root);
            // Hashes before the head, the head before the world.
            self.rows.sync()?;
            self.keys.keep_head(&note)?;
            self.head.store(Some(Arc::new(Head { size: posted, root, note })));
        }
        Ok(())
    }

    fn leaf(&self, view: &View, leaf: u64) -> NodeHash {
        let entry =
            entry_at(view, leaf, &self.keys.names).expect("leaves below the count have a transfer: all three are written in one commit");
        leaf_hash(&entry)
    }

    /// Hashes every transfer that was published before the start once more and compares with the head: a transfer rewritten in the state is noticed even
    /// though the hashes on disk are the old ones. Asks for a picture of the state now and then, so that none is held for long, and ends early if there is
    /// none any more. Blocks, for seconds per million.
    ///
    /// # Errors
    /// The file system's.
    pub fn check(&self, pictures: impl Fn() -> Option<Arc<View>>) -> io::Result<()> {
        let Some(head) = self.head() else { return Ok(()) };
        let mut frontier = Frontier::default();
        let Some(mut view) = pictures() else { return Ok(()) };
        let mut tile = Vec::new();
        for leaf in 0..head.size {
            if leaf.is_multiple_of(tree::TILE_WIDTH) {
                let Some(newer) = pictures() else { return Ok(()) };
                view = newer;
                let name = tree::Tile::at(0, leaf / tree::TILE_WIDTH, head.size).expect("the head has this leaf, so it has its tile");
                tile = self.rows.tile(name)?;
            }
            let hash = self.leaf(&view, leaf);
            let place = (leaf % tree::TILE_WIDTH) as usize * hash.len();
            if tile[place..place + hash.len()] != hash {
                self.halt(format!("transfer {leaf} is not what was published: it was rewritten, or its hash on disk is damaged"));
                return Ok(());
            }
            frontier.push(hash);
        }
        if frontier.root() != head.root {
            self.halt("the hashes on disk are damaged: stop, remove the folder `ledger` from the data folder, and start".to_owned());
        }
        Ok(())
    }

    /// Follows the engine until it stops.
    pub async fn run(self: Arc<Self>, engine: WeakEngine, mut positions: watch::Receiver<Position>) {
        let (checker, checked_engine, alive) = (self.clone(), engine.clone(), positions.clone());
        let checked = tokio::task::spawn_blocking(move || {
            let is_on = || checker.halted().is_none() && alive.has_changed().is_ok();
            let picture = || checked_engine.upgrade().filter(|_| is_on()).map(|engine| engine.view());
            report(storage::fault::catch(|| checker.check(picture)));
        });
        let mut checked = Some(checked);
        loop {
            let Some(view) = engine.upgrade().map(|engine| engine.view()) else { return };
            let this = self.clone();
            let ran = tokio::task::spawn_blocking(move || report(storage::fault::catch(|| this.advance(&view)))).await;
            if ran.is_err() {
                return;
            }
            if let Some(head) = self.head() {
                metrics::gauge!("medina_ledger_tree_size").set(head.size as f64);
            }
            metrics::gauge!("medina_ledger_tree_halted").set(f64::from(u8::from(self.halted().is_some())));
            if self.halted().is_some() {
                return self.tell(&engine).await;
            }
            tokio::time::sleep(PERIOD).await;
            tokio::select! {
                changed = positions.changed() => if changed.is_err() { return },
                // A finding of the check is told at once, also when nobody trades.
                _ = async { match &mut checked { Some(check) => check.await, None => std::future::pending().await } } => checked = None,
            }
        }
    }

    /// Puts it on the operators' list.
    async fn tell(&self, engine: &WeakEngine) {
        let (Some(engine), Some(why)) = (engine.upgrade(), self.halted().map(ToOwned::to_owned)) else { return };
        let told = engine.write(&Caller::system("ledger"), "ledger.halted", move |tx| {
            tx.attention("ledger_halted", "ledger", why, &[]);
            Ok::<(), Fault>(())
        });
        if let Err(error) = told.await {
            tracing::error!(?error, "the operators' list could not be told that the ledger is halted");
        }
    }
}

/// A failed round is tried again at the next commit; a full disk may be over by then.
fn report(ran: Result<io::Result<()>, storage::Fault>) {
    let why = match ran {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(fault) => fault.to_string(),
    };
    metrics::counter!("medina_ledger_tree_failures_total").increment(1);
    tracing::error!(why, "the ledger's tree could not be brought up to date");
}
