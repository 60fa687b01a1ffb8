//! A routing server on a port of its own.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::extract::{Path, RawQuery, State};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

/// How the server behaves now.
#[derive(Default)]
pub struct Mood {
    /// 0: answers, 1: fails, 2: says nothing, 3: has no way, 4: fails when it is to draw one.
    pub is: AtomicU32,
    pub asked: AtomicU32,
    /// Of these, how many wanted a way drawn.
    pub drawn: AtomicU32,
    /// Metres of a second; 0 is 100.
    pub metres: AtomicU32,
    /// How far east the middle of a way is, in thousandths of a degree.
    pub bend: AtomicU32,
}

/// Seconds are ten times the difference of the latitudes' thousandths, one more for the way back; metres are a hundred times that, unless its mood is another.
async fn answer(
    State(mood): State<Arc<Mood>>,
    Path((service, profile, places)): Path<(String, String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Broken> {
    mood.asked.fetch_add(1, Ordering::SeqCst);
    match mood.is.load(Ordering::SeqCst) {
        1 => return Err(Broken),
        2 => std::future::pending::<()>().await,
        3 => return Ok(Json(json!({ "code": "NoRoute" }))),
        4 if service == "route" => return Err(Broken),
        _ => (),
    }
    assert!(["bike", "driving", "foot"].contains(&profile.as_str()), "{profile}");
    let north: Vec<i64> = places
        .split(';')
        .map(|place| {
            let (lon, lat) = place.split_once(',').unwrap();
            assert_eq!(lon, "7.400000", "longitude first");
            ((lat.parse::<f64>().unwrap() - 43.7) * 1000.0).round() as i64
        })
        .collect();
    let seconds = |a: i64, b: i64| (a - b).abs() * 10 + i64::from(b < a);
    let metres = match mood.metres.load(Ordering::SeqCst) {
        0 => 100,
        others => i64::from(others),
    };
    if service == "route" {
        mood.drawn.fetch_add(1, Ordering::SeqCst);
        let bend = f64::from(mood.bend.load(Ordering::SeqCst)) * 0.001;
        let (start, end) = (north[0] as f64, north[1] as f64);
        let middle = (bend > 0.0).then_some(((start + end) / 2.0, bend));
        let corners = [Some((start, 0.0)), middle, Some((end, 0.0))].into_iter().flatten();
        let line: Vec<Value> = corners.map(|(north, east)| json!([7.4 + east, 43.7 + north * 0.001])).collect();
        let duration = seconds(north[0], north[1]);
        return Ok(Json(
            json!({ "code": "Ok", "routes": [{ "duration": duration, "distance": duration * metres, "geometry": { "type": "LineString", "coordinates": line } }] }),
        ));
    }
    let query = query.unwrap();
    assert!(north.len() <= 100, "a server refuses more");
    let query: HashMap<&str, &str> = query.split('&').filter_map(|part| part.split_once('=')).collect();
    let chosen = |key: &str| query[key].split(';').map(|n| north[n.parse::<usize>().unwrap()]).collect::<Vec<i64>>();
    let (from, to) = (chosen("sources"), chosen("destinations"));
    // Nobody gets beyond 90.
    let table = |unit: i64| {
        from.iter().map(|a| to.iter().map(|b| (*b <= 90).then(|| seconds(*a, *b) * unit)).collect::<Vec<_>>()).collect::<Vec<_>>()
    };
    Ok(Json(json!({ "code": "Ok", "durations": table(1), "distances": table(metres) })))
}

struct Broken;

impl axum::response::IntoResponse for Broken {
    fn into_response(self) -> axum::response::Response {
        axum::http::StatusCode::SERVICE_UNAVAILABLE.into_response()
    }
}

/// A routing server on a port of its own, on a thread of its own, and its mood.
pub fn server() -> (String, Arc<Mood>) {
    medina::crypto::install();
    let mood = Arc::new(Mood::default());
    let routes = Router::new().route("/{service}/v1/{profile}/{places}", get(answer)).with_state(mood.clone());
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), routes).await.unwrap() });
    });
    (url, mood)
}
