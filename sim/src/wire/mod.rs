//! What the NIC's Ethernet port is plugged into.
use std::os::fd::BorrowedFd;

use impair::ImpairStats;

pub mod host;
pub mod impair;
pub mod lan;
pub mod link;
pub mod loopback;
pub mod pcap;
pub mod router;
pub mod switch;
pub mod tap;

/// A frame as it comes over the cable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// From the destination address on, without FCS.
    pub frame: Vec<u8>,
    /// The FCS it comes with, first byte first, where that is not the one of the frame padded to 60 bytes.
    pub fcs: Option<[u8; 4]>,
}

impl From<Vec<u8>> for Arrival {
    fn from(frame: Vec<u8>) -> Self {
        Self { frame, fcs: None }
    }
}

/// The far end of the NIC's cable. Frames start at the destination address and have no FCS.
///
/// A wire keeps no clock of its own: every call says what time it is, in nanoseconds.
pub trait Wire: Send {
    /// Takes a frame that the NIC finished sending at `now_ns`; it is padded to 60 bytes.
    fn send(&mut self, now_ns: u64, frame: &[u8]);

    /// The next frame towards the NIC that is due at `now_ns`.
    fn poll(&mut self, now_ns: u64) -> Option<Vec<u8>>;

    /// As [`Wire::poll`], with frames that were damaged on the cable, which `poll` leaves out.
    fn arrive(&mut self, now_ns: u64) -> Option<Arrival> {
        self.poll(now_ns).map(Arrival::from)
    }

    /// When [`Wire::poll`] may next have something, `now_ns` if at once; `None` if only a frame from the NIC can change that.
    fn next_deadline(&mut self, now_ns: u64) -> Option<u64>;

    /// A wire to the world outside the simulation: readable when something has come that [`Wire::next_deadline`] has not found yet. It
    /// makes the simulator run on wall time.
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// The NIC's receiver was switched on at `now_ns`.
    fn receiver_on(&mut self, _now_ns: u64) {}

    /// What was done to frames on the way, if anything is done to them at all.
    fn impairments(&self) -> Option<ImpairStats> {
        None
    }
}
