//! The provider's webhooks: each is sent from its time on, until it is answered with 2xx.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use storage::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::charge::Hook;
use super::server::Shop;
use crate::engine::Background;
use crate::money::payments::signature;

/// Webhooks in flight at once.
const IN_FLIGHT_MAX: usize = 16;
/// Pauses between tries of one, in machine time: a network's trouble does not end because the test clock jumps.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// How often due times are compared with a clock that others may move.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Sends what the desk promised.
pub struct Sender {
    shop: Arc<Shop>,
    target: watch::Sender<Option<String>>,
    client: reqwest::Client,
}

impl Background for Sender {
    fn name(&self) -> &'static str {
        "sandbox provider"
    }

    fn is_idle(&self, _: u64) -> bool {
        let now = (self.shop.now)();
        let idle = self.shop.at_desk(|desk| desk.due(now).next().is_none());
        if !idle {
            // Whoever asks has moved the clock: no need to wait for the next look.
            self.shop.bell.notify_one();
        }
        idle
    }

    fn next_due(&self) -> Option<Timestamp> {
        self.shop.at_desk(|desk| desk.next_due())
    }
}

/// When a webhook that failed is tried again.
struct Pause {
    until: Instant,
    length: Duration,
}

impl Sender {
    pub(super) fn new(shop: Arc<Shop>) -> Arc<Self> {
        Arc::new(Self { shop, target: watch::Sender::new(None), client: super::connector::http_client() })
    }

    pub(super) fn deliver_to(&self, url: &str) {
        self.target.send_replace(Some(url.to_owned()));
        self.shop.bell.notify_one();
    }

    pub(super) async fn run(self: Arc<Self>) {
        let mut flights: JoinSet<(Hook, bool)> = JoinSet::new();
        let mut in_flight: Vec<String> = Vec::new();
        let mut pauses: HashMap<String, Pause> = HashMap::new();
        loop {
            let target = self.target.borrow().clone();
            if let Some(url) = &target {
                for hook in self.ready(&in_flight, &pauses) {
                    in_flight.push(hook.id.clone());
                    flights.spawn(self.clone().send(url.clone(), hook));
                }
            }
            tokio::select! {
                () = self.shop.bell.notified() => (),
                Some(Ok((hook, taken))) = flights.join_next() => {
                    in_flight.retain(|id| *id != hook.id);
                    if taken {
                        pauses.remove(&hook.id);
                    } else {
                        let length = pauses.get(&hook.id).map_or(PAUSE_MIN, |pause| (pause.length * 2).min(PAUSE_MAX));
                        pauses.insert(hook.id, Pause { until: Instant::now() + length, length });
                    }
                }
                () = tokio::time::sleep(LOOK_EVERY), if self.next_due().is_some() => (),
            }
        }
    }

    fn ready(&self, in_flight: &[String], pauses: &HashMap<String, Pause>) -> Vec<Hook> {
        let (now, machine) = ((self.shop.now)(), Instant::now());
        let free = IN_FLIGHT_MAX.saturating_sub(in_flight.len());
        let may = |hook: &&Hook| !in_flight.contains(&hook.id) && pauses.get(&hook.id).is_none_or(|pause| pause.until <= machine);
        self.shop.at_desk(|desk| desk.due(now).filter(may).take(free).cloned().collect())
    }

    async fn send(self: Arc<Self>, url: String, hook: Hook) -> (Hook, bool) {
        let sent_at_s = (self.shop.now)().millis() / 1000;
        let signed = self.shop.secret.sign(&hook.id, sent_at_s, hook.body.as_bytes());
        let answered = self
            .client
            .post(url)
            .header("content-type", "application/json")
            .header(signature::ID, &hook.id)
            .header(signature::TIMESTAMP, sent_at_s)
            .header(signature::SIGNATURE, signed)
            .body(hook.body.clone())
            .send()
            .await;
        let taken = match answered {
            Ok(answer) if answer.status().is_success() => true,
            Ok(answer) => {
                tracing::warn!(hook = hook.id, status = answer.status().as_u16(), "a webhook was not taken; it will be sent again");
                false
            }
            Err(error) => {
                tracing::debug!(hook = hook.id, %error, "a webhook did not arrive; it will be sent again");
                false
            }
        };
        // If this cannot be written the webhook goes out again: the other side knows repeats.
        if taken && let Err(error) = self.shop.at_desk(|desk| desk.taken(&hook)) {
            tracing::warn!(%error, "the sandbox provider could not write its file");
        }
        (hook, taken)
    }
}
