//! How a city is run.

use serde::{Deserialize, Serialize};
use storage::Row;
use utoipa::ToSchema;

use super::area::ServiceArea;
use crate::city::field::{self, Invalid};
use crate::money::{Currency, pricing::Fees};

/// When a card's money is taken. The order is stored: append only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Capture {
    /// When the customer has it.
    #[default]
    Delivery,
    /// When the merchant says yes.
    Acceptance,
}

/// How customers may pay. The order is stored: append only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PaymentMethod {
    Card,
    Wallet,
    Cash,
    MobileMoney,
}

/// How a delivery is proven. The order is stored: append only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// The customer's code.
    #[default]
    Code,
    /// The customer's code, or a photo.
    CodeOrPhoto,
}

/// How a city is run. Amounts are minor units of its currency.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Fees, tax and commission, as pricing takes them.
    pub fees: Fees,
    pub capture: Capture,
    /// An order that is not paid by then is cancelled.
    pub unpaid_minutes: u32,
    /// An order that its merchant has not accepted by then is rejected.
    pub unaccepted_minutes: u32,
    /// How long a courier may think about an offer.
    pub offer_seconds: u32,
    /// In ascending order, without repeats.
    pub payment_methods: Vec<PaymentMethod>,
    pub proof: Proof,
    /// A courier who holds more cash gets no more cash orders; none: no limit.
    pub cash_limit: Option<i64>,
    /// Where deliveries go; none: within the city's radius.
    pub area: Option<ServiceArea>,
    /// Counts changes, from 1.
    pub version: u64,
}

impl Row for Settings {
    const VERSION: u8 = 1;
}

impl Settings {
    /// What a new city starts with.
    #[must_use]
    pub fn for_currency(currency: Currency) -> Self {
        Self {
            fees: Fees::for_currency(currency),
            capture: Capture::default(),
            unpaid_minutes: 15,
            unaccepted_minutes: 10,
            offer_seconds: 30,
            payment_methods: vec![PaymentMethod::Card, PaymentMethod::Cash],
            proof: Proof::default(),
            cash_limit: None,
            area: None,
            version: 1,
        }
    }

    /// The same, with methods in order, if everything is within its range.
    ///
    /// # Errors
    /// [`Invalid`], at the field of the request that it came from.
    pub fn checked(mut self) -> Result<Self, Invalid> {
        self.fees.check().map_err(|(name, range)| Invalid::new(fee_pointer(name), "out_of_range", range))?;
        field::within("/unpaid_minutes", self.unpaid_minutes, 1..=1_440)?;
        field::within("/unaccepted_minutes", self.unaccepted_minutes, 1..=1_440)?;
        field::within("/offer_seconds", self.offer_seconds, 5..=600)?;
        self.payment_methods.sort_unstable();
        self.payment_methods.dedup();
        if self.payment_methods.is_empty() {
            return Err(Invalid::required("/payment_methods"));
        }
        if let Some(cash_limit) = self.cash_limit {
            field::within("/cash_limit/amount", cash_limit, 0..=crate::money::pricing::AMOUNT_MAX)?;
        }
        Ok(self)
    }
}

/// Where a fee stands in the request: tax and commission have objects of their own there.
fn fee_pointer(name: &str) -> String {
    match name {
        "tax_ppm" => "/tax/rate_ppm".to_owned(),
        "commission_ppm" => "/commission/rate_ppm".to_owned(),
        name => format!("/fees/{name}"),
    }
}
