//! What is told on a topic, encoded once for all who follow it; each hears it under the name that they asked for.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use axum::extract::ws::Utf8Bytes;
use axum::response::sse::Event as Sse;
use serde_json::{Value, json};

use crate::edge::stream::Placed;

/// What is sent to a client; a clone is a pointer.
#[derive(Clone, Debug)]
pub struct Frame(Arc<Told>);

/// What a frame says.
#[derive(Debug)]
pub struct Told {
    /// Where the event stands; `None` for a position, which is never repeated.
    pub place: Option<Place>,
    /// The topic's full name.
    pub topic: String,
    /// What it is: an event's type, or `position`.
    name: String,
    /// JSON text: an event as it is shown, or a whole message.
    data: String,
    /// As it is told to those who asked for the topic by its full name: all but a few.
    text: OnceLock<Utf8Bytes>,
}

impl Deref for Frame {
    type Target = Told;
    fn deref(&self) -> &Told {
        &self.0
    }
}

/// An event's place among all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its command's sequence number.
    pub seq: u64,
    /// Its number within the command.
    pub n: u32,
    /// Whether the command tells more on the same topic.
    pub more: bool,
}

impl Frame {
    /// The frame of `placed[at]` on a topic. `placed` holds whole commands.
    #[must_use]
    pub fn of_event(placed: &[Placed], at: usize, topic: &str) -> Self {
        let one = &placed[at];
        let rest = placed[at + 1..].iter().take_while(|next| next.seq == one.seq);
        let more = rest.into_iter().any(|next| next.event.topics.iter().any(|theirs| theirs == topic));
        Self::new(Some(Place { seq: one.seq, n: one.n, more }), topic, &one.event.name, event_json(one).to_string())
    }

    /// A message that is not kept.
    #[must_use]
    pub fn of_message(topic: &str, message: &Value) -> Self {
        Self::new(None, topic, message["type"].as_str().unwrap_or("message"), message.to_string())
    }

    fn new(place: Option<Place>, topic: &str, name: &str, data: String) -> Self {
        Self(Arc::new(Told { place, topic: topic.to_owned(), name: name.to_owned(), data, text: OnceLock::new() }))
    }

    /// As a WebSocket client hears it. `seq` is its command's: a client whose line breaks while there is `more` of it resumes before it
    /// (`since: seq - 1`) and knows by `n` what it has had; otherwise it resumes at `seq`, and nothing is lost or repeated.
    #[must_use]
    pub fn text(&self, asked: &str) -> Utf8Bytes {
        if asked == self.topic { self.text.get_or_init(|| self.text_for(asked)).clone() } else { self.text_for(asked) }
    }

    fn text_for(&self, asked: &str) -> Utf8Bytes {
        let Some(Place { seq, n, more }) = self.place else { return self.data.as_str().into() };
        let (topic, data) = (Value::from(asked), &self.data);
        format!(r#"{{"type":"event","seq":{seq},"n":{n},"more":{more},"topic":{topic},"event":{data}}}"#).into()
    }

    /// As a client of server-sent events hears it. An id stands only on the last event of a command: resuming there repeats and skips
    /// nothing.
    pub fn sse(&self, epoch: u64) -> Sse {
        let told = Sse::default().event(&self.name).data(&self.data);
        match self.place {
            Some(Place { seq, more: false, .. }) => told.id(format!("{epoch}.{seq}")),
            Some(_) | None => told,
        }
    }
}

/// An event as it is shown.
#[must_use]
pub fn event_json(placed: &Placed) -> Value {
    let data: Value = serde_json::from_str(&placed.event.data).unwrap_or(Value::Null);
    json!({ "type": placed.event.name, "at": placed.event.at.to_string(), "data": data })
}
