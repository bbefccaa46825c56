//! What an attacker on the path sees: the flows there are and their numbers, and the last packets.

use crate::check::Sent;
use crate::common::Rng;
use etherparse::TcpOptionElement;
use std::collections::VecDeque;
use std::net::SocketAddrV4;

/// A flow of the stack's by its last segment.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    pub(crate) stack: SocketAddrV4,
    pub(crate) peer: SocketAddrV4,
    /// The stack's next number, and the one it expects.
    pub(crate) seq: u32,
    pub(crate) ack: u32,
    pub(crate) stamp: Option<u32>,
    /// It has sent a SYN without ACK, or one with.
    pub(crate) asks: bool,
    pub(crate) answers: bool,
}

/// Flows and packets remembered at most.
const FLOWS: usize = 64;
const PACKETS: usize = 64;

#[derive(Default)]
pub(crate) struct View {
    pub(crate) flows: VecDeque<Flow>,
    /// Segments, and what is none.
    packets: [VecDeque<Vec<u8>>; 2],
}

impl View {
    pub(crate) fn note(&mut self, sent: Sent) {
        let Sent { bytes, tcp } = sent;
        let ring = &mut self.packets[usize::from(tcp.is_none())];
        if ring.len() == PACKETS {
            ring.pop_front();
        }
        ring.push_back(bytes);
        let Some((stack, peer, h, len)) = tcp else {
            return;
        };
        let octets = len as u32 + u32::from(h.syn) + u32::from(h.fin);
        let stamp = h.options_iterator().flatten().find_map(|o| match o {
            TcpOptionElement::Timestamp(value, _) => Some(value),
            _ => None,
        });
        let flow = Flow {
            stack,
            peer,
            seq: h.sequence_number.wrapping_add(octets),
            ack: h.acknowledgment_number,
            stamp,
            asks: h.syn && !h.ack,
            answers: h.syn && h.ack,
        };
        let known = self
            .flows
            .iter_mut()
            .find(|f| f.stack == stack && f.peer == peer);
        match known {
            Some(known) => *known = flow,
            None => {
                if self.flows.len() == FLOWS {
                    self.flows.pop_front();
                }
                self.flows.push_back(flow);
            }
        }
    }

    pub(crate) fn flow(&self, rng: &mut Rng) -> Option<Flow> {
        let n = self.flows.len();
        // Mostly the latest, so that some handshakes are completed.
        let back = if rng.chance(50) { n.min(4) } else { n };
        (n > 0).then(|| self.flows[n - 1 - rng.below(back as u64) as usize].clone())
    }

    pub(crate) fn packet(&self, rng: &mut Rng) -> Option<&Vec<u8>> {
        let ring = &self.packets[usize::from(rng.chance(50))];
        let n = ring.len() as u64;
        (n > 0).then(|| &ring[rng.below(n) as usize])
    }
}
