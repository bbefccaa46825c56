//! Simulated time as the host sees it: it moves with the hardware's cycles, and jumps when nobody has anything to do.
//!
//! A jump needs three things: every attached thread waits, none of what they wait for is there, and nothing came to the simulator since it
//! looked. [`SimClock::idle`] takes a note of the first two, the simulator then drains what the host sent before it slept, and
//! [`SimClock::jump`] goes only if the note still holds.
use std::collections::HashMap;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

use ferrule_driver::clock::Clock;
use rustix::event::{eventfd, poll, EventfdFlags, PollFd, PollFlags, Timespec};
use rustix::io::Errno;

/// The clock of one simulator; clones are the same clock.
#[derive(Clone)]
pub struct SimClock {
    shared: Arc<Shared>,
}

struct Shared {
    now_ns: AtomicU64,
    /// The earliest deadline of a waiter, or all-ones: spares a lock on every cycle.
    next_wake_ns: AtomicU64,
    state: Mutex<State>,
    /// Readable when the host side changed: all wait, or somebody left.
    changed: OwnedFd,
}

#[derive(Default)]
struct State {
    /// Attached threads and how often each is.
    attached: HashMap<ThreadId, usize>,
    /// Threads that will attach: see [`Ticket`].
    tickets: usize,
    waiters: Vec<Waiter>,
    /// Counts every change of who waits.
    epoch: u64,
    next_waiter: u64,
    /// Wake-up descriptors of past waits, to be used again.
    spare: Vec<Arc<OwnedFd>>,
    stopped: bool,
}

struct Waiter {
    id: u64,
    thread: ThreadId,
    deadline_ns: Option<u64>,
    /// Descriptors of our own for what the thread waits for, so that they stay what they are while we look.
    fds: Vec<OwnedFd>,
    wake: Arc<OwnedFd>,
}

/// That the host had nothing to do, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idle {
    epoch: u64,
    /// The earliest deadline of a waiting thread.
    pub deadline_ns: Option<u64>,
}

/// Keeps simulated time from jumping while the thread that made it works. Belongs to that thread.
pub struct Attached {
    clock: SimClock,
    thread: ThreadId,
    /// Not Send: it stands for this thread.
    _thread_bound: PhantomData<*const ()>,
}

/// Keeps simulated time from jumping until the thread it is given to has attached, or it is dropped.
pub struct Ticket {
    clock: Option<SimClock>,
}

impl Default for SimClock {
    fn default() -> Self {
        Self::new()
    }
}

impl SimClock {
    /// A clock at 0.
    ///
    /// # Panics
    /// If the process has no descriptor left.
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                now_ns: AtomicU64::new(0),
                next_wake_ns: AtomicU64::new(u64::MAX),
                state: Mutex::default(),
                changed: new_eventfd().expect("a descriptor for the simulated clock"),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Attaches this thread: while it does anything but wait on this clock, time does not jump.
    ///
    /// A thread that waits without being attached has its deadlines kept as well, but time may run past it while it works. An attached
    /// thread must not block on anything else that needs simulated time to pass.
    pub fn attach(&self) -> Attached {
        let thread = std::thread::current().id();
        let mut state = self.state();
        *state.attached.entry(thread).or_default() += 1;
        state.epoch += 1;
        Attached {
            clock: self.clone(),
            thread,
            _thread_bound: PhantomData,
        }
    }

    /// A ticket for a thread that is about to be started.
    pub fn ticket(&self) -> Ticket {
        let mut state = self.state();
        state.tickets += 1;
        state.epoch += 1;
        Ticket {
            clock: Some(self.clone()),
        }
    }

    // The simulator's side.

    /// Readable when it is worth looking at [`SimClock::idle`] again; [`SimClock::clear_changed`] resets it.
    pub fn changed(&self) -> BorrowedFd<'_> {
        self.shared.changed.as_fd()
    }
    /// See [`SimClock::changed`]; to be called before looking.
    pub fn clear_changed(&self) {
        clear(&self.shared.changed);
    }

    /// Moves time on to `now_ns`, not back, and wakes the threads whose deadlines are reached.
    pub fn advance(&self, now_ns: u64) {
        self.shared.now_ns.fetch_max(now_ns, Ordering::SeqCst);
        // Pairs with `wait`, which publishes its deadline and then looks at the time.
        if now_ns >= self.shared.next_wake_ns.load(Ordering::SeqCst) {
            self.wake_due(&mut self.state());
        }
    }

    fn wake_due(&self, state: &mut State) {
        let now_ns = self.now();
        for w in &state.waiters {
            if w.deadline_ns.is_some_and(|d| d <= now_ns) {
                signal(&w.wake);
            }
        }
        // Those woken leave by themselves; until then they are not waited for again.
        let later = state
            .waiters
            .iter()
            .filter_map(|w| w.deadline_ns)
            .filter(|d| *d > now_ns);
        self.shared
            .next_wake_ns
            .store(later.min().unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// Whether every attached thread waits, at least one thread does, and nothing any of them waits for is there.
    pub fn idle(&self) -> Option<Idle> {
        let state = self.state();
        self.idle_locked(&state)
    }

    fn idle_locked(&self, state: &State) -> Option<Idle> {
        let waits = |t: &ThreadId| state.waiters.iter().any(|w| w.thread == *t);
        let all =
            state.tickets == 0 && !state.waiters.is_empty() && state.attached.keys().all(waits);
        let now_ns = self.now();
        let due = |w: &Waiter| w.deadline_ns.is_some_and(|d| d <= now_ns);
        if !all || state.stopped || state.waiters.iter().any(|w| due(w) || w.is_ready()) {
            return None;
        }
        Some(Idle {
            epoch: state.epoch,
            deadline_ns: state.waiters.iter().filter_map(|w| w.deadline_ns).min(),
        })
    }

    /// Moves time to `to_ns` if the host has been idle ever since `seen`; says whether it did.
    pub fn jump(&self, seen: Idle, to_ns: u64) -> bool {
        let mut state = self.state();
        if self.idle_locked(&state) != Some(seen) {
            return false;
        }
        self.shared.now_ns.fetch_max(to_ns, Ordering::SeqCst);
        self.wake_due(&mut state);
        true
    }

    /// No time will pass any more: every wait, now and later, fails with `BrokenPipe`.
    pub fn stop(&self) {
        let mut state = self.state();
        state.stopped = true;
        for w in &state.waiters {
            signal(&w.wake);
        }
    }
}

impl Waiter {
    fn is_ready(&self) -> bool {
        let mut polled: Vec<PollFd<'_>> = self
            .fds
            .iter()
            .map(|fd| PollFd::new(fd, PollFlags::IN))
            .collect();
        let at_once = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // What cannot be asked counts as ready: the thread finds out itself.
        !polled.is_empty() && !matches!(poll(&mut polled, Some(&at_once)), Ok(0))
    }
}

impl Clock for SimClock {
    fn now(&self) -> u64 {
        self.shared.now_ns.load(Ordering::SeqCst)
    }

    fn wait(&self, fds: &[BorrowedFd<'_>], deadline_ns: Option<u64>) -> io::Result<()> {
        let own: Vec<OwnedFd> = fds
            .iter()
            .map(|fd| fd.try_clone_to_owned())
            .collect::<io::Result<_>>()?;
        let (id, wake) = {
            let mut state = self.state();
            let wake = match state.spare.pop() {
                Some(wake) => wake,
                None => Arc::new(new_eventfd()?),
            };
            if let Some(deadline) = deadline_ns {
                self.shared
                    .next_wake_ns
                    .fetch_min(deadline, Ordering::SeqCst);
            }
            // Pairs with `advance`, which moves the time and then looks at the deadlines.
            let late = deadline_ns.is_some_and(|d| d <= self.now());
            if late || state.stopped {
                let result = stopped(&state);
                state.spare.push(wake);
                return result;
            }
            let id = state.next_waiter;
            state.next_waiter += 1;
            state.epoch += 1;
            state.waiters.push(Waiter {
                id,
                thread: std::thread::current().id(),
                deadline_ns,
                fds: own,
                wake: Arc::clone(&wake),
            });
            if self.idle_locked(&state).is_some() {
                signal(&self.shared.changed);
            }
            (id, wake)
        };
        let mut polled: Vec<PollFd<'_>> = fds
            .iter()
            .map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
            .collect();
        polled.push(PollFd::new(&*wake, PollFlags::IN));
        let result = loop {
            match poll(&mut polled, None) {
                Ok(_) => break Ok(()),
                Err(Errno::INTR) => {}
                Err(e) => break Err(e.into()),
            }
        };
        let mut state = self.state();
        state.waiters.retain(|w| w.id != id);
        state.epoch += 1;
        clear(&wake);
        state.spare.push(wake);
        // One that waits without being attached may have been all there was; the others' idleness shows again.
        if self.idle_locked(&state).is_some() {
            signal(&self.shared.changed);
        }
        result.and_then(|()| stopped(&state))
    }
}

fn stopped(state: &State) -> io::Result<()> {
    match state.stopped {
        true => Err(io::Error::new(
            io::ErrorKind::BrokenPipe,
            "the simulator has stopped; its clock stands still",
        )),
        false => Ok(()),
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        let mut state = self.clock.state();
        if let Some(count) = state.attached.get_mut(&self.thread) {
            *count -= 1;
            if *count == 0 {
                state.attached.remove(&self.thread);
            }
        }
        state.epoch += 1;
        signal(&self.clock.shared.changed);
    }
}

impl Ticket {
    /// Attaches the thread that calls this in the ticket's place.
    pub fn attach(mut self) -> Attached {
        let clock = self.clock.take().unwrap_or_default();
        let attached = clock.attach();
        let mut state = clock.state();
        state.tickets -= 1;
        attached
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(clock) = self.clock.take() {
            let mut state = clock.state();
            state.tickets -= 1;
            state.epoch += 1;
            signal(&clock.shared.changed);
        }
    }
}

fn new_eventfd() -> io::Result<OwnedFd> {
    Ok(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
}
/// Fails only if the counter is full: then it is readable as it should be.
fn signal(fd: &OwnedFd) {
    let _ = rustix::io::write(fd, &1u64.to_ne_bytes());
}
/// Fails only if nothing was signalled.
fn clear(fd: &OwnedFd) {
    let _ = rustix::io::read(fd, &mut [0; 8]);
}

#[cfg(test)]
mod tests;
