//! A switch with any number of NICs of one world on it, and another one behind a router.
//!
//! ```text
//!   near NICs 192.0.2.0/24 --- switch --- 192.0.2.1 router 198.51.100.1 --- switch --- far NICs 198.51.100.0/24
//! ```
//! A frame takes [`HOP_NS`] per hop, the router included. The switches learn where a MAC address is; what is not known goes everywhere.
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::lan::{FAR_GATEWAY, FAR_GATEWAY_MAC, GATEWAY, GATEWAY_MAC, HOP_NS, PREFIX};
use super::router::{Leg, Router};
use super::Wire;

/// Frames that wait at a port; more are dropped, as a switch has to.
const PORT_FRAMES: usize = 1_024;
/// Bytes of a MAC address.
const MAC_BYTES: usize = 6;

/// A frame that arrives; `number` keeps those of one instant in order.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Arrival {
    at_ns: u64,
    number: u64,
    frame: Vec<u8>,
}

/// Both switches and the router.
struct Fabric {
    /// Which leg of the router each port's switch is on.
    legs: Vec<usize>,
    router: Router,
    known: BTreeMap<[u8; MAC_BYTES], usize>,
    arriving: Vec<BinaryHeap<Reverse<Arrival>>>,
    sent: u64,
}

/// A port of a switch: one NIC's wire.
pub struct Port {
    fabric: Arc<Mutex<Fabric>>,
    port: usize,
}

/// Ports for `near` NICs on the first subnet, then for `far` ones on the second.
pub fn ports(near: usize, far: usize) -> Vec<Port> {
    let leg = |mac, addr| Leg {
        mac,
        addr,
        prefix: PREFIX,
    };
    let legs: Vec<usize> = [vec![0; near], vec![1; far]].concat();
    let fabric = Arc::new(Mutex::new(Fabric {
        arriving: legs.iter().map(|_| BinaryHeap::new()).collect(),
        legs,
        router: Router::new([leg(GATEWAY_MAC, GATEWAY), leg(FAR_GATEWAY_MAC, FAR_GATEWAY)]),
        known: BTreeMap::new(),
        sent: 0,
    }));
    let port = |port| Port {
        fabric: Arc::clone(&fabric),
        port,
    };
    (0..near + far).map(port).collect()
}

/// Destination and source of a frame.
fn addresses(frame: &[u8]) -> Option<([u8; MAC_BYTES], [u8; MAC_BYTES])> {
    let (to, rest) = frame.split_first_chunk()?;
    let (from, _) = rest.split_first_chunk()?;
    Some((*to, *from))
}

impl Fabric {
    fn send(&mut self, now_ns: u64, port: usize, frame: &[u8]) {
        let Some((to, from)) = addresses(frame) else {
            return;
        };
        self.known.insert(from, port);
        let leg = self.legs[port];
        let at_ns = now_ns + HOP_NS;
        self.forward(at_ns, leg, Some(port), to, frame);
        for (leg, frame) in self.router.receive(leg, frame) {
            if let Some((to, _)) = addresses(&frame) {
                self.forward(at_ns + HOP_NS, leg, None, to, &frame);
            }
        }
    }

    /// Sends a frame out of the switch on `leg`: to where its destination is, or everywhere but where it came from.
    fn forward(
        &mut self,
        at_ns: u64,
        leg: usize,
        from: Option<usize>,
        to: [u8; MAC_BYTES],
        frame: &[u8],
    ) {
        if to == [GATEWAY_MAC, FAR_GATEWAY_MAC][leg] {
            return;
        }
        let known = self.known.get(&to).copied();
        let known = known.filter(|port| self.legs[*port] == leg);
        for port in 0..self.legs.len() {
            let meant = self.legs[port] == leg && known.is_none_or(|known| known == port);
            if !meant || from == Some(port) || self.arriving[port].len() >= PORT_FRAMES {
                continue;
            }
            self.arriving[port].push(Reverse(Arrival {
                at_ns,
                number: self.sent,
                frame: frame.to_vec(),
            }));
            self.sent += 1;
        }
    }
}

impl Port {
    fn fabric(&self) -> MutexGuard<'_, Fabric> {
        self.fabric.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wire for Port {
    fn send(&mut self, now_ns: u64, frame: &[u8]) {
        self.fabric().send(now_ns, self.port, frame);
    }

    fn poll(&mut self, now_ns: u64) -> Option<Vec<u8>> {
        let mut fabric = self.fabric();
        let arriving = &mut fabric.arriving[self.port];
        if arriving.peek()?.0.at_ns > now_ns {
            return None;
        }
        arriving.pop().map(|Reverse(arrival)| arrival.frame)
    }

    fn next_deadline(&mut self, now_ns: u64) -> Option<u64> {
        let fabric = self.fabric();
        let first = fabric.arriving[self.port].peek()?;
        Some(first.0.at_ns.max(now_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: [u8; 6] = [2, 0, 0, 0, 9, 1];
    const B: [u8; 6] = [2, 0, 0, 0, 9, 2];

    fn frame(to: [u8; 6], from: [u8; 6]) -> Vec<u8> {
        [&to[..], &from, &[0x88, 0xB5], &[7; 46]].concat()
    }

    #[test]
    fn a_known_address_is_sent_to_its_port_only() {
        let mut ports = ports(3, 1);
        let broadcast = frame([0xFF; 6], A);
        ports[0].send(0, &broadcast);
        assert_eq!(ports[0].poll(HOP_NS), None, "not back to the sender");
        assert_eq!(ports[1].next_deadline(0), Some(HOP_NS));
        assert_eq!(ports[1].poll(HOP_NS - 1), None, "not before its time");
        assert_eq!(ports[1].poll(HOP_NS), Some(broadcast.clone()));
        assert_eq!(ports[2].poll(HOP_NS), Some(broadcast));
        assert_eq!(ports[3].poll(HOP_NS), None, "another subnet");
        let reply = frame(A, B);
        ports[1].send(5_000, &reply);
        assert_eq!(ports[2].poll(9_000), None);
        assert_eq!(ports[0].poll(9_000), Some(reply));
    }

    #[test]
    fn a_port_that_nobody_empties_holds_so_many_and_no_more() {
        let mut ports = ports(2, 0);
        for _ in 0..PORT_FRAMES + 5 {
            ports[0].send(0, &frame(B, A));
        }
        let arrived = std::iter::from_fn(|| ports[1].poll(HOP_NS)).count();
        assert_eq!(arrived, PORT_FRAMES);
    }

    #[test]
    fn what_is_shorter_than_a_header_goes_nowhere() {
        let mut ports = ports(2, 0);
        ports[0].send(0, &[1; 11]);
        assert_eq!(ports[1].next_deadline(0), None);
    }
}
