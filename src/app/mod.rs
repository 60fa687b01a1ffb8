//! The appliance, put together: data folder, engine, modules, port. The composition root.
//!
//! Reading order: [`wiring`] (who reacts to whom), [`topics`] (who may follow what), this file (start and stop), [`control`] (command-line verbs
//! against a running server), [`folder`] (what kind of data folder this is).

pub mod control;
pub mod folder;
mod forgotten;
pub mod inspection;
pub mod overview;
mod replicated;
mod routing;
pub mod sizes;
pub mod tables;
mod tail;
pub mod topics;
pub mod upgrade;
pub mod wiring;

pub use sizes::Sizes;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use storage::MachineClock;
use storage::disk::RealDisk;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use utoipa::openapi::OpenApi;

use crate::city::dispatch::policy::{Choice, Leanings};
use crate::city::dispatch::{Desk, Dispatcher, Watch, WatchConfig};
use crate::city::eta::EtaWatcher;
use crate::city::history::{self, HistoryConfig};
use crate::city::media::shelf::Shelf;
use crate::city::search::Search;
use crate::city::tracking::Tracking;
use crate::city::travel::{Provider, Travel};
use crate::city::zones::ZoneWatcher;
use crate::edge::layers::Traffic;
use crate::edge::live::Hub;
use crate::edge::server::{Listening, ServeError, TlsFiles, listen};
use crate::edge::{Gate, layers};
use crate::engine::outbox::Outbox;
use crate::engine::{Caller, Engine, EngineOptions, Fault, WriteError};
use crate::money::payments::provider::{Providers, connect};
use crate::money::sandbox::{Sandbox, SandboxConnector};
use crate::money::transparency::Publisher;
use crate::ops::backup::{Backup, BackupConfig};
use crate::people::People;
use crate::people::keyring::Keyring;
use crate::people::keyring::answers::PersonAnswers;
use crate::replication::rejoin::RejoinError;
use crate::replication::{Node, ReplicationOptions};
use replicated::Begins;
use routing::{Parts, routes};

use crate::{city, money, ops, people};

/// The machine's clock may be behind the newest commit by this much, and no more: times in the history would be lies.
const CLOCK_BEHIND_MS_MAX: i64 = 60_000;

/// How the appliance is started.
#[derive(Clone, Debug)]
pub struct AppOptions {
    /// The data folder; a temporary one, gone at the end, if `None`.
    pub data: Option<PathBuf>,
    pub listen: SocketAddr,
    /// Test clock, known one-time codes, a payment provider of our own. Fixed when the folder is made.
    pub sandbox: bool,
    /// A sandbox may listen beyond loopback.
    pub force_public_sandbox: bool,
    /// Make (or reset) this administrator at the start and say the password.
    pub admin: Option<String>,
    pub tls: Option<TlsFiles>,
    /// Whether `/metrics` answers others than loopback.
    pub metrics_public: bool,
    pub backup: BackupConfig,
    pub history: HistoryConfig,
    pub sizes: Sizes,
    /// The published ledger's name; made from its key if `None`.
    pub ledger_origin: Option<String>,
    /// This node's part in a replicated city.
    pub replication: Option<ReplicationOptions>,
    /// How couriers are chosen.
    pub policy: Choice,
    pub leanings: Leanings,
    /// Who knows how long couriers need.
    pub travel: Provider,
    /// When a courier counts as silent.
    pub couriers: WatchConfig,
}

impl Default for AppOptions {
    fn default() -> Self {
        Self {
            data: None,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            sandbox: false,
            force_public_sandbox: false,
            admin: None,
            tls: None,
            metrics_public: false,
            backup: BackupConfig::default(),
            history: HistoryConfig::default(),
            sizes: Sizes::default(),
            ledger_origin: None,
            replication: None,
            policy: Choice::default(),
            leanings: Leanings::default(),
            travel: Provider::default(),
            couriers: WatchConfig::default(),
        }
    }
}

/// Why the appliance does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Folder(#[from] folder::FolderError),
    #[error(transparent)]
    Store(#[from] storage::store::OpenError),
    #[error(transparent)]
    People(#[from] people::OpenError),
    #[error(transparent)]
    Serve(#[from] ServeError),
    #[error("the search index does not open: {0}")]
    Search(#[from] index::text::TextError),
    #[error(transparent)]
    Travel(#[from] city::travel::TravelError),
    #[error("{0}: {1}")]
    Io(&'static str, std::io::Error),
    #[error(transparent)]
    Fault(#[from] crate::engine::Fault),
    #[error("a sandbox answers to known codes: it listens on loopback only, not on {0} (--force-public-sandbox overrides)")]
    PublicSandbox(SocketAddr),
    #[error("this machine's clock is {0} s behind the newest commit: set the clock, then start again")]
    ClockBehind(i64),
    #[error("{0}")]
    Keys(String),
    #[error(transparent)]
    Ledger(#[from] crate::money::transparency::publisher::OpenError),
    #[error("{0}")]
    Admin(String),
    #[error("[backup]: {0}")]
    Backup(String),
    #[error("{0}")]
    Upgrade(String),
    #[error("{0}")]
    Replication(String),
    #[error("this folder cannot follow the leader: {0}")]
    Rejoin(#[from] RejoinError),
    /// Start again: the folder is a follower's now.
    #[error("{0} leads a newer epoch: this node follows from its next start on")]
    Superseded(String),
}

/// An administrator made at the start.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub struct AdminCredentials {
    pub email: String,
    pub password: String,
}

/// The running appliance.
pub struct App {
    engine: Engine,
    address: SocketAddr,
    is_tls: bool,
    admin: Option<AdminCredentials>,
    search: Arc<Search>,
    traffic: Arc<Traffic>,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
    sandbox: Option<Sandbox>,
    backup: Arc<Backup>,
    node: Option<Arc<Node>>,
    keyring: Arc<Keyring>,
    data: PathBuf,
    _temporary: Option<TempDir>,
}

/// Opens the folder, recovers, starts everything, listens.
///
/// # Errors
/// [`StartError`], in a sentence for an operator.
pub async fn start(options: AppOptions) -> Result<App, StartError> {
    crate::crypto::install();
    ops::health::recorder();
    if options.sandbox && !options.listen.ip().is_loopback() && !options.force_public_sandbox {
        return Err(StartError::PublicSandbox(options.listen));
    }
    let (data, temporary) = match options.data {
        Some(data) => (data, None),
        None => {
            let made = tempfile::Builder::new().prefix("medina-").tempdir().map_err(|error| StartError::Io("a temporary folder", error))?;
            (made.path().to_owned(), Some(made))
        }
    };
    folder::claim(&data, options.sandbox)?;
    // The port first: a wrong address is said before a long recovery.
    let listening = listen(options.listen, options.tls.as_ref()).await?;
    let (node, begins) = match options.replication {
        Some(part) => replicated::join(&data, part, options.sandbox).await.map(|(node, begins)| (Some(node), begins))?,
        None => {
            replicated::refuse_a_followers(&data)?;
            (None, Begins::default())
        }
    };
    let people = People::open(&data)?;
    // Before anybody is served: keys that were put here from an older copy.
    ops::backup::erased::apply(&data, &people.keyring).map_err(StartError::Keys)?;
    let tracking = Arc::new(Tracking::default());
    let provider = options.travel;
    let travel = tokio::task::spawn_blocking(move || Travel::open(provider)).await;
    tracking.travels_by(travel.map_err(|error| StartError::Io("travel times", std::io::Error::other(error)))??);
    let engine = open_engine(&data, options.sandbox, options.sizes, options.history, &people, begins)?;
    let behind_ms = engine.view().position().time.ms_since(engine.clock().machine_now());
    if !options.sandbox && behind_ms > CLOCK_BEHIND_MS_MAX {
        return Err(StartError::ClockBehind(behind_ms / 1000));
    }
    people.keyring.check(&*engine.view()).map_err(StartError::Keys)?;
    let leads = !begins.following;
    if let Some(node) = node.as_ref().filter(|_| leads) {
        replicated::may_lead(node, &engine).await?;
    }
    if leads {
        upgrade::upgrade(&engine, upgrade::MIGRATIONS, first_a_snapshot(&engine, &data)).await.map_err(StartError::Upgrade)?;
    }
    if leads {
        forgotten::forget_again(&engine, &people).await.map_err(StartError::Keys)?;
    }
    let publisher = publish_ledger(&engine, &data, options.ledger_origin.as_deref(), leads).await?;
    let mut providers = Vec::new();
    let mut connector = None;
    // A follower sends nothing, so it needs nobody who takes it.
    let sandbox = if options.sandbox && leads {
        let clock = engine.clock().clone();
        let started = Sandbox::start(&data.join("sandbox-provider"), Arc::new(move || clock.now())).await;
        let sandbox = started.map_err(|error| StartError::Io("the sandbox's payment provider", error))?;
        let ours = Arc::new(SandboxConnector::to(&sandbox));
        providers.push(ours.clone() as Arc<dyn money::payments::provider::Provider>);
        connector = Some(ours);
        engine.background(sandbox.background());
        Some(sandbox)
    } else {
        None
    };
    let providers = Providers::new(providers);
    if leads {
        connect(&engine, &providers).await?;
        Outbox::start(&engine);
        tokio::spawn(tracking.clone().run(engine.clone()));
    }
    let search = Search::start(&engine, &data.join("search"))?;
    let desk = Arc::new(Desk::default());
    let dispatcher = Dispatcher::new(tracking.clone(), desk.clone(), options.policy.leaning(options.leanings));
    if leads {
        dispatcher.recover(&engine).await?;
        let waits = node.as_ref().is_some_and(|node| replicated::arm(node, &engine));
        if !waits {
            engine.lead().await?;
        }
        engine.background(dispatcher.clone());
        tokio::spawn(dispatcher.clone().run(engine.clone()));
        tokio::spawn(Watch::new(tracking.clone(), options.couriers).run(engine.clone()));
    }
    let shelf = Arc::new(Shelf::open(&data.join("media")).map_err(|error| StartError::Io("the media folder", error))?);
    ops::scrub::start(&engine).map_err(|error| StartError::Io("the scrubbing thread", error))?;
    let hub = Hub::start(&engine);
    topics::tell_positions(&hub, &tracking, &engine);
    if leads {
        tokio::spawn(EtaWatcher::new(tracking.clone()).run(engine.clone()));
        tokio::spawn(ZoneWatcher::new(tracking.clone()).run(engine.clone()));
    }
    let dispatch = wiring::dispatch_services(&tracking, &desk, &hub);

    tokio::spawn(history::run(engine.downgrade(), options.history));
    let keyring = people.keyring.clone();
    let backup = Backup::start(&engine, data.clone(), options.backup, keyring.clone(), Arc::new(inspection::sentences))
        .map_err(StartError::Backup)?;

    let (stop, stopping) = watch::channel(false);
    let parts = Parts {
        people: people.clone(),
        tracking,
        search: search.clone(),
        providers,
        connector,
        dispatcher,
        dispatch,
        hub,
        shelf,
        backup: backup.clone(),
        publisher,
        metrics_public: options.metrics_public,
        stopping: stopping.clone(),
        node: node.clone(),
    };
    let (mut routes, _) = routes(&engine, parts);
    if let Some(node) = &node {
        routes = replicated::routes(routes, node, &engine, &people.keyring, stopping.clone());
        replicated::start(node, &engine, &people.keyring, &stopping);
    }
    let traffic = Arc::new(Traffic::default());
    let gate = Gate { engine: engine.clone(), authenticate: people.tokens.clone() };
    let routes = layers::wrap(routes, gate, traffic.clone());
    let is_tls = options.tls.is_some();
    if let Some(sandbox) = &sandbox {
        sandbox.deliver_to(&format!("{}/v1/payments/webhooks/sandbox", base_url(listening.address, is_tls)));
    }
    let admin = match &options.admin {
        Some(email) => Some(control::create_admin(&engine, &people, email).await.map_err(StartError::Admin)?),
        None => None,
    };
    let served = control::Served { engine: engine.clone(), people, backup: backup.clone(), node: node.clone(), data: data.clone() };
    control::listen(served, stopping.clone()).map_err(|error| StartError::Io("the control socket", error))?;
    let address = listening.address;
    let server = tokio::spawn(Listening::serve(listening, routes, stopping));
    Ok(App { engine, address, is_tls, admin, search, traffic, stop, server, sandbox, backup, node, keyring, data, _temporary: temporary })
}

fn open_engine(
    data: &Path,
    sandbox: bool,
    sizes: Sizes,
    history: HistoryConfig,
    people: &People,
    begins: Begins,
) -> Result<Engine, StartError> {
    let mut seed = [0; 32];
    aws_lc_rs::rand::fill(&mut seed)
        .map_err(|_| StartError::Io("the operating system's randomness", std::io::Error::other("not available")))?;
    let answers = Arc::new(PersonAnswers);
    let Begins { following, open_epoch, acks } = begins;
    let options = EngineOptions::new(sizes.options(seed), Arc::new(MachineClock), sandbox);
    let events_kept_ms = history.events_kept_ms();
    let options = EngineOptions { leading: false, answers, events_kept_ms, following, open_epoch, acks, ..options };
    let wiring = wiring::wire();
    Ok(Engine::start(Arc::new(RealDisk), &data.join("state"), options, wiring, people.policies.clone())?)
}

/// What is changed in the whole state can be undone.
async fn first_a_snapshot(engine: &Engine, data: &Path) -> Result<(), String> {
    let (view, data, mode) = (engine.view(), data.to_owned(), if engine.is_sandbox() { "sandbox" } else { "live" });
    let taken = tokio::task::spawn_blocking(move || ops::backup::take::take(&view, &data, mode));
    taken.await.map_err(|error| error.to_string())?.map(drop)
}

/// Opens the published ledger; a leader also numbers the transfers of an older folder, and follows the engine with the ledger.
async fn publish_ledger(engine: &Engine, data: &Path, origin: Option<&str>, leads: bool) -> Result<Arc<Publisher>, StartError> {
    // A folder from before the tree; a follower gets the numbers from its leader.
    if leads {
        let numbered = engine.write(&Caller::system("ledger"), "ledger.number", |tx| Ok::<_, Fault>(storage::ledger::number_old(tx)));
        numbered.await.map_err(|error| match error {
            WriteError::Refused(fault) | WriteError::Fault(fault) => fault,
        })?;
    }
    let publisher = Publisher::open(&data.join("keys"), &data.join("ledger"), origin, &engine.view())?;
    // One node publishes: heads of a follower that lags, or that lost its leader's tail, would look like a fork.
    if leads {
        tokio::spawn(publisher.clone().run(engine.downgrade(), engine.positions()));
    }
    Ok(publisher)
}

fn base_url(address: SocketAddr, is_tls: bool) -> String {
    let scheme = if is_tls { "https" } else { "http" };
    let host = if address.ip().is_unspecified() { SocketAddr::from(([127, 0, 0, 1], address.port())) } else { address };
    format!("{scheme}://{host}")
}

impl App {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT`
    #[must_use]
    pub fn base_url(&self) -> String {
        base_url(self.address, self.is_tls)
    }

    /// The administrator made at the start, if one was asked for.
    #[must_use]
    pub fn admin(&self) -> Option<&AdminCredentials> {
        self.admin.as_ref()
    }

    /// The engine, for checks that no client could make.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The people's keys, for checks that no client could make.
    #[must_use]
    pub fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Requests so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.traffic.requests.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Returns when this process has to begin anew, in another role, with the reason. Never without replication.
    pub async fn turned(&self) -> String {
        match &self.node {
            Some(node) => node.turned().await,
            None => std::future::pending().await,
        }
    }

    /// Lets what is under way end, folds, closes.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        let _ = self.server.await;
        let (engine, search, backup) = (self.engine, self.search, self.backup);
        let stopped = tokio::task::spawn_blocking(move || {
            search.stop();
            engine.stop();
            // Nothing is committed any more: the archive can have all of it.
            backup.finish();
        });
        if let Err(error) = stopped.await {
            tracing::error!(%error, "the end was not orderly; the log holds everything");
        }
        drop(self.sandbox);
    }
}

/// The OpenAPI document, without a data folder of the user's (`medina openapi`).
///
/// # Errors
/// [`StartError`] if not even a temporary folder can be used.
pub async fn openapi() -> Result<OpenApi, StartError> {
    let app = start(AppOptions { sandbox: true, ..AppOptions::default() }).await?;
    let url = format!("{}/openapi.json", app.base_url());
    let fetched = async { reqwest::get(url).await?.json::<OpenApi>().await }.await;
    app.stop().await;
    fetched.map_err(|error| StartError::Io("the document", std::io::Error::other(error.to_string())))
}
