//! The location path through HTTP, beside Redis 7 and PostGIS, in one run: nearest-10 and batches of pings, with the server's CPU per query and per point.
//!
//! `cargo bench --bench hot_path -- [--couriers N] [--seconds S]` (Debian's redis-server and postgresql-15-postgis-3 are the peers; who is missing is said)

mod load;
mod peers;
mod seed;

use std::time::Duration;

use load::{Figures, drive};
use peers::{Postgis, Redis};
use seed::{Chance, Served, Town};

/// Connections of the load generator; the same for everybody.
const CONNECTIONS: usize = 16;
/// Points of a batch.
const BATCH: usize = 100;

struct Options {
    couriers: usize,
    time: Duration,
}

fn options() -> Options {
    let words: Vec<String> = std::env::args().collect();
    let number = |name: &str, otherwise: u64| {
        let at = words.iter().position(|word| word == name);
        at.and_then(|at| words.get(at + 1))
            .map_or(otherwise, |word| word.parse().unwrap_or_else(|_| panic!("{name} takes a number, not {word}")))
    };
    Options { couriers: number("--couriers", 100_000) as usize, time: Duration::from_secs(number("--seconds", 8)) }
}

fn show(name: &str, figures: &Figures) {
    println!(
        "| {name} | {:.0} | {:.0} | {:.0} | {:.1} |",
        figures.per_second(),
        figures.quantile_us(0.5),
        figures.quantile_us(0.99),
        figures.cpu_us
    );
}

#[tokio::main]
async fn main() {
    let Options { couriers, time } = options();
    medina::crypto::install();
    let served = Served::start();
    let town = Town::fill(&served, couriers).await;
    println!("{couriers} couriers within 30 km, {CONNECTIONS} connections, {} s each\n", time.as_secs());
    println!("nearest-10\n\n| server | queries/s | p50 µs | p99 µs | server CPU µs a query |\n| --- | --- | --- | --- | --- |");

    let ask = |chance: &mut Chance| {
        let (lat, lon) = chance.point();
        format!(
            "GET /v1/dispatch/nearby?lat={lat:.6}&lon={lon:.6}&limit=10 HTTP/1.1\r\nHost: medina\r\nAuthorization: Bearer {}\r\n\r\n",
            town.admin
        )
        .into_bytes()
    };
    let ours = drive(served.address, CONNECTIONS, time, &[served.pid()], load::http, ask).await;
    show("medina, HTTP", &ours);
    let redis = Redis::start(&town.points).await;
    if let Some(redis) = &redis {
        let ask = |chance: &mut Chance| {
            let (lat, lon) = chance.point();
            peers::command(&[
                "GEOSEARCH",
                "couriers",
                "FROMLONLAT",
                &format!("{lon:.6}"),
                &format!("{lat:.6}"),
                "BYRADIUS",
                "1",
                "km",
                "ASC",
                "COUNT",
                "10",
            ])
        };
        let theirs = drive(redis.address, CONNECTIONS, time, &[redis.pid()], load::resp, ask).await;
        show("redis GEOSEARCH 1 km", &theirs);
        println!("\nqueries/s: {:.1}x of redis (goal 10)", ours.per_second() / theirs.per_second());
    }
    match Postgis::start(&town.points) {
        Some(postgis) => {
            let (per_second, cpu_us) = postgis.nearest(CONNECTIONS, time);
            println!("| postgis <-> | {per_second:.0} | | | {cpu_us:.1} |");
            println!("\nCPU a query: 1/{:.1} of postgis (goal 1/6)", cpu_us / ours.cpu_us);
        }
        None => println!("SKIPPED: postgis is not installed"),
    }

    println!("\npings in batches of {BATCH}\n\n| server | points/s | server CPU µs a point |\n| --- | --- | --- |");
    let pings = drive(served.address, CONNECTIONS, time, &[served.pid()], load::http, |chance| town.pings(chance, BATCH)).await;
    let (rate, ours) = (pings.per_second() * BATCH as f64, pings.cpu_us / BATCH as f64);
    println!("| medina, HTTP | {rate:.0} | {ours:.2} |");
    if let Some(redis) = &redis {
        let (rate, theirs) = redis.pipe(&town.points, time);
        println!("| redis-cli --pipe GEOADD | {rate:.0} | {theirs:.2} |\n\nCPU a point: {:.2}x of redis (goal 1)", ours / theirs);
    }
    println!("\n{} of our answers were refusals", pings.refused);
}
