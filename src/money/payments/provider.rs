//! What a payment provider looks like from here. A new one is an implementation of [`Provider`], a [`Connector`] and a line where the appliance
//! is put together.

use std::sync::Arc;

use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use storage::{Read, Row, Table, Timestamp};

use super::model::{Connector, IntentId, Method, Notice};
use super::signature::BadSignature;
use crate::engine::{Caller, Destination, Engine, Fault, Tx, WriteError};

/// A provider's word about one of our intents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The provider's own id of it: taken once.
    pub event_id: String,
    pub intent: IntentId,
    pub notice: Notice,
}

/// A signed webhook that we cannot make sense of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a message that we know: {0}")]
pub struct Unreadable(pub String);

/// A payment provider's adapter. As a [`Destination`] it translates [`super::carry::Ask`] into the provider's calls: a 2xx means that the
/// provider took it and will tell by webhook, a 4xx that it will never do it; anything else is tried again with the same key.
pub trait Provider: Destination {
    fn connector(&self) -> Connector;
    /// What it can be paid with.
    fn methods(&self) -> &'static [Method];
    /// Whether a webhook is the provider's. Runs before anything of the body is read.
    ///
    /// # Errors
    /// [`BadSignature`].
    fn verify(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<(), BadSignature>;
    /// What a webhook says.
    ///
    /// # Errors
    /// [`Unreadable`].
    fn read(&self, body: &[u8]) -> Result<Delivery, Unreadable>;
}

/// The providers of this appliance.
#[derive(Clone, Default)]
pub struct Providers(Arc<Vec<Arc<dyn Provider>>>);

impl Providers {
    #[must_use]
    pub fn new(providers: Vec<Arc<dyn Provider>>) -> Self {
        Self(Arc::new(providers))
    }

    /// By the name in the webhook's path.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Arc<dyn Provider>> {
        self.0.iter().find(|provider| provider.connector().name() == name)
    }
}

/// Who carries out a method here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offered {
    pub connector: Connector,
}
impl Row for Offered {
    const VERSION: u8 = 1;
}

/// Methods on offer. A row and not configuration: commands must decide the same on every node and in every replay.
pub static OFFERED: Table<u8, Offered> = Table::new(204, "money.methods", &[]);

const fn number(method: Method) -> u8 {
    match method {
        Method::Card => 1,
        Method::Wallet => 2,
        Method::Cash => 3,
        Method::MobileMoney => 4,
    }
}

/// Who carries `method` out here, if anybody.
pub fn offered(read: &(impl Read + ?Sized), method: Method) -> Option<Connector> {
    OFFERED.get(read, &number(method)).map(|row| row.connector)
}

/// Offers exactly these methods from now on.
pub fn offer(tx: &mut Tx<'_, '_>, methods: &[(Method, Connector)]) {
    for method in [Method::Card, Method::Wallet, Method::Cash, Method::MobileMoney] {
        let wanted = methods.iter().find(|(offered, _)| *offered == method).map(|(_, connector)| Offered { connector: *connector });
        match wanted {
            Some(row) if OFFERED.get(tx, &number(method)) != Some(row) => OFFERED.put(tx, &number(method), &row),
            None if OFFERED.has(tx, &number(method)) => drop(OFFERED.delete(tx, &number(method))),
            Some(_) | None => (),
        }
    }
}

/// Connects the appliance with its providers: their effects go to them, their methods are on offer, no others.
///
/// # Errors
/// The engine's.
pub async fn connect(engine: &Engine, providers: &Providers) -> Result<(), Fault> {
    let mut methods = Vec::new();
    for provider in providers.0.iter() {
        let as_destination: Arc<dyn Destination> = provider.clone();
        engine.outbox().destination(provider.connector().name(), as_destination);
        methods.extend(provider.methods().iter().map(|method| (*method, provider.connector())));
    }
    let caller = Caller::system("payments.methods");
    let offered = move |tx: &mut Tx<'_, '_>| {
        offer(tx, &methods);
        Ok::<(), Fault>(())
    };
    match engine.write(&caller, "payments.methods", offered).await {
        Ok(_) => Ok(()),
        Err(WriteError::Refused(fault) | WriteError::Fault(fault)) => Err(fault),
    }
}
