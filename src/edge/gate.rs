//! Who asks: the bearer token, and the picture that a read looks at.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header;
use axum::http::request::Parts;
use storage::View;
use storage::replica::epoch;

use super::problem::Problem;
use crate::engine::{Caller, Denied, Engine, Question};

/// A token that proves nothing (any more).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unauthenticated(pub &'static str);

/// Turns a bearer token into a caller. People implement it.
pub trait Authenticate: Send + Sync {
    /// Who it is; a sign-in that has ended since is seen in `view`.
    ///
    /// # Errors
    /// [`Unauthenticated`].
    fn authenticate(&self, token: &str, view: &View) -> Result<Caller, Unauthenticated>;
}

/// What every extractor needs; a layer puts it into each request.
#[derive(Clone)]
pub struct Gate {
    pub engine: Engine,
    pub authenticate: Arc<dyn Authenticate>,
}

/// How long a read waits for the sequence number that it asks for.
const BEHIND_PATIENCE: Duration = Duration::from_secs(2);

impl Gate {
    /// The gate of this request.
    pub fn of(parts: &Parts) -> Self {
        parts.extensions.get::<Self>().cloned().expect("edge::layers puts the gate into every request before any handler runs")
    }

    /// The bearer token, if there is one.
    ///
    /// # Errors
    /// 401 for an `Authorization` that holds none.
    pub fn token(parts: &Parts) -> Result<Option<&str>, Problem> {
        let Some(header) = parts.headers.get(header::AUTHORIZATION) else { return Ok(None) };
        let token = header.to_str().ok().and_then(|text| text.strip_prefix("Bearer ").or_else(|| text.strip_prefix("bearer ")));
        let token = token.ok_or_else(|| Problem::new(401, "unauthenticated", "Authorization must be: Bearer TOKEN"))?;
        Ok(Some(token.trim()))
    }

    /// The caller; `None` without a token.
    ///
    /// # Errors
    /// 401 for a token that proves nothing.
    pub fn caller(&self, parts: &Parts) -> Result<Option<Caller>, Problem> {
        let Some(token) = Self::token(parts)? else { return Ok(None) };
        let mut caller = self
            .authenticate
            .authenticate(token, &self.engine.view())
            .map_err(|why| Problem::new(401, "unauthenticated", why.to_string()))?;
        caller.address = address(parts);
        Ok(Some(caller))
    }

    /// The caller where none is needed: a token that proves nothing (an expired one that a client sends along with its refresh) counts as none.
    #[must_use]
    pub fn caller_if_any(&self, parts: &Parts) -> Caller {
        self.caller(parts).ok().flatten().unwrap_or_else(|| anonymous(parts))
    }

    /// The caller.
    ///
    /// # Errors
    /// 401 without a token, or for one that proves nothing.
    pub fn known_caller(&self, parts: &Parts) -> Result<Caller, Problem> {
        self.caller(parts)?.ok_or_else(|| Denied::Unauthenticated.into())
    }

    async fn view(&self, parts: &Parts) -> Result<Arc<View>, Problem> {
        let Some(wanted) = parts.headers.get("medina-min-seq") else { return Ok(self.engine.view()) };
        let (asked_epoch, seq) = wanted
            .to_str()
            .ok()
            .and_then(parse_seq)
            .ok_or_else(|| Problem::new(400, "bad_min_seq", "Medina-Min-Seq is epoch.seq, as a write answered it"))?;
        let now = self.engine.view();
        if asked_epoch > now.position().epoch {
            return Err(Problem::new(503, "behind", "this node has not reached that epoch").retry_after(1));
        }
        if epoch::is_lost(&*now, asked_epoch, seq) {
            return Err(super::stream::timeline_changed(now.position()));
        }
        match self.engine.view_at(seq, BEHIND_PATIENCE).await {
            // While it waited, a new leader's history may have come instead.
            Ok(view) if epoch::is_lost(&*view, asked_epoch, seq) => Err(super::stream::timeline_changed(view.position())),
            Ok(view) => Ok(view),
            Err(reached) => Err(Problem::new(503, "behind", format!("this node has reached {reached}, not {seq}")).retry_after(1)),
        }
    }
}

/// `epoch.seq`
#[must_use]
pub fn parse_seq(text: &str) -> Option<(u64, u64)> {
    let (epoch, seq) = text.split_once('.')?;
    Some((epoch.parse().ok()?, seq.parse().ok()?))
}

fn address(parts: &Parts) -> Option<IpAddr> {
    parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip())
}

/// A read by somebody who signed in.
pub struct Ctx {
    pub caller: Caller,
    pub engine: Engine,
    pub view: Arc<View>,
}

impl Ctx {
    /// Asks the policy.
    ///
    /// # Errors
    /// 401, 403 or 404, as the policy says.
    pub fn authorize(&self, question: &Question) -> Result<(), Problem> {
        Ok(self.engine.authorize(&self.view, &self.caller, question)?)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Ctx {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let gate = Gate::of(parts);
        let caller = gate.known_caller(parts)?;
        let view = gate.view(parts).await?;
        Ok(Self { caller, engine: gate.engine, view })
    }
}

/// A read by anybody.
pub struct PublicCtx {
    pub caller: Caller,
    pub engine: Engine,
    pub view: Arc<View>,
}

impl<S: Send + Sync> FromRequestParts<S> for PublicCtx {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let gate = Gate::of(parts);
        let caller = gate.caller_if_any(parts);
        let view = gate.view(parts).await?;
        Ok(Self { caller, engine: gate.engine, view })
    }
}

fn anonymous(parts: &Parts) -> Caller {
    Caller { address: address(parts), ..Caller::anonymous() }
}

impl<S: Send + Sync> FromRequestParts<S> for Gate {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts))
    }
}
