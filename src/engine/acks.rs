//! Who must have a batch before anybody sees it.
//!
//! A batch that is durable here flies until the named follower has it on its disk too; only then is it published and answered. Batches fly behind one
//! another, so a slow link costs latency and not throughput.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use serde::{Deserialize, Serialize};
use storage::{Position, Store};
use tokio::sync::watch;

use super::fault::Fault;
use super::writer::{Answer, Shared};

/// Batches that may fly at once; then commands wait in the queue.
const FLIGHTS_MAX: usize = 256;

/// What is waited for before a batch is published and answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ack {
    /// This node's disk. A lost machine loses what no follower had yet.
    #[default]
    Local,
    /// The named follower's disk too. Without the follower nothing is acknowledged.
    Follower,
    /// The named follower's disk too, for a bounded time; then this node goes on alone, says so with each answer and raises an alarm.
    FollowerOrDegrade,
}

/// [`Ack`] and how long it is waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AckOptions {
    pub ack: Ack,
    pub timeout: Duration,
}

/// Where a committed command stands, and on how many disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    pub position: Position,
    /// Whether the follower that should have it does not: a lost machine would lose it.
    pub is_local: bool,
}

/// What the writer and the replication's routes share.
pub struct Acks {
    options: AckOptions,
    armed: AtomicBool,
    stalled: AtomicBool,
    degraded: watch::Sender<bool>,
    told: Sender<u64>,
}

impl Acks {
    pub(super) fn new(options: AckOptions) -> (Arc<Self>, Receiver<u64>) {
        let (told, heard) = unbounded();
        let (armed, stalled) = (AtomicBool::new(false), AtomicBool::new(false));
        (Arc::new(Self { options, armed, stalled, degraded: watch::channel(false).0, told }), heard)
    }

    /// What is waited for.
    #[must_use]
    pub fn options(&self) -> AckOptions {
        self.options
    }

    /// From now on batches wait. Until then (recovery at the start) they do not, and nobody may be served.
    pub fn arm(&self) {
        self.armed.store(self.options.ack != Ack::Local, Ordering::Release);
    }

    /// The named follower has everything up to `seq` on its disk.
    pub fn acknowledge(&self, seq: u64) {
        let _ = self.told.send(seq);
    }

    /// Whether this node goes on without the follower that it should wait for.
    #[must_use]
    pub fn degraded(&self) -> watch::Receiver<bool> {
        self.degraded.subscribe()
    }

    /// Whether an acknowledgement has been missing for longer than it is waited for: new commands are refused.
    #[must_use]
    pub fn is_stalled(&self) -> bool {
        self.stalled.load(Ordering::Acquire)
    }
}

/// The writer's side.
pub(super) struct Flights {
    acks: Arc<Acks>,
    waiting: VecDeque<Flight>,
    /// While degraded: the follower is back once it has reached this, soon after it was noted.
    goal: (u64, Instant),
}

struct Flight {
    position: Position,
    since: Instant,
    commands: u32,
    answers: Vec<Answer>,
}

impl Flights {
    pub fn new(acks: Arc<Acks>) -> Self {
        Self { acks, waiting: VecDeque::new(), goal: (0, Instant::now()) }
    }

    /// A batch that is durable here, and the answers to give once it is published. A batch that changed nothing also waits for those before it: its
    /// answers may speak of them.
    pub fn depart(&mut self, store: &mut Store, shared: &Shared, (commands, since): (u32, Instant), answers: &mut Vec<Answer>) {
        if commands > 0 || !answers.is_empty() {
            let answers = std::mem::take(answers);
            self.waiting.push_back(Flight { position: store.position(), since, commands, answers });
        }
        let waits = self.acks.armed.load(Ordering::Acquire) && !*self.acks.degraded.borrow();
        if !waits || store.in_flight() == 0 {
            self.land(store, shared, u64::MAX);
        }
    }

    /// Publishes and answers everything up to `seq`.
    fn land(&mut self, store: &mut Store, shared: &Shared, seq: u64) {
        if let Some((last, tables)) = store.due_to(seq) {
            shared.interests.0.announce(&tables, last);
            store.publish_to(seq);
            shared.position.send_replace(store.published());
            shared.interests.0.wake(&tables);
        }
        let is_local = *self.acks.degraded.borrow();
        while let Some(flight) = self.waiting.pop_front_if(|flight| flight.position.seq <= seq) {
            if flight.commands > 0 {
                shared.stats.commit.record(flight.since.elapsed());
                shared.stats.batches.fetch_add(1, Ordering::Relaxed);
                shared.stats.commands.fetch_add(u64::from(flight.commands), Ordering::Relaxed);
            }
            for answer in flight.answers {
                answer(Ok(Committed { position: flight.position, is_local }));
            }
        }
    }

    /// The follower has everything up to `seq`.
    pub fn acknowledged(&mut self, store: &mut Store, shared: &Shared, seq: u64) {
        self.land(store, shared, seq);
        let now = Instant::now();
        if *self.acks.degraded.borrow() && seq >= self.goal.0 {
            // Level, or so close behind that what flies will be acknowledged in time.
            if seq >= store.position().seq || now.duration_since(self.goal.1) <= self.acks.options.timeout / 2 {
                tracing::warn!(seq, "the follower has caught up: commands wait for it again");
                self.acks.degraded.send_replace(false);
            } else {
                self.goal = (store.position().seq, now);
            }
        }
        let late = self.waiting.front().is_some_and(|flight| now.duration_since(flight.since) >= self.acks.options.timeout);
        self.acks.stalled.store(late, Ordering::Release);
    }

    /// What has waited too long: goes on without the follower, or is told that nobody knows.
    pub fn expire(&mut self, store: &mut Store, shared: &Shared) {
        let timeout = self.acks.options.timeout;
        if self.waiting.front().is_none_or(|flight| flight.since.elapsed() < timeout) {
            return;
        }
        match self.acks.options.ack {
            Ack::Local => (),
            Ack::FollowerOrDegrade => {
                tracing::error!(?timeout, "no acknowledgement from the follower: this node goes on alone");
                self.goal = (store.position().seq, Instant::now());
                self.acks.degraded.send_replace(true);
                self.land(store, shared, u64::MAX);
            }
            Ack::Follower => {
                if !self.acks.stalled.swap(true, Ordering::AcqRel) {
                    tracing::error!(?timeout, "no acknowledgement from the follower: commands are refused until there is");
                }
                let late = self.waiting.iter_mut().take_while(|flight| flight.since.elapsed() >= timeout);
                late.for_each(|flight| refuse(&mut flight.answers, &Fault::Unacknowledged));
            }
        }
    }

    /// How long the writer may sleep.
    pub fn patience(&self) -> Duration {
        let waiting = self.waiting.iter().find(|flight| !flight.answers.is_empty());
        waiting.map_or(Duration::MAX, |flight| self.acks.options.timeout.saturating_sub(flight.since.elapsed()))
    }

    /// Whether another batch may fly.
    pub fn has_room(&self) -> bool {
        self.waiting.len() < FLIGHTS_MAX
    }

    /// The end: those who wait get a last chance, then the truth.
    pub fn finish(&mut self, store: &mut Store, shared: &Shared, heard: &Receiver<u64>) {
        let last = |shared: &Shared| shared.fenced.load(Ordering::Acquire);
        while !last(shared) && self.waiting.iter().any(|flight| !flight.answers.is_empty()) {
            match heard.recv_timeout(self.patience().min(Duration::from_millis(100))) {
                Ok(seq) => self.acknowledged(store, shared, seq),
                Err(_) => self.expire(store, shared),
            }
        }
        self.waiting.iter_mut().for_each(|flight| refuse(&mut flight.answers, &Fault::Unacknowledged));
    }
}

fn refuse(answers: &mut Vec<Answer>, fault: &Fault) {
    answers.drain(..).for_each(|answer| answer(Err(fault.clone())));
}
