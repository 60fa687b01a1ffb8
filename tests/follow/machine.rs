//! A real process with a folder, a port and a part in a replicated city.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use reqwest::Client;

/// The nodes' secret.
pub const TOKEN: &str = "a-secret-of-all-nodes";
const BINARY: &str = env!("CARGO_BIN_EXE_medina");
/// Whatever is waited for comes sooner, or it never does.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Machine {
    pub name: &'static str,
    pub data: PathBuf,
    pub base: String,
    pub namespace: Option<String>,
    config: PathBuf,
    child: Option<Child>,
    http: Client,
}

/// A port that was free a moment ago, and that nobody is given by chance: below the ports that the kernel hands out (from 32768 on), each once.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let port = 12_000 + (std::process::id() * 61 + NEXT.fetch_add(1, Ordering::Relaxed)) % 20_000;
        let port = u16::try_from(port).expect("below 32000");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Where a machine is on the network.
#[derive(Clone)]
pub struct Place {
    pub listen: String,
    /// How clients reach it.
    pub base: String,
    /// How the other machine reaches it.
    pub url: String,
    /// The network namespace that it runs in.
    pub namespace: Option<String>,
}

impl Place {
    pub fn loopback() -> Self {
        let listen = format!("127.0.0.1:{}", free_port());
        let base = format!("http://{listen}");
        Self { listen, url: base.clone(), base, namespace: None }
    }
}

/// What two machines are told.
pub struct Setup<'a> {
    pub ack: &'a str,
    pub places: [Place; 2],
    /// How each finds the other, if not by its place's own address.
    pub seen_as: [Option<String>; 2],
    /// More of `[replication]`, for both.
    pub replication: String,
    /// More sections, for both.
    pub sections: String,
    /// Whom a tester believes over HTTPS, as PEM.
    pub ca: Option<String>,
}

impl<'a> Setup<'a> {
    pub fn new(ack: &'a str) -> Self {
        let places = [Place::loopback(), Place::loopback()];
        Self { ack, places, seen_as: [None, None], replication: String::new(), sections: String::new(), ca: None }
    }
}

/// A client; with a CA, of HTTPS that this CA has signed.
pub fn client(ca: Option<&str>) -> Client {
    medina::crypto::install();
    let mut http = Client::builder().no_proxy().timeout(Duration::from_secs(5));
    if let Some(pem) = ca {
        http = http.tls_certs_only(reqwest::Certificate::from_pem_bundle(pem.as_bytes()).expect("PEM"));
    }
    http.build().expect("a client")
}

impl Machine {
    /// Two machines that know each other: `a` leads, `b` follows.
    pub fn pair(folder: &Path, ack: &str) -> (Self, Self) {
        Self::pair_as(folder, &Setup::new(ack))
    }

    pub fn pair_at(folder: &Path, ack: &str, places: [Place; 2]) -> (Self, Self) {
        Self::pair_as(folder, &Setup { places, ..Setup::new(ack) })
    }

    pub fn pair_as(folder: &Path, setup: &Setup<'_>) -> (Self, Self) {
        medina::crypto::install();
        std::fs::write(folder.join("token"), TOKEN).expect("written");
        let [a, b] = &setup.places;
        let [a_seen, b_seen] = [(&setup.seen_as[0], a), (&setup.seen_as[1], b)].map(|(seen, place)| seen.as_ref().unwrap_or(&place.url));
        let follows = format!("role = \"follower\"\nkeys = {:?}\nleader = {a_seen:?}\n", folder.join("a/keys"));
        let first = Self::new(folder, ("a", a), ("b", b_seen), setup, "role = \"leader\"\n");
        (first, Self::new(folder, ("b", b), ("a", a_seen), setup, &follows))
    }

    fn new(folder: &Path, (name, place): (&'static str, &Place), (other, its_url): (&str, &str), setup: &Setup<'_>, more: &str) -> Self {
        let (data, config) = (folder.join(name), folder.join(format!("{name}.toml")));
        let (token, listen, ack) = (folder.join("token"), &place.listen, setup.ack);
        let (replication, sections) = (&setup.replication, &setup.sections);
        let text = format!(
            "data = {data:?}\nlisten = {listen:?}\nsandbox = true\n[replication]\ntoken_file = {token:?}\nnode = {name:?}\n\
             peers = [{its_url:?}]\nack = {ack:?}\nack_timeout_ms = 1000\nfollower = {other:?}\n{more}{replication}\n{sections}"
        );
        std::fs::write(&config, text).expect("written");
        let http = client(setup.ca.as_deref());
        Self { name, data, base: place.base.clone(), namespace: place.namespace.clone(), config, child: None, http }
    }

    /// The process's number, to hold it still (SIGSTOP) and let it go on.
    pub fn signal(&self, signal: i32) {
        let id = i32::try_from(self.child.as_ref().expect("it runs").id()).expect("a process id");
        // SAFETY: kill has no memory effects; the child is ours and not yet waited for, so the id is its own.
        assert_eq!(unsafe { libc::kill(id, signal) }, 0);
    }

    /// Waits until it has ended by itself; whether it says that all went well.
    pub fn ended(&mut self) -> bool {
        self.child.take().expect("it runs").wait().expect("it is ours").success()
    }

    /// One of the figures, of `node` if it has that label.
    pub async fn figure(&self, name: &str) -> Option<f64> {
        let (_, text) = self.get("/metrics").await?;
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    }

    /// Waits until one of the figures is as it should be.
    pub async fn until_figure(&self, name: &str, is: impl Fn(f64) -> bool) {
        let value = |text: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse::<f64>().ok());
        self.until(name, "/metrics", |_, text| value(text).is_some_and(&is)).await;
    }

    pub fn start(&mut self) {
        let log = std::env::var("MEDINA_LOG").unwrap_or_else(|_| "error".to_owned());
        let mut command = Command::new(if self.namespace.is_some() { "ip" } else { BINARY });
        if let Some(namespace) = &self.namespace {
            command.args(["netns", "exec", namespace, BINARY]);
        }
        command.args(["serve", "--force-public-sandbox", "--config"]).arg(&self.config);
        command.env("MEDINA_LOG", log).stdin(Stdio::null()).stdout(Stdio::null());
        self.child = Some(command.spawn().expect("it starts"));
    }

    /// The power is gone.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().expect("killed");
        child.wait().expect("it ends");
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        let output = Command::new(BINARY).args(arguments).arg("--data").arg(&self.data).env("MEDINA_LOG", "error").output();
        output.expect("it runs")
    }

    /// The text and status of a path; `None` while nobody answers.
    pub async fn get(&self, path: &str) -> Option<(u16, String)> {
        let answer = self.http.get(format!("{}{path}", self.base)).send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    pub async fn until(&self, what: &str, path: &str, is: impl Fn(u16, &str) -> bool) {
        let begun = Instant::now();
        let mut last = None;
        while begun.elapsed() < PATIENCE {
            last = self.get(path).await;
            if last.as_ref().is_some_and(|(status, text)| is(*status, text)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        panic!("{}: never {what}: {last:?}", self.name);
    }

    pub async fn until_alive(&self) {
        self.until("alive", "/healthz", |status, _| status == 200).await;
    }

    pub async fn until_ready(&self) {
        self.until("ready", "/readyz", |status, _| status == 200).await;
    }

    /// The files of what this machine gave up.
    pub fn set_aside(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.data.join("set-aside")) else { return Vec::new() };
        let files = entries.filter_map(Result::ok).map(|entry| entry.path());
        files.filter(|path| path.extension().is_some_and(|ending| ending == "jsonl")).collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
