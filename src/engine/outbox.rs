//! Sends effects after their commit: in order per subject, retried with growing pauses, behind a circuit breaker per destination.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use storage::{Direction, Read, Timestamp};
use tokio::task::JoinSet;

use super::Tx;
use super::background::Background;
use super::clock::TEST_CLOCK;
use super::core::Ran;
use super::effect::{self, Answered, EffectId, EffectRow, EffectState, OUTBOX, OUTBOX_BY_STATE, OUTBOX_BY_SUBJECT, SentEffect};
use super::fault::{Fault, WriteError};
use super::handle::{Engine, WeakEngine};
use super::interest::{Interest, Reach};
use super::pause::OUTBOX_PAUSED;

/// An effect is tried this often before it waits for an operator.
pub const TRIES_MAX: u8 = 8;
/// Pauses between tries: 1 s, 2 s, 4 s, … and never more than this.
const PAUSE_MAX_S: i64 = 300;
/// One try may take this long.
const PATIENCE: Duration = Duration::from_secs(15);
/// Effects in flight at once.
const IN_FLIGHT_MAX: usize = 64;
/// After so many failures in a row a destination is left alone for [`BREAK_MS`], then tried with one effect.
const BREAK_AFTER: u32 = 5;
const BREAK_MS: i64 = 10_000;

/// Why an effect did not arrive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// The other side was not reached or is in trouble: worth another try.
    #[error("{0}")]
    Retry(String),
    /// It will never take this: for an operator at once.
    #[error("{0}")]
    Refused(String),
}

/// A future without a name.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Somewhere effects go.
pub trait Destination: Send + Sync {
    /// Sends one; the effect's id is the idempotency key, for it may come twice.
    fn deliver<'a>(&'a self, effect: &'a SentEffect) -> BoxFuture<'a, Result<Answered, DeliveryError>>;
}

/// All destinations by name.
#[derive(Default)]
pub struct Destinations(RwLock<HashMap<&'static str, Arc<dyn Destination>>>);

impl Destinations {
    /// `name` is what effects are addressed to.
    pub fn destination(&self, name: &'static str, to: Arc<dyn Destination>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(name, to);
    }

    fn find(&self, name: &str) -> Option<Arc<dyn Destination>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

/// A circuit breaker: closed, open until a time, half-open with one effect in flight.
///
/// Source: Nygard, *Release It!*, "Circuit Breaker".
#[derive(Clone, Copy, Debug, Default)]
struct Breaker {
    failures: u32,
    open_until: Option<Timestamp>,
}

impl Breaker {
    fn lets_through(&self, now: Timestamp, in_flight: bool) -> bool {
        self.open_until.is_none_or(|until| until <= now && !in_flight)
    }

    fn answered(&mut self) {
        *self = Self::default();
    }

    fn failed(&mut self, now: Timestamp) {
        self.failures += 1;
        if self.failures >= BREAK_AFTER {
            self.open_until = Some(now.plus_ms(BREAK_MS));
        }
    }
}

/// The worker that follows the commits.
pub struct Outbox {
    engine: WeakEngine,
    /// Everything up to here has been looked at with nothing left in flight; `u64::MAX` never occurs.
    settled_seq: AtomicU64,
    reach: Reach,
    breakers: Mutex<HashMap<String, Breaker>>,
}

impl Background for Outbox {
    fn name(&self) -> &'static str {
        "outbox"
    }
    fn is_idle(&self, seq: u64) -> bool {
        self.settled_seq.load(Ordering::Acquire) >= seq.min(self.reach.seq())
    }
    fn next_due(&self) -> Option<Timestamp> {
        let view = self.engine.upgrade()?.view();
        // Paused: what is due waits for an operator, not for a time.
        if OUTBOX_PAUSED.has(&*view, &()) { None } else { effect::next_due(&*view) }
    }
}

impl Outbox {
    /// Starts the worker on the current tokio runtime; it ends when the engine is gone.
    pub fn start(engine: &Engine) -> Arc<Self> {
        // The test clock's setting makes effects due too.
        let tables: Vec<u16> = OUTBOX.ids().chain([OUTBOX_PAUSED.id, TEST_CLOCK.id]).collect();
        let commits = engine.follow(&tables);
        let settled = AtomicU64::new(0);
        let outbox =
            Arc::new(Self { engine: engine.downgrade(), reach: commits.reach(), settled_seq: settled, breakers: Mutex::default() });
        engine.background(outbox.clone());
        tokio::spawn(outbox.clone().work(commits));
        outbox
    }

    async fn work(self: Arc<Self>, mut commits: Interest) {
        let mut flights: JoinSet<EffectId> = JoinSet::new();
        let mut in_flight: HashMap<EffectId, (String, u128)> = HashMap::new();
        loop {
            let Some(engine) = self.engine.upgrade() else { return };
            let view = engine.view();
            let seq = view.position().seq;
            let now = engine.now();
            let sends = engine.is_leading() && !OUTBOX_PAUSED.has(&*view, &());
            let ready = if sends { self.ready(&*view, now, &in_flight) } else { Vec::new() };
            for (id, row) in ready {
                in_flight.insert(id, (row.destination.clone(), row.subject));
                flights.spawn(self.clone().send(engine.clone(), id, row));
            }
            if in_flight.is_empty() {
                self.settled_seq.store(seq, Ordering::Release);
            }
            let wait = effect::next_due(&*view).filter(|_| sends).map_or(1_000, |at| (at.millis() - now.millis()).clamp(20, 1_000));
            drop((view, engine));
            tokio::select! {
                changed = commits.changed() => if changed.is_err() { return },
                Some(ended) = flights.join_next() => if let Ok(id) = ended { in_flight.remove(&id); },
                () = tokio::time::sleep(Duration::from_millis(wait as u64)) => (),
            }
            while let Some(ended) = flights.try_join_next() {
                if let Ok(id) = ended {
                    in_flight.remove(&id);
                }
            }
        }
    }

    /// Effects that may go now: due, first of their subject, their destination not broken.
    fn ready(&self, view: &dyn Read, now: Timestamp, in_flight: &HashMap<EffectId, (String, u128)>) -> Vec<(EffectId, EffectRow)> {
        let mut busy: HashSet<(String, u128)> = in_flight.values().cloned().collect();
        let mut ready = Vec::new();
        let breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (_, id, row) in OUTBOX.page(view, &OUTBOX_BY_STATE, &0_u8, None, Direction::Forward) {
            if row.next_at > now || in_flight.len() + ready.len() >= IN_FLIGHT_MAX {
                break;
            }
            let lane = (row.destination.clone(), row.subject);
            if in_flight.contains_key(&id) || busy.contains(&lane) {
                continue;
            }
            let destination_busy = busy.iter().any(|(destination, _)| *destination == row.destination);
            if !breakers.get(&row.destination).copied().unwrap_or_default().lets_through(now, destination_busy) {
                continue;
            }
            if OUTBOX.keys(view, &OUTBOX_BY_SUBJECT, &lane).next() != Some(id) {
                continue;
            }
            busy.insert(lane);
            ready.push((id, row));
        }
        ready
    }

    async fn send(self: Arc<Self>, engine: Engine, id: EffectId, row: EffectRow) -> EffectId {
        let sent = SentEffect { id, subject: row.subject, kind: row.kind, body: row.body, destination: row.destination };
        let outcome = match engine.outbox().find(&sent.destination) {
            None => Err(DeliveryError::Refused(format!("nothing is configured to send to `{}`", sent.destination))),
            Some(to) => tokio::time::timeout(PATIENCE, to.deliver(&sent))
                .await
                .unwrap_or_else(|_| Err(DeliveryError::Retry(format!("no answer within {} s", PATIENCE.as_secs())))),
        };
        {
            let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
            let breaker = breakers.entry(sent.destination.clone()).or_default();
            match &outcome {
                Ok(_) | Err(DeliveryError::Refused(_)) => breaker.answered(),
                Err(DeliveryError::Retry(_)) => breaker.failed(engine.now()),
            }
        }
        let written = match outcome {
            Ok(answer) => answer_effect(&engine, sent, answer).await,
            Err(error) => failed(&engine, sent, error).await,
        };
        if let Err(fault) = written {
            // The row stays as it was and is found again on the next look.
            tracing::error!(effect = %id, %fault, "an effect's answer could not be recorded");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        id
    }
}

async fn answer_effect(engine: &Engine, sent: SentEffect, answer: Answered) -> Result<(), Fault> {
    let outcome = engine.submit(move |core| {
        let taken = core.answer_effect(&sent, &answer).or_else(|fault| {
            // A handler that fails must not lose the answer for ever nor block its lane: it counts as a failed try.
            core.fail_effect(&sent, &DeliveryError::Retry(format!("the answer could not be taken: {fault}")))
        });
        taken.map(|()| Ran { value: (), seq: core.store.position().seq, replayed: false }).map_err(WriteError::<Fault>::Fault)
    });
    outcome.await.map(drop).map_err(flatten)
}

async fn failed(engine: &Engine, sent: SentEffect, error: DeliveryError) -> Result<(), Fault> {
    let outcome = engine.submit(move |core| {
        let counted = core.fail_effect(&sent, &error);
        counted.map(|()| Ran { value: (), seq: core.store.position().seq, replayed: false }).map_err(WriteError::<Fault>::Fault)
    });
    outcome.await.map(drop).map_err(flatten)
}

fn flatten(error: WriteError<Fault>) -> Fault {
    match error {
        WriteError::Refused(fault) | WriteError::Fault(fault) => fault,
    }
}

/// Counts a failed try; true if it was the last.
pub(super) fn record_failure(tx: &mut Tx<'_, '_>, sent: &SentEffect, error: &DeliveryError) -> bool {
    let Some(mut row) = OUTBOX.get(tx, &sent.id) else { return false };
    row.tries = row.tries.saturating_add(1);
    row.last_error = Some(error.to_string());
    let dead = matches!(error, DeliveryError::Refused(_)) || row.tries >= TRIES_MAX;
    if dead {
        row.state = EffectState::Dead;
        let id = sent.id.to_string();
        let retry = format!("POST /v1/ops/outbox/{id}/retry");
        let discard = format!("POST /v1/ops/outbox/{id}/discard");
        tx.attention("effect_dead", &id, format!("{} to {}: {error}", sent.kind, sent.destination), &[&retry, &discard]);
    } else {
        row.next_at = tx.now().plus_s((1_i64 << (row.tries - 1).min(20)).min(PAUSE_MAX_S));
    }
    OUTBOX.put(tx, &sent.id, &row);
    dead
}

/// An operator sends a dead effect again.
///
/// # Errors
/// `None` as value if there is no such dead effect.
pub fn retry(tx: &mut Tx<'_, '_>, id: EffectId) -> Option<EffectRow> {
    let mut row = OUTBOX.get(tx, &id).filter(|row| row.state == EffectState::Dead)?;
    row.state = EffectState::Pending;
    row.tries = 0;
    row.next_at = tx.now();
    OUTBOX.put(tx, &id, &row);
    tx.settle_attention("effect_dead", &id.to_string());
    Some(row)
}

/// An operator gives a dead effect up.
pub fn discard(tx: &mut Tx<'_, '_>, id: EffectId) -> Option<EffectRow> {
    OUTBOX.get(tx, &id).filter(|row| row.state == EffectState::Dead)?;
    tx.settle_attention("effect_dead", &id.to_string());
    OUTBOX.delete(tx, &id)
}
