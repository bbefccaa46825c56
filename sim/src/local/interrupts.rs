//! Interrupts on their way from the NICs to the hosts.
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::signal;

/// The eventfds that are to be written.
#[derive(Default)]
pub(super) struct Interrupts {
    raised: AtomicBool,
    waiting: Mutex<Vec<Arc<OwnedFd>>>,
}

impl Interrupts {
    fn waiting(&self) -> MutexGuard<'_, Vec<Arc<OwnedFd>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A NIC raises one. Raised again before it is delivered, it is still one.
    pub(super) fn raise(&self, event: &Arc<OwnedFd>) {
        let mut waiting = self.waiting();
        if !waiting.iter().any(|known| Arc::ptr_eq(known, event)) {
            waiting.push(Arc::clone(event));
        }
        self.raised.store(true, Ordering::Release);
    }

    /// Whether any was raised since the last delivery.
    pub(super) fn are_raised(&self) -> bool {
        self.raised.load(Ordering::Acquire)
    }

    /// Writes the eventfds.
    pub(super) fn deliver(&self) {
        self.raised.store(false, Ordering::Release);
        self.waiting().drain(..).for_each(|event| signal(&event));
    }
}
