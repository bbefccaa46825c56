//! The wish of the program's user that it ends: SIGINT or SIGTERM.
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use ferrule_driver::irq::Irq;
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::io::Errno;

use crate::error::Error;

/// A flag that the signals set, and a descriptor that becomes readable then and stays so.
pub(crate) struct Interrupt {
    raised: Arc<AtomicBool>,
    event: Arc<Irq>,
}

impl Interrupt {
    /// From now on the signals do not end the program.
    ///
    /// # Errors
    /// When they cannot be caught.
    pub(crate) fn catch() -> Result<Self, Error> {
        let event = Arc::new(Irq::new().map_err(Error::doing("making an eventfd"))?);
        let raised = Arc::new(AtomicBool::new(false));
        let (flag, signal) = (Arc::clone(&raised), Arc::clone(&event));
        ctrlc::set_handler(move || {
            flag.store(true, Ordering::Release);
            // Nobody sleeps on a descriptor that cannot be written to.
            let _ = rustix::io::write(&*signal, &1u64.to_ne_bytes());
        })
        .map_err(|e| Error::Wrong(format!("cannot wait for signals: {e}")))?;
        Ok(Self { raised, event })
    }

    /// Whether one came.
    pub(crate) fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Acquire)
    }

    /// Waits for one, so long at most; whether one came.
    ///
    /// # Errors
    /// What poll(2) reports.
    pub(crate) fn wait(&self, longest: Duration) -> Result<bool, Error> {
        let timeout = Timespec {
            tv_sec: longest.as_secs() as i64,
            tv_nsec: longest.subsec_nanos().into(),
        };
        let fd = self.fd();
        match poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => Ok(self.is_raised()),
            Err(e) => Err(Error::doing("waiting")(e.into())),
        }
    }

    /// For a wait that it is to end.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}
