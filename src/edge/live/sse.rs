//! One topic over server-sent events: a place at the hub as a WebSocket has, and the rows for what the place has missed.

use std::convert::Infallible;
use std::sync::Arc;

use axum::response::Response;
use axum::response::sse::Event as Sse;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

use super::Hub;
use super::following::{Following, Listener};
use super::frame::Frame;
use super::hub::Queue;
use crate::edge::server::stopped;
use crate::edge::stream::{RECHECK_EVERY, respond};

type Sender = mpsc::Sender<Result<Sse, Infallible>>;

/// Events that wait in front of the client's line.
const AHEAD: usize = 64;

struct Follower {
    hub: Arc<Hub>,
    listener: Listener,
    following: Following,
    sender: Sender,
}

/// The client's place at the hub.
struct Seat {
    queue: Queue,
    frames: mpsc::Receiver<Frame>,
    from: u64,
}

/// The stream ends with the sign-in, with the right to the topic, with the server, or when the client goes.
pub fn follow(hub: Arc<Hub>, listener: Listener, following: Following, mut stop: watch::Receiver<bool>) -> Response {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let gone = sender.clone();
    let mut follower = Follower { hub, listener, following, sender };
    // Before the answer begins: who has it is connected.
    let seat = follower.sit();
    tokio::spawn(async move {
        tokio::select! {
            _ = follower.run(seat) => (),
            () = gone.closed() => (),
            () = stopped(&mut stop) => (),
        }
    });
    respond(ReceiverStream::new(receiver))
}

impl Follower {
    fn sit(&mut self) -> Seat {
        let (queue, frames) = Queue::new();
        let place = self.hub.subscribe(&self.following.topic, queue.clone());
        let from = place.from;
        // An older place goes with this.
        self.following.place = Some(place);
        self.listener.topics.followed(&self.listener.gate.engine, &self.following.topic);
        Seat { queue, frames, from }
    }

    /// `None` at the end.
    async fn run(&mut self, mut seat: Seat) -> Option<()> {
        let mut recheck = tokio::time::interval(RECHECK_EVERY);
        loop {
            while !self.following.is_joined(seat.from) {
                let rows = self.following.rows(&self.hub, &self.listener.gate.engine).await?;
                for frame in &rows.frames {
                    self.tell(frame).await?;
                }
                self.following.passed(rows.up_to);
            }
            while !seat.queue.is_overrun() {
                tokio::select! {
                    Some(frame) = seat.frames.recv() => self.tell(&frame).await?,
                    () = seat.queue.overrun() => (),
                    _ = recheck.tick() => {
                        let view = self.listener.gate.engine.view();
                        self.following.ask(&self.listener, &view).ok()?;
                    }
                }
            }
            // A client that reads too slowly holds only its own stream up: the rows wait for it.
            seat = self.sit();
        }
    }

    async fn tell(&mut self, frame: &Frame) -> Option<()> {
        self.following.still(&self.listener).ok()?;
        if !self.following.is_news(frame) {
            return Some(());
        }
        let epoch = self.listener.gate.engine.view().position().epoch;
        self.sender.send(Ok(frame.sse(epoch))).await.ok()
    }
}
