//! TCP and UDP sockets over a Ferrule NIC, as in std::net.
//!
//! ```no_run
//! use std::io::{Read, Write};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let host = ferrule::Host::builder()
//!     .device_spec("vfio-user:/tmp/nic.sock")
//!     .address(ferrule::Cidr::new([192, 0, 2, 10].into(), 24).expect("a prefix of at most 32 bits"))
//!     .open()?;
//! let mut stream = host.connect("192.0.2.2:7")?;
//! stream.write_all(b"hello")?;
//! let mut back = [0; 5];
//! stream.read_exact(&mut back)?;
//! # Ok(())
//! # }
//! ```
//! What std leaves out is there too: [`TcpSocket`] and [`Host::udp_socket`] for what is chosen before binding or connecting, buffer sizes,
//! keep-alive, cork, linger, user timeout, TTL and TOS, congestion control, [`TcpInfo`], the queues of a listener, messages with their true
//! length and destination, source filters of multicast groups. Errors carry the kernel's number, as std's do. The device that a socket is bound to
//! is its [`Host`]'s.
//!
//! Each socket is an `AsFd` whose descriptor poll, epoll and select understand beside the kernel's. With the feature `mio` the sockets are
//! its sources; with the feature `tokio` there is a module of that name. [`Events`] tells of any number of sockets that need no descriptors. [`framing`] keeps messages apart in a stream.
//!
//! Programs that have one NIC set FERRULE_DEVICE and FERRULE_ADDRESS (and FERRULE_GATEWAY) and use [`TcpStream::connect`],
//! [`TcpListener::bind`] and [`UdpSocket::bind`] as they would std's.
#![forbid(unsafe_code)]

mod address;
mod chunks;
mod core;
mod error;
mod events;
mod exports;
pub mod framing;
mod host;
#[cfg(feature = "mio")]
mod mio;
mod options;
mod ping;
mod settings;
mod shared;
mod socket;
mod sync;
mod tcp;
mod tcp_socket;
#[cfg(feature = "tokio")]
pub mod tokio;
mod udp;

pub use chunks::Chunks;
pub use error::OpenError;
pub use events::{Events, Watched};
pub use ferrule_stack::{
    Algorithm, Bytes, Cidr, KeepAlive, ListenQueue, PathMtuDiscovery, Payload, Received,
    SendOptions, Stats, TcpInfo, TcpState,
};
pub use host::{Host, HostBuilder};
pub use ping::{Ping, Reply};
pub use tcp::{Incoming, TcpListener, TcpStream, DEFAULT_BACKLOG};
pub use tcp_socket::TcpSocket;
pub use udp::UdpSocket;
