//! Asking another node.

use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::{Certificate, Client, RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use storage::Position;

use super::Token;
use super::wire::{Acknowledgement, From, Has, Status};

/// A node that does not accept a connection by then is not there.
const CONNECT: Duration = Duration::from_secs(1);
/// Heartbeats come each half second: a stream that is silent for so long is broken, whatever TCP thinks.
const SILENCE: Duration = Duration::from_secs(3);
/// A question is answered by then, or the node counts as away.
const ANSWER: Duration = Duration::from_millis(1_500);

/// Why another node did not help.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    #[error("{0}")]
    Away(#[from] reqwest::Error),
    /// Its history has not what this node's ends with.
    #[error("the histories part")]
    Diverged,
    /// It no longer keeps the log from there on.
    #[error("the leader no longer keeps the log from there on")]
    Gone,
    #[error("it does not lead")]
    NotLeader,
    #[error("it answered {0}: {1}")]
    Refused(u16, String),
}

/// The way to the other nodes.
pub struct Peers {
    http: Client,
    token: Token,
    /// This process: what answers with the same number is this node under another name.
    process: u64,
}

impl Peers {
    /// With `ca`, a PEM file, nodes prove themselves with certificates that those in it signed, and no others; without, with the machine's.
    ///
    /// # Errors
    /// A sentence: the file cannot be used, or the client cannot be made.
    pub fn new(token: Token, process: u64, ca: Option<&Path>) -> Result<Self, String> {
        let mut http = Client::builder().no_proxy().connect_timeout(CONNECT).read_timeout(SILENCE).tcp_nodelay(true);
        if let Some(file) = ca {
            http = http.tls_certs_only(authorities(file)?);
        }
        let http = http.build().map_err(|error| format!("no HTTP client for the peers: {error}"))?;
        Ok(Self { http, token, process })
    }

    fn get(&self, node: &str, path: &str, query: &[(&str, &str)]) -> Result<RequestBuilder, PeerError> {
        let url = format!("{node}/replication/{path}");
        let url = Url::parse_with_params(&url, query).map_err(|error| PeerError::Refused(0, format!("{url} is no address: {error}")))?;
        Ok(self.http.get(url).bearer_auth(self.token.bearer()))
    }

    async fn json<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, PeerError> {
        Ok(checked(request.timeout(ANSWER).send().await?).await?.json().await?)
    }

    /// How a node is.
    ///
    /// # Errors
    /// [`PeerError`].
    pub async fn status(&self, node: &str) -> Result<Status, PeerError> {
        Self::json(self.get(node, "status", &[])?).await
    }

    /// How all of them are, those that answer and are not this node itself.
    pub async fn statuses(&self, nodes: &[String]) -> Vec<(String, Status)> {
        let asked = nodes.iter().map(|node| async move { self.status(node).await.ok().map(|status| (node.clone(), status)) });
        let answered = join_all(asked).await.into_iter().flatten();
        answered.filter(|(_, status)| status.process == 0 || status.process != self.process).collect()
    }

    /// Who leads with the highest epoch, not below `epoch`.
    pub async fn leader(&self, nodes: &[String], epoch: u64) -> Option<(String, Status)> {
        let mut known = self.statuses(nodes).await;
        // Somebody may know a leader that this node has not been told of.
        let told: Vec<String> = known.iter().filter_map(|(_, status)| status.leader.clone()).filter(|url| !nodes.contains(url)).collect();
        known.extend(self.statuses(&told).await);
        known.into_iter().filter(|(_, status)| status.leads && status.epoch >= epoch).max_by_key(|(_, status)| status.epoch)
    }

    /// Whether the leader's history has this record.
    ///
    /// # Errors
    /// [`PeerError`].
    pub async fn holds(&self, node: &str, position: Position) -> Result<Has, PeerError> {
        let (seq, hash) = (position.seq.to_string(), position.hash.to_string());
        // It may have to read a segment.
        let asked = self.get(node, "holds", &[("seq", &seq), ("hash", &hash)])?.timeout(Duration::from_secs(20));
        Ok(checked(asked.send().await?).await?.json().await?)
    }

    /// A copy of the leader's state, as a stream.
    ///
    /// # Errors
    /// [`PeerError`].
    pub async fn snapshot(&self, node: &str, asker: &str) -> Result<Response, PeerError> {
        checked(self.get(node, "snapshot", &[("node", asker)])?.send().await?).await
    }

    /// The leader's people's keys, opened.
    ///
    /// # Errors
    /// [`PeerError`].
    pub async fn keys(&self, node: &str) -> Result<Vec<u8>, PeerError> {
        let sealed = checked(self.get(node, "keys", &[])?.send().await?).await?.bytes().await?;
        super::keys::open(&self.token, &sealed).ok_or_else(|| PeerError::Refused(200, "its keys are sealed with another secret".to_owned()))
    }

    /// The log after what this node has, as a stream.
    ///
    /// # Errors
    /// [`PeerError`].
    pub async fn log(&self, node: &str, from: &From) -> Result<Response, PeerError> {
        let (after, epoch) = (from.after.to_string(), from.epoch.to_string());
        let query = [("after", after.as_str()), ("hash", &from.hash), ("epoch", &epoch), ("node", &from.node)];
        checked(self.get(node, "log", &query)?.send().await?).await
    }

    /// Tells the leader what is on this node's disk.
    ///
    /// # Errors
    /// [`PeerError`].
    pub async fn acknowledge(&self, node: &str, said: &Acknowledgement) -> Result<(), PeerError> {
        let request = self.http.post(format!("{node}/replication/ack")).bearer_auth(self.token.bearer()).json(said);
        checked(request.timeout(SILENCE).send().await?).await.map(drop)
    }
}

fn authorities(file: &Path) -> Result<Vec<Certificate>, String> {
    let failed = |why: String| format!("[replication] ca {}: {why}", file.display());
    let pem = std::fs::read(file).map_err(|error| failed(error.to_string()))?;
    let all = Certificate::from_pem_bundle(&pem).map_err(|error| failed(error.to_string()))?;
    if all.is_empty() { Err(failed("there is no certificate in it".to_owned())) } else { Ok(all) }
}

async fn checked(response: Response) -> Result<Response, PeerError> {
    match response.status() {
        status if status.is_success() => Ok(response),
        StatusCode::CONFLICT => Err(PeerError::Diverged),
        StatusCode::GONE => Err(PeerError::Gone),
        StatusCode::MISDIRECTED_REQUEST => Err(PeerError::NotLeader),
        status => Err(PeerError::Refused(status.as_u16(), response.text().await.unwrap_or_default())),
    }
}
