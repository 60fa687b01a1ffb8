//! The search over its route: what is found, in which order, and that the index follows the log through restarts and damage.
#![allow(clippy::unwrap_used)] // tests

#[allow(dead_code)] // each suite uses its part
mod town;

use std::time::{Duration, Instant};

use medina::people::users::Role;
use serde_json::{Value, json};
use town::{Town, refused, text};

async fn found(town: &Town, query: &str) -> Vec<String> {
    let (status, _, answer) = town.get(&format!("/v1/search?{query}")).await;
    assert_eq!(status, 200, "{query}: {answer}");
    answer["data"].as_array().unwrap().iter().map(|line| text(&line["name"])).collect()
}

/// Three merchants and their items, from the middle of Accra eastwards, about 1.1 km apart.
struct Market {
    city: String,
    pizza: String,
    grill: String,
    jollof: String,
    token: String,
}

async fn market(town: &Town) -> Market {
    let token = town.user(Role::Admin).await;
    let city = town.city(&token, "Accra", 5.6, -0.2).await;
    let pizza = town.merchant(&token, &city, "Pizza Nova", 5.6, -0.20, json!({ "cuisines": ["italian"] })).await;
    let evening = json!({ "cuisines": ["ghanaian", "grill"], "hours": [{ "day": "sat", "opens": "18:00", "closes": "02:00" }] });
    let grill = town.merchant(&token, &city, "Osu Grill", 5.6, -0.19, evening).await;
    let shop = town.merchant(&token, &city, "Corner Shop", 5.6, -0.18, json!({ "kind": "shop" })).await;
    town.item(&token, &pizza, "Pizza Margherita", 6000).await;
    let jollof = town.item(&token, &grill, "Jollof Rice", 4500).await;
    town.item(&token, &shop, "Rice, 5 kg", 9900).await;
    Market { city, pizza, grill, jollof, token }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_found_and_in_which_order() {
    let data = tempfile::tempdir().unwrap();
    let town = Town::start(data.path()).await;
    let market = market(&town).await;
    let here = "lat=5.6&lon=-0.2";
    let cases = [
        // Text: whole words, begun ones, with a typing error, by the merchant's name.
        ("q=jollof", vec!["Jollof Rice"]),
        ("q=margh", vec!["Pizza Margherita"]),
        ("q=jolof%20rice", vec!["Jollof Rice"]),
        ("q=grill&kind=item", vec!["Jollof Rice"]),
        ("q=sushi", vec![]),
        // Filters.
        ("kind=merchant&cuisine=Ghanaian", vec!["Osu Grill"]),
        ("kind=item&cuisine=italian", vec!["Pizza Margherita"]),
        ("min_rating=4", vec![]),
        ("kind=merchant&radius_m=1500&lat=5.6&lon=-0.2", vec!["Pizza Nova", "Osu Grill"]),
        ("city_id=cty_01h455vb4pex5vsknk084sn02q", vec![]),
        // Order.
        ("kind=merchant&sort=distance&lat=5.6&lon=-0.17", vec!["Corner Shop", "Osu Grill", "Pizza Nova"]),
        ("kind=item&sort=price", vec!["Jollof Rice", "Pizza Margherita", "Rice, 5 kg"]),
    ];
    for (query, names) in cases {
        assert_eq!(found(&town, query).await, names, "{query}");
    }
    let (_, _, answer) = town.get(&format!("/v1/search?q=jollof&{here}")).await;
    let line = &answer["data"][0];
    assert_eq!((&line["kind"], &line["id"], &line["merchant_id"]), (&json!("item"), &json!(market.jollof), &json!(market.grill)));
    assert_eq!(
        (&line["price"], &line["open"]),
        (&json!({ "amount": 4500, "currency": "GHS" }), &json!(false)),
        "the grill opens in the evening"
    );
    assert_eq!(line["highlight"], json!([{ "text": "Jollof", "matched": true }, { "text": " Rice", "matched": false }]));
    assert!((1_080..1_130).contains(&line["distance_m"].as_u64().unwrap()), "{line}");
    let (_, _, all) = town.get(&format!("/v1/search?kind=merchant&city_id={}", market.city)).await;
    assert_eq!(
        all["facets"]["cuisine"],
        json!([{ "value": "ghanaian", "count": 1 }, { "value": "grill", "count": 1 }, { "value": "italian", "count": 1 }])
    );
    for (query, pointer) in
        [("sort=distance", "/sort"), ("radius_m=5", "/radius_m"), ("lat=1", "/lon"), ("limit=0", "/limit"), ("cursor=abc", "/cursor")]
    {
        assert_eq!(refused(&town.get(&format!("/v1/search?{query}")).await), (422, "invalid_request".into(), pointer.into()), "{query}");
    }
    assert_eq!(town.get("/v1/search?quality=high").await.0, 422);
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn open_is_what_the_clock_says_not_the_index() {
    let data = tempfile::tempdir().unwrap();
    let town = Town::start(data.path()).await;
    let market = market(&town).await;
    assert_eq!(found(&town, "open_now=true&cuisine=ghanaian").await, Vec::<String>::new(), "noon");
    let (_, _, answer) = town.get("/v1/search?open_now=true&kind=merchant").await;
    assert_eq!(
        (&answer["total"], &answer["facets"]["cuisine"]),
        (&json!(2), &json!([{ "value": "italian", "count": 1 }])),
        "facets count what is open"
    );
    let seq = town.engine.view().position().seq;
    town.pass(7 * 3600);
    assert_eq!(found(&town, "open_now=true&kind=item&cuisine=ghanaian").await, ["Jollof Rice"], "seven in the evening");
    assert_eq!(town.engine.view().position().seq, seq, "nothing was written in between");
    town.send("PATCH", &market.token, &format!("/v1/items/{}", market.jollof), json!({ "available": false })).await;
    assert_eq!(found(&town, "open_now=true&kind=item&cuisine=ghanaian").await, Vec::<String>::new());
    assert_eq!(found(&town, "kind=item&cuisine=ghanaian").await, ["Jollof Rice"], "found all the same, as not open");
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_join_to_the_list_while_others_write() {
    let data = tempfile::tempdir().unwrap();
    let town = Town::start(data.path()).await;
    let market = market(&town).await;
    for n in 0..25 {
        town.item(&market.token, &market.pizza, &format!("Topping {n}"), 100 + n).await;
    }
    for sort in ["price", "distance&lat=5.6&lon=-0.2"] {
        let mut seen: Vec<String> = Vec::new();
        let mut cursor = String::new();
        loop {
            let (_, _, page) = town.get(&format!("/v1/search?kind=item&q=topping&limit=7&sort={sort}{cursor}")).await;
            seen.extend(page["data"].as_array().unwrap().iter().map(|line| text(&line["id"])));
            // Cheaper and just as near: before the place where the reader stands, or at it.
            town.item(&market.token, &market.pizza, "Topping, late", 1).await;
            match &page["next_cursor"] {
                Value::Null => break,
                next => cursor = format!("&cursor={}", text(next)),
            }
        }
        let mut once = seen.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), seen.len(), "{sort}: nothing twice");
        assert!(seen.len() >= 25, "{sort}: nothing left out");
    }
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_found_within_a_second_and_a_renamed_merchant_brings_its_items() {
    let data = tempfile::tempdir().unwrap();
    let town = Town::start(data.path()).await;
    let market = market(&town).await;
    let begun = Instant::now();
    let (_, _, renamed) = town
        .send(
            "PATCH",
            &market.token,
            &format!("/v1/merchants/{}", market.grill),
            json!({ "name": "Labadi Kitchen", "cuisines": ["fusion"] }),
        )
        .await;
    assert_eq!(renamed["name"], "Labadi Kitchen");
    let seq = town.engine.view().position().seq;
    town.search.reached(seq, Duration::from_secs(1)).await.expect("within a second");
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert_eq!(found(&town, "q=labadi&kind=item").await, ["Jollof Rice"]);
    assert_eq!(found(&town, "q=osu").await, Vec::<String>::new());
    assert_eq!(found(&town, "cuisine=fusion&kind=item").await, ["Jollof Rice"]);
    assert_eq!(town.search.lag(&town.engine), 0);
    assert!(town.search.is_ready());
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_goes_on_where_it_stood_or_is_built_anew() {
    let data = tempfile::tempdir().unwrap();
    let town = Town::start(data.path()).await;
    let market = market(&town).await;
    town.something_else().await;
    found(&town, "").await;
    // Changes that the index does not see: it has stopped before.
    let search = town.search.clone();
    tokio::task::spawn_blocking(move || search.stop()).await.unwrap();
    town.item(&market.token, &market.grill, "Waakye", 3000).await;
    assert!(town.search.lag(&town.engine) > 0);
    town.stop().await;

    let town = Town::start(data.path()).await;
    assert_eq!(found(&town, "q=waakye").await, ["Waakye"]);
    assert_eq!(found(&town, "q=jollof").await, ["Jollof Rice"]);
    let everything = found(&town, "limit=100").await.len();
    assert_eq!(everything, 7);
    town.stop().await;

    // Without its folder it is a view of the log all the same.
    std::fs::remove_dir_all(data.path().join("search")).unwrap();
    let town = Town::start(data.path()).await;
    assert_eq!(found(&town, "limit=100").await.len(), everything);
    town.stop().await;

    // An index that is ahead of the log (a restored backup beside a newer index) is not believed.
    let copy = tempfile::tempdir().unwrap();
    let town = Town::start(copy.path()).await;
    let admin = town.user(Role::Admin).await;
    town.city(&admin, "Empty", 0.0, 0.0).await;
    town.stop().await;
    std::fs::remove_dir_all(copy.path().join("search")).unwrap();
    std::fs::rename(data.path().join("search"), copy.path().join("search")).unwrap();
    let town = Town::start(copy.path()).await;
    assert_eq!(found(&town, "limit=100").await, Vec::<String>::new(), "nothing of another town");
    town.stop().await;
}
