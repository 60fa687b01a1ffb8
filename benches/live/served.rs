//! The two servers, each a process of its own so that its memory is its own.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use axum::extract::State;
use axum::extract::ws::{Message, WebSocketUpgrade};
use axum::response::Response;
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::broadcast;

/// Orders that are placed at once: what is measured is the telling, and who says everything in one breath is the peer.
const HANDS: usize = 8;

const BINARY: &str = env!("CARGO_BIN_EXE_medina");

/// Memory of a process in bytes (proportional: what it shares is shared out).
fn memory(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("our own child");
    let line = text.lines().find(|line| line.starts_with("Pss:")).expect("it is always there");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).expect("a number") * 1024.0
}

/// CPU time of a process so far, in µs.
fn cpu_us(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("our own child");
    // utime and stime: fields 14 and 15, after the name in brackets; clock ticks are 1/100 s on Linux.
    let fields = stat.rsplit(')').next().expect("a name in brackets").split_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() * 10_000.0
}

fn address_in(line: &str) -> SocketAddr {
    let found = line.split_whitespace().find_map(|word| word.trim_start_matches("http://").parse().ok());
    found.unwrap_or_else(|| panic!("no address in {line:?}"))
}

pub struct Served {
    child: Child,
    pub address: SocketAddr,
    /// The administrator's, who may follow the city.
    pub token: String,
    pub topic: String,
    customer: String,
    shop: String,
    item: String,
    http: Client,
    _data: TempDir,
    _said: BufReader<ChildStdout>,
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

async fn ask(http: &Client, method: Method, url: String, token: &str, body: Value) -> Value {
    let key = uuid::Uuid::now_v7().to_string();
    let mut request = http.request(method, &url).header("idempotency-key", key).json(&body);
    if !token.is_empty() {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await.expect("the server answers");
    let status = answer.status();
    let value: Value = answer.json().await.unwrap_or(Value::Null);
    assert!(status.is_success(), "{url}: {status} {value}");
    value
}

impl Served {
    /// A city with one kitchen and a customer.
    pub async fn start() -> Self {
        let data = tempfile::tempdir().expect("a temporary folder");
        let folder = data.path().join("data");
        let mut command = Command::new(BINARY);
        command.args(["serve", "--sandbox", "--listen", "127.0.0.1:0", "--data"]).arg(&folder).env("MEDINA_LOG", "error");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the binary runs");
        let mut said = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        said.read_line(&mut line).expect("it says where it serves");
        let address = address_in(&line);
        let made = Command::new(BINARY).args(["admin", "create", "--json", "--email", "bench@medina.test", "--data"]).arg(&folder).output();
        let made: Value = serde_json::from_slice(&made.expect("it runs").stdout).expect("credentials");
        let (http, base) = (Client::new(), format!("http://{address}/v1"));
        let login = json!({ "email": made["email"], "password": made["password"] });
        let token = text(&ask(&http, Method::POST, format!("{base}/auth/login"), "", login).await, "access_token");
        let place = json!({ "lat": 5.6, "lon": -0.19 });
        let city = json!({ "name": "Accra", "currency": "GHS", "timezone": "Africa/Accra", "center": place, "radius_m": 20_000 });
        let city = text(&ask(&http, Method::POST, format!("{base}/cities"), &token, city).await, "id");
        let shop = json!({ "city_id": city, "name": "Mama's", "kind": "restaurant", "position": place });
        let shop = text(&ask(&http, Method::POST, format!("{base}/merchants"), &token, shop).await, "id");
        let item = json!({ "name": "Jollof", "price": { "amount": 4500, "currency": "GHS" } });
        let item = text(&ask(&http, Method::POST, format!("{base}/merchants/{shop}/items"), &token, item).await, "id");
        let phone = "+233200000001";
        ask(&http, Method::POST, format!("{base}/auth/otp/request"), "", json!({ "phone": phone })).await;
        let proof = json!({ "phone": phone, "otp": "000000", "device": { "id": "d", "name": "bench", "platform": "cli" } });
        let customer = text(&ask(&http, Method::POST, format!("{base}/auth/otp/verify"), "", proof).await, "access_token");
        Self { child, address, token, topic: format!("city:{city}"), customer, shop, item, http, _data: data, _said: said }
    }

    pub fn memory(&self) -> f64 {
        memory(self.child.id())
    }

    pub fn cpu_us(&self) -> f64 {
        cpu_us(self.child.id())
    }

    /// Places cash orders, some at once: events of the city.
    pub async fn order(&self, count: usize) {
        let hands = (0..HANDS).map(|hand| async move {
            for _ in (hand..count).step_by(HANDS) {
                self.one_order().await;
            }
        });
        futures_util::future::join_all(hands).await;
    }

    async fn one_order(&self) {
        let base = format!("http://{}/v1", self.address);
        let cart = storage::Id::<medina::trade::carts::model::CartTag>::from_u128(uuid::Uuid::now_v7().as_u128());
        let lines = json!({ "merchant_id": self.shop, "items": [{ "item_id": self.item, "quantity": 2 }] });
        ask(&self.http, Method::PUT, format!("{base}/carts/{cart}"), &self.customer, lines).await;
        let quote = json!({ "cart_id": cart.to_string(), "dropoff": { "lat": 5.61, "lon": -0.18 } });
        let quote = text(&ask(&self.http, Method::POST, format!("{base}/quotes"), &self.customer, quote).await, "id");
        let order = json!({ "quote_id": quote, "payment_method": "cash" });
        ask(&self.http, Method::POST, format!("{base}/orders"), &self.customer, order).await;
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The peer: this program again, as a server that does nothing but broadcast.
pub struct Bare {
    child: Child,
    pub address: SocketAddr,
    orders: ChildStdin,
    _said: BufReader<ChildStdout>,
}

impl Bare {
    pub fn start() -> Self {
        let own = std::env::current_exe().expect("this program");
        let mut child = Command::new(own).arg("--bare").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
        let orders = child.stdin.take().expect("piped");
        let mut said = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        said.read_line(&mut line).expect("it says where it serves");
        Self { child, address: address_in(&line), orders, _said: said }
    }

    pub fn memory(&self) -> f64 {
        memory(self.child.id())
    }

    pub fn cpu_us(&self) -> f64 {
        cpu_us(self.child.id())
    }

    /// Has it say `count` frames of `bytes` to everybody.
    pub fn say(&self, count: u64, bytes: usize) {
        let mut orders = &self.orders;
        for _ in 0..count {
            writeln!(orders, "{bytes}").expect("it reads");
        }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `--bare` runs: each line on standard input is a frame of so many bytes for everybody.
pub async fn bare() {
    let (say, _) = broadcast::channel::<axum::body::Bytes>(4_096);
    let routes = axum::Router::new().route("/", axum::routing::get(join)).with_state(say.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
    println!("{}", listener.local_addr().expect("bound"));
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            let bytes: usize = line.parse().expect("a number");
            let _ = say.send(vec![b'x'; bytes].into());
        }
    });
    axum::serve(listener, routes).await.expect("it serves");
}

async fn join(State(say): State<broadcast::Sender<axum::body::Bytes>>, upgrade: WebSocketUpgrade) -> Response {
    let mut heard = say.subscribe();
    upgrade.read_buffer_size(4 << 10).write_buffer_size(0).on_upgrade(async move |mut socket| {
        while let Ok(text) = heard.recv().await {
            if socket.send(Message::Binary(text)).await.is_err() {
                return;
            }
        }
    })
}
