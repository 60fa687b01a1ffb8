//! The shipped unit and configuration under a real systemd, which is process 1 of a namespace of its own: with its dynamic user, its sandbox and its filter of system calls
//! the server serves; a log that cannot be made durable ends it with 74; systemd starts it again; what was acknowledged is there.
//!
//! `cargo test --test systemd -- --ignored`, as root, with systemd and strace. SKIPPED, aloud, where one of them is missing.

mod wire;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use wire::{Wire, try_send};

const UNIT: &str = include_str!("../systemd/medina.service");
const CONFIG: &str = include_str!("../packaging/medina.toml");
const SYSTEMD: &str = "/lib/systemd/systemd";

/// Everything that systemd would touch of the machine's is covered first; the folder is the script's argument.
const BOOT: &str = r#"
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/lib
mount -t tmpfs tmpfs /var/cache
mkdir -p /run/systemd/system /run/medina.d
cp "$1"/medina.service "$1"/probe.target /run/systemd/system/
cp "$1"/medina "$1"/medina.toml /run/medina.d/
exec env -i container=probe PATH="$PATH" /lib/systemd/systemd --system --unit=probe.target
"#;
/// Without the basic units of a machine: only ours.
const TARGET: &str = "[Unit]\nDefaultDependencies=no\nWants=medina.service\n";

/// A process that is killed with its children when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn is_missing() -> Option<&'static str> {
    let root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    let has = |name: &str| Command::new(name).arg("--version").output().is_ok();
    match (root, Path::new(SYSTEMD).exists(), has("strace"), has("unshare")) {
        (false, ..) => Some("not root"),
        (_, false, ..) => Some("no systemd"),
        (_, _, false, _) => Some("no strace"),
        (.., false) => Some("no unshare"),
        _ => None,
    }
}

/// The folder that [`BOOT`] is given; the unit is the shipped one but for where the binary and its configuration are.
fn prepare(folder: &Path, port: u16) {
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).expect("written");
    let there = "/usr/bin/medina serve --config /etc/medina/medina.toml";
    assert!(UNIT.contains(there), "the unit starts the server another way");
    let unit = UNIT.replace(there, "/run/medina.d/medina serve --config /run/medina.d/medina.toml");
    write("medina.service", &unit.replace("[Unit]\n", "[Unit]\nDefaultDependencies=no\n"));
    write("probe.target", TARGET);
    let listens = "listen = \"127.0.0.1:8080\"";
    assert!(CONFIG.contains(listens), "the configuration listens elsewhere");
    write("medina.toml", &CONFIG.replace(listens, &format!("listen = \"127.0.0.1:{port}\"")));
    std::fs::copy(env!("CARGO_BIN_EXE_medina"), folder.join("medina")).expect("copied");
}

/// The server's process, seen from outside the namespace.
fn server() -> Option<u32> {
    let processes = std::fs::read_dir("/proc").expect("readable").filter_map(Result::ok);
    let mut ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.find(|id| std::fs::read(PathBuf::from(format!("/proc/{id}/cmdline"))).is_ok_and(|line| line.starts_with(b"/run/medina.d/medina\0")))
}

async fn until_ready(wire: &Wire) {
    while !try_send(wire.ask("GET /readyz")).await.is_ok_and(|answer| answer.status == 200) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn person(number: usize) -> Value {
    json!({ "email": format!("p{number}@medina.test"), "password": format!("correct horse battery {number}"), "name": "P" })
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "boots a systemd of its own"]
async fn systemd_starts_it_again_after_a_failed_sync() {
    if let Some(why) = is_missing() {
        println!("SKIPPED: {why}");
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    prepare(folder.path(), port);
    let mut boot = Command::new("unshare");
    boot.args(["--fork", "--kill-child", "--pid", "--mount", "--uts", "--ipc", "--cgroup", "--mount-proc", "bash", "-c", BOOT, "boot"]);
    let _systemd = Running(boot.arg(folder.path()).stdin(Stdio::null()).spawn().expect("unshare starts"));
    let wire = Wire::to(&format!("http://127.0.0.1:{port}"));
    until_ready(&wire).await;
    wire.write("", "POST /v1/auth/register", &person(0)).await.is(201);
    let first = server().expect("it serves");
    let status = std::fs::read_to_string(format!("/proc/{first}/status")).expect("it lives");
    assert!(!status.contains("\nUid:\t0\t"), "the unit gives it a user of its own: {status}");
    // The call itself is replaced by one that the unit's filter lets through: else the filter would end the process, not its own care.
    let rules = ["-f", "-e", "trace=fdatasync,exit_group", "-e", "inject=fdatasync:error=EIO:syscall=getpid", "-p"];
    let mut strace =
        Running(Command::new("strace").args(rules).arg(first.to_string()).stderr(Stdio::piped()).spawn().expect("strace starts"));
    let mut said = BufReader::new(strace.0.stderr.take().expect("piped")).lines().map_while(Result::ok);
    assert!(said.any(|line| line.contains("attached")), "strace may look at it");
    let refused = try_send(wire.ask("POST /v1/auth/register").json(&person(1))).await;
    assert!(refused.is_err_and(|error| !error.is_timeout()), "nothing is acknowledged that is not durable");
    assert!(said.any(|line| line.contains("exited with 74")), "it ends with a code of its own");
    until_ready(&wire).await;
    assert_ne!(server(), Some(first), "systemd started another process");
    let known = json!({ "email": person(0)["email"], "password": person(0)["password"] });
    wire.write("", "POST /v1/auth/login", &known).await.is(200);
}
