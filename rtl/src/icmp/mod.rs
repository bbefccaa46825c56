//! ICMP echo in hardware (RFC 792, RFC 1122 section 3.2.2.6): requests are answered while the host sleeps.
//!
//! [`request`] finds out which of the frames that go by may be answered; the receive path's verdict knows the rest, that their checksums
//! are right among it. [`reply`] makes an answer of each frame while it comes in, and sends those that the verdict wants.

pub mod reply;
pub mod request;
