//! The house's inventory: every table, so that all of them can be gone through. `tests/tidy.rs` finds the ones that are missing.

use storage::integrity::AnyTable;
use storage::ledger::model::{LEAF_COUNT, LEAVES};
use storage::ledger::{ACCOUNTS, TRANSFERS};
use storage::replica::epoch::EPOCHS;
use storage::upgrade::STATE_FORMAT;

use crate::city::catalog::model::{ITEMS, MERCHANTS};
use crate::city::cities::model::{CITIES, SETTINGS};
use crate::city::couriers::hours::WORKED;
use crate::city::couriers::model::{COURIERS, PRESENCES, SILENCES};
use crate::city::dispatch::by_hand::BY_HAND;
use crate::city::dispatch::demand::DEMAND;
use crate::city::dispatch::explain::sight::SIGHTS;
use crate::city::dispatch::model::{DECISIONS, JOBS, OFFERS};
use crate::city::eta::model::{ERRORS, EXPECTED};
use crate::city::history::THINNED;
use crate::city::media::model::MEDIA;
use crate::city::shifts::model::SHIFTS;
use crate::city::tracking::track::TRACKS;
use crate::city::travel::trips::{LAST_STOPS, PACES};
use crate::city::zones::model::{CHANGES, INSIDE, SHAPES, ZONES};
use crate::engine::attention::ATTENTION;
use crate::engine::clock::TEST_CLOCK;
use crate::engine::effect::OUTBOX;
use crate::engine::event::{EVENTS, EVENTS_KEPT_FROM};
use crate::engine::idempotency::ONCE;
use crate::engine::pause::OUTBOX_PAUSED;
use crate::engine::timer::TIMERS;
use crate::money::payments::model::{INTENTS, REFUNDS};
use crate::money::payments::notices::SEEN;
use crate::money::payments::provider::OFFERED;
use crate::money::settlement::SETTLEMENTS;
use crate::people::erasure::ERASURES;
use crate::people::identity::limits::SPENT;
use crate::people::identity::model::{CODES, FAMILIES, PASSWORDS};
use crate::people::keyring::ALLOTMENT;
use crate::people::users::USERS;
use crate::trade::carts::model::CARTS;
use crate::trade::orders::record::{ORDER_EVENTS, ORDER_NUMBERS, ORDERS};
use crate::trade::quotes::model::QUOTES;

/// All tables of the product.
pub static TABLES: &[&dyn AnyTable] = &[
    &EPOCHS,
    &STATE_FORMAT,
    &ACCOUNTS,
    &TRANSFERS,
    &LEAVES,
    &LEAF_COUNT,
    &EVENTS,
    &EVENTS_KEPT_FROM,
    &TIMERS,
    &OUTBOX,
    &OUTBOX_PAUSED,
    &ATTENTION,
    &ONCE,
    &TEST_CLOCK,
    &USERS,
    &PASSWORDS,
    &ALLOTMENT,
    &CODES,
    &SPENT,
    &FAMILIES,
    &ERASURES,
    &INTENTS,
    &REFUNDS,
    &SEEN,
    &OFFERED,
    &SETTLEMENTS,
    &CITIES,
    &SETTINGS,
    &MERCHANTS,
    &ITEMS,
    &MEDIA,
    &COURIERS,
    &PRESENCES,
    &SILENCES,
    &WORKED,
    &SHIFTS,
    &JOBS,
    &OFFERS,
    &DECISIONS,
    &SIGHTS,
    &DEMAND,
    &BY_HAND,
    &TRACKS,
    &EXPECTED,
    &ERRORS,
    &PACES,
    &LAST_STOPS,
    &ZONES,
    &SHAPES,
    &CHANGES,
    &INSIDE,
    &THINNED,
    &ORDERS,
    &ORDER_EVENTS,
    &ORDER_NUMBERS,
    &CARTS,
    &QUOTES,
];
