//! An order that an operator puts into other hands: its history, its courier, its money.

use medina::city::couriers::model::{COURIERS, PRESENCES};
use medina::city::couriers::{self, Availability, Courier, CourierId, Presence, Status, Vehicle};
use medina::city::dispatch::by_hand::commands::{Wish, assign};
use medina::city::dispatch::model::SubjectId;
use medina::city::eta::model::EXPECTED;
use medina::city::place::Place;
use medina::engine::{Fault, UserId};
use medina::money::books::chart::Code;
use medina::money::payments::Method;
use medina::people::users::{self, NewUser, Role};
use medina::trade::failure::Failure;
use medina::trade::orders::kitchen::{self, Promise};
use medina::trade::orders::model::{Digits, OrderId, State};
use medina::trade::orders::ride::{self, Milestone, Report};
use medina::trade::orders::served;
use serde_json::{Value, json};
use storage::Id;

use crate::world::{World, at, ghs};

/// Another courier of the same city, who works.
async fn another(world: &World) -> (CourierId, UserId) {
    let (keyring, id): (_, CourierId) = (world.people.keyring.clone(), Id::from_u128(33));
    let city = Id::from_u128(1);
    let user = world
        .system(move |tx| {
            let user = users::create(tx, &keyring, NewUser::default())?;
            users::grant_role(tx, user, Role::Courier).map_err(|refusal| Fault::new(refusal.to_string()))?;
            users::bind_courier(tx, user, id.as_u128()).map_err(|refusal| Fault::new(refusal.to_string()))?;
            let now = tx.now();
            let account = Courier {
                user,
                city,
                vehicle: Vehicle::Bike,
                capacity: 2,
                plate: None,
                status: Status::Active,
                version: 1,
                created_at: now,
            };
            COURIERS.put(tx, &id, &account);
            let position = Some(Place::from(at(5.602, -0.2)));
            PRESENCES.put(tx, &id, &Presence { availability: Availability::Online, position, ..Presence::default() });
            Ok(user)
        })
        .await;
    (id, user)
}

async fn says(world: &World, who: UserId, id: OrderId, to: Milestone, code: Option<Digits>) -> Result<(), Failure> {
    let report = Report { to, code, photo: None, at: None, cash_collected: None, reason: None };
    world.run(who, move |tx| ride::report(tx, id, report)).await.map(drop)
}

async fn give(world: &World, id: OrderId, to: CourierId) {
    let wish = Wish { to: Some(to), instead_of: None, reason: "a crash".to_owned(), eta: None };
    let given = world.run(world.support, move |tx| {
        assign(tx, SubjectId::from_u128(id.as_u128()), &wish).map_err(|refusal| Fault::new(refusal.to_string()).into())
    });
    given.await.expect("support may");
}

fn history(world: &World, id: OrderId) -> Vec<(String, Value, Value)> {
    let rows = served::events(&*world.view(), id, ghs());
    rows.into_iter().map(|row| (row["type"].as_str().expect("a name").to_owned(), row["actor"].clone(), row["data"].clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_food_goes_on_in_another_bag() {
    let world = World::new(|_| ()).await;
    let (second, her) = another(&world).await;
    let id = world.place(Method::Cash).await;
    world.run(world.staff, move |tx| kitchen::accept(tx, id, Promise::Usual)).await.expect("confirmed");
    world.run(world.staff, move |tx| kitchen::ready(tx, id)).await.expect("it is ready");
    world.courier_takes(id).await;
    // Before the pick-up: off the one, onto the other.
    give(&world, id, second).await;
    assert_eq!((world.order(id).state, world.order(id).courier), (State::Assigned, Some(second)));
    give(&world, id, world.courier).await;
    let support = json!({ "kind": "support", "id": world.support });
    let told = history(&world, id);
    let last: Vec<(&str, &Value)> = told.iter().rev().take(4).map(|(name, actor, _)| (name.as_str(), actor)).collect();
    assert_eq!(last, ["DriverAssigned", "DriverUnassigned"].repeat(2).into_iter().map(|name| (name, &support)).collect::<Vec<_>>());
    // And after it.
    let code = world.order(id).created.pickup_code;
    says(&world, world.rider, id, Milestone::PickedUp, Some(code)).await.expect("the merchant's code");
    says(&world, world.rider, id, Milestone::EnRouteToCustomer, None).await.expect("under way");
    give(&world, id, second).await;
    let order = world.order(id);
    assert_eq!((order.state, order.courier), (State::EnRouteToCustomer, Some(second)), "where it is stays as it was reported");
    let (name, actor, data) = history(&world, id).pop().expect("there is a history");
    assert_eq!((name.as_str(), &actor), ("DriverReplaced", &support));
    assert_eq!((&data["from"], &data["courier_id"], &data["reason"]), (&json!(world.courier), &json!(second), &json!("a crash")));
    let expected = EXPECTED.get(&*world.view(), &id.as_u128()).expect("somebody is expected");
    assert_eq!((expected.courier, expected.arrived_at, Some(expected.shown)), (second, None, order.eta));
    // Whoever lost it has no say any more; whoever has it brings it, holds the cash and earns.
    let code = order.created.delivery_code;
    assert!(says(&world, world.rider, id, Milestone::Delivered, Some(code)).await.is_err());
    assert_eq!(world.order(id).state, State::EnRouteToCustomer);
    says(&world, her, id, Milestone::Delivered, Some(code)).await.expect("the customer's code");
    assert_eq!(world.order(id).state, State::Settled);
    assert!(couriers::presence(&*world.view(), second).carries.is_empty());
    let earned = |courier: CourierId| world.balance(Code::CourierPayable, courier.as_u128());
    assert_eq!(earned(world.courier), 0);
    assert_ne!(earned(second), 0);
    world.check();
}
