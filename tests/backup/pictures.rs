//! Pictures at the destination live as long as a kept snapshot, or the state as it is, names them.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

use medina::city::media::model::{MEDIA, Media, MediaId};
use medina::city::media::sniff::Format;
use medina::engine::UserId;
use medina::ops::backup::config::Keep;
use medina::ops::backup::{Destination, keep, pictures, ship, take};
use storage::{Store, Timestamp};

use super::parts::{commit, store};
use super::{blocking, folder, to};

/// A picture on the shelf, which came long ago, and its name.
fn on_the_shelf(data: &Path, bytes: &[u8]) -> (String, [u8; 32]) {
    let hash = blake3::hash(bytes);
    let name = hash.to_hex().to_string();
    std::fs::create_dir_all(data.join("media")).expect("made");
    std::fs::write(data.join("media").join(&name), bytes).expect("written");
    long_ago(&data.join("media").join(&name));
    (name, *hash.as_bytes())
}

fn long_ago(file: &Path) {
    let then = SystemTime::now() - Duration::from_secs(3 * 86_400);
    File::options().write(true).open(file).and_then(|file| file.set_modified(then)).expect("its age is set");
}

fn row(store: &mut Store, id: u128, hash: Option<[u8; 32]>) {
    store.begin(store.position().time);
    let ran = store.run(|txn| {
        let id = MediaId::from_u128(id);
        match hash {
            Some(hash) => {
                let owner = UserId::from_u128(1);
                MEDIA.put(txn, &id, &Media { owner, hash, format: Format::Png, bytes: 3, created_at: Timestamp::from_millis(1) });
            }
            None => drop(MEDIA.delete(txn, &id)),
        }
        Ok::<(), ()>(())
    });
    ran.expect("it cannot refuse");
    store.commit().expect("the disk is healthy");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_goes_with_the_last_snapshot_that_names_it() {
    let temporary = tempfile::tempdir().expect("a folder");
    blocking(move |runtime| {
        let (data, there) = (temporary.path().join("data"), temporary.path().join("away"));
        let to = Destination::configured(&to(&folder(&there)), runtime).expect("it opens").expect("it is named");
        let mut store = store(&data);
        let ((old, old_hash), (new, new_hash)) = (on_the_shelf(&data, b"old"), on_the_shelf(&data, b"new"));
        let (lost, _) = on_the_shelf(&data, b"no row has ever named it");
        let snapshot = |store: &Store| {
            let manifest = take::take(&store.views().now(), &data, "live").expect("it is taken");
            ship::ship(&data, &manifest, &to, &|_, _| ()).expect("it is sent");
            for name in to.list("media").expect("it lists").keys() {
                long_ago(&there.join("media").join(name));
            }
        };
        let at = || to.list("media").expect("it lists").into_keys().collect::<BTreeSet<_>>();
        let names = |names: &[&String]| names.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        commit(&mut store, 1, 10);
        row(&mut store, 1, Some(old_hash));
        snapshot(&store);
        assert_eq!(at(), names(&[&old]), "what is on the shelf and in no row is not sent");
        row(&mut store, 1, None);
        row(&mut store, 2, Some(new_hash));
        snapshot(&store);
        let now = pictures::named(&*store.views().now());
        assert_eq!(now, BTreeSet::from([new_hash]));
        // As long as the first snapshot stays, its picture does.
        assert_eq!(keep::prune(&to, Keep { last: 2, daily: 0, weekly: 0 }, &now), Ok(0));
        assert_eq!(at(), names(&[&old, &new]));
        // One that came lately may be in the log, and stays whatever names it.
        std::fs::write(there.join("media").join(&lost), b"no row has ever named it").expect("written");
        keep::prune(&to, Keep { last: 1, daily: 0, weekly: 0 }, &now).expect("it prunes");
        assert_eq!(at(), names(&[&lost, &new]));
        long_ago(&there.join("media").join(&lost));
        keep::prune(&to, Keep { last: 1, daily: 0, weekly: 0 }, &now).expect("it prunes");
        assert_eq!(at(), names(&[&new]));
        // Sent again it is not, although it is still on the shelf.
        commit(&mut store, 2, 10);
        snapshot(&store);
        assert_eq!(at(), names(&[&new]));
    })
    .await;
}
