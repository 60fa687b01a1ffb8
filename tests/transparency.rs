//! The ledger in the open: posted through the bulk endpoint, published, and checked by an implementation that is not ours; a rewritten transfer and a
//! ledger that went back are noticed.

mod wire;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use medina::money::transparency::note::{Checkpoint, VerifierKey};
use serde_json::{Value, json};
use storage::disk::RealDisk;
use storage::ledger::{TRANSFERS, Transfer, TransferId};
use storage::{Options, Store};
use tempfile::TempDir;
use tlog_tiles::{Hash, TileHashReader, TileReader};
use wire::{Wire, send};

const ADMIN: &str = "admin@medina.test";

/// The program, serving a folder: what is opened again must have been left by whoever had it, as processes leave it.
struct City {
    server: Child,
    wire: Wire,
    token: String,
}

impl City {
    async fn open(data: &Path) -> Self {
        let mut serve = Command::new(env!("CARGO_BIN_EXE_medina"));
        serve.args(["serve", "--sandbox", "--listen", "127.0.0.1:0", "--data"]).arg(data).stdout(Stdio::piped());
        let mut server = serve.spawn().expect("the program starts");
        let mut line = String::new();
        BufReader::new(server.stdout.take().expect("piped")).read_line(&mut line).expect("it says where it serves");
        let base = line.split_whitespace().nth(2).unwrap_or_else(|| panic!("no address in {line:?}")).to_owned();
        let mut admin = Command::new(env!("CARGO_BIN_EXE_medina"));
        let made = admin.args(["admin", "create", "--json", "--email", ADMIN, "--data"]).arg(data).output().expect("the program runs");
        let made: Value = serde_json::from_slice(&made.stdout).expect("JSON");
        let wire = Wire::to(&base);
        let login = json!({ "email": ADMIN, "password": made["password"] });
        let token = send(wire.ask("POST /v1/auth/login").json(&login)).await.is(200).text("access_token");
        Self { server, wire, token }
    }

    /// Asks it to end, and waits until it has.
    fn close(mut self) {
        // SAFETY: kill has no memory effects; the child is ours and not yet waited for, so the id is its own.
        assert_eq!(unsafe { libc::kill(i32::try_from(self.server.id()).expect("a process id"), libc::SIGTERM) }, 0);
        assert!(self.server.wait().expect("it is ours").success());
    }

    async fn post(&self, body: &Value) -> Value {
        send(self.wire.ask("POST /v1/ledger/transfers").bearer_auth(&self.token).json(body)).await.is(200).body
    }

    async fn bytes(&self, path: &str) -> (u16, String, Vec<u8>) {
        let answer = self.wire.ask(&format!("GET {path}")).send().await.expect("the server answers");
        let kept = answer.headers().get("cache-control").map_or("", |value| value.to_str().expect("visible")).to_owned();
        (answer.status().as_u16(), kept, answer.bytes().await.expect("a body").to_vec())
    }

    async fn text(&self, path: &str) -> String {
        let (status, _, bytes) = self.bytes(path).await;
        assert_eq!(status, 200, "{path}");
        String::from_utf8(bytes).expect("text")
    }

    async fn key(&self) -> VerifierKey {
        self.text("/ledger/key").await.parse().expect("a verifier key")
    }

    /// The checkpoint over so many transfers: it is published by itself.
    async fn published(&self, size: u64) -> (String, Checkpoint) {
        let key = self.key().await;
        loop {
            let (status, _, note) = self.bytes("/ledger/checkpoint").await;
            if status == 200 {
                let note = String::from_utf8(note).expect("text");
                let said = key.open(&note).expect("signed by the ledger's key");
                if said.size == size {
                    return (note, said);
                }
                assert!(said.size < size, "{} transfers are published, {size} posted", said.size);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn account(code: u16, owner: u128) -> String {
    format!("{code}-{owner:032x}-GHS")
}

fn id(n: u128) -> String {
    TransferId::from_u128(n).to_string()
}

/// Wallets that are given something, from the first on.
fn gifts(first: u128, count: u128) -> Value {
    let gift = |n| json!({ "id": id(n), "debit": account(5000, 0), "credit": account(2400, 1 + n % 7), "amount": 10 + n as u64 });
    json!({ "transfers": (first..first + count).map(gift).collect::<Vec<_>>() })
}

/// A stranger's way to the tiles: over HTTP, by the names of the specification.
struct Stranger<'a>(&'a City);

impl TileReader for Stranger<'_> {
    fn height(&self) -> u8 {
        8
    }
    fn read_tiles(&self, tiles: &[tlog_tiles::Tile]) -> Result<Vec<Vec<u8>>, tlog_tiles::Error> {
        let read = |tile: &tlog_tiles::Tile| {
            let path = tile.path().replacen("tile/8/", "/ledger/tile/", 1);
            let runtime = tokio::runtime::Handle::current();
            let (status, kept, bytes) = tokio::task::block_in_place(|| runtime.block_on(self.0.bytes(&path)));
            assert_eq!((status, kept.contains("immutable")), (200, true), "{path}");
            bytes
        };
        Ok(tiles.iter().map(read).collect())
    }
    fn save_tiles(&self, _: &[tlog_tiles::Tile], _: &[Vec<u8>]) {}
}

fn hashes(value: &Value) -> Vec<Hash> {
    value.as_array().expect("a list").iter().map(hash).collect()
}

fn hash(value: &Value) -> Hash {
    Hash(BASE64.decode(value.as_str().expect("text")).expect("base 64").try_into().expect("32 bytes"))
}

/// The files that a stranger keeps, and the program that checks them.
fn verify(folder: &TempDir, old: &str, more: &[&str]) -> (Output, Value) {
    let path = folder.path().join("old.checkpoint");
    std::fs::write(&path, old).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_medina"));
    command.args(["ledger", "verify", "--json", "--checkpoint"]).arg(&path).args(more);
    let output = command.output().expect("the program runs");
    let said = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output, said)
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_can_check_that_the_ledger_only_grew() {
    let folder = tempfile::tempdir().expect("a folder");
    let city = City::open(&folder.path().join("data")).await;
    let (_, empty) = city.published(0).await;
    assert_eq!(empty.root, tlog_tiles::EMPTY_HASH.0);
    assert_eq!(city.post(&gifts(1, 300)).await["created"], 300);
    let (old_note, old) = city.published(300).await;
    assert_eq!(city.post(&gifts(301, 400)).await["created"], 400);
    let (note, now) = city.published(700).await;

    // The note is a checkpoint to others too.
    let body = &note[..note.find("\n\n").expect("a signed note") + 1];
    let theirs = tlog_tiles::Checkpoint::from_bytes(body.as_bytes()).expect("a checkpoint");
    assert_eq!((theirs.origin(), theirs.size(), theirs.hash().0), (now.origin.as_str(), 700, now.root));
    assert_eq!(theirs.to_bytes(), body.as_bytes());
    // And signed, in the eyes of an implementation that is not ours.
    let vkey = city.key().await.to_string();
    let checked = |note: &str| {
        let note = signed_note::Note::from_bytes(note.as_bytes()).map_err(|error| error.to_string())?;
        let verifier = signed_note::StandardVerifier::new(vkey.trim()).map_err(|error| error.to_string())?;
        let known = signed_note::VerifierList::new(vec![Box::new(verifier)]);
        let (verified, unknown) = note.verify(&known).map_err(|error| error.to_string())?;
        Ok::<_, String>((verified.len(), unknown.len()))
    };
    for note in [&note, &old_note] {
        assert_eq!(checked(note), Ok((1, 0)), "{note}");
    }
    assert!(checked(&note.replacen("700", "701", 1)).is_err(), "what is signed is signed");

    // Tiles: authentic under the signed root, and they give the old root and the proof.
    let stranger = Stranger(&city);
    let reader = TileHashReader::new(700, Hash(now.root), &stranger);
    assert_eq!(tlog_tiles::tree_hash(300, &reader).expect("authentic tiles").0, old.root);
    let proof = tlog_tiles::prove_tree(700, 300, &reader).expect("authentic tiles");
    tlog_tiles::check_tree(&proof, 700, Hash(now.root), 300, Hash(old.root)).expect("it only grew");

    // Ready-made proofs.
    let get = async |path: &str| city.wire.get(&city.token, path).await;
    let grown = get("/v1/ledger/proofs/consistency?from=300").await.is(200).body;
    tlog_tiles::check_tree(&hashes(&grown["hashes"]), 700, Hash(now.root), 300, Hash(old.root)).expect("it only grew");
    assert!(hash(&grown["to_root"]) == Hash(now.root) && hash(&grown["from_root"]) == Hash(old.root));
    for (query, leaf, size) in [(format!("transfer={}", id(123)), 122, 700), ("leaf=299&size=300".to_owned(), 299, 300)] {
        let proven = get(&format!("/v1/ledger/proofs/inclusion?{query}")).await.is(200).body;
        assert_eq!((&proven["leaf"], &proven["size"]), (&json!(leaf), &json!(size)));
        let entry = BASE64.decode(proven["entry"].as_str().expect("text")).expect("base 64");
        let root = if size == 700 { now.root } else { old.root };
        tlog_tiles::check_record(&hashes(&proven["hashes"]), size, Hash(root), leaf, tlog_tiles::record_hash(&entry)).expect("it is there");
        // Bundles hold the same entries; whose wallet it is stands nowhere.
        let (_, _, bundle) = city.bytes(&format!("/ledger/tile/entries/{:03}{}", leaf / 256, if leaf > 255 { ".p/44" } else { "" })).await;
        let place = (leaf as usize % 256) * (2 + entry.len());
        assert_eq!(bundle[place..place + 2], (entry.len() as u16).to_be_bytes());
        assert_eq!(bundle[place + 2..place + 2 + entry.len()], entry);
        let wallet = (1 + u128::from(leaf + 1) % 7).to_be_bytes();
        assert!(!entry.windows(16).any(|bytes| bytes == wallet), "an owner's id is in the leaf");
    }
    for (query, status, code) in [
        ("inclusion?", 422, "invalid_request"),
        ("inclusion?leaf=1&size=701", 422, "invalid_request"),
        ("inclusion?leaf=300&size=300", 404, "not_in_tree"),
        (&format!("inclusion?transfer={}", id(9_999)), 404, "not_found"),
        ("consistency?from=701", 422, "invalid_request"),
        ("consistency?from=5&to=4", 422, "invalid_request"),
    ] {
        let answer = get(&format!("/v1/ledger/proofs/{query}")).await;
        assert_eq!((answer.status, answer.code()), (status, code), "{query}: {}", answer.text);
    }
    for missing in ["0/003", "0/002.p/189", "1/000", "1/000.p/3", "2/000.p/1", "entries/002", "0/2", "data/000", "9/000"] {
        assert_eq!(city.bytes(&format!("/ledger/tile/{missing}")).await.0, 404, "{missing}");
    }

    // The program, as a stranger runs it.
    let (url, key) = (city.wire.base.clone(), city.key().await.to_string());
    let checked = |old: String, more: Vec<String>| {
        let (folder, url, key) = (tempfile::tempdir().expect("a folder"), url.clone(), key.clone());
        tokio::task::spawn_blocking(move || {
            let mut arguments = vec!["--url", &url, "--key", &key];
            arguments.extend(more.iter().map(String::as_str));
            verify(&folder, &old, &arguments)
        })
    };
    for more in [vec![], vec!["--entries".to_owned()]] {
        let hashed = if more.is_empty() { 0 } else { 700 };
        let (output, said) = checked(old_note.clone(), more).await.expect("it ran");
        assert!(output.status.success(), "{said} {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!((&said["old"]["size"], &said["now"]["size"], &said["entries_hashed"]), (&json!(300), &json!(700), &json!(hashed)));
    }
    let (output, said) = checked(old_note.replacen("300", "301", 1), vec![]).await.expect("it ran");
    assert!(!output.status.success() && said["ok"] == false && said["proven"] == false, "{said}");
    city.close();
}

/// Changes the state behind the engine's back.
fn tamper(data: &Path, change: impl FnOnce(&mut storage::Txn<'_>)) {
    let mut store = Store::open(Arc::new(RealDisk), &data.join("state"), Options::with_seed([9; 32])).expect("the folder opens");
    store.begin(store.position().time);
    let ran: Result<_, ()> = store.run(|txn| {
        change(txn);
        Ok(())
    });
    assert!(ran.is_ok());
    store.commit().expect("the disk is healthy");
}

async fn halted(city: &City) -> String {
    loop {
        let waiting = city.wire.get(&city.token, "/v1/ops/attention").await.is(200);
        let rows = waiting.body["data"].as_array().expect("a list").clone();
        if let Some(row) = rows.iter().find(|row| row["kind"] == "ledger_halted") {
            return row["reason"].as_str().expect("a reason").to_owned();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewritten_transfer_is_noticed_by_the_server_and_by_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let city = City::open(&data).await;
    city.post(&gifts(1, 300)).await;
    let (note, _) = city.published(300).await;
    city.close();
    let offline = |data: &Path| verify(&folder, &note, &["--data", &data.display().to_string()]);
    let (output, said) = offline(&data);
    assert!(output.status.success() && said["entries_hashed"] == 300, "{said} {}", String::from_utf8_lossy(&output.stderr));

    // The hashes on disk are a cache: gone, they are made anew, and the head stands.
    std::fs::remove_dir_all(data.join("ledger")).expect("removed");
    let city = City::open(&data).await;
    let (_, again) = city.published(300).await;
    assert_eq!(again, city.key().await.open(&note).expect("the first note"));
    city.close();

    let victim = TransferId::from_u128(77);
    tamper(&data, |txn| {
        let written = TRANSFERS.get(txn, &victim).expect("it was posted");
        TRANSFERS.put(txn, &victim, &Transfer { amount: written.amount + 1, ..written });
    });
    let (output, said) = offline(&data);
    assert!(!output.status.success() && said["proven"] == true, "{said}");
    let city = City::open(&data).await;
    let why = halted(&city).await;
    assert!(why.contains("transfer 76"), "{why}");
    // A stranger who reads entries sees it too, as long as the hashes are the old ones.
    let (url, key) = (city.wire.base.clone(), city.key().await.to_string());
    let (old, scratch) = (note.clone(), tempfile::tempdir().expect("a folder"));
    let ran = tokio::task::spawn_blocking(move || verify(&scratch, &old, &["--url", &url, "--key", &key, "--entries"]));
    let (_, said) = ran.await.expect("it ran");
    assert!(said["proven"] == true && said["why"].as_str().is_some_and(|why| why.contains("transfer 76")), "{said}");
    city.close();

    // With the hashes made anew from what was rewritten it does not give the published root.
    std::fs::remove_dir_all(data.join("ledger")).expect("removed");
    let city = City::open(&data).await;
    let why = halted(&city).await;
    assert!(why.contains("rewritten"), "{why}");
    assert_eq!(city.bytes("/ledger/checkpoint").await.0, 503, "nothing is published any more");
    city.post(&gifts(500, 5)).await; // the city goes on trading
    city.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_went_back_is_noticed() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let city = City::open(&data).await;
    city.post(&gifts(1, 20)).await;
    city.published(20).await;
    city.close();
    // A state from before: here simply none.
    std::fs::remove_dir_all(data.join("state")).expect("removed");
    for keys in ["people.keys", "lookup.key"] {
        std::fs::remove_file(data.join("keys").join(keys)).expect("removed");
    }
    let city = City::open(&data).await;
    let why = halted(&city).await;
    assert!(why.contains("20 transfers were published"), "{why}");
    city.close();
}

/// Heads follow one another while the ledger never rests: they do not wait for a pause in the traffic.
#[tokio::test(flavor = "multi_thread")]
async fn heads_come_while_there_is_traffic() {
    let folder = tempfile::tempdir().expect("a folder");
    let city = City::open(&folder.path().join("data")).await;
    let key = city.key().await;
    let (mut posted, mut heads) = (0_u64, Vec::<u64>::new());
    let begun = std::time::Instant::now();
    while heads.len() < 4 {
        city.post(&gifts(u128::from(posted) + 1, 1)).await;
        posted += 1;
        let (status, _, note) = city.bytes("/ledger/checkpoint").await;
        assert_eq!(status, 200);
        let head = key.open(&String::from_utf8(note).expect("text")).expect("signed by the ledger's key");
        assert!(head.size <= posted);
        if heads.last().is_none_or(|last| head.size > *last) {
            heads.push(head.size);
        }
    }
    println!("{} heads over {posted} transfers, one after another, in {:?}", heads.len(), begun.elapsed());
    city.close();
}

/// A server that shows another history under the same key: caught from outside, with an exit code of its own and in words.
#[tokio::test(flavor = "multi_thread")]
async fn a_forked_ledger_is_caught_by_the_program() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let city = City::open(&data).await;
    city.post(&gifts(1, 40)).await;
    let (note, _) = city.published(40).await;
    let key = city.key().await.to_string();
    city.close();
    // The same signing key over other transfers: what an operator who rewrites the books would serve.
    let forge = |count: u128, name: &str| {
        let other = folder.path().join(name);
        std::fs::create_dir_all(other.join("keys")).expect("made");
        for key in ["ledger.key", "ledger-signing.key"] {
            std::fs::copy(data.join("keys").join(key), other.join("keys").join(key)).expect("copied");
        }
        (other, count)
    };
    let cases = [(forge(60, "forked"), "FORKED"), (forge(10, "shrunk"), "shrank")];
    for ((other, count), word) in cases {
        let city = City::open(&other).await;
        city.post(&gifts(1_001, count)).await;
        city.published(count as u64).await;
        let (url, key, old) = (city.wire.base.clone(), key.clone(), note.clone());
        let scratch = tempfile::tempdir().expect("a folder");
        let ran = tokio::task::spawn_blocking(move || verify(&scratch, &old, &["--url", &url, "--key", key.trim()]));
        let (output, said) = ran.await.expect("it ran");
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(said["proven"] == true && said["why"].as_str().is_some_and(|why| why.contains(word)), "{said}");
        city.close();
    }
    // Nobody to ask is no proof of anything.
    let scratch = tempfile::tempdir().expect("a folder");
    let gone = tokio::task::spawn_blocking(move || verify(&scratch, &note, &["--url", "http://127.0.0.1:9", "--key", key.trim()]));
    let (output, said) = gone.await.expect("it ran");
    assert_eq!((output.status.code(), &said["proven"]), (Some(1), &json!(false)), "{said}");
}
