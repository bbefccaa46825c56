//! Impairments on any wire: loss, reordering, duplication, corruption, delay, jitter and a rate limit, by seed and in each direction.
//!
//! ```text
//!   NIC --from_nic--> [rate, queue] -> [loss, damage, duplication, reordering] -> [delay, jitter] --> inner wire
//!   NIC <--to_nic---- the same, in a lane of its own                                              <-- inner wire
//! ```
//! The same seed and the same traffic give the same result, and what one impairment does to which frame does not depend on the others.
use std::os::fd::BorrowedFd;

use serde::Serialize;

use super::{Arrival, Wire};

mod damage;
mod lane;
mod spec;
#[cfg(test)]
mod tests;

use lane::Lane;
pub use lane::LaneStats;
pub use spec::{Impairments, LaneSpec, SpecError};

/// What was done to the frames of each direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ImpairStats {
    /// Towards the NIC.
    pub to_nic: LaneStats,
    /// From the NIC.
    pub from_nic: LaneStats,
}

/// A wire that treats frames badly on their way to and from another.
pub struct Impaired {
    inner: Box<dyn Wire>,
    to_nic: Lane,
    from_nic: Lane,
    /// Until when everything has happened.
    now_ns: u64,
}

impl Impaired {
    /// `inner`, with what `impairments` asks for.
    pub fn new(inner: Box<dyn Wire>, impairments: &Impairments, seed: u64) -> Self {
        Self {
            inner,
            to_nic: Lane::new(&impairments.to_nic, seed, "to_nic"),
            from_nic: Lane::new(&impairments.from_nic, seed, "from_nic"),
            now_ns: 0,
        }
    }

    /// When the inner wire has something next. One on simulated time is asked from where we left it, so that a frame enters when it is due
    /// and not when somebody looks; what comes from outside enters when it is found.
    fn inner_due(&mut self, now_ns: u64) -> Option<u64> {
        let from_ns = if self.inner.fd().is_some() {
            now_ns
        } else {
            self.now_ns
        };
        self.inner.next_deadline(from_ns)
    }

    /// Lets everything happen that is due, in the order of its time.
    fn advance(&mut self, now_ns: u64) {
        // An inner wire that says "now" and has nothing is asked again next time, not for ever.
        let mut dry_at = None;
        loop {
            let leaving = self.from_nic.next_due();
            let entering = self.inner_due(now_ns).filter(|at| dry_at != Some(*at));
            let Some(at_ns) = [leaving, entering].into_iter().flatten().min() else {
                break;
            };
            if at_ns > now_ns {
                break;
            }
            self.now_ns = self.now_ns.max(at_ns);
            while let Some(arrival) = self.from_nic.pop(at_ns) {
                // A station takes no frame whose FCS does not fit.
                if arrival.fcs.is_none() {
                    self.inner.send(self.now_ns, &arrival.frame);
                }
            }
            dry_at = Some(at_ns);
            while let Some(arrival) = self.inner.arrive(self.now_ns) {
                self.to_nic.push(self.now_ns, arrival);
                dry_at = None;
            }
        }
        self.now_ns = self.now_ns.max(now_ns);
    }
}

impl Wire for Impaired {
    fn send(&mut self, now_ns: u64, frame: &[u8]) {
        self.advance(now_ns);
        self.from_nic.push(now_ns, frame.to_vec().into());
    }

    /// Only frames that a station takes; see [`Wire::arrive`] for all.
    fn poll(&mut self, now_ns: u64) -> Option<Vec<u8>> {
        loop {
            let arrival = self.arrive(now_ns)?;
            if arrival.fcs.is_none() {
                return Some(arrival.frame);
            }
        }
    }

    fn arrive(&mut self, now_ns: u64) -> Option<Arrival> {
        self.advance(now_ns);
        self.to_nic.pop(now_ns)
    }

    fn next_deadline(&mut self, now_ns: u64) -> Option<u64> {
        let lanes = [self.to_nic.next_due(), self.from_nic.next_due()];
        let inner = self.inner_due(now_ns);
        let earliest = lanes.into_iter().chain([inner]).flatten().min();
        earliest.map(|at| at.max(now_ns))
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.inner.fd()
    }

    fn receiver_on(&mut self, now_ns: u64) {
        self.advance(now_ns);
        self.inner.receiver_on(now_ns);
    }

    fn impairments(&self) -> Option<ImpairStats> {
        Some(ImpairStats {
            to_nic: self.to_nic.stats(),
            from_nic: self.from_nic.stats(),
        })
    }
}
