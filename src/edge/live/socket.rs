//! One WebSocket client: sign in, subscribe, be told, be cut off when too slow.

use std::collections::HashMap;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use futures_util::SinkExt;
use serde::Deserialize;
use serde_json::json;
use tokio::sync::watch;

use super::following::{Following, Listener, Refused, Rows};
use super::frame::Frame;
use super::http::Live;
use super::hub::Queue;
use crate::edge::gate::Gate;
use crate::edge::problem::Problem;
use crate::edge::server::stopped;
use crate::edge::stream::{self, RECHECK_EVERY};

/// A client signs in within this time.
const AUTH_PATIENCE: Duration = Duration::from_secs(10);
/// A client whose line takes nothing for so long is gone.
const SEND_PATIENCE: Duration = Duration::from_secs(30);
/// How long the server waits to say why it hangs up.
const CLOSE_PATIENCE: Duration = Duration::from_secs(1);
/// Frames that are told between two looks at whatever else there is.
const FRAMES_AT_ONCE: usize = 32;
/// Topics a client may follow at once.
const TOPICS_MAX: usize = 64;

type Close = (u16, &'static str);
const GONE: Close = (1001, "gone");
const STOPPING: Close = (1001, "the server stops: resume with since");
const SIGN_IN_FIRST: Close = (4401, "sign in first");
const SIGNED_OUT: Close = (4401, "the token proves nothing");
const SLOW: Close = (4408, "too slow: resume with since");
const TOO_MANY: Close = (4429, "too many topics");
const FAULT: Close = (1011, "the events could not be read: resume with since");

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Said {
    Auth {
        token: String,
    },
    Subscribe {
        topic: String,
        since: Option<u64>,
    },
    Unsubscribe {
        topic: String,
    },
    #[serde(other)]
    Other,
}

struct Client {
    gate: Gate,
    live: Live,
    socket: WebSocket,
    listener: Option<Listener>,
    /// By full name.
    followed: HashMap<String, Following>,
    queue: Queue,
}

/// Serves one client until it goes, is cut off, or the server stops.
pub async fn serve(socket: WebSocket, gate: Gate, live: Live, listener: Option<Listener>) {
    let (queue, mut frames) = Queue::new();
    let mut stop = live.stop.clone();
    let mut client = Client { gate, live, socket, listener, followed: HashMap::new(), queue };
    let mut recheck = tokio::time::interval(RECHECK_EVERY);
    let auth_deadline = tokio::time::sleep(AUTH_PATIENCE);
    let mut told = Vec::new();
    tokio::pin!(auth_deadline);
    let (code, reason) = loop {
        let step = tokio::select! {
            said = client.socket.recv() => match said {
                Some(Ok(message)) => client.hear(message).await,
                Some(Err(_)) | None => return,
            },
            1.. = frames.recv_many(&mut told, FRAMES_AT_ONCE) => client.tell_all(told.drain(..)).await,
            (topic, rows) = next_rows(&mut client.followed) => client.tell_rows(&topic, rows).await,
            _ = recheck.tick() => client.recheck().await,
            () = client.queue.overrun() => Err(SLOW),
            () = stopped(&mut stop) => Err(STOPPING),
            () = &mut auth_deadline, if client.listener.is_none() => Err(SIGN_IN_FIRST),
        };
        // What was missed must not be passed over by what came after it.
        match step {
            Ok(()) if client.queue.is_overrun() => break SLOW,
            Ok(()) => (),
            Err(close) => break close,
        }
    };
    let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
    let _ = tokio::time::timeout(CLOSE_PATIENCE, client.socket.send(close)).await;
}

/// The rows that some topic waits for; those that come later are told through the queue in the meantime.
async fn next_rows(followed: &mut HashMap<String, Following>) -> (String, Option<Rows>) {
    match followed.iter_mut().find_map(|(topic, one)| one.reading.as_mut().map(|reading| (topic, reading))) {
        Some((topic, reading)) => {
            let rows = reading.await;
            (topic.clone(), rows)
        }
        None => std::future::pending().await,
    }
}

type Step = Result<(), Close>;

/// Sends for as long as the client's line takes something and the server runs.
async fn patiently(stop: &mut watch::Receiver<bool>, sent: impl Future<Output = Result<(), axum::Error>>) -> Step {
    tokio::select! {
        biased;
        sent = sent => sent.map_err(|_| GONE),
        () = stopped(stop) => Err(STOPPING),
        () = tokio::time::sleep(SEND_PATIENCE) => Err(SLOW),
    }
}

impl Client {
    async fn send(&mut self, text: String) -> Step {
        self.feed(text.into()).await?;
        self.flush().await
    }

    /// Says something that need not go out before the next [`Client::flush`].
    async fn feed(&mut self, text: Utf8Bytes) -> Step {
        patiently(&mut self.live.stop, self.socket.feed(Message::Text(text))).await
    }

    async fn flush(&mut self) -> Step {
        patiently(&mut self.live.stop, self.socket.flush()).await
    }

    /// Many frames, few writes.
    async fn tell_all(&mut self, frames: impl Iterator<Item = Frame>) -> Step {
        for frame in frames {
            self.tell(&frame).await?;
        }
        self.flush().await
    }

    async fn tell(&mut self, frame: &Frame) -> Step {
        // Left meanwhile.
        if !self.followed.contains_key(&frame.topic) || !self.may_still(&frame.topic).await? {
            return Ok(());
        }
        let Some(following) = self.followed.get_mut(&frame.topic) else { return Ok(()) };
        if !following.is_news(frame) {
            return Ok(());
        }
        let text = frame.text(&following.asked);
        self.feed(text).await
    }

    /// Tells what was read, then reads on, or takes the place at the hub.
    async fn tell_rows(&mut self, topic: &str, rows: Option<Rows>) -> Step {
        let mut rows = rows.ok_or(FAULT)?;
        loop {
            self.tell_all(rows.frames.drain(..)).await?;
            let Some(following) = self.followed.get_mut(topic) else { return Ok(()) };
            following.passed(rows.up_to);
            following.reading = None;
            if !rows.is_end {
                following.reading = Some(following.rows(&self.live.hub, &self.gate.engine));
                return Ok(());
            }
            if following.place.is_none() {
                following.place = Some(self.live.hub.subscribe(topic, self.queue.clone()));
                self.live.topics.followed(&self.gate.engine, topic);
            }
            let from = following.place.as_ref().map_or(0, |place| place.from);
            if following.is_joined(from) {
                return Ok(());
            }
            // Little: what was committed since the rows were read. Frames of the place wait behind it.
            rows = following.rows(&self.live.hub, &self.gate.engine).await.ok_or(FAULT)?;
        }
    }

    async fn hear(&mut self, message: Message) -> Step {
        let text = match message {
            Message::Text(text) => text,
            Message::Close(_) => return Err(GONE),
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
            Message::Binary(_) => return self.refuse(&Problem::new(400, "malformed_json", "send JSON as text")).await,
        };
        let Ok(value) = serde_json::from_str::<serde_json::Value>(&text) else {
            return self.refuse(&Problem::new(400, "malformed_json", "not JSON")).await;
        };
        let Ok(said) = Said::deserialize(&value) else {
            return self.refuse(&Problem::invalid("/type", "not_allowed", "say auth, subscribe, unsubscribe or pings")).await;
        };
        match said {
            Said::Auth { token } => self.sign_in(token).await,
            Said::Subscribe { topic, since } => {
                let listener = self.listener.clone().ok_or(SIGN_IN_FIRST)?;
                match self.subscribe(&listener, &topic, since) {
                    Ok(seq) => self.send(json!({ "type": "subscribed", "topic": topic, "seq": seq }).to_string()).await,
                    Err(Unfollowed::Refused(Refused::Problem(problem))) => self.refuse(&problem).await,
                    Err(Unfollowed::Refused(Refused::SignedOut)) => Err(SIGNED_OUT),
                    Err(Unfollowed::Close(close)) => Err(close),
                }
            }
            Said::Unsubscribe { topic } => {
                self.followed.retain(|full, following| *full != topic && following.asked != topic);
                self.send(json!({ "type": "unsubscribed", "topic": topic }).to_string()).await
            }
            Said::Other => {
                let listener = self.listener.as_ref().ok_or(SIGN_IN_FIRST)?;
                let caller = listener.caller(&self.gate.engine.view()).map_err(|_| SIGNED_OUT)?;
                let topics = self.live.topics.clone();
                match topics.message(&self.gate.engine, &caller, value).await {
                    Ok(answer) => self.send(answer.to_string()).await,
                    Err(problem) => self.refuse(&problem).await,
                }
            }
        }
    }

    /// Also a newer token of somebody who is signed in: theirs ends before the line does.
    async fn sign_in(&mut self, token: String) -> Step {
        let address = self.listener.as_ref().and_then(|listener| listener.address);
        let listener = Listener { gate: self.gate.clone(), topics: self.live.topics.clone(), token, address };
        listener.caller(&self.gate.engine.view()).map_err(|_| SIGNED_OUT)?;
        self.listener = Some(listener);
        self.send(json!({ "type": "authenticated" }).to_string()).await?;
        self.recheck().await
    }

    /// After which sequence number the topic is told.
    fn subscribe(&mut self, listener: &Listener, asked: &str, since: Option<u64>) -> Result<u64, Unfollowed> {
        if self.followed.len() >= TOPICS_MAX {
            return Err(Unfollowed::Close(TOO_MANY));
        }
        let view = self.gate.engine.view();
        let topic = listener.may(&view, asked)?;
        let since = match since {
            None => None,
            Some(seq) => Some(stream::start(&self.gate.engine, Some((view.position().epoch, seq))).map_err(Refused::from)?),
        };
        // Of two places on one topic both would be told: the older one goes first.
        self.followed.remove(&topic);
        let mut following = Following::new(asked, topic.clone(), since.unwrap_or_default());
        let seq = match since {
            Some(seq) => {
                following.reading = Some(following.rows(&self.live.hub, &self.gate.engine));
                seq
            }
            None => {
                let place = self.live.hub.subscribe(&topic, self.queue.clone());
                let from = place.from;
                following.passed(from);
                following.place = Some(place);
                self.live.topics.followed(&self.gate.engine, &topic);
                from
            }
        };
        self.followed.insert(topic, following);
        Ok(seq)
    }

    /// Asks for the right to one topic again. Who has lost it is told so, and hears no more.
    async fn may_still(&mut self, topic: &str) -> Result<bool, Close> {
        let (Some(listener), Some(following)) = (&self.listener, self.followed.get_mut(topic)) else { return Ok(false) };
        let refused = following.still(listener).err();
        self.leave_if(topic, refused).await
    }

    async fn leave_if(&mut self, topic: &str, refused: Option<Refused>) -> Result<bool, Close> {
        let problem = match refused {
            None => return Ok(true),
            Some(Refused::SignedOut) => return Err(SIGNED_OUT),
            Some(Refused::Problem(problem)) => problem,
        };
        if let Some(left) = self.followed.remove(topic) {
            self.send(json!({ "type": "unsubscribed", "topic": left.asked, "code": problem.code }).to_string()).await?;
        }
        Ok(false)
    }

    /// The sign-in, and the right to every topic, whatever is told there.
    async fn recheck(&mut self) -> Step {
        let Some(listener) = self.listener.clone() else { return Ok(()) };
        let view = self.gate.engine.view();
        listener.caller(&view).map_err(|_| SIGNED_OUT)?;
        let asked = self.followed.iter_mut().filter_map(|(topic, following)| Some((topic.clone(), following.ask(&listener, &view).err()?)));
        for (topic, refused) in asked.collect::<Vec<_>>() {
            self.leave_if(&topic, Some(refused)).await?;
        }
        Ok(())
    }

    async fn refuse(&mut self, problem: &Problem) -> Step {
        self.send(json!({ "type": "error", "code": problem.code, "status": problem.status, "detail": problem.detail }).to_string()).await
    }
}

/// Why a subscription did not come about.
enum Unfollowed {
    Refused(Refused),
    Close(Close),
}

impl From<Refused> for Unfollowed {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}
