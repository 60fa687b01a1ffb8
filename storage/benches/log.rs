//! A durable append of 1 KiB, beside its floors: the same bytes and the same sync without a log, into a file of zeros and into a growing one.
//! And recovery: a whole segment of such records, read, checked and replayed.
//!
//! The disk is the one that the system's temporary folder is on (`TMPDIR`).

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use storage::disk::{Disk, DiskFile, Open, RealDisk};
use storage::log::{Log, LogConfig, Position};

const BODY: [u8; 1024] = [0x5a; 1024];
const FILE_BYTES: u64 = 16 << 20;

fn open(dir: &Path, after: Position) -> Log {
    let config = LogConfig::default();
    Log::open(Arc::new(RealDisk), dir, config, after, &mut |record| {
        black_box(record);
        Ok(())
    })
    .expect("the bench's own folder opens")
}

fn append(log: &mut Log) {
    let time = log.end().time;
    log.append(0, 1, time, &BODY).expect("the disk has room");
    log.sync().expect("the disk syncs");
}

/// Writes and syncs 1 KiB at each call, over and over the same 16 MiB.
fn floor(file: &dyn DiskFile, grow: bool) -> impl FnMut() {
    let mut at = 0;
    move || {
        file.write_at(at, &BODY).expect("the disk has room");
        file.sync_data().expect("the disk syncs");
        at += BODY.len() as u64;
        if at >= FILE_BYTES {
            at = 0;
            if grow {
                file.set_len(0).expect("a file can be emptied");
            }
        }
    }
}

fn appends(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut group = criterion.benchmark_group("append and sync 1 KiB");
    group.throughput(Throughput::Elements(1));
    let dir = folder.path().join("log");
    let mut log = open(&dir, Position::ZERO);
    group.bench_function("log", |bencher| {
        bencher.iter(|| append(&mut log));
        log.trim(log.end().seq).expect("old segments go");
    });
    let create = |name| RealDisk.open(&folder.path().join(name), Open::Create).expect("a new file");
    let file = create("zeros");
    file.write_at(0, &vec![0; FILE_BYTES as usize]).and_then(|()| file.sync_data()).expect("the disk has room");
    group.bench_function("floor: into zeros", |bencher| bencher.iter(floor(&*file, false)));
    let file = create("growing");
    group.bench_function("floor: growing file", |bencher| bencher.iter(floor(&*file, true)));
    group.finish();
}

fn recovery(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut log = open(folder.path(), Position::ZERO);
    // A full batch is larger than 1 KiB; this is 15 MiB of them.
    let body = [0x5a; 16 << 10];
    for _ in 0..960 {
        let time = log.end().time;
        log.append(0, 1, time, &body).expect("the disk has room");
        log.sync().expect("the disk syncs");
    }
    drop(log);
    let mut group = criterion.benchmark_group("recovery");
    group.throughput(Throughput::Bytes(960 * body.len() as u64));
    group.sample_size(20);
    group.bench_function("open and replay 15 MiB", |bencher| {
        bencher.iter(|| open(folder.path(), Position::ZERO).end());
    });
    group.finish();
}

criterion_group!(benches, appends, recovery);
criterion_main!(benches);
