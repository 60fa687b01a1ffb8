//! Who reacts to whom: the only place that knows two modules.

use crate::city::dispatch;
use crate::engine::Wiring;
use crate::money::payments;
use crate::people::People;
use crate::trade::{self, orders};

/// Reactions, timers and answers of the whole product.
#[must_use]
pub fn wire(people: &People) -> Wiring {
    let mut wiring = Wiring::new();
    payments::wire(&mut wiring);
    dispatch::wire(&mut wiring);
    trade::wire(&mut wiring);
    // An order follows its payment and whoever carries it.
    wiring.on(orders::on_payment);
    wiring.on(orders::on_dispatch);
    wiring
}
