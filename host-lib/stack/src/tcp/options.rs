//! What a program sets on a connection, or on a listener for the connections it accepts.

use core::time::Duration;

use super::{Algorithm, KeepAlive};
use crate::ip::params::Marks;

/// The options of a TCP socket.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct TcpOptions {
    /// Small segments go out at once: Nagle's algorithm is off (TCP_NODELAY).
    pub nodelay: bool,
    /// Only full segments go out, for up to 200 ms (TCP_CORK).
    pub cork: bool,
    /// Acknowledgments are not delayed (TCP_QUICKACK).
    pub quick_ack: bool,
    /// Whether and how a silent peer is probed (SO_KEEPALIVE, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT).
    pub keep_alive: Option<KeepAlive>,
    /// How long what was sent may stay unacknowledged (TCP_USER_TIMEOUT, RFC 5482); `None` leaves it to the number of
    /// retransmissions.
    pub user_timeout: Option<Duration>,
    /// SYNs sent again at most (TCP_SYNCNT); `None` takes the stack's.
    pub syn_retransmits: Option<u8>,
    /// Congestion control (TCP_CONGESTION).
    pub congestion: Algorithm,
    /// Time to live of the packets (IP_TTL), 1 to 255; `None` takes the stack's.
    pub ttl: Option<u8>,
    /// Type of service of the packets (IP_TOS); its two ECN bits are ignored, as they are TCP's own.
    pub tos: u8,
}

impl TcpOptions {
    /// What goes into the IP headers.
    #[inline]
    pub(crate) fn marks(&self) -> Marks {
        Marks {
            ttl: self.ttl,
            tos: self.tos & !3,
        }
    }
}
