//! Putting a cart, and pricing what is in one.

use storage::{Direction, Read};

use super::model::{CART_KEPT_S, CARTS, CARTS_BY_TIME, Cart, CartId, LINES_MAX, Line, NOTE_CHARS_MAX, QUANTITY_MAX, Refusal, Wanted};
use crate::city::catalog::{self, Item, MerchantId};
use crate::city::cities;
use crate::city::field::{self, Invalid};
use crate::engine::{Denied, Fault, Question, Resource, Tx};
use crate::trade::failure::Failure;

/// Puts the whole cart, new or not.
///
/// # Errors
/// [`Failure::Denied`] for somebody else's cart, [`Failure::Invalid`] for counts and notes, [`Failure::Cart`] for what the merchant does not have.
pub fn put(tx: &mut Tx<'_, '_>, id: CartId, merchant: MerchantId, wanted: Vec<Wanted>) -> Result<Cart, Failure> {
    let caller = tx.caller().user_id().ok_or(Denied::Unauthenticated)?;
    let wanted = checked(wanted)?;
    let customer = CARTS.get(tx, &id).map_or(caller, |cart| cart.customer);
    tx.authorize(&Question::new("carts.put", Resource::new("Cart", id).with("customer", customer.to_string())))?;
    let city = catalog::merchant(tx, merchant).ok_or(Refusal::UnknownMerchant)?.city;
    let currency = cities::get(tx, city).ok_or_else(|| Fault::new(format!("merchant {merchant} is in no city")))?.currency;
    let lines = priced(tx, merchant, &wanted)?;
    let cart = Cart { customer, city, merchant, currency, lines, updated_at: tx.now() };
    CARTS.put(tx, &id, &cart);
    sweep(tx);
    Ok(cart)
}

/// Each cart that is put takes up to two stale ones away.
fn sweep(tx: &mut Tx<'_, '_>) {
    let kept_from = tx.now().minus_s(CART_KEPT_S);
    let oldest = CARTS.page(tx, &CARTS_BY_TIME, &(), None, Direction::Forward).take(2);
    let stale: Vec<CartId> = oldest.filter(|(_, _, cart)| cart.updated_at < kept_from).map(|(_, id, _)| id).collect();
    for id in &stale {
        CARTS.delete(tx, id);
    }
}

fn checked(wanted: Vec<Wanted>) -> Result<Vec<Wanted>, Invalid> {
    if wanted.len() > LINES_MAX {
        return Err(Invalid::new("/items", "too_many", format!("at most {LINES_MAX} lines")));
    }
    let check = |(place, line): (usize, Wanted)| {
        field::within(&format!("/items/{place}/quantity"), line.quantity, 1..=QUANTITY_MAX)?;
        let note = line.note.map(|note| field::prose(&format!("/items/{place}/note"), &note, NOTE_CHARS_MAX)).transpose()?;
        Ok(Wanted { note, ..line })
    };
    wanted.into_iter().enumerate().map(check).collect()
}

/// Lines at the prices of the moment.
///
/// # Errors
/// [`Refusal::UnknownItem`] for what is not this merchant's, [`Refusal::ItemUnavailable`] with everything that is not to be had.
pub fn priced(tx: &Tx<'_, '_>, merchant: MerchantId, wanted: &[Wanted]) -> Result<Vec<Line>, Refusal> {
    let (mut lines, mut missing) = (Vec::with_capacity(wanted.len()), Vec::new());
    for (place, want) in wanted.iter().enumerate() {
        let item = catalog::item(tx, want.item).filter(|item| item.merchant == merchant).ok_or(Refusal::UnknownItem { place })?;
        if !is_available(tx, &item) {
            missing.push((want.item, item.name.clone()));
        }
        lines.push(Line {
            item: want.item,
            name: item.name,
            quantity: want.quantity,
            unit_price: item.price.amount,
            note: want.note.clone(),
        });
    }
    if missing.is_empty() {
        Ok(lines)
    } else {
        let (items, names) = missing.into_iter().unzip();
        Err(Refusal::ItemUnavailable { items, names })
    }
}

fn is_available(tx: &Tx<'_, '_>, item: &Item) -> bool {
    item.is_available(tx.now())
}

/// The cart.
pub fn get(read: &(impl Read + ?Sized), id: CartId) -> Option<Cart> {
    CARTS.get(read, &id)
}
