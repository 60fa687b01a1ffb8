//! On the way: what customers are told, what merchants hear, what is measured and learned at the end; and where nobody is sent.

use std::sync::Arc;

use axum::Router;
use index::roads::{Cost, Network, RoadMap, Street};
use medina::city::cities::CityId;
use medina::city::couriers::Vehicle;
use medina::city::eta::model::{ERRORS, EXPECTED};
use medina::city::eta::{EtaWatcher, views};
use medina::city::tracking::{Ping, Received, Tracking};
use medina::city::travel::learned::Trip;
use medina::city::travel::{Travel, trips};
use medina::city::zones;
use medina::city::zones::model::INSIDE;
use medina::city::zones::watcher::Borders;
use medina::edge::Gate;
use medina::edge::layers::{Traffic, wrap};
use medina::engine::attention::ATTENTION;
use medina::engine::event::EVENTS;
use medina::engine::{Fault, UserId};
use medina::money::payments::Method;
use medina::people::users::{self, NewUser, Role};
use medina::trade;
use medina::trade::orders::kitchen::{self, Promise};
use medina::trade::orders::model::{Digits, OrderId};
use medina::trade::orders::moving;
use medina::trade::orders::ride::{self, Milestone, Report};
use serde_json::{Value, json};
use storage::Id;

use crate::wire::{Names, call};
use crate::world::{World, at};

const CITY: u128 = 1;
/// Degrees of latitude of a metre.
const METRE: f64 = 1.0 / 111_195.0;

fn city() -> CityId {
    Id::from_u128(CITY)
}

/// Metres north of the kitchen. The door is 1112 m north of it.
fn north(metres: f64) -> index::geo::Point {
    at(5.6 + metres * METRE, -0.2)
}

fn routes(world: &World, tracking: &Arc<Tracking>) -> Router {
    let services = trade::Services { tracking: tracking.clone(), keyring: world.people.keyring.clone() };
    let gate = Gate { engine: world.engine.clone(), authenticate: Arc::new(Names) };
    let routes = trade::routes(services).merge(zones::routes());
    wrap(routes.split_for_parts().0, gate, Arc::new(Traffic::default()))
}

async fn says(world: &World, id: OrderId, to: Milestone, code: Option<Digits>) {
    let report = Report { to, code, photo: None, at: None, cash_collected: None, reason: None };
    world.run(world.rider, move |tx| ride::report(tx, id, report)).await.expect("the rider may");
}

fn ping(world: &World, tracking: &Tracking, metres: f64) {
    let ping = Ping { point: north(metres), at: world.engine.now(), accuracy_m: None, speed_mps: None, heading_deg: None, seq: None };
    let counted = tracking.accept_pings(&*world.view(), world.courier, Vehicle::Bike, &[ping], Received::now(world.engine.clock()));
    assert_eq!(counted.accepted, 1, "{metres}");
}

/// All events so far: name, topics, data.
fn events(world: &World) -> Vec<(String, Vec<String>, Value)> {
    let shown =
        |event: medina::engine::event::StoredEvent| (event.name, event.topics, serde_json::from_str(&event.data).expect("events are JSON"));
    EVENTS.scan(&*world.view()).map(|(_, event)| shown(event)).collect()
}

fn named(world: &World, name: &str) -> Vec<(Vec<String>, Value)> {
    events(world).into_iter().filter(|(found, ..)| found == name).map(|(_, topics, data)| (topics, data)).collect()
}

/// Waits until a commit makes it true.
async fn until(world: &World, is_so: impl Fn() -> bool) {
    let mut commits = world.engine.positions();
    loop {
        commits.borrow_and_update();
        if is_so() {
            return;
        }
        commits.changed().await.expect("the engine runs");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_is_followed_told_and_measured() {
    let figures = medina::ops::health::recorder();
    let world = World::new(|_| ()).await;
    world.advance(0).await;
    let tracking = Arc::new(Tracking::default());
    let app = routes(&world, &tracking);
    tokio::spawn(EtaWatcher::new(tracking.clone()).run(world.engine.clone()));
    let id = world.place(Method::Cash).await;
    let subject = id.as_u128();
    world.run(world.staff, move |tx| kitchen::accept(tx, id, Promise::Minutes(1))).await.expect("confirmed");
    world.run(world.staff, move |tx| kitchen::ready(tx, id)).await.expect("it is ready");
    world.courier_takes(id).await;
    let begun = world.engine.now();
    let left = |world: &World| world.order(id).eta.expect("it is under way").ms_since(begun) / 1000;
    assert_eq!(left(&world), 1_500, "as dispatch said");

    // 2 km south of the counter at 5 m/s, two minutes there, 1112 m to the door.
    ping(&world, &tracking, -2_000.0);
    until(&world, || world.order(id).eta != Some(begun.plus_s(1_500))).await;
    assert!((741..=744).contains(&left(&world)), "{}", left(&world));
    assert_eq!(named(&world, "CourierNear"), []);
    let told = named(&world, "EtaChanged");
    assert_eq!(told.last().map(|(topics, _)| topics.clone()), Some(vec![format!("order:{id}")]));
    let count = told.len();

    // A little behind and a little ahead is no news; nearness is.
    for (passed_s, metres) in [(60, -1_750.0), (60, -1_500.0), (180, -560.0)] {
        world.advance(passed_s).await;
        ping(&world, &tracking, metres);
    }
    until(&world, || !named(&world, "CourierNear").is_empty()).await;
    assert_eq!(named(&world, "EtaChanged").len(), count);
    let near = named(&world, "CourierNear");
    assert_eq!(near.len(), 1);
    assert_eq!(near[0].0, [format!("order:{id}"), format!("merchant:{}", world.merchant)]);
    assert_eq!((&near[0].1["stop"], &near[0].1["distance_m"]), (&json!("pickup"), &json!(560)));

    let (status, track) = call(&app, world.customer, "GET", &format!("/v1/orders/{id}/track"), None, Value::Null).await;
    let line = track["route"]["coordinates"].as_array().expect("a line").clone();
    assert_eq!((status, line.len(), &track["route"]["type"]), (200, 3, &json!("LineString")), "{track}");
    assert_eq!(track["eta"], json!(world.order(id).eta.expect("under way").to_string()));

    world.advance(100).await;
    let order = world.order(id);
    says(&world, id, Milestone::PickedUp, Some(order.created.pickup_code)).await;
    ping(&world, &tracking, 0.0);
    until(&world, || EXPECTED.get(&*world.view(), &subject).is_some_and(|expected| expected.at_pickup.is_some())).await;
    let thought = EXPECTED.get(&*world.view(), &subject).expect("under way").at_pickup.expect("just seen");
    assert_eq!(thought.ms_since(world.engine.now()) / 1000, 223);
    // A flat tyre: ten minutes for what takes four.
    world.advance(600).await;
    ping(&world, &tracking, 1_000.0);
    until(&world, || named(&world, "CourierNear").len() == 2).await;
    assert_eq!(named(&world, "CourierNear")[1].1["stop"], json!("dropoff"));
    says(&world, id, Milestone::AtCustomer, None).await;
    world.advance(240).await;
    says(&world, id, Milestone::Delivered, Some(order.created.delivery_code)).await;

    // Handing over took its time, but the promise was about the door.
    let view = world.view();
    let [assigned, picked_up] = [0, 1].map(|since| ERRORS.get(&*view, &(city(), since)).expect("it was measured"));
    assert_eq!((assigned.count, assigned.sum_s), (1, 1_000 - 1_500));
    assert_eq!((picked_up.count, picked_up.sum_s, picked_up.sum_abs_s), (1, 600 - 223, 377));
    assert_eq!(views::errors(&*view)["pickup"]["within"], json!({ "60": 0, "120": 0, "300": 0, "600": 1, "1200": 1, "2400": 1 }));
    assert_eq!(EXPECTED.get(&*view, &subject), None);
    let figures = figures.render();
    let bucket = |line: &&str| {
        line.starts_with("medina_eta_error_seconds_bucket") && line.contains("since=\"pickup\"") && line.contains("le=\"600\"")
    };
    let counted = figures.lines().find(bucket).and_then(|line| line.split(' ').next_back()?.parse::<u64>().ok());
    assert!(counted.is_some_and(|count| count > 0), "{figures}");
    let learned = trips::PACES.scan(&*view).map(|((of, by, hour), pace)| (of, by, hour, pace.trips)).collect::<Vec<_>>();
    assert_eq!(learned, [(city(), 0, 12, 1), (city(), 0, 24, 1)], "a trip at noon");
    assert_eq!(trips::LAST_STOPS.scan(&*view).count(), 0);
    world.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_courier_is_expected_no_more() {
    let world = World::new(|_| ()).await;
    let id = world.place(Method::Cash).await;
    world.run(world.staff, move |tx| kitchen::accept(tx, id, Promise::Minutes(10))).await.expect("confirmed");
    world.courier_takes(id).await;
    assert!(EXPECTED.get(&*world.view(), &id.as_u128()).is_some());
    world.run(world.rider, move |tx| ride::release(tx, id, "a flat tyre")).await.expect("before the pick-up");
    assert_eq!(EXPECTED.get(&*world.view(), &id.as_u128()), None);
    assert_eq!(ERRORS.scan(&*world.view()).count(), 0, "nobody arrived");
    world.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn quotes_go_by_what_was_learned_and_by_the_map() {
    let world = World::new(|_| ()).await;
    let tracking = Arc::new(Tracking::default());
    let quoted = async |app: &Router, cart: &str| {
        let items = json!([{ "item_id": world.items[0], "quantity": 1 }]);
        let body = json!({ "merchant_id": world.merchant, "items": items });
        assert_eq!(call(app, world.customer, "PUT", &format!("/v1/carts/{cart}"), None, body).await.0, 200);
        let asked = json!({ "cart_id": cart, "dropoff": { "lat": 5.61, "lon": -0.2 } });
        let (status, quote) = call(app, world.customer, "POST", "/v1/quotes", None, asked).await;
        assert_eq!(status, 201, "{quote}");
        (quote["distance_m"].as_u64().expect("metres"), quote["eta"]["delivery_minutes"].as_u64().expect("minutes"))
    };
    let app = routes(&world, &tracking);
    let cart = "cart_01h455vb4pex5vsknk084sn02q";
    assert_eq!(quoted(&app, cart).await, (1_112, 14), "10 to cook, 223 s at 5 m/s");
    for (slow, minutes) in [(29, 14), (371, 20)] {
        world
            .system(move |tx| {
                (0..slow).for_each(|_| trips::learn(tx, city(), Vehicle::Bike, Trip { metres: 2_000, seconds: 1_000 }));
                Ok::<_, Fault>(())
            })
            .await;
        assert_eq!(quoted(&app, cart).await, (1_112, minutes));
    }
    // Closed in the middle: around it, whoever knows the way.
    let admin = admin(&world).await;
    let wall = |purpose: &str| json!({ "name": "Market", "purpose": purpose, "area": block(500.0, 600.0) });
    let path = format!("/v1/cities/{}/zones", city());
    assert_eq!(call(&app, admin, "POST", &path, None, wall("watch")).await.0, 201);
    assert_eq!(quoted(&app, cart).await.0, 1_112, "what is only watched is no obstacle");
    let (status, closed) = call(&app, admin, "POST", &path, None, wall("no_go")).await;
    let (around, _) = quoted(&app, cart).await;
    assert!(status == 201 && (1_500..1_700).contains(&around), "{around} m around a block of 1.1 km");
    let zone = format!("/v1/zones/{}", closed["id"].as_str().expect("an id"));
    assert_eq!(call(&app, admin, "DELETE", &zone, None, Value::Null).await.0, 204);
    assert_eq!(quoted(&app, cart).await.0, 1_112);
    // By the map it is round three corners.
    let corner = |n: u32| [north(0.0), at(5.6, -0.21), at(5.61, -0.21), north(1_111.95)][n as usize];
    let street = |from, to| Street { from, to, cost: Cost::new(500, 11_000) };
    let streets = (0..3).flat_map(|n| [street(n, n + 1), street(n + 1, n)]).collect();
    let network = Network { points: (0..4).map(corner).collect(), streets, ..Network::default() };
    let map = RoadMap::of(&[network.clone(), network.clone(), network.clone(), network]).expect("a map");
    let tracking = Arc::new(Tracking::default());
    tracking.travels_by(Travel::Map(Arc::new(map)));
    assert_eq!(quoted(&routes(&world, &tracking), cart).await, (3_300, 13));
}

/// 1.1 km wide.
fn block(south_m: f64, north_m: f64) -> Value {
    let (south, north) = (5.6 + south_m * METRE, 5.6 + north_m * METRE);
    json!({ "type": "Polygon", "coordinates": [[[-0.205, south], [-0.195, south], [-0.195, north], [-0.205, north], [-0.205, south]]] })
}

fn square(south_m: f64, north_m: f64) -> Value {
    let (south, north) = (5.6 + south_m * METRE, 5.6 + north_m * METRE);
    json!({ "type": "Polygon", "coordinates": [[[-0.25, south], [-0.15, south], [-0.15, north], [-0.25, north], [-0.25, south]]] })
}

async fn admin(world: &World) -> UserId {
    let keyring = world.people.keyring.clone();
    world
        .system(move |tx| {
            let id = users::create(tx, &keyring, NewUser::default())?;
            users::grant_role(tx, id, Role::Admin).map_err(|refusal| Fault::new(refusal.to_string()))?;
            Ok(id)
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn zones_are_drawn_and_hold() {
    let world = World::new(|_| ()).await;
    let tracking = Arc::new(Tracking::default());
    let (app, admin) = (routes(&world, &tracking), admin(&world).await);
    let path = format!("/v1/cities/{}/zones", city());
    let zone = |name: &str, purpose: &str, area: Value| json!({ "name": name, "purpose": purpose, "area": area });
    let open = square(900.0, 1_200.0)["coordinates"][0].as_array().expect("a ring")[..4].to_vec();
    for (body, pointer, code) in [
        (zone("A", "delivery", json!({ "type": "Polygon", "coordinates": [open] })), "/area/coordinates/0", "not_a_ring"),
        (zone("A", "delivery", json!({ "type": "Polygon", "coordinates": [] })), "/area/coordinates", "not_an_area"),
        (zone("", "delivery", square(0.0, 1.0)), "/name", "required"),
        (zone("A", "playground", square(0.0, 1.0)), "/purpose", "not_allowed"),
        (json!({ "name": "A", "purpose": "watch", "area": square(0.0, 1.0), "colour": "red" }), "/colour", "unknown_field"),
    ] {
        let (status, problem) = call(&app, admin, "POST", &path, None, body).await;
        assert_eq!(
            (status, &problem["errors"][0]["pointer"], &problem["errors"][0]["code"]),
            (422, &json!(pointer), &json!(code)),
            "{problem}"
        );
    }
    let south = zone("South", "delivery", square(-3_000.0, 500.0));
    assert_eq!(call(&app, world.support, "POST", &path, None, south.clone()).await.0, 403);
    assert_eq!(call(&app, world.customer, "GET", &path, None, Value::Null).await.0, 403);

    // The door is 1112 m north: within the radius, outside the first zone, inside the second.
    let refused = async || world.quote(0).await.err().map(|failure| failure.to_string());
    assert_eq!(refused().await, None);
    let (status, first) = call(&app, admin, "POST", &path, None, south).await;
    assert_eq!((status, &first["version"], &first["active"]), (201, &json!(1), &json!(true)), "{first}");
    assert_eq!(refused().await.as_deref(), Some("the merchant does not deliver there"));
    let (status, north) = call(&app, admin, "POST", &path, None, zone("North", "delivery", square(400.0, 2_000.0))).await;
    assert_eq!((status, refused().await), (201, None), "{north}");
    let id = world.place(Method::Cash).await;
    world.run(world.staff, move |tx| kitchen::accept(tx, id, Promise::Minutes(10))).await.expect("confirmed");

    // A flood between the kitchen and the door's street: what is on its way there is somebody's decision.
    let waiting = world.quote(0).await.expect("not yet");
    let (status, flood) = call(&app, admin, "POST", &path, None, zone("Lagoon", "no_go", square(1_000.0, 1_200.0))).await;
    assert_eq!(status, 201, "{flood}");
    assert_eq!(refused().await.as_deref(), Some("nobody is sent to Lagoon at the moment"));
    let late = world.run(world.customer, move |tx| Ok(trade::orders::placing::place(tx, waiting, Method::Cash)?.id)).await;
    assert_eq!(
        late.err().map(|failure| failure.to_string()).as_deref(),
        Some("nobody is sent to Lagoon at the moment"),
        "also what was quoted before"
    );
    let moved = world.run(world.customer, move |tx| moving::move_dropoff(tx, &Tracking::default(), id, at(5.61, -0.2), None, None)).await;
    assert_eq!(
        moved.err().map(|failure| failure.to_string()).as_deref(),
        Some("nobody is sent to Lagoon at the moment"),
        "nor is a pin moved there"
    );
    let listed = || ATTENTION.get(&*world.view(), &("no_go".to_owned(), id.to_string())).is_some();
    assert!(listed());
    let (_, problem) = {
        let cart = "cart_01h455vb4pex5vsknk084sn02q";
        let body = json!({ "merchant_id": world.merchant, "items": [{ "item_id": world.items[0], "quantity": 1 }] });
        call(&app, world.customer, "PUT", &format!("/v1/carts/{cart}"), None, body).await;
        call(&app, world.customer, "POST", "/v1/quotes", None, json!({ "cart_id": cart, "dropoff": { "lat": 5.61, "lon": -0.2 } })).await
    };
    assert_eq!((&problem["code"], &problem["zone"]), (&json!("out_of_area"), &json!("Lagoon")), "{problem}");

    let one = |zone: &Value| format!("/v1/zones/{}", zone["id"].as_str().expect("an id"));
    let (status, held) = call(&app, world.support, "GET", &format!("{path}?lat=5.61&lon=-0.2"), None, Value::Null).await;
    let names: Vec<&Value> = held["data"].as_array().expect("a list").iter().map(|zone| &zone["name"]).collect();
    assert_eq!((status, names), (200, vec![&json!("North"), &json!("Lagoon")]));
    let (status, dry) = call(&app, admin, "PATCH", &one(&flood), None, json!({ "active": false })).await;
    assert_eq!((status, &dry["version"], refused().await), (200, &json!(2), None), "{dry}");
    let (status, wider) = call(&app, admin, "PATCH", &one(&first), None, json!({ "area": square(-3_000.0, 600.0) })).await;
    assert_eq!((status, &wider["area"]), (200, &square(-3_000.0, 600.0)));
    assert_eq!(call(&app, admin, "DELETE", &one(&north), None, Value::Null).await.0, 204);
    assert_eq!(refused().await.as_deref(), Some("the merchant does not deliver there"));
    assert_eq!(call(&app, admin, "GET", &one(&north), None, Value::Null).await.0, 404);
    assert_eq!(named(&world, "ZoneChanged").len(), 6);
    world.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_and_goes_is_told_once() {
    let world = World::new(|_| ()).await;
    world.advance(0).await;
    let tracking = Arc::new(Tracking::default());
    let (app, admin) = (routes(&world, &tracking), admin(&world).await);
    let path = format!("/v1/cities/{}/zones", city());
    let mut borders = Borders::restore(&*world.view());
    ping(&world, &tracking, 0.0);
    assert_eq!(borders.sweep(&world.view(), &tracking), [], "there is no border yet");
    let body = json!({ "name": "Harbour", "purpose": "watch", "area": square(-1_000.0, 1_000.0) });
    let (status, zone) = call(&app, admin, "POST", &path, None, body).await;
    assert_eq!(status, 201, "{zone}");

    let tell = async |borders: &mut Borders| {
        let crossings = borders.sweep(&world.view(), &tracking);
        let said = crossings.clone();
        world.system(move |tx| zones::commands::cross(tx, &said)).await;
        borders.told(&crossings);
        crossings.iter().map(|crossing| crossing.entered).collect::<Vec<bool>>()
    };
    assert_eq!(tell(&mut borders).await, [true], "whoever stands inside when it is drawn has come in");
    assert_eq!(tell(&mut borders).await, Vec::<bool>::new(), "once");
    // (seconds later, metres north of the middle, what is told). The border is at 1000.
    for (passed_s, metres, told) in [
        (60, 990.0, vec![]),
        (4, 1_010.0, vec![]),
        (4, 985.0, vec![]),
        (4, 1_015.0, vec![]),
        (19, 1_015.0, vec![]),
        (1, 1_016.0, vec![false]),
        (4, 995.0, vec![]),
        (4, 1_005.0, vec![]),
        (30, 960.0, vec![true]),
        (60, 1_031.0, vec![false]),
        (60, 0.0, vec![true]),
    ] {
        world.advance(passed_s).await;
        ping(&world, &tracking, metres);
        assert_eq!(tell(&mut borders).await, told, "{metres}");
    }
    let courier = world.courier;
    assert!(INSIDE.get(&*world.view(), &courier).is_some());
    // After a start nobody comes in again, and nobody has left for want of a position.
    let mut borders = Borders::restore(&*world.view());
    assert_eq!(borders.sweep(&world.view(), &Tracking::default()), []);
    assert_eq!(tell(&mut borders).await, Vec::<bool>::new());
    // Who stops work is nowhere.
    world
        .system(move |tx| {
            let mut presence = medina::city::couriers::presence(tx, courier);
            presence.availability = medina::city::couriers::Availability::Offline;
            medina::city::couriers::model::PRESENCES.put(tx, &courier, &presence);
            Ok::<_, Fault>(())
        })
        .await;
    tracking.gone(courier);
    assert_eq!(tell(&mut borders).await, [false]);
    assert_eq!(INSIDE.get(&*world.view(), &courier), None);
    let (entered, left) = (named(&world, "CourierEnteredZone"), named(&world, "CourierLeftZone"));
    assert_eq!((entered.len(), left.len()), (3, 3));
    assert_eq!(entered[0].0, [format!("courier:{courier}"), format!("city:{}", city())]);
    assert_eq!((&entered[0].1["zone"], &entered[0].1["purpose"]), (&json!("Harbour"), &json!("watch")));
    // The same crossing again is no news, whoever tells it.
    let zone = zone["id"].as_str().expect("an id").parse().expect("a zone's id");
    let again = zones::commands::Crossing { courier, zone, entered: false, at: world.engine.now() };
    world.system(move |tx| zones::commands::cross(tx, &[again])).await;
    assert_eq!(named(&world, "CourierLeftZone").len(), 3);
}
