//! Copies and the way back: what was archived is the state at every moment, a copy sends nothing by itself, an interrupted upload goes on, and nothing
//! but what was written is taken.

mod bucket;
mod city;
mod erasure;
mod held;
mod parts;
mod pictures;
mod schedule;
#[path = "../wire/mod.rs"]
mod wire;

use std::path::Path;

use medina::ops::backup::config::S3;
use medina::ops::backup::restore::{Restored, restore};
use medina::ops::backup::seal::Unseal;
use medina::ops::backup::{BackupConfig, Destination};
use storage::archive::Goal;
use tokio::runtime::Handle;

/// Backups block; tests wait for them as a server's threads do.
async fn blocking<T: Send + 'static>(work: impl FnOnce(&Handle) -> T + Send + 'static) -> T {
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || work(&runtime)).await.expect("it does not panic")
}

fn folder(path: &Path) -> String {
    path.display().to_string()
}

/// No schedule of its own: the test says when.
fn to(place: &str) -> BackupConfig {
    BackupConfig { to: Some(place.to_owned()), every_minutes: 0, drill_every_hours: 0, ..BackupConfig::default() }
}

/// Restores into `to` with the keys of `data`.
async fn restored(from: &str, s3: S3, identity: Option<&Path>, goal: Goal, to: &Path, data: &Path) -> Result<Restored, String> {
    let (from, to, keys, identity) = (from.to_owned(), to.to_owned(), data.join("keys"), identity.map(Path::to_owned));
    blocking(move |runtime| {
        let unseal = identity.map(|file| Unseal::read(&file)).transpose()?;
        let from = Destination::open(&from, &s3, false, runtime)?.unsealing(unseal);
        restore(&from, &to, goal, Some(&keys), &|_, _| ())
    })
    .await
}
