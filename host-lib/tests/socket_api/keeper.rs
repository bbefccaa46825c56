//! Time for threads that are not the net's.
use std::os::fd::AsFd;
use std::sync::Arc;

use ferrule_testnet::{Clock, JoinHandle, Net};
use nix::sys::eventfd::{EfdFlags, EventFd};

/// Keeps simulated time going while the thread that has it is outside.
pub(crate) struct Keeper(Arc<EventFd>, Option<JoinHandle<()>>);

impl Keeper {
    pub(crate) fn new(net: &Net) -> Self {
        let done = Arc::new(EventFd::from_flags(EfdFlags::EFD_NONBLOCK).unwrap());
        let (clock, end) = (net.clock(), Arc::clone(&done));
        let thread = net.spawn(move || clock.wait(&[end.as_fd()], None).unwrap());
        Self(done, Some(thread))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.write(1).unwrap();
        let joined = self.1.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || matches!(joined, Some(Ok(()))));
    }
}
