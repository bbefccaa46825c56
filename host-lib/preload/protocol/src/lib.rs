//! What a preloaded program and the process that owns device and stack, stackd, say to each other.
//!
//! A socket of a preloaded program is one end of an AF_UNIX pair of the kernel's whose other end stackd holds. Bytes of a TCP connection go through
//! a stream pair as they are; datagrams go through a SEQPACKET pair, each behind a [`DatagramHeader`]; a listener's pair carries an
//! [`AcceptRecord`] with a descriptor for each connection. So poll, epoll, dup, fork, exec, SCM_RIGHTS and the end of a process need nothing from us:
//! they are the kernel's own.
//!
//! Calls that are not bytes ([`Op`]) go in a [`Request`] over a connection made for that one call, to an abstract address that the environment names ([`Address`]). A socket
//! is named by its end's SO_COOKIE, which every process that holds the socket can ask for. Both ends run on one machine: numbers are in its byte order.
#![forbid(unsafe_code)]
use std::net::{Ipv4Addr, SocketAddrV4};

mod address;
mod datagram;
mod message;
mod reach;
mod rules;
mod sockaddr;

pub use address::Address;
pub use datagram::{Choices, DatagramHeader, Tell, DATAGRAM_HEADER, MAX_DATAGRAM};
pub use message::{Op, Reply, Request, Verdict, MAX_MESSAGE};
pub use reach::{Destination, Reach};
pub use rules::{Lists, NoRule, Ports, Program, Rules, Transport};
pub use sockaddr::{sockaddr, sockaddr_in6, SOCKADDR_IN, SOCKADDR_IN6};

/// What precedes each connection in a listener's stream; its descriptor comes with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptRecord {
    /// The other end of the connection.
    pub peer: SocketAddrV4,
    /// The socket is one of AF_INET6: the program is to see mapped addresses.
    pub v6: bool,
    /// The descriptor is a socket of the kernel's, which knows its addresses itself.
    pub kernel: bool,
}

/// Bytes of an [`AcceptRecord`].
pub const ACCEPT_RECORD: usize = 8;

impl AcceptRecord {
    /// Its bytes.
    pub fn to_bytes(&self) -> [u8; ACCEPT_RECORD] {
        let mut out = [0; ACCEPT_RECORD];
        out[..6].copy_from_slice(&addr_bytes(self.peer));
        out[6] = u8::from(self.v6);
        out[7] = u8::from(self.kernel);
        out
    }

    /// Reads it.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; ACCEPT_RECORD] = bytes.try_into().ok()?;
        Some(Self {
            peer: addr_from(&bytes[..6])?,
            v6: bytes[6] != 0,
            kernel: bytes[7] != 0,
        })
    }
}

/// An address as six bytes: the host's four in the order of the wire, the port's two in the machine's.
pub fn addr_bytes(addr: SocketAddrV4) -> [u8; 6] {
    let mut out = [0; 6];
    out[..4].copy_from_slice(&addr.ip().octets());
    out[4..].copy_from_slice(&addr.port().to_ne_bytes());
    out
}

/// Reads what [`addr_bytes`] wrote.
pub fn addr_from(bytes: &[u8]) -> Option<SocketAddrV4> {
    let bytes: [u8; 6] = bytes.try_into().ok()?;
    let [a, b, c, d, port @ ..] = bytes;
    Some(SocketAddrV4::new(
        Ipv4Addr::new(a, b, c, d),
        u16::from_ne_bytes(port),
    ))
}

/// What a socket is, as a preloaded program needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketState {
    /// No socket of stackd's.
    Foreign = 1,
    /// TCP, neither connected nor listening.
    Fresh = 2,
    /// TCP that connects, is connected or was.
    Stream = 3,
    /// TCP that listens.
    Listening = 4,
    /// UDP without a peer.
    Datagram = 5,
    /// UDP with a peer.
    ConnectedDatagram = 6,
}

/// In a state's number: the socket is one of AF_INET6.
const V6: i32 = 0x40;

impl SocketState {
    /// A number for it, and for whether the socket is one of AF_INET6; from 1 to 127.
    pub fn to_number(self, v6: bool) -> i32 {
        self as i32 | if v6 { V6 } else { 0 }
    }

    /// What a number stands for.
    pub fn from_number(number: i32) -> Option<(Self, bool)> {
        [
            Self::Foreign,
            Self::Fresh,
            Self::Stream,
            Self::Listening,
            Self::Datagram,
            Self::ConnectedDatagram,
        ]
        .into_iter()
        .find(|state| *state as i32 == number & !V6)
        .map(|state| (state, number & V6 != 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_state_survives_its_number() {
        let mut states = 0;
        for number in 0..256 {
            if let Some((state, v6)) = SocketState::from_number(number) {
                assert_eq!(state.to_number(v6), number);
                assert!((1..128).contains(&number));
                states += 1;
            }
        }
        assert_eq!(states, 12);
    }

    proptest! {
        #[test]
        fn a_record_survives_the_way(ip: u32, port: u16, v6: bool, kernel: bool) {
            let record = AcceptRecord { peer: SocketAddrV4::new(ip.into(), port), v6, kernel };
            prop_assert_eq!(AcceptRecord::from_bytes(&record.to_bytes()), Some(record));
        }

        #[test]
        fn a_record_has_its_length(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            prop_assert_eq!(AcceptRecord::from_bytes(&bytes).is_some(), bytes.len() == ACCEPT_RECORD);
        }
    }
}
