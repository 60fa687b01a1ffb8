//! How long it takes from here to there: see [`crate::city::travel`].

pub use crate::city::travel::{GreatCircle, MEASURED_BY, Speeds, Times};
