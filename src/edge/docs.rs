//! The contract as the binary serves it: OpenAPI 3.1 generated from the code, and a page that shows it without a script from elsewhere.

use axum::http::header;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use axum::{Json, Router};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ContactBuilder, InfoBuilder, LicenseBuilder, OpenApi};

/// The head of the document.
#[must_use]
pub fn finish(mut document: OpenApi) -> OpenApi {
    document.info = InfoBuilder::new()
        .title("Medina")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("A city's marketplace in one file. Money is integer minor units, times are RFC 3339 UTC, ids are TypeIDs; a refusal is an RFC 9457 problem."))
        .contact(Some(ContactBuilder::new().name(Some("Medina")).build()))
        .license(Some(LicenseBuilder::new().name("MIT OR Apache-2.0").build()))
        .build();
    let components = document.components.get_or_insert_default();
    components.security_schemes.insert("bearer".to_owned(), SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)).into());
    document
}

/// `GET /openapi.json` and `GET /docs`.
pub fn routes(document: &OpenApi) -> Router {
    let json = Json(document.clone());
    Router::new()
        .route("/openapi.json", get(move || async move { json.clone() }))
        .route("/docs", get(|| async { Html(include_str!("../../web/docs.html")) }))
        .route(
            "/docs.js",
            get(|| async {
                ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("../../web/docs.js")).into_response()
            }),
        )
}
