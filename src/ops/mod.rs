//! Operation: is it alive, is it ready, what does it do, what waits for a person.
//!
//! Reading order: [`health`] (probes and figures), [`overview`], [`outbox`] (what could not be sent), [`clock`] (the sandbox's time), [`scrub`] (is
//! the state undamaged).

pub mod backup;
pub mod clock;
pub mod health;
pub mod outbox;
pub mod overview;
pub mod scrub;

use std::sync::Arc;

use serde_json::Value;
use storage::View;

/// A part of the overview that another module fills in.
pub type Section = Arc<dyn Fn(&View) -> Value + Send + Sync>;
/// Whether a part has caught up; if not, why.
pub type Readiness = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Sets figures of another module.
pub type Figures = Arc<dyn Fn() + Send + Sync>;

/// What the composition root hands over.
#[derive(Clone, Default)]
pub struct Ops {
    pub sections: Vec<(&'static str, Section)>,
    pub readiness: Vec<(&'static str, Readiness)>,
    /// Figures that are measured by looking, set at each look.
    pub figures: Vec<Figures>,
    /// Whether `/metrics` answers others than loopback.
    pub metrics_public: bool,
}

/// All routes but the probes.
pub fn routes(ops: Ops) -> utoipa_axum::router::OpenApiRouter {
    overview::routes(ops).merge(outbox::routes()).merge(clock::routes())
}
