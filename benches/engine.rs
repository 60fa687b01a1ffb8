//! Commands through the engine (a five-row ledger transfer) beside the log alone with group commit, at 1 to 128 clients, and one hot account.
//!
//! `cargo bench --bench engine`; each point also prints the p99 of one command and how many commands shared a sync.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use crossbeam_channel::{Receiver, Sender, bounded};
use medina::engine::stats::Histogram;
use medina::engine::{Authorize, Caller, Denied, Engine, EngineOptions, Question, Resource, Tx, Wiring};
use storage::disk::RealDisk;
use storage::ledger::{ACCOUNTS, AccountKey, Constraint, Currency, Step, TransferId, TransferKind, audit, open, post};
use storage::log::{Log, LogConfig, Position};
use storage::{MachineClock, Options, Read, Timestamp};
use tokio::runtime::Runtime;

/// The product's allocator, for both sides.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CLIENTS: [usize; 4] = [1, 8, 32, 128];
const ACCOUNTS_COUNT: u128 = 10_000;
const GHS: Currency = Currency(*b"GHS");

struct AllowAll;
impl Authorize for AllowAll {
    fn decide(&self, _: &dyn Read, _: &Caller, _: &Question) -> Result<String, Denied> {
        Ok(String::new())
    }
}

fn account(owner: u128) -> AccountKey {
    AccountKey { code: 100, owner, currency: GHS }
}

/// A transfer: two balances, the transfer, two index entries.
fn transfer(tx: &mut Tx<'_, '_>, n: u64, hot: bool) -> Result<(), Denied> {
    tx.authorize(&Question { action: "bench", resource: Resource { kind: "Bench", id: String::new(), attributes: Vec::new() } })?;
    // A multiplicative hash spreads the pairs without a generator in the loop.
    let from = if hot { 0 } else { u128::from(n.wrapping_mul(0x9E37_79B9_7F4A_7C15)) % ACCOUNTS_COUNT };
    let to = 1 + (from + 1 + u128::from(n) % 97) % (ACCOUNTS_COUNT - 1);
    let to = if to == from { to % (ACCOUNTS_COUNT - 1) + 1 } else { to };
    let (debit, credit) = (account(from), account(to));
    let step =
        Step { id: TransferId::from_u128(u128::from(n) + 1), debit, credit, amount: 1, kind: TransferKind::Single, code: 1, subject: 0 };
    post(tx, &step).expect("unconstrained accounts take any transfer");
    Ok(())
}

fn start(folder: &Path) -> Engine {
    let options = EngineOptions::new(Options::with_seed([1; 32]), Arc::new(MachineClock), false);
    Engine::start(Arc::new(RealDisk), folder, options, Wiring::new(), Arc::new(AllowAll)).expect("a new folder opens")
}

async fn with_accounts(engine: &Engine) {
    for chunk in 0..10 {
        let made = engine.write(&Caller::system("bench"), "open", move |tx| {
            for owner in chunk * ACCOUNTS_COUNT / 10..(chunk + 1) * ACCOUNTS_COUNT / 10 {
                open(tx, account(owner), Constraint::None);
            }
            Ok::<(), Denied>(())
        });
        made.await.expect("accounts are opened");
    }
}

/// `clients` tasks share `count` commands; the time of all.
async fn commands(engine: &Engine, clients: usize, count: u64, next: &Arc<AtomicU64>, hot: bool, took: &Arc<Histogram>) -> Duration {
    let end = next.load(Ordering::Relaxed) + count;
    let begun = Instant::now();
    let tasks: Vec<_> = (0..clients)
        .map(|_| {
            let (engine, next, took) = (engine.clone(), next.clone(), took.clone());
            tokio::spawn(async move {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= end {
                        return;
                    }
                    let asked = Instant::now();
                    engine.write(&Caller::anonymous(), "bench", move |tx| transfer(tx, n, hot)).await.expect("the command succeeds");
                    took.record(asked.elapsed());
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a client ends well");
    }
    next.store(end, Ordering::Relaxed);
    begun.elapsed()
}

type Asked = (Vec<u8>, tokio::sync::oneshot::Sender<()>);

/// The floor: a thread that appends what waits as one record, syncs, answers.
fn log_alone(folder: &Path) -> Sender<Asked> {
    let (queue, asked): (Sender<Asked>, Receiver<Asked>) = bounded(4_096);
    let mut log = Log::open(Arc::new(RealDisk), folder, LogConfig { segment_bytes: 16 << 20, cell: 1 }, Position::ZERO, &mut |_| Ok(()))
        .expect("a new log opens");
    std::thread::spawn(move || {
        while let Ok((mut body, first)) = asked.recv() {
            let mut answers = vec![first];
            while let Ok((more, answer)) = asked.try_recv() {
                body.extend_from_slice(&more);
                answers.push(answer);
            }
            log.append(1, answers.len() as u32, Timestamp::from_millis(1), &body).expect("the disk takes it");
            log.sync().expect("the disk syncs");
            for answer in answers {
                let _ = answer.send(());
            }
        }
    });
    queue
}

async fn appends(queue: &Sender<Asked>, clients: usize, count: u64, took: &Arc<Histogram>) -> Duration {
    // What a five-row transfer encodes to.
    const BODY: usize = 420;
    let left = Arc::new(AtomicU64::new(count));
    let begun = Instant::now();
    let tasks: Vec<_> = (0..clients)
        .map(|_| {
            let (queue, left, took) = (queue.clone(), left.clone(), took.clone());
            tokio::spawn(async move {
                while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                    let asked = Instant::now();
                    let (answer, answered) = tokio::sync::oneshot::channel();
                    queue.send((vec![7; BODY], answer)).expect("the log's thread lives");
                    answered.await.expect("the log answers");
                    took.record(asked.elapsed());
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("a client ends well");
    }
    begun.elapsed()
}

fn write_path(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime starts");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let engine = start(&folder.path().join("engine"));
    runtime.block_on(with_accounts(&engine));
    let queue = log_alone(&folder.path().join("log"));
    let next = Arc::new(AtomicU64::new(0));
    let mut group = criterion.benchmark_group("write");
    group.sample_size(20).measurement_time(Duration::from_secs(6)).throughput(Throughput::Elements(1));
    for clients in CLIENTS {
        let took = Arc::new(Histogram::default());
        group.bench_with_input(BenchmarkId::new("log_alone", clients), &clients, |bencher, clients| {
            bencher.iter_custom(|count| runtime.block_on(appends(&queue, *clients, count, &took)));
        });
        eprintln!("log_alone/{clients}: p99 {} µs", took.quantile_us(990));
        for (name, hot) in [("engine", false), ("engine_hot_account", true)] {
            let took = Arc::new(Histogram::default());
            let stats = engine.stats();
            let before = (stats.commands.load(Ordering::Relaxed), stats.batches.load(Ordering::Relaxed));
            group.bench_with_input(BenchmarkId::new(name, clients), &clients, |bencher, clients| {
                bencher.iter_custom(|count| runtime.block_on(commands(&engine, *clients, count, &next, hot, &took)));
            });
            let (commands, batches) = (stats.commands.load(Ordering::Relaxed) - before.0, stats.batches.load(Ordering::Relaxed) - before.1);
            eprintln!("{name}/{clients}: p99 {} µs, {:.1} commands a sync", took.quantile_us(990), commands as f64 / batches.max(1) as f64);
        }
    }
    group.finish();
    // The hot account lost nothing: every balance is what its transfers say, and their number is what was asked for.
    let audit = audit(&*engine.view());
    assert!(audit.is_clean(), "{:?}", audit.mismatches);
    assert_eq!(audit.transfers, next.load(Ordering::Relaxed));
    assert_eq!(ACCOUNTS.scan(&*engine.view()).count() as u128, ACCOUNTS_COUNT);
    engine.stop();
}

criterion_group!(benches, write_path);
criterion_main!(benches);
