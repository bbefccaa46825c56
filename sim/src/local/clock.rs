//! The clock of a simulator in process, and the threads that live by it.
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::thread::ThreadId;

use ferrule_driver::clock::{Clock, Service};
use rustix::event::{poll, PollFd, PollFlags, Timespec};

use super::schedule::{Entry, Turn};
use super::{new_eventfd, signal, Shared};

/// Simulated time as the hosts see it; clones are the same clock.
#[derive(Clone)]
pub struct LocalClock {
    shared: Arc<Shared>,
}

/// Binds a thread to the clock: of all attached threads one runs at a time, and time stands still while it does. Belongs to its thread.
///
/// An attached thread must not block on anything that another thread of the simulation has to do, other than by waiting on the clock: use
/// [`LocalClock::spawn`] and [`JoinHandle::join`], sockets, or [`Attached::outside`].
pub struct Attached {
    clock: LocalClock,
    thread: ThreadId,
    /// Not Send: it stands for this thread.
    _thread_bound: PhantomData<*const ()>,
}

/// Keeps time from passing until the thread it is given to has attached, or it is dropped.
pub struct Ticket {
    clock: LocalClock,
    turn: Turn,
}

/// A thread that was started by [`LocalClock::spawn`].
pub struct JoinHandle<T> {
    clock: LocalClock,
    ended: Arc<OwnedFd>,
    thread: std::thread::JoinHandle<T>,
}

impl LocalClock {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Attaches this thread; waits for its turn if another attached one runs.
    pub fn attach(&self) -> Attached {
        let mut state = self.shared.contend();
        let turn = state.schedule.take_turn();
        self.attach_in(state, turn)
    }

    fn attach_in(
        &self,
        mut state: std::sync::MutexGuard<'_, super::State>,
        turn: Turn,
    ) -> Attached {
        let thread = std::thread::current().id();
        if state.schedule.attach(thread) && state.failure.is_none() {
            let entry = Entry {
                starting: true,
                deadline_ns: None,
            };
            // An attached thread sleeps on a condition: no descriptor is needed that could not be had.
            if state.schedule.enter(turn, thread, entry).is_ok() {
                self.shared.stir();
                // Fails only where the world has ended: every wait says so then.
                let _ = self.shared.wait_in_turn(state, turn, &[]);
            }
        }
        Attached {
            clock: self.clone(),
            thread,
            _thread_bound: PhantomData,
        }
    }

    /// A ticket for a thread that is about to be started. Threads get their turns in the order of their tickets.
    pub fn ticket(&self) -> Ticket {
        let mut state = self.shared.contend();
        let turn = state.schedule.take_turn();
        state.schedule.tickets.push(turn);
        Ticket {
            clock: self.clone(),
            turn,
        }
    }

    /// Starts a thread that is attached.
    ///
    /// # Errors
    /// When the operating system gives none.
    pub fn spawn<T: Send + 'static>(
        &self,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<JoinHandle<T>> {
        let ended = Arc::new(new_eventfd()?);
        let (ticket, signalled) = (self.ticket(), Signal(Arc::clone(&ended)));
        let thread = std::thread::Builder::new().spawn(move || {
            let _attached = ticket.attach();
            // Dropped first: whoever joins is ready before this thread's turn ends.
            let _signalled = signalled;
            body()
        })?;
        Ok(JoinHandle {
            clock: self.clone(),
            ended,
            thread,
        })
    }
}

/// Signals when it is dropped.
struct Signal(Arc<OwnedFd>);

impl Drop for Signal {
    fn drop(&mut self) {
        signal(&self.0);
    }
}

impl<T> JoinHandle<T> {
    /// Waits on the clock until the thread has ended, and gives what it gave.
    ///
    /// # Errors
    /// The thread's panic.
    pub fn join(self) -> std::thread::Result<T> {
        // Where the clock stands still for ever, the thread ends by that too.
        let _ = self.clock.wait(&[self.ended.as_fd()], None);
        self.thread.join()
    }
}

impl Clock for LocalClock {
    fn now(&self) -> u64 {
        self.shared.now_ns.load(Ordering::Acquire)
    }

    fn wait(&self, fds: &[BorrowedFd<'_>], deadline_ns: Option<u64>) -> io::Result<()> {
        let mut state = self.shared.contend();
        state.check()?;
        if deadline_ns.is_some_and(|at| at <= self.now()) || is_ready(fds) {
            return Ok(());
        }
        let turn = state.schedule.take_turn();
        let entry = Entry {
            starting: false,
            deadline_ns,
        };
        let thread = std::thread::current().id();
        state.schedule.enter(turn, thread, entry)?;
        self.shared.stir();
        self.shared.wait_in_turn(state, turn, fds)
    }

    fn serve(&self, service: Weak<dyn Service>) -> bool {
        let added = self.shared.contend().services.add(service);
        self.shared.stir();
        added
    }

    fn poke(&self) {
        self.shared.stir();
    }
}

fn is_ready(fds: &[BorrowedFd<'_>]) -> bool {
    let mut polled: Vec<PollFd<'_>> = fds
        .iter()
        .map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
        .collect();
    // What cannot be asked is asked again, and reported, by the wait that follows.
    !polled.is_empty() && matches!(poll(&mut polled, Some(&Timespec::default())), Ok(1..))
}

impl Attached {
    /// Runs `call` while this thread counts as not there: time passes, and other attached threads run. When it has returned, this thread
    /// waits for its turn.
    ///
    /// What others do meanwhile does not depend on the machine, but when this thread comes back does.
    pub fn outside<T>(&self, call: impl FnOnce() -> T) -> T {
        let mut state = self.clock.shared.contend();
        state.schedule.outside += 1;
        state.schedule.put_down(self.thread);
        drop(state);
        let back = Back(self);
        let result = call();
        drop(back);
        result
    }
}

/// Brings a thread back from outside.
struct Back<'a>(&'a Attached);

impl Drop for Back<'_> {
    fn drop(&mut self) {
        let shared = &self.0.clock.shared;
        let mut state = shared.contend();
        state.schedule.outside -= 1;
        if state.failure.is_some() {
            return;
        }
        let turn = state.schedule.take_turn();
        let entry = Entry {
            starting: true,
            deadline_ns: None,
        };
        if state.schedule.enter(turn, self.0.thread, entry).is_ok() {
            shared.stir();
            let _ = shared.wait_in_turn(state, turn, &[]);
        }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.clock.shared.contend().schedule.detach(self.thread);
        self.clock.shared.stir();
    }
}

impl Ticket {
    /// Attaches the thread that calls this, in the ticket's turn.
    pub fn attach(self) -> Attached {
        let mut state = self.clock.shared.contend();
        let turn = self.turn;
        state.schedule.tickets.retain(|t| *t != turn);
        self.clock.attach_in(state, turn)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        // Handed in, it is not among them any more.
        let mut state = self.clock.shared.contend();
        state.schedule.tickets.retain(|t| *t != self.turn);
        drop(state);
        self.clock.shared.stir();
    }
}
