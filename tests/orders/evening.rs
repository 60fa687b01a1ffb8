//! Evenings: placed, cooked, carried, settled, or not.

use medina::city::catalog::Item;
use medina::city::catalog::model::ITEMS;
use medina::city::cities::Capture;
use medina::city::couriers;
use medina::city::dispatch::{JobState, jobs};
use medina::engine::attention::ATTENTION;
use medina::engine::{Caller, Denied, UserId};
use medina::money::books::chart::Code;
use medina::money::payments::{Method, Notice, Status, Subject, intents};
use medina::trade::failure::Failure;
use medina::trade::orders::kitchen::{self, Promise};
use medina::trade::orders::list::{Filter, Scope, page};
use medina::trade::orders::model::{Digits, Goods, OrderId, Refusal, State};
use medina::trade::orders::ride::{self, Milestone, Report, Taken};
use medina::trade::orders::views::OrderView;
use medina::trade::orders::{ending, placing, served};
use medina::trade::quotes::model::Refusal as QuoteRefusal;

use crate::world::{World, an_item, ghs};

async fn accept(world: &World, id: OrderId) {
    world.run(world.staff, move |tx| kitchen::accept(tx, id, Promise::Minutes(10))).await.expect("confirmed");
}

async fn says(world: &World, who: UserId, id: OrderId, to: Milestone, code: Option<Digits>) -> Result<Taken, Failure> {
    let reason = (who == world.support).then(|| "the courier called".to_owned());
    let report = Report { to, code, photo: None, at: None, cash_collected: None, reason };
    world.run(who, move |tx| ride::report(tx, id, report)).await
}

fn names(world: &World, id: OrderId) -> Vec<String> {
    served::events(&*world.view(), id, ghs()).iter().map(|event| event["type"].as_str().expect("a name").to_owned()).collect()
}

fn shown(world: &World, who: UserId, id: OrderId) -> serde_json::Value {
    let view = OrderView::of(&*world.view(), &Caller::user(who), &world.order(id), world.engine.now());
    serde_json::to_value(view).expect("encodes")
}

#[tokio::test(flavor = "multi_thread")]
async fn paid_in_cash() {
    let world = World::new(|_| ()).await;
    let id = world.place(Method::Cash).await;
    let order = world.order(id);
    let total = order.created.amounts.total;
    assert_eq!((order.state, order.payment.cash_due), (State::Confirmed, Some(total)));

    accept(&world, id).await;
    world.courier_takes(id).await;
    assert_eq!((world.order(id).state, world.order(id).courier), (State::Accepted, Some(world.courier)), "the leg runs beside the state");
    says(&world, world.rider, id, Milestone::AtRestaurant, None).await.expect("a courier may be early");
    assert_eq!(shown(&world, world.customer, id)["delivery"]["leg"], "AT_RESTAURANT");

    let wrong = says(&world, world.rider, id, Milestone::PickedUp, Some(*b"    ")).await;
    assert!(matches!(wrong, Ok(Taken::WrongCode { attempts_left: 4 })), "{wrong:?}");
    says(&world, world.rider, id, Milestone::PickedUp, Some(order.created.pickup_code)).await.expect("the merchant's code");
    assert_eq!(world.order(id).state, State::PickedUp);
    says(&world, world.rider, id, Milestone::Delivered, Some(order.created.delivery_code)).await.expect("the customer's code");

    assert_eq!(world.order(id).state, State::Settled);
    let expected = [
        "OrderCreated",
        "CashOnDelivery",
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
        "PaymentCaptured",
    ];
    assert_eq!(names(&world, id), expected);
    assert_eq!(world.balance(Code::Escrow, id.as_u128()), 0);
    assert_eq!(world.balance(Code::CourierCash, world.courier.as_u128()), -i128::from(total));
    assert!(world.balance(Code::MerchantPayable, world.merchant.as_u128()) > 0);
    assert!(couriers::presence(&*world.view(), world.courier).carries.is_empty());
    let job = jobs::of_subject(&*world.view(), id.as_u128()).expect("there was one").1;
    assert!(matches!(job.state, JobState::Done { .. }));
    world.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn paid_by_card_at_the_door_or_at_acceptance() {
    for early in [false, true] {
        let world = World::new(move |settings| settings.capture = if early { Capture::Acceptance } else { Capture::Delivery }).await;
        let id = world.place(Method::Card).await;
        let total = world.order(id).created.amounts.total;
        assert_eq!(world.order(id).state, State::PendingPayment);
        let refused = world.run(world.staff, move |tx| kitchen::accept(tx, id, Promise::Usual)).await;
        assert!(
            matches!(refused, Err(Failure::Refused(Refusal::Illegal { from: State::PendingPayment, to: State::Accepted }))),
            "{refused:?}"
        );

        world.provider_says(id, Notice::Authorized).await;
        assert_eq!(world.order(id).state, State::Confirmed);
        accept(&world, id).await;
        let intent = world.order(id).payment.intent.expect("it has one");
        let asked = || intents::get(&*world.view(), intent).expect("it exists").capture_asked.is_some();
        assert_eq!(asked(), early);
        if early {
            world.provider_says(id, Notice::Captured { amount: total }).await;
            assert_eq!(world.order(id).state, State::Accepted, "an early capture leaves the state");
        }
        world.run(world.staff, move |tx| kitchen::ready(tx, id)).await.expect("accepted");
        world.courier_takes(id).await;
        let created = world.order(id).created;
        says(&world, world.rider, id, Milestone::PickedUp, Some(created.pickup_code)).await.expect("the merchant's code");
        says(&world, world.rider, id, Milestone::Delivered, Some(created.delivery_code)).await.expect("the customer's code");
        if !early {
            assert_eq!((world.order(id).state, asked()), (State::Delivered, true));
            world.provider_says(id, Notice::CaptureFailed { reason: "try again".to_owned() }).await;
            assert_eq!(world.order(id).state, State::Delivered);
            assert!(ATTENTION.has(&*world.view(), &("capture_failed".to_owned(), id.to_string())));
            world
                .run(world.support, move |tx| Ok(intents::capture(tx, intent, None).map(drop).and(authorize(tx))?))
                .await
                .expect("support tries again");
            world.provider_says(id, Notice::Captured { amount: total }).await;
            assert!(!ATTENTION.has(&*world.view(), &("capture_failed".to_owned(), id.to_string())));
        }
        assert_eq!(world.order(id).state, State::Settled);
        assert_eq!(names(&world, id).last().map(String::as_str), Some("PaymentCaptured"));
        assert_eq!(world.balance(Code::Escrow, id.as_u128()), 0);
        world.check();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_try_and_a_payment_taken_back() {
    let world = World::new(|_| ()).await;
    let intent_of = |id| world.order(id).payment.intent.expect("it has one");
    let id = world.place(Method::Card).await;
    let first = intent_of(id);
    world.provider_says(id, Notice::Declined { code: "insufficient_funds".to_owned() }).await;
    assert_eq!(world.order(id).state, State::PendingPayment);
    let retried = move |tx: &mut medina::engine::Tx<'_, '_>| {
        intents::retry(tx, Subject::order(id.as_u128()), Method::Card).map_err(|refusal| refusal.to_string().into())
    };
    world.system(retried).await;
    assert_ne!(intent_of(id), first);
    world.provider_says(id, Notice::Authorized).await;
    assert_eq!(world.order(id).state, State::Confirmed);

    // While nothing is cooked yet the order ends with its payment.
    let cancel =
        async |intent| world.system(move |tx| intents::cancel(tx, intent).map(drop).map_err(|refusal| refusal.to_string().into())).await;
    cancel(intent_of(id)).await;
    assert_eq!(world.order(id).state, State::Cancelled);

    // Later the food is brought, and a person sees to the money.
    let id = world.place(Method::Card).await;
    world.provider_says(id, Notice::Authorized).await;
    accept(&world, id).await;
    world.run(world.staff, move |tx| kitchen::ready(tx, id)).await.expect("accepted");
    world.courier_takes(id).await;
    cancel(intent_of(id)).await;
    assert!(ATTENTION.has(&*world.view(), &("capture_failed".to_owned(), id.to_string())));
    let created = world.order(id).created;
    says(&world, world.rider, id, Milestone::PickedUp, Some(created.pickup_code)).await.expect("the merchant's code");
    says(&world, world.rider, id, Milestone::Delivered, Some(created.delivery_code)).await.expect("the customer's code");
    assert_eq!(world.order(id).state, State::Delivered);
    assert_eq!(names(&world, id).last().map(String::as_str), Some("PaymentCaptureFailed"));
    world.check();
}

/// Lets a test's bare call of money commit as what its route would ask.
fn authorize(tx: &mut medina::engine::Tx<'_, '_>) -> Result<(), medina::money::payments::Refusal> {
    let resource = medina::engine::Resource::new("Intent", "test").with("payer", "nobody");
    tx.authorize(&medina::engine::Question::new("intents.capture", resource)).map_err(|_| medina::money::payments::Refusal::Unknown)
}

#[tokio::test(flavor = "multi_thread")]
async fn unpaid_and_unaccepted() {
    let world = World::new(|_| ()).await;
    let (unpaid, unaccepted) = (world.place(Method::Card).await, world.place(Method::Cash).await);
    world.advance(119).await;
    let listed = |id: OrderId| ATTENTION.has(&*world.view(), &("order_unseen".to_owned(), id.to_string()));
    assert!(!listed(unaccepted));
    world.advance(1).await;
    assert!(listed(unaccepted) && !listed(unpaid));
    world.run(world.staff, move |tx| kitchen::see(tx, &[unaccepted])).await.expect("staff may look");
    assert!(!listed(unaccepted));

    world.advance(479).await;
    assert_eq!(world.order(unaccepted).state, State::Confirmed);
    world.advance(1).await;
    let order = world.order(unaccepted);
    assert_eq!((order.state, order.reason.as_deref()), (State::Rejected, Some("unaccepted")));

    world.advance(300).await;
    let order = world.order(unpaid);
    assert_eq!((order.state, order.reason.as_deref()), (State::Cancelled, Some("unpaid")));
    // The payer was slower than the clock: nobody keeps the authorisation.
    world.provider_says(unpaid, Notice::Authorized).await;
    assert_eq!(world.order(unpaid).state, State::Cancelled);
    let intent = intents::get(&*world.view(), order.payment.intent.expect("it has one")).expect("it exists");
    assert!(intent.void_asked && matches!(intent.status, Status::Expired | Status::Cancelled), "{intent:?}");
    world.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may() {
    let world = World::new(|_| ()).await;
    let id = world.place(Method::Cash).await;
    let by = async |who: UserId| world.run(who, move |tx| kitchen::accept(tx, id, Promise::Usual)).await.map(|order| order.state);
    assert!(matches!(by(world.stranger).await, Err(Failure::Denied(Denied::NotFound))), "another merchant");
    assert!(matches!(by(world.customer).await, Err(Failure::Denied(Denied::Forbidden))), "a role that never may");
    assert!(matches!(by(world.staff).await, Ok(State::Accepted)));
    let rider = says(&world, world.rider, id, Milestone::AtRestaurant, None).await;
    assert!(matches!(rider, Err(Failure::Denied(Denied::NotFound))), "not their order (yet): {rider:?}");

    // Codes and contacts, each to whom they belong.
    let field = |who, name: &str| shown(&world, who, id)[name].clone();
    assert!(field(world.customer, "delivery_code").is_string() && field(world.customer, "pickup_code").is_null());
    assert!(field(world.staff, "pickup_code").is_string() && field(world.staff, "delivery_code").is_null());
    assert!(field(world.support, "pickup_code").is_null() && field(world.support, "delivery_code").is_null());
    assert_eq!(field(world.staff, "customer")["name"], "Ama");
    world.courier_takes(id).await;
    assert!(field(world.rider, "pickup_code").is_null() && field(world.rider, "delivery_code").is_null());
    assert_eq!(field(world.customer, "courier")["name"], "Kofi");
    world
        .run(world.customer, move |tx| ending::cancel(tx, id, "hungry no more".to_owned(), None, Goods::Returned))
        .await
        .expect("free before cooking");
    assert_eq!(field(world.staff, "customer")["name"], "Ama");
    world.advance(3601).await;
    assert!(field(world.staff, "customer")["name"].is_null());
    assert_eq!(field(world.customer, "customer")["name"], "Ama", "one's own name is no secret");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quote_holds_until_it_expires_and_once() {
    let world = World::new(|_| ()).await;
    let (merchant, item) = (world.merchant, world.items[0]);
    let place = async |quote| world.run(world.customer, move |tx| placing::place(tx, quote, Method::Cash)).await;
    let quote = world.quote(0).await.expect("open, near and available");
    let change = async |price, available| {
        let row = Item { available, ..an_item(merchant, "Waakye", price, world.engine.now()) };
        world
            .system(move |tx| {
                ITEMS.put(tx, &item, &row);
                Ok(())
            })
            .await;
    };
    change(9_999, true).await;
    let order = place(quote).await.expect("the old price holds");
    assert_eq!(order.created.amounts.subtotal, 4500);
    assert!(matches!(place(quote).await, Err(Failure::QuoteUsed { order: used }) if used == order.id));

    let quote = world.quote(0).await.expect("dearer by now");
    let mine = world.run(world.stranger, move |tx| placing::place(tx, quote, Method::Cash)).await;
    assert!(matches!(mine, Err(Failure::Denied(Denied::NotFound))));
    let refused = world.run(world.customer, move |tx| placing::place(tx, quote, Method::Wallet)).await;
    assert!(matches!(refused, Err(Failure::MethodUnavailable { .. })));
    change(9_999, false).await;
    assert!(matches!(place(quote).await, Err(Failure::Quote(QuoteRefusal::ItemUnavailable { items, .. })) if items == [item]));
    change(9_999, true).await;
    world.advance(600).await;
    assert!(matches!(place(quote).await, Err(Failure::QuoteExpired { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn given_back_and_failed() {
    let world = World::new(|_| ()).await;
    let id = world.place(Method::Card).await;
    world.provider_says(id, Notice::Authorized).await;
    accept(&world, id).await;
    world.run(world.staff, move |tx| kitchen::ready(tx, id)).await.expect("accepted");
    world.courier_takes(id).await;
    world.run(world.rider, move |tx| ride::release(tx, id, "flat tyre")).await.expect("before pick-up");
    assert_eq!((world.order(id).state, world.order(id).courier), (State::ReadyForPickup, None));
    let job = jobs::of_subject(&*world.view(), id.as_u128()).expect("there is one").1;
    assert!(!job.state.is_over() && !matches!(job.state, JobState::Assigned { .. }), "somebody else is looked for");

    let denied = world.run(world.customer, move |tx| ending::cancel(tx, id, "too late".to_owned(), None, Goods::Returned)).await;
    assert!(matches!(denied, Err(Failure::Refused(Refusal::NotCancellable { .. }))));
    let total = world.order(id).total();
    let cancelled = world
        .run(world.support, move |tx| ending::cancel(tx, id, "kitchen fire".to_owned(), None, Goods::Returned))
        .await
        .expect("support may");
    assert_eq!((cancelled.order.state, cancelled.fee.amount, cancelled.refund.amount), (State::Cancelled, 0, total));
    let intent = intents::get(&*world.view(), world.order(id).payment.intent.expect("it has one")).expect("it exists");
    assert_eq!((intent.status, intent.closed), (Status::Cancelled, true));
    world.check();

    let id = world.place(Method::Cash).await;
    accept(&world, id).await;
    world.courier_takes(id).await;
    let created = world.order(id).created;
    says(&world, world.rider, id, Milestone::PickedUp, Some(created.pickup_code)).await.expect("the merchant's code");
    world
        .run(world.support, move |tx| ending::cancel(tx, id, "nobody there".to_owned(), None, Goods::Disposed))
        .await
        .expect("support may");
    assert_eq!(world.order(id).state, State::Cancelled);
    assert_eq!(names(&world, id).last().map(String::as_str), Some("DeliveryFailed"));
    assert!(couriers::presence(&*world.view(), world.courier).carries.is_empty());
    world.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_codes_are_remembered_and_support_may_still() {
    let world = World::new(|_| ()).await;
    let id = world.place(Method::Cash).await;
    accept(&world, id).await;
    world.courier_takes(id).await;
    for left in [4, 3, 2, 1, 0] {
        let wrong = says(&world, world.rider, id, Milestone::PickedUp, Some([0; 4])).await;
        assert!(matches!(wrong, Ok(Taken::WrongCode { attempts_left }) if attempts_left == left), "{wrong:?}");
    }
    let code = world.order(id).created.pickup_code;
    let locked = says(&world, world.rider, id, Milestone::PickedUp, Some(code)).await;
    assert!(matches!(locked, Err(Failure::Refused(Refusal::Locked { .. }))));
    says(&world, world.support, id, Milestone::PickedUp, None).await.expect("support may still");
    assert_eq!(world.order(id).state, State::PickedUp);
    assert!(!names(&world, id).iter().any(|name| name.contains("Code")), "tries are no one's news");
    world.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_newest_first_and_ones_own() {
    let world = World::new(|_| ()).await;
    let mut placed = Vec::new();
    for _ in 0..5 {
        placed.push(world.place(Method::Cash).await);
        world.advance(1).await;
    }
    placed.reverse();
    let (gone, middle) = (placed[1], placed[2]);
    world.run(world.customer, move |tx| ending::cancel(tx, gone, "no".to_owned(), None, Goods::Returned)).await.expect("free");
    let view = world.view();
    let list = |who: UserId, filter: &Filter| -> Vec<OrderId> {
        let scope = Scope::of(&*view, &Caller::user(who)).expect("somebody");
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let (orders, next) = page(&*view, &scope, filter, 2, after);
            assert!(orders.len() <= 2);
            found.extend(orders.iter().map(|order| order.id));
            after = next;
            if after.is_none() {
                return found;
            }
        }
    };
    let all = Filter::default();
    for who in [world.customer, world.staff, world.support] {
        assert_eq!(list(who, &all), placed);
    }
    for who in [world.stranger, world.rider] {
        assert_eq!(list(who, &all), []);
    }
    let active = Filter { active: Some(true), ..Filter::default() };
    assert_eq!(list(world.staff, &active), [placed[0], placed[2], placed[3], placed[4]]);
    assert_eq!(list(world.support, &Filter { states: vec![State::Cancelled], ..Filter::default() }), [gone]);
    let number = world.order(middle).created.number;
    for who in [world.support, world.customer] {
        assert_eq!(list(who, &Filter { number: Some(number.to_lowercase()), ..Filter::default() }), [middle]);
    }
    let created_at = world.order(middle).created_at;
    assert_eq!(list(world.support, &Filter { from: Some(created_at), ..Filter::default() }), placed[..3]);
    assert_eq!(list(world.support, &Filter { to: Some(created_at), ..Filter::default() }), placed[3..]);
    assert_eq!(list(world.support, &Filter { merchant: Some(storage::Id::from_u128(99)), ..Filter::default() }), []);
}
