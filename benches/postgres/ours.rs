//! Medina as an operator runs it: the program, a live data folder, an administrator over HTTP.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use storage::ledger::TransferId;
use tokio::runtime::Runtime;

use crate::load::{Ask, Server, Transfer, cpu_of, next_transfer};
use crate::{ACCOUNTS, FUNDS};

const EMAIL: &str = "bench@medina.test";
const PASSWORD: &str = "correct horse battery staple";
/// What the API takes in one call.
const BULK: usize = 8_190;

pub struct Medina {
    child: Mutex<Child>,
    pid: u32,
    base: String,
    runtime: Runtime,
    http: reqwest::Client,
    token: Mutex<String>,
}

fn wallet(n: u64) -> String {
    format!("2400-{n:032x}-GHS")
}

fn shown(transfer: Transfer, into: &mut String) {
    let Transfer { id, debit, credit, amount } = transfer;
    let (id, debit, credit) = (TransferId::from_u128(id), wallet(debit), wallet(credit));
    write!(into, r#"{{"id":"{id}","debit":"{debit}","credit":"{credit}","amount":{amount}}}"#).expect("a string takes it");
}

impl Medina {
    /// Starts it in a new live folder, makes the administrator and gives every wallet its money.
    pub fn start(data: &Path) -> Self {
        medina::crypto::install();
        let program = env!("CARGO_BIN_EXE_medina");
        let made = Command::new(program).args(["admin", "create", "--json", "--email", EMAIL, "--data"]).arg(data).output();
        let made: Value = serde_json::from_slice(&made.expect("the program runs").stdout).expect("JSON");
        let mut serve = Command::new(program);
        serve.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data).stdout(Stdio::piped()).env("MEDINA_LOG", "error");
        let mut child = serve.spawn().expect("the program starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("it says where it serves");
        let base = line.split_whitespace().nth(2).unwrap_or_else(|| panic!("no address in {line:?}")).to_owned();
        let runtime = Runtime::new().expect("a runtime starts");
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let ours = Self { pid: child.id(), child: Mutex::new(child), base, runtime, http, token: Mutex::default() };
        let session = ours.call("auth/login", &json!({ "email": EMAIL, "password": made["password"] }));
        *ours.token.lock().expect("nobody panicked") = session["access_token"].as_str().expect("a session").to_owned();
        ours.call("auth/password", &json!({ "current": made["password"], "new": PASSWORD }));
        ours.sign_in();
        let gifts: Vec<Value> = (1..=ACCOUNTS)
            .map(|n| {
                let id = TransferId::from_u128((0x0180_u128 << 112) | u128::from(n)).to_string();
                json!({ "id": id, "debit": "5000-0-GHS", "credit": wallet(n), "amount": FUNDS })
            })
            .collect();
        for part in gifts.chunks(BULK) {
            assert_eq!(ours.call("ledger/transfers", &json!({ "transfers": part }))["created"], part.len());
        }
        ours
    }

    fn call(&self, path: &str, body: &Value) -> Value {
        let token = self.token.lock().expect("nobody panicked").clone();
        self.runtime.block_on(async {
            let request = self.http.post(format!("{}/v1/{path}", self.base)).bearer_auth(token).json(body);
            let answer = request.send().await.expect("it answers");
            let (status, text) = (answer.status(), answer.text().await.expect("a body"));
            assert!(status.is_success(), "{path}: {status} {text}");
            serde_json::from_str(&text).unwrap_or(Value::Null)
        })
    }

    /// A token for the next quarter of an hour.
    pub fn sign_in(&self) {
        let session = self.call("auth/login", &json!({ "email": EMAIL, "password": PASSWORD }));
        *self.token.lock().expect("nobody panicked") = session["access_token"].as_str().expect("a session").to_owned();
    }

    fn head(&self) -> String {
        let token = self.token.lock().expect("nobody panicked");
        format!(
            "POST /v1/ledger/transfers HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: "
        )
    }

    /// Transfers a second through calls of [`BULK`], so many clients at once.
    pub fn bulk(&self, clients: usize, length: Duration) -> f64 {
        self.sign_in();
        let head = self.head();
        let begun = Instant::now();
        let posted: usize = std::thread::scope(|scope| {
            let client = || {
                let mut calls = 0;
                let token = head.split("Bearer ").nth(1).and_then(|rest| rest.lines().next()).unwrap_or_default().to_owned();
                while begun.elapsed() < length {
                    let mut body = String::from(r#"{"transfers":["#);
                    for n in 0..BULK {
                        if n > 0 {
                            body.push(',');
                        }
                        shown(next_transfer(false), &mut body);
                    }
                    body.push_str("]}");
                    let request = self.http.post(format!("{}/v1/ledger/transfers", self.base)).bearer_auth(&token);
                    let answer = self.runtime.block_on(async {
                        let answer = request.header("content-type", "application/json").body(body).send().await.expect("it answers");
                        answer.text().await.expect("a body")
                    });
                    assert!(answer.starts_with(&format!("{{\"created\":{BULK},")), "{answer:.200}");
                    calls += 1;
                }
                calls * BULK
            };
            let threads: Vec<_> = (0..clients).map(|_| scope.spawn(client)).collect();
            threads.into_iter().map(|thread| thread.join().expect("a client ends well")).sum()
        });
        posted as f64 / begun.elapsed().as_secs_f64()
    }

    pub fn stop(&self) {
        let mut child = self.child.lock().expect("nobody panicked");
        child.kill().and_then(|()| child.wait()).expect("it is ours");
    }
}

impl Server for Medina {
    fn address(&self) -> SocketAddr {
        self.base.trim_start_matches("http://").parse().expect("an address")
    }

    fn greeting(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }

    fn request(&self) -> Ask {
        let head = self.head();
        Arc::new(move |transfer, into| {
            let mut body = String::from(r#"{"transfers":["#);
            shown(transfer, &mut body);
            body.push_str("]}");
            into.extend_from_slice(head.as_bytes());
            into.extend_from_slice(format!("{}\r\n\r\n{body}", body.len()).as_bytes());
        })
    }

    fn is_whole(answer: &[u8]) -> bool {
        let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return false };
        let head = std::str::from_utf8(&answer[..end]).expect("an HTTP head is ASCII");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).and_then(|length| length.parse::<usize>().ok());
        let body = &answer[end + 4..];
        let whole = body.len() == length.expect("answers say how long they are");
        if whole {
            assert!(body.starts_with(br#"{"created":1,"#), "{}", String::from_utf8_lossy(answer));
        }
        whole
    }

    fn cpu(&self) -> Duration {
        cpu_of(self.pid)
    }
}
