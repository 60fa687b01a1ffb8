//! Sending in parts, archiving step by step, keeping by policy: without an appliance around.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use medina::ops::backup::archiver::{Archiver, Stand};
use medina::ops::backup::config::{Keep, S3};
use medina::ops::backup::rebuild::rebuild;
use medina::ops::backup::{BackupConfig, Destination, keep, ship, take};
use storage::archive::Goal;
use storage::disk::RealDisk;
use storage::{Options, Store, Timestamp};
use tokio::runtime::Handle;

use super::{blocking, folder, to};

pub fn store(data: &Path) -> Store {
    let options =
        Options { segment_bytes: 64 << 10, log_kept_bytes: 128 << 10, log_held_bytes_max: 512 << 10, ..Options::with_seed([1; 32]) };
    Store::open(Arc::new(RealDisk), &data.join("state"), options).expect("it opens")
}

/// A commit of `bytes` that do not compress.
pub fn commit(store: &mut Store, n: u64, bytes: usize) {
    store.begin(Timestamp::from_millis(1_700_000_000_000 + n as i64 * 3_600_000));
    let mut noise = vec![0; bytes];
    blake3::Hasher::new().update(&n.to_le_bytes()).finalize_xof().fill(&mut noise);
    store
        .run(|txn| {
            txn.set_raw(&[&[9, 9][..], &n.to_be_bytes()].concat(), Some(noise.into()));
            Ok::<(), ()>(())
        })
        .expect("it cannot refuse");
    store.commit().expect("the disk is healthy");
}

fn away(to_: &Path, runtime: &Handle) -> Destination {
    Destination::configured(&to(&folder(to_)), runtime).expect("it opens").expect("it is named")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_upload_goes_on() {
    let temporary = tempfile::tempdir().expect("a folder");
    blocking(move |runtime| {
        let (data, there) = (temporary.path().join("data"), temporary.path().join("away"));
        let mut store = store(&data);
        for n in 0..20 {
            commit(&mut store, n, 1 << 20);
        }
        let digest = store.head().digest();
        let manifest = take::take(&store.views().now(), &data, "live").expect("it is taken");
        assert_eq!(manifest.parts.len(), 3, "{:?}", manifest.parts);
        assert_eq!(take::take(&store.views().now(), &data, "live").expect("the same"), manifest);
        let to = away(&there, runtime);
        // The second part's place is taken by a folder: that write fails, as a lost connection would.
        let place = there.join("snapshots").join(manifest.place().expect("a place").to_string());
        let blocked = place.join(&manifest.parts[1].name);
        std::fs::create_dir_all(blocked.join("in the way")).expect("made");
        ship::ship(&data, &manifest, &to, &|_, _| ()).expect_err("it is interrupted");
        assert!(rebuild(&to, Goal::default(), &temporary.path().join("none"), &|_, _| ()).is_err(), "what is not whole is not there");
        std::fs::remove_dir_all(&blocked).expect("removed");
        let seen = std::cell::Cell::new((0, 0));
        let sent = ship::ship(&data, &manifest, &to, &|done, all| seen.set((done, all))).expect("it goes on");
        assert_eq!(sent, manifest.parts[1].bytes + manifest.parts[2].bytes, "only what was missing");
        assert_eq!(seen.get(), (manifest.bytes(), manifest.bytes()));
        assert_eq!(ship::ship(&data, &manifest, &to, &|_, _| ()), Ok(0), "all is there");
        let rebuilt = rebuild(&to, Goal::default(), &temporary.path().join("copy"), &|_, _| ()).expect("it restores");
        assert_eq!(rebuilt.digest, digest.to_string());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_archive_goes_on_after_a_restart_and_says_when_it_cannot() {
    let temporary = tempfile::tempdir().expect("a folder");
    blocking(move |runtime| {
        let (data, there) = (temporary.path().join("data"), temporary.path().join("away"));
        let to = away(&there, runtime);
        let mut store = store(&data);
        let archiver = |store: &Store| Archiver::new(Arc::new(RealDisk), data.join("state/log"), store.holds());
        let base = |store: &Store, archiver: &mut Archiver| {
            let manifest = take::take(&store.views().now(), &data, "live").expect("it is taken");
            ship::ship(&data, &manifest, &to, &|_, _| ()).expect("it is sent");
            archiver.base(manifest.place().expect("a place"));
        };
        let mut first = archiver(&store);
        commit(&mut store, 1, 100);
        assert_eq!(first.step(&store.views().now(), &to), Ok(Stand::NeedsBase { gap: false }));
        base(&store, &mut first);
        // More small pieces than one merge takes.
        for n in 2..300 {
            commit(&mut store, n, 100);
            assert_eq!(first.step(&store.views().now(), &to), Ok(Stand::CaughtUp));
        }
        let pieces = to.list("log").expect("it lists").len();
        assert!((1..=60).contains(&pieces), "{pieces} pieces: 256 small ones became one");
        let copy = |name: &str| rebuild(&to, Goal::default(), &temporary.path().join(name), &|_, _| ()).expect("it restores").digest;
        assert_eq!(copy("merged"), store.head().digest().to_string());
        // After a restart it goes on where it was, without a snapshot.
        drop(first);
        let mut second = archiver(&store);
        commit(&mut store, 300, 100);
        assert_eq!(second.step(&store.views().now(), &to), Ok(Stand::CaughtUp));
        assert_eq!(copy("restarted"), store.head().digest().to_string());
        // What it has not sent is held, up to a limit; then it is trimmed all the same, and the archive says so.
        let held = second.at().expect("it stands somewhere").seq;
        for n in 301..304 {
            commit(&mut store, n, 60_000);
            store.fold_now().expect("the disk is healthy");
        }
        assert!(storage::log::LogReader::open(Arc::new(RealDisk), &data.join("state/log"), held + 1).is_ok(), "it was held");
        for n in 304..320 {
            commit(&mut store, n, 60_000);
            store.fold_now().expect("the disk is healthy");
        }
        let mut third = archiver(&store);
        assert_eq!(third.step(&store.views().now(), &to), Ok(Stand::NeedsBase { gap: true }));
        base(&store, &mut third);
        commit(&mut store, 320, 100);
        assert_eq!(third.step(&store.views().now(), &to), Ok(Stand::CaughtUp));
        assert_eq!(copy("after the gap"), store.head().digest().to_string());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_policy_keeps_can_be_restored_and_the_rest_is_gone() {
    let temporary = tempfile::tempdir().expect("a folder");
    blocking(move |runtime| {
        let (data, there) = (temporary.path().join("data"), temporary.path().join("away"));
        let to = away(&there, runtime);
        let mut store = store(&data);
        let mut archiver = Archiver::new(Arc::new(RealDisk), data.join("state/log"), store.holds());
        let mut digests = Vec::new();
        for n in 1..=6 {
            commit(&mut store, n, 100);
            let manifest = take::take(&store.views().now(), &data, "live").expect("it is taken");
            ship::ship(&data, &manifest, &to, &|_, _| ()).expect("it is sent");
            if n == 1 {
                archiver.base(manifest.place().expect("a place"));
            }
            archiver.step(&store.views().now(), &to).expect("it is sent");
            digests.push(store.head().digest().to_string());
        }
        let removed = keep::prune(&to, Keep { last: 2, daily: 0, weekly: 0 }, &BTreeSet::new()).expect("it prunes");
        // Four snapshots of two objects each, and the log up to the older of the two that stay.
        assert_eq!(removed, 4 * 2 + 4);
        let stock = keep::Stock::of(&to).expect("it lists");
        assert_eq!(stock.snapshots.iter().map(|place| place.seq).collect::<Vec<_>>(), [5, 6]);
        let at = |seq: u64, name: &str| rebuild(&to, Goal { seq: Some(seq), ..Goal::default() }, &temporary.path().join(name), &|_, _| ());
        for seq in [5, 6] {
            assert_eq!(at(seq, &format!("copy-{seq}")).expect("it restores").digest, digests[seq as usize - 1]);
        }
        let why = at(4, "gone").map(|rebuilt| rebuilt.digest).expect_err("it is gone");
        assert!(why.contains("no snapshot") && why.contains("early enough"), "{why}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_copies_need_the_key() {
    let temporary = tempfile::tempdir().expect("a folder");
    blocking(move |runtime| {
        let (data, there) = (temporary.path().join("data"), temporary.path().join("away"));
        let (key, other) = (age::x25519::Identity::generate(), age::x25519::Identity::generate());
        let write = |name: &str, key: &age::x25519::Identity| {
            use age::secrecy::ExposeSecret;
            let path = temporary.path().join(name);
            std::fs::write(&path, format!("# a comment\n{}\n", key.to_string().expose_secret())).expect("written");
            path
        };
        let (right, wrong) = (write("right.txt", &key), write("wrong.txt", &other));
        let config = BackupConfig { recipients: vec![key.to_public().to_string()], ..to(&folder(&there)) };
        let sealed = Destination::configured(&config, runtime).expect("it opens").expect("it is named");
        let mut store = store(&data);
        commit(&mut store, 1, 1_000);
        std::fs::create_dir_all(data.join("media")).expect("made");
        std::fs::write(data.join("media").join(blake3::hash(b"a picture").to_hex().as_str()), b"a picture").expect("written");
        let manifest = take::take(&store.views().now(), &data, "live").expect("it is taken");
        ship::ship(&data, &manifest, &sealed, &|_, _| ()).expect("it is sent");
        let mut archiver = Archiver::new(Arc::new(RealDisk), data.join("state/log"), store.holds());
        archiver.base(manifest.place().expect("a place"));
        commit(&mut store, 2, 1_000);
        archiver.step(&store.views().now(), &sealed).expect("it is sent");
        assert_eq!(ship::ship(&data, &manifest, &sealed, &|_, _| ()), Ok(0), "nothing twice");
        let opened = |identity: Option<&Path>| {
            let unseal = identity.map(|file| medina::ops::backup::seal::Unseal::read(file).expect("an identity file"));
            Destination::open(&folder(&there), &S3::default(), false, runtime).expect("it opens").unsealing(unseal)
        };
        let none = |name: &str, identity| {
            rebuild(&opened(identity), Goal::default(), &temporary.path().join(name), &|_, _| ()).map(|rebuilt| rebuilt.digest)
        };
        assert!(none("no key", None).expect_err("no key").contains("--identity"));
        assert!(none("wrong key", Some(&wrong)).expect_err("the wrong key").contains("could not be decrypted"));
        assert_eq!(none("right key", Some(&right)), Ok(store.head().digest().to_string()));
        // Nothing but manifests is readable.
        for entry in there.join("log").read_dir().expect("there").chain(there.join("media").read_dir().expect("there")) {
            let bytes = std::fs::read(entry.expect("an entry").path()).expect("there");
            assert!(bytes.starts_with(b"age-encryption.org/v1"));
        }
        assert!(medina::ops::backup::seal::Seal::new(&["age1nonsense".to_owned()]).is_err());
    })
    .await;
}
