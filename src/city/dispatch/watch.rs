//! The watch: listens for signs of life and tells the log who fell silent, who is back, and whose positions jump.
//!
//! Signs are facts of the machine's time (a test clock that jumps makes nobody silent; while it stands still nobody is listened for at all, because the
//! people are simulated, too). What follows from them are ordinary commands, which look again inside the writer. Runs only while leading.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde::Deserialize;

use super::silence::{self, Lost};
use crate::city::couriers::{self, CourierId};
use crate::city::tracking::{Alarm, Tracking, doubt};
use crate::engine::{Caller, Engine, Fault, WriteError};

/// How often the watch looks: a courier who is back is asked again at most this much later.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Commands of one look; the rest waits for the next.
const CHANGES_MAX: usize = 256;
/// So many at once, and more than half of all: it is the network, or we, and not the couriers. Operators are told, nobody is marked for a while.
const OUTAGE_MIN: usize = 8;
const OUTAGE_HELD_MS: u64 = 600_000;
/// On the operators' list while that lasts.
pub const ATTENTION_OUTAGE: &str = "couriers_unreachable";
const EVERYBODY: &str = "all couriers";

/// `[couriers]` of the configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WatchConfig {
    /// Without a sign of life for so long a courier is silent; 0: never.
    pub silent_seconds: u32,
    /// What a silent courier has not picked up goes to others after this.
    pub grace_seconds: u32,
}

impl Default for WatchConfig {
    /// Phones say where they are every few seconds; two minutes are a long tunnel.
    fn default() -> Self {
        Self { silent_seconds: 120, grace_seconds: 60 }
    }
}

/// What one look changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Looked {
    pub lost: usize,
    pub back: usize,
    /// Silent for too long, and not marked: most of the others are, too.
    pub held: usize,
}

/// See the module. One per appliance.
pub struct Watch {
    tracking: Arc<Tracking>,
    config: WatchConfig,
    /// Nobody could be heard before this moment of the steady clock.
    listens_from_ms: AtomicU64,
    told: AtomicBool,
}

/// Somebody who was not heard of for too long. Milliseconds of the steady clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overdue {
    pub courier: CourierId,
    pub heard_ms: u64,
    pub silent_ms: u64,
}

/// What the watch hears.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listened {
    pub overdue: Vec<Overdue>,
    /// Marked as silent, and heard of since.
    pub returned: Vec<CourierId>,
    /// How many others are listened for.
    pub watched: usize,
}

impl Listened {
    /// Whether it is the network, or we, and not the couriers.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        self.overdue.len() >= OUTAGE_MIN && self.overdue.len() * 2 > self.watched
    }
}

impl Watch {
    #[must_use]
    pub fn new(tracking: Arc<Tracking>, config: WatchConfig) -> Self {
        Self { tracking, config, listens_from_ms: AtomicU64::new(0), told: AtomicBool::new(false) }
    }

    /// Watches until the engine is gone. Spawn it once.
    pub async fn run(self, engine: Engine) {
        let engine = engine.downgrade();
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            let Some(engine) = engine.upgrade() else { return };
            if engine.clock().is_frozen() {
                self.listens_from_ms.store(engine.clock().monotonic_ms(), Ordering::Release);
                continue;
            }
            match self.look(&engine).await {
                Ok(_) => (),
                Err(Fault::Stopping) => return,
                Err(fault) => tracing::debug!(%fault, "the watch waits"),
            }
        }
    }

    /// Looks once.
    ///
    /// # Errors
    /// The engine's fault; what was not written is found again by the next look.
    pub async fn look(&self, engine: &Engine) -> Result<Looked, Fault> {
        self.raise_alarms(engine).await?;
        let now_ms = engine.clock().monotonic_ms();
        let listened = self.listen(now_ms);
        let is_outage = listened.is_outage();
        let Listened { overdue, returned, watched } = listened;
        let mut looked = Looked::default();
        for courier in returned {
            run(engine, "dispatch.heard", move |tx| silence::back(tx, courier)).await?;
            self.tracking.mark_silent(courier, None);
            looked.back += 1;
        }
        self.tell_of_outage(engine, is_outage, overdue.len(), watched).await?;
        for overdue in overdue {
            let held_until = u64::from(self.config.silent_seconds) * 1000 + OUTAGE_HELD_MS;
            if is_outage && overdue.silent_ms < held_until {
                looked.held += 1;
            } else if looked.lost < CHANGES_MAX {
                looked.lost += usize::from(self.lose(engine, &overdue).await?);
            }
        }
        Ok(looked)
    }

    /// Who has been silent for too long, who of the silent ones is back, and how many are listened for in all.
    #[must_use]
    pub fn listen(&self, now_ms: u64) -> Listened {
        let mut listened = Listened::default();
        let from_ms = self.listens_from_ms.load(Ordering::Acquire);
        let silent_after_ms = u64::from(self.config.silent_seconds) * 1000;
        for heard in self.tracking.watched() {
            match heard.marked {
                Some(true) if listened.returned.len() < CHANGES_MAX => listened.returned.push(heard.courier),
                Some(_) => (),
                None => {
                    listened.watched += 1;
                    let silent_ms = now_ms.saturating_sub(heard.at_ms.max(from_ms));
                    if silent_after_ms > 0 && silent_ms >= silent_after_ms {
                        listened.overdue.push(Overdue { courier: heard.courier, heard_ms: heard.at_ms, silent_ms });
                    }
                }
            }
        }
        listened
    }

    /// What is known of somebody who is overdue.
    #[must_use]
    pub fn lost(&self, overdue: &Overdue) -> Lost {
        Lost {
            last: self.tracking.position(overdue.courier).map(|live| live.point.into()),
            after_s: u32::try_from(overdue.silent_ms / 1000).unwrap_or(u32::MAX),
            grace_s: i64::from(self.config.grace_seconds),
        }
    }

    /// Marks somebody, if they are still not heard of when the writer comes to it. Whether it did.
    async fn lose(&self, engine: &Engine, overdue: &Overdue) -> Result<bool, Fault> {
        let &Overdue { courier, heard_ms, .. } = overdue;
        let (tracking, told) = (self.tracking.clone(), self.lost(overdue));
        let (is_new, is_silent) = run(engine, "dispatch.silent", move |tx| {
            if tracking.last_heard_ms(courier) != Some(heard_ms) {
                return (false, false);
            }
            (silence::lost(tx, courier, told), couriers::silence(tx, courier).is_some())
        })
        .await?;
        if is_silent {
            self.tracking.mark_silent(courier, Some(heard_ms));
        } else if self.tracking.last_heard_ms(courier) == Some(heard_ms) {
            // They rest: whenever they begin again is a sign.
            self.tracking.stop_listening(courier);
        }
        if is_new {
            metrics::counter!("medina_couriers_silent_total").increment(1);
        }
        Ok(is_new)
    }

    async fn tell_of_outage(&self, engine: &Engine, is_outage: bool, overdue: usize, watched: usize) -> Result<(), Fault> {
        if self.told.load(Ordering::Acquire) == is_outage {
            return Ok(());
        }
        run(engine, "dispatch.outage", move |tx| {
            if is_outage {
                let reason = format!(
                    "{overdue} of {watched} couriers were not heard of for too long: the network, or this server, cannot be reached"
                );
                tx.attention(ATTENTION_OUTAGE, EVERYBODY, reason, &["check the network", "call the couriers"]);
            } else {
                tx.settle_attention(ATTENTION_OUTAGE, EVERYBODY);
            }
        })
        .await?;
        self.told.store(is_outage, Ordering::Release);
        Ok(())
    }

    async fn raise_alarms(&self, engine: &Engine) -> Result<(), Fault> {
        let alarms = self.tracking.take_alarms();
        if alarms.is_empty() {
            return Ok(());
        }
        run(engine, "dispatch.alarm", move |tx| {
            for (courier, alarm) in alarms {
                tx.attention(doubt::ATTENTION, &courier.to_string(), told(&alarm), &["call the courier", "PATCH /v1/couriers/{id}"]);
            }
        })
        .await
    }
}

fn told(alarm: &Alarm) -> String {
    let Alarm { jumps, from, to, at, distance_m, passed_s, is_believed } = alarm;
    let (from, to) = (from.point(), to.point());
    let what = if *is_believed { "it keeps saying so, and is believed" } else { "it is not believed" };
    format!(
        "jumped {distance_m} m in {passed_s} s at {at}, from {:.5}, {:.5} to {:.5}, {:.5}; {jumps} jumps in this shift; {what}",
        from.lat(),
        from.lon(),
        to.lat(),
        to.lon()
    )
}

async fn run<T: Send + 'static>(
    engine: &Engine,
    name: &'static str,
    command: impl FnOnce(&mut crate::engine::Tx<'_, '_>) -> T + Send + 'static,
) -> Result<T, Fault> {
    match engine.write(&Caller::system("dispatch"), name, move |tx| Ok::<T, Fault>(command(tx))).await {
        Ok(done) => Ok(done.value),
        Err(WriteError::Refused(fault) | WriteError::Fault(fault)) => Err(fault),
    }
}
