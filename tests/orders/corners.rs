//! Corners: a part of the money, pictures at the door, roles that were taken away, rows that grow old.

use medina::city::cities::Proof;
use medina::city::media::MediaId;
use medina::city::media::model::{MEDIA, Media};
use medina::city::media::sniff::Format;
use medina::engine::attention::ATTENTION;
use medina::engine::{Caller, UserId};
use medina::money::Money;
use medina::money::books::chart::Code;
use medina::money::payments::{Method, Notice, RefundState, intents, notices, refunds};
use medina::people::users::{Role, USERS};
use medina::trade::carts::model::CARTS;
use medina::trade::failure::Failure;
use medina::trade::orders::kitchen::{self, Promise};
use medina::trade::orders::list::Scope;
use medina::trade::orders::model::{Digits, Goods, OrderId, Part, Refusal, State};
use medina::trade::orders::ride::{self, Milestone, Report, Taken};
use medina::trade::orders::{ending, parts, placing};
use medina::trade::quotes::model::QUOTES;

use crate::world::{World, ghs};

/// Placed, paid, cooked, and in the courier's bag.
async fn in_the_bag(world: &World, method: Method) -> OrderId {
    let id = world.place(method).await;
    if method != Method::Cash {
        world.provider_says(id, Notice::Authorized).await;
    }
    world.run(world.staff, move |tx| kitchen::accept(tx, id, Promise::Usual)).await.expect("confirmed");
    world.courier_takes(id).await;
    let code = world.order(id).created.pickup_code;
    says(world, id, Milestone::PickedUp, Some(code), None).await.expect("the merchant's code");
    id
}

async fn says(world: &World, id: OrderId, to: Milestone, code: Option<Digits>, photo: Option<MediaId>) -> Result<Taken, Failure> {
    let report = Report { to, code, photo, at: None, cash_collected: None, reason: None };
    world.run(world.rider, move |tx| ride::report(tx, id, report)).await
}

/// A picture of somebody's, added now.
async fn picture(world: &World, owner: UserId) -> MediaId {
    world
        .system(move |tx| {
            let id: MediaId = tx.new_id();
            let media = Media { owner, hash: [7; 32], format: Format::Jpeg, bytes: 3, created_at: tx.now() };
            MEDIA.put(tx, &id, &media);
            Ok(id)
        })
        .await
}

/// Support takes a part before the delivery: the order still settles, everybody is paid, and the platform bears what is missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_the_money_settles_the_order() {
    let world = World::new(|_| ()).await;
    let id = in_the_bag(&world, Method::Card).await;
    let order = world.order(id);
    let (intent, total) = (order.payment.intent.expect("it has one"), order.total());
    world.system(move |tx| intents::capture(tx, intent, Some(total - 300)).map(drop).map_err(|refusal| refusal.to_string().into())).await;
    world.provider_says(id, Notice::Captured { amount: total - 300 }).await;
    says(&world, id, Milestone::Delivered, Some(order.created.delivery_code), None).await.expect("the customer's code");
    assert_eq!(world.order(id).state, State::Settled);
    assert_eq!(world.balance(Code::Escrow, id.as_u128()), 0);
    assert_eq!(world.balance(Code::RefundsBorne, 0), -300);
    assert!(world.balance(Code::MerchantPayable, world.merchant.as_u128()) > 0);
    world.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_says_what_really_goes_back() {
    let world = World::new(|_| ()).await;
    let id = in_the_bag(&world, Method::Card).await;
    let (intent, total) = (world.order(id).payment.intent.expect("it has one"), world.order(id).total());
    let pays_back = async |amount: i64| {
        let money = Some(Money::new(amount, ghs()));
        world.system(move |tx| refunds::ask(tx, intent, money, "cold").map_err(|refusal| refusal.to_string().into())).await.id
    };
    world.system(move |tx| intents::capture(tx, intent, Some(total - 300)).map(drop).map_err(|refusal| refusal.to_string().into())).await;
    world.provider_says(id, Notice::Captured { amount: total - 300 }).await;
    let failed = pays_back(100).await;
    assert_eq!(world.order(id).payment.refunded, 100);
    world.provider_says(id, Notice::RefundFailed { refund: failed, reason: "closed account".to_owned() }).await;
    assert_eq!(world.order(id).payment.refunded, 0, "it is not on its way any more");
    let listed = || ATTENTION.has(&*world.view(), &("refund_failed".to_owned(), failed.to_string()));
    assert!(listed());
    pays_back(200).await;
    assert!(!listed(), "somebody has seen to it");
    let cancelled = world
        .run(world.support, move |tx| ending::cancel(tx, id, "nobody there".to_owned(), None, Goods::Returned))
        .await
        .expect("support may");
    assert_eq!(cancelled.refund.amount, total - 300 - 200);
    let intent = intents::get(&*world.view(), intent).expect("it exists");
    let pending: i64 = intent.refunds.iter().filter(|refund| refund.state == RefundState::Pending).map(|refund| refund.amount).sum();
    assert_eq!((pending, world.order(id).payment.refunded), (total - 300, total - 300));
    world.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_proves_only_if_the_courier_took_it_after_the_pick_up() {
    let world = World::new(|settings| settings.proof = Proof::CodeOrPhoto).await;
    let early = picture(&world, world.rider).await;
    world.advance(1).await;
    let id = in_the_bag(&world, Method::Cash).await;
    let somebody_elses = picture(&world, world.customer).await;
    for unusable in [early, somebody_elses, MediaId::from_u128(404)] {
        let refused = says(&world, id, Milestone::Delivered, None, Some(unusable)).await;
        assert!(matches!(&refused, Err(Failure::Invalid(invalid)) if invalid.pointer == "/photo"), "{refused:?}");
    }
    let photo = picture(&world, world.rider).await;
    for _ in 0..5 {
        says(&world, id, Milestone::Delivered, Some([0; 4]), None).await.expect("counted");
    }
    let locked = says(&world, id, Milestone::Delivered, None, Some(photo)).await;
    assert!(matches!(locked, Err(Failure::Refused(Refusal::Locked { .. }))), "{locked:?}");
    world.advance(601).await;
    says(&world, id, Milestone::Delivered, None, Some(photo)).await.expect("taken at the door");
    assert_eq!(world.order(id).state, State::Settled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_membership_without_its_role_shows_nothing() {
    let world = World::new(|_| ()).await;
    let id = in_the_bag(&world, Method::Cash).await;
    let order = world.order(id);
    let plays = |who, part| parts::plays(&*world.view(), who, &order, part);
    assert!(plays(world.staff, Part::Merchant) && plays(world.rider, Part::Courier));
    let (staff, rider) = (world.staff, world.rider);
    world
        .system(move |tx| {
            for who in [staff, rider] {
                let mut user = USERS.get(tx, &who).ok_or("nobody")?;
                user.roles = vec![Role::Customer];
                USERS.put(tx, &who, &user);
            }
            Ok(())
        })
        .await;
    assert!(!plays(world.staff, Part::Merchant) && !plays(world.rider, Part::Courier));
    for who in [staff, rider] {
        let scope = Scope::of(&*world.view(), &Caller::user(who));
        assert_eq!(scope, Some(Scope::Own { customer: who, merchants: vec![], courier: None }));
    }
}

/// What needs no row is refused before anybody learns whether there is one.
#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_told_before_the_order_is_looked_for() {
    let world = World::new(|_| ()).await;
    let nowhere = OrderId::from_u128(404);
    let pointer = |refused: Failure| match refused {
        Failure::Invalid(invalid) => invalid.pointer,
        other => other.to_string(),
    };
    let late = world.engine.now().plus_s(3600);
    let report = Report { to: Milestone::AtCustomer, code: None, photo: None, at: Some(late), cash_collected: None, reason: None };
    let told = world.run(world.rider, move |tx| ride::report(tx, nowhere, report).map(drop)).await;
    assert_eq!(told.map_err(pointer), Err("/at".to_owned()));
    let told = world.run(world.staff, move |tx| kitchen::accept(tx, nowhere, Promise::Minutes(9999)).map(drop)).await;
    assert_eq!(told.map_err(pointer), Err("/prep_minutes".to_owned()));
    let told = world.run(world.staff, move |tx| kitchen::accept(tx, nowhere, Promise::At(late.plus_s(90_000))).map(drop)).await;
    assert_eq!(told.map_err(pointer), Err("/ready_at".to_owned()));
    let fee = Some(Money::new(-1, ghs()));
    let told = world.run(world.customer, move |tx| ending::cancel(tx, nowhere, "no".to_owned(), fee, Goods::Left).map(drop)).await;
    assert_eq!(told.map_err(pointer), Err("/max_fee".to_owned()));
}

/// Tables of what nobody comes back for do not grow for ever: what is new takes what is old away.
#[tokio::test(flavor = "multi_thread")]
async fn the_old_is_swept_and_the_used_is_kept() {
    let world = World::new(|_| ()).await;
    let unused = world.quote(0).await.expect("open, near and available");
    let used = world.quote(0).await.expect("open, near and available");
    let id = world.run(world.customer, move |tx| Ok(placing::place(tx, used, Method::Card)?.id)).await.expect("the quote is fresh");
    world.provider_says(id, Notice::Authorized).await;
    let count = || {
        let view = world.view();
        (CARTS.scan(&*view).count(), QUOTES.scan(&*view).count(), notices::SEEN.scan(&*view).count())
    };
    assert_eq!(count(), (2, 2, 1));
    world.advance(31 * 86_400).await;
    world.quote(0).await.expect("open, near and available");
    world.provider_says(id, Notice::Authorized).await;
    assert_eq!(count(), (1, 2, 1));
    assert!(QUOTES.has(&*world.view(), &used) && !QUOTES.has(&*world.view(), &unused));
}
