//! Who drives the NIC: whichever thread waits on a socket, one at a time.
//!
//! A thread whose call cannot finish takes the driver's token and sleeps on the NIC's interrupts, the earliest deadline and a
//! wake-up; all others sleep on a condition variable until it comes back. A service thread, where there is one, is simply a
//! thread that always waits, so that retransmissions and answers go on while the program computes.
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ferrule_driver::Clock;
use ferrule_stack::Instant;
use nix::errno::Errno;
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::core::Core;

/// State behind the mutex: the NIC, the stack, and who waits.
pub(crate) struct State {
    pub(crate) core: Core,
    /// A thread sleeps on the NIC's interrupts.
    driving: bool,
    /// The deadline it sleeps until, in nanoseconds.
    driving_until: Option<u64>,
    /// Deadlines of the threads that sleep on the condition variable, by a number of their own.
    waiting: BTreeMap<u64, Option<u64>>,
    next_waiter: u64,
    /// The host is being dropped: the service thread ends.
    pub(crate) closing: bool,
}

/// What all sockets of a host share.
pub(crate) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    clock: Arc<dyn Clock>,
    /// Wakes the driving thread.
    kick: EventFd,
    irqs: Vec<OwnedFd>,
}

impl Shared {
    pub(crate) fn new(core: Core, clock: Arc<dyn Clock>, irqs: Vec<OwnedFd>) -> io::Result<Self> {
        Ok(Self {
            state: Mutex::new(State {
                core,
                driving: false,
                driving_until: None,
                waiting: BTreeMap::new(),
                next_waiter: 0,
                closing: false,
            }),
            changed: Condvar::new(),
            clock,
            kick: EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?,
            irqs,
        })
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::from_nanos(self.clock.now())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A thread that panicked in a socket call leaves the stack as consistent as any error would.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `call` once, with all that has arrived taken in before and all that is to be sent handed down after.
    pub(crate) fn with<T>(&self, call: impl FnOnce(&mut Core, Instant) -> T) -> io::Result<T> {
        let mut state = self.lock();
        state.core.pump(self.now())?;
        let result = call(&mut state.core, self.now());
        state.core.pump(self.now())?;
        self.tell(&state)?;
        Ok(result)
    }

    /// Ends every wait that asks [`State::closing`].
    pub(crate) fn close(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.closing = true;
        self.tell(&state)
    }

    /// Something may have changed: whoever waits looks again.
    fn tell(&self, state: &State) -> io::Result<()> {
        self.changed.notify_all();
        if state.driving {
            self.kick()?;
        }
        Ok(())
    }

    /// Wakes the thread that sleeps on the NIC.
    fn kick(&self) -> io::Result<()> {
        match self.kick.write(1) {
            // Full: it has not woken from the last time yet.
            Ok(_) | Err(Errno::EAGAIN) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Repeats `call` until it gives a result, driving the NIC or waiting for the thread that does.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] when `timeout` passes first; what the NIC or the clock reports.
    pub(crate) fn block_on<T>(
        &self,
        timeout: Option<Duration>,
        mut call: impl FnMut(&mut State, Instant) -> Option<io::Result<T>>,
    ) -> io::Result<T> {
        let deadline = timeout.map(|t| (self.now() + t).as_nanos());
        let mut state = self.lock();
        loop {
            let moved = state.core.pump(self.now())?;
            let result = call(&mut state, self.now());
            let sent = state.core.pump(self.now())?;
            if let Some(result) = result {
                self.tell(&state)?;
                return result;
            }
            if (moved || sent) && !state.waiting.is_empty() {
                self.changed.notify_all();
            }
            if deadline.is_some_and(|d| d <= self.clock.now()) {
                self.tell(&state)?;
                return Err(io::ErrorKind::TimedOut.into());
            }
            state = if state.driving {
                self.wait_for_driver(state, deadline)?
            } else {
                self.drive(state, deadline)?
            };
        }
    }

    /// Sleeps until the driving thread has looked at the NIC.
    fn wait_for_driver<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        deadline: Option<u64>,
    ) -> io::Result<MutexGuard<'a, State>> {
        let me = state.next_waiter;
        state.next_waiter += 1;
        state.waiting.insert(me, deadline);
        // The driving thread sleeps past this deadline, or past a timer that this thread's call has set: let it think again.
        let wanted = earliest([deadline, state.core.next_deadline()]);
        if wanted.is_some_and(|w| state.driving_until.is_none_or(|until| w < until)) {
            self.kick()?;
        }
        let mut state = self
            .changed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner);
        state.waiting.remove(&me);
        Ok(state)
    }

    /// Takes the token, sleeps on the NIC, and lets all others look.
    fn drive<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        deadline: Option<u64>,
    ) -> io::Result<MutexGuard<'a, State>> {
        // Armed before the last look at the rings: what comes after it raises the interrupt.
        if state.core.arm()? {
            return Ok(state);
        }
        let others = state.waiting.values().copied().flatten().min();
        let until = earliest([deadline, others, state.core.next_deadline()]);
        state.driving = true;
        state.driving_until = until;
        drop(state);
        let fds: Vec<BorrowedFd<'_>> = self
            .irqs
            .iter()
            .map(|irq| irq.as_fd())
            .chain([self.kick.as_fd()])
            .collect();
        let waited = self.clock.wait(&fds, until);
        let mut state = self.lock();
        state.driving = false;
        self.changed.notify_all();
        waited?;
        state.core.drain_irqs()?;
        match self.kick.read() {
            Ok(_) | Err(Errno::EAGAIN) => Ok(state),
            Err(e) => Err(e.into()),
        }
    }
}

fn earliest<const N: usize>(deadlines: [Option<u64>; N]) -> Option<u64> {
    deadlines.into_iter().flatten().min()
}
