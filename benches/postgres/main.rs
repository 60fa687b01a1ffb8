//! A transfer through Medina's HTTP API beside the same transfer in PostgreSQL, alternating, in one run on one disk.
//!
//! `cargo bench --bench postgres` (`-- --seconds 5 --rounds 3` are the defaults). Without PostgreSQL 15 it says SKIPPED.
//!
//! Both sides: 10,000 accounts with money, a transfer that is recognised when repeated, that keeps both balances and refuses an overdraft, and an outbox row in the
//! same commit (ours is the event's row, which `/v1/events` serves), durable before it is answered. PostgreSQL: one PL/pgSQL call per transaction, prepared, over TCP,
//! `synchronous_commit=on`, no secondary index (ours keeps two, by account). Ours: one HTTP/1.1 request, with token, policy and JSON. The load comes from
//! the same loop in one thread of this process, which counts on neither side; server CPU is that of all the server's processes.
//!
//! `MEDINA_BENCH_DIR` is the folder for both data folders (on the disk that is meant), `MEDINA_PG_BIN` where PostgreSQL's programs are.

mod load;
mod ours;
mod peer;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use load::{Measured, Scenario};

/// The product's allocator, for the client.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub const ACCOUNTS: u64 = 10_000;
/// What each has at the start, minor units: nobody runs out.
pub const FUNDS: u64 = 1_000_000_000;

const SCENARIOS: [Scenario; 4] = [
    Scenario { name: "1 client", clients: 1, hot: false },
    Scenario { name: "8 clients", clients: 8, hot: false },
    Scenario { name: "32 clients", clients: 32, hot: false },
    Scenario { name: "32 clients, one hot account", clients: 32, hot: true },
];

/// A number after a flag; what cargo itself adds (`--bench`) is nobody's.
fn flag(name: &str, default: u64) -> u64 {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1).map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name} needs a number, not {value}")))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn row(name: &str, side: &str, all: &[Measured]) {
    let of = |what: fn(&Measured) -> f64| median(all.iter().map(what).collect());
    println!(
        "| {name} | {side} | {:.0} | {:.2} | {:.2} | {:.0} |",
        of(|one| one.per_second),
        of(|one| one.p50_us) / 1e3,
        of(|one| one.p99_us) / 1e3,
        of(|one| one.cpu_us)
    );
}

fn main() {
    let (seconds, rounds) = (flag("--seconds", 5), flag("--rounds", 3) as usize);
    let scratch = std::env::var_os("MEDINA_BENCH_DIR").map_or_else(std::env::temp_dir, Into::into);
    let scratch = tempfile::Builder::new().prefix("medina-bench-").tempdir_in(scratch).expect("a folder for both");
    // PostgreSQL runs as somebody else.
    std::fs::set_permissions(scratch.path(), std::fs::Permissions::from_mode(0o755)).expect("our own folder");
    let peer = match peer::Postgres::start(&scratch.path().join("postgres")) {
        Ok(peer) => peer,
        Err(why) => {
            println!("SKIPPED: PostgreSQL 15 is not here ({why})");
            return;
        }
    };
    let ours = ours::Medina::start(&scratch.path().join("medina"));
    let wanted = |scenario: &&Scenario| flag("--clients", 0) == 0 || scenario.clients as u64 == flag("--clients", 0);
    println!("| load | server | transactions/s | p50 ms | p99 ms | CPU µs each |\n| --- | --- | --- | --- | --- | --- |");
    let mut ratios = Vec::new();
    for scenario in SCENARIOS.iter().filter(wanted) {
        let (mut theirs, mut mine) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            theirs.push(load::run(scenario, Duration::from_secs(seconds), &peer));
            ours.sign_in();
            mine.push(load::run(scenario, Duration::from_secs(seconds), &ours));
        }
        row(scenario.name, "PostgreSQL", &theirs);
        row(scenario.name, "Medina", &mine);
        let ratio = |what: fn(&Measured) -> f64| median(mine.iter().zip(&theirs).map(|(mine, theirs)| what(mine) / what(theirs)).collect());
        ratios.push((scenario.name, ratio(|one| one.per_second), ratio(|one| one.p99_us), ratio(|one| one.cpu_us)));
    }
    println!("\n| load, medians of {rounds} ratios | transactions/s | p99 | CPU each |\n| --- | --- | --- | --- |");
    for (name, rate, p99, cpu) in ratios {
        println!("| {name} | {rate:.2}× | {p99:.2}× | {cpu:.2}× |");
    }
    println!("\n| bulk, 8,190 a call | transfers/s |\n| --- | --- |");
    for clients in [1, 2] {
        let rates = (0..rounds).map(|_| ours.bulk(clients, Duration::from_secs(seconds))).collect();
        println!("| {clients} at once | {:.0} |", median(rates));
    }
    ours.stop();
    peer.stop();
}
