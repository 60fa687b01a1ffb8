//! Reading an order over HTTP beside an axum server that answers the same JSON from memory: same client, same connections, same run.
//!
//! `cargo bench --bench http`

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use medina::app::{self, App, AppOptions};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// The product's allocator, for both sides.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CLIENTS: [usize; 2] = [1, 32];

async fn ask(client: &Client, method: Method, url: String, token: Option<&str>, body: Value) -> Value {
    static KEY: AtomicI64 = AtomicI64::new(0);
    let mut request = client.request(method, &url).header("idempotency-key", KEY.fetch_add(1, Ordering::Relaxed).to_string()).json(&body);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await.expect("the server answers");
    let status = answer.status();
    let value: Value = answer.json().await.unwrap_or(Value::Null);
    assert!(status.is_success(), "{url}: {status} {value}");
    value
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

/// An order in the book, and who may read it.
async fn order(app: &App, client: &Client) -> (String, String) {
    let base = format!("{}/v1", app.base_url());
    let admin = app.admin().expect("one was asked for");
    let session =
        ask(client, Method::POST, format!("{base}/auth/login"), None, json!({ "email": admin.email, "password": admin.password })).await;
    let admin = text(&session, "access_token");
    let city = json!({ "name": "Accra", "currency": "GHS", "timezone": "Africa/Accra", "center": { "lat": 5.6, "lon": -0.19 }, "radius_m": 20_000 });
    let city = text(&ask(client, Method::POST, format!("{base}/cities"), Some(&admin), city).await, "id");
    let shop = json!({ "city_id": city, "name": "Mama's", "kind": "restaurant", "position": { "lat": 5.6, "lon": -0.19 } });
    let shop = text(&ask(client, Method::POST, format!("{base}/merchants"), Some(&admin), shop).await, "id");
    let item = json!({ "name": "Jollof", "price": { "amount": 4500, "currency": "GHS" } });
    let item = text(&ask(client, Method::POST, format!("{base}/merchants/{shop}/items"), Some(&admin), item).await, "id");
    let phone = "+233200000001";
    ask(client, Method::POST, format!("{base}/auth/otp/request"), None, json!({ "phone": phone })).await;
    let device = json!({ "id": "d", "name": "bench", "platform": "cli" });
    let session =
        ask(client, Method::POST, format!("{base}/auth/otp/verify"), None, json!({ "phone": phone, "otp": "000000", "device": device }))
            .await;
    let customer = text(&session, "access_token");
    let cart = "cart_01h455vb4pex5vsknk084sn02q";
    let lines = json!({ "merchant_id": shop, "items": [{ "item_id": item, "quantity": 2 }] });
    ask(client, Method::PUT, format!("{base}/carts/{cart}"), Some(&customer), lines).await;
    let quote = json!({ "cart_id": cart, "dropoff": { "lat": 5.61, "lon": -0.18 } });
    let quote = text(&ask(client, Method::POST, format!("{base}/quotes"), Some(&customer), quote).await, "id");
    let placed =
        ask(client, Method::POST, format!("{base}/orders"), Some(&customer), json!({ "quote_id": quote, "payment_method": "cash" })).await;
    (format!("{base}/orders/{}", text(&placed, "id")), customer)
}

/// The peer: the same bytes as JSON, parsed once, encoded at each request.
async fn echo(value: Value) -> SocketAddr {
    let value = Arc::new(value);
    let routes = axum::Router::new().route("/echo", axum::routing::get(move || async move { axum::Json(value.as_ref().clone()) }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, routes).await });
    address
}

async fn read(client: &Client, url: &str, token: &str, clients: usize, count: u64) -> Duration {
    let left = Arc::new(AtomicI64::new(i64::try_from(count).unwrap_or(i64::MAX)));
    let begun = Instant::now();
    let tasks: Vec<_> = (0..clients)
        .map(|_| {
            let (client, url, token, left) = (client.clone(), url.to_owned(), token.to_owned(), left.clone());
            tokio::spawn(async move {
                while left.fetch_sub(1, Ordering::Relaxed) > 0 {
                    let answer = client.get(&url).bearer_auth(&token).send().await.expect("it answers");
                    assert!(answer.status().is_success(), "{}", answer.status());
                    answer.bytes().await.expect("a body");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a client ends well");
    }
    begun.elapsed()
}

fn order_read(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime starts");
    medina::crypto::install();
    let client = Client::new();
    let options = AppOptions { sandbox: true, admin: Some("bench@medina.test".to_owned()), ..AppOptions::default() };
    let app = runtime.block_on(app::start(options)).expect("the appliance starts");
    let (url, token) = runtime.block_on(order(&app, &client));
    let shown = runtime
        .block_on(async { client.get(&url).bearer_auth(&token).send().await.expect("it answers").json::<Value>().await.expect("JSON") });
    let peer = format!("http://{}/echo", runtime.block_on(echo(shown)));
    let mut group = criterion.benchmark_group("order_read");
    group.sample_size(20).measurement_time(Duration::from_secs(6)).throughput(Throughput::Elements(1));
    for clients in CLIENTS {
        for (name, url) in [("axum_echo", &peer), ("medina", &url)] {
            group.bench_with_input(BenchmarkId::new(name, clients), &clients, |bencher, clients| {
                bencher.iter_custom(|count| runtime.block_on(read(&client, url, &token, *clients, count)));
            });
        }
    }
    group.finish();
    runtime.block_on(app.stop());
}

criterion_group!(benches, order_read);
criterion_main!(benches);
