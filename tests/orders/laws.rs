//! What holds whatever is asked, in whatever order.

use medina::money::payments::Method;
use medina::trade::orders::fold::fold;
use medina::trade::orders::model::{Command, Event, Part, Proof, Refusal, Stage, State};
use medina::trade::orders::record::Recorded;
use proptest::collection::vec;
use proptest::prelude::*;
use storage::{Id, Row};

use crate::sample::{
    DELIVERY, Life, PICKUP, T0, WRONG, accept, approach, assign, bring, cancel, captured, deliver, in_state, intent, move_pin, order_id,
    pick_up, place, replace, unassign,
};

fn any_proof() -> impl Strategy<Value = Proof> {
    prop_oneof![
        3 => Just(Proof::Code(PICKUP)),
        3 => Just(Proof::Code(DELIVERY)),
        2 => Just(Proof::Code(WRONG)),
        1 => Just(Proof::Photo("med_1".to_owned())),
        1 => Just(Proof::Support("they called".to_owned())),
    ]
}

fn any_command() -> impl Strategy<Value = Command> {
    let pay = prop_oneof![
        (1_u128..3).prop_map(|n| Command::ReplaceIntent { intent: intent(n), method: Method::Card }),
        (1_u128..3).prop_map(|n| Command::Authorized { intent: intent(n) }),
        (1_u128..3).prop_map(captured),
        (1_u128..3).prop_map(|n| Command::CaptureFailed { intent: intent(n), reason: "no".to_owned() }),
        (1_u128..3).prop_map(|n| Command::PaymentLost { intent: intent(n) }),
        (1_i64..100).prop_map(|amount| Command::RefundInitiated { refund: Id::from_u128(1), amount }),
        Just(Command::GiveUpUnpaid),
        Just(Command::GiveUpUnaccepted),
    ];
    let cook = prop_oneof![
        Just(accept()),
        Just(Command::See),
        Just(Command::Reject { reason: "closed".to_owned(), items: vec![] }),
        Just(Command::Prepare),
        Just(Command::Ready),
        (1_i64..7_200).prop_map(|s| Command::Delay { ready_at: T0.plus_s(s) }),
    ];
    let ride = prop_oneof![
        (1_u128..3).prop_map(assign),
        (1_u128..3).prop_map(unassign),
        (1_u128..3).prop_map(|n| replace(n, 3 - n)),
        prop_oneof![Just(Stage::EnRouteToRestaurant), Just(Stage::AtRestaurant)].prop_map(approach),
        any_proof().prop_map(|proof| Command::PickUp { proof, reported_at: Some(T0) }),
        any::<bool>().prop_map(bring),
        any_proof().prop_map(deliver),
    ];
    let moved = any::<bool>().prop_map(move_pin);
    let end = prop_oneof![Just(Part::Customer), Just(Part::Merchant), Just(Part::Courier), Just(Part::Support)].prop_map(cancel);
    prop_oneof![
        1 => (prop_oneof![Just(Method::Card), Just(Method::Cash)], any::<bool>()).prop_map(|(method, photo)| place(method, photo)),
        4 => pay,
        6 => cook,
        9 => ride,
        1 => moved,
        1 => end,
    ]
}

fn commands() -> impl Strategy<Value = Vec<Command>> {
    (prop_oneof![Just(Method::Card), Just(Method::Cash)], any::<bool>(), vec(any_command(), 0..60)).prop_map(|(method, photo, rest)| {
        let mut commands = vec![place(method, photo)];
        commands.extend(rest);
        commands
    })
}

/// Where the contract says that an event leads, written down here a second time; `None` if it cannot happen there.
fn by_contract(state: Option<State>, event: &str) -> Option<State> {
    use State::*;
    Some(match (state, event) {
        (None, "OrderCreated") => Created,
        (Some(Created | PendingPayment), "PaymentIntentCreated") => PendingPayment,
        (Some(PendingPayment), "PaymentAuthorized" | "PaymentReceived") | (Some(Created), "CashOnDelivery") => Confirmed,
        (Some(Confirmed), "OrderAcceptedByRestaurant") => Accepted,
        (Some(Confirmed), "OrderRejectedByRestaurant") => Rejected,
        (Some(Accepted), "FoodPreparing") => Preparing,
        (Some(Preparing), "OrderReadyForPickup") => ReadyForPickup,
        (Some(ReadyForPickup), "DriverAssigned") => Assigned,
        (Some(Assigned | EnRouteToRestaurant | AtRestaurant), "DriverUnassigned") => ReadyForPickup,
        (Some(Assigned), "DriverEnRouteToRestaurant") => EnRouteToRestaurant,
        (Some(EnRouteToRestaurant), "DriverArrivedAtRestaurant") => AtRestaurant,
        (Some(AtRestaurant), "OrderPickedUp") => PickedUp,
        (Some(PickedUp), "DriverEnRouteToCustomer") => EnRouteToCustomer,
        (Some(EnRouteToCustomer), "DriverArrivedAtCustomer") => AtCustomer,
        (Some(AtCustomer), "OrderDelivered") => Delivered,
        (Some(Delivered), "PaymentCaptured") => Settled,
        (
            Some(
                state @ (Confirmed | Accepted | Preparing | ReadyForPickup | Assigned | EnRouteToRestaurant | AtRestaurant | PickedUp
                | EnRouteToCustomer | AtCustomer),
            ),
            "PaymentCaptured",
        ) => state,
        (Some(PickedUp | EnRouteToCustomer | AtCustomer), "DeliveryFailed") => Cancelled,
        (Some(Created | PendingPayment | Confirmed | Accepted), "OrderCancelled") => Cancelled,
        (Some(Preparing | ReadyForPickup | Assigned | EnRouteToRestaurant | AtRestaurant), "OrderCancelled") => Cancelled,
        (Some(state @ (Accepted | Preparing)), "OrderDelayed") => state,
        (Some(state), "DropoffMoved") if !matches!(state, AtCustomer | Delivered | Settled | Rejected | Cancelled) => state,
        (Some(state @ (PickedUp | EnRouteToCustomer | AtCustomer)), "DriverReplaced") => state,
        (Some(state), "PaymentCaptureFailed" | "RefundInitiated" | "RefundSettled") => state,
        _ => return None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// The served events alone, walked along the contract's graph, lead to the order's state: the leg is invisible until it is folded in.
    #[test]
    fn served_events_walk_the_contract(commands in commands()) {
        let mut life = Life::default();
        let mut walked = None;
        for command in &commands {
            for event in life.run(command, T0).unwrap_or_default() {
                if let Some(name) = event.name() {
                    let next = by_contract(walked, name);
                    prop_assert!(next.is_some(), "{} while {:?}, by {:?}", name, walked, command);
                    walked = next;
                }
            }
            prop_assert_eq!(walked, life.state());
        }
    }

    /// Stored, read back and folded again, a stream gives the same order; and it counts its events.
    #[test]
    fn the_order_is_the_fold_of_its_stream(commands in commands()) {
        let mut life = Life::default();
        for command in &commands {
            let _ = life.run(command, T0);
        }
        let stored: Vec<Recorded> = life.stream.iter().map(|event| Recorded::from_bytes(&event.to_bytes()).expect("decodes")).collect();
        prop_assert_eq!(&fold(order_id(), &stored), &life.order);
        let order = life.order.expect("it was placed");
        prop_assert_eq!(order.version as usize, stored.len());
        prop_assert_eq!(order.served as usize, stored.iter().filter(|event| event.event.name().is_some()).count());
    }

    /// What has ended stays as it ended.
    #[test]
    fn the_end_is_the_end(commands in commands()) {
        let mut life = Life::default();
        for command in &commands {
            let before = life.state();
            let _ = life.run(command, T0);
            if let Some(end) = before.filter(|state| state.is_final()) {
                prop_assert_eq!(life.state(), Some(end), "{:?}", command);
            }
        }
    }

    /// Nobody's word but the provider's makes an order paid, nobody's but the merchant's makes it accepted, and no door is passed without its
    /// code, a photo where that counts, or support's word.
    #[test]
    fn no_gate_is_skipped(commands in commands()) {
        let mut life = Life::default();
        for command in &commands {
            let photo_is_proof = life.order.as_ref().is_some_and(|order| order.created.terms.photo_is_proof);
            for event in life.run(command, T0).unwrap_or_default() {
                let allowed = match &event {
                    Event::PaymentAuthorized { .. } => matches!(command, Command::Authorized { .. }),
                    Event::PaymentReceived { .. } => matches!(command, Command::Captured { .. }),
                    Event::OrderAcceptedByRestaurant { .. } => matches!(command, Command::Accept { .. }),
                    Event::OrderPickedUp { .. } => matches!(command, Command::PickUp { proof: Proof::Code(PICKUP) | Proof::Support(_), .. }),
                    Event::OrderDelivered { .. } => match command {
                        Command::Deliver { proof: Proof::Code(DELIVERY) | Proof::Support(_), .. } => true,
                        Command::Deliver { proof: Proof::Photo(_), .. } => photo_is_proof,
                        _ => false,
                    },
                    _ => true,
                };
                prop_assert!(allowed, "{:?} by {:?}", event, command);
            }
        }
    }

    /// An order is settled exactly when it was delivered and its money is here; nothing is due at the door after that.
    #[test]
    fn settled_is_delivered_and_paid(commands in commands()) {
        let mut life = Life::default();
        for command in &commands {
            let _ = life.run(command, T0);
            let order = life.order.as_ref().expect("it was placed first");
            let was_delivered = life.stream.iter().any(|event| matches!(event.event, Event::OrderDelivered { .. }));
            prop_assert_eq!(order.state == State::Settled, was_delivered && order.is_paid());
            if order.ended_at.is_some() {
                prop_assert_eq!(order.payment.cash_due, None);
            }
        }
    }
}

#[test]
fn five_wrong_codes_lock_a_door_for_ten_minutes() {
    let mut life = in_state(State::AtRestaurant);
    for _ in 0..4 {
        life.run(&pick_up(WRONG), T0).expect("a wrong code is counted");
    }
    assert!(life.clone().run(&pick_up(PICKUP), T0).is_ok(), "the fifth try may be right");
    life.run(&pick_up(WRONG), T0).expect("the fifth wrong one is counted too");
    let until = T0.plus_s(600);
    for at in [T0, T0.plus_s(1), until.minus_ms(1)] {
        assert_eq!(life.clone().run(&pick_up(PICKUP), at), Err(Refusal::Locked { until }));
    }
    let support = Command::PickUp { proof: Proof::Support("they called".to_owned()), reported_at: None };
    assert!(life.clone().run(&support, T0).is_ok(), "support may still");
    assert!(life.clone().run(&pick_up(PICKUP), until).is_ok(), "and the code again after ten minutes");
    // A door that was locked has five tries again, and the other door has its own count.
    life.run(&pick_up(WRONG), until).expect("counted from the start");
    life.run(&pick_up(PICKUP), until).expect("right");
    life.run(&deliver(Proof::Code(DELIVERY)), until).expect("the customer's door was never locked");
}

#[test]
fn cash_is_settled_at_the_door_and_an_early_capture_too() {
    for method in [Method::Cash, Method::Card] {
        let mut life = Life::default();
        life.run(&place(method, false), T0).expect("placed");
        if method == Method::Card {
            life.run(&Command::Authorized { intent: intent(1) }, T0).expect("authorised");
            life.run(&accept(), T0).expect("accepted");
            life.run(&captured(1), T0).expect("captured at acceptance");
            assert_eq!(life.state(), Some(State::Accepted), "an early capture leaves the state");
        } else {
            life.run(&accept(), T0).expect("accepted");
        }
        life.run(&Command::Ready, T0).expect("ready");
        life.run(&assign(1), T0).expect("assigned");
        life.run(&pick_up(PICKUP), T0).expect("picked up");
        if method == Method::Cash {
            let short = Command::Deliver { proof: Proof::Code(DELIVERY), cash_collected: Some(1), reported_at: None };
            assert!(matches!(life.run(&short, T0), Err(Refusal::CashDiffers { .. })));
        }
        let events = life.run(&deliver(Proof::Code(DELIVERY)), T0).expect("delivered");
        assert!(matches!(events.last(), Some(Event::PaymentCaptured { .. })));
        assert_eq!(life.state(), Some(State::Settled));
    }
}
