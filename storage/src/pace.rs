//! How a fold shares the machine with the writer: its thread gives way, and what it has written goes to the device in small steps, so that the log's
//! syncs wait behind kilobytes and not behind everything that a checkpoint dirties.
//!
//! None of it changes what a crash may leave: a fold is one redb commit, and nothing here is taken for durable.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::disk::DiskFile;

/// The device gets about this much of a fold at a time.
const STEP_BYTES: u64 = 256 << 10;
/// Between two steps: several of the log's syncs fit in.
const STEP_REST: Duration = Duration::from_micros(500);
/// Below the default of 0 by so much that the writer and those who serve go first, and above the lowest of 19 so that a busy machine still folds.
const NICE: libc::c_int = 10;

/// Whether a fold takes its time, and what it has written since the last sync.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    gentle: AtomicBool,
    written: Mutex<Vec<(u64, u64)>>,
}

impl Pace {
    /// From now on writes are remembered, and go to the device step by step before a sync.
    pub(crate) fn be_gentle(&self, gentle: bool) {
        self.gentle.store(gentle, Ordering::Relaxed);
    }

    fn is_gentle(&self) -> bool {
        self.gentle.load(Ordering::Relaxed)
    }

    /// Notes a write of `len` bytes at `offset`.
    pub(crate) fn wrote(&self, offset: u64, len: usize) {
        if self.is_gentle() {
            self.written.lock().unwrap_or_else(PoisonError::into_inner).push((offset, len as u64));
        }
    }

    /// Before a sync: hands what was written to the device in steps.
    ///
    /// # Errors
    /// The disk's, which the sync that follows might not be told again.
    pub(crate) fn write_back(&self, file: &dyn DiskFile) -> io::Result<()> {
        let written = std::mem::take(&mut *self.written.lock().unwrap_or_else(PoisonError::into_inner));
        for (offset, len) in steps(written) {
            if !self.is_gentle() {
                break;
            }
            file.write_back(offset, len)?;
            std::thread::sleep(STEP_REST);
        }
        Ok(())
    }
}

/// Runs of the file in ascending order, each with about [`STEP_BYTES`] written in it; clean pages between cost nothing.
fn steps(mut written: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    written.sort_unstable();
    let (mut steps, mut dirty): (Vec<(u64, u64)>, u64) = (Vec::new(), STEP_BYTES);
    for (offset, len) in written {
        match steps.last_mut() {
            Some((from, long)) if dirty < STEP_BYTES => {
                *long = (*long).max(offset + len - *from);
                dirty += len;
            }
            _ => {
                steps.push((offset, len));
                dirty = len;
            }
        }
    }
    steps
}

/// Lets the other threads of this machine go before the calling one, for good.
///
/// Source: sched(7), setpriority(2): on Linux both are per thread.
pub fn give_way() {
    // A refusal costs latency, not correctness.
    // SAFETY: both calls take plain values, and the pointer is to a live struct.
    unsafe {
        let parameters = libc::sched_param { sched_priority: 0 };
        libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const parameters);
        libc::setpriority(libc::PRIO_PROCESS, 0, NICE);
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// A file that remembers what was handed to the device, and fails from some call on.
    struct Device {
        taken: Mutex<Vec<(u64, u64)>>,
        fails_after: usize,
    }

    impl DiskFile for Device {
        fn read_at(&self, _: u64, _: &mut [u8]) -> io::Result<()> {
            Ok(())
        }
        fn write_at(&self, _: u64, _: &[u8]) -> io::Result<()> {
            Ok(())
        }
        fn sync_data(&self) -> io::Result<()> {
            Ok(())
        }
        fn set_len(&self, _: u64) -> io::Result<()> {
            Ok(())
        }
        fn len(&self) -> io::Result<u64> {
            Ok(0)
        }
        fn write_back(&self, offset: u64, len: u64) -> io::Result<()> {
            let mut taken = self.taken.lock().expect("nobody panics");
            if taken.len() >= self.fails_after {
                return Err(io::Error::other("lost"));
            }
            taken.push((offset, len));
            Ok(())
        }
    }

    #[test]
    fn only_a_gentle_fold_writes_back_and_an_error_is_told() {
        let device = |fails_after| Device { taken: Mutex::default(), fails_after };
        let megabyte = |pace: &Pace| (0..256).for_each(|page| pace.wrote(page * 4_096, 4_096));
        let (pace, healthy) = (Pace::default(), device(usize::MAX));
        megabyte(&pace);
        pace.write_back(&healthy).expect("there is nothing to do");
        pace.be_gentle(true);
        megabyte(&pace);
        pace.write_back(&healthy).expect("a healthy device");
        let steps: Vec<(u64, u64)> = (0..4).map(|step| (step * STEP_BYTES, STEP_BYTES)).collect();
        assert_eq!(*healthy.taken.lock().expect("nobody panics"), steps);
        pace.write_back(&healthy).expect("nothing was written since");
        assert_eq!(healthy.taken.lock().expect("nobody panics").len(), 4);
        megabyte(&pace);
        assert!(pace.write_back(&device(2)).is_err(), "the sync would not be told again");
        megabyte(&pace);
        pace.be_gentle(false);
        pace.write_back(&device(0)).expect("a fold in a hurry leaves it to the sync");
    }

    proptest! {
        /// Everything written lies in a step, steps ascend without overlap, and none is asked to carry much more than it should.
        #[test]
        fn steps_cover_what_was_written(pages in vec(0_u64..4_000, 0..600)) {
            let mut written: Vec<(u64, u64)> = pages.iter().map(|page| (page * 4_096, 4_096)).collect();
            let steps = steps(written.clone());
            written.sort_unstable();
            for (offset, len) in &written {
                prop_assert!(steps.iter().any(|(from, long)| from <= offset && offset + len <= from + long));
            }
            prop_assert!(steps.windows(2).all(|pair| pair[0].0 < pair[1].0));
            for (from, long) in &steps {
                let inside: u64 = written.iter().filter(|(offset, _)| from <= offset && *offset < from + long).map(|(_, len)| len).sum();
                // A page that was written several times at the edge may be counted on both sides.
                prop_assert!(steps.len() == 1 || inside <= 2 * STEP_BYTES + 600 * 4_096 / 8);
            }
        }
    }
}
