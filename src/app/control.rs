//! Command-line verbs against a running server: `DATA/control.sock`, for whoever owns the folder.
//!
//! One line of JSON in (`{"verb": "admin.create", "email": "…"}`), one line out (`{"ok": …}` or `{"error": "…"}`).

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use storage::Position;
use storage::disk::{Disk, RealDisk};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;

use super::AdminCredentials;
use super::inspection::{self, Inspection};
use crate::city::cities::CityId;
use crate::city::dispatch::explain;
use crate::city::dispatch::model::SubjectId;
use crate::city::dispatch::policy::Choice;
use crate::engine::{Caller, Engine, Fault, WriteError, pause};
use crate::ops::backup::Backup;
use crate::people::identity::hashing;
use crate::people::users::Email;
use crate::people::{People, admin};
use crate::replication::Node;

/// What can be asked.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "verb", deny_unknown_fields)]
pub enum Ask {
    #[serde(rename = "admin.create")]
    AdminCreate { email: String },
    #[serde(rename = "promote")]
    Promote { lose_tail: bool },
    /// How this node takes part in replication.
    #[serde(rename = "replication")]
    Replication {},
    /// Inspect the published state and the log.
    #[serde(rename = "verify")]
    Verify,
    /// Take a snapshot and send it there, or to where the configuration says.
    #[serde(rename = "snapshot")]
    Snapshot { to: Option<String> },
    /// Restore the newest copy to scratch, check it, remove it.
    #[serde(rename = "restore.drill")]
    RestoreDrill,
    /// Let a restored copy send.
    #[serde(rename = "outbox.release")]
    OutboxRelease,
    #[serde(rename = "dispatch.explain")]
    DispatchExplain { order: SubjectId, with: Option<Choice> },
    #[serde(rename = "dispatch.fairness")]
    DispatchFairness { city: Option<CityId>, days: u32 },
}

/// What the verbs work on.
#[derive(Clone)]
pub struct Served {
    pub engine: Engine,
    pub people: People,
    pub backup: Arc<Backup>,
    /// This node, if the city is replicated.
    pub node: Option<Arc<Node>>,
    pub data: PathBuf,
}

/// The socket of a data folder.
#[must_use]
pub fn socket(data: &Path) -> PathBuf {
    data.join("control.sock")
}

/// Makes an administrator with a one-time password.
///
/// # Errors
/// A sentence.
pub async fn create_admin(engine: &Engine, people: &People, email: &str) -> Result<AdminCredentials, String> {
    let parsed: Email = email.parse().map_err(|_| format!("{email} is not an e-mail address"))?;
    let password = admin::one_time_password().map_err(|fault| fault.to_string())?;
    let to_hash = password.clone();
    let phc = tokio::task::spawn_blocking(move || hashing::hash(&to_hash))
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())?;
    let keyring = people.keyring.clone();
    let must_change = !engine.is_sandbox();
    let made = engine
        .write(&Caller::system("command line"), "admin.create", move |tx| admin::create(tx, &keyring, &parsed, phc, must_change).map(drop));
    match made.await {
        Ok(_) => Ok(AdminCredentials { email: email.to_owned(), password }),
        Err(WriteError::Refused(refusal)) => Err(refusal.to_string()),
        Err(WriteError::Fault(fault)) => Err(fault.to_string()),
    }
}

/// Answers verbs until `stop` turns true.
///
/// # Errors
/// The socket cannot be made.
pub fn listen(served: Served, mut stop: watch::Receiver<bool>) -> io::Result<()> {
    let path = socket(&served.data);
    // The folder's lock is ours: a socket that is there is a dead server's.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => (),
    }
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = crate::edge::server::stopped(&mut stop) => break,
            };
            let Ok((stream, _)) = accepted else { continue };
            // The folder is 0700 and the socket 0600; the peer is checked all the same.
            let ours = stream.peer_cred().is_ok_and(|peer| peer.uid() == 0 || Some(peer.uid()) == own_uid());
            if ours {
                tokio::spawn(answer(stream, served.clone()));
            }
        }
        let _ = std::fs::remove_file(path);
    });
    Ok(())
}

fn own_uid() -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").ok().map(|own| own.uid())
}

/// Inspects what the running server has published, beside its work.
async fn verify(engine: &Engine, data: PathBuf) -> Result<Inspection, String> {
    let view = engine.view();
    let inspected = tokio::task::spawn_blocking(move || {
        let mut inspection = inspection::inspect(&view);
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        inspection::read_log(&disk, &data.join("state").join("log"), &view.position(), &mut inspection);
        inspection
    });
    inspected.await.map_err(|error| error.to_string())
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, String> + Send + 'static) -> Result<T, String> {
    tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?
}

async fn release_outbox(engine: &Engine) -> Result<Value, String> {
    let released = engine.write(&Caller::system("command line"), "outbox.release", |tx| Ok::<_, Fault>(pause::release(tx)));
    let paused = released.await.map_err(|error| error.to_string())?.value.ok_or("the outbox is not paused")?;
    Ok(json!({ "why": paused.why, "paused_since": paused.since.to_string() }))
}

async fn answer(stream: UnixStream, served: Served) {
    let Served { engine, people, backup, node, data } = served;
    let (read, mut write) = stream.into_split();
    let mut line = String::new();
    if BufReader::new(read).read_line(&mut line).await.is_err() {
        return;
    }
    let mut promoted = None;
    let said = match serde_json::from_str::<Ask>(&line) {
        Ok(Ask::Promote { lose_tail }) => {
            let done = promote(&engine, &people, node.as_deref(), lose_tail).await;
            promoted = done.is_ok().then_some(node).flatten();
            done
        }
        Ok(Ask::Replication {}) => Ok(replication(&engine, node.as_deref())),
        Ok(Ask::AdminCreate { email }) => create_admin(&engine, &people, &email).await.map(|made| json!(made)),
        Ok(Ask::Verify) => verify(&engine, data).await.map(|inspection| json!(inspection)),
        Ok(Ask::Snapshot { to }) => blocking(move || backup.snapshot(to.as_deref())).await.map(|taken| json!(taken)),
        Ok(Ask::RestoreDrill) => blocking(move || backup.drill()).await.map(|drilled| json!(drilled)),
        Ok(Ask::OutboxRelease) => release_outbox(&engine).await,
        Ok(Ask::DispatchExplain { order, with }) => explain::http::explain(&*engine.view(), order, with)
            .map(|told| json!(told))
            .ok_or_else(|| format!("there is no job about {order}")),
        Ok(Ask::DispatchFairness { city, days }) => {
            let until = engine.now();
            let from = until.minus_s(i64::from(days) * 86_400);
            Ok(json!({ "data": explain::http::groups(&*engine.view(), city, from, until) }))
        }
        Err(error) => Err(format!("this server does not know that verb: {error}")),
    };
    let text = match said {
        Ok(value) => json!({ "ok": value }),
        Err(why) => json!({ "error": why }),
    };
    let _ = write.write_all(format!("{text}\n").as_bytes()).await;
    // After the answer: this process ends here.
    if let Some(node) = promoted {
        node.turn("promoted");
    }
}

const ALONE: &str = "this server takes no part in replication";

async fn promote(engine: &Engine, people: &People, node: Option<&Node>, lose_tail: bool) -> Result<Value, String> {
    // A leader without its people's keys would not start.
    people.keyring.check(&*engine.view())?;
    let position = engine.view().position();
    let epoch = node.ok_or(ALONE)?.promote(position.epoch, lose_tail).await?;
    Ok(json!({ "epoch": epoch, "after": position.seq }))
}

fn replication(engine: &Engine, node: Option<&Node>) -> Value {
    let Position { epoch, seq, .. } = engine.view().position();
    let mut said = node.map_or_else(|| json!({ "role": "leader" }), |node| crate::replication::watch::section(node, engine));
    said["epoch"] = epoch.into();
    said["seq"] = seq.into();
    said
}

/// Asks the server that has the folder open; `None` if there is none.
///
/// # Errors
/// What the server said, or why it could not be heard.
pub async fn ask(data: &Path, ask: &Ask) -> Result<Option<Value>, String> {
    let Ok(stream) = UnixStream::connect(socket(data)).await else { return Ok(None) };
    let (read, mut write) = stream.into_split();
    let line = serde_json::to_string(ask).map_err(|error| error.to_string())?;
    write.write_all(format!("{line}\n").as_bytes()).await.map_err(|error| error.to_string())?;
    let mut answer = String::new();
    BufReader::new(read).read_line(&mut answer).await.map_err(|error| error.to_string())?;
    let answer: Value = serde_json::from_str(&answer).map_err(|error| format!("the server's answer is not JSON: {error}"))?;
    match (answer.get("ok"), answer.get("error").and_then(Value::as_str)) {
        (Some(ok), _) => Ok(Some(ok.clone())),
        (None, Some(why)) => Err(why.to_owned()),
        (None, None) => Err("the server's answer says nothing".to_owned()),
    }
}
