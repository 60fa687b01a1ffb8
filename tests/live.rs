//! Live topics and the event stream, as a client on a bad line meets them: in order, once, and resumable.

mod wire;

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use medina::app::{self, App, AppOptions};
use serde_json::{Value, json};
use storage::{Clock, MachineClock};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use wire::{Answer, Person, Town, Wire, send};

const ADMIN: &str = "admin@medina.test";
/// What is late by this much will not come.
const PATIENCE: Duration = Duration::from_secs(20);

async fn town() -> (App, Town) {
    let options = AppOptions { sandbox: true, admin: Some(ADMIN.to_owned()), ..AppOptions::default() };
    let app = app::start(options).await.expect("the appliance starts");
    let password = app.admin().expect("one was asked for").password.clone();
    let town = Town::found(Wire::to(&app.base_url()), ADMIN, &password).await;
    (app, town)
}

/// A WebSocket client.
struct Line(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Line {
    async fn open(town: &Town) -> Self {
        let url = format!("{}/v1/live", town.wire.base.replacen("http", "ws", 1));
        Self(connect_async(url).await.expect("a WebSocket").0)
    }

    /// Opened and signed in.
    async fn of(town: &Town, who: &Person) -> Self {
        let mut line = Self::open(town).await;
        line.say(json!({ "type": "auth", "token": who.token })).await;
        assert_eq!(line.hear().await["type"], "authenticated");
        line
    }

    async fn say(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.expect("the line stands");
    }

    async fn next(&mut self) -> Message {
        loop {
            let next = tokio::time::timeout(PATIENCE, self.0.next()).await.expect("something is said in time");
            match next.expect("the line stands").expect("a message") {
                Message::Ping(_) | Message::Pong(_) => (),
                message => return message,
            }
        }
    }

    async fn hear(&mut self) -> Value {
        let message = self.next().await;
        serde_json::from_str(message.to_text().expect("text")).unwrap_or_else(|_| panic!("{message:?} is not JSON"))
    }

    /// The next message that is an event.
    async fn event(&mut self) -> Value {
        loop {
            let heard = self.hear().await;
            if heard["type"] == "event" {
                return heard;
            }
        }
    }

    /// With which code the server hangs up.
    async fn hung_up(&mut self) -> u16 {
        match self.next().await {
            Message::Close(Some(frame)) => frame.code.into(),
            other => panic!("not closed: {other:?}"),
        }
    }

    async fn subscribe(&mut self, topic: &str, since: Option<u64>) -> Value {
        let mut message = json!({ "type": "subscribe", "topic": topic });
        if let Some(since) = since {
            message["since"] = since.into();
        }
        self.say(message).await;
        self.hear().await
    }
}

async fn types_of(town: &Town, order: &str) -> Vec<String> {
    let events = town.wire.get(&town.admin.token, &format!("/v1/orders/{order}/events")).await.is(200);
    let data = events.body["data"].as_array().expect("a list").clone();
    data.iter().map(|event| event["type"].as_str().expect("a type").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_followed_in_order_once_and_over_broken_lines() {
    let (app, town) = town().await;
    let ama = town.customer("+233200000001").await;
    let quote = town.quote(&ama).await;
    let before = town.wire.write(&ama.token, "PATCH /v1/me", &json!({ "name": "Ama" })).await.is(200).seq().1;
    let placing = json!({ "quote_id": quote, "payment_method": "cash" });
    let order = town.wire.write(&ama.token, "POST /v1/orders", &placing).await.is(201).text("id");
    let topic = format!("order:{order}");
    let staff = async |verb: &str| town.wire.write(&town.staff.token, &format!("POST /v1/orders/{order}/{verb}"), &json!({})).await.is(200);

    let mut line = Line::of(&town, &ama).await;
    let subscribed = line.subscribe(&topic, Some(before)).await;
    assert_eq!(subscribed, json!({ "type": "subscribed", "topic": topic, "seq": before }));
    let (mut heard, mut last) = (Vec::new(), before);
    for step in ["", "accept", "prepare", "ready"] {
        if !step.is_empty() {
            // While the line is broken, and while it stands.
            if step == "prepare" {
                drop(line);
                staff(step).await;
                line = Line::of(&town, &ama).await;
                assert_eq!(line.subscribe(&topic, Some(last)).await["type"], "subscribed");
            } else {
                staff(step).await;
            }
        }
        let wanted = types_of(&town, &order).await.len();
        while heard.len() < wanted {
            let event = line.event().await;
            assert_eq!(event["topic"], topic);
            assert!(event["event"]["at"].is_string() && event["event"]["data"].is_object(), "{event}");
            let seq = event["seq"].as_u64().expect("a number");
            assert!(seq >= last, "backwards: {event}");
            last = seq;
            let name = event["event"]["type"].as_str().expect("a type").to_owned();
            if name != "EtaChanged" {
                heard.push(name);
            }
        }
    }
    assert_eq!(heard[..2], ["OrderCreated", "CashOnDelivery"]);
    assert_eq!(heard, types_of(&town, &order).await);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_and_queue_join_while_orders_rain() {
    rows_and_queue_join(0).await;
}

/// A crowd is told in rounds: those who come in the midst of one have their place in it, and nobody hears anything twice or late.
#[tokio::test(flavor = "multi_thread")]
async fn rows_and_queue_join_in_a_crowd() {
    rows_and_queue_join(300).await;
}

async fn rows_and_queue_join(crowd: usize) {
    const ORDERS: usize = 24;
    let (app, town) = town().await;
    let ama = town.customer("+233200000001").await;
    let topic = format!("merchant:{}", town.merchant);
    let before = town.wire.write(&ama.token, "PATCH /v1/me", &json!({ "name": "Ama" })).await.is(200).seq().1;
    let mut crowded = Vec::new();
    for _ in 0..crowd {
        let mut line = Line::of(&town, &town.staff).await;
        assert_eq!(line.subscribe(&topic, None).await["type"], "subscribed");
        crowded.push(tokio::spawn(async move {
            let mut heard = Vec::new();
            while heard.len() < ORDERS {
                let event = line.event().await;
                if event["event"]["type"] == "OrderConfirmed" {
                    heard.push(event["seq"].as_u64().expect("a number"));
                }
            }
            heard
        }));
    }
    let rain = tokio::spawn({
        let (town, ama) = (town.clone(), ama.clone());
        async move {
            for _ in 0..ORDERS {
                town.order(&ama).await;
            }
        }
    });
    let followers = (0..6).map(|n| {
        let (town, topic) = (town.clone(), topic.clone());
        tokio::spawn(async move {
            let (mut heard, mut since, mut last) = (Vec::new(), before, (before, u64::MAX));
            // Each breaks its line after a number of events of its own, more than one command tells.
            'calls: loop {
                let mut line = Line::of(&town, &town.staff).await;
                assert_eq!(line.subscribe(&topic, Some(since)).await["type"], "subscribed");
                for _ in 0..4 + n {
                    let event = line.event().await;
                    let place = (event["seq"].as_u64().expect("a number"), event["n"].as_u64().expect("a number"));
                    // In the middle of a command one resumes before it.
                    since = if event["more"] == true { place.0 - 1 } else { place.0 };
                    let is_new = place > last;
                    last = last.max(place);
                    if is_new && event["event"]["type"] == "OrderConfirmed" {
                        heard.push(place.0);
                    }
                    if heard.len() == ORDERS {
                        break 'calls;
                    }
                }
            }
            heard
        })
    });
    let all = followers.collect::<Vec<_>>().into_iter().chain(crowded);
    let heard: Vec<Vec<u64>> = futures_util::future::join_all(all).await.into_iter().map(|one| one.expect("it follows")).collect();
    rain.await.expect("it rains");
    assert!(heard[0].is_sorted_by(|a, b| a < b), "each once and in order: {:?}", heard[0]);
    assert!(heard.iter().all(|one| *one == heard[0]), "{heard:?}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_follow_is_told_so() {
    let (app, town) = town().await;
    let (ama, kofi) = (town.customer("+233200000001").await, town.customer("+233200000002").await);
    let order = town.order(&ama).await.text("id");
    let topic = format!("order:{order}");

    let mut line = Line::of(&town, &kofi).await;
    let merchant = format!("merchant:{}", town.merchant);
    let city = format!("city:{}", town.city);
    for (topic, since, status, code) in [
        (topic.as_str(), None, 404, "not_found"),
        ("order:nonsense", None, 404, "not_found"),
        ("nonsense", None, 404, "not_found"),
        ("courier:me", None, 404, "not_found"),
        (&merchant, None, 403, "forbidden"),
        (&city, None, 403, "forbidden"),
    ] {
        let heard = line.subscribe(topic, since).await;
        assert_eq!((&heard["type"], &heard["status"], &heard["code"]), (&json!("error"), &json!(status), &json!(code)), "{topic}: {heard}");
    }
    line.say(json!({ "type": "pings", "pings": [] })).await;
    assert_eq!(line.hear().await["type"], "error");
    line.0.send(Message::text("{")).await.expect("the line stands");
    assert_eq!(line.hear().await["code"], "malformed_json");

    let mut theirs = Line::of(&town, &ama).await;
    let heard = theirs.subscribe(&topic, Some(1 << 40)).await;
    assert_eq!((&heard["type"], &heard["code"], &heard["status"]), (&json!("error"), &json!("timeline_changed"), &json!(409)), "{heard}");
    assert_eq!(theirs.subscribe(&topic, None).await["type"], "subscribed", "the line still stands");

    let mut nobody = Line::open(&town).await;
    nobody.say(json!({ "type": "subscribe", "topic": topic })).await;
    assert_eq!(nobody.hung_up().await, 4401);
    let mut liar = Line::open(&town).await;
    liar.say(json!({ "type": "auth", "token": "garbage" })).await;
    assert_eq!(liar.hung_up().await, 4401);

    // The same rules over server-sent events.
    let get = |token: &str, path: String| send(town.wire.ask(&format!("GET {path}")).bearer_auth(token));
    let refused: [(Answer, u16, &str); 4] = [
        (get(&kofi.token, format!("/v1/live?topic={topic}")).await, 404, "not_found"),
        (get(&ama.token, format!("/v1/live?topic={topic}&since=99999999")).await, 409, "timeline_changed"),
        (get(&ama.token, "/v1/events?from_seq=1".to_owned()).await, 403, "forbidden"),
        (get(&town.admin.token, "/v1/events?since=1.99999999".to_owned()).await, 409, "timeline_changed"),
    ];
    for (answer, status, code) in refused {
        assert_eq!((answer.status, answer.code()), (status, code), "{}", answer.text);
    }
    app.stop().await;
}

fn ping(north_m: f64) -> Value {
    let (lat, lon) = wire::KITCHEN;
    json!({ "lat": lat + north_m / 111_195.0, "lon": lon, "at": MachineClock.now().to_string(), "accuracy_m": 5.0 })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_courier_reports_over_the_line_and_the_customer_watches() {
    let (app, town) = town().await;
    let (ama, kofi) = (town.customer("+233200000001").await, town.customer("+233200000002").await);
    let (_, rider) = town.courier("+233200000003").await;
    let mut ride = Line::of(&town, &rider).await;
    let subscribed = ride.subscribe("courier:me", None).await;
    assert_eq!((&subscribed["type"], &subscribed["topic"]), (&json!("subscribed"), &json!("courier:me")));
    ride.say(json!({ "type": "pings", "pings": [ping(0.0)] })).await;
    assert_eq!(ride.hear().await, json!({ "type": "pings", "accepted": 1, "rejected": 0 }));
    let mut wrong = ping(1.0);
    wrong["latt"] = json!(5.0);
    ride.say(json!({ "type": "pings", "pings": [wrong] })).await;
    let refused = ride.hear().await;
    assert_eq!((&refused["type"], &refused["code"]), (&json!("error"), &json!("invalid_request")), "{refused}");

    let order = town.order(&ama).await.text("id");
    let (mut watch, topic) = (Line::of(&town, &ama).await, format!("order:{order}"));
    assert_eq!(watch.subscribe(&topic, None).await["type"], "subscribed");
    let shown = town.wire.write(&town.staff.token, &format!("POST /v1/orders/{order}/accept"), &json!({ "prep_minutes": 1 })).await.is(200);
    let pickup_code = shown.text("pickup_code");
    town.wire.write(&town.staff.token, &format!("POST /v1/orders/{order}/ready"), &json!({})).await.is(200);
    let offered = ride.event().await;
    assert_eq!((&offered["topic"], &offered["event"]["type"]), (&json!("courier:me"), &json!("OfferMade")), "{offered}");
    let offers = town.wire.get(&rider.token, "/v1/couriers/me/offers").await.is(200);
    let offer = offers.body["data"][0]["id"].as_str().expect("an offer").to_owned();
    town.wire.write(&rider.token, &format!("POST /v1/offers/{offer}/accept"), &json!({})).await.is(200);
    let status = async |body: Value| town.wire.write(&rider.token, &format!("POST /v1/orders/{order}/status"), &body).await.is(200);
    status(json!({ "status": "AT_RESTAURANT" })).await;
    status(json!({ "status": "PICKED_UP", "code": pickup_code })).await;

    // A ping is answered to the courier, and its position goes to the customer and to nobody else.
    let mut stranger = Line::of(&town, &kofi).await;
    assert_eq!(stranger.subscribe(&topic, None).await["code"], "not_found");
    ride.say(json!({ "type": "pings", "pings": [ping(30.0)] })).await;
    let position = loop {
        let heard = watch.hear().await;
        if heard["type"] == "position" {
            break heard;
        }
    };
    assert_eq!(position["order_id"], order);
    let seen = position["position"]["lat"].as_f64().expect("a latitude");
    assert!((seen - wire::KITCHEN.0 - 30.0 / 111_195.0).abs() < 1e-6, "{position}");
    assert!(position["at"].is_string());
    let track = town.wire.get(&ama.token, &format!("/v1/orders/{order}/track")).await.is(200);
    let kept = track.body["position"]["lat"].as_f64().expect("a latitude");
    assert!((kept - seen).abs() < 1e-6, "{}", track.text);

    // Delivered: the courier's ways are their own again.
    let delivery_code = town.wire.get(&ama.token, &format!("/v1/orders/{order}")).await.text("delivery_code");
    let due = town.wire.get(&rider.token, &format!("/v1/orders/{order}")).await.body["cash_due"].clone();
    status(json!({ "status": "DELIVERED", "code": delivery_code, "cash_collected": due })).await;
    loop {
        if watch.hear().await["event"]["type"] == "PaymentCaptured" {
            break;
        }
    }
    let counted = town.wire.write(&rider.token, "POST /v1/couriers/me/pings", &json!({ "pings": [ping(60.0)] })).await.is(202);
    assert_eq!(counted.body["accepted"], 1);
    watch.say(json!({ "type": "unsubscribe", "topic": topic })).await;
    loop {
        let heard = watch.hear().await;
        assert_ne!(heard["type"], "position", "the order is over: {heard}");
        if heard["type"] == "unsubscribed" {
            break;
        }
    }
    app.stop().await;
}

/// One server-sent event.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    id: Option<String>,
    name: String,
    data: Value,
}

/// Reads `count` events of a stream.
async fn read(request: reqwest::RequestBuilder, count: usize) -> Vec<Told> {
    let mut told = read_until(request, |told| told.len() >= count).await;
    told.truncate(count);
    told
}

/// Reads a stream until it is enough.
async fn read_until(request: reqwest::RequestBuilder, is_enough: impl Fn(&[Told]) -> bool) -> Vec<Told> {
    let mut answer = request.send().await.expect("the server answers");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let (mut told, mut text) = (Vec::new(), String::new());
    while !is_enough(&told) {
        let chunk =
            tokio::time::timeout(PATIENCE, answer.chunk()).await.expect("in time").expect("the stream stands").expect("it has not ended");
        text.push_str(std::str::from_utf8(&chunk).expect("UTF-8"));
        while let Some((event, rest)) = text.split_once("\n\n") {
            let field = |name: &str| {
                event
                    .lines()
                    .find_map(|line| line.strip_prefix(name).and_then(|rest| rest.strip_prefix(':')))
                    .map(|value| value.trim().to_owned())
            };
            if let (Some(name), Some(data)) = (field("event"), field("data")) {
                told.push(Told { id: field("id"), name, data: serde_json::from_str(&data).expect("JSON") });
            }
            text = rest.to_owned();
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn the_event_stream_resumes_without_gap_or_repeat() {
    let (app, town) = town().await;
    let ama = town.customer("+233200000001").await;
    let mut orders = Vec::new();
    for _ in 0..3 {
        let order = town.order(&ama).await.text("id");
        // Two events in one command.
        town.wire.write(&town.staff.token, &format!("POST /v1/orders/{order}/ready"), &json!({})).await;
        town.wire.write(&town.staff.token, &format!("POST /v1/orders/{order}/accept"), &json!({})).await.is(200);
        town.wire.write(&town.staff.token, &format!("POST /v1/orders/{order}/ready"), &json!({})).await.is(200);
        orders.push(order);
    }
    let ask = |path: &str| town.wire.ask(&format!("GET {path}")).bearer_auth(&town.admin.token);
    // As much as there is for certain: up to the last READY.
    let is_end = |told: &Told| told.name == "OrderReadyForPickup" && told.data["topics"].to_string().contains(&orders[2]);
    let all = read_until(ask("/v1/events?from_seq=1"), |told| told.iter().any(is_end)).await;
    let place = |told: &Told| (told.data["seq"].as_u64().expect("a seq"), told.data["n"].as_u64().expect("a number"));
    assert!(all.is_sorted_by(|a, b| place(a) < place(b)), "{all:#?}");
    assert!(all.iter().any(|told| told.id.is_none()), "some command told two events: its first has no id");
    let mut resumed = 0;
    for (n, told) in all.iter().enumerate().take(all.len() - 1) {
        let Some(id) = &told.id else { continue };
        assert_eq!(id.split_once('.').map(|(_, seq)| seq.to_owned()), Some(place(told).0.to_string()));
        let next = read(ask("/v1/events").header("last-event-id", id), 1).await;
        assert_eq!(next[0], all[n + 1], "after {id}");
        let next = read(ask(&format!("/v1/events?from_seq={}", place(told).0 + 1)), 1).await;
        assert_eq!(next[0], all[n + 1], "from the one after {id}");
        resumed += 1;
    }
    assert!(resumed > 8, "{all:#?}");
    let only = read(ask("/v1/events?from_seq=1&types=OrderReadyForPickup"), 3).await;
    assert!(only.iter().all(|told| told.name == "OrderReadyForPickup"));

    // One order's topic over SSE, resumed by its own ids.
    let live = |more: &str| town.wire.ask(&format!("GET /v1/live?topic=order:{}{more}", orders[0])).bearer_auth(&ama.token);
    let whole = types_of(&town, &orders[0]).await.len();
    let told = read(live("&since=0"), whole).await;
    assert_eq!(told[0].name, "OrderCreated");
    let first_id = told.iter().position(|one| one.id.is_some()).expect("an id");
    let rest = read(live("").header("last-event-id", told[first_id].id.as_deref().expect("an id")), whole - first_id - 1).await;
    assert_eq!(rest, told[first_id + 1..]);
    app.stop().await;
}
