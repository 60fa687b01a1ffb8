//! Which module's routes the port serves.

use std::sync::Arc;

use axum::Router;
use tokio::sync::watch;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use super::{overview, topics};
use crate::city::dispatch::Dispatcher;
use crate::city::media::shelf::Shelf;
use crate::city::search::Search;
use crate::city::tracking::Tracking;
use crate::edge::docs;
use crate::edge::live::Hub;
use crate::engine::Engine;
use crate::money::payments::provider::Providers;
use crate::money::sandbox::SandboxConnector;
use crate::money::transparency::Publisher;
use crate::ops::backup::Backup;
use crate::people::People;
use crate::replication::Node;
use crate::{city, edge, money, ops, people, trade};

/// What the routes are made of.
pub(super) struct Parts {
    pub people: People,
    pub tracking: Arc<Tracking>,
    pub search: Arc<Search>,
    pub providers: Providers,
    pub connector: Option<Arc<SandboxConnector>>,
    pub dispatcher: Arc<Dispatcher>,
    pub dispatch: city::dispatch::Services,
    pub hub: Arc<Hub>,
    pub shelf: Arc<Shelf>,
    pub backup: Arc<Backup>,
    pub publisher: Arc<Publisher>,
    pub metrics_public: bool,
    pub stopping: watch::Receiver<bool>,
    pub node: Option<Arc<Node>>,
}

/// All routes, and the document that describes them.
pub(super) fn routes(engine: &Engine, parts: Parts) -> (Router, OpenApi) {
    let Parts {
        people,
        tracking,
        search,
        providers,
        connector,
        dispatcher,
        dispatch,
        hub,
        shelf,
        backup,
        publisher,
        metrics_public,
        stopping,
        node,
    } = parts;
    let mut ops = overview::ops(engine, &search, &dispatcher, &hub, &backup, &publisher, metrics_public);
    if let Some(node) = &node {
        overview::replicated(&mut ops, engine, node, &people.keyring);
    }
    let mut api = OpenApiRouter::new()
        .merge(people::http::routes(people.clone()))
        .merge(city::cities::http::routes())
        .merge(city::zones::routes())
        .merge(city::shifts::routes())
        .merge(city::catalog::routes())
        .merge(city::search::routes(search))
        .merge(city::media::routes(shelf))
        .merge(city::couriers::http::routes(tracking.clone()))
        .merge(city::tracking::http::routes(tracking.clone()))
        .merge(city::dispatch::routes(dispatch))
        .merge(trade::routes(trade::Services { tracking: tracking.clone(), keyring: people.keyring.clone() }))
        .merge(money::payments::http::routes(providers))
        .merge(money::books::http::routes())
        .merge(money::transparency::http::routes(publisher.clone()))
        .merge(ops::routes(ops.clone()));
    if let Some(connector) = connector {
        api = api.merge(money::sandbox::http::routes(connector));
    }
    let (router, document) = api.split_for_parts();
    let document = docs::finish(document);
    let topics = Arc::new(topics::CityTopics::new(tracking));
    let router = router
        .merge(docs::routes(&document))
        .merge(ops::health::routes(ops))
        .merge(money::transparency::http::public(publisher))
        .merge(edge::live::http::routes(edge::live::http::Live { hub, topics, stop: stopping }));
    (router, document)
}
