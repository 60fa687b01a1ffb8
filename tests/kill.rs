//! The real binary, killed at any moment while clients write: what was acknowledged is there, what was not is done once, and the books balance.

mod wire;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use wire::{Answer, Person, Town, Wire, at, fresh_cart, try_send};

const BINARY: &str = env!("CARGO_BIN_EXE_medina");
const ADMIN: &str = "admin@medina.test";
const CLIENTS: usize = 4;
/// `MEDINA_KILL_ROUNDS=N` plays more.
const ROUNDS: usize = 6;

/// A served folder; killed, not stopped, when dropped.
struct Served {
    child: Child,
    base: String,
    /// What it prints later needs somewhere to go.
    _said: BufReader<ChildStdout>,
}

fn serve(data: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(data).args(more).env("MEDINA_LOG", "error");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Served {
    fn start(data: &Path) -> Self {
        let mut child = serve(data, &["--sandbox"]).stderr(Stdio::inherit()).spawn().expect("it starts");
        // The first line names the port; it is printed once the port is served.
        let mut line = String::new();
        let mut said = BufReader::new(child.stdout.take().expect("piped"));
        said.read_line(&mut line).expect("it says where it serves");
        let base = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap_or_else(|| panic!("no address in {line:?}"));
        Self { child, base: base.to_owned(), _said: said }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Why `serve` on this folder refuses, and its exit code.
fn refused(data: &Path, more: &[&str]) -> (Option<i32>, String) {
    let mut child = serve(data, more).spawn().expect("it starts");
    let mut said = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
    (child.wait().expect("it ends").code(), said)
}

/// A write and what came of it.
#[derive(Clone)]
struct Done {
    line: String,
    token: String,
    key: String,
    body: Value,
    answer: Answer,
}

/// A client that repeats a write, with its key, until it is answered; over as many servers as that takes.
struct Client {
    wire: Wire,
    base: watch::Receiver<String>,
    acknowledged: mpsc::UnboundedSender<()>,
    name: String,
    keys: u64,
    repeats: u64,
    done: Vec<Done>,
}

impl Client {
    async fn write(&mut self, token: &str, line: &str, body: Value) -> Answer {
        self.keys += 1;
        let key = format!("{}-{}", self.name, self.keys);
        loop {
            self.wire.base = self.base.borrow_and_update().clone();
            match try_send(self.wire.ask(line).bearer_auth(token).header("idempotency-key", &key).json(&body)).await {
                Ok(answer) => {
                    assert!((200..300).contains(&answer.status), "{line} {body}: {} {}", answer.status, answer.text);
                    self.done.push(Done { line: line.to_owned(), token: token.to_owned(), key, body, answer: answer.clone() });
                    let _ = self.acknowledged.send(());
                    return answer;
                }
                // The server is gone: wait for the next one.
                Err(_) => {
                    self.repeats += 1;
                    self.base.changed().await.expect("another server comes");
                }
            }
        }
    }

    async fn status(&mut self, token: &str, order: &str) -> String {
        loop {
            self.wire.base = self.base.borrow_and_update().clone();
            match try_send(self.wire.ask(&format!("GET /v1/orders/{order}")).bearer_auth(token)).await {
                Ok(answer) => return answer.is(200).text("status"),
                Err(_) => self.base.changed().await.expect("another server comes"),
            }
        }
    }

    /// Opens kitchens, writes menus, orders, pays, sells; until it is told to stop.
    async fn trade(mut self, town: Town, who: Person, stop: watch::Receiver<bool>) -> Self {
        let (admin, staff) = (town.admin.token.clone(), town.staff.token.clone());
        let (mut n, mut waiting) = (0, Vec::new());
        while !*stop.borrow() {
            n += 1;
            let kitchen = json!({ "city_id": town.city, "name": format!("Kitchen {} {n}", self.name), "kind": "restaurant", "position": at(wire::KITCHEN) });
            self.write(&admin, "POST /v1/merchants", kitchen).await;
            let dish = json!({ "name": dish(&self.name, n), "price": { "amount": 1000 + n, "currency": "GHS" } });
            let item = self.write(&staff, &format!("POST /v1/merchants/{}/items", town.merchant), dish).await.text("id");
            let cart = fresh_cart();
            let lines = json!({ "merchant_id": town.merchant, "items": [{ "item_id": item, "quantity": 2 }] });
            self.write(&who.token, &format!("PUT /v1/carts/{cart}"), lines).await;
            let asked = json!({ "cart_id": cart, "dropoff": at(wire::DOOR) });
            let quote = self.write(&who.token, "POST /v1/quotes", asked).await.text("id");
            let method = if n % 2 == 0 { "cash" } else { "card" };
            let order = self.write(&who.token, "POST /v1/orders", json!({ "quote_id": quote, "payment_method": method })).await;
            if method == "card" {
                waiting.push(order.text("id"));
                let intent = order.body["payment"]["intent_id"].as_str().expect("an intent").to_owned();
                self.write(&who.token, &format!("POST /v1/payments/intents/{intent}/confirm"), json!({ "token": "tok_ok" })).await;
            } else {
                self.write(&staff, &format!("POST /v1/orders/{}/accept", order.text("id")), json!({ "prep_minutes": 30 })).await;
                // What the provider has authorised meanwhile is accepted, and captured by that.
                for order in std::mem::take(&mut waiting) {
                    if self.status(&staff, &order).await == "CONFIRMED" {
                        self.write(&staff, &format!("POST /v1/orders/{order}/accept"), json!({ "prep_minutes": 30 })).await;
                    } else {
                        waiting.push(order);
                    }
                }
            }
        }
        self
    }
}

/// A word of its own for each dish, letters only.
fn dish(client: &str, n: u64) -> String {
    let mut letters: String = format!("{client}{n:04}").bytes().map(|byte| char::from(b'a' + byte % 26)).collect();
    letters.insert_str(0, "wax");
    letters
}

/// Numbers that look like chance and are the same each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

async fn list(town: &Town, who: &str, path: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = town.wire.get(who, &format!("{path}limit=100{cursor}")).await.is(200);
        all.extend(page.body["data"].as_array().expect("a list").clone());
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

async fn books_balance(town: &Town) -> i64 {
    let balance = town.wire.get(&town.admin.token, "/v1/ledger/trial-balance").await.is(200);
    let currencies = balance.body["currencies"].as_array().expect("currencies");
    assert!(currencies.iter().all(|currency| currency["difference"] == 0), "{}", balance.text);
    currencies.iter().map(|currency| currency["debits"].as_i64().expect("a number")).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_and_nothing_is_done_twice() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    let mut served = Served::start(&data);
    let made = Command::new(BINARY).args(["admin", "create", "--json", "--email", ADMIN, "--data"]).arg(&data).output().expect("it runs");
    let made: Value = serde_json::from_slice(&made.stdout).unwrap_or_else(|_| panic!("{made:?}"));
    let mut town = Town::found(Wire::to(&served.base), ADMIN, made["password"].as_str().expect("a password")).await;
    let settings = json!({ "capture": "acceptance" });
    town.wire.write(&town.admin.token, &format!("PUT /v1/cities/{}/settings", town.city), &settings).await.is(200);
    let mut people = Vec::new();
    for n in 0..CLIENTS {
        people.push(town.customer(&format!("+23320000000{n}")).await);
    }

    // What the deep verification at the end begins with.
    let copied = Command::new(BINARY).args(["snapshot", "--data"]).arg(&data).output().expect("it runs");
    assert!(copied.status.success(), "{copied:?}");
    let (base, bases) = watch::channel(served.base.clone());
    let (stop, stopping) = watch::channel(false);
    let (acknowledged, mut acknowledgements) = mpsc::unbounded_channel();
    let clients: Vec<_> = people
        .iter()
        .enumerate()
        .map(|(n, who)| {
            let client = Client {
                wire: town.wire.clone(),
                base: bases.clone(),
                acknowledged: acknowledged.clone(),
                name: format!("c{n}"),
                keys: 0,
                repeats: 0,
                done: Vec::new(),
            };
            tokio::spawn(client.trade(town.clone(), who.clone(), stopping.clone()))
        })
        .collect();
    let mut chance = Chance(20_261_121);
    let rounds = std::env::var("MEDINA_KILL_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().expect("a number of rounds"));
    for _ in 0..rounds {
        // Others are in the middle of their writes when this many are acknowledged.
        // In a long run fewer, so that the menu is not full before its end.
        for _ in 0..5 + chance.below(if rounds > ROUNDS { 20 } else { 120 }) {
            acknowledgements.recv().await.expect("clients go on");
        }
        drop(served);
        served = Served::start(&data);
        while acknowledgements.try_recv().is_ok() {}
        base.send_replace(served.base.clone());
        town.wire.base.clone_from(&served.base);
        books_balance(&town).await;
    }
    stop.send_replace(true);
    let mut ended = Vec::new();
    for client in clients {
        ended.push(client.await.expect("every write was taken in the end"));
    }
    assert!(ended.iter().map(|client| client.repeats).sum::<u64>() >= rounds as u64, "the kills hit nobody");
    drop(served);
    let served = Served::start(&data);
    town.wire.base.clone_from(&served.base);
    check(&town, &people, ended).await;
    // Beside the running server, then without it.
    verifies(&data);
    drop(served);
    verifies(&data);
}

fn verifies(data: &Path) {
    let verified = Command::new(BINARY).args(["verify", "--deep", "--json", "--data"]).arg(data).output().expect("it runs");
    let said: Value = serde_json::from_slice(&verified.stdout).unwrap_or_else(|_| panic!("{verified:?}"));
    assert_eq!((verified.status.code(), &said["findings"]), (Some(0), &json!([])), "{said}");
    assert!(said["tables"]["orders"].as_u64() > Some(0) && said["log"][1] == said["seq"], "{said}");
}

async fn check(town: &Town, people: &[Person], ended: Vec<Client>) {
    let done: Vec<Done> = ended.into_iter().flat_map(|client| client.done).collect();
    println!("{} writes", done.len());
    let last = done.iter().map(|done| done.answer.seq()).max().expect("some writes");
    // Each answer again, under its key, as it was.
    for Done { line, token, key, body, answer } in &done {
        let again = wire::send(town.wire.ask(line).bearer_auth(token).header("idempotency-key", key).json(body)).await;
        assert_eq!((again.status, &again.text), (answer.status, &answer.text), "{line}");
        assert_eq!(again.header("idempotency-replayed"), Some("true"), "{line}");
    }
    let ids = |line: &str| -> BTreeSet<String> {
        let made = done.iter().filter(|done| done.line == line && done.answer.status == 201);
        made.filter_map(|done| done.answer.body["id"].as_str().map(ToOwned::to_owned)).collect()
    };
    let unique = |all: Vec<Value>| -> BTreeSet<String> {
        let ids: BTreeSet<String> = all.iter().map(|one| one["id"].as_str().expect("an id").to_owned()).collect();
        assert_eq!(ids.len(), all.len(), "something is listed twice");
        ids
    };
    // All of it, and nothing else.
    let mut kitchens = unique(list(town, &town.admin.token, &format!("/v1/merchants?city_id={}&", town.city)).await);
    assert!(kitchens.remove(&town.merchant));
    assert_eq!(kitchens, ids("POST /v1/merchants"), "kitchens");
    let mut orders = BTreeSet::new();
    for who in people {
        orders.extend(unique(list(town, &who.token, "/v1/orders?").await));
    }
    assert_eq!(orders, ids("POST /v1/orders"), "orders");
    // What was paid is authorised in the end, whoever was killed when the provider called.
    wire::send(town.wire.ask("POST /v1/sandbox/clock/advance").bearer_auth(&town.admin.token).json(&json!({ "seconds": 30 })))
        .await
        .is(200);
    let (mut cash, mut captured) = (0, 0);
    for order in &orders {
        let shown = town.wire.get(&town.admin.token, &format!("/v1/orders/{order}")).await.is(200);
        let was_accepted = done.iter().any(|done| done.line.contains(order.as_str()) && done.line.ends_with("/accept"));
        let intent = shown.body["payment"]["intent_id"].as_str().unwrap_or_default().to_owned();
        let was_paid = !intent.is_empty() && done.iter().any(|done| done.line.contains(&intent) && done.line.ends_with("/confirm"));
        let wanted = if was_accepted { "ACCEPTED" } else { "CONFIRMED" };
        assert!(was_accepted || was_paid, "every order came to its end: {}", shown.text);
        assert_eq!(shown.text("status"), wanted, "{}", shown.text);
        cash += usize::from(was_accepted && !was_paid);
        if was_accepted && was_paid {
            let intent = town.wire.get(&town.admin.token, &format!("/v1/payments/intents/{intent}")).await.is(200);
            assert_eq!(intent.text("status"), "captured", "{}", intent.text);
            captured += intent.body["captured"]["amount"].as_i64().expect("an amount");
        }
    }
    assert!(cash > 0 && captured > 0, "{cash} {captured}");
    // The index has every dish.
    for dish in done.iter().filter(|done| done.line.ends_with("/items")) {
        let (name, seq) = (dish.answer.text("name"), format!("{}.{}", last.0, last.1));
        let ask = town.wire.ask(&format!("GET /v1/search?q={name}&kind=item&limit=100")).header("medina-min-seq", seq);
        let found = wire::send(ask).await.is(200);
        let data = found.body["data"].as_array().expect("a list");
        let times = data.iter().filter(|one| one["id"] == dish.answer.body["id"]).count();
        assert_eq!(times, 1, "{name}: {}", found.text);
    }
    assert!(books_balance(town).await >= captured, "what was captured is in the books");
}

#[test]
fn one_folder_serves_one_process_in_one_mode() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    let served = Served::start(&data);
    for (more, words) in
        [(&["--sandbox"][..], "another process uses this data folder"), (&[], "is a sandbox folder and was opened as live")]
    {
        let (code, said) = refused(&data, more);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(words), "{said}");
    }
    // The refused ones did no harm: the first still answers, and so does its control socket.
    let made = Command::new(BINARY).args(["admin", "create", "--json", "--email", ADMIN, "--data"]).arg(&data).output().expect("it runs");
    assert!(made.status.success(), "{made:?}");
    drop(served);
    let (code, said) = refused(&data, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("--sandbox"), "it says what to do: {said}");
    let again = Served::start(&data);
    assert!(again.base.starts_with("http://127.0.0.1:"));
}
