//! A served sandbox with a city full of couriers, made over the API as everybody makes them.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_medina");
const CENTRE: (f64, f64) = (5.6, -0.19);
/// Of the square that couriers are strewn over, in degrees to each side: about 30 km across.
const REACH_DEG: f64 = 0.135;
/// Callers at once while the town is filled.
const HANDS: usize = 32;

/// Numbers that look like chance and are the same each time.
#[derive(Clone)]
pub struct Chance(pub u64);

impl Chance {
    pub fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn point(&mut self) -> (f64, f64) {
        (CENTRE.0 + (self.unit() * 2.0 - 1.0) * REACH_DEG, CENTRE.1 + (self.unit() * 2.0 - 1.0) * REACH_DEG)
    }
}

/// The server, a process of its own so that its CPU time is its own.
pub struct Served {
    child: Child,
    pub address: SocketAddr,
    data: TempDir,
    _said: BufReader<ChildStdout>,
}

impl Served {
    pub fn start() -> Self {
        let data = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(BINARY);
        command.args(["serve", "--sandbox", "--listen", "127.0.0.1:0", "--data"]).arg(data.path().join("data")).env("MEDINA_LOG", "error");
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the binary runs");
        let mut said = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        said.read_line(&mut line).expect("it says where it serves");
        let address = line.split_whitespace().find_map(|word| word.strip_prefix("http://")?.parse().ok());
        Self { child, address: address.unwrap_or_else(|| panic!("no address in {line:?}")), data, _said: said }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Who is there.
pub struct Town {
    pub admin: String,
    /// Where each courier stands.
    pub points: Vec<(f64, f64)>,
    tokens: Vec<String>,
    /// The device time of each courier's last ping, in ms since 1970.
    last: Mutex<Vec<i64>>,
    next: AtomicUsize,
}

struct Api {
    http: Client,
    base: String,
    keys: AtomicUsize,
}

impl Api {
    async fn ask(&self, method: Method, path: &str, token: &str, body: Value) -> Value {
        let key = self.keys.fetch_add(1, Ordering::Relaxed);
        let mut request =
            self.http.request(method, format!("{}/v1/{path}", self.base)).header("idempotency-key", key.to_string()).json(&body);
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.expect("the server answers");
        let status = answer.status();
        let value: Value = answer.json().await.unwrap_or(Value::Null);
        assert!(status.is_success(), "{path}: {status} {value}");
        value
    }
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

impl Town {
    pub async fn fill(served: &Served, couriers: usize) -> Self {
        let mut create = Command::new(BINARY);
        create.args(["admin", "create", "--json", "--email", "bench@medina.test", "--data"]).arg(served.data.path().join("data"));
        let made = create.output().expect("it runs");
        let made: Value = serde_json::from_slice(&made.stdout).expect("credentials");
        let api = Api { http: Client::new(), base: format!("http://{}", served.address), keys: AtomicUsize::new(0) };
        let login = json!({ "email": made["email"], "password": made["password"] });
        let admin = text(&api.ask(Method::POST, "auth/login", "", login).await, "access_token");
        let city = json!({ "name": "Accra", "currency": "GHS", "timezone": "Africa/Accra", "center": { "lat": CENTRE.0, "lon": CENTRE.1 }, "radius_m": 40_000 });
        let city = text(&api.ask(Method::POST, "cities", &admin, city).await, "id");
        let mut chance = Chance(7);
        let points: Vec<(f64, f64)> = (0..couriers).map(|_| chance.point()).collect();
        let next = AtomicUsize::new(0);
        let hands = (0..HANDS).map(|_| async {
            let mut tokens = Vec::new();
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                let Some((lat, lon)) = points.get(n) else { break tokens };
                let phone = format!("+2332{n:08}");
                api.ask(Method::POST, "auth/otp/request", "", json!({ "phone": phone })).await;
                let proof = json!({ "phone": phone, "otp": "000000", "device": { "id": phone, "name": "bench", "platform": "cli" } });
                let session = api.ask(Method::POST, "auth/otp/verify", "", proof).await;
                let courier = json!({ "user_id": session["user"]["id"], "city_id": city, "vehicle": "motorbike", "capacity": 2 });
                api.ask(Method::POST, "couriers", &admin, courier).await;
                let session = api.ask(Method::POST, "auth/refresh", "", json!({ "refresh_token": session["refresh_token"] })).await;
                let token = text(&session, "access_token");
                let online = json!({ "status": "online", "position": { "lat": lat, "lon": lon } });
                api.ask(Method::PUT, "couriers/me/presence", &token, online).await;
                tokens.push((n, token));
            }
        });
        let mut tokens: Vec<(usize, String)> = futures_util::future::join_all(hands).await.into_iter().flatten().collect();
        tokens.sort_unstable();
        let tokens: Vec<String> = tokens.into_iter().map(|(_, token)| token).collect();
        let last = Mutex::new(vec![now_ms(); couriers]);
        Self { admin, points, tokens, last, next: AtomicUsize::new(0) }
    }

    /// The next courier's batch: `count` pings a few milliseconds apart, the last one now.
    pub fn pings(&self, chance: &mut Chance, count: usize) -> Vec<u8> {
        let n = self.next.fetch_add(1, Ordering::Relaxed) % self.points.len();
        let now = now_ms();
        let first = {
            let mut last = self.last.lock().expect("nobody panics with it");
            let first = last[n].max(now - 5_000);
            last[n] = now.max(first + count as i64);
            first
        };
        let (lat, lon) = self.points[n];
        let step = ((now - first) / count as i64).max(1);
        let pings: Vec<String> = (1..=count as i64)
            .map(|k| {
                let at = storage::Timestamp::from_millis(first + k * step);
                format!("{{\"lat\":{:.6},\"lon\":{lon:.6},\"at\":\"{at}\"}}", lat + chance.unit() * 1e-5)
            })
            .collect();
        let body = format!("{{\"pings\":[{}]}}", pings.join(","));
        format!(
            "POST /v1/couriers/me/pings HTTP/1.1\r\nHost: medina\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.tokens[n],
            body.len()
        )
        .into_bytes()
    }
}

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("the clock is after 1970");
    since.as_millis() as i64
}
