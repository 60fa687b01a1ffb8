//! Two real processes: the leader is killed under load, its follower takes over, the old one comes back. With `ack = "follower"` nothing that was
//! acknowledged is ever missing; without, what a lost machine loses is set aside to be read. `MEDINA_FAILOVERS` says how many rounds.

mod away;
mod machine;
mod partition;
mod relay;
mod serving;
mod split;
mod tls;
mod watching;
#[path = "../wire/mod.rs"]
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use machine::Machine;
use serde_json::{Value, json};
use tokio::sync::watch;
use wire::{Answer, Person, Town, Wire, at, fresh_cart, fresh_key, try_send};

const ADMIN: &str = "admin@medina.test";
const CLIENTS: usize = 3;
/// Acknowledgements between two fail-overs.
const ACKNOWLEDGED: u64 = 25;

fn failovers() -> usize {
    std::env::var("MEDINA_FAILOVERS").ok().and_then(|text| text.parse().ok()).unwrap_or(3)
}

/// A write that was acknowledged.
struct Done {
    line: String,
    token: String,
    key: String,
    body: Value,
    answer: Answer,
}

struct Client {
    wire: Wire,
    base: watch::Receiver<String>,
    acknowledged: Arc<AtomicU64>,
    done: Vec<Done>,
}

/// A request that met the death of its server may be told nothing at all (one run of fifty left a client waiting without a connection).
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

impl Client {
    /// Repeats a write, with its key, until somebody acknowledges it.
    async fn write(&mut self, token: &str, line: &str, body: Value) -> Answer {
        let key = fresh_key();
        loop {
            self.wire.base = self.base.borrow().clone();
            let request = self.wire.ask(line).bearer_auth(token).header("idempotency-key", &key).json(&body).timeout(PATIENCE);
            match try_send(request).await {
                Ok(answer) if (200..300).contains(&answer.status) => {
                    self.acknowledged.fetch_add(1, Ordering::Relaxed);
                    let (line, token) = (line.to_owned(), token.to_owned());
                    self.done.push(Done { line, token, key, body, answer: answer.clone() });
                    return answer;
                }
                Ok(answer) => assert!([421, 503].contains(&answer.status), "{line}: {}", answer.text),
                Err(_) => (),
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// Opens kitchens and orders for cash until it is told to stop.
    async fn trade(mut self, town: Town, who: Person, stop: watch::Receiver<bool>) -> Vec<Done> {
        while !*stop.borrow() {
            let kitchen = json!({ "city_id": town.city, "name": "Kitchen", "kind": "restaurant", "position": at(wire::KITCHEN) });
            self.write(&town.admin.token, "POST /v1/merchants", kitchen).await;
            let cart = fresh_cart();
            let lines = json!({ "merchant_id": town.merchant, "items": [{ "item_id": town.item, "quantity": 2 }] });
            self.write(&who.token, &format!("PUT /v1/carts/{cart}"), lines).await;
            let asked = json!({ "cart_id": cart, "dropoff": at(wire::DOOR) });
            let quote = self.write(&who.token, "POST /v1/quotes", asked).await.text("id");
            let order = self.write(&who.token, "POST /v1/orders", json!({ "quote_id": quote, "payment_method": "cash" })).await;
            let accept = format!("POST /v1/orders/{}/accept", order.text("id"));
            self.write(&town.staff.token, &accept, json!({ "prep_minutes": 30 })).await;
        }
        self.done
    }
}

/// A pair that serves, and the town on it.
async fn town(a: &mut Machine, b: &mut Machine, with_follower: bool) -> Town {
    a.start();
    a.until_alive().await;
    if with_follower {
        b.start();
        b.until_ready().await;
    }
    a.until_ready().await;
    let made = a.run(&["admin", "create", "--json", "--email", ADMIN]);
    let made: Value = serde_json::from_slice(&made.stdout).unwrap_or_else(|_| panic!("{made:?}"));
    Town::found(Wire::to(&a.base), ADMIN, made["password"].as_str().expect("a password")).await
}

/// Writes to a leader whose follower is out of reach, until it refuses; what it acknowledged all the same (what was under way, if it is right).
async fn until_it_refuses(leader: &Machine, town: &Town) -> Vec<Done> {
    let wire = Wire::to(&leader.base);
    let (line, token) = ("POST /v1/merchants".to_owned(), town.admin.token.clone());
    let mut done = Vec::new();
    while done.len() < 30 {
        let body = json!({ "city_id": town.city, "name": "Last Kitchen", "kind": "restaurant", "position": at(wire::KITCHEN) });
        let key = fresh_key();
        let answer = try_send(wire.ask(&line).bearer_auth(&token).header("idempotency-key", &key).json(&body)).await.expect("it answers");
        if answer.status == 503 {
            break;
        }
        done.push(Done { line: line.clone(), token: token.clone(), key, body, answer: answer.is(201) });
    }
    done
}

async fn is_there(base: &str, done: &Done, round: usize) {
    let wire = Wire::to(base);
    let again = try_send(wire.ask(&done.line).bearer_auth(&done.token).header("idempotency-key", &done.key).json(&done.body)).await;
    let again = again.expect("it serves");
    let replayed = again.header("idempotency-replayed") == Some("true");
    assert!(
        replayed && again.body == done.answer.body,
        "round {round}: {} was acknowledged as {:?} and is lost: {}",
        done.line,
        done.answer.seq(),
        again.text
    );
}

/// Fail-overs of one pair, at most: people's access tokens are over after a quarter of an hour.
const OF_ONE_PAIR: usize = 50;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_with_the_leader() {
    let mut left = failovers();
    while left > 0 {
        let rounds = left.min(OF_ONE_PAIR);
        fail_over(rounds).await;
        left -= rounds;
    }
}

async fn fail_over(rounds: usize) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut a, mut b) = Machine::pair(folder.path(), "follower");
    let town = town(&mut a, &mut b, true).await;
    let (base, following) = watch::channel(a.base.clone());
    let (stop, stopping) = watch::channel(false);
    let acknowledged = Arc::new(AtomicU64::new(0));
    let mut clients = Vec::new();
    for n in 0..CLIENTS {
        let who = town.customer(&format!("+23320000000{n}")).await;
        let client = Client { wire: town.wire.clone(), base: following.clone(), acknowledged: acknowledged.clone(), done: Vec::new() };
        clients.push(tokio::spawn(client.trade(town.clone(), who, stopping.clone())));
    }
    let (mut leader, mut follower) = (&mut a, &mut b);
    let mut last = Vec::new();
    for round in 0..rounds {
        let goal = acknowledged.load(Ordering::Relaxed) + ACKNOWLEDGED;
        while acknowledged.load(Ordering::Relaxed) < goal {
            assert!(clients.iter().all(|client| !client.is_finished()), "round {round}: a client has failed");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        if round % 2 == 1 {
            // The follower goes first: whatever its leader acknowledged alone would be lost with it.
            follower.kill();
            last.extend(until_it_refuses(leader, &town).await);
            leader.kill();
            follower.start();
            follower.until_alive().await;
        } else {
            leader.kill();
        }
        let promoted = follower.run(&["promote"]);
        assert!(promoted.status.success(), "round {round}: {}", String::from_utf8_lossy(&promoted.stderr));
        leader.start();
        follower.until_ready().await;
        base.send_replace(follower.base.clone());
        leader.until("follows", "/readyz", |status, _| status == 200).await;
        (leader, follower) = (follower, leader);
    }
    stop.send_replace(true);
    let mut done = last;
    for client in clients {
        done.extend(client.await.expect("a client ended well"));
    }
    assert!(done.len() as u64 >= ACKNOWLEDGED * rounds as u64);
    for one in &done {
        is_there(&leader.base, one, rounds).await;
    }
    // The follower has the same, and sends writers to the leader.
    let newest = done.iter().map(|one| one.answer.seq()).max().expect("something was written");
    let there = Wire::to(&follower.base);
    let asked = there.ask("GET /v1/ledger/trial-balance").bearer_auth(&town.admin.token);
    let balance = try_send(asked.header("medina-min-seq", format!("{}.{}", newest.0, newest.1))).await.expect("it serves").is(200);
    assert!(balance.body["currencies"].as_array().expect("a list").iter().all(|one| one["difference"] == 0), "{}", balance.text);
    let kitchen = done.iter().find(|one| one.line == "POST /v1/merchants").expect("somebody opened one");
    let refused = there.write(&kitchen.token, &kitchen.line, &kitchen.body).await;
    let told = (refused.status, refused.code(), refused.body["leader"].as_str());
    assert_eq!(told, (421, "not_leader", Some(leader.base.as_str())), "{}", refused.text);
    for machine in [&leader, &follower] {
        let verified = machine.run(&["verify"]);
        assert!(verified.status.success(), "{}: {}", machine.name, String::from_utf8_lossy(&verified.stdout));
    }
    println!("{} writes acknowledged over {} fail-overs, 0 lost", done.len(), rounds);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_lost_leader_had_is_set_aside_to_be_read() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut a, mut b) = Machine::pair(folder.path(), "local");
    let town = town(&mut a, &mut b, true).await;
    let who = town.customer("+233200000001").await;
    let shared = town.order(&who).await;
    let seq = |text: &str| text.lines().find_map(|line| line.strip_prefix("medina_seq ")?.parse::<u64>().ok());
    b.until("level", "/metrics", |_, text| seq(text) >= Some(shared.seq().1)).await;
    b.kill();
    let lost = town.order(&who).await;
    a.kill();
    b.start();
    b.until_alive().await;
    let refused = b.run(&["promote"]);
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && why.contains("--lose-tail"), "{why}");
    let promoted = b.run(&["promote", "--lose-tail"]);
    assert!(promoted.status.success(), "{}", String::from_utf8_lossy(&promoted.stderr));
    b.until_ready().await;
    let after = Town { wire: Wire::to(&b.base), ..town.clone() };
    let order = after.order(&who).await;
    assert!(order.seq().0 > lost.seq().0, "another epoch: {:?}", order.seq());
    a.start();
    a.until_ready().await;
    let files = a.set_aside();
    let text = files.iter().map(|file| std::fs::read_to_string(file).expect("read")).collect::<String>();
    assert!(text.contains(&lost.text("id")), "{files:?}: {text}");
    assert!(text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "lines of JSON");
    let read = async |base: &str, order: &Answer, min: (u64, u64)| {
        let asked = Wire::to(base).ask(&format!("GET /v1/orders/{}", order.text("id"))).bearer_auth(&who.token);
        try_send(asked.header("medina-min-seq", format!("{}.{}", min.0, min.1))).await.expect("it serves")
    };
    for machine in [&a, &b] {
        read(&machine.base, &shared, shared.seq()).await.is(200);
        read(&machine.base, &order, order.seq()).await.is(200);
        assert_eq!(read(&machine.base, &shared, lost.seq()).await.is(409).code(), "timeline_changed", "{}", machine.name);
        let gone = Wire::to(&machine.base).get(&who.token, &format!("/v1/orders/{}", lost.text("id"))).await;
        assert_eq!(gone.status, 404, "{}: {}", machine.name, gone.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_degrades_says_so() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut a, mut b) = Machine::pair(folder.path(), "follower-or-degrade");
    let town = town(&mut a, &mut b, false).await;
    let who = town.customer("+233200000001").await;
    let order = town.order(&who).await;
    assert_eq!(order.header("medina-durability"), Some("local"), "nobody else has it");
    a.until("degraded", "/metrics", |_, text| text.contains("\nmedina_replication_degraded 1\n")).await;
    b.start();
    b.until_ready().await;
    a.until("recovered", "/metrics", |_, text| text.contains("\nmedina_replication_degraded 0\n")).await;
    let order = town.order(&who).await;
    assert_eq!(order.header("medina-durability"), None, "the follower has it");
    // A stranger is told nothing.
    for path in ["status", "log?after=0&hash=00&epoch=1&node=x", "snapshot?node=x", "holds?seq=0&hash=00"] {
        assert_eq!(a.get(&format!("/replication/{path}")).await.expect("an answer").0, 401, "{path}");
    }
}

/// A follower whose copy of the keys is old gets the new ones by itself, before it takes the rows that are sealed with them.
#[tokio::test(flavor = "multi_thread")]
async fn an_old_copy_of_the_keys_is_brought_up_to_date() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut a, mut b) = Machine::pair(folder.path(), "follower-or-degrade");
    let town = town(&mut a, &mut b, false).await;
    let who = town.customer("+233200000001").await;
    let (ours, theirs) = (folder.path().join("a/keys"), folder.path().join("b/keys"));
    std::fs::create_dir_all(&theirs).expect("a folder");
    for entry in std::fs::read_dir(&ours).expect("the leader's keys").filter_map(Result::ok) {
        std::fs::copy(entry.path(), theirs.join(entry.file_name())).expect("copied");
    }
    // 32 bytes of header, and one of the slots of 48: everybody but the first came later.
    let old = std::fs::OpenOptions::new().write(true).open(theirs.join("people.keys")).expect("copied");
    old.set_len(32 + 48).expect("cut");
    b.start();
    b.until_ready().await;
    let keys = |folder: &std::path::Path| std::fs::read(folder.join("people.keys")).expect("read");
    assert_eq!(keys(&ours), keys(&theirs));
    let order = town.order(&who).await;
    let (epoch, seq) = order.seq();
    let asked = Wire::to(&b.base).ask("GET /v1/me").bearer_auth(&who.token).header("medina-min-seq", format!("{epoch}.{seq}"));
    let me = try_send(asked).await.expect("it serves").is(200);
    assert!(me.text.contains("+233200000001"), "the follower can read what is sealed: {}", me.text);
}
