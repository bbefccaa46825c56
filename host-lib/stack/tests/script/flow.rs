//! What is known of each connection: the two initial sequence numbers, timestamps, what was sent last.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};

use crate::always::Always;
use crate::packet::{Ends, Number, Stamp};

/// The addresses a script uses where it says nothing else.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Usual {
    pub(crate) local: SocketAddrV4,
    pub(crate) peer: SocketAddrV4,
}

impl Usual {
    pub(crate) const LOCAL: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    pub(crate) const PEER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

    pub(crate) fn new() -> Usual {
        Usual {
            local: SocketAddrV4::new(Usual::LOCAL, 80),
            peer: SocketAddrV4::new(Usual::PEER, 9),
        }
    }

    /// The two ends with what a packet says differently.
    pub(crate) fn with(&self, ends: &Ends) -> (SocketAddrV4, SocketAddrV4) {
        let local = SocketAddrV4::new(
            ends.local.unwrap_or(*self.local.ip()),
            ends.local_port.unwrap_or(self.local.port()),
        );
        let peer = SocketAddrV4::new(
            ends.peer.unwrap_or(*self.peer.ip()),
            ends.peer_port.unwrap_or(self.peer.port()),
        );
        (local, peer)
    }
}

/// One connection.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    /// Ours, known from our first SYN.
    pub(crate) iss: Option<u32>,
    /// The peer's.
    pub(crate) isn: u32,
    /// The window the peer last advertised.
    pub(crate) window: u16,
    /// One beyond the highest sequence number we sent.
    pub(crate) highest: u32,
    /// Our latest timestamp value.
    pub(crate) last_stamp: Option<u32>,
    pub(crate) always: Always,
}

impl Flow {
    pub(crate) fn new(isn: u32) -> Flow {
        Flow {
            iss: None,
            isn,
            window: 65_535,
            highest: 0,
            last_stamp: None,
            always: Always::default(),
        }
    }

    /// A number of ours on the wire.
    pub(crate) fn ours(&self, number: Number) -> Result<u32, String> {
        absolute(number, self.iss.unwrap_or(0))
    }

    /// A number of the peer's on the wire.
    pub(crate) fn theirs(&self, number: Number) -> Result<u32, String> {
        absolute(number, self.isn)
    }
}

fn absolute(number: Number, origin: u32) -> Result<u32, String> {
    match number {
        Number::Relative(n) => Ok(origin.wrapping_add(n)),
        Number::Absolute(n) => Ok(n),
        Number::Any => Err("a packet to be made needs exact numbers".into()),
    }
}

/// Timestamps that a script has given names to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stamps(BTreeMap<String, u32>);

impl Stamps {
    /// The value to send.
    pub(crate) fn to_send(&self, stamp: &Stamp, flow: &Flow) -> Result<u32, String> {
        match stamp {
            Stamp::Exact(value) => Ok(*value),
            Stamp::Named(name) => self.get(name),
            Stamp::Last => flow
                .last_stamp
                .ok_or_else(|| "we have not sent a timestamp yet".into()),
            Stamp::Any(_) | Stamp::NotBefore(_) => {
                Err("a packet to be made needs exact timestamps".into())
            }
        }
    }

    /// Compares a value that came, and remembers it if the script wants that.
    pub(crate) fn expect(&mut self, stamp: &Stamp, came: u32, flow: &Flow) -> Result<bool, String> {
        match stamp {
            Stamp::Any(None) => Ok(true),
            Stamp::Any(Some(name)) => {
                self.0.insert(name.clone(), came);
                Ok(true)
            }
            Stamp::NotBefore(name) => Ok(came.wrapping_sub(self.get(name)?) < 1 << 31),
            exact => Ok(self.to_send(exact, flow)? == came),
        }
    }

    fn get(&self, name: &str) -> Result<u32, String> {
        self.0
            .get(name)
            .copied()
            .ok_or_else(|| format!("no timestamp was remembered as {name}"))
    }
}
