//! Who drives the NIC: whichever thread waits on a socket, one at a time.
//!
//! A thread whose call cannot finish takes the driver's token and sleeps on the NIC's interrupts, the earliest deadline and a
//! wake-up; all others sleep on a wake-up of their own until something has changed. All of them sleep on the host's clock, so
//! that simulated time knows who waits. A service thread, where there is one, is simply a thread that always waits, so that
//! retransmissions and answers go on while the program computes. A clock that does such work itself ([`Service`]) takes the service
//! thread's place, and has the token for good.
//!
//! In which order threads take these steps is chance. So a test compiles this file with a [`sync`](crate::sync) of its own, under a scheduler
//! that tries many orders: host-lib/tests/wake_ups.
use std::io;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use ferrule_stack::Instant;

use crate::sync::{
    is_readable, spin_loop, yield_now, Arc, AsFd, AtomicBool, AtomicUsize, Clock, Fd, FdRef, Mutex,
    MutexGuard, Ordering, Served, Service, WakeUp,
};

/// Between the first two looks at what the NIC has sent: some frames' time on the wire.
const FIRST_PAUSE: Duration = Duration::from_micros(20);

/// Pauses of the processor between two looks at the rings.
const LOOK_PAUSE: u32 = 16;

/// What is driven: a NIC with its stack.
pub(crate) trait Driven {
    /// Takes in what has arrived, and hands down what can be sent; whether there was anything, or something has happened to a socket.
    ///
    /// # Errors
    /// When the NIC does not work any more.
    fn pump(&mut self, now: Instant) -> io::Result<bool>;
    /// Does what a call has asked for, without taking anything in; otherwise as [`pump`](Self::pump).
    ///
    /// # Errors
    /// When the NIC does not work any more.
    fn hand_down(&mut self, now: Instant) -> io::Result<bool>;
    /// When [`pump`](Self::pump) must be called even if nothing arrives, in nanoseconds.
    fn next_deadline(&self) -> Option<u64>;
    /// Asks for interrupts; whether something is there already. What arrives later than the look at it interrupts.
    ///
    /// # Errors
    /// When the NIC does not work any more.
    fn arm(&mut self) -> io::Result<bool>;
    /// Whether something is there to be taken in.
    fn has_work(&self) -> bool;
    /// Takes away the signals of those interrupts whose bits are set.
    ///
    /// # Errors
    /// When reading them fails, or the NIC is gone.
    fn drain_irqs(&mut self, readable: u64) -> io::Result<()>;
    /// Asks the NIC whether it is still there.
    ///
    /// # Errors
    /// When it is not.
    fn check_present(&mut self) -> io::Result<()>;
    /// Whether all packets that the NIC was handed have left its buffers.
    ///
    /// # Errors
    /// When the NIC does not work any more.
    fn has_left(&mut self) -> io::Result<bool>;
}

/// State behind the mutex: the NIC, the stack, and who waits.
pub(crate) struct State<D> {
    pub(crate) core: D,
    /// A thread sleeps on the NIC's interrupts, or the clock looks after them.
    driving: bool,
    /// The deadline it sleeps until, in nanoseconds.
    driving_until: Option<u64>,
    /// Wake-ups of the other threads that sleep; each is signalled once and then not kept here.
    sleepers: Vec<Arc<WakeUp>>,
    /// Wake-ups of past sleeps, to be used again.
    spare: Vec<Arc<WakeUp>>,
    /// The host is being dropped: the service thread ends.
    pub(crate) closing: bool,
}

/// What a thread that has the state and the clock's service say to each other.
#[derive(Default)]
struct Notes {
    /// The thread waits on the clock meanwhile.
    waiting: AtomicBool,
    /// The service found the state locked.
    missed: AtomicBool,
    /// The service is to be run.
    due: AtomicBool,
}

impl Notes {
    /// Runs `call`, which may wait on the clock, on the thread that has the state. A clock that waited for the state meanwhile would do so for ever.
    fn wait<T>(&self, clock: &dyn Clock, call: impl FnOnce() -> T) -> T {
        let before = self.waiting.swap(true, Ordering::SeqCst);
        if !before && self.missed.load(Ordering::SeqCst) {
            // Too early to be told: the clock may let no time pass until the state is free.
            self.due.store(true, Ordering::SeqCst);
            clock.poke();
        }
        let result = call();
        self.waiting.store(before, Ordering::SeqCst);
        result
    }
}

/// The clock as the NIC has it, which waits while a thread has the state.
#[derive(Clone)]
pub(crate) struct NicClock {
    clock: Arc<dyn Clock>,
    notes: Arc<Notes>,
}

impl NicClock {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            notes: Arc::default(),
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

    fn wait(&self, fds: &[FdRef<'_>], deadline_ns: Option<u64>) -> io::Result<()> {
        let clock = &*self.clock;
        self.notes.wait(clock, || clock.wait(fds, deadline_ns))
    }
}

/// What all sockets of a host share.
pub(crate) struct Shared<D> {
    state: Mutex<State<D>>,
    clock: Arc<dyn Clock>,
    /// Wakes the driving thread.
    kick: WakeUp,
    irqs: Vec<Fd>,
    /// Readable when the NIC has gone, where it can say so.
    gone: Option<Fd>,
    /// How long a thread looks at the rings before it sleeps, in nanoseconds.
    busy_poll_ns: u64,
    /// Threads that wait for the state to be unlocked.
    contenders: AtomicUsize,
    /// The clock drives the NIC.
    by_clock: AtomicBool,
    notes: Arc<Notes>,
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
pub(crate) struct Locked<'a, D> {
    /// None only while it is being dropped.
    guard: Option<MutexGuard<'a, State<D>>>,
    shared: &'a Shared<D>,
}

impl<D> Deref for Locked<'_, D> {
    type Target = State<D>;
    fn deref(&self) -> &State<D> {
        self.guard.as_deref().expect("held until dropped")
    }
}

impl<D> DerefMut for Locked<'_, D> {
    fn deref_mut(&mut self) -> &mut State<D> {
        self.guard.as_deref_mut().expect("held until dropped")
    }
}

impl<D> Drop for Locked<'_, D> {
    fn drop(&mut self) {
        self.guard = None;
        // Only a clock that drives the NIC misses it.
        let by_clock = self.shared.by_clock.load(Ordering::Relaxed);
        if by_clock && self.shared.notes.missed.swap(false, Ordering::SeqCst) {
            self.shared.kick();
        }
    }
}

impl<D> Shared<D> {
    /// Lets whoever drives the NIC look again.
    fn kick(&self) {
        if self.by_clock.load(Ordering::SeqCst) {
            self.notes.due.store(true, Ordering::SeqCst);
            self.clock.poke();
        } else {
            self.kick.signal();
        }
    }
}

impl<D: Driven> Shared<D> {
    pub(crate) fn new(
        core: D,
        clock: NicClock,
        irqs: Vec<Fd>,
        gone: Option<Fd>,
        busy_poll: Duration,
    ) -> io::Result<Self> {
        let NicClock { clock, notes } = clock;
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
            kick: WakeUp::new()?,
            irqs,
            gone,
            busy_poll_ns,
            contenders: AtomicUsize::new(0),
            by_clock: AtomicBool::new(false),
            notes,
        })
    }

    /// Leaves the driving to the clock, if it does such work; whether it does.
    pub(crate) fn leave_to_clock(self: &Arc<Self>) -> bool
    where
        D: Send + 'static,
    {
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

    pub(crate) fn now(&self) -> Instant {
        Instant::from_nanos(self.clock.now())
    }

    /// The state as it is: nothing is taken in before, and nothing told after.
    pub(crate) fn lock(&self) -> Locked<'_, D> {
        let guard = match self.state.try_lock() {
            Some(guard) => guard,
            None => {
                self.contenders.fetch_add(1, Ordering::SeqCst);
                let guard = self.state.lock();
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
    pub(crate) fn with<T>(&self, call: impl FnOnce(&mut D, Instant) -> T) -> io::Result<T> {
        let mut state = self.lock();
        let result = self.call(&mut state.core, call);
        self.tell(&mut state);
        result
    }

    /// As [`with`](Self::with), for a call that may wait on the clock.
    pub(crate) fn with_waiting<T>(&self, call: impl FnOnce(&mut D) -> T) -> io::Result<T> {
        self.with(|core, _| self.notes.wait(&*self.clock, || call(core)))
    }

    fn call<T>(&self, core: &mut D, call: impl FnOnce(&mut D, Instant) -> T) -> io::Result<T> {
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
    fn tell(&self, state: &mut State<D>) {
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
        mut call: impl FnMut(&mut State<D>, Instant) -> Option<io::Result<T>>,
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
        state: &mut State<D>,
        call: &mut impl FnMut(&mut State<D>, Instant) -> Option<io::Result<T>>,
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
        state: Locked<'a, D>,
        deadline: Option<u64>,
        beside: &[FdRef<'_>],
    ) -> io::Result<Locked<'a, D>> {
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
        beside: &[FdRef<'_>],
        timeout: Option<Duration>,
        ready: impl Fn() -> bool,
    ) -> io::Result<()> {
        let deadline = timeout.map(|t| (self.now() + t).as_nanos());
        let mut state = self.lock();
        if state.core.pump(self.now())? {
            self.tell(&mut state);
        }
        if ready() {
            return Ok(());
        }
        let moved = match self.wait(state, deadline, beside) {
            Ok(woken) => {
                state = woken;
                state.core.pump(self.now())
            }
            Err(e) => {
                state = self.lock();
                Err(e)
            }
        };
        // Nothing is told for nothing: a driving thread that is kicked wakes all others, and would so be kicked again by each that waits like this.
        // But if none drives now, somebody else must take the token.
        if !matches!(moved, Ok(false)) || !state.driving {
            self.tell(&mut state);
        }
        moved.map(|_| ())
    }

    /// Sleeps until something has changed or the deadline is reached.
    fn sleep<'a>(
        &'a self,
        mut state: Locked<'a, D>,
        deadline: Option<u64>,
        beside: &[FdRef<'_>],
    ) -> io::Result<Locked<'a, D>> {
        let wake = match state.spare.pop() {
            Some(wake) => wake,
            None => Arc::new(WakeUp::new()?),
        };
        state.sleepers.push(Arc::clone(&wake));
        // The driving thread sleeps past a timer that this thread's call has set: let it think again.
        let timer = state.core.next_deadline();
        if timer.is_some_and(|t| state.driving_until.is_none_or(|until| t < until)) {
            self.kick();
        }
        drop(state);
        let fds: Vec<FdRef<'_>> = [wake.as_fd()]
            .into_iter()
            .chain(beside.iter().copied())
            .collect();
        let waited = self.clock.wait(&fds, deadline);
        let mut state = self.lock();
        state
            .sleepers
            .retain(|sleeper| !Arc::ptr_eq(sleeper, &wake));
        wake.clear();
        state.spare.push(wake);
        waited.map(|()| state)
    }

    /// Takes the token, sleeps on the NIC, and lets all others look.
    fn drive<'a>(
        &'a self,
        mut state: Locked<'a, D>,
        deadline: Option<u64>,
        beside: &[FdRef<'_>],
    ) -> io::Result<Locked<'a, D>> {
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
        let fds: Vec<FdRef<'_>> = self
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
            self.kick.clear();
        }
        let ready = waited?;
        state.core.drain_irqs(ready)?;
        if is_ready(ready, self.irqs.len() + 1) && self.may_be_gone()? {
            state.core.check_present()?;
        }
        Ok(state)
    }

    /// Looks at the rings for a while, with the token, before it sleeps; whether there is something to do now.
    fn look_on<'a>(
        &'a self,
        mut state: Locked<'a, D>,
        deadline: Option<u64>,
    ) -> (Locked<'a, D>, bool) {
        let end = self.clock.now().saturating_add(self.busy_poll_ns);
        state.driving = true;
        // Whatever timer another thread's call sets is seen without being told of.
        state.driving_until = Some(0);
        let found = loop {
            drop(state);
            for _ in 0..LOOK_PAUSE {
                spin_loop();
            }
            // A mutex is not fair: whoever waits for it would not get it from a thread that takes it again at once.
            while self.contenders.load(Ordering::SeqCst) > 0 {
                yield_now();
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
        self.gone.as_ref().map_or(Ok(false), is_readable)
    }
}

impl<D> State<D> {
    fn wake_sleepers(&mut self) {
        for sleeper in self.sleepers.drain(..) {
            sleeper.signal();
        }
    }
}

impl<D: Driven> Shared<D> {
    /// What a thread that drives does when it is woken, and before it sleeps again: until when.
    fn drive_once(&self, state: &mut State<D>, called: bool) -> io::Result<Option<u64>> {
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

impl<D: Driven + Send> Service for Shared<D> {
    fn fds(&self) -> Vec<FdRef<'_>> {
        self.irqs
            .iter()
            .chain(&self.gone)
            .map(AsFd::as_fd)
            .collect()
    }

    fn is_due(&self) -> bool {
        self.notes.due.swap(false, Ordering::SeqCst)
    }

    fn run(&self, called: bool) -> Served {
        // Said before the lock is tried: whoever has it sees it when it lets go.
        self.notes.missed.store(true, Ordering::SeqCst);
        let mut state = match self.state.try_lock() {
            Some(state) => state,
            None if self.notes.waiting.load(Ordering::SeqCst) => return Served::NotNow,
            None => return Served::Busy,
        };
        self.notes.missed.store(false, Ordering::SeqCst);
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

fn earliest<const N: usize>(deadlines: [Option<u64>; N]) -> Option<u64> {
    deadlines.into_iter().flatten().min()
}
