//! One client's way along one topic: first the rows, then what the hub hands out, each event once; and the right to it, asked again.

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use storage::{Footprint, Read, View};

use super::frame::Frame;
use super::hub::Subscription;
use super::{Hub, Topics};
use crate::edge::gate::Gate;
use crate::edge::problem::Problem;
use crate::edge::stream::after;
use crate::engine::{Caller, Engine};

/// Events read at a time.
const CHUNK: usize = 1_024;

/// Who listens. What they may hear is asked of their token, never of what was true when they came.
#[derive(Clone)]
pub struct Listener {
    pub gate: Gate,
    pub topics: Arc<dyn Topics>,
    pub token: String,
    pub address: Option<IpAddr>,
}

/// Why a topic is not for this listener (any more).
#[derive(Debug)]
pub enum Refused {
    /// The token proves nothing: signed out, or over.
    SignedOut,
    Problem(Problem),
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl Listener {
    /// Who it is now.
    ///
    /// # Errors
    /// [`Refused::SignedOut`].
    pub fn caller(&self, view: &View) -> Result<Caller, Refused> {
        let mut caller = self.gate.authenticate.authenticate(&self.token, view).map_err(|_| Refused::SignedOut)?;
        caller.address = self.address;
        Ok(caller)
    }

    /// The full name of a topic that they may follow now. The question is made anew each time: an order's courier changes.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn may(&self, view: &View, asked: &str) -> Result<String, Refused> {
        let caller = self.caller(view)?;
        let (topic, question) = self.topics.resolve(view, &caller, asked)?;
        self.gate.engine.authorize(view, &caller, &question).map_err(Problem::from)?;
        Ok(topic)
    }
}

/// What was read of a topic's rows.
pub struct Rows {
    pub frames: Vec<Frame>,
    /// Every event up to this sequence number has been looked at.
    pub up_to: u64,
    /// Whether that was all there is.
    pub is_end: bool,
}

fn read(view: &View, topic: &str, seq: u64) -> Rows {
    let placed = after(view, seq, CHUNK);
    let is_end = placed.len() < CHUNK;
    let up_to = match placed.last() {
        Some(last) if !is_end => last.seq,
        Some(_) | None => view.position().seq,
    };
    let theirs = placed.iter().enumerate().filter(|(_, one)| one.event.topics.iter().any(|named| named == topic));
    let frames = theirs.map(|(at, _)| Frame::of_event(&placed, at, topic)).collect();
    Rows { frames, up_to, is_end }
}

/// A topic that a client follows.
pub struct Following {
    /// As the client calls it: `courier:me` is short for a longer name.
    pub asked: String,
    /// Its full name.
    pub topic: String,
    /// The last event that was told or passed over, by its command and number.
    told: (u64, u32),
    /// What the right to it was drawn from when it was last asked for.
    right: Option<Footprint>,
    /// The place at the hub, once there is one.
    pub place: Option<Subscription>,
    /// The rows that are being read.
    pub reading: Option<BoxFuture<'static, Option<Rows>>>,
}

impl Following {
    /// From after `seq` on.
    #[must_use]
    pub fn new(asked: &str, topic: String, seq: u64) -> Self {
        Self { asked: asked.to_owned(), topic, told: (seq, u32::MAX), right: None, place: None, reading: None }
    }

    /// Begins to read the next rows.
    #[must_use]
    pub fn rows(&self, hub: &Arc<Hub>, engine: &Engine) -> BoxFuture<'static, Option<Rows>> {
        // In the middle of a command its rows are read again; those that were told are not news.
        let (seq, n) = self.told;
        let seq = if n == u32::MAX { seq } else { seq.saturating_sub(1) };
        let (hub, engine, topic) = (hub.clone(), engine.clone(), self.topic.clone());
        Box::pin(async move { hub.readers.read(&engine, move |view| read(view, &topic, seq)).await })
    }

    /// Whether a frame has not been told yet; then it counts as told.
    pub fn is_news(&mut self, frame: &Frame) -> bool {
        let Some(place) = frame.place else { return true };
        let is_news = (place.seq, place.n) > self.told;
        if is_news {
            self.told = (place.seq, if place.more { place.n } else { u32::MAX });
        }
        is_news
    }

    /// Everything up to `seq` has been told.
    pub fn passed(&mut self, seq: u64) {
        self.told = self.told.max((seq, u32::MAX));
    }

    /// Whether the rows up to where the place's frames begin have been told.
    #[must_use]
    pub fn is_joined(&self, from: u64) -> bool {
        self.told >= (from, u32::MAX)
    }

    /// Whether the client may hear more. Asked before anything is told; free while nothing was written to the rows that the right was drawn from (the
    /// sign-in, the user, what the topic is about).
    ///
    /// # Errors
    /// [`Refused`].
    pub fn still(&mut self, listener: &Listener) -> Result<(), Refused> {
        let view = listener.gate.engine.view();
        if self.right.as_ref().is_some_and(|right| view.stands(right.traces(), right.since)) {
            return Ok(());
        }
        self.ask(listener, &view)
    }

    /// The same, whatever was written: a token ends by time alone.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn ask(&mut self, listener: &Listener, view: &View) -> Result<(), Refused> {
        let view = view.noting();
        if listener.may(&view, &self.asked)? != self.topic {
            return Err(Problem::not_found().into());
        }
        self.right = Some(view.footprint());
        Ok(())
    }
}
