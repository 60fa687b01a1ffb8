//! The provider's HTTP side, on a loopback port of its own.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path as UrlPath, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use storage::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::charge::{Act, Request, Verb};
use super::desk::Desk;
use super::journal::Answer;
use super::sender::Sender;
use crate::money::payments::signature::Secret;

/// Tells the provider the time: the appliance's, so that the test clock moves both.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What the provider's tasks share.
pub(super) struct Shop {
    pub desk: Mutex<Desk>,
    pub now: Now,
    pub secret: Secret,
    /// A webhook may be due.
    pub bell: Notify,
    page: String,
}

impl Shop {
    /// Works at the desk.
    pub fn at_desk<T>(&self, work: impl FnOnce(&mut Desk) -> T) -> T {
        work(&mut self.desk.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The running provider.
pub struct Sandbox {
    address: SocketAddr,
    secret_bytes: [u8; 32],
    sender: Arc<Sender>,
    tasks: Vec<JoinHandle<()>>,
}

impl Sandbox {
    /// Opens `dir` (made if missing), listens on a free loopback port, and goes on sending what was promised before.
    ///
    /// # Errors
    /// The file system's and the network's.
    pub async fn start(dir: &Path, now: Now) -> io::Result<Self> {
        let desk = Desk::open(dir)?;
        let secret_bytes = webhook_secret(dir)?;
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let page = format!("http://{address}/pay");
        let shop = Arc::new(Shop { desk: Mutex::new(desk), now, secret: Secret::new(&secret_bytes), bell: Notify::new(), page });
        let router = Router::new()
            .route("/v1/{verb}", post(request))
            .route("/v1/charges/{intent}", get(show))
            .route("/v1/charges/{intent}/act", post(act))
            .route("/pay/{intent}", get(page_of).post(act_on_page))
            .with_state(shop.clone());
        let serve = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the sandbox provider stopped listening");
            }
        });
        let sender = Sender::new(shop);
        let send = tokio::spawn(sender.clone().run());
        Ok(Self { address, secret_bytes, sender, tasks: vec![serve, send] })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What its webhooks are signed with; both sides know it.
    #[must_use]
    pub fn webhook_secret(&self) -> [u8; 32] {
        self.secret_bytes
    }

    /// Where webhooks go: `http://HOST:PORT/v1/payments/webhooks/sandbox`. Until it is told they wait.
    pub fn deliver_to(&self, url: &str) {
        self.sender.deliver_to(url);
    }

    /// For the test clock: what it must wait for.
    #[must_use]
    pub fn background(&self) -> Arc<Sender> {
        self.sender.clone()
    }

    /// Stops at once, as a crash would: what is on its disk is all that is left.
    pub fn stop(&self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The secret in the provider's folder, made at the first start, readable by its owner only.
fn webhook_secret(dir: &Path) -> io::Result<[u8; 32]> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let path = dir.join("webhook-secret");
    match std::fs::read(&path) {
        Ok(bytes) => {
            bytes.try_into().map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("{} does not hold 32 bytes", path.display())))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut secret = [0; 32];
            aws_lc_rs::rand::fill(&mut secret).map_err(|_| io::Error::other("no randomness"))?;
            let fresh = dir.join("webhook-secret.new");
            let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
            file.write_all(&secret)?;
            file.sync_all()?;
            std::fs::rename(&fresh, &path)?;
            std::fs::File::open(dir)?.sync_all()?;
            Ok(secret)
        }
        Err(error) => Err(error),
    }
}

fn json(answer: &Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "application/json")], answer.body.clone()).into_response()
}

fn problem(status: StatusCode, error: &str) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], serde_json::json!({ "error": error }).to_string()).into_response()
}

/// Disk work off the reactor; whoever waits for webhooks looks again.
async fn at_desk(shop: Arc<Shop>, work: impl FnOnce(&mut Desk, &Shop) -> io::Result<Answer> + Send + 'static) -> Response {
    let done = tokio::task::spawn_blocking(move || {
        let answer = shop.at_desk(|desk| work(desk, &shop));
        shop.bell.notify_one();
        answer
    });
    match done.await {
        Ok(Ok(answer)) => json(&answer),
        Ok(Err(error)) => problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
        Err(_) => problem(StatusCode::INTERNAL_SERVER_ERROR, "a request failed"),
    }
}

async fn request(State(shop): State<Arc<Shop>>, UrlPath(verb): UrlPath<String>, headers: HeaderMap, body: Bytes) -> Response {
    let Some(verb) = Verb::parse(&verb) else { return problem(StatusCode::NOT_FOUND, "no such call") };
    let Some(key) = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).map(str::to_owned) else {
        return problem(StatusCode::BAD_REQUEST, "an Idempotency-Key is required");
    };
    let request: Request = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => return problem(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    at_desk(shop, move |desk, shop| desk.request(&key, verb, &request, &shop.page, (shop.now)())).await
}

async fn show(State(shop): State<Arc<Shop>>, UrlPath(intent): UrlPath<String>) -> Response {
    match shop.at_desk(|desk| desk.charge(&intent).map(|charge| serde_json::json!(charge).to_string())) {
        Some(body) => (StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], body).into_response(),
        None => problem(StatusCode::NOT_FOUND, "no such charge"),
    }
}

#[derive(Deserialize)]
struct ActBody {
    result: Act,
}

async fn act(State(shop): State<Arc<Shop>>, UrlPath(intent): UrlPath<String>, body: Bytes) -> Response {
    match serde_json::from_slice::<ActBody>(&body) {
        Ok(ActBody { result }) => at_desk(shop, move |desk, shop| desk.act(&intent, result, (shop.now)())).await,
        Err(error) => problem(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

/// A page for people who try things out by hand.
async fn page_of(State(shop): State<Arc<Shop>>, UrlPath(intent): UrlPath<String>) -> Response {
    // Only ids that the provider knows are shown, so nothing of a stranger's gets into the page.
    let Some(amount) = shop.at_desk(|desk| desk.charge(&intent).map(|charge| charge.amount.clone())) else {
        return problem(StatusCode::NOT_FOUND, "no such charge");
    };
    let (minor, currency) = (amount.amount, amount.currency);
    Html(format!(
        "<!doctype html><meta charset=utf-8><title>Sandbox payment</title><h1>Sandbox payment</h1><p>{minor} minor units of {currency} for {intent}</p>\
         <form method=post><button name=result value=approve>Approve</button> <button name=result value=fail>Fail</button></form>"
    ))
    .into_response()
}

async fn act_on_page(State(shop): State<Arc<Shop>>, UrlPath(intent): UrlPath<String>, body: Bytes) -> Response {
    let what = if &*body == b"result=approve" { Act::Approve } else { Act::Fail };
    at_desk(shop, move |desk, shop| desk.act(&intent, what, (shop.now)())).await
}
