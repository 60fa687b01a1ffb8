//! Our side of the sandbox provider: the adapter.

use std::net::SocketAddr;
use std::time::Duration;

use axum::http::HeaderMap;
use serde::Deserialize;
use storage::Timestamp;

use super::charge::Act;
use super::server::Sandbox;
use crate::engine::outbox::BoxFuture;
use crate::engine::{Answered, DeliveryError, Destination, SentEffect};
use crate::money::payments::provider::{Delivery, Provider, Unreadable};
use crate::money::payments::signature::{BadSignature, Secret};
use crate::money::payments::{Connector, IntentId, Method, Notice, RefundId};

/// Speaks to the provider over HTTP.
pub struct SandboxConnector {
    base: String,
    secret: Secret,
    client: reqwest::Client,
}

/// A client for loopback: no proxy, no long waits.
pub(super) fn http_client() -> reqwest::Client {
    // reqwest was built without a TLS provider of its own; whoever comes first names the one that the product has.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().expect("a client without options that can fail")
}

impl SandboxConnector {
    /// For a provider that runs in this process.
    #[must_use]
    pub fn to(sandbox: &Sandbox) -> Self {
        Self::new(sandbox.address(), sandbox.webhook_secret())
    }

    #[must_use]
    pub fn new(address: SocketAddr, webhook_secret: [u8; 32]) -> Self {
        Self { base: format!("http://{address}/v1"), secret: Secret::new(&webhook_secret), client: http_client() }
    }

    /// What the payer does at the provider: its status and answer.
    ///
    /// # Errors
    /// It was not reached.
    pub async fn act(&self, intent: IntentId, act: Act) -> Result<(u16, String), DeliveryError> {
        let body = serde_json::json!({ "result": act }).to_string();
        self.post(&format!("charges/{intent}/act"), "act", body).await
    }

    async fn post(&self, path: &str, key: &str, body: String) -> Result<(u16, String), DeliveryError> {
        let retry = |error: reqwest::Error| DeliveryError::Retry(error.to_string());
        let request =
            self.client.post(format!("{}/{path}", self.base)).header("content-type", "application/json").header("idempotency-key", key);
        let answer = request.body(body).send().await.map_err(retry)?;
        let status = answer.status().as_u16();
        Ok((status, answer.text().await.map_err(retry)?))
    }
}

impl Destination for SandboxConnector {
    fn deliver<'a>(&'a self, effect: &'a SentEffect) -> BoxFuture<'a, Result<Answered, DeliveryError>> {
        Box::pin(async move {
            let (status, body) = self.post(&effect.kind, &effect.id.to_string(), effect.body.clone()).await?;
            match status {
                // Too busy or in trouble: nothing is decided.
                408 | 429 | 500.. => Err(DeliveryError::Retry(format!("the provider answered {status}: {body}"))),
                _ => Ok(Answered::With { status, body }),
            }
        })
    }
}

#[derive(Deserialize)]
struct Message {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    intent: IntentId,
    #[serde(default)]
    amount: Option<i64>,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    refund: Option<RefundId>,
}

impl Provider for SandboxConnector {
    fn connector(&self) -> Connector {
        Connector::Sandbox
    }

    fn methods(&self) -> &'static [Method] {
        &[Method::Card]
    }

    fn verify(&self, headers: &HeaderMap, body: &[u8], now: Timestamp) -> Result<(), BadSignature> {
        self.secret.verify(headers, body, now)
    }

    fn read(&self, body: &[u8]) -> Result<Delivery, Unreadable> {
        let Message { id, kind, data } = serde_json::from_slice(body).map_err(|error| Unreadable(error.to_string()))?;
        let notice = match (kind.as_str(), data.amount, data.refund) {
            ("charge.authorized", ..) => Notice::Authorized,
            ("charge.action_required", ..) => Notice::ActionRequired { url: data.url.unwrap_or_default() },
            ("charge.declined", ..) => Notice::Declined { code: data.code.unwrap_or_default() },
            ("charge.captured", Some(amount), _) => Notice::Captured { amount },
            ("charge.voided", ..) => Notice::Voided,
            ("charge.refunded", _, Some(refund)) => Notice::Refunded { refund },
            _ => return Err(Unreadable(format!("{kind} is unknown or lacks a field"))),
        };
        Ok(Delivery { event_id: id, intent: data.intent, notice })
    }
}
