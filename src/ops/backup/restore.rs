//! `medina restore`: a data folder from a copy. It opens a new epoch with the outbox paused, so that nothing is taken for the original's history and
//! nothing goes out twice; `--verify` builds it in scratch, checks everything, and removes it.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use storage::archive::Goal;
use storage::{Clock, MachineClock, View};

use super::destination::{Destination, plain_name};
use super::erased;
use super::rebuild::{Rebuilt, rebuild};
use super::ship::{Progress, is_hash};
use crate::engine::pause;
use crate::people::keyring::Keyring;

/// What came of a restore or a drill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// The snapshot it began with, as `epoch.seq`.
    pub snapshot: String,
    /// Records of the log after it.
    pub records: u64,
    /// The restored state, as `epoch.seq`, before the new epoch.
    pub position: String,
    /// Of the last record in it.
    pub time: String,
    /// Of the restored state, in hex, read back from the disk.
    pub digest: String,
    /// The epoch that the copy opened; absent after a drill.
    pub epoch: Option<u64>,
    /// Why the log was not followed to its end, if it was damaged.
    pub stopped: Option<String>,
    /// What a drill found; empty is good.
    pub findings: Vec<String>,
    /// `live` or `sandbox`.
    pub mode: String,
    /// Pictures that were copied.
    pub media: u64,
    /// Whether keys were copied; without its keys the copy does not start.
    pub keys: bool,
    /// Persons who were erased after that copy of the keys was made, and whose keys were erased in it too.
    #[serde(default)]
    pub erased_again: u64,
    pub took_ms: u64,
}

impl Restored {
    fn of(rebuilt: &Rebuilt, begun: Instant) -> Self {
        let position = rebuilt.store.position();
        Self {
            snapshot: format!("{}.{}", rebuilt.manifest.epoch, rebuilt.manifest.seq),
            records: rebuilt.records,
            position: format!("{}.{}", position.epoch, position.seq),
            time: position.time.to_string(),
            digest: rebuilt.digest.clone(),
            epoch: None,
            stopped: rebuilt.stopped.clone(),
            findings: Vec::new(),
            mode: rebuilt.manifest.mode.clone(),
            media: 0,
            keys: false,
            erased_again: 0,
            took_ms: took(begun),
        }
    }
}

fn took(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Restores into `to`, which must be absent or empty. `keys` is a backup of `DATA/keys`.
///
/// # Errors
/// A sentence; `to` then holds no state, and can be used again.
pub fn restore(from: &Destination, to: &Path, goal: Goal, keys: Option<&Path>, progress: Progress<'_>) -> Result<Restored, String> {
    let begun = Instant::now();
    let failed = |error: io::Error| format!("{}: {error}", to.display());
    let draft = to.join("restoring");
    if draft.exists() {
        fs::remove_dir_all(&draft).map_err(failed)?;
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(to).map_err(failed)?;
    if fs::read_dir(to).map_err(failed)?.next().is_some() {
        return Err(format!("{} is not empty: restore into an empty folder", to.display()));
    }
    let restored = fill(from, to, goal, keys, progress, begun);
    if restored.is_err() {
        // What was begun is worth nothing, and the folder shall be empty for the next attempt.
        for entry in fs::read_dir(to).into_iter().flatten().filter_map(Result::ok) {
            let path = entry.path();
            let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        }
    }
    restored
}

fn fill(
    from: &Destination,
    to: &Path,
    goal: Goal,
    keys: Option<&Path>,
    progress: Progress<'_>,
    begun: Instant,
) -> Result<Restored, String> {
    let failed = |error: io::Error| format!("{}: {error}", to.display());
    let state = to.join("restoring").join("state");
    let mut rebuilt = rebuild(from, goal, &state, progress)?;
    let mut restored = Restored::of(&rebuilt, begun);
    let epoch = rebuilt.epoch_seen + 1;
    let now = MachineClock.now();
    let store = &mut rebuilt.store;
    let why = format!(
        "this is a copy restored from {} at {} ({}); release the outbox when the original no longer runs: what it sent after that would go out again",
        from.shown(),
        restored.position,
        restored.time
    );
    let fatal = |error: storage::store::Fatal| error.to_string();
    store.open_epoch(epoch, now).map_err(fatal)?;
    store.begin(now);
    let Ok(_) = store.run(|txn| {
        pause::pause(txn, &why);
        Ok::<(), std::convert::Infallible>(())
    });
    store.commit().map_err(fatal)?;
    store.fold_now().map_err(fatal)?;
    let manifest = rebuilt.manifest;
    drop(rebuilt.store);
    fs::write(to.join("mode"), &manifest.mode).map_err(failed)?;
    restored.media = media(from, &to.join("media"))?;
    erased::take_along(from, to)?;
    if let Some(keys) = keys {
        copy_keys(keys, &to.join("keys")).map_err(|error| format!("the keys in {}: {error}", keys.display()))?;
        restored.keys = true;
        restored.erased_again = erase_again(to)?;
    }
    // The state last: a folder that has one is whole.
    fs::rename(&state, to.join("state")).map_err(failed)?;
    fs::remove_dir_all(to.join("restoring")).map_err(failed)?;
    fs::File::open(to).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(Restored { epoch: Some(epoch), took_ms: took(begun), ..restored })
}

fn media(from: &Destination, to: &Path) -> Result<u64, String> {
    let mut copied = 0;
    for object in from.list("media")?.into_keys() {
        let name = plain_name(&object);
        if !is_hash(name) {
            continue;
        }
        let bytes = from.get(&format!("media/{object}"))?;
        if blake3::hash(&bytes).to_hex().as_str() != name {
            return Err(format!("the picture {name} at {} is damaged", from.shown()));
        }
        fs::create_dir_all(to).and_then(|()| fs::write(to.join(name), bytes)).map_err(|error| format!("{}: {error}", to.display()))?;
        copied += 1;
    }
    Ok(copied)
}

/// A copy that gets its keys by hand, later, does the same when it starts.
fn erase_again(to: &Path) -> Result<u64, String> {
    let keys = to.join("keys");
    if !keys.join("people.keys").exists() {
        return Ok(0);
    }
    let keyring = Keyring::open(&keys).map_err(|error| format!("{}: {error}", keys.display()))?;
    erased::apply(to, &keyring)
}

fn copy_keys(from: &Path, to: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let there = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_keys(&entry.path(), &there)?;
        } else {
            fs::copy(entry.path(), &there)?;
            fs::set_permissions(&there, fs::Permissions::from_mode(0o600))?;
        }
    }
    Ok(())
}

/// Checks a state; says what is wrong with it.
pub type Inspect<'a> = &'a dyn Fn(&View) -> Vec<String>;

/// Restores into `scratch`, checks every invariant, and removes it again.
///
/// # Errors
/// A sentence: it could not even be restored.
pub fn drill(from: &Destination, scratch: &Path, goal: Goal, inspect: Inspect<'_>, progress: Progress<'_>) -> Result<Restored, String> {
    let begun = Instant::now();
    let failed = |error: io::Error| format!("{}: {error}", scratch.display());
    if scratch.exists() {
        fs::remove_dir_all(scratch).map_err(failed)?;
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(scratch).map_err(failed)?;
    let checked = rebuild(from, goal, &scratch.join("state"), progress).map(|rebuilt| {
        let mut restored = Restored::of(&rebuilt, begun);
        restored.findings = inspect(&rebuilt.store.views().now());
        restored.findings.extend(restored.stopped.clone());
        restored
    });
    fs::remove_dir_all(scratch).map_err(failed)?;
    checked.map(|restored| Restored { took_ms: took(begun), ..restored })
}
