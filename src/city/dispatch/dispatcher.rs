//! The background worker: due jobs become plans outside the writer, plans become commands inside it.
//!
//! It keeps nothing: what is due is in the view, what it finds out is committed. It runs only while leading.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use storage::{Timestamp, View};
use tokio::sync::watch;

use super::desk::{self, Desk};
use super::jobs;
use super::model::{JOBS, JOBS_DUE, Job, JobId, OfferId, Refusal};
use super::offers;
use super::policy::{Found, Plan, Policy};
use super::scene::LiveScene;
use crate::city::tracking::Tracking;
use crate::engine::stats::Histogram;
use crate::engine::{Background, Caller, Engine, Fault, WriteError};

/// Jobs planned at once.
const DUE_MAX: usize = 256;
/// A pass that got nothing done (the writer is full, or everything it relied on had changed) waits this long before the next.
const STUCK: Duration = Duration::from_millis(20);
/// After a start devices need this long to come back.
pub const GRACE_S: i64 = 60;

/// How the stops of a job are called: the words of whoever asked for it, shown to the courier who carries it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Label {
    /// Short and speakable.
    pub number: String,
    pub pickup_address: Option<String>,
    pub dropoff_address: Option<String>,
}

type Reached = Box<dyn Fn(CourierId) -> bool + Send + Sync>;
type Described = Box<dyn Fn(&View, u128) -> Label + Send + Sync>;

/// See the module. One per appliance.
pub struct Dispatcher {
    engine: WeakEngine,
    tracking: Arc<Tracking>,
    desk: Desk,
    policy: Arc<dyn Policy>,
    reached: OnceLock<Reached>,
    described: OnceLock<Described>,
    decisions: Histogram,
    /// Everything up to this sequence number has been looked at, and nothing was due.
    handled: AtomicU64,
}

impl Dispatcher {
    /// Starts to dispatch, one job at a time. Live offers get time first: after a start devices need a moment to come back.
    ///
    /// # Errors
    /// The engine's.
    pub async fn start(engine: &Engine, tracking: Arc<Tracking>) -> Result<Arc<Self>, Fault> {
        Self::start_with(engine, tracking, Arc::new(Immediate)).await
    }

    /// Like [`Dispatcher::start`], with another policy.
    ///
    /// # Errors
    /// The engine's.
    pub async fn start_with(engine: &Engine, tracking: Arc<Tracking>, policy: Arc<dyn Policy>) -> Result<Arc<Self>, Fault> {
        let dispatcher = Arc::new(Self {
            engine: engine.downgrade(),
            tracking,
            desk: Desk::default(),
            policy,
            reached: OnceLock::new(),
            described: OnceLock::new(),
            decisions: Histogram::default(),
            handled: AtomicU64::new(0),
        });
        let given = engine.write(&Caller::system("dispatch"), "dispatch.recover", |tx| {
            let until = tx.now().plus_s(GRACE_S);
            offers::give_time(tx, until);
            Ok::<(), Fault>(())
        });
        match given.await {
            Ok(_) => (),
            Err(WriteError::Refused(fault) | WriteError::Fault(fault)) => return Err(fault),
        }
        engine.background(dispatcher.clone());
        tokio::spawn(dispatcher.clone().run(engine.clone()));
        Ok(dispatcher)
    }

    /// Says whose device is connected now: an offer to them counts as seen. Once; a second word is ignored.
    pub fn reached_by(&self, reached: impl Fn(CourierId) -> bool + Send + Sync + 'static) {
        let _ = self.reached.set(Box::new(reached));
    }

    /// Says how the stops of a subject are called. Once; a second word is ignored.
    pub fn described_by(&self, described: impl Fn(&View, u128) -> Label + Send + Sync + 'static) {
        let _ = self.described.set(Box::new(described));
    }

    /// What the courier reads at a stop of `subject`.
    #[must_use]
    pub fn label(&self, view: &View, subject: u128) -> Label {
        self.described.get().map_or_else(Label::default, |described| described(view, subject))
    }

    /// A courier's device has just connected: what they are being asked has reached them. Returns at once.
    pub fn present(&self, courier: CourierId) {
        let Some(engine) = self.engine.upgrade() else { return };
        tokio::spawn(async move {
            let unseen = views::unseen(&*engine.view(), courier, engine.now());
            desk::seen(&engine, unseen).await;
        });
    }

    /// Where long polls wait.
    #[must_use]
    pub fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Where everybody is.
    #[must_use]
    pub fn tracking(&self) -> &Tracking {
        &self.tracking
    }

    /// How long decisions took, from the view to the plan.
    #[must_use]
    pub fn decision_times(&self) -> &Histogram {
        &self.decisions
    }

    /// Dispatches until the engine stops.
    async fn run(self: Arc<Self>, engine: Engine) {
        let mut commits = engine.positions();
        let engine = engine.downgrade();
        loop {
            commits.borrow_and_update();
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
    async fn pass(&self, engine: &Engine, commits: &mut watch::Receiver<storage::Position>) -> Result<(), Fault> {
        loop {
            commits.borrow_and_update();
            let view = engine.view();
            let due: Vec<(JobId, Job)> = JOBS.find(&*view, &JOBS_DUE, &()).take(DUE_MAX).collect();
            if due.is_empty() {
                self.handled.store(view.position().seq, Ordering::Release);
                return Ok(());
            }
            let plans = self.plan(view, engine.now(), due).await?;
            let done = futures_util::future::join_all(plans.into_iter().map(|plan| self.carry_out(engine, plan))).await;
            let moved = done.into_iter().collect::<Result<Vec<bool>, Fault>>()?;
            if !moved.contains(&true) {
                tokio::time::sleep(STUCK).await;
            }
        }
    }

    async fn plan(&self, view: Arc<View>, now: Timestamp, due: Vec<(JobId, Job)>) -> Result<Vec<Plan>, Fault> {
        let (tracking, policy, took) = (self.tracking.clone(), self.policy.clone(), self.took.clone());
        let planned = tokio::task::spawn_blocking(move || {
            let scene = LiveScene::new(view, tracking, now, due.iter().map(|(_, job)| job.request.city));
            let plans = policy.plan(&scene, &due);
            let each = begun.elapsed() / u32::try_from(due.len()).unwrap_or(u32::MAX).max(1);
            for _ in &due {
                metrics::histogram!("medina_dispatch_decision_seconds").record(each);
                took.record(each);
            }
            plans
        });
        match planned.await {
            Ok(plans) => Ok(plans),
            Err(error) if error.is_panic() => {
                tracing::error!(%error, "the dispatch policy panicked; it is tried again");
                Ok(Vec::new())
            }
            Err(_) => Err(Fault::Stopping),
        }
    }

    /// Whether the plan was carried out; a stale one is no failure, its jobs are still due.
    async fn carry_out(&self, engine: &Engine, plan: Plan) -> Result<bool, Fault> {
        let policy = self.policy.name();
        let outcome = match plan.found {
            Found::Offer { .. } => "offer",
            Found::Later { .. } => "later",
            Found::Nobody => "nobody",
        };
        let jobs = plan.jobs.clone();
        let written = engine
            .write(&Caller::system("dispatch"), "dispatch.decide", move |tx| match plan.found {
                Found::Offer { .. } => offers::make(tx, &plan, policy).map(Some),
                Found::Later { until } => jobs::later(tx, &plan.jobs, until).map(|()| None),
                Found::Nobody => jobs::nobody(tx, &plan, policy).map(|()| None),
            })
            .await;
        match written {
            Ok(done) => {
                metrics::counter!("medina_dispatch_decisions_total", "outcome" => outcome).increment(1);
                if let (Some(courier), Some(offer)) = (rung, done.value) {
                    self.desk.ring(courier);
                    if self.desk.is_connected(courier) {
                        desk::seen(engine, vec![offer]).await;
                    }
                }
                Ok(true)
            }
            Err(WriteError::Refused(refusal)) => {
                metrics::counter!("medina_dispatch_decisions_total", "outcome" => "stale").increment(1);
                tracing::debug!(?jobs, %refusal, "a plan was stale");
                Ok(false)
            }
            Err(WriteError::Fault(Fault::Stopping)) => Err(Fault::Stopping),
            Err(WriteError::Fault(fault @ Fault::Overloaded { .. })) => {
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
        if self.reached.get().is_some_and(|reached| reached(courier)) {
            desk::seen(engine, vec![offer]).await;
        }
    }

    async fn set_aside(&self, engine: &Engine, jobs: Vec<JobId>) -> Result<bool, Fault> {
        let set_aside = engine.write(&Caller::system("dispatch"), "dispatch.set_aside", move |tx| {
            for id in &jobs {
                tx.attention("dispatch_failed", &id.to_string(), "its decision could not be carried out; see the log", &[]);
            }
            let until = tx.now().plus_s(GRACE_S);
            jobs::later(tx, &jobs, until)
        });
        match set_aside.await {
            Err(WriteError::Fault(Fault::Stopping)) => Err(Fault::Stopping),
            Ok(_) | Err(WriteError::Refused(Refusal::NoJob | Refusal::NotWhile(_))) => Ok(true),
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
        self.handled.load(Ordering::Acquire) >= seq
    }

    /// Everything it waits for is a durable timer.
    fn next_due(&self) -> Option<Timestamp> {
        None
    }
}
