//! Who follows what. One task reads the committed events in order and hands each to the queues of its topics.
//!
//! A topic that a crowd follows is told in rounds: everything that was committed since the last round goes to one place after the other, some places a
//! turn, so that each client is woken once a round and others get their turn in between. What is committed meanwhile is the next round's. On one topic
//! the order is that of the commits; between a crowd's topic and another there is none.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, mpsc};

use super::frame::Frame;
use crate::edge::stream::{Placed, Readers, after};
use crate::engine::event::EVENTS;
use crate::engine::{Background, Engine, Interest, Reach};

/// The way to one client. Once a frame found no room, the client has missed it: it must be cut off, even if it has caught up since.
#[derive(Clone)]
pub struct Queue {
    frames: mpsc::Sender<Frame>,
    overrun: Arc<Overrun>,
}

#[derive(Default)]
struct Overrun {
    missed: AtomicBool,
    bell: Notify,
}

impl Queue {
    /// A queue with its other end.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<Frame>) {
        let (frames, receiver) = mpsc::channel(FRAMES_BEHIND_MAX);
        (Self { frames, overrun: Arc::default() }, receiver)
    }

    fn offer(&self, frames: &[Frame]) -> bool {
        let taken = frames.iter().all(|frame| self.frames.try_send(frame.clone()).is_ok());
        if !taken {
            self.overrun.missed.store(true, Ordering::Release);
            self.overrun.bell.notify_one();
        }
        taken
    }

    /// Whether something was missed.
    #[must_use]
    pub fn is_overrun(&self) -> bool {
        self.overrun.missed.load(Ordering::Acquire)
    }

    /// Ends when something was missed. For one who waits.
    pub async fn overrun(&self) {
        while !self.is_overrun() {
            self.overrun.bell.notified().await;
        }
    }
}

/// A client that is so many frames behind is cut off; it resumes without loss.
pub const FRAMES_BEHIND_MAX: usize = 512;

/// Events read at a time.
const CHUNK: usize = 1_024;

/// A topic with so many places is told in rounds.
const CROWD: usize = 256;
/// Places of a crowd that are told before others get their turn.
const PLACES_A_TURN: usize = 128;

/// The subscriptions.
pub struct Hub {
    inner: Mutex<Inner>,
    engine: crate::engine::handle::WeakEngine,
    /// Who catches up reads here.
    pub readers: Arc<Readers>,
    reach: Reach,
}

#[derive(Default)]
struct Inner {
    topics: HashMap<String, Vec<(u64, Queue)>>,
    /// Events up to here have been handed out, or are in a round under way: a new place's frames begin after it.
    delivered: u64,
    /// Events up to here have been handed out to everybody.
    settled: u64,
    /// The newest place.
    next: u64,
}

/// What a crowd is told together.
struct Round {
    topic: String,
    frames: Vec<Frame>,
    /// The newest place that it is for.
    newest: u64,
}

/// A place on a topic; dropping it ends the subscription.
pub struct Subscription {
    hub: Arc<Hub>,
    topic: String,
    id: u64,
    /// Frames with a greater sequence number come through the queue; those up to it are in the rows.
    pub from: u64,
}

impl Hub {
    /// Starts following the commits; ends with the engine.
    pub fn start(engine: &Engine) -> Arc<Self> {
        let commits = engine.follow(&[EVENTS.id]);
        let delivered = engine.view().position().seq;
        let hub = Arc::new(Self {
            inner: Mutex::new(Inner { delivered, settled: delivered, ..Inner::default() }),
            engine: engine.downgrade(),
            readers: Arc::default(),
            reach: commits.reach(),
        });
        engine.background(hub.clone());
        tokio::spawn(hub.clone().follow(commits));
        hub
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn follow(self: Arc<Self>, mut commits: Interest) {
        loop {
            let Some(engine) = self.engine.upgrade() else { return };
            let view = engine.view();
            let Some(delivered) = self.lock().skip_to(view.position().seq) else {
                drop((view, engine));
                if commits.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let placed = after(&*view, delivered, CHUNK);
            let more = placed.len() >= CHUNK;
            let up_to = if more { placed.last().map_or(delivered, |last| last.seq) } else { view.position().seq };
            let rounds = self.hand_out(&placed, up_to);
            drop((view, engine));
            for round in rounds {
                let mut told = 0;
                while let Some(last) = self.turn(&round, told) {
                    told = last;
                    tokio::task::yield_now().await;
                }
            }
            self.lock().settled = up_to;
            if more {
                tokio::task::yield_now().await;
            } else if commits.changed().await.is_err() {
                return;
            }
        }
    }

    /// Tells the few at once; what is left is for crowds.
    fn hand_out(&self, placed: &[Placed], up_to: u64) -> Vec<Round> {
        let mut inner = self.lock();
        let mut rounds: BTreeMap<&str, Vec<Frame>> = BTreeMap::new();
        for (at, one) in placed.iter().enumerate() {
            for topic in &one.event.topics {
                match inner.topics.get(topic).map(Vec::len) {
                    None => (),
                    Some(CROWD..) => rounds.entry(topic).or_default().push(Frame::of_event(placed, at, topic)),
                    Some(_) => inner.send(topic, &Frame::of_event(placed, at, topic)),
                }
            }
        }
        inner.delivered = up_to;
        let newest = inner.next;
        rounds.into_iter().map(|(topic, frames)| Round { topic: topic.to_owned(), frames, newest }).collect()
    }

    /// Tells the next places of a crowd after the place `told`; the last of them, or `None` if there are no more.
    fn turn(&self, round: &Round, told: u64) -> Option<u64> {
        let mut inner = self.lock();
        let queues = inner.topics.get(&round.topic)?;
        // New places come at the end: the list is in their order.
        let next = queues.partition_point(|(id, _)| *id <= told);
        let mut last = None;
        let mut missed = false;
        for (id, queue) in queues[next..].iter().take_while(|(id, _)| *id <= round.newest).take(PLACES_A_TURN) {
            missed |= !queue.offer(&round.frames);
            last = Some(*id);
        }
        if missed {
            inner.drop_overrun(&round.topic);
        }
        last
    }

    /// Sends something that is not kept (a position) to whoever follows `topic` now.
    pub fn publish(&self, topic: &str, message: impl FnOnce() -> serde_json::Value) {
        let mut inner = self.lock();
        if inner.topics.contains_key(topic) {
            let frame = Frame::of_message(topic, &message());
            inner.send(topic, &frame);
        }
    }

    /// How many places there are.
    #[must_use]
    pub fn subscriptions(&self) -> usize {
        self.lock().topics.values().map(Vec::len).sum()
    }

    /// Whether somebody follows `topic` now.
    #[must_use]
    pub fn is_followed(&self, topic: &str) -> bool {
        self.lock().topics.contains_key(topic)
    }

    /// Takes a place on `topic`; frames come through `queue`.
    pub fn subscribe(self: &Arc<Self>, topic: &str, queue: Queue) -> Subscription {
        let mut inner = self.lock();
        inner.next += 1;
        let id = inner.next;
        inner.topics.entry(topic.to_owned()).or_default().push((id, queue));
        Subscription { hub: self.clone(), topic: topic.to_owned(), id, from: inner.delivered }
    }
}

impl Inner {
    /// While nobody has a place the events need not be read. `None` then, else up to where they have been handed out.
    fn skip_to(&mut self, seq: u64) -> Option<u64> {
        if self.topics.is_empty() {
            self.delivered = self.delivered.max(seq);
            self.settled = self.delivered;
            return None;
        }
        Some(self.delivered)
    }

    fn send(&mut self, topic: &str, frame: &Frame) {
        let Some(queues) = self.topics.get(topic) else { return };
        let missed = queues.iter().filter(|(_, queue)| !queue.offer(std::slice::from_ref(frame))).count();
        if missed > 0 {
            self.drop_overrun(topic);
        }
    }

    /// A queue that is full or gone loses its place: the client sees its queue end, and resumes from the rows.
    fn drop_overrun(&mut self, topic: &str) {
        if let Some(queues) = self.topics.get_mut(topic) {
            queues.retain(|(_, queue)| !queue.is_overrun());
            if queues.is_empty() {
                self.topics.remove(topic);
            }
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let mut inner = self.hub.lock();
        if let Some(queues) = inner.topics.get_mut(&self.topic) {
            if let Ok(at) = queues.binary_search_by_key(&self.id, |(id, _)| *id) {
                queues.remove(at);
            }
            if queues.is_empty() {
                inner.topics.remove(&self.topic);
            }
        }
    }
}

impl Background for Hub {
    fn name(&self) -> &'static str {
        "live"
    }
    fn is_idle(&self, seq: u64) -> bool {
        self.lock().settled >= seq.min(self.reach.seq())
    }
    fn next_due(&self) -> Option<storage::Timestamp> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_that_missed_a_frame_stays_overrun_after_it_caught_up() {
        let (queue, mut frames) = Queue::new();
        let mut inner = Inner::default();
        inner.topics.insert("t".to_owned(), vec![(0, queue.clone())]);
        let frame = |seq| Frame::of_message("t", &serde_json::json!({ "type": "position", "at": seq }));
        for seq in 0..FRAMES_BEHIND_MAX as u64 {
            inner.send("t", &frame(seq));
        }
        assert!(!queue.is_overrun(), "a full queue has lost nothing yet");
        inner.send("t", &frame(FRAMES_BEHIND_MAX as u64));
        while frames.try_recv().is_ok() {}
        assert!(queue.is_overrun() && inner.topics.is_empty());
    }
}
