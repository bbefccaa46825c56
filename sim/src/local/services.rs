//! Work that the driving thread does for the hosts: see [`Service`].
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};

use ferrule_driver::clock::{Served, Service};

/// Number of a service.
pub(super) type ServiceId = u64;

struct Entry {
    id: ServiceId,
    service: Weak<dyn Service>,
    /// Descriptors of our own for those that call for it.
    fds: Arc<Vec<OwnedFd>>,
    deadline_ns: Option<u64>,
    /// One of its descriptors is readable.
    called: bool,
    /// Its descriptors are looked at.
    listens: bool,
    /// A thread outside works on it.
    busy: bool,
}

/// A service to be run.
pub(super) struct Due {
    pub(super) id: ServiceId,
    pub(super) service: Arc<dyn Service>,
    /// One of its descriptors is readable.
    pub(super) called: bool,
}

/// The services, in the order in which they came.
#[derive(Default)]
pub(super) struct Services {
    entries: Vec<Entry>,
    next_id: ServiceId,
}

impl Services {
    /// Takes a service on; false if its descriptors cannot be had.
    pub(super) fn add(&mut self, service: Weak<dyn Service>) -> bool {
        let Some(alive) = service.upgrade() else {
            return true;
        };
        let fds = alive
            .fds()
            .iter()
            .map(|fd| fd.try_clone_to_owned())
            .collect();
        let Ok(fds) = fds else {
            return false;
        };
        self.next_id += 1;
        self.entries.push(Entry {
            id: self.next_id,
            service,
            fds: Arc::new(fds),
            deadline_ns: None,
            called: true,
            listens: true,
            busy: false,
        });
        true
    }

    /// A service to be run now; it is not due any more then. Those that have ended are forgotten.
    pub(super) fn take_due(&mut self, now_ns: u64) -> Option<Due> {
        self.entries
            .retain(|entry| entry.service.strong_count() > 0);
        for entry in &mut self.entries {
            let Some(service) = entry.service.upgrade() else {
                continue;
            };
            let late = entry.deadline_ns.is_some_and(|at| at <= now_ns);
            if service.is_due() || late || entry.called {
                entry.deadline_ns = None;
                return Some(Due {
                    id: entry.id,
                    service,
                    called: std::mem::take(&mut entry.called),
                });
            }
        }
        None
    }

    /// Notes what a run came to.
    pub(super) fn ran(&mut self, id: ServiceId, served: Served) {
        if let Some(entry) = self.entries.iter_mut().find(|e| e.id == id) {
            (entry.deadline_ns, entry.listens) = match served {
                Served::Until(deadline_ns) => (deadline_ns, true),
                Served::NotNow | Served::Busy => (None, false),
            };
            entry.busy = served == Served::Busy;
        }
    }

    /// Whether a thread outside simulated time works on one of them: were time to pass, it would answer late.
    pub(super) fn are_busy(&self) -> bool {
        self.entries.iter().any(|entry| entry.busy)
    }

    /// The earliest deadline.
    pub(super) fn deadline_ns(&self) -> Option<u64> {
        self.entries.iter().filter_map(|e| e.deadline_ns).min()
    }

    /// The descriptors of each service that listens to them.
    pub(super) fn fds(&self) -> impl Iterator<Item = (ServiceId, &Arc<Vec<OwnedFd>>)> {
        let listening = self.entries.iter().filter(|e| e.listens);
        listening.map(|e| (e.id, &e.fds))
    }

    /// One of its descriptors is readable.
    pub(super) fn call(&mut self, id: ServiceId) {
        if let Some(entry) = self.entries.iter_mut().find(|e| e.id == id) {
            entry.called = true;
        }
    }
}
