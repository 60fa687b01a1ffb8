//! One WebSocket client: sign in, subscribe, be told, be cut off when too slow.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;

use super::Topics;
use super::hub::{FRAMES_BEHIND_MAX, Frame, Hub, Subscription, event_text};
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
    queue: mpsc::Sender<Frame>,
}

/// Serves one client until it goes or is cut off.
pub async fn serve(socket: WebSocket, gate: Gate, hub: Arc<Hub>, topics: Arc<dyn Topics>, caller: Option<Caller>) {
    let (queue, mut frames) = mpsc::channel(FRAMES_BEHIND_MAX);
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
        let step = step.and_then(|()| if client.queue_is_full() { Err((SLOW, "too slow: resume with since")) } else { Ok(()) });
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
    fn queue_is_full(&self) -> bool {
        self.queue.capacity() == 0
    }

    async fn send(&mut self, text: String) -> Step {
        self.socket.send(Message::Text(text.into())).await.map_err(|_| GONE)
    }

    async fn tell(&mut self, frame: Frame) -> Step {
        // What was read from the rows while subscribing is not told twice. A frame names its topic, so that it finds its place.
        if let Some(seq) = frame.seq {
            let stale =
                self.followed.iter().any(|(topic, place)| seq <= place.from && frame.text.contains(&format!("\"topic\":\"{topic}\"")));
            if stale {
                return Ok(());
            }
        }
        self.socket.send(Message::Text(frame.text.as_ref().into())).await.map_err(|_| GONE)
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
                self.followed.remove(&topic);
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
        // First the place, then the rows: nothing falls between, and what is in both is told once.
        let place = self.hub.subscribe(&topic, self.queue.clone());
        let from = place.from;
        self.send(json!({ "type": "subscribed", "topic": topic, "seq": since.unwrap_or(from) }).to_string())
            .await
            .map_err(Refused::Close)?;
        self.topics.followed(&self.gate.engine, &topic);
        let mut seq = since.unwrap_or(from);
        while seq < from {
            let placed = after(&*self.gate.engine.view(), seq, CHUNK);
            let Some(last) = placed.last().map(|last| last.seq) else { break };
            seq = last;
            for one in placed.iter().filter(|one| one.seq <= from && one.event.topics.contains(&topic)) {
                self.send(event_text(one, &topic)).await.map_err(Refused::Close)?;
            }
        }
        self.followed.insert(topic, Followed { _place: place, question, from });
        Ok(())
    }

    /// Who may no longer follow a topic (the order is over for them, the role is gone) is told so and hears no more.
    async fn recheck(&mut self) -> Step {
        let Some(caller) = self.caller.clone() else { return Ok(()) };
        let view = self.gate.engine.view();
        let engine = self.gate.engine.clone();
        let ended: Vec<String> = self
            .followed
            .iter()
            .filter(|(_, place)| engine.authorize(&view, &caller, &place.question).is_err())
            .map(|(topic, _)| topic.clone())
            .collect();
        for topic in ended {
            self.followed.remove(&topic);
            self.send(json!({ "type": "unsubscribed", "topic": topic, "code": "not_found" }).to_string()).await?;
        }
        Ok(())
    }

    async fn refuse(&mut self, problem: &Problem) -> Step {
        self.send(json!({ "type": "error", "code": problem.code, "status": problem.status, "detail": problem.detail }).to_string()).await
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
