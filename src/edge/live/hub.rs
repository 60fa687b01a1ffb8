//! Who follows what. One task reads the committed events in order and hands each to the queues of its topics.

use std::collections::HashMap;
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

    fn offer(&self, frame: &Frame) -> bool {
        let taken = self.frames.try_send(frame.clone()).is_ok();
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
    /// Events up to here have been handed out.
    delivered: u64,
    next: u64,
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
            inner: Mutex::new(Inner { delivered, ..Inner::default() }),
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
            self.hand_out(&placed, up_to);
            drop((view, engine));
            if more {
                tokio::task::yield_now().await;
            } else if commits.changed().await.is_err() {
                return;
            }
        }
    }

    fn hand_out(&self, placed: &[Placed], up_to: u64) {
        let mut inner = self.lock();
        for (at, one) in placed.iter().enumerate() {
            for topic in &one.event.topics {
                if inner.topics.contains_key(topic) {
                    let frame = Frame::of_event(placed, at, topic);
                    inner.send(topic, &frame);
                }
            }
        }
        inner.delivered = up_to;
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
            return None;
        }
        Some(self.delivered)
    }

    /// A queue that is full or gone loses its place: the client sees its queue end, and resumes from the rows.
    fn send(&mut self, topic: &str, frame: &Frame) {
        if let Some(queues) = self.topics.get_mut(topic) {
            queues.retain(|(_, queue)| queue.offer(frame));
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
            queues.retain(|(id, _)| *id != self.id);
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
        self.lock().delivered >= seq.min(self.reach.seq())
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
