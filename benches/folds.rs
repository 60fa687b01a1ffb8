//! What checkpoints cost: commits while a fold runs and while none does, and how long a state takes to open with a log behind it.
//!
//! `cargo bench --bench folds`; `-- --accounts 5000000` for a big state, `--seconds 20` (default 10), `--clients 8`, `--state-mib 1024 --log-mib 100` for the recovery
//! (default 64 and 32). Sizes are of rows and of log records, before the tree's own overhead.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use medina::engine::{Authorize, Caller, Denied, Engine, EngineOptions, Question, Resource, Tx, Wiring};
use storage::disk::RealDisk;
use storage::ledger::{AccountKey, Constraint, Currency, Step, TransferId, TransferKind, audit, open, post};
use storage::{MachineClock, Options, Read, Store, Timestamp, Txn};
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

/// Latencies of commands that were answered while no fold ran, and while one did, in microseconds.
async fn loaded(engine: &Engine, clients: u64, accounts: u64, length: Duration) -> [Vec<u64>; 2] {
    let next = Arc::new(AtomicU64::new(0));
    let until = Instant::now() + length;
    let tasks: Vec<_> = (0..clients)
        .map(|_| {
            let (engine, next) = (engine.clone(), next.clone());
            tokio::spawn(async move {
                let mut took = [Vec::new(), Vec::new()];
                while Instant::now() < until {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    let asked = Instant::now();
                    let before = engine.stats().folding.load(Ordering::Relaxed);
                    engine.write(&Caller::anonymous(), "bench", move |tx| transfer(tx, n, accounts)).await.expect("it succeeds");
                    let folding = before | engine.stats().folding.load(Ordering::Relaxed);
                    took[usize::from(folding)].push(asked.elapsed().as_micros() as u64);
                }
                took
            })
        })
        .collect();
    let mut all = [Vec::new(), Vec::new()];
    for task in tasks {
        for (all, took) in all.iter_mut().zip(task.await.expect("a client ends well")) {
            all.extend(took);
        }
    }
    all
}

fn quantile(sorted: &[u64], per_mille: usize) -> u64 {
    sorted.get((sorted.len().saturating_sub(1)) * per_mille / 1000).copied().unwrap_or(0)
}

fn folds(folder: &Path) {
    let (accounts, clients, seconds) = (flag("--accounts", 10_000), flag("--clients", 8), flag("--seconds", 10));
    let runtime = Runtime::new().expect("a runtime starts");
    let options = EngineOptions::new(Options::with_seed([1; 32]), Arc::new(MachineClock), false);
    let engine = Engine::start(Arc::new(RealDisk), folder, options, Wiring::new(), Arc::new(AllowAll)).expect("a new folder opens");
    let mut took = runtime.block_on(async {
        for first in (0..accounts).step_by(CHUNK as usize) {
            let made = engine.write(&Caller::system("bench"), "open", move |tx| {
                (first..accounts.min(first + CHUNK)).for_each(|owner| open(tx, account(owner), Constraint::None));
                Ok::<(), Denied>(())
            });
            made.await.expect("accounts are opened");
        }
        loaded(&engine, clients, accounts, Duration::from_secs(seconds)).await
    });
    let folds = engine.stats().folds.load(Ordering::Relaxed);
    if accounts <= 100_000 {
        let books = audit(&*engine.view());
        assert!(books.is_clean(), "{:?}", books.mismatches);
    }
    engine.stop();
    println!(
        "{accounts} accounts, {clients} clients, {seconds} s, {folds} folds\n| commands | count | p50 µs | p99 µs | p99.9 µs |\n| --- | --- | --- | --- | --- |"
    );
    for (name, took) in ["no fold under way", "a fold under way"].iter().zip(&mut took) {
        took.sort_unstable();
        println!("| {name} | {} | {} | {} | {} |", took.len(), quantile(took, 500), quantile(took, 990), quantile(took, 999));
    }
    println!("p99.9 during a fold / p99 without: {:.1}×\n", quantile(&took[1], 999) as f64 / quantile(&took[0], 990).max(1) as f64);
}

fn written(store: &mut Store, command: impl FnOnce(&mut Txn<'_>)) -> u64 {
    let ran: Result<_, ()> = store.run(|txn| {
        command(txn);
        Ok(())
    });
    assert!(ran.is_ok());
    store.batch_bytes() as u64
}

fn recovery(folder: &Path) {
    let (state_mib, log_mib) = (flag("--state-mib", 64), flag("--log-mib", 32));
    let options = || Options { log_kept_bytes: 16 << 20, ..Options::with_seed([2; 32]) };
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
        "{accounts} accounts ({file} MiB of state file), {n} transfers in {log_mib} MiB of log behind it: open in {} ms",
        took.as_millis()
    );
}

fn main() {
    let scratch = std::env::var_os("MEDINA_BENCH_DIR").map_or_else(std::env::temp_dir, Into::into);
    let scratch = tempfile::Builder::new().prefix("medina-folds-").tempdir_in(scratch).expect("a folder");
    folds(&scratch.path().join("folds"));
    recovery(&scratch.path().join("recovery"));
}
