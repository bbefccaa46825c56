//! The two kinds of clock: one on which a thread must drive the NIC, and one that does it itself, as a simulator's does.
use std::io;
use std::sync::Weak;

use crate::sync::Awaited;
use crate::sync::{Clock, FdRef, Mutex, Served, Service, KERNEL};

/// As the machine's.
pub(crate) struct Wall {
    /// Time goes on with each look at it.
    pub(crate) passes: bool,
}

impl Clock for Wall {
    fn now(&self) -> u64 {
        KERNEL.now_ns(self.passes)
    }

    fn passes_by_itself(&self) -> bool {
        self.passes
    }

    fn wait(&self, fds: &[FdRef<'_>], deadline_ns: Option<u64>) -> io::Result<()> {
        self.wait_for(fds, deadline_ns).map(|_| ())
    }

    fn wait_for(&self, fds: &[FdRef<'_>], deadline_ns: Option<u64>) -> io::Result<u64> {
        Ok(KERNEL.poll(fds, deadline_ns))
    }
}

/// As that of a `LocalSimulator`.
pub(crate) struct Serving(Mutex<Option<Weak<dyn Service>>>);

impl Serving {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Runs the service whenever it is due, by the rules of `sim/src/local/services.rs`.
    pub(crate) fn run(&self) {
        let service = self.0.lock().take();
        let Some(service) = service.and_then(|service| service.upgrade()) else {
            return;
        };
        let fds = service.fds();
        let mut awaited = Awaited {
            fds: &fds,
            listens: true,
            deadline_ns: None,
        };
        let mut called = true;
        loop {
            let late = match called {
                true => false,
                false => match KERNEL.wait_for_service(&awaited) {
                    Some(woken) => {
                        called = woken.called;
                        woken.late
                    }
                    None => return,
                },
            };
            if service.is_due() || late || called {
                let served = service.run(std::mem::take(&mut called));
                (awaited.deadline_ns, awaited.listens) = match served {
                    Served::Until(deadline_ns) => (deadline_ns, true),
                    Served::NotNow | Served::Busy => (None, false),
                };
                KERNEL.hold(served == Served::Busy);
            }
        }
    }
}

impl Clock for Serving {
    fn now(&self) -> u64 {
        KERNEL.now_ns(false)
    }

    fn passes_by_itself(&self) -> bool {
        false
    }

    fn wait(&self, fds: &[FdRef<'_>], deadline_ns: Option<u64>) -> io::Result<()> {
        KERNEL.stir();
        KERNEL.poll(fds, deadline_ns);
        Ok(())
    }

    fn serve(&self, service: Weak<dyn Service>) -> bool {
        *self.0.lock() = Some(service);
        true
    }

    fn poke(&self) {
        KERNEL.stir();
    }
}
