//! What came of it, for people and for scripts.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::Ordering;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};

use super::{City, DemoArgs};
use crate::cli::client::CallError;
use crate::cli::client::words::{CurrencyBalance, List, Order, OrderEvent, Overview, TrialBalance};

/// Orders whose record is read at once.
const AT_ONCE: usize = 16;

/// The result of a demo that ended.
#[derive(Debug)]
pub struct Report {
    /// All orders of the city, those of earlier lives too, by state.
    pub states: BTreeMap<String, usize>,
    /// Orders in no final state.
    pub open: Vec<String>,
    /// Placement to door of the delivered ones, minutes of the city: mean and p90; none if nothing was delivered.
    pub click_to_door: Option<(f64, f64)>,
    pub overview: Overview,
    pub balance: TrialBalance,
    pub requests: u64,
    pub requests_per_s: f64,
    pub request_p50_us: u64,
    pub request_p99_us: u64,
    pub wall_s: f64,
    pub surprises: u64,
    pub examples: Vec<String>,
    pub seed: u64,
}

impl Report {
    /// Reads the server's records and books.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn of(city: &City, args: &DemoArgs) -> Result<Self, CallError> {
        let (cast, wire) = (&city.cast, &city.cast.wire);
        let (requests, requests_per_s, wall_s) = (wire.requests(), wire.requests_per_s(), wire.elapsed().as_secs_f64());
        let orders: Vec<Order> = cast.admin.list(&format!("/v1/orders?city_id={}", cast.city)).await?;
        let mut states = BTreeMap::new();
        for order in &orders {
            *states.entry(order.status.clone()).or_insert(0) += 1;
        }
        let settled = orders.iter().filter(|order| order.status == "SETTLED");
        let took = settled.map(async |order| {
            let events: List<OrderEvent> = cast.admin.get(&format!("/v1/orders/{}/events", order.id)).await?;
            let delivered = events.data.iter().find(|event| event.kind == "OrderDelivered");
            Ok::<_, CallError>(delivered.map(|event| event.at.ms_since(order.created_at)))
        });
        let took: Vec<Option<i64>> = stream::iter(took).buffered(AT_ONCE).try_collect().await?;
        Ok(Self {
            states,
            open: orders.iter().filter(|order| !order.is_final()).map(|order| format!("{} {}", order.id, order.status)).collect(),
            click_to_door: mean_and_p90(took.into_iter().flatten().collect()),
            overview: cast.admin.get("/v1/ops/overview").await?,
            balance: cast.admin.get("/v1/ledger/trial-balance").await?,
            requests,
            requests_per_s,
            request_p50_us: wire.latency_us(500),
            request_p99_us: wire.latency_us(990),
            wall_s,
            surprises: city.counts.surprises.load(Ordering::Relaxed),
            examples: city.counts.examples(),
            seed: args.seed,
        })
    }

    /// Whether every order has ended and the books balance.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.open.is_empty() && self.balance.is_even()
    }

    /// One object, for scripts.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "ok": self.is_good(),
            "seed": self.seed,
            "orders": self.states,
            "open": self.open,
            "click_to_door_minutes": { "mean": self.click_to_door.map(|(mean, _)| mean), "p90": self.click_to_door.map(|(_, p90)| p90) },
            "dispatch_decision_us": self.overview.dispatch_decision_us,
            "commit_latency_us": self.overview.commit_latency_us,
            "trial_balance": self.balance.currencies,
            "api": {
                "requests": self.requests, "requests_per_s": self.requests_per_s.round(),
                "p50_us": self.request_p50_us, "p99_us": self.request_p99_us,
            },
            "wall_s": self.wall_s,
            "surprises": self.surprises,
            "surprise_examples": self.examples,
        })
    }
}

/// Minutes.
fn mean_and_p90(mut took_ms: Vec<i64>) -> Option<(f64, f64)> {
    took_ms.sort_unstable();
    let rank = (took_ms.len() * 9).div_ceil(10).checked_sub(1)?;
    let minutes = |ms: f64| ms / 60_000.0;
    Some((minutes(took_ms.iter().sum::<i64>() as f64 / took_ms.len() as f64), minutes(took_ms[rank] as f64)))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let states: Vec<String> = self.states.iter().map(|(state, count)| format!("{count} {state}")).collect();
        writeln!(f, "orders             {}", if states.is_empty() { "none".to_owned() } else { states.join(", ") })?;
        for order in &self.open {
            writeln!(f, "  has not ended    {order}")?;
        }
        if let Some((mean, p90)) = self.click_to_door {
            writeln!(f, "click to door      mean {mean:.1} min, p90 {p90:.1} min")?;
        }
        let ms = |us: f64| us / 1e3;
        let Overview { dispatch_decision_us: decision, commit_latency_us: commit } = &self.overview;
        writeln!(f, "dispatch decision  p50 {:.2} ms, p99 {:.2} ms", ms(decision.p50), ms(decision.p99))?;
        writeln!(f, "write commit       p50 {:.2} ms, p99 {:.2} ms", ms(commit.p50), ms(commit.p99))?;
        let (p50, p99) = (ms(self.request_p50_us as f64), ms(self.request_p99_us as f64));
        writeln!(f, "API                {} requests, {:.0}/s, p50 {p50:.1} ms, p99 {p99:.1} ms", self.requests, self.requests_per_s)?;
        for CurrencyBalance { currency, debits, credits, difference } in &self.balance.currencies {
            writeln!(f, "trial balance      {currency}: debits {debits}, credits {credits}, difference {difference}")?;
        }
        if self.surprises > 0 {
            writeln!(f, "surprises          {} answers that a simulated person did not expect, such as", self.surprises)?;
            self.examples.iter().try_for_each(|example| writeln!(f, "                   {example}"))?;
        }
        write!(f, "wall time          {:.1} s", self.wall_s)
    }
}
