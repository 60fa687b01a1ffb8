//! The real binary on a real disk that fails: storage calls answered with errors by strace, the process killed at a sync, a file system that is full.
//!
//! Promised: whatever was acknowledged is there afterwards, the process stops (exit 74) rather than promise what it is not sure of, and the folder verifies.
//! Skipped, aloud, where strace is missing or nothing may be mounted.

mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use wire::{Wire, at, try_send};

const BINARY: &str = env!("CARGO_BIN_EXE_medina");
const ADMIN: &str = "admin@medina.test";
/// Exit code of a process that could not make its log durable.
const NOT_DURABLE: i32 = 74;
/// Exit code of a process whose state file could mislead its readers.
const DAMAGED: i32 = 75;

/// A server, perhaps under strace. Killed when dropped.
struct Served {
    child: Child,
    base: Option<String>,
    _said: BufReader<ChildStdout>,
}

impl Served {
    fn start(data: &Path) -> Self {
        Self::run(Command::new(BINARY), data)
    }

    /// Under strace, with its `rules`, and what it saw in `trace`.
    fn traced(data: &Path, rules: &[String], trace: &Path) -> Self {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "--seccomp-bpf", "-o"]).arg(trace).args(rules).arg(BINARY);
        Self::run(command, data)
    }

    fn run(mut command: Command, data: &Path) -> Self {
        let config = data.with_extension("toml");
        // Small, so that segments roll over, and old ones go, within a few lives.
        std::fs::write(&config, "[storage]\nsegment_mib = 1\nlog_kept_mib = 2\nlog_held_mib = 4\nfold_mib = 1\n").expect("written");
        command.args(["serve", "--sandbox", "--listen", "127.0.0.1:0", "--config"]).arg(config).arg("--data").arg(data);
        command.env("MEDINA_LOG", "off");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().expect("piped"));
        said.read_line(&mut line).expect("readable");
        let base = line.split_whitespace().find(|word| word.starts_with("http://")).map(ToOwned::to_owned);
        Self { child, base, _said: said }
    }

    /// The server's process: under strace it is a child of the child.
    fn server(&self) -> Vec<String> {
        let pid = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        children.split_whitespace().map(ToOwned::to_owned).collect()
    }

    /// Asks the server under strace to end in order, and waits; strace ends as it does.
    fn told_to_end(self) -> ExitStatus {
        for server in self.server() {
            let _ = Command::new("kill").args(["-TERM", &server]).status();
        }
        self.ended()
    }

    /// The end of a process that ends by itself.
    fn ended(mut self) -> ExitStatus {
        self.child.wait().expect("it ends")
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // Under strace it outlives its parent.
        for server in self.server() {
            let _ = Command::new("kill").args(["-9", &server]).status();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One administrator who opens kitchens, and remembers what was acknowledged and what got no answer.
struct Client {
    wire: Wire,
    token: String,
    city: String,
    acknowledged: BTreeSet<String>,
    unknown: BTreeSet<String>,
    made: u64,
}

impl Client {
    /// A folder with a city, and who may write in it.
    async fn found(data: &Path) -> Self {
        let served = Served::start(data);
        let made = Command::new(BINARY).args(["admin", "create", "--json", "--email", ADMIN, "--data"]).arg(data).output();
        let made: Value = serde_json::from_slice(&made.expect("it runs").stdout).expect("credentials");
        let wire = Wire::to(served.base.as_deref().expect("it serves"));
        let login = json!({ "email": ADMIN, "password": made["password"] });
        let token = wire.write("", "POST /v1/auth/login", &login).await.is(200).text("access_token");
        let city =
            json!({ "name": "Accra", "currency": "GHS", "timezone": "Africa/Accra", "center": at(wire::KITCHEN), "radius_m": 9_000 });
        let city = wire.write(&token, "POST /v1/cities", &city).await.is(201).text("id");
        Self { wire, token, city, acknowledged: BTreeSet::new(), unknown: BTreeSet::new(), made: 0 }
    }

    /// Opens up to `count` kitchens, one after another; ends early if the server is gone. Says how many were refused for want of room.
    async fn write(&mut self, base: &str, count: usize, padding: usize) -> usize {
        self.wire.base = base.to_owned();
        let mut refused = 0;
        for _ in 0..count {
            self.made += 1;
            let name = format!("Kitchen {}", self.made);
            let body = json!({ "city_id": self.city, "name": name, "kind": "restaurant", "position": at(wire::KITCHEN), "address": "x".repeat(padding) });
            let request = self.wire.ask("POST /v1/merchants").bearer_auth(&self.token).header("idempotency-key", &name).json(&body);
            match try_send(request).await {
                Ok(answer) if answer.status == 201 => drop(self.acknowledged.insert(name)),
                Ok(answer) if answer.status == 507 => refused += 1,
                Ok(answer) => assert!(answer.status >= 500, "{}", answer.text),
                Err(_) => {
                    self.unknown.insert(name);
                    break;
                }
            }
        }
        refused
    }

    /// Everything acknowledged is there, nothing is there that nobody asked for, nothing twice; and the folder verifies.
    async fn check(&mut self, data: &Path, what: &str) {
        let served = Served::start(data);
        self.wire.base = served.base.clone().unwrap_or_else(|| panic!("{what}: it starts again"));
        let (mut names, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.wire.get(&self.token, &format!("/v1/merchants?city_id={}&limit=100{cursor}", self.city)).await.is(200);
            names.extend(page.body["data"].as_array().expect("a list").iter().map(|one| one["name"].as_str().expect("a name").to_owned()));
            match page.body["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let there: BTreeSet<String> = names.iter().cloned().collect();
        assert_eq!(there.len(), names.len(), "{what}: something is there twice");
        let lost: Vec<&String> = self.acknowledged.difference(&there).collect();
        assert!(lost.is_empty(), "{what}: acknowledged and lost: {lost:?}");
        let invented: Vec<&String> =
            there.iter().filter(|name| !self.acknowledged.contains(*name) && !self.unknown.contains(*name)).collect();
        assert!(invented.is_empty(), "{what}: there, and refused or never asked for: {invented:?}");
        // What got no answer is settled now.
        self.acknowledged.extend(there);
        self.unknown.clear();
        drop(served);
        let verified = Command::new(BINARY).args(["verify", "--json", "--data"]).arg(data).output().expect("it runs");
        assert!(verified.status.success(), "{what}: {}", String::from_utf8_lossy(&verified.stdout));
    }
}

fn has(program: &str) -> bool {
    Command::new(program).arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Every call by which storage (ours, redb's, the search index's, the keyring's) reaches the disk. Some of them a life makes seldom or never.
const CALLS: [&str; 14] = [
    "fdatasync",
    "fsync",
    "pwrite64",
    "pread64",
    "fallocate",
    "ftruncate",
    "sync_file_range",
    "openat",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "getdents64",
];

/// How often a healthy life makes each call: start, kitchens, orderly end.
async fn counted(client: &mut Client, data: &Path) -> Vec<(&'static str, usize)> {
    let trace = data.with_extension("trace");
    let served = Served::traced(data, &["-e".to_owned(), format!("trace={}", CALLS.join(","))], &trace);
    let base = served.base.clone().expect("a healthy disk serves");
    client.write(&base, KITCHENS, 280).await;
    let status = served.told_to_end();
    assert!(status.success(), "a healthy life ends well: {status:?}");
    let said = std::fs::read_to_string(&trace).expect("a trace");
    let count = |call: &str| {
        said.lines().filter(|line| line.split_whitespace().nth(1).is_some_and(|word| word.starts_with(&format!("{call}(")))).count()
    };
    CALLS.map(|call| (call, count(call))).into()
}

/// Kitchens opened in a life.
const KITCHENS: usize = 25;

/// The n-th calls to strike: `points` of them, spread evenly over a life's `count`.
fn spread(count: usize, points: usize) -> impl Iterator<Item = usize> {
    let points = points.min(count);
    (0..points).map(move |n| 1 + count * (2 * n + 1) / (2 * points).max(1))
}

/// One broken life: starts, opens kitchens until the server is gone, tells it to end. How it ended, and whether anything was struck.
async fn broken_life(client: &mut Client, data: &Path, inject: &str) -> (i32, bool) {
    let trace = data.with_extension("trace");
    let call = inject.split(':').next().expect("a call");
    let rules = ["-e".to_owned(), format!("trace={call}"), "-e".to_owned(), format!("inject={inject}")];
    let served = Served::traced(data, &rules, &trace);
    let status = match served.base.clone() {
        Some(base) => {
            client.write(&base, KITCHENS, 280).await;
            served.told_to_end()
        }
        // It did not even start; that is an answer too.
        None => served.ended(),
    };
    let struck = inject.contains("SIGKILL") || std::fs::read_to_string(&trace).is_ok_and(|said| said.contains("(INJECTED)"));
    (status.code().or_else(|| status.signal().map(|signal| -signal)).expect("a code or a signal"), struck)
}

/// `MEDINA_INJECT_POINTS=20` strikes each call with each error at 20 places of a life, and kills at 60 syncs; 2 and 6 if it is not set.
#[tokio::test(flavor = "multi_thread")]
async fn storage_calls_fail() {
    if !has("strace") {
        return eprintln!("SKIPPED: strace is not installed");
    }
    let points: usize = std::env::var("MEDINA_INJECT_POINTS").map_or(2, |points| points.parse().expect("a number"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    let mut client = Client::found(&data).await;
    let counts = counted(&mut client, &data).await;
    println!("calls of a healthy life: {counts:?}");
    // What a life may end in: told to, not started, not durable, a state file that could mislead. By a panic or an abort it may not.
    let any: &[i32] = &[0, 1, NOT_DURABLE, DAMAGED];
    let mut cases: Vec<(String, &[i32])> = Vec::new();
    for &(call, count) in &counts {
        for error in ["EIO", "ENOSPC"] {
            cases.extend(spread(count, points).map(|n| (format!("{call}:error={error}:when={n}"), any)));
        }
        if call == "fdatasync" {
            cases.extend(spread(count, 3 * points).map(|n| (format!("fdatasync:signal=SIGKILL:when={n}"), &[-9, 0][..])));
        }
    }
    // For good, not once.
    cases.extend(
        ["pread64:error=EIO:when=30+", "fallocate:error=ENOSPC:when=1+", "ftruncate:error=EIO:when=1+"]
            .map(|inject| (inject.to_owned(), any)),
    );
    // From the first kitchens on no sync succeeds: the log's is among them, and the process stops and says so with its code.
    cases.push(("fdatasync:error=EIO:when=12+".to_owned(), &[NOT_DURABLE]));
    let (lives, mut struck, mut ends) = (cases.len(), 0, BTreeMap::<i32, usize>::new());
    for (inject, expected) in cases {
        let (code, hit) = broken_life(&mut client, &data, &inject).await;
        assert!(expected.contains(&code), "{inject}: it ended with {code}");
        struck += usize::from(hit);
        *ends.entry(code).or_default() += 1;
        client.check(&data, &inject).await;
    }
    println!("{} acknowledged over {lives} broken lives, {struck} of them struck; exit codes: {ends:?}", client.acknowledged.len());
    assert!(struck * 2 > lives, "most lives are struck");
}

/// A small file system of our own. Unmounted when dropped.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    /// An ext4 in a file where loop devices are allowed, else a tmpfs; `None` where nothing may be mounted.
    fn mount(at: &'a Path, image: &Path, megabytes: u64) -> Option<Self> {
        let file = std::fs::File::create(image).ok()?;
        file.set_len(megabytes << 20).ok()?;
        let quiet = |program: &str, args: &[&str]| {
            let ran = Command::new(program).args(args).stdout(Stdio::null()).stderr(Stdio::null()).status();
            ran.is_ok_and(|status| status.success())
        };
        let (image, at_text) = (image.to_str()?, at.to_str()?);
        let looped = quiet("mkfs.ext4", &["-q", "-F", image]) && quiet("mount", &["-o", "loop", image, at_text]);
        let mounted = looped || quiet("mount", &["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs", at_text]);
        println!("{}", if looped { "ext4 on a loop device" } else { "tmpfs" });
        mounted.then_some(Self(at))
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_system_is_full() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mounted = folder.path().join("small");
    std::fs::create_dir(&mounted).expect("a folder");
    let Some(_small) = Small::mount(&mounted, &folder.path().join("image"), 96) else {
        return eprintln!("SKIPPED: nothing may be mounted here");
    };
    // The configuration lies beside the folder, on the small system too: written while there is room.
    let data = mounted.join("data");
    let mut client = Client::found(&data).await;
    let served = Served::start(&data);
    let base = served.base.clone().expect("it serves");
    client.write(&base, 5, 10).await;
    // Somebody else fills the disk.
    let ballast = mounted.join("ballast");
    fill(&ballast);
    let mut refused = 0;
    for _ in 0..200 {
        refused += client.write(&base, 20, 280).await;
        if refused > 0 || !client.unknown.is_empty() {
            break;
        }
        fill(&ballast);
    }
    println!("{} acknowledged, {refused} refused, {} unanswered", client.acknowledged.len(), client.unknown.len());
    assert!(refused > 0 || !client.unknown.is_empty(), "a full disk is noticed");
    if refused > 0 {
        // Readers do not care.
        client.wire.get(&client.token, &format!("/v1/merchants?city_id={}", client.city)).await.is(200);
    }
    std::fs::remove_file(&ballast).expect("room again");
    let before = client.acknowledged.len();
    if refused > 0 && client.unknown.is_empty() {
        client.write(&base, 5, 10).await;
        assert_eq!(client.acknowledged.len(), before + 5, "with room again, it goes on by itself");
    }
    drop(served);
    client.check(&data, "full").await;
    let served = Served::start(&data);
    client.write(&served.base.clone().expect("it serves"), 5, 10).await;
    drop(served);
    tokio::time::timeout(Duration::from_secs(60), client.check(&data, "after")).await.expect("it opens");
}

fn fill(ballast: &Path) {
    use std::io::Write;
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(ballast).expect("a file");
    for size in [1 << 20, 64 << 10, 4 << 10, 1] {
        let block = vec![7_u8; size];
        while file.write_all(&block).is_ok() {}
    }
    let _ = file.sync_all();
}
