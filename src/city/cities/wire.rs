//! `/v1/cities/{id}/settings`: fees, tax and commission as three objects, amounts with their currency.

use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::area::{GeoJson, ServiceArea};
use super::model::{CityId, Refusal};
use super::settings::{Capture, PaymentMethod, Proof, Settings};
use super::{commands, views};
use crate::city::answer::Versioned;
use crate::edge::{Command, Ctx, Path, Problem};
use crate::engine::{Question, Resource};
use crate::money::{Currency, Money};

pub(super) fn routes() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(show, configure))
}

/// Delivery and service fees; every field has a default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FeesBody {
    /// Delivery: the start.
    base: Option<Money>,
    /// Delivery: for each kilometre, by the metre.
    per_km: Option<Money>,
    /// Delivery: never less.
    delivery_min: Option<Money>,
    /// Delivery: never more; 0 or absent: no limit.
    delivery_max: Option<Money>,
    /// Service fee, in parts per million of the subtotal.
    service_ppm: Option<u32>,
    /// Below this subtotal the small-order fee is due.
    small_order_below: Option<Money>,
    small_order_fee: Option<Money>,
    /// What the courier gets of the delivery fee, in parts per million; the tip is theirs whole.
    courier_share_ppm: Option<u32>,
}

/// Tax on everything but the tip.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TaxBody {
    /// In parts per million: 15 % is 150000.
    rate_ppm: Option<u32>,
    /// Whether prices hold it already.
    included: Option<bool>,
}

/// What the platform keeps of the merchant's net sales.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CommissionBody {
    /// In parts per million: 20 % is 200000.
    rate_ppm: Option<u32>,
}

/// How a city is run; what is left out gets its default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SettingsBody {
    fees: FeesBody,
    tax: TaxBody,
    commission: CommissionBody,
    /// When a card's money is taken: `delivery` if absent.
    capture: Option<Capture>,
    /// 1 to 1440, 15 if absent.
    unpaid_minutes: Option<u32>,
    /// 1 to 1440, 10 if absent.
    unaccepted_minutes: Option<u32>,
    /// 5 to 600, 30 if absent.
    offer_seconds: Option<u32>,
    /// `card` and `cash` if absent.
    payment_methods: Option<Vec<PaymentMethod>>,
    /// `code` if absent.
    proof: Option<Proof>,
    /// A courier who holds more cash gets no more cash orders; absent: no limit.
    cash_limit: Option<Money>,
    /// Where deliveries go; absent: within the city's radius.
    area: Option<GeoJson>,
}

impl SettingsBody {
    /// The settings of a city that counts in `currency`; their version is not set here.
    fn settings(self, currency: Currency) -> Result<Settings, Refusal> {
        let amount = |pointer: &str, money: Option<Money>, default: i64| match money {
            None => Ok(default),
            Some(money) if money.currency == currency => Ok(money.amount),
            Some(money) => Err(Refusal::Currency { pointer: format!("{pointer}/currency"), expected: currency, found: money.currency }),
        };
        let mut settings = Settings::for_currency(currency);
        let fees = &mut settings.fees;
        fees.base = amount("/fees/base", self.fees.base, fees.base)?;
        fees.per_km = amount("/fees/per_km", self.fees.per_km, fees.per_km)?;
        fees.delivery_min = amount("/fees/delivery_min", self.fees.delivery_min, fees.delivery_min)?;
        fees.delivery_max = amount("/fees/delivery_max", self.fees.delivery_max, fees.delivery_max)?;
        fees.small_order_below = amount("/fees/small_order_below", self.fees.small_order_below, fees.small_order_below)?;
        fees.small_order_fee = amount("/fees/small_order_fee", self.fees.small_order_fee, fees.small_order_fee)?;
        fees.service_ppm = self.fees.service_ppm.unwrap_or(fees.service_ppm);
        fees.courier_share_ppm = self.fees.courier_share_ppm.unwrap_or(fees.courier_share_ppm);
        fees.tax_ppm = self.tax.rate_ppm.unwrap_or(fees.tax_ppm);
        fees.tax_included = self.tax.included.unwrap_or(fees.tax_included);
        fees.commission_ppm = self.commission.rate_ppm.unwrap_or(fees.commission_ppm);
        settings.capture = self.capture.unwrap_or(settings.capture);
        settings.unpaid_minutes = self.unpaid_minutes.unwrap_or(settings.unpaid_minutes);
        settings.unaccepted_minutes = self.unaccepted_minutes.unwrap_or(settings.unaccepted_minutes);
        settings.offer_seconds = self.offer_seconds.unwrap_or(settings.offer_seconds);
        settings.payment_methods = self.payment_methods.unwrap_or(settings.payment_methods);
        settings.proof = self.proof.unwrap_or(settings.proof);
        settings.cash_limit = self.cash_limit.map(|limit| amount("/cash_limit", Some(limit), 0)).transpose()?;
        settings.area = self.area.map(|area| ServiceArea::from_geojson("/area", area)).transpose()?;
        Ok(settings)
    }

    /// The settings as they are shown; put back, they change nothing.
    fn of(settings: &Settings, currency: Currency) -> Self {
        let money = |amount| Some(Money::new(amount, currency));
        let fees = &settings.fees;
        Self {
            fees: FeesBody {
                base: money(fees.base),
                per_km: money(fees.per_km),
                delivery_min: money(fees.delivery_min),
                delivery_max: money(fees.delivery_max),
                service_ppm: Some(fees.service_ppm),
                small_order_below: money(fees.small_order_below),
                small_order_fee: money(fees.small_order_fee),
                courier_share_ppm: Some(fees.courier_share_ppm),
            },
            tax: TaxBody { rate_ppm: Some(fees.tax_ppm), included: Some(fees.tax_included) },
            commission: CommissionBody { rate_ppm: Some(fees.commission_ppm) },
            capture: Some(settings.capture),
            unpaid_minutes: Some(settings.unpaid_minutes),
            unaccepted_minutes: Some(settings.unaccepted_minutes),
            offer_seconds: Some(settings.offer_seconds),
            payment_methods: Some(settings.payment_methods.clone()),
            proof: Some(settings.proof),
            cash_limit: settings.cash_limit.and_then(money),
            area: settings.area.as_ref().map(ServiceArea::to_geojson),
        }
    }
}

/// How a city is run.
#[utoipa::path(get, path = "/v1/cities/{id}/settings", tag = "cities", params(("id" = String, Path)), responses((status = 200, body = SettingsBody)))]
async fn show(Path(id): Path<CityId>, ctx: Ctx) -> Result<Versioned<SettingsBody>, Problem> {
    let city = views::get(&*ctx.view, id).ok_or_else(Problem::not_found)?;
    ctx.authorize(&Question::new("cities.settings", Resource::new("City", id)))?;
    let settings = views::settings(&*ctx.view, id).ok_or_else(Problem::not_found)?;
    Ok(Versioned(SettingsBody::of(&settings, city.currency), settings.version))
}

/// Sets how a city is run: all of it; what is left out gets its default.
#[utoipa::path(put, path = "/v1/cities/{id}/settings", tag = "cities", params(("id" = String, Path)), request_body = SettingsBody, responses((status = 200, body = SettingsBody)))]
async fn configure(Path(id): Path<CityId>, command: Command<SettingsBody>) -> Result<Response, Problem> {
    let if_match = command.if_match();
    command
        .run_versioned("cities.settings", StatusCode::OK, move |tx, body| {
            let (city, settings) = commands::configure(tx, id, if_match, |currency| body.settings(currency))?;
            Ok((SettingsBody::of(&settings, city.currency), settings.version))
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ghs() -> Currency {
        "GHS".parse().expect("a currency")
    }

    fn read(json: &str) -> Result<Settings, Refusal> {
        let body: SettingsBody = serde_json::from_str(json).expect("well formed");
        body.settings(ghs())?.checked().map_err(Refusal::from)
    }

    #[test]
    fn everything_has_a_default() {
        assert_eq!(read("{}"), Ok(Settings::for_currency(ghs())));
        let only_tax = read(r#"{"tax": {"rate_ppm": 150000}}"#).expect("valid");
        assert_eq!((only_tax.fees.tax_ppm, only_tax.fees.tax_included, only_tax.fees.base), (150_000, true, 200));
    }

    #[test]
    fn what_is_shown_can_be_put_back() {
        let json = r#"{"fees": {"base": {"amount": 700, "currency": "GHS"}, "service_ppm": 1}, "tax": {"included": false}, "commission": {"rate_ppm": 3},
            "capture": "acceptance", "unpaid_minutes": 1, "unaccepted_minutes": 2, "offer_seconds": 7, "payment_methods": ["cash", "card", "cash"],
            "proof": "code_or_photo", "cash_limit": {"amount": 9, "currency": "GHS"},
            "area": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}}"#;
        let settings = read(json).expect("valid");
        assert_eq!(settings.payment_methods, [PaymentMethod::Card, PaymentMethod::Cash]);
        assert_ne!(settings, Settings::for_currency(ghs()));
        let shown = serde_json::to_string(&SettingsBody::of(&settings, ghs())).expect("JSON");
        assert_eq!(read(&shown), Ok(settings));
    }

    #[test]
    fn what_is_refused_and_where() {
        let cases = [
            (r#"{"unpaid_minutes": 0}"#, "/unpaid_minutes"),
            (r#"{"offer_seconds": 601}"#, "/offer_seconds"),
            (r#"{"payment_methods": []}"#, "/payment_methods"),
            (r#"{"tax": {"rate_ppm": 1000001}}"#, "/tax/rate_ppm"),
            (r#"{"fees": {"base": {"amount": -1, "currency": "GHS"}}}"#, "/fees/base"),
            (r#"{"cash_limit": {"amount": -1, "currency": "GHS"}}"#, "/cash_limit/amount"),
            (r#"{"area": {"type": "Polygon", "coordinates": []}}"#, "/area/coordinates"),
        ];
        for (json, pointer) in cases {
            match read(json) {
                Err(Refusal::Invalid(invalid)) => assert_eq!(invalid.pointer, pointer, "{json}"),
                other => panic!("{json}: {other:?}"),
            }
        }
        let dollars = read(r#"{"fees": {"base": {"amount": 1, "currency": "USD"}}}"#);
        assert!(matches!(&dollars, Err(Refusal::Currency { pointer, .. }) if pointer == "/fees/base/currency"), "{dollars:?}");
    }
}
