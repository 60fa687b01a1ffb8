//! What a stranger does with an old checkpoint: fetch the new one and the tiles, and see whether the ledger only grew. And the same from a data folder.

use std::path::Path;
use std::sync::Arc;

use storage::disk::RealDisk;
use storage::ledger::leaf_count;
use storage::ledger::tree::tile::bundled;
use storage::ledger::tree::{
    Frontier, NodeHash, Tile, TileKind, TileNodes, TileSource, consistency, entry_at, leaf_hash, verify_consistency,
};
use storage::{Options, Store};

use super::keys::LedgerKeys;
use super::note::{Checkpoint, NoteError, VerifierKey};

/// Why the ledger cannot be believed, or could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Doubt {
    #[error("the old checkpoint: {0}")]
    Old(NoteError),
    #[error("the current checkpoint: {0}")]
    Current(NoteError),
    #[error("the ledger shrank: it had {old} transfers and has {now}")]
    Shrank { old: u64, now: u64 },
    #[error("FORKED: the first {old} transfers are not those of the old checkpoint")]
    Forked { old: u64 },
    #[error("REWRITTEN: transfer {leaf} is not what its hash says")]
    Rewritten { leaf: u64 },
    #[error("REWRITTEN: the transfers do not give the root of the checkpoint over {size}")]
    OtherRoot { size: u64 },
    #[error("{what}: {why}")]
    Unreadable { what: String, why: String },
}

impl Doubt {
    /// Whether the ledger was caught, rather than not reached.
    #[must_use]
    pub fn is_proof(&self) -> bool {
        match self {
            Self::Shrank { .. } | Self::Forked { .. } | Self::Rewritten { .. } | Self::OtherRoot { .. } => true,
            Self::Old(_) | Self::Current(_) | Self::Unreadable { .. } => false,
        }
    }
}

/// What was found to be true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grown {
    pub old: Checkpoint,
    pub now: Checkpoint,
    /// How many transfers were hashed one by one, rather than believed as far as the tiles go.
    pub entries: u64,
}

fn unreadable(what: &str, why: impl ToString) -> Doubt {
    Doubt::Unreadable { what: what.to_owned(), why: why.to_string() }
}

/// A server's public ledger.
pub struct Remote {
    http: reqwest::Client,
    base: String,
    runtime: tokio::runtime::Handle,
}

impl Remote {
    /// The ledger of the server at `base`. Call from within a runtime.
    ///
    /// # Errors
    /// No client can be made.
    pub fn new(base: &str) -> Result<Self, Doubt> {
        let http = reqwest::Client::builder().build().map_err(|error| unreadable("the HTTP client", error))?;
        Ok(Self { http, base: base.trim_end_matches('/').to_owned(), runtime: tokio::runtime::Handle::current() })
    }

    /// Blocks.
    fn get(&self, path: &str) -> Result<Vec<u8>, Doubt> {
        let url = format!("{}/ledger/{path}", self.base);
        let fetched = self.runtime.block_on(async {
            let answer = self.http.get(&url).send().await?.error_for_status()?;
            answer.bytes().await
        });
        fetched.map(|bytes| bytes.to_vec()).map_err(|error| unreadable(&url, error))
    }

    fn text(&self, path: &str) -> Result<String, Doubt> {
        String::from_utf8(self.get(path)?).map_err(|error| unreadable(path, error))
    }

    /// The key that the server says is its own: believe it only if you have no other source. Blocks.
    ///
    /// # Errors
    /// [`Doubt::Unreadable`].
    pub fn key(&self) -> Result<VerifierKey, Doubt> {
        self.text("key")?.parse().map_err(|error: NoteError| unreadable("/ledger/key", error))
    }
}

impl TileSource for Remote {
    type Error = Doubt;

    fn tile(&self, tile: Tile) -> Result<Vec<u8>, Doubt> {
        let path = format!("tile/{tile}");
        let bytes = self.get(&path)?;
        let expected = match tile.kind {
            TileKind::Hashes { .. } => bytes.len() as u64 == tile.width * 32,
            TileKind::Entries => bundled(&bytes).is_some_and(|entries| entries.len() as u64 == tile.width),
        };
        if expected { Ok(bytes) } else { Err(unreadable(&path, "it has another length than its name says")) }
    }
}

/// Proves that the server's ledger only grew since `old`; with `entries` also that its transfers are what is hashed. Blocks.
///
/// # Errors
/// [`Doubt`].
pub fn remote(server: &Remote, key: &VerifierKey, old: &str, entries: bool) -> Result<Grown, Doubt> {
    let old = key.open(old).map_err(Doubt::Old)?;
    let now = key.open(&server.text("checkpoint")?).map_err(Doubt::Current)?;
    if now.size < old.size {
        return Err(Doubt::Shrank { old: old.size, now: now.size });
    }
    // The tiles are the server's word; the proof made from them is not.
    let proof = consistency(&TileNodes::new(server, now.size), old.size, now.size)?;
    if !verify_consistency(&proof, old.size, &old.root, now.size, &now.root) {
        return Err(Doubt::Forked { old: old.size });
    }
    if entries {
        hash_all(server, &old, &now)?;
    }
    let entries = if entries { now.size } else { 0 };
    Ok(Grown { old, now, entries })
}

fn hash_all(server: &Remote, old: &Checkpoint, now: &Checkpoint) -> Result<(), Doubt> {
    let mut frontier = Frontier::default();
    let mut index = 0;
    while let Some(tile) = Tile::entries(index, now.size) {
        let (bundle, hashes) = (server.tile(tile)?, server.tile(Tile { kind: TileKind::Hashes { level: 0 }, ..tile })?);
        let entries = bundled(&bundle).expect("Remote hands out whole bundles only");
        for (entry, hash) in entries.into_iter().zip(hashes.as_chunks::<32>().0) {
            if leaf_hash(entry) != *hash {
                return Err(Doubt::Rewritten { leaf: frontier.size() });
            }
            push(&mut frontier, *hash, old)?;
        }
        index += 1;
    }
    if frontier.root() == now.root { Ok(()) } else { Err(Doubt::OtherRoot { size: now.size }) }
}

/// One more leaf; where the old tree ends its root is compared.
fn push(frontier: &mut Frontier, leaf: NodeHash, old: &Checkpoint) -> Result<(), Doubt> {
    frontier.push(leaf);
    if frontier.size() == old.size && frontier.root() != old.root { Err(Doubt::Forked { old: old.size }) } else { Ok(()) }
}

/// The same from a data folder that no server has open: every transfer is hashed anew; the newest published head is the one beside the keys. Blocks.
///
/// # Errors
/// [`Doubt`].
pub fn folder(data: &Path, key: Option<&VerifierKey>, old: &str) -> Result<Grown, Doubt> {
    let keys = LedgerKeys::existing(&data.join("keys")).map_err(|error| unreadable("the ledger's keys", error))?;
    let name = old.lines().next().unwrap_or_default();
    let own = keys.signer(Some(name)).map_err(Doubt::Old)?;
    let old = key.unwrap_or(own.verifier()).open(old).map_err(Doubt::Old)?;
    let head = keys.head().map_err(|error| unreadable("the published head", error))?;
    let state = data.join("state");
    if !state.is_dir() {
        return Err(unreadable(&state.display().to_string(), "there is no data folder"));
    }
    let store = Store::open(Arc::new(RealDisk), &state, Options::with_seed([0; 32])).map_err(|error| unreadable("the state", error))?;
    let posted = leaf_count(store.head());
    let newest = head.as_ref().map_or(old.size, |head| head.size).max(old.size);
    if posted < newest {
        return Err(Doubt::Shrank { old: newest, now: posted });
    }
    let hashed = storage::fault::catch(|| {
        let mut frontier = Frontier::default();
        for leaf in 0..posted {
            let entry = entry_at(store.head(), leaf, &keys.names).ok_or(Doubt::Rewritten { leaf })?;
            push(&mut frontier, leaf_hash(&entry), &old)?;
            if let Some(head) = head.as_ref().filter(|head| head.size == frontier.size() && head.root != frontier.root()) {
                return Err(Doubt::OtherRoot { size: head.size });
            }
        }
        Ok(frontier)
    });
    let frontier = hashed.map_err(|fault| unreadable("the state", fault))??;
    let now = Checkpoint { origin: old.origin.clone(), size: posted, root: frontier.root() };
    Ok(Grown { old, now, entries: posted })
}
