//! `/ledger/…` for anybody (C2SP `tlog-tiles`), `/v1/ledger/proofs/…` for those who keep the books.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use storage::ledger::tree::tile::push_entry;
use storage::ledger::tree::{NodeHash, Tile, TileKind, TileNodes, TileSource, consistency, entry_at, inclusion, leaf_hash};
use storage::ledger::{TRANSFERS, TransferId};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::publisher::{Head, Publisher};
use crate::edge::{Ctx, Problem, PublicCtx, Query};
use crate::engine::{Question, Resource};

/// A tile never changes, whatever its width.
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// What anybody may read.
pub fn public(publisher: Arc<Publisher>) -> Router {
    Router::new()
        .route("/ledger/checkpoint", get(checkpoint))
        .route("/ledger/key", get(key))
        .route("/ledger/tile/{*path}", get(tile))
        .with_state(publisher)
}

/// Proofs, ready made.
pub fn routes(publisher: Arc<Publisher>) -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(prove_inclusion)).routes(routes!(prove_consistency)).with_state(publisher)
}

fn head(publisher: &Publisher) -> Result<Arc<Head>, Problem> {
    publisher.head().ok_or_else(|| match publisher.halted() {
        Some(why) => Problem::new(503, "ledger_halted", format!("the ledger is not published: {why}")),
        None => Problem::new(503, "not_ready", "the ledger's hashes are being made").retry_after(1),
    })
}

// Error conversions are passed as functions.
#[allow(clippy::needless_pass_by_value)]
fn unreadable(error: std::io::Error) -> Problem {
    tracing::error!(%error, "the ledger's hashes could not be read");
    Problem::new(500, "internal", "the ledger's hashes could not be read")
}

async fn checkpoint(State(publisher): State<Arc<Publisher>>) -> Result<Response, Problem> {
    let note = head(&publisher)?.note.clone();
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-cache")], note).into_response())
}

async fn key(State(publisher): State<Arc<Publisher>>) -> Response {
    ([(CONTENT_TYPE, "text/plain; charset=utf-8"), (CACHE_CONTROL, "no-cache")], format!("{}\n", publisher.verifier())).into_response()
}

async fn tile(State(publisher): State<Arc<Publisher>>, Path(path): Path<String>, ctx: PublicCtx) -> Result<Response, Problem> {
    let tile: Tile = path.parse().map_err(|_| Problem::not_found())?;
    let size = head(&publisher)?.size;
    if !tile.is_in(size) {
        return Err(Problem::not_found());
    }
    let bytes = match tile.kind {
        TileKind::Hashes { .. } => publisher.tiles().tile(tile).map_err(unreadable)?,
        TileKind::Entries => {
            let mut bundle = Vec::new();
            for leaf in tile.first()..tile.first() + tile.width {
                // A picture from before the head, or one that lost a transfer: neither has this bundle.
                push_entry(&mut bundle, &entry_at(&*ctx.view, leaf, publisher.names()).ok_or_else(Problem::not_found)?);
            }
            bundle
        }
    };
    Ok(([(CONTENT_TYPE, "application/octet-stream"), (CACHE_CONTROL, FOR_EVER)], bytes).into_response())
}

/// Which leaf, in which tree.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct InclusionQuery {
    /// A transfer's id.
    #[param(value_type = Option<String>)]
    #[serde(default)]
    transfer: Option<TransferId>,
    /// Or its leaf's number.
    #[serde(default)]
    leaf: Option<u64>,
    /// The tree's size; the published one's if absent.
    #[serde(default)]
    size: Option<u64>,
}

/// That a transfer is in the ledger. Hashes are base 64.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct InclusionProof {
    leaf: u64,
    size: u64,
    /// The bytes that are hashed: what the leaf says of the transfer.
    entry: String,
    leaf_hash: String,
    /// From the leaf up to the root (RFC 6962, section 2.1.1).
    hashes: Vec<String>,
    root: String,
}

/// Which two trees.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ConsistencyQuery {
    /// The older tree's size.
    from: u64,
    /// The newer tree's; the published one's if absent.
    #[serde(default)]
    to: Option<u64>,
}

/// That the older ledger is the beginning of the newer. Hashes are base 64.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ConsistencyProof {
    from: u64,
    to: u64,
    from_root: String,
    to_root: String,
    /// RFC 6962, section 2.1.2.
    hashes: Vec<String>,
}

fn shown(hashes: &[NodeHash]) -> Vec<String> {
    hashes.iter().map(|hash| BASE64.encode(hash)).collect()
}

fn published(pointer: &'static str, asked: Option<u64>, head: &Head) -> Result<u64, Problem> {
    match asked {
        Some(size) if size > head.size => {
            Err(Problem::invalid(pointer, "out_of_range", format!("the published ledger has {} transfers", head.size)))
        }
        Some(size) => Ok(size),
        None => Ok(head.size),
    }
}

#[utoipa::path(get, path = "/v1/ledger/proofs/inclusion", tag = "ledger", params(InclusionQuery), responses((status = 200, body = InclusionProof)))]
async fn prove_inclusion(
    State(publisher): State<Arc<Publisher>>,
    ctx: Ctx,
    Query(query): Query<InclusionQuery>,
) -> Result<Json<InclusionProof>, Problem> {
    if query.transfer.is_some() == query.leaf.is_some() {
        return Err(Problem::invalid("/transfer", "required", "name either a transfer or a leaf"));
    }
    ctx.authorize(&Question::new("ledger.read", Resource::new("Ledger", "ledger")))?;
    let head = head(&publisher)?;
    let size = published("/size", query.size, &head)?;
    let of_transfer = query.transfer.and_then(|id| TRANSFERS.get(&*ctx.view, &id)).and_then(|transfer| transfer.leaf);
    let leaf = query.leaf.or(of_transfer).ok_or_else(Problem::not_found)?;
    if leaf >= size {
        return Err(Problem::new(404, "not_in_tree", format!("leaf {leaf} is not in a tree of {size}")));
    }
    let nodes = TileNodes::new(publisher.tiles(), size);
    let entry = entry_at(&*ctx.view, leaf, publisher.names()).ok_or_else(Problem::not_found)?;
    let hashes = inclusion(&nodes, leaf, size).map_err(unreadable)?;
    let root = storage::ledger::tree::root(&nodes, size).map_err(unreadable)?;
    Ok(Json(InclusionProof {
        leaf,
        size,
        entry: BASE64.encode(entry),
        leaf_hash: BASE64.encode(leaf_hash(&entry)),
        hashes: shown(&hashes),
        root: BASE64.encode(root),
    }))
}

#[utoipa::path(get, path = "/v1/ledger/proofs/consistency", tag = "ledger", params(ConsistencyQuery), responses((status = 200, body = ConsistencyProof)))]
async fn prove_consistency(
    State(publisher): State<Arc<Publisher>>,
    ctx: Ctx,
    Query(query): Query<ConsistencyQuery>,
) -> Result<Json<ConsistencyProof>, Problem> {
    ctx.authorize(&Question::new("ledger.read", Resource::new("Ledger", "ledger")))?;
    let head = head(&publisher)?;
    let to = published("/to", query.to, &head)?;
    if query.from > to {
        return Err(Problem::invalid("/from", "out_of_range", "the older tree is not larger than the newer"));
    }
    let nodes = TileNodes::new(publisher.tiles(), to);
    let hashes = consistency(&nodes, query.from, to).map_err(unreadable)?;
    let root = |size| storage::ledger::tree::root(&nodes, size).map(|root| BASE64.encode(root)).map_err(unreadable);
    Ok(Json(ConsistencyProof { from: query.from, to, from_root: root(query.from)?, to_root: root(to)?, hashes: shown(&hashes) }))
}
