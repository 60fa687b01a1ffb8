//! Ten thousand WebSocket subscribers of one city beside a bare broadcast server, clients on the same machine: frames a second, memory a connection.
//!
//! `ulimit -n 65536; cargo bench --bench live -- [--subscribers N] [--orders N]`

mod client;
mod served;

use std::time::Instant;

use client::Crowd;
use served::{Bare, Served};

#[tokio::main]
async fn main() {
    let words: Vec<String> = std::env::args().collect();
    if words.iter().any(|word| word == "--bare") {
        return served::bare().await;
    }
    let number = |name: &str, otherwise: usize| {
        let at = words.iter().position(|word| word == name);
        at.and_then(|at| words.get(at + 1))
            .map_or(otherwise, |word| word.parse().unwrap_or_else(|_| panic!("{name} takes a number, not {word}")))
    };
    let (subscribers, orders) = (number("--subscribers", 10_000), number("--orders", 20));
    medina::crypto::install();

    let served = Served::start().await;
    let empty = served.memory();
    let crowd = Crowd::gather(served.address, "/v1/live", subscribers, Some((&served.token, &served.topic))).await;
    let full = served.memory();
    let (begun, idle) = (Instant::now(), served.cpu_us());
    served.order(orders).await;
    // Every order makes the same events; the first subscriber knows how many there are once it is quiet.
    let (frames, bytes) = crowd.quiet().await;
    let took = crowd.last_frame().duration_since(begun);
    let each = frames / subscribers as u64;
    assert_eq!(frames, each * subscribers as u64, "everybody got everything");
    let ours = frames as f64 / took.as_secs_f64();
    let our_cpu = (served.cpu_us() - idle) / frames as f64;
    println!(
        "| server | subscribers | frames each | frames/s | server CPU µs a frame | memory a connection |\n| --- | --- | --- | --- | --- | --- |"
    );
    println!("| medina | {subscribers} | {each} | {ours:.0} | {our_cpu:.2} | {:.1} KiB |", (full - empty) / subscribers as f64 / 1024.0);
    // What was once needed to write stays allocated.
    println!("| medina, after them | | | | | {:.1} KiB |", (served.memory() - empty) / subscribers as f64 / 1024.0);
    drop(crowd);
    drop(served);

    let bare = Bare::start();
    let empty = bare.memory();
    let crowd = Crowd::gather(bare.address, "/", subscribers, None).await;
    let full = bare.memory();
    let (begun, idle) = (Instant::now(), bare.cpu_us());
    bare.say(each, (bytes / frames.max(1)) as usize);
    let (frames, _) = crowd.quiet().await;
    let theirs = frames as f64 / crowd.last_frame().duration_since(begun).as_secs_f64();
    let their_cpu = (bare.cpu_us() - idle) / frames as f64;
    println!(
        "| bare broadcast | {subscribers} | {} | {theirs:.0} | {their_cpu:.2} | {:.1} KiB |",
        frames / subscribers as u64,
        (full - empty) / subscribers as f64 / 1024.0
    );
    println!("\nframes/s: {:.2}x of the bare server (goal 0.8); server CPU a frame: {:.2}x", ours / theirs, our_cpu / their_cpu);
}
