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
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};
    use std::sync::atomic::AtomicBool;
    use std::thread;

    /// Jumps from deadline to deadline until told to stop, as the simulator does when the device is idle.
    fn simulate(clock: &SimClock, stop: &AtomicBool, mut before_jump: impl FnMut()) {
        while !stop.load(Ordering::SeqCst) {
            clock.clear_changed();
            match clock.idle() {
                Some(Idle {
                    deadline_ns: Some(to),
                    ..
                }) => {
                    let seen = clock.idle();
                    before_jump();
                    if let Some(seen) = seen {
                        clock.jump(seen, to);
                    }
                }
                _ => {
                    let at_most = Timespec {
                        tv_sec: 0,
                        tv_nsec: 1_000_000,
                    };
                    poll(
                        &mut [PollFd::from_borrowed_fd(clock.changed(), PollFlags::IN)],
                        Some(&at_most),
                    )
                    .unwrap();
                }
            }
        }
    }

    #[test]
    fn a_deadline_that_is_past_returns_at_once() {
        let clock = SimClock::new();
        clock.advance(100);
        clock.wait(&[], Some(100)).unwrap();
        clock.wait(&[], Some(0)).unwrap();
        assert_eq!(clock.now(), 100);
        clock.advance(50);
        assert_eq!(clock.now(), 100, "never back");
    }

    #[test]
    fn time_does_not_jump_while_an_attached_thread_works_or_is_expected() {
        let clock = SimClock::new();
        let working = clock.attach();
        let ticket = clock.ticket();
        let waiting = clock.clone();
        let waiter = thread::spawn(move || waiting.wait(&[], Some(1_000)));
        while clock.state().waiters.is_empty() {
            thread::yield_now();
        }
        assert_eq!(clock.idle(), None);
        drop(working);
        assert_eq!(clock.idle(), None);
        drop(ticket);
        let seen = clock.idle().unwrap();
        assert_eq!(seen.deadline_ns, Some(1_000));
        let again = clock.attach();
        assert!(!clock.jump(seen, 1_000), "somebody came in between");
        drop(again);
        assert!(clock.jump(clock.idle().unwrap(), 1_000));
        waiter.join().unwrap().unwrap();
        assert_eq!(clock.now(), 1_000);
    }

    #[test]
    fn a_ready_descriptor_means_awake() {
        let clock = SimClock::new();
        let event = Arc::new(new_eventfd().unwrap());
        let (c, e) = (clock.clone(), Arc::clone(&event));
        let waiter = thread::spawn(move || {
            let _attached = c.attach();
            c.wait(&[e.as_fd()], Some(5_000)).unwrap();
            c.now()
        });
        let seen = loop {
            match clock.idle() {
                Some(seen) => break seen,
                None => thread::yield_now(),
            }
        };
        signal(&event);
        assert!(!clock.jump(seen, 5_000), "the interrupt came first");
        assert_eq!(waiter.join().unwrap(), 0);
    }

    #[test]
    fn advancing_wakes_whom_it_passes() {
        let clock = SimClock::new();
        let c = clock.clone();
        let waiter = thread::spawn(move || c.wait(&[], Some(800)).map(|()| c.now()));
        while !waiter.is_finished() {
            let now = clock.now();
            if now < 800 || !clock.state().waiters.is_empty() {
                clock.advance(now + 8);
            }
        }
        assert!(waiter.join().unwrap().unwrap() >= 800);
    }

    #[test]
    fn a_stopped_clock_lets_nobody_hang() {
        let clock = SimClock::new();
        let c = clock.clone();
        let waiter = thread::spawn(move || c.wait(&[], None));
        while clock.state().waiters.is_empty() {
            thread::yield_now();
        }
        clock.stop();
        assert_eq!(
            waiter.join().unwrap().unwrap_err().kind(),
            io::ErrorKind::BrokenPipe
        );
        assert_eq!(
            clock.wait(&[], None).unwrap_err().kind(),
            io::ErrorKind::BrokenPipe
        );
    }

    /// Threads sleep on deadlines and send each other messages through descriptors. A message is always taken at the time it was sent:
    /// were the clock to jump over a thread that has something to do, the times would differ.
    #[test]
    fn no_jump_over_a_thread_that_has_something_to_do() {
        const THREADS: usize = 8;
        const ROUNDS: usize = 150;
        let seed: u64 = rand::random();
        println!("seed {seed}");
        let clock = SimClock::new();
        let stop = Arc::new(AtomicBool::new(false));
        let simulator = thread::spawn({
            let (clock, stop) = (clock.clone(), Arc::clone(&stop));
            move || simulate(&clock, &stop, thread::yield_now)
        });
        let doors: Vec<Arc<OwnedFd>> = (0..THREADS)
            .map(|_| Arc::new(new_eventfd().unwrap()))
            .collect();
        let boxes: Arc<Vec<Mutex<Vec<u64>>>> =
            Arc::new((0..THREADS).map(|_| Mutex::default()).collect());
        let threads: Vec<_> = (0..THREADS)
            .map(|me| {
                let (clock, doors, boxes, ticket) = (
                    clock.clone(),
                    doors.clone(),
                    Arc::clone(&boxes),
                    clock.ticket(),
                );
                thread::spawn(move || {
                    let _attached = ticket.attach();
                    let mut random = StdRng::seed_from_u64(seed + me as u64);
                    for round in 0..ROUNDS {
                        let deadline = clock.now() + random.random_range(1..1_000);
                        while clock.now() < deadline {
                            clock.wait(&[doors[me].as_fd()], Some(deadline)).unwrap();
                            assert!(
                                clock.now() <= deadline,
                                "thread {me} round {round}: woken at {} instead of {deadline}",
                                clock.now()
                            );
                            clear(&doors[me]);
                            for sent in boxes[me].lock().unwrap().drain(..) {
                                assert_eq!(
                                    clock.now(),
                                    sent,
                                    "thread {me} round {round}: a message was jumped over"
                                );
                            }
                        }
                        let other = random.random_range(0..THREADS);
                        boxes[other].lock().unwrap().push(clock.now());
                        signal(&doors[other]);
                        if other == me {
                            boxes[me].lock().unwrap().clear();
                            clear(&doors[me]);
                        }
                    }
                })
            })
            .collect();
        let results: Vec<_> = threads.into_iter().map(thread::JoinHandle::join).collect();
        stop.store(true, Ordering::SeqCst);
        simulator.join().unwrap();
        assert!(results.iter().all(Result::is_ok), "seed {seed}");
    }
}
