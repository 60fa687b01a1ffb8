//! Words: what is expected of a job under way, how wrong it was, and the news of it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use storage::{Row, Table, Timestamp};

use crate::city::catalog::MerchantId;
use crate::city::cities::CityId;
use crate::city::couriers::CourierId;
use crate::city::dispatch::model::SubjectId;
use crate::engine::Event;

/// A job under way, by its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    pub courier: CourierId,
    pub city: CityId,
    pub merchant: u128,
    /// At the door, as thought when the courier said yes.
    pub at_assignment: Timestamp,
    /// As thought at the first look after the pick-up.
    pub at_pickup: Option<Timestamp>,
    pub picked_up_at: Option<Timestamp>,
    /// When the courier stood at the door, if they said so before they handed over.
    pub arrived_at: Option<Timestamp>,
    /// What the customer is shown.
    pub shown: Timestamp,
    /// Whether the counter was told that the courier is near, and the door.
    pub near_counter: bool,
    pub near_door: bool,
}

impl Row for Expected {
    const VERSION: u8 = 1;
}

/// By subject.
pub static EXPECTED: Table<u128, Expected> = Table::new(440, "eta.expected", &[]);

/// Since when an arrival was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    Assignment,
    Pickup,
}

impl Since {
    pub const ALL: [Self; 2] = [Self::Assignment, Self::Pickup];

    /// For metrics and the overview.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Assignment => "assignment",
            Self::Pickup => "pickup",
        }
    }
}

/// Upper ends of the classes of errors in seconds; the last class is what is worse.
pub const ERROR_CLASSES_S: [i64; 6] = [60, 120, 300, 600, 1_200, 2_400];

/// How wrong a city's expectations were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errors {
    pub count: u64,
    /// Sum of actual less expected: above zero, couriers come later than thought.
    pub sum_s: i64,
    /// Sum of the same without signs.
    pub sum_abs_s: u64,
    /// How many were in each of [`ERROR_CLASSES_S`], and beyond.
    pub classes: [u64; ERROR_CLASSES_S.len() + 1],
}

impl Errors {
    /// Counts one.
    pub fn count(&mut self, error_s: i64) {
        self.count += 1;
        self.sum_s = self.sum_s.saturating_add(error_s);
        self.sum_abs_s = self.sum_abs_s.saturating_add(error_s.unsigned_abs());
        let class = ERROR_CLASSES_S.iter().position(|end| error_s.unsigned_abs() <= end.unsigned_abs());
        self.classes[class.unwrap_or(ERROR_CLASSES_S.len())] += 1;
    }
}

impl Row for Errors {
    const VERSION: u8 = 1;
}

/// By city and [`Since`] (its place in [`Since::ALL`]).
pub static ERRORS: Table<(CityId, u8), Errors> = Table::new(441, "eta.errors", &[]);

/// A job is expected at the door at another time than was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobExpected {
    pub subject: u128,
    pub city: CityId,
    pub courier: CourierId,
    pub eta: Timestamp,
}

impl Event for JobExpected {
    fn name(&self) -> &'static str {
        "JobExpected"
    }

    fn topics(&self) -> Vec<String> {
        vec![format!("city:{}", self.city)]
    }

    fn data(&self) -> Value {
        json!({ "order_id": SubjectId::from_u128(self.subject), "courier_id": self.courier, "eta": self.eta.to_string() })
    }
}

/// Where a courier goes next with a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stop {
    Counter,
    Door,
}

/// The courier is about to be there; said once a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CourierNear {
    pub subject: u128,
    pub merchant: MerchantId,
    pub courier: CourierId,
    pub stop: Stop,
    pub distance_m: u32,
    pub eta: Timestamp,
}

impl Event for CourierNear {
    fn name(&self) -> &'static str {
        "CourierNear"
    }

    /// Both hear of the counter; the door is between the customer and the courier.
    fn topics(&self) -> Vec<String> {
        let order = format!("order:{}", SubjectId::from_u128(self.subject));
        match self.stop {
            Stop::Counter => vec![order, format!("merchant:{}", self.merchant)],
            Stop::Door => vec![order],
        }
    }

    fn data(&self) -> Value {
        json!({
            "order_id": SubjectId::from_u128(self.subject),
            "courier_id": self.courier,
            "stop": match self.stop {
                Stop::Counter => "pickup",
                Stop::Door => "dropoff",
            },
            "distance_m": self.distance_m,
            "eta": self.eta.to_string(),
        })
    }
}
