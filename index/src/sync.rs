//! The one place that knows whether the program runs or is being model-checked.
//!
//! Under `--cfg loom` atomics and locks are loom's. `arc_swap` cannot be explored by loom, so there [`Published`] is a
//! lock with the same contract: a reader sees one whole published value, never a mixture.

#[cfg(not(loom))]
pub(crate) use std::sync::{
    Mutex,
    atomic::{AtomicU32, AtomicU64, Ordering, fence},
};

#[cfg(loom)]
pub(crate) use loom::sync::{
    Mutex,
    atomic::{AtomicU32, AtomicU64, Ordering, fence},
};

/// Gives way while another writer of the same cell finishes. Loom has to know that this thread cannot go on alone.
pub(crate) fn give_way() {
    #[cfg(not(loom))]
    std::hint::spin_loop();
    #[cfg(loom)]
    loom::thread::yield_now();
}

/// A value that is replaced whole while others read it.
#[cfg(not(loom))]
pub(crate) struct Published<T>(arc_swap::ArcSwap<T>);

#[cfg(not(loom))]
impl<T> Published<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(arc_swap::ArcSwap::from_pointee(value))
    }

    pub(crate) fn read<R>(&self, see: impl FnOnce(&T) -> R) -> R {
        see(&self.0.load())
    }

    pub(crate) fn replace(&self, value: T) {
        self.0.store(std::sync::Arc::new(value));
    }
}

#[cfg(loom)]
pub(crate) struct Published<T>(loom::sync::Mutex<std::sync::Arc<T>>);

#[cfg(loom)]
impl<T> Published<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(std::sync::Arc::new(value)))
    }

    pub(crate) fn read<R>(&self, see: impl FnOnce(&T) -> R) -> R {
        let value = self.0.lock().expect("no reader or publisher panics while it holds this lock").clone();
        see(&value)
    }

    pub(crate) fn replace(&self, value: T) {
        *self.0.lock().expect("no reader or publisher panics while it holds this lock") = std::sync::Arc::new(value);
    }
}
