//! One WebSocket client: sign in, subscribe, be told, be cut off when too slow.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use serde::Deserialize;
use serde_json::json;

use super::Topics;
use super::hub::{Frame, Hub, Queue, Subscription, event_text};
use crate::edge::gate::Gate;
use crate::edge::problem::Problem;
use crate::edge::stream::after;
use crate::engine::{Caller, Question};

/// A client signs in within this time.
const AUTH_PATIENCE: Duration = Duration::from_secs(10);
/// How often it is asked again whether the client may still follow its topics.
const RECHECK_EVERY: Duration = Duration::from_secs(15);
/// Topics a client may follow at once.
const TOPICS_MAX: usize = 64;
/// Events read at a time while catching up.
const CHUNK: usize = 256;

const UNAUTHENTICATED: u16 = 4401;
const SLOW: u16 = 4408;
const TOO_MANY: u16 = 4429;

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

struct Followed {
    /// As the client calls the topic: `courier:me` is short for a longer name.
    asked: String,
    _place: Subscription,
    question: Question,
    /// Frames up to here were read from the rows.
    from: u64,
}

struct Client {
    gate: Gate,
    hub: Arc<Hub>,
    topics: Arc<dyn Topics>,
    socket: WebSocket,
    caller: Option<Caller>,
    followed: HashMap<String, Followed>,
    queue: Queue,
}

/// Serves one client until it goes or is cut off.
pub async fn serve(socket: WebSocket, gate: Gate, hub: Arc<Hub>, topics: Arc<dyn Topics>, caller: Option<Caller>) {
    let (queue, mut frames) = Queue::new();
    let mut client = Client { gate, hub, topics, socket, caller, followed: HashMap::new(), queue };
    let mut recheck = tokio::time::interval(RECHECK_EVERY);
    let auth_deadline = tokio::time::sleep(AUTH_PATIENCE);
    tokio::pin!(auth_deadline);
    loop {
        let step = tokio::select! {
            said = client.socket.recv() => match said {
                Some(Ok(message)) => client.hear(message).await,
                Some(Err(_)) | None => return,
            },
            Some(frame) = frames.recv() => client.tell(frame).await,
            _ = recheck.tick() => client.recheck().await,
            () = &mut auth_deadline, if client.caller.is_none() => Err((UNAUTHENTICATED, "sign in first")),
        };
        // A place that the hub took away means that this client was too slow.
        let step = step.and_then(|()| if client.queue.is_overrun() { Err((SLOW, "too slow: resume with since")) } else { Ok(()) });
        if let Err((code, reason)) = step {
            let close = CloseFrame { code, reason: reason.into() };
            let _ = client.socket.send(Message::Close(Some(close))).await;
            return;
        }
    }
}

type Step = Result<(), (u16, &'static str)>;

const GONE: (u16, &str) = (1001, "gone");

impl Client {
    async fn send(&mut self, text: String) -> Step {
        self.socket.send(Message::Text(text.into())).await.map_err(|_| GONE)
    }

    async fn tell(&mut self, frame: Frame) -> Step {
        // Left meanwhile.
        let Some(place) = self.followed.get(&*frame.topic) else { return Ok(()) };
        // What was read from the rows while subscribing is not told twice.
        if frame.seq.is_some_and(|seq| seq <= place.from) {
            return Ok(());
        }
        let text = named_as_asked(&frame.text, &frame.topic, &place.asked);
        self.socket.send(Message::Text(text.as_ref().into())).await.map_err(|_| GONE)
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
            Said::Auth { token } => match self.gate.authenticate.authenticate(&token, &self.gate.engine.view()) {
                Ok(caller) => {
                    self.caller = Some(caller);
                    self.send(json!({ "type": "authenticated" }).to_string()).await
                }
                Err(_) => Err((UNAUTHENTICATED, "the token proves nothing")),
            },
            Said::Subscribe { topic, since } => match self.subscribe(&topic, since).await {
                Ok(()) => Ok(()),
                Err(Refused::Problem(problem)) => self.refuse(&problem).await,
                Err(Refused::Close(close)) => Err(close),
            },
            Said::Unsubscribe { topic } => {
                self.followed.retain(|full, place| *full != topic && place.asked != topic);
                self.send(json!({ "type": "unsubscribed", "topic": topic }).to_string()).await
            }
            Said::Other => {
                let Some(caller) = self.caller.clone() else { return Err((UNAUTHENTICATED, "sign in first")) };
                let topics = self.topics.clone();
                match topics.message(&self.gate.engine, &caller, value).await {
                    Ok(answer) => self.send(answer.to_string()).await,
                    Err(problem) => self.refuse(&problem).await,
                }
            }
        }
    }

    async fn subscribe(&mut self, asked: &str, since: Option<u64>) -> Result<(), Refused> {
        let caller = self.caller.clone().ok_or(Refused::Close((UNAUTHENTICATED, "sign in first")))?;
        if self.followed.len() >= TOPICS_MAX {
            return Err(Refused::Close((TOO_MANY, "too many topics")));
        }
        let view = self.gate.engine.view();
        let (topic, question) = self.topics.resolve(&view, &caller, asked)?;
        self.gate.engine.authorize(&view, &caller, &question).map_err(Problem::from)?;
        let since = match since {
            None => None,
            Some(seq) => Some(crate::edge::stream::start(&self.gate.engine, Some((view.position().epoch, seq)))?),
        };
        // Of two places on one topic both would be told: the older one goes first.
        self.followed.remove(&topic);
        // First the place, then the rows: nothing falls between, and what is in both is told once.
        let place = self.hub.subscribe(&topic, self.queue.clone());
        let from = place.from;
        self.send(json!({ "type": "subscribed", "topic": asked, "seq": since.unwrap_or(from) }).to_string())
            .await
            .map_err(Refused::Close)?;
        self.topics.followed(&self.gate.engine, &topic);
        let mut seq = since.unwrap_or(from);
        while seq < from {
            let placed = after(&*self.gate.engine.view(), seq, CHUNK);
            let Some(last) = placed.last().map(|last| last.seq) else { break };
            seq = last;
            for one in placed.iter().filter(|one| one.seq <= from && one.event.topics.contains(&topic)) {
                self.send(event_text(one, asked)).await.map_err(Refused::Close)?;
            }
        }
        self.followed.insert(topic, Followed { asked: asked.to_owned(), _place: place, question, from });
        Ok(())
    }

    /// Who may no longer follow a topic (the order is over for them, the role is gone) is told so and hears no more.
    async fn recheck(&mut self) -> Step {
        let Some(caller) = self.caller.clone() else { return Ok(()) };
        let view = self.gate.engine.view();
        let engine = self.gate.engine.clone();
        let mut ended = Vec::new();
        self.followed.retain(|_, place| {
            let may = engine.authorize(&view, &caller, &place.question).is_ok();
            if !may {
                ended.push(place.asked.clone());
            }
            may
        });
        for topic in ended {
            self.send(json!({ "type": "unsubscribed", "topic": topic, "code": "not_found" }).to_string()).await?;
        }
        Ok(())
    }

    async fn refuse(&mut self, problem: &Problem) -> Step {
        self.send(json!({ "type": "error", "code": problem.code, "status": problem.status, "detail": problem.detail }).to_string()).await
    }
}

/// A frame is encoded once for all; who knows its topic by another name hears that one. The topic's is the last of its members.
fn named_as_asked<'a>(text: &'a str, full: &str, asked: &str) -> Cow<'a, str> {
    let named = format!("\"topic\":\"{full}\"");
    match text.rfind(&named) {
        Some(from) if full != asked => {
            let (before, after) = (&text[..from], &text[from + named.len()..]);
            format!("{before}\"topic\":\"{asked}\"{after}").into()
        }
        _ => text.into(),
    }
}

enum Refused {
    Problem(Problem),
    Close((u16, &'static str)),
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}
