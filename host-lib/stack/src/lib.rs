//! Sans-IO TCP/UDP/ICMP over IPv4.
//!
//! A [`Stack`] is a state machine: packets and calls go in with the time, packets and readiness come out. It has no
//! clock, no threads, no I/O and knows nothing of devices; whoever owns it brings those.
//!
//! ```
//! use ferrule_stack::{Bytes, Cidr, Config, Instant, RxMeta, Stack};
//! use std::net::{Ipv4Addr, SocketAddrV4};
//!
//! let stack_at = |last| {
//!     let cidr = Cidr::new(Ipv4Addr::new(192, 0, 2, last), 24).expect("24 is at most 32");
//!     Stack::<Bytes>::new(Config::new(cidr, [last; 16]))
//! };
//! let (mut a, mut b) = (stack_at(1), stack_at(2));
//! let now = Instant::ZERO;
//! let to = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 2), 7);
//! let server = b.udp_bind(to)?;
//! let client = a.udp_bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0))?;
//! a.udp_send_to(client, b"hello", Some(to))?;
//! while let Some(packet) = a.poll_transmit(now) {
//!     b.on_packet(now, RxMeta::default(), &packet.to_vec(), Bytes::default());
//! }
//! let mut buf = [0; 16];
//! let got = b.udp_recv_from(server, &mut buf)?;
//! assert_eq!(&buf[..got.copied], b"hello");
//! # Ok::<(), ferrule_stack::Error>(())
//! ```
//!
//! Not here yet: IPv6.
//! ICMP redirects, source quench and timestamp requests are ignored; options of received IPv4 headers are read but never
//! followed.

#![forbid(unsafe_code)]

mod checksum;
mod config;
mod datagram;
mod error;
mod incoming;
mod ip;
mod line;
mod packet;
mod pages;
mod payload;
mod readiness;
mod rope;
mod seq;
mod slab;
mod stack;
mod stats;
mod tcp;
mod time;
mod timers;
mod udp_table;
mod wire;

pub use config::{Config, Ecn, Offload, TcpConfig};
pub use error::{Error, Result};
pub use ip::filter::FilterMode;
pub use ip::params::PathMtuDiscovery;
pub use ip::prefix::{Address, Cidr};
pub use ip::routes::{Route, RouteError};
pub use packet::{Head, RxMeta, Token, TxPacket};
pub use payload::{Bytes, Payload};
pub use readiness::Readiness;
pub use rope::{Chunk, Rope};
pub use stack::{EchoReply, Received, SendOptions, SocketId, Stack};
pub use stats::Stats;
pub use tcp::{Algorithm, KeepAlive, ListenQueue, Shutdown, TcpInfo, TcpOptions, TcpState};
pub use time::Instant;
