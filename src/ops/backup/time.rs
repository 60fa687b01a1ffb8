//! Time as the copying threads know it: the machine's, or one that a test drives.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Whose time it is.
#[derive(Clone, Debug, Default)]
pub enum Time {
    #[default]
    Machine,
    Driven(Arc<Driven>),
}

/// Time that passes when it is told to.
#[derive(Debug, Default)]
pub struct Driven {
    hands: Mutex<Hands>,
    passed: Condvar,
}

#[derive(Debug, Default)]
struct Hands {
    now: Duration,
    /// What is waited for.
    waits: Vec<Duration>,
}

impl Driven {
    /// Lets so much time pass.
    pub fn advance(&self, by: Duration) {
        lock(&self.hands).now += by;
        self.passed.notify_all();
    }

    /// The first time that somebody waits for, if anybody does; not later than now: they are about to wake.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        lock(&self.hands).waits.iter().min().copied()
    }
}

/// A driven wait looks for the bell this often.
const GLANCE: Duration = Duration::from_millis(5);

impl Time {
    /// Time that stands still, and the hand that moves it.
    #[must_use]
    pub fn driven() -> (Self, Arc<Driven>) {
        let driven = Arc::new(Driven::default());
        (Self::Driven(driven.clone()), driven)
    }

    /// Since some beginning; never goes back.
    #[must_use]
    pub fn now(&self) -> Duration {
        static BEGAN: OnceLock<Instant> = OnceLock::new();
        match self {
            Self::Machine => BEGAN.get_or_init(Instant::now).elapsed(),
            Self::Driven(driven) => lock(&driven.hands).now,
        }
    }

    /// Waits for so long, or until the bell rings; true if it rang.
    pub fn wait(&self, time: Duration, bell: &Bell) -> bool {
        let Self::Driven(driven) = self else { return bell.wait(time) };
        let mut hands = lock(&driven.hands);
        let until = hands.now.saturating_add(time);
        hands.waits.push(until);
        while hands.now < until && !bell.is_rung() {
            hands = driven.passed.wait_timeout(hands, GLANCE).unwrap_or_else(PoisonError::into_inner).0;
        }
        if let Some(own) = hands.waits.iter().position(|at| *at == until) {
            hands.waits.swap_remove(own);
        }
        bell.is_rung()
    }
}

/// Once rung, it ends every wait.
#[derive(Debug, Default)]
pub struct Bell {
    rung: Mutex<bool>,
    ring: Condvar,
}

impl Bell {
    /// Ends every wait, for ever.
    pub fn ring(&self) {
        *lock(&self.rung) = true;
        self.ring.notify_all();
    }

    #[must_use]
    pub fn is_rung(&self) -> bool {
        *lock(&self.rung)
    }

    fn wait(&self, time: Duration) -> bool {
        let waited = self.ring.wait_timeout_while(lock(&self.rung), time, |rung| !*rung);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// So many bytes a second on average; one object goes out as fast as it can, and the next one waits until it is paid for.
#[derive(Debug, Default)]
pub struct Throttle {
    /// 0: no limit.
    bytes_per_s: u64,
    time: Time,
    /// When everything that was sent is paid for.
    paid_at: Mutex<Duration>,
    /// Lifts the limit: the end must not wait for it.
    pub lifted: Arc<Bell>,
}

impl Throttle {
    #[must_use]
    pub fn new(bytes_per_s: u64, time: Time) -> Self {
        Self { bytes_per_s, time, ..Self::default() }
    }

    /// Waits until `bytes` may go out. Who comes meanwhile waits behind.
    pub fn before(&self, bytes: u64) {
        let Some(cost_us) = bytes.saturating_mul(1_000_000).checked_div(self.bytes_per_s) else { return };
        let begins = {
            let mut paid_at = lock(&self.paid_at);
            let begins = (*paid_at).max(self.time.now());
            *paid_at = begins.saturating_add(Duration::from_micros(cost_us));
            begins
        };
        self.time.wait(begins.saturating_sub(self.time.now()), &self.lifted);
    }
}
