//! The embedded default wire: a switch with a host and a router on it, and a second host on a subnet behind the router.
//!
//! ```text
//!   NIC 192.0.2.10 --+-- switch --+-- peer 192.0.2.2
//!                                 +-- router 192.0.2.1 | 198.51.100.1 ---- far host 198.51.100.2
//! ```
//! The addresses are those that RFC 5737 sets apart for documentation. Everything happens on simulated time: a frame takes
//! [`HOP_NS`] per link, and the far ends' timers run on the times they are given.
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::Ipv4Addr;

use super::host::{Host, HostConfig};
use super::router::{Leg, Router};
use super::Wire;

/// Address that the LAN keeps for the NIC.
pub const NIC: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
/// The host on the NIC's subnet.
pub const PEER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// The router's address on the NIC's subnet.
pub const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// The router's address on the second subnet.
pub const FAR_GATEWAY: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);
/// The host on the second subnet.
pub const FAR_HOST: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
/// Prefix length of both subnets.
pub const PREFIX: u8 = 24;
/// MAC address of the peer (locally administered, as all here).
pub const PEER_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x02];
/// MAC address of the router's leg on the NIC's subnet.
pub const GATEWAY_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];
pub(super) const FAR_GATEWAY_MAC: [u8; 6] = [0x02, 0, 0, 0, 1, 0x01];
const FAR_HOST_MAC: [u8; 6] = [0x02, 0, 0, 0, 1, 0x02];
/// How long a frame takes from one port to the next, in nanoseconds.
pub const HOP_NS: u64 = 1_000;

/// Who is plugged in where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Nic,
    Peer,
    RouterNear,
    RouterFar,
    FarHost,
}

/// A frame on its way, ordered by when it lands; `number` keeps those of one instant in order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Flight {
    at_ns: u64,
    number: u64,
    to: Place,
    frame: Vec<u8>,
}

/// The LAN; see the module's drawing.
pub struct Lan {
    peer: Host,
    far: Host,
    router: Router,
    flying: BinaryHeap<Reverse<Flight>>,
    sent: u64,
    to_nic: VecDeque<Vec<u8>>,
}

impl Lan {
    /// The LAN with its hosts up; `seed` decides their ports and sequence numbers.
    pub fn new(seed: u64) -> Self {
        let host = |name: &str, mac, addr, gateway, seed| {
            Host::new(&HostConfig {
                name: name.to_owned(),
                mac,
                addr,
                prefix: PREFIX,
                gateway: Some(gateway),
                seed,
            })
        };
        Self {
            peer: host("peer", PEER_MAC, PEER, GATEWAY, seed),
            far: host(
                "far",
                FAR_HOST_MAC,
                FAR_HOST,
                FAR_GATEWAY,
                seed.wrapping_add(1),
            ),
            router: Router::new([
                Leg {
                    mac: GATEWAY_MAC,
                    addr: GATEWAY,
                    prefix: PREFIX,
                },
                Leg {
                    mac: FAR_GATEWAY_MAC,
                    addr: FAR_GATEWAY,
                    prefix: PREFIX,
                },
            ]),
            flying: BinaryHeap::new(),
            sent: 0,
            to_nic: VecDeque::new(),
        }
    }

    fn launch(&mut self, at_ns: u64, to: Place, frame: Vec<u8>) {
        self.flying.push(Reverse(Flight {
            at_ns: at_ns + HOP_NS,
            number: self.sent,
            to,
            frame,
        }));
        self.sent += 1;
    }

    /// The switch floods: every station filters by address anyway.
    fn switch(&mut self, at_ns: u64, from: Place, frame: &[u8]) {
        for to in [Place::Nic, Place::Peer, Place::RouterNear] {
            if to != from {
                self.launch(at_ns, to, frame.to_vec());
            }
        }
    }

    fn leave(&mut self, at_ns: u64, from: Place, frame: &[u8]) {
        match from {
            Place::Nic | Place::Peer | Place::RouterNear => self.switch(at_ns, from, frame),
            Place::RouterFar => self.launch(at_ns, Place::FarHost, frame.to_vec()),
            Place::FarHost => self.launch(at_ns, Place::RouterFar, frame.to_vec()),
        }
    }

    fn route(&mut self, at_ns: u64, leg: usize, frame: &[u8]) {
        for (leg, frame) in self.router.receive(leg, frame) {
            let from = [Place::RouterNear, Place::RouterFar][leg];
            self.leave(at_ns, from, &frame);
        }
    }

    fn poll_hosts(&mut self, at_ns: u64) {
        for frame in self.peer.poll(at_ns) {
            self.leave(at_ns, Place::Peer, &frame);
        }
        for frame in self.far.poll(at_ns) {
            self.leave(at_ns, Place::FarHost, &frame);
        }
    }

    /// The earliest thing that happens inside, whether a frame lands or a host's timer runs out.
    fn next_inside(&mut self) -> Option<u64> {
        let landing = self.flying.peek().map(|Reverse(f)| f.at_ns);
        [landing, self.peer.next_deadline(), self.far.next_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Lets everything happen that is due, in the order of its time.
    fn advance(&mut self, now_ns: u64) {
        while let Some(at_ns) = self.next_inside().filter(|at| *at <= now_ns) {
            while self
                .flying
                .peek()
                .is_some_and(|Reverse(f)| f.at_ns <= at_ns)
            {
                let Some(Reverse(Flight { to, frame, .. })) = self.flying.pop() else {
                    break;
                };
                match to {
                    Place::Nic => self.to_nic.push_back(frame),
                    Place::Peer => self.peer.receive(frame),
                    Place::FarHost => self.far.receive(frame),
                    Place::RouterNear => self.route(at_ns, 0, &frame),
                    Place::RouterFar => self.route(at_ns, 1, &frame),
                }
            }
            self.poll_hosts(at_ns);
        }
    }
}

impl Wire for Lan {
    fn send(&mut self, now_ns: u64, frame: &[u8]) {
        self.advance(now_ns);
        self.switch(now_ns, Place::Nic, frame);
    }

    fn poll(&mut self, now_ns: u64) -> Option<Vec<u8>> {
        self.advance(now_ns);
        self.to_nic.pop_front()
    }

    fn next_deadline(&mut self, now_ns: u64) -> Option<u64> {
        if self.to_nic.is_empty() {
            self.next_inside().map(|at| at.max(now_ns))
        } else {
            Some(now_ns)
        }
    }
}
