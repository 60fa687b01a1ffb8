//! A small appliance: engine, edge and sandbox provider, with three people and a policy that fits on a page.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use medina::edge::layers::{Traffic, wrap};
use medina::edge::{Authenticate, Gate, Unauthenticated};
use medina::engine::event::EVENTS;
use medina::engine::outbox::Outbox;
use medina::engine::{Attribute, Authorize, Caller, Denied, Engine, EngineOptions, Question, Resource, Tx, UserId, Wiring, WriteError};
use medina::money::books::chart::{self, Code};
use medina::money::payments::provider::{Provider, Providers, connect};
use medina::money::payments::{self, CaptureTime, Intent, IntentId, Method, Refusal, Status, Subject, intents};
use medina::money::sandbox::{Sandbox, SandboxConnector, http as sandbox_http};
use medina::money::{Money, books};
use serde_json::{Value, json};
use storage::disk::RealDisk;
use storage::ledger::{ACCOUNTS, Audit, audit};
use storage::{MachineClock, Options, Read, Timestamp, View};
use utoipa_axum::router::OpenApiRouter;

pub const PAYER: u128 = 101;
pub const STRANGER: u128 = 102;
/// Support and bookkeeping in one.
pub const SUPPORT: u128 = 103;

pub fn user(id: u128) -> UserId {
    UserId::from_u128(id)
}

/// A token is the person's id.
struct Names;
impl Authenticate for Names {
    fn authenticate(&self, token: &str, _: &View) -> Result<Caller, Unauthenticated> {
        token.parse().map(Caller::user).map_err(|_| Unauthenticated("not a name"))
    }
}

/// Everybody their own, support everything.
struct Own;
impl Authorize for Own {
    fn decide(&self, _: &dyn Read, caller: &Caller, question: &Question) -> Result<String, Denied> {
        let user = caller.user_id().ok_or(Denied::Unauthenticated)?;
        let is = |name: &str| {
            question.resource.attributes.iter().any(|(key, value)| *key == name && *value == Attribute::Text(user.to_string()))
        };
        match question.action {
            _ if user.as_u128() == SUPPORT => Ok("support".to_owned()),
            "sandbox.action" => Ok("anybody".to_owned()),
            "ledger.read" | "refunds.create" | "refunds.read" | "intents.capture" => Err(Denied::Forbidden),
            _ if is("payer") || is("owner") => Ok("own".to_owned()),
            _ => Err(Denied::NotFound),
        }
    }
}

pub struct City {
    pub engine: Engine,
    pub base: String,
    client: reqwest::Client,
    provider: Mutex<Sandbox>,
    dir: tempfile::TempDir,
}

impl City {
    /// An appliance whose provider reaches it.
    pub async fn start() -> Self {
        let city = Self::start_unreached().await;
        city.reach();
        city
    }

    /// An appliance whose provider does not know where to send its webhooks yet.
    pub async fn start_unreached() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let storage = Options { segment_bytes: 1 << 20, cache_bytes: 4 << 20, ..Options::with_seed([3; 32]) };
        let options = EngineOptions::new(storage, Arc::new(MachineClock), true);
        let mut wiring = Wiring::new();
        payments::wire(&mut wiring);
        let engine =
            Engine::start(Arc::new(RealDisk), &dir.path().join("data"), options, wiring, Arc::new(Own)).expect("a new folder opens");
        Outbox::start(&engine);
        let provider = provider(&engine, dir.path()).await;
        let connector = Arc::new(SandboxConnector::to(&provider));
        engine.background(provider.background());
        let providers = Providers::new(vec![connector.clone() as Arc<dyn Provider>]);
        connect(&engine, &providers).await.expect("the engine runs");
        let routes = OpenApiRouter::new()
            .merge(payments::http::routes(providers))
            .merge(sandbox_http::routes(connector))
            .merge(books::http::routes());
        let gate = Gate { engine: engine.clone(), authenticate: Arc::new(Names) };
        let routes = wrap(routes.split_for_parts().0, gate, Arc::new(Traffic::default()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { engine, base, client, provider: Mutex::new(provider), dir }
    }

    pub fn webhook_url(&self) -> String {
        format!("{}/v1/payments/webhooks/sandbox", self.base)
    }

    /// The provider is told where to send its webhooks.
    pub fn reach(&self) {
        self.provider.lock().expect("no test panics with it").deliver_to(&self.webhook_url());
    }

    pub fn webhook_secret(&self) -> [u8; 32] {
        self.provider.lock().expect("no test panics with it").webhook_secret()
    }

    /// The provider's process dies and starts again on its disk.
    pub async fn crash_provider(&self) {
        self.provider.lock().expect("no test panics with it").stop();
        let fresh = provider(&self.engine, self.dir.path()).await;
        self.engine.outbox().destination("sandbox", Arc::new(SandboxConnector::to(&fresh)));
        *self.provider.lock().expect("no test panics with it") = fresh;
    }

    /// What the provider knows of a charge.
    pub async fn charge(&self, id: IntentId) -> Value {
        let address = self.provider.lock().expect("no test panics with it").address();
        let answer = self.client.get(format!("http://{address}/v1/charges/{id}")).send().await.expect("it listens");
        answer.json().await.expect("JSON")
    }

    pub fn now(&self) -> Timestamp {
        self.engine.now()
    }

    pub async fn advance_s(&self, seconds: i64) {
        let question = Question::new("sandbox.clock", Resource::new("Sandbox", "clock"));
        self.engine.advance(&Caller::system("test"), question, seconds * 1000, None).await.expect("everybody becomes idle");
    }

    pub async fn write<T: Send + 'static, E: Send + 'static>(
        &self,
        command: impl FnOnce(&mut Tx<'_, '_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        match self.engine.write(&Caller::system("test"), "test", command).await {
            Ok(done) => Ok(done.value),
            Err(WriteError::Refused(refusal)) => Err(refusal),
            Err(WriteError::Fault(fault)) => panic!("{fault}"),
        }
    }

    /// The payer's intent for an order.
    pub async fn intent(&self, order: u128, amount: i64, method: Method) -> Result<Intent, Refusal> {
        let money = Money::new(amount, super::ghs());
        self.write(move |tx| intents::create(tx, Subject::order(order), user(PAYER), money, method, CaptureTime::Delivery, None)).await
    }

    /// A card intent that the provider has authorised.
    pub async fn authorized(&self, order: u128, amount: i64) -> IntentId {
        let id = self.intent(order, amount, Method::Card).await.expect("cards are on offer").id;
        let (_, answer) = self.post(PAYER, &format!("/v1/payments/intents/{id}/confirm"), "k", json!({ "token": "tok_ok" })).await;
        assert_eq!(answer["status"], "authorized", "{answer}");
        id
    }

    pub fn intent_now(&self, id: IntentId) -> Intent {
        intents::get(&*self.engine.view(), id).expect("it was made")
    }

    /// The state after `status`.
    pub async fn status_after(&self, id: IntentId, status: Status) -> Status {
        self.until(|city| city.intent_now(id).status != status).await;
        self.intent_now(id).status
    }

    /// Waits for commits until `seen`.
    pub async fn until(&self, seen: impl Fn(&Self) -> bool) {
        let mut positions = self.engine.positions();
        let wait = async {
            loop {
                positions.borrow_and_update();
                if seen(self) {
                    return;
                }
                positions.changed().await.expect("the engine runs");
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.expect("it happens within 20 s");
    }

    /// What happened to intents, in order.
    pub fn happened(&self) -> Vec<String> {
        EVENTS.scan(&*self.engine.view()).map(|(_, event)| event.name).filter(|name| name.starts_with("Intent")).collect()
    }

    /// An account's balance on its own side.
    pub fn balance(&self, code: Code, owner: u128) -> i128 {
        let credit =
            ACCOUNTS.get(&*self.engine.view(), &chart::key(code, owner, super::ghs())).map_or(0, |account| account.credit_balance());
        if code.grows_by_debits() { -credit } else { credit }
    }

    /// Accounts that hold something.
    pub fn balances(&self) -> Vec<u16> {
        ACCOUNTS.scan(&*self.engine.view()).filter(|(_, account)| account.credit_balance() != 0).map(|(key, _)| key.code).collect()
    }

    pub fn audit(&self) -> Audit {
        audit(&*self.engine.view())
    }

    pub async fn get(&self, who: u128, path: &str) -> (u16, Value) {
        let answer = self.client.get(format!("{}{path}", self.base)).bearer_auth(user(who)).send().await.expect("it listens");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    /// With a key of this path's own.
    pub async fn post(&self, who: u128, path: &str, key: &str, body: Value) -> (u16, Value) {
        self.send(who, path, Some(key), &body).await
    }

    pub async fn send(&self, who: u128, path: &str, key: Option<&str>, body: &Value) -> (u16, Value) {
        let mut request = self.client.post(format!("{}{path}", self.base)).bearer_auth(user(who)).json(body);
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let answer = request.send().await.expect("it listens");
        (answer.status().as_u16(), answer.json().await.expect("JSON"))
    }

    /// A webhook as somebody might send it.
    pub async fn webhook(&self, headers: &[(&str, String)], body: &str) -> u16 {
        let request = self.client.post(self.webhook_url()).body(body.to_owned());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        request.send().await.expect("it listens").status().as_u16()
    }
}

async fn provider(engine: &Engine, dir: &std::path::Path) -> Sandbox {
    let clock = engine.clock().clone();
    Sandbox::start(&dir.join("sandbox-provider"), Arc::new(move || clock.now())).await.expect("a port and a folder")
}
