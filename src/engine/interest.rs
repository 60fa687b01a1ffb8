//! Who follows only some tables is woken only by commits that wrote to them: with one client each needless look costs more than the command.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use storage::store::Tables;
use tokio::sync::watch;

/// All interests of an engine; `None` once it has ended.
pub(super) struct Interests(RwLock<Option<Vec<Entry>>>);

struct Entry {
    tables: Tables,
    reach: Reach,
    shown: watch::Sender<()>,
}

/// Ends the interests with the writer.
pub(super) struct Ends(pub Arc<Interests>);

impl Drop for Ends {
    fn drop(&mut self) {
        *self.0.0.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// How far there is something to follow: the newest command of a batch that wrote to the tables.
#[derive(Clone, Default)]
pub struct Reach(Arc<AtomicU64>);

impl Reach {
    /// Who has handled everything up to here has nothing left to do: no later command that anybody can see wrote to the tables.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// Commits that wrote to certain tables. See [`Engine::follow`](super::Engine::follow).
pub struct Interest {
    reach: Reach,
    shown: watch::Receiver<()>,
}

impl Interest {
    /// Returns once a batch has been published that wrote to the tables, since the last call or [`Interest::mark_seen`].
    ///
    /// # Errors
    /// The engine has ended.
    pub async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
        self.shown.changed().await
    }

    /// Whoever looks at the newest picture now has seen what was published before.
    pub fn mark_seen(&mut self) {
        self.shown.borrow_and_update();
    }

    /// How far there is something to follow.
    #[must_use]
    pub fn reach(&self) -> Reach {
        self.reach.clone()
    }
}

impl Interests {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(RwLock::new(Some(Vec::new()))))
    }

    /// A new interest. `now` says where the published state stands.
    pub fn add(&self, tables: Tables, now: impl FnOnce() -> u64) -> Interest {
        let (sender, shown) = watch::channel(());
        let reach = Reach::default();
        if let Some(all) = &mut *self.0.write().unwrap_or_else(PoisonError::into_inner) {
            all.retain(|entry| !entry.shown.is_closed());
            all.push(Entry { tables, reach: reach.clone(), shown: sender });
        }
        // After it is on the list, so that no commit falls between the two.
        reach.0.fetch_max(now(), Ordering::AcqRel);
        Interest { reach, shown }
    }

    fn each(&self, tables: &Tables, tell: impl Fn(&Entry)) {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.iter().flatten().filter(|entry| entry.tables.meets(tables)).for_each(tell);
    }

    /// Before the batches up to `seq`, which wrote to `tables`, can be seen: nobody who sees them takes a follower for idle that has them still before it.
    pub fn announce(&self, tables: &Tables, seq: u64) {
        self.each(tables, |entry| {
            entry.reach.0.fetch_max(seq, Ordering::AcqRel);
        });
    }

    /// Once they can be seen.
    pub fn wake(&self, tables: &Tables) {
        self.each(tables, |entry| {
            entry.shown.send_replace(());
        });
    }
}
