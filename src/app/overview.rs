//! What each module adds to the operators' overview and to readiness.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;
use storage::View;

use crate::city::couriers::Availability;
use crate::city::couriers::model::{PRESENCES, SILENCES};
use crate::city::dispatch::Dispatcher;
use crate::city::eta;
use crate::city::search::Search;
use crate::edge::live::Hub;
use crate::engine::Engine;
use crate::money::transparency::Publisher;
use crate::ops::backup::Backup;
use crate::ops::{Figures, Ops, Readiness, Section};
use crate::people::keyring::Keyring;
use crate::replication::{Node, watch};
use crate::trade::orders::record::ORDERS;

/// The overview's sections and the readiness checks.
pub(super) fn ops(
    engine: &Engine,
    search: &Arc<Search>,
    dispatcher: &Arc<Dispatcher>,
    hub: &Arc<Hub>,
    backup: &Arc<Backup>,
    publisher: &Arc<Publisher>,
    metrics_public: bool,
) -> Ops {
    let orders: Section = Arc::new(|view: &View| {
        let mut by_state: BTreeMap<String, u64> = BTreeMap::new();
        for (_, order) in ORDERS.scan(view) {
            *by_state.entry(order.state.name().to_owned()).or_default() += 1;
        }
        json!(by_state)
    });
    let couriers: Section = Arc::new(|view: &View| {
        let mut by_status: BTreeMap<&'static str, u64> = BTreeMap::new();
        for (_, presence) in PRESENCES.scan(view) {
            *by_status
                .entry(match presence.availability {
                    Availability::Online => "online",
                    Availability::Offline => "offline",
                    Availability::Break => "break",
                })
                .or_default() += 1;
        }
        by_status.insert("silent", SILENCES.scan(view).count() as u64);
        json!(by_status)
    });
    let lag: Section = {
        let (search, engine) = (search.clone(), engine.downgrade());
        Arc::new(move |_: &View| engine.upgrade().map_or(json!(null), |engine| json!({ "search": search.lag(&engine) })))
    };
    let decisions: Section = {
        let dispatcher = dispatcher.clone();
        Arc::new(move |_: &View| {
            let took = dispatcher.decision_times();
            json!({ "count": took.count(), "p50": took.quantile_us(500), "p99": took.quantile_us(990) })
        })
    };
    let arrivals: Section = Arc::new(|view: &View| eta::views::errors(view));
    let live: Section = {
        let hub = hub.clone();
        Arc::new(move |_: &View| json!({ "subscriptions": hub.subscriptions() }))
    };
    let copies: Section = {
        let backup = backup.clone();
        Arc::new(move |_: &View| backup.overview())
    };
    let figures: Figures = {
        let backup = backup.clone();
        Arc::new(move || backup.figures())
    };
    let searchable: Readiness = {
        let search = search.clone();
        Arc::new(move || if search.is_ready() { Ok(()) } else { Err("the search index is catching up".to_owned()) })
    };
    let ledger: Section = {
        let publisher = publisher.clone();
        Arc::new(move |view: &View| {
            let published = publisher.head().map(|head| head.size);
            json!({ "transfers": storage::ledger::leaf_count(view), "published": published, "halted": publisher.halted() })
        })
    };
    Ops {
        sections: vec![
            ("orders", orders),
            ("couriers", couriers),
            ("index_lag", lag),
            ("dispatch_decision_us", decisions),
            ("eta_error_s", arrivals),
            ("live", live),
            ("backup", copies),
            ("ledger", ledger),
        ],
        readiness: vec![("search", searchable)],
        figures: vec![figures],
        metrics_public,
    }
}

/// What replication adds.
pub(super) fn replicated(ops: &mut Ops, engine: &Engine, node: &Arc<Node>, keyring: &Arc<Keyring>) {
    let section: Section = {
        let (node, engine) = (node.clone(), engine.downgrade());
        Arc::new(move |_: &View| engine.upgrade().map_or(json!(null), |engine| watch::section(&node, &engine)))
    };
    ops.sections.push(("replication", section));
    let (shown, weak) = (node.clone(), engine.downgrade());
    ops.figures.push(Arc::new(move || {
        if let Some(engine) = weak.upgrade() {
            watch::figures(&shown, &engine);
        }
    }));
    let standing = node.clone();
    ops.readiness.push(("leadership", Arc::new(move || standing.is_split().map_or(Ok(()), Err))));
    if engine.is_following() {
        let node = node.clone();
        let connected: Readiness =
            Arc::new(move || if node.lag.borrow().connected { Ok(()) } else { Err("no leader is being followed".to_owned()) });
        // The keys do not travel with the log: a copy that has grown too old is noticed here, not at the fail-over.
        let (keyring, engine) = (keyring.clone(), engine.downgrade());
        let readable: Readiness = Arc::new(move || engine.upgrade().map_or(Ok(()), |engine| keyring.check(&*engine.view())));
        ops.readiness.extend([("replication", connected), ("keys", readable)]);
    }
}
