//! A TCP socket that neither listens nor has a connection yet: what was chosen for it waits here.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::TcpOptions;

/// No address and no port.
pub(crate) const UNBOUND: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);

/// Which ports a socket shares.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Sharing {
    /// SO_REUSEADDR.
    pub(crate) address: bool,
    /// SO_REUSEPORT.
    pub(crate) port: bool,
}

impl Sharing {
    /// Whether two sockets may have the same port, of which the other listens or not.
    pub(crate) fn allows(self, other: Sharing, other_listens: bool) -> bool {
        self.port && other.port || self.address && other.address && !other_listens
    }
}

/// A socket before connect or listen.
#[derive(Debug)]
pub(crate) struct Fresh {
    /// [`UNBOUND`] until it is bound.
    pub(crate) local: SocketAddrV4,
    pub(crate) options: TcpOptions,
    pub(crate) sharing: Sharing,
    /// Sizes of its buffers, where the program has set them.
    pub(crate) send_buffer: Option<usize>,
    pub(crate) recv_buffer: Option<usize>,
}
