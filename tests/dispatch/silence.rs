//! Couriers' devices: silent, back again, out of reach altogether, somewhere they cannot be; breaks and the ends of shifts.

use medina::city::couriers::{self, Availability};
use medina::city::dispatch::model::RefusedBecause;
use medina::city::dispatch::watch::{ATTENTION_OUTAGE, Looked};
use medina::city::dispatch::{self, JobState, Watch, WatchConfig, silence};
use medina::city::tracking::doubt;
use medina::engine::attention::ATTENTION;
use medina::people::users::Role;
use serde_json::{Value, json};
use storage::Timestamp;

use crate::town::{NOON, Rider, Town, north};

const CONFIG: WatchConfig = WatchConfig { silent_seconds: 120, grace_seconds: 60 };

async fn start() -> (tempfile::TempDir, Town, Watch) {
    let dir = tempfile::tempdir().unwrap();
    let town = Town::start(dir.path()).await;
    let watch = Watch::new(town.tracking.clone(), CONFIG);
    (dir, town, watch)
}

/// The machine's seconds pass; the engine's time stands still.
fn machine_passes(town: &Town, seconds: u64) {
    town.machine.advance(seconds * 1000);
}

async fn look(town: &Town, watch: &Watch) -> (usize, usize, usize) {
    let Looked { lost, back, held } = watch.look(&town.engine).await.unwrap();
    town.settle().await;
    (lost, back, held)
}

async fn takes(town: &Town, rider: &Rider, subject: u128) {
    town.want(subject, 0).await;
    let offer = town.offers(rider).await.pop().expect("the nearest is asked");
    assert_eq!(town.answer(rider, &offer, "accept").await.0, 200);
}

fn holder(town: &Town, subject: u128) -> Option<couriers::CourierId> {
    match town.job(subject).state {
        JobState::Assigned { courier, .. } => Some(courier),
        _ => None,
    }
}

fn listed(town: &Town, kind: &str) -> Vec<String> {
    ATTENTION.scan(&*town.engine.view()).filter(|((of, _), _)| of == kind).map(|(_, row)| row.reason).collect()
}

async fn ping(town: &Town, rider: &Rider, metres: f64, at: Timestamp) -> Value {
    let mut ping = north(metres);
    ping["at"] = json!(at.to_string());
    let (status, counted) = town.send("POST", &rider.token, "/v1/couriers/me/pings", json!({ "pings": [ping] })).await;
    assert_eq!(status, 202, "{counted}");
    counted
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_silent_have_not_picked_up_goes_to_others() {
    let (_dir, town, watch) = start().await;
    let (near, far) = (town.online(300.0).await, town.online(900.0).await);
    takes(&town, &near, 1).await;
    machine_passes(&town, 119);
    town.offers(&far).await;
    assert_eq!(look(&town, &watch).await, (0, 0, 0), "two minutes are not over");
    let support = town.user(Role::Support).await;
    let (_, shown) = town.get(&support, "/v1/dispatch/nearby?lat=5.6&lon=-0.2").await;
    assert!(shown["data"][0].get("silent_since").is_none(), "{shown}");
    machine_passes(&town, 1);
    assert_eq!(look(&town, &watch).await, (1, 0, 0));
    assert_eq!(holder(&town, 1), Some(near.id), "there is a grace");
    let (_, shown) = town.get(&support, "/v1/dispatch/nearby?lat=5.6&lon=-0.2").await;
    assert_eq!(shown["data"][0]["silent_since"], json!(NOON.minus_s(120).to_string()), "{shown}");
    assert!(shown["data"][1].get("silent_since").is_none(), "{shown}");
    // Nothing new for somebody whom nobody hears.
    town.want(2, 0).await;
    let offer = town.offers(&far).await.pop().expect("the other one is asked although they are farther away");
    let order = dispatch::model::SubjectId::from_u128(2);
    let (_, shown) = town.get(&town.admin, &format!("/v1/dispatch/orders/{order}/candidates")).await;
    let candidates = shown["data"][0]["candidates"].as_array().unwrap();
    let why = candidates.iter().find(|candidate| candidate["courier_id"] == json!(near.id.to_string())).unwrap();
    assert_eq!(why["why_not"], "silent", "{shown}");
    assert_eq!(town.answer(&far, &offer, "accept").await.0, 200);
    // The grace is the log's time: here it passes, and the machine's stands.
    town.pass(59).await;
    assert_eq!(holder(&town, 1), Some(near.id));
    town.pass(1).await;
    assert_eq!(holder(&town, 1), None);
    let refused: Vec<_> = town.job(1).refused.iter().map(|refused| (refused.courier, refused.why)).collect();
    assert_eq!(refused, [(near.id, RefusedBecause::Silent)]);
    let offer = town.offers(&far).await.pop().expect("somebody else is asked");
    assert_eq!(town.answer(&far, &offer, "accept").await.0, 200);
    assert_eq!(holder(&town, 1), Some(far.id));
    // Whoever comes back too late finds empty hands, and can be asked for the next one.
    ping(&town, &near, 300.0, town.engine.now()).await;
    assert_eq!(look(&town, &watch).await, (0, 1, 0));
    town.want(3, 0).await;
    assert_eq!(town.offers(&near).await.len(), 1);
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_within_the_grace_carries_on() {
    let (_dir, town, watch) = start().await;
    let rider = town.online(300.0).await;
    takes(&town, &rider, 1).await;
    machine_passes(&town, 120);
    assert_eq!(look(&town, &watch).await, (1, 0, 0));
    town.pass(30).await;
    assert_eq!(ping(&town, &rider, 300.0, town.engine.now()).await, json!({ "accepted": 1, "rejected": 0 }));
    assert_eq!(look(&town, &watch).await, (0, 1, 0));
    town.pass(600).await;
    assert_eq!(holder(&town, 1), Some(rider.id));
    // And the same again: a second silence has its own grace.
    machine_passes(&town, 120);
    assert_eq!(look(&town, &watch).await, (1, 0, 0));
    assert_eq!(look(&town, &watch).await, (0, 0, 0), "once");
    town.pass(60).await;
    assert_eq!(holder(&town, 1), None);
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_offer_is_taken_back_and_not_held_against_them() {
    let (_dir, town, watch) = start().await;
    let (near, far) = (town.online(300.0).await, town.online(900.0).await);
    town.want(1, 0).await;
    let offer = town.offers(&near).await.pop().unwrap();
    machine_passes(&town, 60);
    town.offers(&far).await;
    machine_passes(&town, 60);
    assert_eq!(look(&town, &watch).await, (1, 0, 0));
    assert_eq!(town.refusal(&near, &offer, "accept").await, (409, "offer_expired".to_owned()));
    assert_eq!(town.offers(&far).await.len(), 1, "somebody else is asked at once");
    let record = couriers::presence(&*town.engine.view(), near.id).record;
    assert_eq!((record.acceptance_permille, record.lapsed), (1000, 0));
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_silent_courier_has_in_the_bag_is_on_the_operators_list() {
    let (_dir, town, watch) = start().await;
    let rider = town.online(300.0).await;
    takes(&town, &rider, 1).await;
    let by = rider.id;
    town.run(move |tx| dispatch::picked_up(tx, 1, by)).await.unwrap();
    ping(&town, &rider, 200.0, town.engine.now().plus_s(20)).await;
    machine_passes(&town, 120);
    assert_eq!(look(&town, &watch).await, (1, 0, 0));
    let told = listed(&town, silence::ATTENTION);
    assert!(told.len() == 1 && told[0].contains("last seen at 5.60"), "{told:?}");
    town.pass(3_600).await;
    assert_eq!(holder(&town, 1), Some(rider.id), "nobody else can bring it");
    assert_eq!(town.get(&rider.token, "/v1/couriers/me/offers").await.0, 200);
    assert_eq!(look(&town, &watch).await, (0, 1, 0), "asking for offers is a sign of life");
    assert_eq!(listed(&town, silence::ATTENTION), Vec::<String>::new());
    // Silent again, and then it is brought after all.
    machine_passes(&town, 120);
    assert_eq!(look(&town, &watch).await, (1, 0, 0));
    assert_eq!(listed(&town, silence::ATTENTION).len(), 1);
    town.run(|tx| dispatch::finished(tx, 1)).await.unwrap();
    assert_eq!(listed(&town, silence::ATTENTION), Vec::<String>::new());
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_clock_makes_nobody_silent_and_a_restart_forgets_nobody() {
    let (dir, town, watch) = start().await;
    let (gone, there) = (town.online(300.0).await, town.online(900.0).await);
    town.pass(24 * 3_600).await;
    assert_eq!(look(&town, &watch).await, (0, 0, 0));
    machine_passes(&town, 120);
    town.offers(&there).await;
    assert_eq!(look(&town, &watch).await, (1, 0, 0));
    town.stop().await;
    let town = Town::again(dir.path()).await;
    let watch = Watch::new(town.tracking.clone(), CONFIG);
    // Devices have a minute to come back; then silence counts again.
    machine_passes(&town, 179);
    assert_eq!(look(&town, &watch).await, (0, 0, 0), "who was silent is, and the other one has time");
    assert!(couriers::silence(&*town.engine.view(), gone.id).is_some());
    machine_passes(&town, 1);
    assert_eq!(look(&town, &watch).await, (1, 0, 0));
    town.offers(&gone).await;
    assert_eq!(look(&town, &watch).await, (0, 1, 0));
    assert!(couriers::silence(&*town.engine.view(), there.id).is_some());
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_most_are_silent_at_once_it_is_not_the_couriers() {
    let (_dir, town, watch) = start().await;
    let mut riders = Vec::new();
    for n in 0..10 {
        riders.push(town.online(300.0 + 100.0 * f64::from(n)).await);
    }
    machine_passes(&town, 120);
    town.offers(&riders[0]).await;
    assert_eq!(look(&town, &watch).await, (0, 0, 9));
    assert_eq!(listed(&town, ATTENTION_OUTAGE).len(), 1);
    // The network is back for most of them; one has really gone.
    for rider in &riders[..9] {
        ping(&town, rider, 300.0, town.engine.now()).await;
    }
    assert_eq!(look(&town, &watch).await, (1, 0, 0));
    assert_eq!(listed(&town, ATTENTION_OUTAGE).len(), 0);
    // Whatever it is, after ten minutes it counts.
    machine_passes(&town, 120);
    assert_eq!(look(&town, &watch).await, (0, 0, 9));
    machine_passes(&town, 600);
    assert_eq!(look(&town, &watch).await, (9, 0, 0));
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jump_is_kept_apart_until_others_confirm_it() {
    let (_dir, town, watch) = start().await;
    let rider = town.online(300.0).await;
    let position = |town: &Town| town.tracking.position(rider.id).unwrap().point.distance_m(crate::town::place(0.0).point()).round();
    let now = town.engine.now();
    assert_eq!(ping(&town, &rider, 9_000.0, now.plus_s(5)).await, json!({ "accepted": 0, "rejected": 1, "doubted": 1 }));
    assert_eq!(position(&town), 300.0);
    let support = town.user(Role::Support).await;
    let (_, shown) = town.get(&support, "/v1/dispatch/nearby?lat=5.6&lon=-0.2").await;
    assert_eq!((&shown["data"][0]["doubt"]["jumps"], shown["data"][0]["distance_m"].as_u64()), (&json!(1), Some(300)), "{shown}");
    // A good fix: it was noise.
    assert_eq!(ping(&town, &rider, 310.0, now.plus_s(8)).await["accepted"], 1);
    look(&town, &watch).await;
    assert_eq!(listed(&town, doubt::ATTENTION), Vec::<String>::new());
    // The same again and again, over a while: the courier is there, and somebody should ask how.
    for n in 0..4 {
        town.pass(5).await;
        let counted = ping(&town, &rider, 9_000.0, town.engine.now().plus_s(8)).await;
        assert_eq!(counted["accepted"], u64::from(n == 3), "fix {n}: {counted}");
    }
    assert_eq!(position(&town), 9_000.0);
    look(&town, &watch).await;
    let told = listed(&town, doubt::ATTENTION);
    assert!(told.len() == 1 && told[0].contains("2 jumps") && told[0].contains("is believed"), "{told:?}");
    assert_eq!(town.report(&rider, "offline", None).await.0, 200);
    assert_eq!(listed(&town, doubt::ATTENTION), Vec::<String>::new(), "a shift's doubts end with it");
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_is_said_is_doubted_as_one_that_is_pinged() {
    let (_dir, town, watch) = start().await;
    let rider = town.online(300.0).await;
    let position = |town: &Town| town.tracking.position(rider.id).unwrap().point.distance_m(crate::town::place(0.0).point()).round();
    let row = |town: &Town| couriers::presence(&*town.engine.view(), rider.id).position.unwrap();
    let says = async |status: &str, metres: f64| {
        let (code, shown) = town.report(&rider, status, Some(metres)).await;
        assert_eq!((code, &shown["status"]), (200, &json!(status)), "the word counts, the place does not: {shown}");
    };
    town.pass(10).await;
    says("online", 9_000.0).await;
    assert_eq!(position(&town), 300.0);
    assert!(row(&town).point().distance_m(crate::town::place(300.0).point()) < 1.0, "nor after a restart");
    // Going home for a moment is no way around it.
    assert_eq!(town.report(&rider, "offline", None).await.0, 200);
    town.pass(10).await;
    says("online", 9_000.0).await;
    assert_eq!(position(&town), 300.0);
    // Here and there: operators hear of it.
    says("break", -9_000.0).await;
    says("online", 9_000.0).await;
    look(&town, &watch).await;
    assert_eq!(listed(&town, doubt::ATTENTION).len(), 1);
    // Whoever had the time is there.
    town.pass(600).await;
    says("online", 9_000.0).await;
    assert_eq!((position(&town), town.tracking.doubt(rider.id).unwrap().claimed()), (9_000.0, None));
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_break_asked_for_on_the_way_begins_at_the_door() {
    let (_dir, town, _watch) = start().await;
    let rider = town.online(300.0).await;
    takes(&town, &rider, 1).await;
    town.pass(600).await;
    let (status, shown) = town.report(&rider, "break", None).await;
    assert_eq!((status, &shown["status"], &shown["begins"]), (200, &json!("break"), &json!("after_delivery")), "{shown}");
    town.want(2, 0).await;
    assert_eq!(town.offers(&rider).await, Vec::<String>::new(), "nothing new before the break");
    town.pass(600).await;
    town.run(|tx| dispatch::finished(tx, 1)).await.unwrap();
    town.pass(600).await;
    let view = town.engine.view();
    let presence = couriers::presence(&*view, rider.id);
    let now = town.engine.now();
    let worked_ms = couriers::hours::worked_ms(&*view, rider.id, &presence, NOON, now);
    assert_eq!((presence.availability, worked_ms), (Availability::Break, 1_200_000), "the way to the door was work, the break is not");
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shift_ends_when_it_said_or_at_the_last_door() {
    let (_dir, town, _watch) = start().await;
    let (idle, busy) = (town.online(900.0).await, town.online(300.0).await);
    let until = town.engine.now().plus_s(1_800);
    for rider in [&idle, &busy] {
        let body = json!({ "status": "online", "until": until.to_string() });
        assert_eq!(town.send("PUT", &rider.token, "/v1/couriers/me/presence", body).await.0, 200);
    }
    takes(&town, &busy, 1).await;
    town.pass(1_800).await;
    let availability = |rider: &Rider| couriers::presence(&*town.engine.view(), rider.id).availability;
    assert_eq!((availability(&idle), availability(&busy)), (Availability::Offline, Availability::Online));
    town.want(2, 0).await;
    assert_eq!(town.offers(&busy).await, Vec::<String>::new());
    town.run(|tx| dispatch::finished(tx, 1)).await.unwrap();
    assert_eq!(availability(&busy), Availability::Offline);
    town.stop().await;
}
