//! The stored layouts, byte by byte: a change here is a new version and an upgrade.

use medina::money::payments::Method;
use medina::trade::carts::model::Cart;
use medina::trade::orders::model::{Actor, Door, Dropoff, Event, Part, Stage, State};
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
        ("delayed", golden(&recorded(Event::OrderDelayed { ready_at: T0 }))),
        (
            "moved",
            golden(&recorded(Event::DropoffMoved(Box::new(Dropoff {
                place: order.created.dropoff,
                address: None,
                travel_s: 300,
                distance_m: 7,
            })))),
        ),
        (
            "replaced",
            golden(&recorded(Event::DriverReplaced {
                from: Id::from_u128(1),
                courier: Id::from_u128(2),
                eta: T0,
                reason: "a crash".to_owned(),
            })),
        ),
        ("order", golden(&order)),
        ("number", golden(&Given(300))),
        ("quote", golden(&quote)),
        ("cart", golden(&cart)),
    ];
    let expected: [(&str, String); 14] = EXPECTED.map(|(name, bytes)| (name, bytes.to_owned()));
    assert_eq!(rows, expected);
    assert_eq!(Order::from_bytes(&order.to_bytes()), Some(order));
    assert_eq!(Quote::from_bytes(&quote.to_bytes()), Some(quote));
    assert_eq!(Cart::from_bytes(&cart.to_bytes()), Some(cart));
}

const EXPECTED: [(&str, &str); 14] = [
    ("created", "178 ecb2c69987f2f6b25e3c87ad9a741e13"),
    ("authorized", "0180c0e285e36800000200000000000000000000000000000001"),
    ("preparing", "0180c0e285e368000007"),
    ("cancelled", "0180c0e285e3680000140406756e70616964"),
    ("leg moved", "0180c0e285e36800001802"),
    ("code refused", "0180c0e285e36800001a01"),
    ("seen", "0180c0e285e36800001b"),
    ("delayed", "0180c0e285e36800001d80c0e285e368"),
    ("moved", "0180c0e285e36800001e66666666666616409a9999999999c9bf00ac0207"),
    ("replaced", "0180c0e285e368000020000000000000000000000000000000010000000000000000000000000000000280c0e285e3680761206372617368"),
    ("order", "289 d83da2896d58173835ded08f4dec79fa"),
    ("number", "01ac02"),
    ("quote", "159 0f3e5b6ae29a2d570c40604b5d6b3c7b"),
    ("cart", "86 f11a48bdce3d31715a5126971c9c3288"),
];
