//! What `src/shared.rs` waits with, by a scheduler that tries many orders: locks and atomics are shuttle's, descriptors and time a model of the kernel's.
use std::io;
use std::sync::Weak;

use shuttle::sync::Condvar;

pub(crate) use ferrule_driver::clock::Served;
pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
pub(crate) use shuttle::sync::{Arc, MutexGuard};
pub(crate) use shuttle::thread::yield_now;

use crate::Fault;

/// What a look at the clock takes while a thread looks again and again, in nanoseconds.
const LOOK_NS: u64 = 3;

/// As `ferrule_driver::lock::Mutex`.
pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().expect("no thread has panicked")
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok()
    }
}

/// As `ferrule_driver::Clock`.
pub(crate) trait Clock: Send + Sync {
    fn now(&self) -> u64;
    fn wait(&self, fds: &[FdRef<'_>], deadline_ns: Option<u64>) -> io::Result<()>;
    fn wait_for(&self, fds: &[FdRef<'_>], deadline_ns: Option<u64>) -> io::Result<u64> {
        self.wait(fds, deadline_ns).map(|()| u64::MAX)
    }
    fn passes_by_itself(&self) -> bool;
    fn serve(&self, _service: Weak<dyn Service>) -> bool {
        false
    }
    fn poke(&self) {}
}

/// As `ferrule_driver::clock::Service`.
pub(crate) trait Service: Send + Sync {
    fn fds(&self) -> Vec<FdRef<'_>>;
    fn is_due(&self) -> bool;
    fn run(&self, called: bool) -> Served;
}

/// A descriptor: its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fd(usize);

pub(crate) type FdRef<'a> = &'a Fd;

pub(crate) trait AsFd {
    fn as_fd(&self) -> FdRef<'_>;
}

impl AsFd for Fd {
    fn as_fd(&self) -> FdRef<'_> {
        self
    }
}

/// As that of `src/sync.rs`.
pub(crate) struct WakeUp {
    fd: Fd,
    /// The first one is the driving thread's.
    is_kick: bool,
}

impl WakeUp {
    pub(crate) fn new() -> io::Result<Self> {
        let (fd, is_kick) = KERNEL.open_wake_up();
        Ok(Self { fd, is_kick })
    }

    pub(crate) fn signal(&self) {
        let lost = match KERNEL.fault() {
            Some(Fault::LosesKicks) => self.is_kick,
            Some(Fault::LosesWakeUps) => !self.is_kick,
            _ => false,
        };
        if !lost {
            KERNEL.set(&self.fd, true);
        }
    }

    pub(crate) fn clear(&self) {
        KERNEL.set(&self.fd, false);
    }
}

impl AsFd for WakeUp {
    fn as_fd(&self) -> FdRef<'_> {
        &self.fd
    }
}

pub(crate) fn is_readable(fd: &Fd) -> io::Result<bool> {
    Ok(KERNEL.tables().readable[fd.0])
}

/// Time goes on meanwhile.
pub(crate) fn spin_loop() {}

shuttle::lazy_static! {
    /// Each run has its own.
    pub(crate) static ref KERNEL: Kernel = Kernel::default();
}

/// Descriptors and time, and who waits for them.
#[derive(Default)]
pub(crate) struct Kernel {
    tables: shuttle::sync::Mutex<Tables>,
    changed: Condvar,
}

#[derive(Default)]
struct Tables {
    fault: Option<Fault>,
    /// Whether each descriptor is readable.
    readable: Vec<bool>,
    /// Those that are a NIC's interrupts.
    interrupts: Vec<Fd>,
    wake_ups: usize,
    now_ns: u64,
    /// Of those who wait.
    deadlines: Vec<u64>,
    /// Threads that wait for interrupts.
    driving: usize,
    /// The clock has something to look at.
    stirred: bool,
    /// The clock lets no time pass.
    holds: bool,
    ended: bool,
}

/// What the clock's service waits for.
pub(crate) struct Awaited<'a> {
    pub(crate) fds: &'a [FdRef<'a>],
    pub(crate) listens: bool,
    pub(crate) deadline_ns: Option<u64>,
}

/// What has ended its wait.
pub(crate) struct Woken {
    pub(crate) called: bool,
    pub(crate) late: bool,
}

impl Kernel {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().expect("no thread has panicked")
    }

    fn change<T>(&self, change: impl FnOnce(&mut Tables) -> T) -> T {
        let changed = change(&mut self.tables());
        self.changed.notify_all();
        changed
    }

    /// Begins a run.
    pub(crate) fn begin(&self, fault: Option<Fault>) {
        self.tables().fault = fault;
    }

    /// Ends what goes on for as long as there is something to do.
    pub(crate) fn end(&self) {
        self.change(|tables| tables.ended = true);
    }

    pub(crate) fn fault(&self) -> Option<Fault> {
        self.tables().fault
    }

    pub(crate) fn open(&self) -> Fd {
        let mut tables = self.tables();
        tables.readable.push(false);
        Fd(tables.readable.len() - 1)
    }

    pub(crate) fn open_interrupt(&self) -> Fd {
        let fd = self.open();
        self.tables().interrupts.push(fd);
        fd
    }

    fn open_wake_up(&self) -> (Fd, bool) {
        let fd = self.open();
        let mut tables = self.tables();
        tables.wake_ups += 1;
        (fd, tables.wake_ups == 1)
    }

    pub(crate) fn set(&self, fd: FdRef<'_>, readable: bool) {
        self.change(|tables| tables.readable[fd.0] = readable);
    }

    pub(crate) fn now_ns(&self, passes_by_itself: bool) -> u64 {
        match passes_by_itself {
            true => self.change(|tables| {
                tables.now_ns += LOOK_NS;
                tables.now_ns
            }),
            false => self.tables().now_ns,
        }
    }

    /// As poll(2) with a deadline: which of them are readable.
    pub(crate) fn poll(&self, fds: &[FdRef<'_>], deadline_ns: Option<u64>) -> u64 {
        let mut tables = self.tables();
        let drives = fds.iter().any(|fd| tables.interrupts.contains(fd));
        if drives {
            tables.driving += 1;
            assert!(tables.driving == 1, "two threads drive the NIC");
        }
        if let Some(deadline_ns) = deadline_ns {
            tables.deadlines.push(deadline_ns);
            self.changed.notify_all();
        }
        let ready = loop {
            let ready = fds.iter().enumerate().fold(0, |mask, (n, fd)| {
                mask | u64::from(tables.readable[fd.0]) << n
            });
            if ready != 0 || deadline_ns.is_some_and(|at| at <= tables.now_ns) {
                break ready;
            }
            tables = self.changed.wait(tables).expect("no thread has panicked");
        };
        tables.forget(deadline_ns);
        tables.driving -= usize::from(drives);
        ready
    }

    pub(crate) fn stir(&self) {
        if self.fault() != Some(Fault::LosesPokes) {
            self.change(|tables| tables.stirred = true);
        }
    }

    /// Whether the clock lets no time pass.
    pub(crate) fn hold(&self, holds: bool) {
        self.change(|tables| tables.holds = holds);
    }

    /// Waits as a clock does for its service; `None` at the end.
    pub(crate) fn wait_for_service(&self, awaited: &Awaited<'_>) -> Option<Woken> {
        let mut tables = self.tables();
        tables.deadlines.extend(awaited.deadline_ns);
        self.changed.notify_all();
        let woken = loop {
            if tables.ended {
                return None;
            }
            let readable = || awaited.fds.iter().any(|fd| tables.readable[fd.0]);
            let woken = Woken {
                called: awaited.listens && readable(),
                late: awaited.deadline_ns.is_some_and(|at| at <= tables.now_ns),
            };
            if std::mem::take(&mut tables.stirred) || woken.called || woken.late {
                break woken;
            }
            tables = self.changed.wait(tables).expect("no thread has panicked");
        };
        tables.forget(awaited.deadline_ns);
        Some(woken)
    }

    /// Lets time pass, from deadline to deadline of those who wait; at any moment, whoever runs.
    pub(crate) fn pass_time(&self) {
        let mut tables = self.tables();
        while !tables.ended {
            let now_ns = tables.now_ns;
            let later = tables.deadlines.iter().filter(|at| **at > now_ns).min();
            tables = match later.copied() {
                Some(at) if !tables.holds => {
                    tables.now_ns = at;
                    drop(tables);
                    self.changed.notify_all();
                    self.tables()
                }
                _ => self.changed.wait(tables).expect("no thread has panicked"),
            };
        }
    }
}

impl Tables {
    fn forget(&mut self, deadline_ns: Option<u64>) {
        let place = |at| self.deadlines.iter().position(|d| *d == at);
        if let Some(n) = deadline_ns.and_then(place) {
            self.deadlines.swap_remove(n);
        }
    }
}
