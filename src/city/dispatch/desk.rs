//! Where couriers wait for offers: long polls are rung, nobody scans.

use std::future::Future;
use std::sync::OnceLock;

use tokio::sync::Notify;

use super::model::OfferId;
use super::offers;
use crate::city::couriers::CourierId;
use crate::engine::{Caller, Engine, Fault};

/// Bells; a courier's is found by id. Two who share one wake each other for nothing and look again.
const BELLS: usize = 256;

/// One per appliance, shared by an `Arc`.
pub struct Desk {
    bells: Vec<Notify>,
    connected: OnceLock<Connected>,
}

/// Whether a courier has a live connection.
type Connected = Box<dyn Fn(CourierId) -> bool + Send + Sync>;

impl Default for Desk {
    fn default() -> Self {
        Self { bells: (0..BELLS).map(|_| Notify::new()).collect(), connected: OnceLock::new() }
    }
}

impl Desk {
    fn bell(&self, courier: CourierId) -> &Notify {
        // The low bits of a UUIDv7 are random.
        &self.bells[(courier.as_u128() % BELLS as u128) as usize]
    }

    /// Says who has a live connection: what is offered to them then is seen at once. Set once, where the appliance is put together.
    pub fn connected_by(&self, connected: impl Fn(CourierId) -> bool + Send + Sync + 'static) {
        // A second setting could only be a second appliance's; the first stands.
        let _ = self.connected.set(Box::new(connected));
    }

    /// Whether an offer reaches this courier by itself.
    #[must_use]
    pub fn is_connected(&self, courier: CourierId) -> bool {
        self.connected.get().is_some_and(|connected| connected(courier))
    }

    /// Something for this courier is in the newest view.
    pub fn ring(&self, courier: CourierId) {
        self.bell(courier).notify_waiters();
    }

    /// Ends at the next ring after this call (not after the first poll of the future).
    pub fn rung(&self, courier: CourierId) -> impl Future<Output = ()> + '_ {
        self.bell(courier).notified()
    }
}

/// Offers have reached a device of their courier (a poll's answer, a message on a live connection): they are not taken back as unseen.
///
/// One small command an offer, the first time only: so it is known after a crash too, and on every node.
pub async fn seen(engine: &Engine, ids: Vec<OfferId>) {
    if ids.is_empty() {
        return;
    }
    let marked = engine.write(&Caller::system("dispatch"), "dispatch.seen", move |tx| {
        for id in ids {
            offers::seen(tx, id);
        }
        Ok::<(), Fault>(())
    });
    // The offer then ends as if unseen: another courier is asked, this one loses nothing but the job.
    if let Err(error) = marked.await {
        tracing::warn!(?error, "an offer could not be marked as seen");
    }
}
