#![no_main]
//! A log segment from foreign bytes: opening it is an error or a log, never a panic.

use std::path::Path;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use storage::Position;
use storage::disk::{Disk, Open, SimDisk};
use storage::log::{Log, LogConfig};

fuzz_target!(|bytes: &[u8]| {
    let disk = SimDisk::new(1);
    let dir = Path::new("log");
    let written = disk.create_dir_all(dir).and_then(|()| disk.open(&dir.join("00000000000000000001.log"), Open::Create)).and_then(|file| file.write_at(0, bytes));
    assert!(written.is_ok());
    let _ = Log::open(Arc::new(disk), dir, LogConfig { segment_bytes: 4096, cell: 1 }, Position::ZERO, &mut |_| Ok(()));
});
