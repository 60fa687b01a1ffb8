//! Replication without a network: what two nodes say to each other, and how they find where their histories part.
//!
//! The leader reads its log with [`crate::log::LogReader`] and sends each record as a [`frame`]; the follower hands it to
//! [`crate::Store::apply`]. [`epoch`] says who led when; [`history`] compares; [`crate::Store::cut`] gives an end up.

pub mod epoch;
pub mod frame;
pub mod history;
