//! From one release's layouts to the next: a snapshot first, then logged commands, so that followers and the archive have the migration too.

use std::future::Future;

use storage::upgrade::{format_of, set_format};

use crate::engine::{Caller, Engine, Fault, Tx};

/// The way from the format before to `to`.
pub struct Migration {
    pub to: u32,
    /// For the log: what changes.
    pub name: &'static str,
    /// Does a part of the work (at most a thousand keys) and says whether more is left. Runs again after a crash, from where the state stands.
    pub step: fn(&mut Tx<'_, '_>) -> Result<bool, Fault>,
}

/// All migrations, ascending; the last one's `to` is [`storage::upgrade::KNOWN`]. There are none yet: format 1 is the first.
pub static MIGRATIONS: &[Migration] = &[];

/// Brings the state to the newest format of `migrations`. If there is anything to do, `snapshot` is taken before. Returns how many migrations ran.
///
/// # Errors
/// A sentence: the snapshot or a step failed; the next start goes on.
pub async fn upgrade(engine: &Engine, migrations: &[Migration], snapshot: impl Future<Output = Result<(), String>>) -> Result<u32, String> {
    let found = format_of(&*engine.view()).format;
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
