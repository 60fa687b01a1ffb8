//! The states, by name, and the edges between them; the graph is drawn in [`super`].

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where an order stands. The names on the wire are these in upper snake case; the order of the variants is the stored layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum State {
    Created,
    PendingPayment,
    Confirmed,
    Accepted,
    Preparing,
    ReadyForPickup,
    Assigned,
    EnRouteToRestaurant,
    AtRestaurant,
    PickedUp,
    EnRouteToCustomer,
    AtCustomer,
    Delivered,
    Settled,
    Rejected,
    Cancelled,
}

impl State {
    /// Every state, in the order of a good day.
    pub const ALL: [Self; 16] = [
        Self::Created,
        Self::PendingPayment,
        Self::Confirmed,
        Self::Accepted,
        Self::Preparing,
        Self::ReadyForPickup,
        Self::Assigned,
        Self::EnRouteToRestaurant,
        Self::AtRestaurant,
        Self::PickedUp,
        Self::EnRouteToCustomer,
        Self::AtCustomer,
        Self::Delivered,
        Self::Settled,
        Self::Rejected,
        Self::Cancelled,
    ];

    /// The name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::PendingPayment => "PENDING_PAYMENT",
            Self::Confirmed => "CONFIRMED",
            Self::Accepted => "ACCEPTED",
            Self::Preparing => "PREPARING",
            Self::ReadyForPickup => "READY_FOR_PICKUP",
            Self::Assigned => "ASSIGNED",
            Self::EnRouteToRestaurant => "EN_ROUTE_TO_RESTAURANT",
            Self::AtRestaurant => "AT_RESTAURANT",
            Self::PickedUp => "PICKED_UP",
            Self::EnRouteToCustomer => "EN_ROUTE_TO_CUSTOMER",
            Self::AtCustomer => "AT_CUSTOMER",
            Self::Delivered => "DELIVERED",
            Self::Settled => "SETTLED",
            Self::Rejected => "REJECTED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Nothing moves an order out of these.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Settled | Self::Rejected | Self::Cancelled)
    }

    /// The states that one event can lead to: the edges of the graph in [`super`].
    #[must_use]
    pub const fn next(self) -> &'static [Self] {
        match self {
            Self::Created => &[Self::PendingPayment, Self::Confirmed, Self::Cancelled],
            Self::PendingPayment => &[Self::Confirmed, Self::Cancelled],
            Self::Confirmed => &[Self::Accepted, Self::Rejected, Self::Cancelled],
            Self::Accepted => &[Self::Preparing, Self::Cancelled],
            Self::Preparing => &[Self::ReadyForPickup, Self::Cancelled],
            Self::ReadyForPickup => &[Self::Assigned, Self::Cancelled],
            Self::Assigned => &[Self::EnRouteToRestaurant, Self::ReadyForPickup, Self::Cancelled],
            Self::EnRouteToRestaurant => &[Self::AtRestaurant, Self::ReadyForPickup, Self::Cancelled],
            Self::AtRestaurant => &[Self::PickedUp, Self::ReadyForPickup, Self::Cancelled],
            Self::PickedUp => &[Self::EnRouteToCustomer, Self::Cancelled],
            Self::EnRouteToCustomer => &[Self::AtCustomer, Self::Cancelled],
            Self::AtCustomer => &[Self::Delivered, Self::Cancelled],
            Self::Delivered => &[Self::Settled],
            Self::Settled | Self::Rejected | Self::Cancelled => &[],
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How far the courier is on the way to the food.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Stage {
    Assigned,
    EnRouteToRestaurant,
    AtRestaurant,
}

impl Stage {
    /// The state that an order with its food ready has at this stage.
    #[must_use]
    pub const fn state(self) -> State {
        match self {
            Self::Assigned => State::Assigned,
            Self::EnRouteToRestaurant => State::EnRouteToRestaurant,
            Self::AtRestaurant => State::AtRestaurant,
        }
    }
}
