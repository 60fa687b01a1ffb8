//! Who was erased after the copies were made stays erased in whatever is restored from them, also with an old copy of the keys.

use std::path::Path;

use medina::ops::backup::config::S3;
use medina::ops::backup::restore::restore;
use medina::ops::backup::{BackupConfig, Destination};
use medina::people::users::USERS;
use storage::archive::Goal;

use super::city::{archived, found, mark, start};
use super::{blocking, folder, restored, to};

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("made");
    for entry in std::fs::read_dir(from).expect("it is there").filter_map(Result::ok) {
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_erased_stay_erased_in_a_restored_copy() {
    let temporary = tempfile::tempdir().expect("a folder");
    let (data, away, old) = (temporary.path().join("data"), temporary.path().join("away"), temporary.path().join("old"));
    let app = start(&data, to(&folder(&away))).await;
    let town = found(&app).await;
    let (ama, kofi) = (town.customer("+233200000001").await, town.customer("+233200000002").await);
    let before = mark(&app).0.seq;
    archived(&town, &app, before).await;
    copy(&data.join("keys"), &old.join("keys"));
    let slot = |id: &str| USERS.get(&*app.engine().view(), &id.parse().expect("an id")).expect("known").slot;
    let (gone, kept) = (slot(&ama.id), slot(&kofi.id));
    app.keyring().erase(gone).expect("erased");
    // The list is beside the archive and beside the data, without a snapshot and without a commit.
    let name = format!("erased/{:032x}/{gone}", app.keyring().id());
    while !(away.join(&name).exists() && data.join(&name).exists()) {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    app.stop().await;
    // To a moment before the erasure, with the keys of before.
    let goal = Goal { seq: Some(before), ..Goal::default() };
    let (by_flag, by_hand) = (temporary.path().join("by-flag"), temporary.path().join("by-hand"));
    let done = restored(&folder(&away), S3::default(), None, goal, &by_flag, &old).await.expect("it restores");
    assert_eq!(done.erased_again, 1);
    let (from, into) = (folder(&away), by_hand.clone());
    let done = blocking(move |runtime| {
        let from = Destination::open(&from, &S3::default(), false, runtime)?;
        restore(&from, &into, goal, None, &|_, _| ())
    });
    assert!(!done.await.expect("it restores").keys);
    copy(&old.join("keys"), &by_hand.join("keys"));
    for copy in [by_flag, by_hand] {
        let app = start(&copy, BackupConfig::default()).await;
        let erased = app.keyring().erased().expect("read");
        assert!(erased.contains(&gone) && !erased.contains(&kept), "{}: {erased:?}", copy.display());
        app.stop().await;
    }
}
