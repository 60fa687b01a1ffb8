//! The sandbox's clock jumps: to each due time in turn, waiting until everything that follows the commits is idle, then on.

use std::time::Duration;

use storage::Timestamp;

use super::caller::Caller;
use super::clock::{TEST_CLOCK, TestClock};
use super::decision::{Denied, Question};
use super::fault::{Fault, WriteError};
use super::handle::Engine;
use super::timer;

/// At most this many due times in one advance: a timer that schedules itself at once must not hold the clock for ever.
const STEPS_MAX: usize = 100_000;
/// How long the appliance may take to become idle at one instant.
const IDLE_PATIENCE: Duration = Duration::from_secs(30);

/// Why time did not move on.
#[derive(Debug, thiserror::Error)]
pub enum AdvanceError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error("not idle within half a minute: {0}")]
    Busy(String),
}

impl Engine {
    /// Moves the engine's time forward by `by_ms`; afterwards it stands still if `freeze`, runs if not (`None`: as before).
    ///
    /// # Errors
    /// [`AdvanceError`]; time has then moved as far as it got.
    pub async fn advance(&self, caller: &Caller, question: Question, by_ms: i64, freeze: Option<bool>) -> Result<Timestamp, AdvanceError> {
        let _alone = self.advancing().lock().await;
        let frozen_after = freeze.unwrap_or(self.clock().is_frozen());
        // Stand still while stepping: machine time must not add to the jump.
        let start = self.now();
        self.show(caller, Some(question), start, true).await?;
        let target = start.plus_ms(by_ms.max(0));
        let mut now = start;
        for step in 0.. {
            if step == STEPS_MAX {
                return Err(AdvanceError::Busy(format!("{STEPS_MAX} due times, and still some before the target")));
            }
            self.settle().await?;
            let Some(due) = self.next_due().filter(|due| *due <= target) else { break };
            // Something due now or earlier that idle workers have left alone (a broken destination) waits for its own next time.
            now = if due > now { due } else { now.plus_ms(1).min(target) };
            self.show(caller, None, now, true).await?;
            if now == target {
                self.settle().await?;
                break;
            }
        }
        self.show(caller, None, target, frozen_after).await?;
        self.settle().await?;
        Ok(target)
    }

    async fn show(&self, caller: &Caller, question: Option<Question>, at: Timestamp, frozen: bool) -> Result<(), AdvanceError> {
        // The first step asks the policy as the caller; those after it are the appliance's own.
        let caller = if question.is_some() { caller.clone() } else { Caller::system("test_clock") };
        let clock = self.clock().clone();
        let shown = self.write(&caller, "sandbox.clock", move |tx| {
            if let Some(question) = &question {
                tx.authorize(question)?;
            }
            let setting = clock.setting_for(at, frozen);
            TEST_CLOCK.put(tx, &(), &setting);
            Ok::<TestClock, Denied>(setting)
        });
        let setting = match shown.await {
            Ok(done) => done.value,
            Err(WriteError::Refused(denied)) => return Err(denied.into()),
            Err(WriteError::Fault(fault)) => return Err(fault.into()),
        };
        self.clock().set(setting);
        Ok(())
    }

    /// Waits until nothing is due now and everybody has followed the last commit.
    async fn settle(&self) -> Result<(), AdvanceError> {
        let waited = tokio::time::timeout(IDLE_PATIENCE, async {
            let mut quiet = 0;
            while quiet < 2 {
                // A command behind everything queued so far: timers due by now have fired before its answer.
                self.touch().await?;
                let seq = self.view().position().seq;
                let timers_done = timer::next_due(&*self.view()).is_none_or(|due| due > self.now());
                let idle = timers_done && self.backgrounds().iter().all(|work| work.is_idle(seq));
                quiet = if idle && self.view().position().seq == seq { quiet + 1 } else { 0 };
                if !idle {
                    tokio::time::sleep(Duration::from_micros(200)).await;
                }
            }
            Ok::<(), Fault>(())
        });
        match waited.await {
            Ok(done) => Ok(done?),
            Err(_) => {
                let seq = self.view().position().seq;
                let busy: Vec<&str> = self.backgrounds().iter().filter(|work| !work.is_idle(seq)).map(|work| work.name()).collect();
                Err(AdvanceError::Busy(busy.join(", ")))
            }
        }
    }

    /// A command that does nothing, so that the writer has gone round once.
    async fn touch(&self) -> Result<(), Fault> {
        match self.write(&Caller::system("touch"), "touch", |_| Ok::<(), Fault>(())).await {
            Ok(_) => Ok(()),
            Err(WriteError::Refused(fault) | WriteError::Fault(fault)) => Err(fault),
        }
    }

    fn next_due(&self) -> Option<Timestamp> {
        let timers = timer::next_due(&*self.view());
        let pending = storage::ledger::next_expiry(&*self.view());
        self.backgrounds().iter().filter_map(|work| work.next_due()).chain(timers).chain(pending).min()
    }
}
