//! The engine's time: the machine's, or (sandbox) the machine's plus an offset, or standing still. What the sandbox chose is a row, so that it
//! survives a restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde::{Deserialize, Serialize};
use storage::{Clock, Row, Table, Timestamp};

/// The sandbox's setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TestClock {
    /// Machine time plus this many milliseconds.
    Offset(i64),
    /// Stands still here until it is advanced.
    Frozen(Timestamp),
}

impl Row for TestClock {
    const VERSION: u8 = 1;
}

pub static TEST_CLOCK: Table<(), TestClock> = Table::new(29, "engine.test_clock", &[]);

/// Not frozen.
const RUNS: i64 = i64::MIN;

/// Reads the time; shared by writer, outbox and whoever needs "now" outside a command.
#[derive(Clone)]
pub struct EngineClock {
    machine: Arc<dyn Clock>,
    offset_ms: Arc<AtomicI64>,
    frozen_ms: Arc<AtomicI64>,
}

impl EngineClock {
    /// Over the machine's (or a simulated) clock.
    pub fn new(machine: Arc<dyn Clock>) -> Self {
        Self { machine, offset_ms: Arc::new(AtomicI64::new(0)), frozen_ms: Arc::new(AtomicI64::new(RUNS)) }
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self.frozen_ms.load(Ordering::Acquire) {
            RUNS => self.machine.now().plus_ms(self.offset_ms.load(Ordering::Acquire)),
            frozen => Timestamp::from_millis(frozen),
        }
    }

    /// The machine's own time: access tokens live by it.
    #[must_use]
    pub fn machine_now(&self) -> Timestamp {
        self.machine.now()
    }

    /// A clock that only goes forward, in milliseconds from an arbitrary start.
    #[must_use]
    pub fn monotonic_ms(&self) -> u64 {
        self.machine.monotonic_ms()
    }

    /// Whether it stands still.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.frozen_ms.load(Ordering::Acquire) != RUNS
    }

    /// Takes a setting over.
    pub fn set(&self, setting: TestClock) {
        match setting {
            TestClock::Offset(ms) => {
                self.offset_ms.store(ms, Ordering::Release);
                self.frozen_ms.store(RUNS, Ordering::Release);
            }
            TestClock::Frozen(at) => self.frozen_ms.store(at.millis(), Ordering::Release),
        }
    }

    /// The setting that makes it show `at` now, running or frozen.
    #[must_use]
    pub fn setting_for(&self, at: Timestamp, frozen: bool) -> TestClock {
        if frozen { TestClock::Frozen(at) } else { TestClock::Offset(at.millis() - self.machine.now().millis()) }
    }
}
