//! Who crosses which border: looked at once a second beside the writer and beside the pings, which know nothing of it.
//!
//! A sweep goes over the slots of all couriers, asks the R-tree about those who have moved since the last one, and hands the crossings to a command, many at
//! once. Without zones it does nothing. Only a leader runs it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use index::geo::Fix;
use storage::{Read, Timestamp, View};

use super::border::{Step, look};
use super::commands::{self, Crossing};
use super::model::{INSIDE, ZoneId};
use super::views::{self, Drawn};
use crate::city::couriers::{self, Availability, CourierId};
use crate::city::tracking::{Passed, Tracking};
use crate::engine::{Caller, Engine};

/// How late a crossing may be told, and how short a visit may be without being noticed.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// Crossings of one command, so that it stays short in the writer.
const CROSSINGS_MAX: usize = 64;

/// Where one courier stands.
#[derive(Clone, Debug, Default, PartialEq)]
struct Stand {
    /// As it was told; ascending.
    inside: Vec<ZoneId>,
    /// Borders that they may have crossed, and since when.
    doubts: BTreeMap<ZoneId, Timestamp>,
}

/// What the watcher remembers between sweeps.
#[derive(Default)]
pub struct Borders {
    drawn: Drawn,
    /// The count of changes that `drawn` contains.
    changes: Option<u64>,
    /// Couriers who are in a zone, or may be.
    stands: BTreeMap<CourierId, Stand>,
    /// Which fixes have been looked at.
    passed: Passed,
}

impl Borders {
    /// What was told before this process began.
    #[must_use]
    pub fn restore(read: &(impl Read + ?Sized)) -> Self {
        let stands = INSIDE.scan(read).map(|(courier, inside)| (courier, Stand { inside: inside.0, ..Stand::default() }));
        Self { stands: stands.collect(), ..Self::default() }
    }

    /// Everything is looked at anew, also who stands still.
    fn look_again(&mut self) {
        self.passed = Passed::default();
    }

    /// The borders that were crossed since the last sweep. They count as told only after [`Borders::told`].
    pub fn sweep(&mut self, view: &View, tracking: &Tracking) -> Vec<Crossing> {
        let changes = views::changes(view);
        if self.changes != Some(changes) {
            self.drawn = views::drawn(view);
            self.changes = Some(changes);
            self.look_again();
        }
        if self.drawn.zones.is_empty() && self.stands.is_empty() {
            return Vec::new();
        }
        let mut crossings = Vec::new();
        let mut passed = std::mem::take(&mut self.passed);
        tracking.moved_since(&mut passed, |courier, fix| self.step(courier, &fix, &mut crossings));
        self.passed = passed;
        self.gone(view, tracking, &mut crossings);
        crossings
    }

    fn step(&mut self, courier: CourierId, fix: &Fix, crossings: &mut Vec<Crossing>) {
        let here: Vec<ZoneId> = self.drawn.areas.containing(fix.point).into_iter().map(ZoneId::from_u128).collect();
        let Some(stand) = self.stands.get(&courier).cloned().or_else(|| (!here.is_empty()).then(Stand::default)) else { return };
        let at = Timestamp::from_millis(fix.at_ms);
        let mut doubts = BTreeMap::new();
        let mut zones: Vec<ZoneId> = here.iter().chain(&stand.inside).copied().collect();
        zones.sort_unstable();
        zones.dedup();
        for zone in zones {
            let (was, is) = (stand.inside.contains(&zone), here.contains(&zone));
            let Some(area) = self.drawn.areas.get(zone.as_u128()) else {
                // It is gone, or counts no more.
                crossings.push(Crossing { courier, zone, entered: false, at });
                continue;
            };
            let edge_m = if was == is { 0.0 } else { area.edge_m(fix.point) };
            match look(was != is, edge_m, fix.accuracy_m.map(f64::from), stand.doubts.get(&zone).copied(), at) {
                Step::Same => (),
                Step::Doubt(since) => drop(doubts.insert(zone, since)),
                Step::Crossed => crossings.push(Crossing { courier, zone, entered: is, at }),
            }
        }
        if stand.inside.is_empty() && here.is_empty() {
            self.stands.remove(&courier);
        } else {
            self.stands.insert(courier, Stand { inside: stand.inside, doubts });
        }
    }

    /// Who has stopped work is nowhere.
    fn gone(&self, view: &View, tracking: &Tracking, crossings: &mut Vec<Crossing>) {
        for (courier, stand) in &self.stands {
            // After a start nobody may have said yet where they are; that is not leaving.
            if tracking.position(*courier).is_some() {
                continue;
            }
            let presence = couriers::presence(view, *courier);
            if presence.availability == Availability::Offline {
                let at = presence.changed_at;
                crossings.extend(stand.inside.iter().map(|zone| Crossing { courier: *courier, zone: *zone, entered: false, at }));
            }
        }
    }

    /// The crossings are committed.
    pub fn told(&mut self, crossings: &[Crossing]) {
        for crossing in crossings {
            let stand = self.stands.entry(crossing.courier).or_default();
            stand.doubts.remove(&crossing.zone);
            match (stand.inside.binary_search(&crossing.zone), crossing.entered) {
                (Err(at), true) => stand.inside.insert(at, crossing.zone),
                (Ok(at), false) => drop(stand.inside.remove(at)),
                (Ok(_), true) | (Err(_), false) => (),
            }
            if stand.inside.is_empty() && stand.doubts.is_empty() {
                self.stands.remove(&crossing.courier);
            }
        }
    }
}

/// See the module. One per appliance.
pub struct ZoneWatcher {
    tracking: Arc<Tracking>,
}

impl ZoneWatcher {
    #[must_use]
    pub fn new(tracking: Arc<Tracking>) -> Self {
        Self { tracking }
    }

    /// Watches until the engine stops. Spawn it once.
    pub async fn run(self, engine: Engine) {
        let mut borders = Borders::restore(&*engine.view());
        let engine = engine.downgrade();
        let mut sweep = tokio::time::interval(SWEEP_EVERY);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            sweep.tick().await;
            let Some(engine) = engine.upgrade() else { return };
            let (view, tracking) = (engine.view(), self.tracking.clone());
            let swept = tokio::task::spawn_blocking(move || {
                let crossings = borders.sweep(&view, &tracking);
                (borders, crossings)
            });
            let Ok((after, crossings)) = swept.await else {
                tracing::error!("the zones are not watched any more: the watcher panicked");
                return;
            };
            borders = after;
            for some in crossings.chunks(CROSSINGS_MAX) {
                let batch = some.to_vec();
                match engine.write(&Caller::system("zones"), "zones.cross", move |tx| commands::cross(tx, &batch)).await {
                    Ok(_) => borders.told(some),
                    Err(error) => {
                        tracing::debug!(?error, "crossings were not told; they are looked for again");
                        borders.look_again();
                        break;
                    }
                }
            }
        }
    }
}
