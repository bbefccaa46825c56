//! Who drives the NIC: whichever thread waits on a socket, one at a time.
//!
//! A thread whose call cannot finish takes the driver's token and sleeps on the NIC's interrupts, the earliest deadline and a
//! wake-up; all others sleep on a wake-up of their own until something has changed. All of them sleep on the host's clock, so
//! that simulated time knows who waits. A service thread, where there is one, is simply a thread that always waits, so that
//! retransmissions and answers go on while the program computes. A clock that does such work itself ([`Service`]) takes the service
//! thread's place, and has the token for good.
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use ferrule_driver::clock::{Served, Service};
use ferrule_driver::Clock;
use ferrule_stack::{Instant, SocketId};
use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::core::Core;
use crate::exports::Lent;

/// Between the first two looks at what the NIC has sent: some frames' time on the wire.
const FIRST_PAUSE: Duration = Duration::from_micros(20);

/// Pauses of the processor between two looks at the rings.
const LOOK_PAUSE: u32 = 16;

/// State behind the mutex: the NIC, the stack, and who waits.
pub(crate) struct State {
    pub(crate) core: Core,
    /// A thread sleeps on the NIC's interrupts, or the clock looks after them.
    driving: bool,
    /// The deadline it sleeps until, in nanoseconds.
    driving_until: Option<u64>,
    /// Wake-ups of the other threads that sleep; each is signalled once and then not kept here.
    sleepers: Vec<Arc<EventFd>>,
    /// Wake-ups of past sleeps, to be used again.
    spare: Vec<Arc<EventFd>>,
    /// The host is being dropped: the service thread ends.
    pub(crate) closing: bool,
}

/// The clock as the NIC has it. The NIC waits while a thread has the state, and tells so: a clock that waits for the state meanwhile would do so
/// for ever.
#[derive(Clone)]
pub(crate) struct NicClock {
    clock: Arc<dyn Clock>,
    waiting: Arc<AtomicBool>,
}

impl NicClock {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            waiting: Arc::default(),
        }
    }
}

impl Clock for NicClock {
    fn now(&self) -> u64 {
        self.clock.now()
    }

    fn passes_by_itself(&self) -> bool {
        self.clock.passes_by_itself()
    }

    fn wait(&self, fds: &[BorrowedFd<'_>], deadline_ns: Option<u64>) -> io::Result<()> {
        let before = self.waiting.swap(true, Ordering::SeqCst);
        let waited = self.clock.wait(fds, deadline_ns);
        self.waiting.store(before, Ordering::SeqCst);
        waited
    }
}

/// What all sockets of a host share.
pub(crate) struct Shared {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
    /// Wakes the driving thread.
    kick: EventFd,
    irqs: Vec<OwnedFd>,
    /// Readable when the NIC has gone, where it can say so.
    gone: Option<OwnedFd>,
    /// Ready for everything: stands for the descriptor of a socket that cannot get one.
    always_ready: UnixStream,
    /// How long a thread looks at the rings before it sleeps, in nanoseconds.
    busy_poll_ns: u64,
    /// Threads that wait for the state to be unlocked.
    contenders: AtomicUsize,
    /// The clock drives the NIC.
    by_clock: AtomicBool,
    /// The clock is asked to drive it now.
    due: AtomicBool,
    /// The clock found the state locked.
    missed: AtomicBool,
    /// See [`NicClock`].
    waiting: Arc<AtomicBool>,
}

/// What came of a call that may have to wait.
struct Looked<T> {
    /// Its result, if it need not.
    result: Option<io::Result<T>>,
    /// Something was taken in or sent before it, or after it.
    moved: bool,
    sent: bool,
}

/// The state, locked. A clock that could not have it meanwhile is told when it is free.
pub(crate) struct Locked<'a> {
    /// None only while it is being dropped.
    guard: Option<MutexGuard<'a, State>>,
    shared: &'a Shared,
}

impl Deref for Locked<'_> {
    type Target = State;
    fn deref(&self) -> &State {
        self.guard.as_deref().expect("held until dropped")
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut State {
        self.guard.as_deref_mut().expect("held until dropped")
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        self.guard = None;
        // Only a clock that drives the NIC misses it.
        let by_clock = self.shared.by_clock.load(Ordering::Relaxed);
        if by_clock && self.shared.missed.swap(false, Ordering::SeqCst) {
            self.shared.kick();
        }
    }
}

impl Shared {
    pub(crate) fn new(
        core: Core,
        clock: NicClock,
        irqs: Vec<OwnedFd>,
        gone: Option<OwnedFd>,
        busy_poll: Duration,
    ) -> io::Result<Self> {
        let NicClock { clock, waiting } = clock;
        let busy_poll_ns = match clock.passes_by_itself() {
            true => u64::try_from(busy_poll.as_nanos()).unwrap_or(u64::MAX),
            false => 0,
        };
        Ok(Self {
            state: Mutex::new(State {
                core,
                driving: false,
                driving_until: None,
                sleepers: Vec::new(),
                spare: Vec::new(),
                closing: false,
            }),
            clock,
            kick: wake_up()?,
            irqs,
            gone,
            always_ready: UnixStream::pair()?.0,
            busy_poll_ns,
            contenders: AtomicUsize::new(0),
            by_clock: AtomicBool::new(false),
            due: AtomicBool::new(false),
            missed: AtomicBool::new(false),
            waiting,
        })
    }

    /// Leaves the driving to the clock, if it does such work; whether it does.
    pub(crate) fn leave_to_clock(self: &Arc<Self>) -> bool {
        self.by_clock.store(true, Ordering::SeqCst);
        self.lock().driving = true;
        let service = Arc::downgrade(self);
        let taken = self.clock.serve(service);
        if !taken {
            self.by_clock.store(false, Ordering::SeqCst);
            self.lock().driving = false;
        }
        taken
    }

    /// Lets whoever drives the NIC look again.
    fn kick(&self) {
        if self.by_clock.load(Ordering::SeqCst) {
            self.due.store(true, Ordering::SeqCst);
            self.clock.poke();
        } else {
            signal(&self.kick);
        }
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::from_nanos(self.clock.now())
    }

    /// A descriptor that is ready for everything.
    pub(crate) fn always_ready(&self) -> BorrowedFd<'_> {
        self.always_ready.as_fd()
    }

    /// Lends a socket's descriptor.
    pub(crate) fn lend(&self, id: SocketId) -> io::Result<Lent> {
        let mut state = self.lock();
        let Core { exports, stack, .. } = &mut state.core;
        exports.lend(stack, id)
    }

    fn lock(&self) -> Locked<'_> {
        // A thread that panicked in a socket call leaves the stack as consistent as any error would.
        let guard = match self.state.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                self.contenders.fetch_add(1, Ordering::SeqCst);
                let guard = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                self.contenders.fetch_sub(1, Ordering::SeqCst);
                guard
            }
        };
        Locked {
            guard: Some(guard),
            shared: self,
        }
    }

    /// Runs `call` once, with all that has arrived taken in before and all that is to be sent handed down after.
    pub(crate) fn with<T>(&self, call: impl FnOnce(&mut Core, Instant) -> T) -> io::Result<T> {
        let mut state = self.lock();
        let result = self.call(&mut state.core, call);
        self.tell(&mut state);
        result
    }

    /// As [`with`](Self::with), for a call that may wait on the clock.
    pub(crate) fn with_waiting<T>(&self, call: impl FnOnce(&mut Core) -> T) -> io::Result<T> {
        self.with(|core, _| {
            let before = self.waiting.swap(true, Ordering::SeqCst);
            let result = call(core);
            self.waiting.store(before, Ordering::SeqCst);
            result
        })
    }

    fn call<T>(
        &self,
        core: &mut Core,
        call: impl FnOnce(&mut Core, Instant) -> T,
    ) -> io::Result<T> {
        let now = self.now();
        core.pump(now)?;
        let result = call(core, now);
        // As in a call that may wait: its result is not to be lost, and the next call finds out about the NIC.
        let _ = core.hand_down(now);
        Ok(result)
    }

    /// Ends every wait that asks [`State::closing`].
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closing = true;
        self.tell(&mut state);
    }

    /// Waits until the NIC has sent what it was handed, `limit` at most. For the end of a host, when no thread drives it any more.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] after `limit`; what the NIC or the clock reports.
    pub(crate) fn flush(&self, limit: Duration) -> io::Result<()> {
        let deadline = self.now() + limit;
        let mut pause = FIRST_PAUSE;
        while !self.with(|core, _| core.has_left())?? {
            let now = self.now();
            if now >= deadline {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.clock.wait(&[], Some((now + pause).as_nanos()))?;
            pause *= 2;
        }
        Ok(())
    }

    /// Something may have changed: whoever waits looks again.
    fn tell(&self, state: &mut State) {
        state.wake_sleepers();
        if state.driving {
            self.kick();
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
        let result = loop {
            let looked = match self.look(&mut state, &mut call) {
                Ok(looked) => looked,
                Err(e) => break Err(e),
            };
            if let Some(result) = looked.result {
                break result;
            }
            if looked.moved || looked.sent {
                self.tell(&mut state);
            }
            if deadline.is_some_and(|d| d <= self.clock.now()) {
                break Err(io::ErrorKind::TimedOut.into());
            }
            if looked.sent {
                // What has come meanwhile may be what the call waits for, and nothing else would tell.
                continue;
            }
            state = match self.wait(state, deadline, &[]) {
                Ok(state) => state,
                Err(e) => {
                    state = self.lock();
                    break Err(e);
                }
            };
        };
        // Whatever the result, somebody else must take the token now; a NIC that failed fails each of them in turn.
        self.tell(&mut state);
        result
    }

    /// Makes `call` once, with all that has arrived taken in before and all that is to be sent handed down after.
    fn look<T>(
        &self,
        state: &mut State,
        call: &mut impl FnMut(&mut State, Instant) -> Option<io::Result<T>>,
    ) -> io::Result<Looked<T>> {
        let now = self.now();
        let moved = state.core.pump(now)?;
        let result = call(state, now);
        let sent = state.core.hand_down(now);
        Ok(Looked {
            sent: match &result {
                // What a call has taken is not to be lost: the next one finds out about the NIC.
                Some(_) => sent.unwrap_or(true),
                None => sent?,
            },
            result,
            moved,
        })
    }

    /// Drives the NIC, or waits for the thread that does, until something may have changed, one of `beside` is readable or the deadline is reached.
    fn wait<'a>(
        &'a self,
        state: Locked<'a>,
        deadline: Option<u64>,
        beside: &[BorrowedFd<'_>],
    ) -> io::Result<Locked<'a>> {
        if state.driving {
            self.sleep(state, deadline, beside)
        } else {
            self.drive(state, deadline, beside)
        }
    }

    /// Waits once, unless `ready` says that there is no need to: see [`wait`](Self::wait).
    ///
    /// # Errors
    /// What the NIC or the clock reports.
    pub(crate) fn wait_beside(
        &self,
        beside: &[BorrowedFd<'_>],
        timeout: Option<Duration>,
        ready: impl Fn() -> bool,
    ) -> io::Result<()> {
        let deadline = timeout.map(|t| (self.now() + t).as_nanos());
        let mut state = self.lock();
        if state.core.pump(self.now())? {
            self.tell(&mut state);
        }
        if !ready() {
            state = self.wait(state, deadline, beside)?;
            state.core.pump(self.now())?;
        }
        self.tell(&mut state);
        Ok(())
    }

    /// Sleeps until something has changed or the deadline is reached.
    fn sleep<'a>(
        &'a self,
        mut state: Locked<'a>,
        deadline: Option<u64>,
        beside: &[BorrowedFd<'_>],
    ) -> io::Result<Locked<'a>> {
        let wake = match state.spare.pop() {
            Some(wake) => wake,
            None => Arc::new(wake_up()?),
        };
        state.sleepers.push(Arc::clone(&wake));
        // The driving thread sleeps past a timer that this thread's call has set: let it think again.
        let timer = state.core.next_deadline();
        if timer.is_some_and(|t| state.driving_until.is_none_or(|until| t < until)) {
            self.kick();
        }
        drop(state);
        let fds: Vec<BorrowedFd<'_>> = [wake.as_fd()]
            .into_iter()
            .chain(beside.iter().copied())
            .collect();
        let waited = self.clock.wait(&fds, deadline);
        let mut state = self.lock();
        state
            .sleepers
            .retain(|sleeper| !Arc::ptr_eq(sleeper, &wake));
        clear(&wake);
        state.spare.push(wake);
        waited.map(|()| state)
    }

    /// Takes the token, sleeps on the NIC, and lets all others look.
    fn drive<'a>(
        &'a self,
        mut state: Locked<'a>,
        deadline: Option<u64>,
        beside: &[BorrowedFd<'_>],
    ) -> io::Result<Locked<'a>> {
        if self.busy_poll_ns > 0 {
            let found;
            (state, found) = self.look_on(state, deadline);
            if found {
                return Ok(state);
            }
        }
        // Armed before the last look at the rings: what comes after it raises the interrupt.
        if state.core.arm()? {
            return Ok(state);
        }
        let until = earliest([deadline, state.core.next_deadline()]);
        state.driving = true;
        state.driving_until = until;
        drop(state);
        // The interrupts come first: their bits are those of what the wait tells.
        let fds: Vec<BorrowedFd<'_>> = self
            .irqs
            .iter()
            .map(AsFd::as_fd)
            .chain([self.kick.as_fd()])
            .chain(self.gone.iter().map(AsFd::as_fd))
            .chain(beside.iter().copied())
            .collect();
        let waited = self.clock.wait_for(&fds, until);
        let mut state = self.lock();
        state.driving = false;
        self.tell(&mut state);
        let is_ready = |ready: u64, n: usize| ready >> n & 1 == 1;
        if !matches!(waited, Ok(ready) if !is_ready(ready, self.irqs.len())) {
            clear(&self.kick);
        }
        let ready = waited?;
        state.core.drain_irqs(ready)?;
        if is_ready(ready, self.irqs.len() + 1) && self.may_be_gone()? {
            state.core.check_present()?;
        }
        Ok(state)
    }

    /// Looks at the rings for a while, with the token, before it sleeps; whether there is something to do now.
    fn look_on<'a>(&'a self, mut state: Locked<'a>, deadline: Option<u64>) -> (Locked<'a>, bool) {
        let end = self.clock.now().saturating_add(self.busy_poll_ns);
        state.driving = true;
        // Whatever timer another thread's call sets is seen without being told of.
        state.driving_until = Some(0);
        let found = loop {
            drop(state);
            for _ in 0..LOOK_PAUSE {
                std::hint::spin_loop();
            }
            // A mutex is not fair: whoever waits for it would not get it from a thread that takes it again at once.
            while self.contenders.load(Ordering::SeqCst) > 0 {
                std::thread::yield_now();
            }
            state = self.lock();
            let due = earliest([deadline, state.core.next_deadline()]);
            let now = self.clock.now();
            if state.core.has_work() || state.closing || due.is_some_and(|due| due <= now) {
                break true;
            }
            if now >= end {
                break false;
            }
        };
        state.driving = false;
        (state, found)
    }

    /// Whether the NIC's access says so.
    fn may_be_gone(&self) -> io::Result<bool> {
        let Some(gone) = &self.gone else {
            return Ok(false);
        };
        let mut fds = [PollFd::new(gone.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::ZERO) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::EINTR) => Ok(false),
            Err(e) => Err(e.into()),
        }
    }
}

impl State {
    fn wake_sleepers(&mut self) {
        for sleeper in self.sleepers.drain(..) {
            signal(&sleeper);
        }
    }
}

impl Shared {
    /// What a thread that drives does when it is woken, and before it sleeps again: until when.
    fn drive_once(&self, state: &mut State, called: bool) -> io::Result<Option<u64>> {
        if called {
            state.core.drain_irqs(u64::MAX)?;
            if self.may_be_gone()? {
                state.core.check_present()?;
            }
        }
        loop {
            if state.core.pump(self.now())? {
                state.wake_sleepers();
            }
            // Armed before the last look at the rings: what comes after it raises the interrupt.
            if !state.core.arm()? {
                return Ok(state.core.next_deadline());
            }
        }
    }
}

impl Service for Shared {
    fn fds(&self) -> Vec<BorrowedFd<'_>> {
        self.irqs
            .iter()
            .chain(&self.gone)
            .map(AsFd::as_fd)
            .collect()
    }

    fn is_due(&self) -> bool {
        self.due.swap(false, Ordering::SeqCst)
    }

    fn run(&self, called: bool) -> Served {
        // Said before the lock is tried: whoever has it sees it when it lets go.
        self.missed.store(true, Ordering::SeqCst);
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) if self.waiting.load(Ordering::SeqCst) => {
                return Served::NotNow;
            }
            Err(TryLockError::WouldBlock) => return Served::Busy,
        };
        self.missed.store(false, Ordering::SeqCst);
        if state.closing {
            return Served::NotNow;
        }
        match self.drive_once(&mut state, called) {
            Ok(until) => {
                state.driving_until = until;
                Served::Until(until)
            }
            Err(e) => {
                // Each thread that waits finds out by its own call.
                tracing::debug!("the NIC failed: {e}");
                state.wake_sleepers();
                Served::NotNow
            }
        }
    }
}

fn wake_up() -> io::Result<EventFd> {
    Ok(EventFd::from_flags(
        EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK,
    )?)
}

/// Makes a wake-up readable.
fn signal(wake: &EventFd) {
    match wake.write(1) {
        // Full: it is readable as it should be.
        Ok(_) | Err(Errno::EAGAIN) => {}
        Err(e) => tracing::error!("waking a thread: {e}"),
    }
}

/// Makes a wake-up not readable.
fn clear(wake: &EventFd) {
    match wake.read() {
        // Empty: it was not signalled.
        Ok(_) | Err(Errno::EAGAIN) => {}
        Err(e) => tracing::error!("clearing a wake-up: {e}"),
    }
}

fn earliest<const N: usize>(deadlines: [Option<u64>; N]) -> Option<u64> {
    deadlines.into_iter().flatten().min()
}
