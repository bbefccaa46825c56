//! Who waits, who runs, who drives: one thread at a time, in an order that does not depend on the machine.
//!
//! Of the attached threads at most one runs: it holds the baton. While none does, exactly one of the waiting threads drives the world.
use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar};
use std::thread::ThreadId;

use super::{new_eventfd, signal};

/// A place in the order of waiting.
pub(super) type Turn = u64;

/// What a waiting thread has been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Nothing yet.
    Wait,
    /// What it waits for is there.
    Run,
    /// To drive the world.
    Drive,
}

/// How a waiting thread is woken.
#[derive(Clone)]
pub(super) enum Bell {
    /// An attached one sleeps on a condition of the state's mutex.
    Condition(Arc<Condvar>),
    /// One that is not attached sleeps in poll(2), so that its descriptors wake it while another thread holds the baton.
    Descriptor(Arc<OwnedFd>),
}

/// A thread that waits.
pub(super) struct Waiter {
    pub(super) turn: Turn,
    pub(super) thread: ThreadId,
    pub(super) attached: bool,
    /// Waits for nothing but the baton.
    pub(super) starting: bool,
    pub(super) deadline_ns: Option<u64>,
    /// Descriptors of our own for what a sleeping attached thread waits for, so that they stay what they are while others look.
    pub(super) fds: Option<Arc<Vec<OwnedFd>>>,
    pub(super) told: Told,
    pub(super) bell: Bell,
}

impl Waiter {
    fn ring(&self) {
        match &self.bell {
            Bell::Condition(condition) => condition.notify_one(),
            Bell::Descriptor(fd) => signal(fd),
        }
    }

    fn tell(&mut self, told: Told) {
        self.told = told;
        self.ring();
    }
}

/// What a thread waits for when it enters.
pub(super) struct Entry {
    pub(super) starting: bool,
    pub(super) deadline_ns: Option<u64>,
}

#[derive(Default)]
pub(super) struct Schedule {
    next_turn: Turn,
    /// In the order of their turns.
    pub(super) waiters: Vec<Waiter>,
    /// How often each attached thread is attached.
    attached: HashMap<ThreadId, usize>,
    /// Turns of threads that are about to attach.
    pub(super) tickets: Vec<Turn>,
    /// Attached threads that wait for something outside.
    pub(super) outside: usize,
    /// The thread that runs.
    pub(super) baton: Option<ThreadId>,
    /// The turn of the thread that drives.
    pub(super) driver: Option<Turn>,
    /// Bells of past waits, to be used again.
    conditions: Vec<Arc<Condvar>>,
    descriptors: Vec<Arc<OwnedFd>>,
}

impl Schedule {
    pub(super) fn take_turn(&mut self) -> Turn {
        self.next_turn += 1;
        self.next_turn
    }

    pub(super) fn is_attached(&self, thread: ThreadId) -> bool {
        self.attached.contains_key(&thread)
    }

    /// Counts an attachment; whether it is the thread's first.
    pub(super) fn attach(&mut self, thread: ThreadId) -> bool {
        let count = self.attached.entry(thread).or_default();
        *count += 1;
        *count == 1
    }

    /// Takes an attachment back; after the last one somebody else may run.
    pub(super) fn detach(&mut self, thread: ThreadId) {
        if let Some(count) = self.attached.get_mut(&thread) {
            *count -= 1;
            if *count == 0 {
                self.attached.remove(&thread);
                self.put_down(thread);
            }
        }
    }

    /// Gives the baton out of the thread's hand, if it has it.
    pub(super) fn put_down(&mut self, thread: ThreadId) {
        if self.baton == Some(thread) {
            self.baton = None;
            self.hand_over();
        }
    }

    /// Puts a thread among those that wait; the baton leaves its hand without going to anybody.
    ///
    /// # Errors
    /// When there is no descriptor left.
    pub(super) fn enter(&mut self, turn: Turn, thread: ThreadId, entry: Entry) -> io::Result<()> {
        let attached = self.is_attached(thread);
        let bell = if attached {
            Bell::Condition(self.conditions.pop().unwrap_or_default())
        } else {
            Bell::Descriptor(match self.descriptors.pop() {
                Some(fd) => fd,
                None => Arc::new(new_eventfd()?),
            })
        };
        if self.baton == Some(thread) {
            self.baton = None;
        }
        let waiter = Waiter {
            turn,
            thread,
            attached,
            starting: entry.starting,
            deadline_ns: entry.deadline_ns,
            fds: None,
            told: Told::Wait,
            bell,
        };
        let at = self.waiters.partition_point(|w| w.turn < turn);
        self.waiters.insert(at, waiter);
        Ok(())
    }

    /// Takes a thread out of those that wait, whatever it was told. An attached one has the baton then.
    pub(super) fn leave(&mut self, turn: Turn) {
        let Some(at) = self.waiters.iter().position(|w| w.turn == turn) else {
            return;
        };
        let waiter = self.waiters.remove(at);
        if self.driver == Some(turn) {
            self.driver = None;
        }
        if waiter.attached && self.baton.is_none() {
            self.baton = Some(waiter.thread);
        }
        match waiter.bell {
            Bell::Condition(condition) => self.conditions.push(condition),
            Bell::Descriptor(fd) => {
                super::clear(&fd);
                self.descriptors.push(fd);
            }
        }
        self.hand_over();
    }

    pub(super) fn waiter(&mut self, turn: Turn) -> Option<&mut Waiter> {
        self.waiters.iter_mut().find(|w| w.turn == turn)
    }

    /// Lets the first of the waiting threads drive, if nobody runs or drives.
    fn hand_over(&mut self) {
        if self.baton.is_some() || self.driver.is_some() {
            return;
        }
        if let Some(waiter) = self.waiters.iter_mut().find(|w| w.told == Told::Wait) {
            self.driver = Some(waiter.turn);
            waiter.tell(Told::Drive);
        }
    }

    /// Lets a waiting thread run; an attached one alone.
    pub(super) fn call(&mut self, turn: Turn) {
        let Some(waiter) = self.waiters.iter_mut().find(|w| w.turn == turn) else {
            return;
        };
        waiter.tell(Told::Run);
        if waiter.attached {
            self.baton = Some(waiter.thread);
            if let Some(driver) = self.driver.take().and_then(|turn| self.waiter(turn)) {
                driver.told = Told::Wait;
            }
        }
    }

    /// Lets every thread run: the world has ended.
    pub(super) fn release_all(&mut self) {
        for waiter in &mut self.waiters {
            waiter.tell(Told::Run);
        }
    }

    /// The waiting threads that nobody has called yet.
    pub(super) fn sleeping(&self) -> impl Iterator<Item = &Waiter> + Clone {
        self.waiters.iter().filter(|w| w.told != Told::Run)
    }

    /// The first thread that only waits for the baton, or whose deadline is reached.
    pub(super) fn due(&self, now_ns: u64) -> Option<Turn> {
        let due = |w: &&Waiter| w.starting || w.deadline_ns.is_some_and(|at| at <= now_ns);
        self.sleeping().find(due).map(|w| w.turn)
    }

    /// The earliest deadline.
    pub(super) fn deadline_ns(&self) -> Option<u64> {
        self.sleeping().filter_map(|w| w.deadline_ns).min()
    }
}
