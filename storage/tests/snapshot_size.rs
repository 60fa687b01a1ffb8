//! How long a large state takes to copy and to restore. Prints; asserts only that it is the same state.
//!
//! `MEDINA_SIZE_MIB=1024 cargo test --release -p storage --test snapshot_size -- --ignored --nocapture`

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use storage::disk::RealDisk;
use storage::{Options, Store, Timestamp, snapshot};

/// Values of about the size of an order's row, a third of it repeating.
const VALUE_BYTES: usize = 400;

#[test]
#[ignore = "takes minutes and gigabytes"]
fn a_large_state_is_copied_and_restored() {
    let mib: u64 = std::env::var("MEDINA_SIZE_MIB").map_or(256, |mib| mib.parse().expect("a number of MiB"));
    let temporary = tempfile::tempdir().expect("a folder");
    let dir = temporary.path().join("state");
    // Large folds: the state is only the means here, and keys in no order cost a fold a page each.
    let options = Options { fold_bytes: 256 << 20, recent_bytes_max: 512 << 20, ..Options::with_seed([1; 32]) };
    let mut store = Store::open(Arc::new(RealDisk), &dir, options).expect("it opens");
    let rows = (mib << 20) / (VALUE_BYTES as u64 + 10);
    let begun = Instant::now();
    let mut n = 0;
    while n < rows {
        store.begin(Timestamp::from_millis(n as i64));
        for _ in 0..1_000 {
            let mut value = [7_u8; VALUE_BYTES];
            blake3::Hasher::new().update(&n.to_le_bytes()).finalize_xof().fill(&mut value[..VALUE_BYTES * 2 / 3]);
            // Neighbours in time are not neighbours in the tree.
            let key = [&[9, 9][..], &n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()].concat();
            let Ok(_) = store.run(|txn| {
                txn.set_raw(&key, Some(value.as_slice().into()));
                Ok::<(), std::convert::Infallible>(())
            });
            n += 1;
        }
        store.commit().expect("the disk is healthy");
        if store.fold_due() {
            store.fold_now().expect("the disk is healthy");
        }
    }
    println!("{mib} MiB in {n} rows written in {:.1} s", begun.elapsed().as_secs_f64());
    let path = temporary.path().join("copy");
    let begun = Instant::now();
    let file = std::io::BufWriter::new(std::fs::File::create(&path).expect("a file"));
    let summary = snapshot::write(&store.views().now(), 1, file).expect("it is copied");
    println!(
        "copied in {:.1} s: {} MiB compressed to {} MiB",
        begun.elapsed().as_secs_f64(),
        summary.plain_bytes >> 20,
        summary.bytes >> 20
    );
    drop(store);
    let begun = Instant::now();
    let from = std::io::BufReader::new(std::fs::File::open(&path).expect("it is there"));
    let to = temporary.path().join("restored");
    snapshot::restore(from, Arc::new(RealDisk), &to).expect("it is restored");
    println!("restored in {:.1} s", begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    let store = Store::open(Arc::new(RealDisk), Path::new(&to), Options::with_seed([1; 32])).expect("it opens");
    assert_eq!(store.head().digest(), summary.digest);
    println!("opened and read back in {:.1} s", begun.elapsed().as_secs_f64());
}
