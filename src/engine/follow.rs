//! The writer's place on a follower: it takes the leader's records, in order, and runs no commands.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, never, select_biased};
use storage::Position;
use storage::log::Record;
use storage::store::{ApplyError, Tables};
use tokio::sync::oneshot;

use super::clock::TEST_CLOCK;
use super::core::Core;
use super::folder::Folder;
use super::writer::{FOLD_AGE, Shared};

/// Records of the leader's, and who wants to know once they are on the disk.
pub struct Feed {
    pub records: Vec<Record>,
    /// Where this node then stands; or why a record does not continue its history.
    pub applied: oneshot::Sender<Result<Position, String>>,
}

const IDLE: Duration = Duration::from_millis(500);

/// Runs until the feed's senders are gone; folds what is left.
pub(super) fn run(mut core: Core, feed: &Receiver<Feed>, shared: &Shared) {
    let mut folder = Folder::spawn();
    let mut last_fold = Instant::now();
    loop {
        let mut given = None;
        let feed = if core.store.is_full() { &never() } else { feed };
        select_biased! {
            recv(folder.done) -> done => if let Err(why) = folder.take(&mut core, shared, done) {
                return (shared.on_fatal)(&why);
            },
            recv(feed) -> next => match next {
                Ok(next) => given = Some(next),
                Err(_) => break,
            },
            default(IDLE) => (),
        }
        if let Some(Feed { records, applied }) = given {
            // Which tables a leader's record writes to is not looked up here.
            shared.interests.0.announce(&Tables::ALL, records.last().map_or(0, Record::last_seq));
            let done = records.iter().try_for_each(|record| core.store.apply(record).map(drop));
            let position = core.store.position();
            shared.position.send_replace(position);
            shared.synced.send_replace(position);
            shared.interests.0.wake(&Tables::ALL);
            match done {
                Ok(()) => drop(applied.send(Ok(position))),
                Err(ApplyError::Refused { seq, why }) => {
                    drop(applied.send(Err(format!("the record at {seq} does not continue this node's history: {why}"))));
                }
                Err(ApplyError::Fatal(fatal)) => return (shared.on_fatal)(&fatal.to_string()),
            }
            shared.stats.batches.fetch_add(records.len() as u64, Ordering::Relaxed);
            // A sandbox's clock is the leader's row.
            if !shared.watches_clock
                && let Some(setting) = TEST_CLOCK.get(core.store.head(), &())
            {
                shared.clock.set(setting);
            }
        }
        if core.store.fold_due() || (last_fold.elapsed() >= FOLD_AGE && core.store.recent_bytes() > 0) {
            if let Err(why) = folder.begin(&mut core, shared) {
                return (shared.on_fatal)(&why);
            }
            last_fold = Instant::now();
        }
    }
    folder.finish(&mut core);
}
