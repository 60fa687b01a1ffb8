//! Two nodes promoted out of each other's sight: they do not open the same epoch; and if they had, neither would go on as if it were alone.

use serde_json::json;

use super::machine::{Machine, Setup};
use super::relay::Relay;
use super::wire::{Answer, Person, Town, Wire, at, fresh_key, try_send};
use super::{town, wire};

/// Two followers of one leader that is gone, with a line between them that is cut.
struct Orphans {
    one: Machine,
    other: Machine,
    lines: [Relay; 2],
    town: Town,
    who: Person,
    _folder: tempfile::TempDir,
}

async fn orphans() -> Orphans {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut setup = Setup::new("local");
    let lines = [Relay::to(&setup.places[0].listen).await, Relay::to(&setup.places[1].listen).await];
    setup.seen_as = [Some(lines[0].url.clone()), Some(lines[1].url.clone())];
    lines.iter().for_each(Relay::mend);
    let (mut one, mut other) = Machine::pair_as(folder.path(), &setup);
    let town = town(&mut one, &mut other, true).await;
    let who = town.customer("+233200000001").await;
    let order = town.order(&who).await;
    let seq = |text: &str| text.lines().find_map(|line| line.strip_prefix("medina_seq ")?.parse::<u64>().ok());
    other.until("level", "/metrics", |_, text| seq(text) >= Some(order.seq().1)).await;
    lines.iter().for_each(Relay::cut);
    // Both are followers now, of somebody who is gone.
    one.kill();
    other.kill();
    Orphans { one, other, lines, town, who, _folder: folder }
}

fn part(machine: &Machine, role: &str, epoch: u64) {
    let part = json!({ "role": role, "epoch": epoch, "leader": null, "promise": null });
    std::fs::write(machine.data.join("replication.json"), part.to_string()).expect("written");
}

async fn order(machine: &Machine, town: &Town, who: &Person) -> Answer {
    Town { wire: Wire::to(&machine.base), ..town.clone() }.order(who).await
}

fn set_aside(machine: &Machine) -> String {
    machine.set_aside().iter().map(|file| std::fs::read_to_string(file).expect("read")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_promoted_out_of_sight_open_different_epochs_and_the_lower_one_gives_way() {
    let Orphans { mut one, mut other, lines, town, who, _folder } = orphans().await;
    for machine in [&mut one, &mut other] {
        part(machine, "follower", 0);
        machine.start();
        machine.until_alive().await;
        let promoted = machine.run(&["promote", "--lose-tail"]);
        assert!(promoted.status.success(), "{}", String::from_utf8_lossy(&promoted.stderr));
        machine.until_ready().await;
    }
    let (here, there) = (order(&one, &town, &who).await, order(&other, &town, &who).await);
    assert_ne!(here.seq().0, there.seq().0, "one epoch is one history");
    let ((winner, won), (loser, lost)) =
        if here.seq().0 > there.seq().0 { ((&one, &here), (&other, &there)) } else { ((&other, &there), (&one, &here)) };
    lines.iter().for_each(Relay::mend);
    loser.until("stepped down", "/metrics", |_, text| text.contains(&format!("\nmedina_epoch {}\n", won.seq().0))).await;
    loser.until_ready().await;
    let account = set_aside(loser);
    assert!(account.contains(&lost.text("id")) && !account.contains(&won.text("id")), "{account}");
    assert!(winner.set_aside().is_empty());
    let token = format!("{}.{}", lost.seq().0, lost.seq().1);
    let asked = Wire::to(&winner.base).ask("GET /v1/me").bearer_auth(&town.admin.token).header("medina-min-seq", token);
    let told = try_send(asked).await.expect("it serves");
    assert!([409, 503].contains(&told.status), "a place on the lost history is not taken for one on this: {}", told.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_leaders_of_one_epoch_stand_still_until_an_operator_decides() {
    let Orphans { mut one, mut other, lines, town, who, _folder } = orphans().await;
    // As if both had drawn the same lot.
    for machine in [&mut one, &mut other] {
        part(machine, "leader", 7);
        machine.start();
        machine.until_ready().await;
    }
    let (here, there) = (order(&one, &town, &who).await, order(&other, &town, &who).await);
    assert_eq!((here.seq().0, there.seq().0), (7, 7));
    lines.iter().for_each(Relay::mend);
    // Whichever sees it first stands still; both, if they look at the same time.
    let stands = async |machine: &Machine| machine.get("/readyz").await.is_some_and(|(_, text)| text.contains("epoch 7 too"));
    let standing = loop {
        if stands(&one).await {
            break &one;
        }
        if stands(&other).await {
            break &other;
        }
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    };
    let kitchen = json!({ "city_id": town.city, "name": "Refused", "kind": "restaurant", "position": at(wire::KITCHEN) });
    let asked = Wire::to(&standing.base).ask("POST /v1/merchants").bearer_auth(&town.admin.token).header("idempotency-key", fresh_key());
    let refused = try_send(asked.json(&kitchen)).await.expect("it answers");
    assert_eq!((refused.status, refused.code()), (421, "not_leader"), "{}", refused.text);
    standing.until_figure("medina_replication_split", |is| is == 1.0).await;
    let plain = standing.run(&["promote"]);
    let why = String::from_utf8_lossy(&plain.stderr).into_owned();
    assert!(!plain.status.success() && why.contains("epoch 7 too") && why.contains("--lose-tail"), "{why}");
    // The operator decides, whichever it was that stood still: the other one follows, its end set aside.
    let decided = one.run(&["promote", "--lose-tail"]);
    assert!(decided.status.success(), "{}", String::from_utf8_lossy(&decided.stderr));
    one.until_ready().await;
    let after = order(&one, &town, &who).await;
    assert!(after.seq().0 > 7);
    other.until("level", "/metrics", |_, text| text.contains(&format!("\nmedina_epoch {}\n", after.seq().0))).await;
    other.until_ready().await;
    assert!(set_aside(&other).contains(&there.text("id")), "what only the other one had can be read");
    for machine in [&one, &other] {
        let read = |id: String| Wire::to(&machine.base).ask(&format!("GET /v1/orders/{id}")).bearer_auth(&who.token);
        let min = format!("{}.{}", after.seq().0, after.seq().1);
        for (order, status) in [(&here, 200), (&there, 404), (&after, 200)] {
            try_send(read(order.text("id")).header("medina-min-seq", &min)).await.expect("it serves").is(status);
        }
    }
}
