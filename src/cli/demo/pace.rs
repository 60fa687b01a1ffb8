//! Time in the city: the server's test clock, pushed on in small steps so that hours pass in a minute.

use std::time::Duration;

use serde_json::json;
use storage::Timestamp;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use crate::cli::client::words::ClockNow;
use crate::cli::client::{CallError, Person};

/// A step, seconds. Within it nobody can act: it is shorter than the shortest deadline (an unseen offer's 10 s).
const STEP_S: i64 = 4;

/// The city's time as the actors know it.
pub struct Pace {
    now: watch::Sender<Timestamp>,
}

impl Pace {
    /// Asks the server what time it is.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn begin(admin: &Person) -> Result<Self, CallError> {
        Ok(Self { now: watch::Sender::new(push(admin, 0).await?) })
    }

    /// The city's time at the last step.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        *self.now.borrow()
    }

    /// Waits until the city's time is `at`.
    pub async fn until(&self, at: Timestamp) {
        let mut now = self.now.subscribe();
        // The sender is in `self`, so it cannot have gone.
        let _ = now.wait_for(|now| *now >= at).await;
    }

    /// Waits for some seconds of the city.
    pub async fn sleep(&self, seconds: f64) {
        self.until(self.now().plus_ms((seconds * 1e3) as i64)).await;
    }

    /// Pushes the clock so that `factor` seconds pass in one. Ends only if the server is gone.
    pub async fn drive(&self, admin: &Person, factor: f64) {
        let mut ticks = tokio::time::interval_at(Instant::now(), Duration::from_secs_f64(STEP_S as f64 / factor));
        // A slow machine makes the city slower; it does not make it jump.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            match push(admin, STEP_S).await {
                Ok(now) => drop(self.now.send_replace(now)),
                Err(CallError::Unreachable { .. }) => return,
                // Not idle in time: it is asked again.
                Err(error) => tracing::warn!(%error, "the clock was not pushed on"),
            }
        }
    }
}

async fn push(admin: &Person, seconds: i64) -> Result<Timestamp, CallError> {
    let clock: ClockNow = admin.post("/v1/sandbox/clock/advance", &json!({ "seconds": seconds, "freeze": false })).await?;
    Ok(clock.now)
}
