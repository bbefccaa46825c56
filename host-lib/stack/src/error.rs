//! Why a socket call failed.

use std::io::ErrorKind;

/// An error of a socket call. Each stands for one errno; [`Error::kind`] gives std's name for it.
#[derive(Copy, Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing to read, no room to write, or no connection to accept yet (EAGAIN).
    #[error("would block; try again when the socket is ready")]
    WouldBlock,
    /// The connection is still being opened (EINPROGRESS, EALREADY).
    #[error("the connection is still being opened; wait until the socket is writable")]
    InProgress,
    /// The id names a socket that was closed (EBADF).
    #[error("the socket was closed")]
    Stale,
    /// The call does not fit this kind of socket (EOPNOTSUPP).
    #[error("this kind of socket does not support the call")]
    Unsupported,
    /// An argument makes no sense (EINVAL).
    #[error("invalid argument")]
    InvalidInput,
    /// The socket has no peer (ENOTCONN, EDESTADDRREQ).
    #[error("the socket is not connected")]
    NotConnected,
    /// The peer answered with RST, or with ICMP port unreachable (ECONNREFUSED).
    #[error("the peer refused; nothing listens on that port")]
    ConnectionRefused,
    /// The peer reset the connection (ECONNRESET).
    #[error("the peer reset the connection")]
    ConnectionReset,
    /// The connection was aborted on this side (ECONNABORTED).
    #[error("the connection was aborted")]
    ConnectionAborted,
    /// Writing after shutdown, or to a connection that ended (EPIPE).
    #[error("the sending side of the connection is closed")]
    BrokenPipe,
    /// The peer did not answer in time (ETIMEDOUT).
    #[error("the peer did not answer in time")]
    TimedOut,
    /// The address or port is taken (EADDRINUSE).
    #[error("the address and port are in use")]
    AddrInUse,
    /// The address is not one of ours, or no ephemeral port is free (EADDRNOTAVAIL).
    #[error("the address is not one of this stack's, or no local port is free")]
    AddrNotAvailable,
    /// The next hop did not answer ARP, or a router said the host is unreachable (EHOSTUNREACH).
    #[error("no route to the host")]
    HostUnreachable,
    /// No local address to send from, or a router said the network is unreachable (ENETUNREACH).
    #[error("the network is unreachable")]
    NetworkUnreachable,
    /// The datagram is larger than can be sent (EMSGSIZE).
    #[error("the message is too long for a datagram")]
    MessageTooLong,
    /// Neither was a destination given nor is the socket connected (EDESTADDRREQ).
    #[error("no destination: give one or connect the socket")]
    DestinationRequired,
    /// Sending to a broadcast address without asking for it (EACCES).
    #[error("to send to a broadcast address the socket's broadcast option must be set")]
    PermissionDenied,
    /// More multicast groups or sources than one socket may have (ENOBUFS).
    #[error("the socket has as many multicast groups or sources as it may")]
    NoBuffers,
    /// The peer's host does not speak the protocol (ENOPROTOOPT).
    #[error("the peer's host does not speak the protocol")]
    ProtocolUnavailable,
    /// A packet of ours made no sense to a router or the peer's host (EPROTO).
    #[error("a router or the peer's host could not make sense of a header")]
    Protocol,
    /// A router knows that the host is down (EHOSTDOWN).
    #[error("the host is down")]
    HostDown,
    /// The socket has a connection, or listens (EISCONN).
    #[error("the socket is connected already")]
    IsConnected,
    /// No interface has the address (ENODEV).
    #[error("no interface has that address")]
    NoDevice,
    /// A router says that we are isolated (ENONET).
    #[error("this host is cut off from the network")]
    NotOnNetwork,
}

impl Error {
    /// The kind std::net reports for the same failure.
    pub fn kind(self) -> ErrorKind {
        match self {
            Error::WouldBlock | Error::InProgress => ErrorKind::WouldBlock,
            Error::Stale => ErrorKind::NotFound,
            Error::Unsupported => ErrorKind::Unsupported,
            Error::InvalidInput | Error::MessageTooLong => ErrorKind::InvalidInput,
            Error::NotConnected => ErrorKind::NotConnected,
            Error::PermissionDenied => ErrorKind::PermissionDenied,
            Error::DestinationRequired
            | Error::IsConnected
            | Error::NoDevice
            | Error::NoBuffers
            | Error::ProtocolUnavailable
            | Error::Protocol => ErrorKind::Other,
            Error::ConnectionRefused => ErrorKind::ConnectionRefused,
            Error::ConnectionReset => ErrorKind::ConnectionReset,
            Error::ConnectionAborted => ErrorKind::ConnectionAborted,
            Error::BrokenPipe => ErrorKind::BrokenPipe,
            Error::TimedOut => ErrorKind::TimedOut,
            Error::AddrInUse => ErrorKind::AddrInUse,
            Error::AddrNotAvailable => ErrorKind::AddrNotAvailable,
            Error::HostUnreachable | Error::HostDown => ErrorKind::HostUnreachable,
            Error::NetworkUnreachable | Error::NotOnNetwork => ErrorKind::NetworkUnreachable,
        }
    }
}

impl From<Error> for ErrorKind {
    fn from(error: Error) -> ErrorKind {
        error.kind()
    }
}

/// What a socket call gives back.
pub type Result<T> = core::result::Result<T, Error>;
