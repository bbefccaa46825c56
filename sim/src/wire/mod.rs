//! What the NIC's Ethernet port is plugged into.
use std::os::fd::BorrowedFd;

pub mod host;
pub mod lan;
pub mod link;
pub mod loopback;
pub mod router;
pub mod switch;
pub mod tap;

/// The far end of the NIC's cable. Frames start at the destination address and have no FCS.
///
/// A wire keeps no clock of its own: every call says what time it is, in nanoseconds.
pub trait Wire: Send {
    /// Takes a frame that the NIC finished sending at `now_ns`; it is padded to 60 bytes.
    fn send(&mut self, now_ns: u64, frame: &[u8]);

    /// The next frame towards the NIC that is due at `now_ns`.
    fn poll(&mut self, now_ns: u64) -> Option<Vec<u8>>;

    /// When [`Wire::poll`] may next have something, `now_ns` if at once; `None` if only a frame from the NIC can change that.
    fn next_deadline(&mut self, now_ns: u64) -> Option<u64>;

    /// A wire to the world outside the simulation: readable when something has come that [`Wire::next_deadline`] has not found yet. It
    /// makes the simulator run on wall time.
    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
