//! From one release's layouts to the next: a snapshot first, then logged commands, so that followers and the archive have the migration too.

use std::future::Future;

use storage::upgrade::{format_of, set_format};

use crate::city::dispatch::model::{JOBS, JobId, JobState};
use crate::engine::{Caller, Engine, Fault, Tx};

/// The way from the format before to `to`.
pub struct Migration {
    pub to: u32,
    /// For the log: what changes.
    pub name: &'static str,
    /// Does a part of the work (at most a thousand keys) and says whether more is left. Runs again after a crash, from where the state stands.
    pub step: fn(&mut Tx<'_, '_>) -> Result<bool, Fault>,
}

/// A step takes at most this many rows.
const ROWS_MAX: usize = 1_000;

/// All migrations, ascending; the last one's `to` is [`storage::upgrade::KNOWN`].
pub static MIGRATIONS: &[Migration] = &[Migration { to: 2, name: "list the jobs that look for a courier", step: list_open_jobs }];

/// Format 2 lists open jobs by city and time.
fn list_open_jobs(tx: &mut Tx<'_, '_>) -> Result<bool, Fault> {
    let waiting = JOBS.scan(tx).filter(|(_, job)| matches!(job.state, JobState::Waiting { .. })).map(|(id, _)| id);
    let waiting: Vec<JobId> = waiting.collect();
    let mended = waiting.iter().filter(|id| JOBS.mend(tx, id)).take(ROWS_MAX).count();
    Ok(mended == ROWS_MAX)
}

/// Brings the state to the newest format of `migrations`. If there is anything to do, `snapshot` is taken before. Returns how many migrations ran.
///
/// # Errors
/// A sentence: the snapshot or a step failed; the next start goes on.
pub async fn upgrade(engine: &Engine, migrations: &[Migration], snapshot: impl Future<Output = Result<(), String>>) -> Result<u32, String> {
    let view = engine.view();
    // A new folder is born in the newest format.
    if view.position().seq == 0
        && let Some(newest) = migrations.last()
    {
        let to = newest.to;
        let born = engine.write(&Caller::system("upgrade"), "upgrade.born", move |tx| {
            set_format(tx, to, env!("CARGO_PKG_VERSION"));
            Ok::<(), Fault>(())
        });
        return born.await.map(|_| 0).map_err(|error| format!("a new folder could not be begun: {error}"));
    }
    let found = format_of(&*view).format;
    drop(view);
    let due: Vec<&Migration> = migrations.iter().filter(|migration| migration.to > found).collect();
    if due.is_empty() {
        return Ok(0);
    }
    snapshot.await.map_err(|why| format!("the snapshot before the upgrade failed, so nothing was changed: {why}"))?;
    for migration in &due {
        let (to, name, step) = (migration.to, migration.name, migration.step);
        tracing::info!(to, name, "migrating");
        loop {
            let stepped = engine.write(&Caller::system("upgrade"), "upgrade.step", move |tx| {
                let more = step(tx)?;
                if !more {
                    set_format(tx, to, env!("CARGO_PKG_VERSION"));
                }
                Ok::<bool, Fault>(more)
            });
            if !stepped.await.map_err(|error| format!("the migration `{name}` stopped: {error}"))?.value {
                break;
            }
        }
    }
    Ok(u32::try_from(due.len()).unwrap_or(u32::MAX))
}
