//! The JSON of the contract, as far as the simulated people read it. Fields that they do not read are not here.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use storage::Timestamp;

/// A point, WGS 84 degrees.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct P {
    pub lat: f64,
    pub lon: f64,
}

/// Minor units and ISO 4217.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    pub amount: i64,
    pub currency: String,
}

#[derive(Debug, Deserialize)]
pub struct List<T> {
    pub data: Vec<T>,
    pub next_cursor: Option<String>,
}

/// Anything with an id.
#[derive(Clone, Debug, Deserialize)]
pub struct Thing {
    pub id: String,
}

#[derive(Debug, Deserialize)]
pub struct OtpSent {
    pub sandbox_otp: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Session {
    pub access_token: String,
    pub refresh_token: String,
    pub user: Thing,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Named {
    pub id: String,
    pub name: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Merchant {
    pub id: String,
    pub name: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct MenuItem {
    pub id: String,
    pub name: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Courier {
    pub id: String,
    pub user_id: String,
}

/// A quote's id and what it costs.
#[derive(Clone, Debug, Deserialize)]
pub struct Quote {
    pub id: String,
    pub total: Money,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Payment {
    pub intent_id: String,
    pub status: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Order {
    pub id: String,
    pub status: String,
    pub merchant_id: String,
    pub customer_id: String,
    pub courier_id: Option<String>,
    pub payment: Option<Payment>,
    pub cash_due: Option<Money>,
    pub pickup_code: Option<String>,
    pub delivery_code: Option<String>,
    #[serde(deserialize_with = "time")]
    pub created_at: Timestamp,
}

impl Order {
    /// Whether nothing can happen to it any more.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self.status.as_str(), "SETTLED" | "REJECTED" | "CANCELLED")
    }
}

#[derive(Clone, Debug, Deserialize)]
pub struct OrderEvent {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(deserialize_with = "time")]
    pub at: Timestamp,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Intent {
    pub id: String,
    pub status: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Offer {
    pub id: String,
    pub order_ids: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Route {
    pub stops: Vec<Stop>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Stop {
    /// `pickup` or `dropoff`.
    pub kind: String,
    pub order_id: String,
    pub position: P,
}

impl Stop {
    #[must_use]
    pub fn is_pickup(&self) -> bool {
        self.kind == "pickup"
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub struct PingsTaken {
    pub accepted: u32,
    pub rejected: u32,
}

/// The test clock.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct ClockNow {
    #[serde(deserialize_with = "time")]
    pub now: Timestamp,
}

#[derive(Clone, Debug, Deserialize)]
pub struct TrialBalance {
    pub currencies: Vec<CurrencyBalance>,
}

impl TrialBalance {
    /// Whether debits equal credits in every currency.
    #[must_use]
    pub fn is_even(&self) -> bool {
        self.currencies.iter().all(|currency| currency.difference == 0)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CurrencyBalance {
    pub currency: String,
    pub debits: i128,
    pub credits: i128,
    pub difference: i128,
}

/// The parts of the operators' overview that the demo shows.
#[derive(Clone, Debug, Deserialize)]
pub struct Overview {
    #[serde(default)]
    pub commit_latency_us: Quantiles,
    #[serde(default)]
    pub dispatch_decision_us: Quantiles,
}

/// Microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Quantiles {
    pub p50: f64,
    pub p99: f64,
}

fn time<'de, D: Deserializer<'de>>(input: D) -> Result<Timestamp, D::Error> {
    String::deserialize(input)?.parse().map_err(D::Error::custom)
}
