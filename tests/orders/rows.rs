//! The stored layouts, byte by byte: a change here is a new version and an upgrade.

use medina::money::payments::Method;
use medina::trade::carts::model::Cart;
use medina::trade::orders::model::{Actor, Door, Event, Part, Stage, State};
use medina::trade::orders::record::{Given, Order, Recorded};
use medina::trade::quotes::model::Quote;
use storage::{Id, Row};

use crate::sample::{T0, created, in_state, intent};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Short ones in full, long ones by their length and hash.
fn golden(row: &impl Row) -> String {
    let bytes = row.to_bytes();
    if bytes.len() <= 64 { hex(&bytes) } else { format!("{} {}", bytes.len(), &blake3::hash(&bytes).to_hex()[..32]) }
}

fn recorded(event: Event) -> Recorded {
    Recorded { at: T0, actor: Actor { part: Part::Customer, user: None }, event }
}

#[test]
fn golden_bytes() {
    let quote = created(Method::Card, false);
    let quote = Quote {
        customer: quote.customer,
        cart: Id::from_u128(9),
        city: quote.city,
        merchant: quote.merchant,
        lines: quote.lines.clone(),
        amounts: quote.amounts,
        fees: quote.terms.fees.clone(),
        dropoff: quote.dropoff,
        address: None,
        distance_m: 1800,
        prep_s: 900,
        travel_s: 360,
        expires_at: T0,
        used_by: None,
    };
    let cart = Cart {
        customer: quote.customer,
        city: quote.city,
        merchant: quote.merchant,
        currency: quote.amounts.currency,
        lines: quote.lines.clone(),
        updated_at: T0,
    };
    let order = in_state(State::AtCustomer).order.expect("it exists");
    let rows = [
        ("created", golden(&recorded(Event::OrderCreated(Box::new(created(Method::Card, false)))))),
        ("authorized", golden(&recorded(Event::PaymentAuthorized { intent: intent(1) }))),
        ("preparing", golden(&recorded(Event::FoodPreparing))),
        ("cancelled", golden(&recorded(Event::OrderCancelled { by: Part::System, reason: "unpaid".to_owned() }))),
        ("leg moved", golden(&recorded(Event::LegMoved { stage: Stage::AtRestaurant }))),
        ("code refused", golden(&recorded(Event::CodeRefused { door: Door::Delivery }))),
        ("seen", golden(&recorded(Event::Seen))),
        ("order", golden(&order)),
        ("number", golden(&Given(300))),
        ("quote", golden(&quote)),
        ("cart", golden(&cart)),
    ];
    let expected: [(&str, String); 11] = EXPECTED.map(|(name, bytes)| (name, bytes.to_owned()));
    assert_eq!(rows, expected);
    assert_eq!(Order::from_bytes(&order.to_bytes()), Some(order));
    assert_eq!(Quote::from_bytes(&quote.to_bytes()), Some(quote));
    assert_eq!(Cart::from_bytes(&cart.to_bytes()), Some(cart));
}

const EXPECTED: [(&str, &str); 11] = [
    ("created", ""),
    ("authorized", ""),
    ("preparing", ""),
    ("cancelled", ""),
    ("leg moved", ""),
    ("code refused", ""),
    ("seen", ""),
    ("order", ""),
    ("number", ""),
    ("quote", ""),
    ("cart", ""),
];
