//! Making a quote, and asking whether one can still become an order.

use index::geo::Point;
use storage::{Direction, Read, Timestamp};

use super::model::{QUOTE_KEPT_S, QUOTE_TTL_S, QUOTES, QUOTES_BY_EXPIRY, Quote, QuoteId, Refusal};
use crate::city::catalog::{self, Merchant, MerchantId};
use crate::city::cities::{self, City, Settings};
use crate::city::tracking::Tracking;
use crate::city::travel::{Leg, Speeds, Times, trips};
use crate::city::zones;
use crate::engine::{Denied, Fault, Question, Resource, Tx};
use crate::money::Money;
use crate::money::pricing::{AMOUNT_MAX, Basket, price};
use crate::trade::address::Address;
use crate::trade::carts::commands::priced;
use crate::trade::carts::model::{CARTS, CartId, Line, Wanted, subtotal};
use crate::trade::failure::Failure;

/// What a quote is asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    pub cart: CartId,
    pub dropoff: Point,
    pub address: Option<Address>,
    pub tip: Option<Money>,
}

/// The way from a merchant's counter to a door, by the travel provider. None where the command can ask as well by itself.
/// A provider may be a server: ask on a thread that may wait.
#[must_use]
pub fn way(read: &(impl Read + ?Sized), tracking: &Tracking, merchant: MerchantId, dropoff: Point, now: Timestamp) -> Option<Leg> {
    let merchant = catalog::merchant(read, merchant)?;
    if tracking.is_plain(read, merchant.city) {
        return None;
    }
    let times = tracking.times_in(read, merchant.city, now)?;
    Some(times.leg(merchant.position.point(), dropoff, trips::usual_vehicle(read, merchant.city)))
}

/// How a door is reached from a merchant's counter, if both may be gone to. `way` is what the travel provider says; it counts if it is the way in question,
/// and else the straight line does.
///
/// # Errors
/// [`Refusal::OutOfArea`], [`Refusal::NoGo`].
pub fn reach(tx: &Tx<'_, '_>, place: &Place, dropoff: Point, way: Option<Leg>) -> Result<Leg, Refusal> {
    let Place { merchant, city, settings } = place;
    let counter = merchant.position.point();
    zones::no_go(tx, merchant.city, counter)?;
    zones::serves(tx, merchant.city, city, settings, dropoff)?;
    let way = way.filter(|way| way.from == counter && way.to == dropoff);
    let speeds = || trips::speeds(tx, merchant.city, tx.now()).unwrap_or_else(|| Speeds::of(city.speed_mps));
    Ok(way.unwrap_or_else(|| speeds().leg(counter, dropoff, trips::usual_vehicle(tx, merchant.city))))
}

/// Prices a cart at a door, along a straight line.
///
/// # Errors
/// As [`create_along`].
pub fn create(tx: &mut Tx<'_, '_>, asked: Asked) -> Result<(QuoteId, Quote), Failure> {
    create_along(tx, asked, None)
}

/// Prices a cart at a door. `way` as for [`reach`].
///
/// # Errors
/// [`Failure::Denied`] for a cart that is not the caller's; [`Failure::Quote`] and [`Failure::Cart`] for what cannot be had.
pub fn create_along(tx: &mut Tx<'_, '_>, asked: Asked, way: Option<Leg>) -> Result<(QuoteId, Quote), Failure> {
    let cart = CARTS.get(tx, &asked.cart).ok_or(Denied::NotFound)?;
    tx.authorize(&Question::new("quotes.create", Resource::new("Quote", asked.cart).with("customer", cart.customer.to_string())))?;
    if cart.lines.is_empty() {
        return Err(Refusal::EmptyCart.into());
    }
    let place = place(tx, cart.merchant)?;
    if !catalog::is_open(&place.merchant, &place.city, tx.now()) {
        return Err(Refusal::MerchantClosed.into());
    }
    let way = reach(tx, &place, asked.dropoff, way)?;
    let Place { merchant, city, settings } = place;
    let lines = priced(tx, cart.merchant, &wanted(&cart.lines))?;
    let basket = Basket { items_subtotal: subtotal(&lines), distance_m: way.metres, tip: tip(asked.tip, &city)?, ..Basket::default() };
    let amounts = price(&settings.fees, city.currency, &basket).map_err(|_| Refusal::TooExpensive)?;
    let address = asked.address.map(|address| address.seal(tx, cart.customer));
    let quote = Quote {
        customer: cart.customer,
        cart: asked.cart,
        city: merchant.city,
        merchant: cart.merchant,
        lines,
        amounts,
        fees: settings.fees,
        dropoff: asked.dropoff.into(),
        address,
        distance_m: way.metres,
        prep_s: merchant.prep_minutes * 60,
        travel_s: way.seconds,
        expires_at: tx.now().plus_s(QUOTE_TTL_S),
        used_by: None,
    };
    let id = tx.new_id();
    QUOTES.put(tx, &id, &quote);
    sweep(tx);
    Ok((id, quote))
}

/// Each new quote takes up to two stale ones away.
fn sweep(tx: &mut Tx<'_, '_>) {
    let kept_from = tx.now().minus_s(QUOTE_KEPT_S);
    let oldest = QUOTES.page(tx, &QUOTES_BY_EXPIRY, &(), None, Direction::Forward).take(2);
    let stale: Vec<QuoteId> = oldest.filter(|(_, _, quote)| quote.expires_at < kept_from).map(|(_, id, _)| id).collect();
    for id in &stale {
        QUOTES.delete(tx, id);
    }
}

/// A merchant, its city and the city's rules.
pub struct Place {
    pub merchant: Merchant,
    pub city: City,
    pub settings: Settings,
}

/// Where a merchant is.
///
/// # Errors
/// A fault: merchants are never removed, and every one is in a city.
pub fn place(tx: &Tx<'_, '_>, id: MerchantId) -> Result<Place, Fault> {
    let broken = || Fault::new(format!("merchant {id} or its city is missing"));
    let merchant = catalog::merchant(tx, id).ok_or_else(broken)?;
    let city = cities::get(tx, merchant.city).ok_or_else(broken)?;
    let settings = cities::settings(tx, merchant.city).ok_or_else(broken)?;
    Ok(Place { merchant, city, settings })
}

/// Whether what was quoted can be had now. Its price holds whatever it costs by now.
///
/// # Errors
/// [`Refusal::MerchantClosed`], [`Refusal::NoGo`] and [`Refusal::ItemUnavailable`] (an item that is gone altogether counts as that).
pub fn still_possible(tx: &Tx<'_, '_>, quote: &Quote, place: &Place) -> Result<(), Refusal> {
    if !catalog::is_open(&place.merchant, &place.city, tx.now()) {
        return Err(Refusal::MerchantClosed);
    }
    // Also what was drawn since: it is for people's safety.
    for point in [place.merchant.position, quote.dropoff] {
        zones::no_go(tx, quote.city, point.point())?;
    }
    let is_there =
        |line: &&Line| catalog::item(tx, line.item).is_some_and(|item| item.merchant == quote.merchant && item.is_available(tx.now()));
    let missing: Vec<&Line> = quote.lines.iter().filter(|line| !is_there(line)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Refusal::ItemUnavailable {
        items: missing.iter().map(|line| line.item).collect(),
        names: missing.iter().map(|line| line.name.clone()).collect(),
    })
}

fn wanted(lines: &[Line]) -> Vec<Wanted> {
    lines.iter().map(|line| Wanted { item: line.item, quantity: line.quantity, note: line.note.clone() }).collect()
}

fn tip(tip: Option<Money>, city: &City) -> Result<i64, Refusal> {
    match tip {
        None => Ok(0),
        Some(tip) if tip.currency != city.currency => Err(Refusal::WrongCurrency(city.currency)),
        Some(tip) if (0..=AMOUNT_MAX).contains(&tip.amount) => Ok(tip.amount),
        Some(_) => Err(Refusal::TipOutOfRange),
    }
}
