//! The two places where the order of memory accesses between host and device matters.
//!
//! x86-64 orders ordinary stores among themselves and before a store to uncached memory, so that only the compiler has to be held; aarch64
//! needs a barrier instruction. A fence does what either needs. Reading a phase with acquire is [`DmaBuf::load_acquire`](crate::DmaBuf::load_acquire).
use std::sync::atomic::{fence, Ordering};

/// Between the last write to a ring and the doorbell that tells of it.
#[inline]
pub fn before_doorbell() {
    fence(Ordering::Release);
}

/// Between a doorbell that arms an interrupt and the look at the ring that must not come before it.
#[inline]
pub fn after_arm() {
    fence(Ordering::SeqCst);
}
