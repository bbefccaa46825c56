//! A lock without poison: what a thread that panicked leaves is as consistent here as what an error leaves.
//!
//! Under ThreadSanitizer (`cargo xtask tsan`) it is parking_lot's, which is compiled for it as all else is. The standard library comes compiled
//! without: that a thread has waited for its lock would not be seen, and whatever the lock guards would be reported.
#![allow(unexpected_cfgs, reason = "nothing but `cargo xtask tsan` gives it")]
#[cfg(ferrule_tsan)]
pub use parking_lot::{Mutex, MutexGuard};
#[cfg(not(ferrule_tsan))]
pub use plain::{Mutex, MutexGuard};

#[cfg(not(ferrule_tsan))]
mod plain {
    pub use std::sync::MutexGuard;
    use std::sync::{PoisonError, TryLockError};

    /// A lock: [`std::sync::Mutex`].
    #[derive(Debug, Default)]
    pub struct Mutex<T>(std::sync::Mutex<T>);

    impl<T> Mutex<T> {
        /// One that nobody holds.
        pub const fn new(value: T) -> Self {
            Self(std::sync::Mutex::new(value))
        }

        /// Waits until nobody holds it.
        #[inline]
        pub fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }

        /// Takes it if nobody holds it.
        #[inline]
        pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            match self.0.try_lock() {
                Ok(guard) => Some(guard),
                Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => None,
            }
        }
    }
}
