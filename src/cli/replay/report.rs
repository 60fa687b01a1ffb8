//! What the day was like, for people and for scripts.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Value, json};

use super::stage::Stage;
use crate::cli::client::CallError;
use crate::cli::client::words::{CurrencyBalance, TrialBalance};
use crate::mdrp::{Instance, Metrics, Solution, check, measure};

/// The result of a replay.
#[derive(Debug)]
pub struct Report {
    pub metrics: Metrics,
    /// Final states, how many orders ended in each.
    pub states: BTreeMap<String, usize>,
    /// Ids of orders that the rules allow to deliver, and that were not.
    pub missed: Vec<String>,
    /// Ids of orders that nobody could have delivered.
    pub undeliverable: Vec<String>,
    /// What the checker found, and where couriers and server tell the day differently.
    pub faults: Vec<String>,
    pub balance: TrialBalance,
    pub requests: u64,
    pub requests_per_s: f64,
    pub request_p50_us: u64,
    pub request_p99_us: u64,
    /// Until everybody was signed in, and in all; seconds of machine time.
    pub staged_s: f64,
    pub wall_s: f64,
}

impl Report {
    /// Checks, measures and asks the server for its books.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn of(
        instance: &Instance,
        stage: &Stage,
        solution: &Solution,
        faults: Vec<String>,
        staged_s: f64,
    ) -> Result<Self, CallError> {
        let mut states = BTreeMap::new();
        for order in stage.orders().await? {
            *states.entry(order.status).or_insert(0) += 1;
        }
        let balance: TrialBalance = stage.admin.get("/v1/ledger/trial-balance").await?;
        let checked = check(instance, solution);
        let violations = checked.err().unwrap_or_default();
        let is_delivered = |id: &str| solution.orders.iter().any(|delivery| delivery.order == id);
        let left = (0..instance.orders.len()).filter(|order| !is_delivered(&instance.orders[*order].id));
        let (missed, undeliverable): (Vec<usize>, Vec<usize>) = left.partition(|order| instance.deliverable(*order));
        let ids = |orders: Vec<usize>| orders.into_iter().map(|order| instance.orders[order].id.clone()).collect();
        Ok(Self {
            metrics: measure(instance, solution),
            states,
            missed: ids(missed),
            undeliverable: ids(undeliverable),
            faults: violations.iter().map(ToString::to_string).chain(faults).collect(),
            balance,
            requests: stage.wire.requests(),
            requests_per_s: stage.wire.requests_per_s(),
            request_p50_us: stage.wire.latency_us(500),
            request_p99_us: stage.wire.latency_us(990),
            staged_s,
            wall_s: stage.wire.elapsed().as_secs_f64(),
        })
    }

    /// Whether the day went as it must: everything that can be delivered was, and is settled; what cannot be ended another way; the rules
    /// were kept; the books balance.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let settled = self.states.get("SETTLED").copied().unwrap_or(0);
        let others: usize = ["CANCELLED", "REJECTED"].iter().filter_map(|state| self.states.get(*state)).sum();
        self.missed.is_empty()
            && self.faults.is_empty()
            && settled == self.metrics.delivered
            && settled + others == self.metrics.orders
            && self.balance.is_even()
    }

    /// One object, for scripts.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "ok": self.is_good(),
            "metrics": self.metrics,
            "orders": self.states,
            "missed": self.missed,
            "undeliverable": self.undeliverable,
            "faults": self.faults,
            "trial_balance": self.balance.currencies,
            "api": {
                "requests": self.requests, "requests_per_s": self.requests_per_s.round(),
                "p50_us": self.request_p50_us, "p99_us": self.request_p99_us,
            },
            "staged_s": self.staged_s,
            "wall_s": self.wall_s,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.metrics)?;
        let states: Vec<String> = self.states.iter().map(|(state, count)| format!("{count} {state}")).collect();
        writeln!(f, "orders         {}", states.join(", "))?;
        for (what, ids) in [("missed", &self.missed), ("undeliverable", &self.undeliverable)] {
            if !ids.is_empty() {
                writeln!(f, "{what:<14} {}", ids.join(" "))?;
            }
        }
        match self.faults.len() {
            0 => writeln!(f, "checker        every rule was kept")?,
            count => writeln!(f, "checker        {count} faults")?,
        }
        for fault in &self.faults {
            writeln!(f, "               {fault}")?;
        }
        for currency in &self.balance.currencies {
            let CurrencyBalance { currency, debits, credits, difference } = currency;
            writeln!(f, "trial balance  {currency}: debits {debits}, credits {credits}, difference {difference}")?;
        }
        let (p50_ms, p99_ms) = (self.request_p50_us as f64 / 1e3, self.request_p99_us as f64 / 1e3);
        writeln!(f, "API            {} requests, {:.0}/s, p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms", self.requests, self.requests_per_s)?;
        write!(f, "wall time      {:.1} s, of it {:.1} s until everybody was signed in", self.wall_s, self.staged_s)
    }
}
