//! What checkpoints cost: commits while a fold runs, while a snapshot is taken and while neither is, and how long a state takes to open with a log behind it.
//!
//! `cargo bench --bench folds`; `-- --accounts 5000000` for a big state, `--seconds 20` (default 10; 0: only the recovery), `--clients 8`, `--pace N` (at most so many
//! commands a second; default: as many as there can be), `--state-mib 1024 --log-mib 100` for the recovery (default 64 and 32; 0: only the folds). Sizes are of rows
//! and of log records, before the tree's own overhead.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use medina::app::{self, AppOptions};
use medina::engine::{Authorize, Caller, Denied, Engine, EngineOptions, Question, Resource, Tx, Wiring};
use storage::disk::RealDisk;
use storage::ledger::{AccountKey, Constraint, Currency, Step, TransferId, TransferKind, audit, open, post};
use storage::{MachineClock, Options, Read, Store, Timestamp, Txn, snapshot};
use tokio::runtime::Runtime;

/// The product's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Accounts opened in one command.
const CHUNK: u64 = 2_000;

struct AllowAll;
impl Authorize for AllowAll {
    fn decide(&self, _: &dyn Read, _: &Caller, _: &Question) -> Result<String, Denied> {
        Ok(String::new())
    }
}

/// A number after a flag; what cargo itself adds (`--bench`) is nobody's.
fn flag(name: &str, default: u64) -> u64 {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1).map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("{name} needs a number, not {value}")))
}

fn account(owner: u64) -> AccountKey {
    AccountKey { code: 100, owner: u128::from(owner), currency: Currency(*b"GHS") }
}

fn step(n: u64, accounts: u64) -> Step {
    let spread = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    let debit = spread % accounts;
    let credit = (debit + 1 + (spread >> 14) % (accounts - 1)) % accounts;
    let (debit, credit) = (account(debit), account(credit));
    Step { id: TransferId::from_u128(u128::from(n) + 1), debit, credit, amount: 1, kind: TransferKind::Single, code: 1, subject: 0 }
}

fn transfer(tx: &mut Tx<'_, '_>, n: u64, accounts: u64) -> Result<(), Denied> {
    tx.authorize(&Question { action: "bench", resource: Resource { kind: "Bench", id: String::new(), attributes: Vec::new() } })?;
    post(tx, &step(n, accounts)).expect("unconstrained accounts take any transfer");
    Ok(())
}

/// What went on beside a command.
const BESIDE: [&str; 3] = ["nothing else", "a fold under way", "a snapshot under way"];

/// Latencies of commands by what went on beside them, in microseconds. From the middle of the time on, snapshots are taken.
async fn loaded(engine: &Engine, clients: u64, accounts: u64, length: Duration) -> [Vec<u64>; BESIDE.len()] {
    let next = Arc::new(AtomicU64::new(0));
    let (begun, until, pace) = (Instant::now(), Instant::now() + length, flag("--pace", 0));
    let copying = Arc::new(AtomicBool::new(false));
    let copier = {
        let (engine, copying) = (engine.clone(), copying.clone());
        std::thread::spawn(move || {
            std::thread::sleep(length / 2);
            while Instant::now() < until {
                copying.store(true, Ordering::Relaxed);
                snapshot::write(&engine.view(), 1, std::io::sink()).expect("it is copied");
                copying.store(false, Ordering::Relaxed);
                std::thread::sleep(length / 20);
            }
        })
    };
    let tasks: Vec<_> = (0..clients)
        .map(|_| {
            let (engine, next, copying) = (engine.clone(), next.clone(), copying.clone());
            tokio::spawn(async move {
                let mut took: [Vec<u64>; BESIDE.len()] = Default::default();
                let beside = || (engine.stats().folding.load(Ordering::Relaxed), copying.load(Ordering::Relaxed));
                while Instant::now() < until {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if let Some(at) = (n * 1_000_000).checked_div(pace) {
                        tokio::time::sleep_until((begun + Duration::from_micros(at)).into()).await;
                    }
                    let asked = Instant::now();
                    let before = beside();
                    engine.write(&Caller::anonymous(), "bench", move |tx| transfer(tx, n, accounts)).await.expect("it succeeds");
                    let after = beside();
                    let which = if before.1 | after.1 { 2 } else { usize::from(before.0 | after.0) };
                    took[which].push(asked.elapsed().as_micros() as u64);
                }
                took
            })
        })
        .collect();
    let mut all: [Vec<u64>; BESIDE.len()] = Default::default();
    for task in tasks {
        for (all, took) in all.iter_mut().zip(task.await.expect("a client ends well")) {
            all.extend(took);
        }
    }
    copier.join().expect("the copies end well");
    all
}

fn quantile(sorted: &[u64], per_mille: usize) -> u64 {
    sorted.get((sorted.len().saturating_sub(1)) * per_mille / 1000).copied().unwrap_or(0)
}

fn folds(folder: &Path) {
    let (accounts, clients, seconds) = (flag("--accounts", 10_000), flag("--clients", 8), flag("--seconds", 10));
    if seconds == 0 {
        return;
    }
    open_accounts(folder, accounts);
    let runtime = Runtime::new().expect("a runtime starts");
    let options = EngineOptions::new(Options::with_seed([1; 32]), Arc::new(MachineClock), false);
    let engine = Engine::start(Arc::new(RealDisk), folder, options, Wiring::new(), Arc::new(AllowAll)).expect("a new folder opens");
    let mut took = runtime.block_on(loaded(&engine, clients, accounts, Duration::from_secs(seconds)));
    let folds = engine.stats().folds.load(Ordering::Relaxed);
    if accounts <= 100_000 {
        let books = audit(&*engine.view());
        assert!(books.is_clean(), "{:?}", books.mismatches);
    }
    engine.stop();
    println!(
        "{accounts} accounts, {clients} clients, {seconds} s, {folds} folds\n| beside the commands | count | p50 µs | p99 µs | p99.9 µs | longest µs |\n| --- | --- | --- | --- | --- | --- |"
    );
    for (name, took) in BESIDE.iter().zip(&mut took) {
        took.sort_unstable();
        let longest = took.last().copied().unwrap_or(0);
        println!("| {name} | {} | {} | {} | {} | {longest} |", took.len(), quantile(took, 500), quantile(took, 990), quantile(took, 999));
    }
    let calm = quantile(&took[0], 990).max(1) as f64;
    println!(
        "p99.9 during a fold / p99 without: {:.1}×, during a snapshot: {:.1}×\n",
        quantile(&took[1], 999) as f64 / calm,
        quantile(&took[2], 999) as f64 / calm
    );
}

fn written(store: &mut Store, command: impl FnOnce(&mut Txn<'_>)) -> u64 {
    let ran: Result<_, ()> = store.run(|txn| {
        command(txn);
        Ok(())
    });
    assert!(ran.is_ok());
    store.batch_bytes() as u64
}

/// A folder with so many accounts, all of them in the state file.
fn open_accounts(folder: &Path, accounts: u64) {
    let begun = Instant::now();
    let options = Options { fold_bytes: 64 << 20, log_kept_bytes: 0, ..Options::with_seed([2; 32]) };
    let mut store = Store::open(Arc::new(RealDisk), folder, options).expect("a new folder opens");
    for first in (0..accounts).step_by(CHUNK as usize) {
        store.begin(Timestamp::from_millis(1));
        written(&mut store, |txn| (first..accounts.min(first + CHUNK)).for_each(|owner| open(txn, account(owner), Constraint::None)));
        store.commit().expect("the disk is healthy");
        if store.fold_due() {
            store.fold_now().expect("the disk is healthy");
        }
    }
    store.fold_now().expect("the disk is healthy");
    println!("{accounts} accounts opened in {:.1} s", begun.elapsed().as_secs_f64());
}

fn recovery(folder: &Path) {
    let (state_mib, log_mib) = (flag("--state-mib", 64), flag("--log-mib", 32));
    if state_mib == 0 {
        return;
    }
    let options = || Options { log_kept_bytes: 16 << 20, ..Options::with_seed([2; 32]) };
    let (data, folder) = (folder, &folder.join("state"));
    let runtime = Runtime::new().expect("a runtime starts");
    let start =
        || runtime.block_on(app::start(AppOptions { data: Some(data.to_owned()), ..AppOptions::default() })).expect("the server starts");
    // A folder that this release made: what is older is copied whole before it is brought up to date.
    runtime.block_on(start().stop());
    let mut store = Store::open(Arc::new(RealDisk), folder, options()).expect("a new folder opens");
    let (mut accounts, mut bytes) = (0, 0);
    while bytes < state_mib << 20 {
        store.begin(Timestamp::from_millis(1));
        bytes += written(&mut store, |txn| (accounts..accounts + CHUNK).for_each(|owner| open(txn, account(owner), Constraint::None)));
        accounts += CHUNK;
        store.commit().expect("the disk is healthy");
        if store.fold_due() {
            store.fold_now().expect("the disk is healthy");
        }
    }
    store.fold_now().expect("the disk is healthy");
    let (mut n, mut bytes) = (0, 0);
    while bytes < log_mib << 20 {
        store.begin(Timestamp::from_millis(2));
        for _ in 0..50 {
            written(&mut store, |txn| assert!(post(txn, &step(n, accounts)).is_ok()));
            n += 1;
        }
        bytes += store.batch_bytes() as u64;
        store.commit().expect("the disk is healthy");
    }
    // As a process leaves it that is killed: nothing is folded.
    drop(store);
    let file = std::fs::metadata(folder.join("state.redb")).map_or(0, |file| file.len()) >> 20;
    let begun = Instant::now();
    let store = Store::open(Arc::new(RealDisk), folder, options()).expect("it opens again");
    let took = begun.elapsed();
    assert_eq!(storage::ledger::leaf_count(store.head()), n, "every transfer is there");
    println!(
        "{accounts} accounts ({file} MiB of state file), {n} transfers in {log_mib} MiB of log behind it: the store opens in {} ms",
        took.as_millis()
    );
    drop(store);
    let begun = Instant::now();
    let app = start();
    println!("the whole server serves after {} ms", begun.elapsed().as_millis());
    let begun = Instant::now();
    let written = app.engine().write(&Caller::system("bench"), "bench", move |tx| {
        open(tx, account(accounts), Constraint::None);
        Ok::<(), Denied>(())
    });
    runtime.block_on(written).expect("an account is opened");
    println!("and has committed a command {} ms later", begun.elapsed().as_millis());
    runtime.block_on(app.stop());
}

fn main() {
    let scratch = std::env::var_os("MEDINA_BENCH_DIR").map_or_else(std::env::temp_dir, Into::into);
    let scratch = tempfile::Builder::new().prefix("medina-folds-").tempdir_in(scratch).expect("a folder");
    folds(&scratch.path().join("folds"));
    recovery(&scratch.path().join("recovery"));
}
