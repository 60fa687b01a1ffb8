//! Who follows something live hears it for as long as they may, and no longer; who is slow loses the line and nothing else.

mod wire;

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use medina::app::{self, App, AppOptions};
use medina::engine::{Caller, Event, Fault};
use serde_json::{Value, json};
use storage::{Clock, MachineClock};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use wire::{Person, Town, Wire};

const ADMIN: &str = "admin@medina.test";
/// What is late by this much will not come.
const PATIENCE: Duration = Duration::from_secs(30);

async fn town() -> (App, Town) {
    let options = AppOptions { sandbox: true, admin: Some(ADMIN.to_owned()), ..AppOptions::default() };
    let app = app::start(options).await.expect("the appliance starts");
    let password = app.admin().expect("one was asked for").password.clone();
    let town = Town::found(Wire::to(&app.base_url()), ADMIN, &password).await;
    (app, town)
}

/// A WebSocket client who signed in.
struct Line(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Line {
    /// Follows `topic`.
    async fn on(town: &Town, who: &Person, topic: &str, since: Option<u64>) -> Self {
        let url = format!("{}/v1/live", town.wire.base.replacen("http", "ws", 1));
        let mut line = Self(connect_async(url).await.expect("a WebSocket").0);
        line.say(json!({ "type": "auth", "token": who.token })).await;
        assert_eq!(line.hear().await["type"], "authenticated");
        line.say(json!({ "type": "subscribe", "topic": topic, "since": since })).await;
        let heard = line.hear().await;
        assert_eq!(heard["type"], "subscribed", "{heard}");
        line
    }

    async fn say(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.expect("the line stands");
    }

    /// What is said next, or the code with which the server hangs up.
    async fn next(&mut self) -> Result<Value, u16> {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("something is said in time");
            match next.expect("the line stands").expect("a message") {
                Message::Ping(_) | Message::Pong(_) => (),
                Message::Close(frame) => return Err(frame.expect("a reason").code.into()),
                message => return Ok(serde_json::from_str(message.to_text().expect("text")).expect("JSON")),
            }
        }
    }

    async fn hear(&mut self) -> Value {
        self.next().await.expect("the line stands")
    }

    /// Everything up to what `is_it`.
    async fn until(&mut self, is_it: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut heard = Vec::new();
        loop {
            heard.push(self.hear().await);
            if heard.last().is_some_and(&is_it) {
                return heard;
            }
        }
    }

    /// With which code the server hangs up in the end.
    async fn hung_up(&mut self) -> u16 {
        loop {
            if let Err(code) = self.next().await {
                return code;
            }
        }
    }
}

/// A stream of server-sent events.
struct Stream {
    answer: reqwest::Response,
    text: String,
}

impl Stream {
    async fn of(town: &Town, who: &Person, path: &str) -> Self {
        let answer = town.wire.ask(&format!("GET {path}")).bearer_auth(&who.token).send().await.expect("an answer");
        assert_eq!(answer.status(), 200);
        Self { answer, text: String::new() }
    }

    /// Name, id and data of the next; `None` at the end.
    async fn next(&mut self) -> Option<(String, Option<String>, Value)> {
        // Over all of it: the server's signs of life are no events.
        tokio::time::timeout(PATIENCE, self.read()).await.expect("something is told in time")
    }

    async fn read(&mut self) -> Option<(String, Option<String>, Value)> {
        loop {
            while let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned());
                let found = field("event:").map(|name| (name, field("id:"), field("data:").expect("data")));
                self.text = rest.to_owned();
                if let Some((name, id, data)) = found {
                    return Some((name, id, serde_json::from_str(&data).expect("JSON")));
                }
            }
            let chunk = self.answer.chunk().await.expect("the stream ends in order")?;
            self.text.push_str(std::str::from_utf8(&chunk).expect("UTF-8"));
        }
    }

    async fn until(&mut self, name: &str) -> (Option<String>, Value) {
        loop {
            let (named, id, data) = self.next().await.expect("the stream stands");
            if named == name {
                return (id, data);
            }
        }
    }

    /// The names of what still comes.
    async fn rest(mut self) -> Vec<String> {
        let mut names = Vec::new();
        while let Some((name, ..)) = self.next().await {
            names.push(name);
        }
        names
    }
}

fn ping(north_m: f64) -> Value {
    let (lat, lon) = wire::KITCHEN;
    json!({ "lat": lat + north_m / 111_195.0, "lon": lon, "at": MachineClock.now().to_string(), "accuracy_m": 5.0 })
}

/// An order that is ready to be fetched.
async fn ready(town: &Town, who: &Person) -> String {
    let order = town.order(who).await.text("id");
    for (verb, body) in [("accept", json!({ "prep_minutes": 1 })), ("ready", json!({}))] {
        town.wire.write(&town.staff.token, &format!("POST /v1/orders/{order}/{verb}"), &body).await.is(200);
    }
    order
}

async fn offers(town: &Town, rider: &Person) -> Vec<Value> {
    town.wire.get(&rider.token, "/v1/couriers/me/offers").await.is(200).body["data"].as_array().expect("a list").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_courier_who_gave_the_order_back_hears_nothing_more_of_it() {
    let (app, town) = town().await;
    let ama = town.customer("+233200000001").await;
    let (_, rider) = town.courier("+233200000003").await;
    let mut offered = Line::on(&town, &rider, "courier:me", None).await;
    let order = ready(&town, &ama).await;
    offered.until(|heard| heard["event"]["type"] == "OfferMade").await;
    let offer = offers(&town, &rider).await[0]["id"].as_str().expect("an id").to_owned();
    town.wire.write(&rider.token, &format!("POST /v1/offers/{offer}/accept"), &json!({})).await.is(200);

    let topic = format!("order:{order}");
    let mut theirs = Line::on(&town, &ama, &topic, None).await;
    let mut rides = Line::on(&town, &rider, &topic, None).await;
    let streamed = Stream::of(&town, &rider, &format!("/v1/live?topic={topic}")).await;
    let why = json!({ "reason": "a flat tyre" });
    town.wire.write(&rider.token, &format!("POST /v1/orders/{order}/release"), &why).await.is(200);
    theirs.until(|heard| heard["event"]["type"] == "DriverUnassigned").await;
    let heard = rides.until(|heard| heard["type"] == "unsubscribed").await;
    assert!(heard.iter().all(|heard| heard["event"]["type"] != "DriverUnassigned"), "{heard:?}");
    assert_eq!(heard.last().expect("that one")["topic"], topic);
    assert!(!streamed.rest().await.contains(&"DriverUnassigned".to_owned()));

    let why = json!({ "reason": "not hungry any more" });
    town.wire.write(&town.admin.token, &format!("POST /v1/orders/{order}/cancel"), &why).await.is(200);
    theirs.until(|heard| heard["event"]["type"] == "OrderCancelled").await;
    for n in 0..16 {
        rides.say(json!({ "type": "pings", "pings": [ping(f64::from(n))] })).await;
        let heard = rides.hear().await;
        assert_eq!(heard["type"], "pings", "{heard}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_live_ends_with_the_sign_in() {
    let (app, town) = town().await;
    let (ama, kofi) = (town.customer("+233200000001").await, town.customer("+233200000002").await);
    let (one, other) = (town.order(&ama).await.text("id"), town.order(&kofi).await.text("id"));
    let (topic, other_topic) = (format!("order:{one}"), format!("order:{other}"));
    let mut line = Line::on(&town, &ama, &topic, None).await;
    let stream = Stream::of(&town, &ama, &format!("/v1/live?topic={topic}")).await;
    let everything = Stream::of(&town, &town.admin, "/v1/events").await;
    let mut others = Line::on(&town, &kofi, &other_topic, None).await;

    let leave = async |who: &Person| town.wire.write(&who.token, "POST /v1/auth/logout", &json!({})).await.is(204);
    leave(&ama).await;
    leave(&town.admin).await;
    // Nothing happens to their order: the server asks by itself.
    assert_eq!(line.hung_up().await, 4401);
    assert_eq!(stream.rest().await, Vec::<String>::new());
    everything.rest().await;

    // Something happens: nothing of it is told.
    let mut leaving = Line::on(&town, &kofi, &other_topic, None).await;
    leave(&kofi).await;
    town.wire.write(&town.staff.token, &format!("POST /v1/orders/{other}/accept"), &json!({})).await.is(200);
    for line in [&mut others, &mut leaving] {
        assert_eq!(line.next().await.expect_err("hung up at once"), 4401);
    }
    app.stop().await;
}

/// Something long on an order's topic.
struct Noise {
    topic: String,
    n: usize,
}

impl Event for Noise {
    fn name(&self) -> &'static str {
        "Noise"
    }
    fn topics(&self) -> Vec<String> {
        vec![self.topic.clone()]
    }
    fn data(&self) -> Value {
        json!({ "n": self.n, "noise": "z".repeat(5_000) })
    }
}

/// Events of one command.
const BURST: usize = 150;
/// Together more than the kernel's buffers on the way hold, and the queue behind them.
const BURSTS: usize = 40;

async fn flood(app: &App, topic: &str) {
    for burst in 0..BURSTS {
        let topic = topic.to_owned();
        let written = app.engine().write(&Caller::system("test"), "test.noise", move |tx| {
            for n in 0..BURST {
                tx.emit(Noise { topic: topic.clone(), n: burst * BURST + n });
            }
            Ok::<_, Fault>(())
        });
        written.await.expect("it is written");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_who_does_not_read_is_cut_off_and_loses_nothing() {
    let (app, town) = town().await;
    let ama = town.customer("+233200000001").await;
    let order = town.order(&ama).await;
    let (topic, mut since) = (format!("order:{}", order.text("id")), order.seq().1);
    let wanted: Vec<u64> = (0..(BURST * BURSTS) as u64).collect();
    let mut line = Line::on(&town, &ama, &topic, None).await;
    let mut streamed = Stream::of(&town, &ama, &format!("/v1/live?topic={topic}")).await;
    flood(&app, &topic).await;

    let (mut heard, mut last, mut cuts) = (Vec::new(), (0, 0), 0);
    while heard.len() < wanted.len() {
        let event = match line.next().await {
            Ok(event) => event,
            Err(code) => {
                assert_eq!(code, 4408);
                cuts += 1;
                line = Line::on(&town, &ama, &topic, Some(since)).await;
                continue;
            }
        };
        let place = (event["seq"].as_u64().expect("a number"), event["n"].as_u64().expect("a number"));
        since = if event["more"] == true { place.0 - 1 } else { place.0 };
        if place > last && event["event"]["type"] == "Noise" {
            heard.push(event["event"]["data"]["n"].as_u64().expect("a number"));
        }
        last = last.max(place);
    }
    assert_eq!(heard, wanted);
    assert!(cuts > 0, "30 MB do not wait for one who does not read");

    // A stream falls back to the rows instead, each event once.
    let mut heard = Vec::new();
    while heard.len() < wanted.len() {
        let (name, _, event) = streamed.next().await.expect("the stream stands");
        if name == "Noise" {
            heard.push(event["data"]["n"].as_u64().expect("a number"));
        }
    }
    assert_eq!(heard, wanted);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_on_a_stream_is_seen_and_positions_come_there_too() {
    let (app, town) = town().await;
    let ama = town.customer("+233200000001").await;
    let (_, rider) = town.courier("+233200000003").await;
    let mut rides = Stream::of(&town, &rider, "/v1/live?topic=courier:me").await;
    let order = ready(&town, &ama).await;
    let (id, _) = rides.until("OfferMade").await;
    assert!(id.is_some(), "one resumes after it");
    let later = json!({ "seconds": 12 });
    town.wire.write(&town.admin.token, "POST /v1/sandbox/clock/advance", &later).await.is(200);
    let offers = offers(&town, &rider).await;
    assert_eq!(offers.len(), 1, "it reached them: nobody takes it back after 10 s");

    let accept = format!("POST /v1/offers/{}/accept", offers[0]["id"].as_str().expect("an id"));
    town.wire.write(&rider.token, &accept, &json!({})).await.is(200);
    let mut watch = Stream::of(&town, &ama, &format!("/v1/live?topic=order:{order}")).await;
    let at = town.wire.get(&rider.token, "/v1/couriers/me/route").await.is(200);
    assert!(at.body["stops"].as_array().is_some_and(|stops| stops.len() == 2), "{}", at.text);
    let shown = town.wire.get(&town.staff.token, &format!("/v1/orders/{order}")).await.is(200);
    let status = async |body: Value| town.wire.write(&rider.token, &format!("POST /v1/orders/{order}/status"), &body).await.is(200);
    status(json!({ "status": "AT_RESTAURANT" })).await;
    status(json!({ "status": "PICKED_UP", "code": shown.text("pickup_code") })).await;
    let mut soon = ping(30.0);
    soon["at"] = json!(app.engine().now().to_string());
    let counted = town.wire.write(&rider.token, "POST /v1/couriers/me/pings", &json!({ "pings": [soon] })).await.is(202);
    assert_eq!(counted.body["accepted"], 1);
    let (id, position) = watch.until("position").await;
    assert_eq!((id, &position["order_id"]), (None, &json!(order)));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_those_who_listen() {
    let (app, town) = town().await;
    let ama = town.customer("+233200000001").await;
    let topic = format!("order:{}", town.order(&ama).await.text("id"));
    let mut line = Line::on(&town, &ama, &topic, None).await;
    let stream = Stream::of(&town, &ama, &format!("/v1/live?topic={topic}")).await;
    let everything = Stream::of(&town, &town.admin, "/v1/events").await;
    let begun = Instant::now();
    let (_, code, ..) = tokio::join!(app.stop(), line.hung_up(), stream.rest(), everything.rest());
    assert_eq!(code, 1001);
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}
