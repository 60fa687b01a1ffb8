//! The background worker: due jobs become plans outside the writer, plans become commands inside it.
//!
//! It keeps nothing: what is due is in the view, what it finds out is committed. It runs only while leading.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use storage::{Timestamp, View};

use super::desk::{self, Desk};
use super::explain::sight::{SIGHTS, Sight};
use super::jobs;
use super::model::{JOBS, JOBS_DUE, Job, JobId, OFFERS, OfferId, Refusal};
use super::offers;
use super::policy::{Found, Plan, Policy};
use super::scene::LiveScene;
use crate::city::couriers::CourierId;
use crate::city::tracking::Tracking;
use crate::engine::stats::Histogram;
use crate::engine::{Background, Caller, Engine, Fault, Interest, Reach, WriteError};

/// Jobs planned at once.
const DUE_MAX: usize = 256;
/// A pass that got nothing done (the writer takes nothing, or everything it relied on had changed) waits this long before the next, and twice as long each
/// time it happens again, up to the longest.
const STUCK: Duration = Duration::from_millis(20);
const STUCK_MAX: Duration = Duration::from_secs(1);
/// After a start devices need this long to come back.
pub const GRACE_S: i64 = 60;

/// A plan, and what the policy saw.
type Planned = (Plan, Option<Sight>);

/// See the module. One per appliance.
pub struct Dispatcher {
    tracking: Arc<Tracking>,
    desk: Arc<Desk>,
    policy: Arc<dyn Policy>,
    decisions: Arc<Histogram>,
    /// Everything up to this sequence number has been looked at, and nothing was due.
    handled: AtomicU64,
    reach: OnceLock<Reach>,
}

impl Dispatcher {
    #[must_use]
    pub fn new(tracking: Arc<Tracking>, desk: Arc<Desk>, policy: Arc<dyn Policy>) -> Arc<Self> {
        Arc::new(Self { tracking, desk, policy, decisions: Arc::default(), handled: AtomicU64::new(0), reach: OnceLock::new() })
    }

    /// How long decisions took, from the view to the plan.
    #[must_use]
    pub fn decision_times(&self) -> &Histogram {
        &self.decisions
    }

    /// Before the first timer fires after a start or a promotion: the map is filled from the presence rows, and live offers get time.
    ///
    /// # Errors
    /// The engine's.
    pub async fn recover(&self, engine: &Engine) -> Result<(), Fault> {
        let listen_from_ms = engine.clock().monotonic_ms().saturating_add(GRACE_S as u64 * 1000);
        self.tracking.restore(&*engine.view(), listen_from_ms);
        let given = engine.write(&Caller::system("dispatch"), "dispatch.recover", |tx| {
            let until = tx.now().plus_s(GRACE_S);
            offers::give_time(tx, until);
            Ok::<(), Fault>(())
        });
        match given.await {
            Ok(_) => Ok(()),
            Err(WriteError::Refused(fault) | WriteError::Fault(fault)) => Err(fault),
        }
    }

    /// Dispatches until the engine stops. Spawn it once; register the dispatcher with [`Engine::background`].
    pub async fn run(self: Arc<Self>, engine: Engine) {
        let mut commits = engine.follow(&[JOBS.id, JOBS_DUE.id]);
        let _ = self.reach.set(commits.reach());
        let engine = engine.downgrade();
        loop {
            commits.mark_seen();
            let Some(engine) = engine.upgrade() else { return };
            if self.pass(&engine, &mut commits).await.is_err() {
                return;
            }
            drop(engine);
            if commits.changed().await.is_err() {
                return;
            }
        }
    }

    /// Works until nothing is due.
    async fn pass(&self, engine: &Engine, commits: &mut Interest) -> Result<(), Fault> {
        let mut stuck = STUCK;
        loop {
            commits.mark_seen();
            let view = engine.view();
            let due: Vec<(JobId, Job)> = JOBS.find(&*view, &JOBS_DUE, &()).take(DUE_MAX).collect();
            if due.is_empty() {
                self.handled.store(view.position().seq, Ordering::Release);
                return Ok(());
            }
            if engine.clock().is_frozen() {
                // Standing time: many simulated minutes pass between two redrawings by the machine's clock.
                self.tracking.refresh();
            }
            let plans = self.plan(engine, view, due).await?;
            let done = futures_util::future::join_all(plans.into_iter().map(|plan| self.carry_out(engine, plan))).await;
            let moved = done.into_iter().collect::<Result<Vec<bool>, Fault>>()?;
            if moved.contains(&true) {
                stuck = STUCK;
            } else {
                tokio::time::sleep(stuck).await;
                stuck = (stuck * 2).min(STUCK_MAX);
            }
        }
    }

    /// Plans for what is due. A job on which the policy panics is set aside: it must not stop the others.
    async fn plan(&self, engine: &Engine, view: Arc<View>, due: Vec<(JobId, Job)>) -> Result<Vec<Planned>, Fault> {
        let now = engine.now();
        let due = Arc::new(due);
        if let Some(plans) = self.try_plan(view.clone(), now, due.clone()).await? {
            return Ok(plans);
        }
        let mut plans = Vec::with_capacity(due.len());
        for (id, job) in &*due {
            match self.try_plan(view.clone(), now, Arc::new(vec![(*id, job.clone())])).await? {
                Some(alone) => plans.extend(alone),
                None => drop(self.set_aside(engine, vec![*id]).await?),
            }
        }
        Ok(plans)
    }

    /// `None` if the policy panicked.
    async fn try_plan(&self, view: Arc<View>, now: Timestamp, due: Arc<Vec<(JobId, Job)>>) -> Result<Option<Vec<Planned>>, Fault> {
        let (tracking, policy, decisions) = (self.tracking.clone(), self.policy.clone(), self.decisions.clone());
        let planned = tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            let scene = LiveScene::new(view, tracking, now, due.iter().map(|(_, job)| job.request.city));
            let plans = policy.plan(&scene, &due);
            let each = begun.elapsed() / u32::try_from(due.len()).unwrap_or(u32::MAX).max(1);
            for _ in &*due {
                decisions.record(each);
                metrics::histogram!("medina_dispatch_decision_seconds").record(each);
            }
            let planned = plans.into_iter().map(|plan| {
                let sight = (!plan.candidates.is_empty()).then(|| scene.sight(&plan)).flatten();
                (plan, sight)
            });
            planned.collect::<Vec<Planned>>()
        });
        match planned.await {
            Ok(plans) => Ok(Some(plans)),
            Err(error) if error.is_panic() => {
                tracing::error!(%error, "the dispatch policy panicked; each job is tried alone");
                Ok(None)
            }
            Err(_) => Err(Fault::Stopping),
        }
    }

    /// Whether the plan was carried out; a stale one is no failure, its jobs are still due.
    async fn carry_out(&self, engine: &Engine, (plan, sight): Planned) -> Result<bool, Fault> {
        let policy = self.policy.name();
        let outcome = match plan.found {
            Found::Offer { .. } => "offer",
            Found::Later { .. } => "later",
            Found::Nobody => "nobody",
        };
        let jobs = plan.jobs.clone();
        let written = engine
            .write(&Caller::system("dispatch"), "dispatch.decide", move |tx| {
                let (decision, offered) = match plan.found {
                    Found::Offer { courier, .. } => {
                        let offer = offers::make(tx, &plan, policy)?;
                        (OFFERS.get(tx, &offer).map(|offer| offer.decision), Some((courier, offer)))
                    }
                    Found::Later { until } => (jobs::later(tx, &plan.jobs, until).map(|()| None)?, None),
                    Found::Nobody => (Some(jobs::nobody(tx, &plan, policy)?), None),
                };
                if let (Some(decision), Some(sight)) = (decision, sight) {
                    SIGHTS.put(tx, &decision, &sight);
                }
                Ok::<_, Refusal>(offered)
            })
            .await;
        match written {
            Ok(done) => {
                metrics::counter!("medina_dispatch_decisions_total", "outcome" => outcome).increment(1);
                if let Some((courier, offer)) = done.value {
                    self.announce(engine, courier, offer).await;
                }
                Ok(true)
            }
            Err(WriteError::Refused(refusal)) => {
                metrics::counter!("medina_dispatch_decisions_total", "outcome" => "stale").increment(1);
                tracing::debug!(?jobs, %refusal, "a plan was stale");
                Ok(false)
            }
            Err(WriteError::Fault(Fault::Stopping)) => Err(Fault::Stopping),
            Err(WriteError::Fault(fault)) if fault.is_outage() => {
                tracing::debug!(%fault, "a plan waits");
                Ok(false)
            }
            Err(WriteError::Fault(fault)) => {
                // A bug. The job must not spin: it is looked at again later, and operators see it.
                tracing::error!(?jobs, %fault, "a plan could not be carried out");
                self.set_aside(engine, jobs).await
            }
        }
    }

    /// The offer is in the newest view: waiting polls are rung, and a courier with a live connection has it.
    async fn announce(&self, engine: &Engine, courier: CourierId, offer: OfferId) {
        self.desk.ring(courier);
        if self.desk.is_connected(courier) {
            desk::seen(engine, vec![offer]).await;
        }
    }

    async fn set_aside(&self, engine: &Engine, jobs: Vec<JobId>) -> Result<bool, Fault> {
        let set_aside = engine.write(&Caller::system("dispatch"), "dispatch.set_aside", move |tx| {
            for id in &jobs {
                tx.attention(jobs::ATTENTION_FAILED, &id.to_string(), "its decision could not be carried out; see the log", &[]);
            }
            let until = tx.now().plus_s(GRACE_S);
            jobs::later(tx, &jobs, until)
        });
        match set_aside.await {
            Err(WriteError::Fault(Fault::Stopping)) => Err(Fault::Stopping),
            Ok(_) | Err(WriteError::Refused(Refusal::NoJob | Refusal::NotWhile(_))) => Ok(true),
            Err(WriteError::Fault(fault)) if fault.is_outage() => Ok(false),
            Err(error) => {
                tracing::error!(?error, "a job could not be set aside");
                Ok(false)
            }
        }
    }
}

impl Background for Dispatcher {
    fn name(&self) -> &'static str {
        "dispatcher"
    }

    fn is_idle(&self, seq: u64) -> bool {
        self.handled.load(Ordering::Acquire) >= seq.min(self.reach.get().map_or(u64::MAX, Reach::seq))
    }

    /// Everything it waits for is a durable timer.
    fn next_due(&self) -> Option<Timestamp> {
        None
    }
}
