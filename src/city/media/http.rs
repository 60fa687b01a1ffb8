//! `/v1/media`

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::commands;
use super::model::{IMAGE_BYTES_MAX, MEDIA, MediaId, Refusal};
use super::shelf::Shelf;
use super::sniff::Format;
use crate::edge::command::collect;
use crate::edge::{Gate, Path, Problem, PublicCtx};
use crate::engine::{Once, StoredAnswer};

/// A picture must have come by then.
const PATIENCE: Duration = Duration::from_secs(60);

/// Pictures in and out.
pub fn routes(shelf: Arc<Shelf>) -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(create)).routes(routes!(show)).with_state(shelf)
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::TooMany { retry_after_s } => Self::new(429, "rate_limited", refusal.to_string()).retry_after(retry_after_s),
            Refusal::Denied(denied) => denied.into(),
        }
    }
}

/// A picture that was added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct MediaView {
    #[schema(value_type = String)]
    pub id: MediaId,
    /// Where it is served; relative to this server.
    pub url: String,
}

/// The bytes of a JPEG, PNG or WebP.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[allow(dead_code)] // Only its schema is used.
struct Image(Vec<u8>);

/// Adds a picture: JPEG, PNG or WebP, at most 10 MiB, as the body itself. The same bytes of the same person are the same picture.
#[utoipa::path(post, path = "/v1/media", tag = "media", request_body(content = Image, content_type = "application/octet-stream"), responses((status = 201, body = MediaView)))]
async fn create(State(shelf): State<Arc<Shelf>>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let gate = Gate::of(&parts);
    let caller = gate.known_caller(&parts)?;
    let _place = shelf.place().ok_or_else(|| Problem::new(503, "overloaded", "too many pictures are on their way in").retry_after(2))?;
    let bytes = tokio::time::timeout(PATIENCE, collect(body, IMAGE_BYTES_MAX))
        .await
        .map_err(|_| Problem::new(408, "too_slow", "the picture did not come within a minute"))??;
    let once = parts.headers.get("idempotency-key").map(|key| once(&caller.label(), key, &bytes)).transpose()?;
    let format = Format::of(&bytes).ok_or_else(|| Problem::invalid("", "unsupported_image", "a JPEG, PNG or WebP, as the body itself"))?;
    // Before the bytes are stored; the command asks again.
    gate.engine.authorize(&gate.engine.view(), &caller, &commands::question())?;
    let length = bytes.len() as u64;
    let hash = store(shelf.clone(), bytes).await?;
    let command = move |tx: &mut crate::engine::Tx<'_, '_>| -> Result<StoredAnswer, Problem> {
        let id = commands::add(tx, hash, format, length)?;
        let view = MediaView { id, url: format!("/v1/media/{id}") };
        let body = serde_json::to_vec(&view).expect("two strings encode");
        Ok(StoredAnswer { status: StatusCode::CREATED.as_u16(), headers: Vec::new(), body })
    };
    let done = match once {
        Some(once) => gate.engine.write_once(&caller, "media.create", once, command).await?,
        None => gate.engine.write(&caller, "media.create", command).await?,
    };
    let mut response = (StatusCode::CREATED, [(header::CONTENT_TYPE, "application/json")], done.value.body).into_response();
    if let Ok(seq) = HeaderValue::try_from(format!("{}.{}", done.position.epoch, done.position.seq)) {
        response.headers_mut().insert("medina-seq", seq);
    }
    if done.replayed {
        response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
    Ok(response)
}

fn once(caller: &str, key: &HeaderValue, body: &[u8]) -> Result<Once, Problem> {
    let key = key.to_str().ok().filter(|key| (1..=255).contains(&key.len()));
    let key = key.ok_or_else(|| Problem::new(400, "bad_idempotency_key", "Idempotency-Key has 1 to 255 visible ASCII characters"))?;
    Ok(Once::new(caller, "POST", "/v1/media", key, body))
}

async fn store(shelf: Arc<Shelf>, bytes: Bytes) -> Result<[u8; 32], Problem> {
    let stored = tokio::task::spawn_blocking(move || shelf.put(&bytes)).await.unwrap_or_else(|error| Err(io::Error::other(error)));
    stored.map_err(|error| {
        tracing::error!(%error, "a picture could not be stored");
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Problem::new(507, "insufficient_storage", "there is no room for pictures")
            }
            _ => Problem::new(500, "internal", "the picture could not be stored"),
        }
    })
}

/// A picture. Who knows the id may look; the bytes behind an id never change.
#[utoipa::path(get, path = "/v1/media/{id}", tag = "media", params(("id" = String, Path)), responses((status = 200, body = Image, content_type = "image/*"), (status = 304)))]
async fn show(State(shelf): State<Arc<Shelf>>, Path(id): Path<MediaId>, headers: HeaderMap, ctx: PublicCtx) -> Result<Response, Problem> {
    let media = MEDIA.get(&*ctx.view, &id).ok_or_else(Problem::not_found)?;
    let etag = format!("\"{}\"", blake3::Hash::from(media.hash).to_hex());
    let fixed: [(HeaderName, HeaderValue); 5] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media.format.media_type())),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        // Somebody else's bytes on our origin: whatever they turn out to be, they run nothing.
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox")),
        (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("cross-origin")),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
    ];
    let is_known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known.as_bytes() == etag.as_bytes());
    let tag = [(header::ETAG, etag)];
    if is_known {
        return Ok((StatusCode::NOT_MODIFIED, tag, fixed).into_response());
    }
    let taken = tokio::task::spawn_blocking(move || shelf.take(&media.hash)).await.unwrap_or_else(|error| Err(io::Error::other(error)));
    let bytes = taken.map_err(|error| {
        tracing::error!(%error, media = %id, "a picture could not be read");
        Problem::new(500, "internal", "the picture could not be read")
    })?;
    Ok((StatusCode::OK, tag, fixed, bytes).into_response())
}
