//! Every command in every state: what it leads to, where it changes nothing, and that it is refused everywhere else.

use medina::trade::orders::model::{Command, Part, Proof, Refusal, Stage, State};
use storage::Id;

use crate::sample::{
    DELIVERY, Life, PICKUP, T0, accept, approach, assign, bring, cancel, captured, deliver, in_state, intent, move_pin, pick_up, place,
    replace, unassign,
};

use State::{
    Accepted, Assigned, AtCustomer, AtRestaurant, Cancelled, Confirmed, Delivered, EnRouteToCustomer, EnRouteToRestaurant, PendingPayment,
    PickedUp, Preparing, ReadyForPickup, Rejected, Settled,
};

/// All states that an order is ever stored in.
const STORED: [State; 15] = [
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
];

/// A command, where it moves an order (from, to), and where it is taken without moving it.
struct Row {
    name: &'static str,
    command: Command,
    moves: &'static [(State, State)],
    stays: &'static [State],
}

fn rows() -> Vec<Row> {
    let support = || Proof::Support("the phone is broken".to_owned());
    let row = |name, command, moves, stays| Row { name, command, moves, stays };
    vec![
        row("delay", Command::Delay { ready_at: T0.plus_s(3_600) }, &[], &[Accepted, Preparing]),
        row(
            "move the pin",
            move_pin(false),
            &[],
            &[
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
            ],
        ),
        row(
            "move the pin, the courier is near",
            move_pin(true),
            &[],
            &[PendingPayment, Confirmed, Accepted, Preparing, ReadyForPickup, Assigned, EnRouteToRestaurant, AtRestaurant],
        ),
        row("replace the courier", replace(1, 2), &[], &[PickedUp, EnRouteToCustomer, AtCustomer]),
        row("replace another courier", replace(2, 3), &[], &[]),
        row("place again", place(medina::money::payments::Method::Card, false), &[], &[]),
        row(
            "another intent",
            Command::ReplaceIntent { intent: intent(2), method: medina::money::payments::Method::Card },
            &[],
            &[PendingPayment],
        ),
        row(
            "authorized",
            Command::Authorized { intent: intent(1) },
            &[(PendingPayment, Confirmed)],
            &[
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
            ],
        ),
        row("authorized, another intent", Command::Authorized { intent: intent(2) }, &[], &[]),
        row(
            "captured",
            captured(1),
            &[(PendingPayment, Confirmed), (Delivered, Settled)],
            &[
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
                Settled,
            ],
        ),
        row(
            "capture failed",
            Command::CaptureFailed { intent: intent(1), reason: "expired".to_owned() },
            &[],
            &[
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
            ],
        ),
        row("payment lost", Command::PaymentLost { intent: intent(1) }, &[(Confirmed, Cancelled), (Accepted, Cancelled)], &STORED),
        row("payment lost, another intent", Command::PaymentLost { intent: intent(2) }, &[], &STORED),
        row("refund initiated", Command::RefundInitiated { refund: Id::from_u128(1), amount: 1 }, &[], &STORED),
        row("refund settled", Command::RefundSettled { refund: Id::from_u128(1), amount: 1 }, &[], &STORED),
        row(
            "unpaid",
            Command::GiveUpUnpaid,
            &[(PendingPayment, Cancelled)],
            &[
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
            ],
        ),
        row(
            "unaccepted",
            Command::GiveUpUnaccepted,
            &[(Confirmed, Rejected)],
            &[
                PendingPayment,
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
            ],
        ),
        row("see", Command::See, &[], &STORED),
        row("accept", accept(), &[(Confirmed, Accepted)], &[]),
        row("reject", Command::Reject { reason: "closed".to_owned(), items: vec![] }, &[(Confirmed, Rejected)], &[]),
        row("prepare", Command::Prepare, &[(Accepted, Preparing)], &[]),
        row("ready", Command::Ready, &[(Accepted, ReadyForPickup), (Preparing, ReadyForPickup)], &[]),
        row("assign", assign(1), &[(ReadyForPickup, Assigned)], &[Accepted, Preparing, Assigned, EnRouteToRestaurant, AtRestaurant]),
        row("assign another", assign(2), &[(ReadyForPickup, Assigned)], &[Accepted, Preparing]),
        row(
            "unassign",
            unassign(1),
            &[(Assigned, ReadyForPickup), (EnRouteToRestaurant, ReadyForPickup), (AtRestaurant, ReadyForPickup)],
            // There is no courier (any more).
            &[PendingPayment, Confirmed, Accepted, Preparing, ReadyForPickup, Rejected, Cancelled],
        ),
        row("unassign another", unassign(2), &[], &STORED),
        row("on the way to the food", approach(Stage::EnRouteToRestaurant), &[(Assigned, EnRouteToRestaurant)], &[]),
        row("at the restaurant", approach(Stage::AtRestaurant), &[(Assigned, AtRestaurant), (EnRouteToRestaurant, AtRestaurant)], &[]),
        row("pick up", pick_up(PICKUP), &[(Assigned, PickedUp), (EnRouteToRestaurant, PickedUp), (AtRestaurant, PickedUp)], &[]),
        row("pick up, wrong code", pick_up(DELIVERY), &[], &[Assigned, EnRouteToRestaurant, AtRestaurant]),
        row(
            "pick up, support",
            Command::PickUp { proof: support(), reported_at: None },
            &[(Assigned, PickedUp), (EnRouteToRestaurant, PickedUp), (AtRestaurant, PickedUp)],
            &[],
        ),
        row("pick up, photo", Command::PickUp { proof: Proof::Photo("med".to_owned()), reported_at: None }, &[], &[]),
        row("on the way to the customer", bring(false), &[(PickedUp, EnRouteToCustomer)], &[]),
        row("at the customer", bring(true), &[(PickedUp, AtCustomer), (EnRouteToCustomer, AtCustomer)], &[]),
        row(
            "deliver",
            deliver(Proof::Code(DELIVERY)),
            &[(PickedUp, Delivered), (EnRouteToCustomer, Delivered), (AtCustomer, Delivered)],
            &[],
        ),
        row("deliver, wrong code", deliver(Proof::Code(PICKUP)), &[], &[PickedUp, EnRouteToCustomer, AtCustomer]),
        row("deliver, support", deliver(support()), &[(PickedUp, Delivered), (EnRouteToCustomer, Delivered), (AtCustomer, Delivered)], &[]),
        row("deliver, photo where only codes count", deliver(Proof::Photo("med".to_owned())), &[], &[]),
        row("customer cancels", cancel(Part::Customer), &[(PendingPayment, Cancelled), (Confirmed, Cancelled), (Accepted, Cancelled)], &[]),
        row("merchant cancels", cancel(Part::Merchant), &[(PendingPayment, Cancelled), (Confirmed, Cancelled), (Accepted, Cancelled)], &[]),
        row("courier cancels", cancel(Part::Courier), &[], &[]),
        row(
            "support cancels",
            cancel(Part::Support),
            &[
                (PendingPayment, Cancelled),
                (Confirmed, Cancelled),
                (Accepted, Cancelled),
                (Preparing, Cancelled),
                (ReadyForPickup, Cancelled),
                (Assigned, Cancelled),
                (EnRouteToRestaurant, Cancelled),
                (AtRestaurant, Cancelled),
                (PickedUp, Cancelled),
                (EnRouteToCustomer, Cancelled),
                (AtCustomer, Cancelled),
            ],
            &[],
        ),
    ]
}

#[test]
fn every_command_in_every_state() {
    for Row { name, command, moves, stays } in rows() {
        for from in STORED {
            let mut life = in_state(from);
            let result = life.run(&command, T0);
            let to = moves.iter().find(|(state, _)| *state == from).map(|(_, to)| *to);
            match to {
                Some(to) => assert_eq!((result.is_ok(), life.state()), (true, Some(to)), "{name} while {from}: {result:?}"),
                None if stays.contains(&from) => {
                    assert_eq!((result.is_ok(), life.state()), (true, Some(from)), "{name} while {from}: {result:?}");
                }
                None => {
                    assert!(result.is_err(), "{name} while {from} must be refused, but {result:?}");
                    assert_eq!(life.state(), Some(from));
                }
            }
        }
    }
}

#[test]
fn a_refused_transition_says_from_and_to() {
    let cases = [
        (Accepted, bring(true), AtCustomer),
        (Assigned, deliver(Proof::Code(DELIVERY)), Delivered),
        (PendingPayment, accept(), Accepted),
        (Confirmed, Command::Ready, ReadyForPickup),
        (Preparing, pick_up(PICKUP), PickedUp),
        (Delivered, approach(Stage::AtRestaurant), AtRestaurant),
    ];
    for (from, command, to) in cases {
        assert_eq!(in_state(from).run(&command, T0), Err(Refusal::Illegal { from, to }));
        assert!(!from.next().contains(&to));
    }
}

/// Names of events, for comparing sequences.
fn names(life: &Life) -> Vec<&'static str> {
    life.stream.iter().filter_map(|recorded| recorded.event.name()).collect()
}

#[test]
fn skipped_events_happen_in_the_same_commit() {
    let mut life = in_state(Accepted);
    life.run(&Command::Ready, T0).expect("accepted food can be ready");
    life.run(&assign(1), T0).expect("ready food can be assigned");
    life.run(&pick_up(PICKUP), T0).expect("with the code");
    life.run(&deliver(Proof::Code(DELIVERY)), T0).expect("with the code");
    let skipped = [
        "OrderCreated",
        "PaymentIntentCreated",
        "PaymentAuthorized",
        "OrderAcceptedByRestaurant",
        "FoodPreparing",
        "OrderReadyForPickup",
        "DriverAssigned",
        "DriverEnRouteToRestaurant",
        "DriverArrivedAtRestaurant",
        "OrderPickedUp",
        "DriverEnRouteToCustomer",
        "DriverArrivedAtCustomer",
        "OrderDelivered",
    ];
    assert_eq!(names(&life), skipped);
}

#[test]
fn a_leg_runs_beside_the_state_until_the_food_is_ready() {
    let mut life = in_state(Accepted);
    life.run(&assign(1), T0).expect("dispatch looks ahead");
    life.run(&approach(Stage::AtRestaurant), T0).expect("and couriers are fast");
    let order = life.order.clone().expect("it exists");
    assert_eq!((order.state, order.leg, order.courier), (Accepted, Some(Stage::AtRestaurant), Some(Id::from_u128(1))));
    assert_eq!(names(&life).last(), Some(&"OrderAcceptedByRestaurant"));

    let mut ready = life.clone();
    ready.run(&Command::Ready, T0).expect("accepted food can be ready");
    assert_eq!(ready.state(), Some(AtRestaurant));
    let folded = ["FoodPreparing", "OrderReadyForPickup", "DriverAssigned", "DriverEnRouteToRestaurant", "DriverArrivedAtRestaurant"];
    assert_eq!(names(&ready)[4..], folded);

    life.run(&pick_up(PICKUP), T0).expect("the code says that it is ready");
    assert_eq!(life.state(), Some(PickedUp));
    assert_eq!(names(&life)[4..9], folded);
}
