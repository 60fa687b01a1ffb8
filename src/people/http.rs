//! People's routes.

use utoipa_axum::router::OpenApiRouter;

use super::{People, erasure, identity, users};

/// Everything of API.md "Identity".
pub fn routes(people: People) -> OpenApiRouter {
    OpenApiRouter::new().merge(identity::http::routes()).merge(users::http::routes()).merge(erasure::http::routes()).with_state(people)
}
