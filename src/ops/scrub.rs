//! Looking for damage before somebody reads it: the state file is walked after each start, and once a day.
//!
//! A value that was damaged at rest is never served (its checksum fails) and waits for a person. A damaged tree could answer "not there" of something that
//! is: then the process stops, and says what to do.

use std::io;
use std::time::Duration;

use storage::scrub::{Scrub, scrub};

use crate::engine::{Caller, Engine};

const EVERY: Duration = Duration::from_secs(24 * 3600);
/// How often the thread looks whether the engine is still there.
const LOOK: Duration = Duration::from_millis(500);
/// On the operators' list while values are damaged.
pub const ATTENTION: &str = "state_damaged";
/// Exit code of a process whose state file could mislead its readers.
pub const EXIT_DAMAGED: i32 = 75;

/// Starts the thread that scrubs, now and then daily, for as long as the engine lives.
///
/// # Errors
/// The operating system grants no thread.
pub fn start(engine: &Engine) -> io::Result<()> {
    let weak = engine.downgrade();
    let runtime = tokio::runtime::Handle::current();
    let body = move || {
        // A gigabyte takes seconds to walk, and those who are to be served after a start come first.
        storage::pace::give_way();
        let mut due = Duration::ZERO;
        while let Some(engine) = weak.upgrade() {
            if due.is_zero() {
                let view = engine.view();
                let walked = scrub(&view);
                drop(view);
                // The server ends: what was not read any more is no damage.
                if walked.cut_short {
                    return;
                }
                report(&walked);
                runtime.block_on(remember(&engine, &walked));
                due = EVERY;
            }
            drop(engine);
            std::thread::sleep(LOOK);
            due = due.saturating_sub(LOOK);
        }
    };
    std::thread::Builder::new().name("medina-scrub".to_owned()).spawn(body).map(drop)
}

fn report(walked: &Scrub) {
    metrics::gauge!("medina_state_damaged_places").set(walked.damaged as f64);
    metrics::gauge!("medina_state_entries").set(walked.rows as f64);
    if walked.is_clean() {
        return tracing::info!(entries = walked.rows, "the state is undamaged");
    }
    for what in &walked.damage {
        tracing::error!(what, "the state is damaged");
    }
    if walked.misleads {
        eprintln!(
            "medina: stopped: the state file is damaged ({}) and could mislead its readers. Keep the folder; `medina verify` names every place; \
             promote the follower, or restore a snapshot into another folder.",
            walked.damage.first().map_or("", String::as_str)
        );
        std::process::exit(EXIT_DAMAGED);
    }
}

async fn remember(engine: &Engine, walked: &Scrub) {
    let reason = walked.damage.first().map(|first| format!("{} damaged values; the first: {first}", walked.damaged));
    let known = crate::engine::attention::ATTENTION.has(&*engine.view(), &(ATTENTION.to_owned(), "state".to_owned()));
    if reason.is_none() && !known {
        return;
    }
    let noted = engine.write(&Caller::system("scrub"), "ops.scrub", move |tx| -> Result<(), crate::engine::Fault> {
        match reason {
            Some(reason) => tx.attention(ATTENTION, "state", reason, &["medina verify", "medina restore"]),
            None => tx.settle_attention(ATTENTION, "state"),
        }
        Ok(())
    });
    if let Err(error) = noted.await {
        tracing::warn!(?error, "what the scrub found could not be put on the operators' list");
    }
}
