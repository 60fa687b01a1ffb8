//! An S3-compatible bucket that is not ours: `moto_server` (PyPI `moto[server]`), named by `MEDINA_MOTO` or found on the PATH.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use medina::ops::backup::archiver::Archiver;
use medina::ops::backup::config::{Keep, S3};
use medina::ops::backup::rebuild::rebuild;
use medina::ops::backup::{BackupConfig, Destination, keep, ship, take};
use storage::archive::Goal;
use storage::disk::RealDisk;

use super::parts::{commit, store};
use super::{blocking, to};

struct Moto(Child);

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts it on a port of its own and makes a bucket; `None` if it is not installed.
async fn moto() -> Option<(Moto, String)> {
    let program = std::env::var("MEDINA_MOTO").unwrap_or_else(|_| "moto_server".to_owned());
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let child = Command::new(program)
        .args(["-H", "127.0.0.1", "-p", &free.port().to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut moto = Moto(child);
    let endpoint = format!("http://{free}");
    medina::crypto::install();
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    loop {
        if let Ok(answer) = http.put(format!("{endpoint}/copies")).send().await {
            assert!(answer.status().is_success(), "{answer:?}");
            return Some((moto, endpoint));
        }
        // A launcher that finds no such program ends at once.
        if moto.0.try_wait().expect("it can be asked").is_some() {
            return None;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_holds_copies_too() {
    let Some((moto, endpoint)) = moto().await else {
        eprintln!("SKIPPED: no moto_server (pip install 'moto[server]', or MEDINA_MOTO=<path>)");
        return;
    };
    let temporary = tempfile::tempdir().expect("a folder");
    blocking(move |runtime| {
        let credentials = temporary.path().join("credentials");
        std::fs::write(&credentials, "[default]\naws_access_key_id = anybody\naws_secret_access_key = anything\n").expect("written");
        let s3 = S3 { endpoint: Some(endpoint), region: Some("us-east-1".to_owned()), credentials_file: Some(credentials) };
        let config = BackupConfig { s3: s3.clone(), ..to("s3://copies/accra/one") };
        let data = temporary.path().join("data");
        let bucket = Destination::configured(&config, runtime).expect("it opens").expect("it is named");
        let mut store = store(&data);
        for n in 0..10 {
            commit(&mut store, n, 1 << 20);
        }
        let manifest = take::take(&store.views().now(), &data, "live").expect("it is taken");
        let sent = ship::ship(&data, &manifest, &bucket, &|_, _| ()).expect("it is sent");
        assert_eq!(sent, manifest.bytes());
        // An upload that lost its first part and its manifest goes on with just these.
        let place = manifest.place().expect("a place");
        for gone in ["manifest.json", &manifest.parts[0].name] {
            bucket.delete(&format!("snapshots/{place}/{gone}")).expect("removed");
        }
        assert_eq!(ship::ship(&data, &manifest, &bucket, &|_, _| ()), Ok(manifest.parts[0].bytes));
        let mut archiver = Archiver::new(Arc::new(RealDisk), data.join("state/log"), store.holds());
        for n in 10..15 {
            commit(&mut store, n, 1_000);
            archiver.step(&store.views().now(), &bucket).expect("it is sent");
        }
        assert_eq!(bucket.list("log").expect("it lists").len(), 5);
        let from = Destination::open("s3://copies/accra/one", &s3, false, runtime).expect("it opens");
        let copy = |goal, name: &str| {
            rebuild(&from, goal, &temporary.path().join(name), &|_, _| ()).map(|rebuilt| (rebuilt.store.position().seq, rebuilt.digest))
        };
        assert_eq!(copy(Goal::default(), "copy"), Ok((15, store.head().digest().to_string())));
        assert_eq!(copy(Goal { seq: Some(12), ..Goal::default() }, "earlier").map(|(seq, _)| seq), Ok(12));
        assert_eq!(keep::prune(&bucket, Keep { last: 1, daily: 0, weekly: 0 }, &BTreeSet::new()), Ok(0), "all is wanted");
        assert!(!Path::new("s3:").exists());
    })
    .await;
    drop(moto);
}
