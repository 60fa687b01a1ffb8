//! The contract as the binary serves it: OpenAPI 3.1 generated from the code, and a page that shows it without a script from elsewhere.

use axum::http::header;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use axum::{Json, Router};
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{ContactBuilder, InfoBuilder, LicenseBuilder, OpenApi, Required};

/// A call whose answer is no JSON of a type of ours: path, tag, what it does, its answer's media type, its query (`!` marks what it needs).
type ByHand = (&'static str, &'static str, &'static str, &'static str, &'static [&'static str]);

const BY_HAND: [ByHand; 10] = [
    (
        "/v1/live",
        "live",
        "Follows a topic: as server-sent events, or, upgraded to a WebSocket, many topics at once.",
        "text/event-stream",
        &["topic!", "since"],
    ),
    (
        "/v1/events",
        "live",
        "The committed events, in order, from `from_seq` on; resumable by Last-Event-ID.",
        "text/event-stream",
        &["from_seq", "since", "types"],
    ),
    ("/ledger/checkpoint", "ledger", "The newest published head of the ledger's tree, signed (C2SP tlog-checkpoint).", "text/plain", &[]),
    ("/ledger/key", "ledger", "The key that checks the checkpoints (C2SP signed-note).", "text/plain", &[]),
    (
        "/ledger/tile/{path}",
        "ledger",
        "A tile of hashes (`0/x001/234.p/5`) or a bundle of entries (`entries/000`); slashes as they are (C2SP tlog-tiles).",
        "application/octet-stream",
        &[],
    ),
    ("/healthz", "operation", "Whether the process is alive.", "application/json", &[]),
    ("/readyz", "operation", "Whether it has recovered and its indexes have caught up.", "application/json", &[]),
    ("/metrics", "operation", "Figures for Prometheus.", "text/plain", &[]),
    ("/openapi.json", "operation", "This document.", "application/json", &[]),
    ("/docs", "operation", "A page that shows this document.", "text/html", &[]),
];

fn add_by_hand(document: &mut OpenApi) {
    for (path, tag, text, media, query) in BY_HAND {
        let answer = ResponseBuilder::new().description(text).content(media, ContentBuilder::new().build());
        let parameters = query.iter().map(|name| {
            let required = if name.ends_with('!') { Required::True } else { Required::False };
            ParameterBuilder::new().name(name.trim_end_matches('!')).parameter_in(ParameterIn::Query).required(required).build()
        });
        let in_path = path.split(['{', '}']).skip(1).step_by(2);
        let in_path =
            in_path.map(|name| ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True).build());
        let parameters = in_path.chain(parameters);
        let operation =
            OperationBuilder::new().tag(tag).summary(Some(text)).parameters(Some(parameters)).response("200", answer.build()).build();
        document.paths.add_path_operation(path, vec![HttpMethod::Get], operation);
    }
}

/// The head of the document, and the calls that no macro sees.
#[must_use]
pub fn finish(mut document: OpenApi) -> OpenApi {
    add_by_hand(&mut document);
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
