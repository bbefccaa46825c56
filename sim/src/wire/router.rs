//! An IPv4 router between two segments of the simulated LAN (RFC 1812, the part a host can see).
//!
//! It answers ARP and ping for its own addresses, forwards between its two subnets with the time to live decremented, and resolves
//! the hosts behind it by ARP. It does not fragment: both segments have the same MTU.
use std::collections::HashMap;
use std::net::Ipv4Addr;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    EthernetRepr, Icmpv4Packet, Icmpv4Repr, IpProtocol, Ipv4Address, Ipv4Packet, Ipv4Repr,
};

/// One leg of the router.
#[derive(Clone, Debug)]
pub struct Leg {
    /// Its MAC address.
    pub mac: [u8; 6],
    /// Its address.
    pub addr: Ipv4Addr,
    /// Prefix length of its subnet.
    pub prefix: u8,
}

impl Leg {
    fn holds(&self, addr: Ipv4Addr) -> bool {
        let mask = u32::MAX
            .checked_shl(32 - u32::from(self.prefix))
            .unwrap_or(0);
        (u32::from(self.addr) ^ u32::from(addr)) & mask == 0
    }
}

/// Packets waiting for one neighbour's MAC address, at most this many.
const MAX_PARKED: usize = 64;

/// The router: frames in on a leg, frames out on a leg.
pub struct Router {
    legs: [Leg; 2],
    neighbours: HashMap<Ipv4Addr, [u8; 6]>,
    parked: HashMap<Ipv4Addr, Vec<Vec<u8>>>,
}

impl Router {
    /// A router with these two legs.
    pub fn new(legs: [Leg; 2]) -> Self {
        Self {
            legs,
            neighbours: HashMap::new(),
            parked: HashMap::new(),
        }
    }

    /// What the router sends, on which leg, when `frame` comes in on leg `on`.
    pub fn receive(&mut self, on: usize, frame: &[u8]) -> Vec<(usize, Vec<u8>)> {
        let Ok(ethernet) = EthernetFrame::new_checked(frame) else {
            return Vec::new();
        };
        let to = ethernet.dst_addr();
        if to.0 != self.legs[on].mac && !to.is_broadcast() {
            return Vec::new();
        }
        match ethernet.ethertype() {
            EthernetProtocol::Arp => self.arp(on, ethernet.payload()),
            EthernetProtocol::Ipv4 if !to.is_broadcast() => self.ipv4(on, ethernet.payload()),
            _ => Vec::new(),
        }
    }

    /// RFC 826: learns the sender, answers requests for this leg's address, releases what waited for the sender.
    fn arp(&mut self, on: usize, payload: &[u8]) -> Vec<(usize, Vec<u8>)> {
        let Ok(packet) = ArpPacket::new_checked(payload) else {
            return Vec::new();
        };
        let Ok(ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr,
            source_protocol_addr,
            target_protocol_addr,
            ..
        }) = ArpRepr::parse(&packet)
        else {
            return Vec::new();
        };
        if target_protocol_addr != self.legs[on].addr {
            return Vec::new();
        }
        let mut out = Vec::new();
        if self.legs[on].holds(source_protocol_addr) {
            self.neighbours
                .insert(source_protocol_addr, source_hardware_addr.0);
            for packet in self
                .parked
                .remove(&source_protocol_addr)
                .unwrap_or_default()
            {
                out.push((on, self.frame(on, source_hardware_addr, &packet)));
            }
        }
        if operation == ArpOperation::Request {
            let reply = ArpRepr::EthernetIpv4 {
                operation: ArpOperation::Reply,
                source_hardware_addr: EthernetAddress(self.legs[on].mac),
                source_protocol_addr: self.legs[on].addr,
                target_hardware_addr: source_hardware_addr,
                target_protocol_addr: source_protocol_addr,
            };
            out.push((on, self.arp_frame(on, source_hardware_addr, &reply)));
        }
        out
    }

    fn ipv4(&mut self, on: usize, payload: &[u8]) -> Vec<(usize, Vec<u8>)> {
        let Ok(packet) = Ipv4Packet::new_checked(payload) else {
            return Vec::new();
        };
        if !packet.verify_checksum() {
            return Vec::new();
        }
        let to = packet.dst_addr();
        let bytes = payload[..usize::from(packet.total_len())].to_vec();
        if self.legs.iter().any(|leg| leg.addr == to) {
            return self.echo(on, &bytes);
        }
        let Some(leg) = self.legs.iter().position(|leg| leg.holds(to)) else {
            return Vec::new();
        };
        if leg == on || packet.hop_limit() <= 1 {
            return Vec::new();
        }
        let mut bytes = bytes;
        let mut packet = Ipv4Packet::new_unchecked(&mut bytes);
        let ttl = packet.hop_limit();
        packet.set_hop_limit(ttl - 1);
        packet.fill_checksum();
        self.deliver(leg, to, bytes)
    }

    /// Answers a ping to one of the router's addresses.
    fn echo(&mut self, on: usize, bytes: &[u8]) -> Vec<(usize, Vec<u8>)> {
        let Ok(packet) = Ipv4Packet::new_checked(bytes) else {
            return Vec::new();
        };
        if packet.next_header() != IpProtocol::Icmp {
            return Vec::new();
        }
        let sums = ChecksumCapabilities::default();
        let Ok(icmp) = Icmpv4Packet::new_checked(packet.payload()) else {
            return Vec::new();
        };
        let Ok(Icmpv4Repr::EchoRequest {
            ident,
            seq_no,
            data,
        }) = Icmpv4Repr::parse(&icmp, &sums)
        else {
            return Vec::new();
        };
        let reply = Icmpv4Repr::EchoReply {
            ident,
            seq_no,
            data,
        };
        let header = Ipv4Repr {
            src_addr: packet.dst_addr(),
            dst_addr: packet.src_addr(),
            next_header: IpProtocol::Icmp,
            payload_len: reply.buffer_len(),
            hop_limit: 64,
        };
        let mut out = vec![0; header.buffer_len() + reply.buffer_len()];
        header.emit(&mut Ipv4Packet::new_unchecked(&mut out), &sums);
        reply.emit(
            &mut Icmpv4Packet::new_unchecked(&mut out[header.buffer_len()..]),
            &sums,
        );
        self.deliver(on, packet.src_addr(), out)
    }

    /// Sends an IPv4 packet to `to` on `leg`, or asks for its MAC address first.
    fn deliver(&mut self, leg: usize, to: Ipv4Address, packet: Vec<u8>) -> Vec<(usize, Vec<u8>)> {
        if let Some(mac) = self.neighbours.get(&to) {
            return vec![(leg, self.frame(leg, EthernetAddress(*mac), &packet))];
        }
        let parked = self.parked.entry(to).or_default();
        if parked.len() < MAX_PARKED {
            parked.push(packet);
        }
        let request = ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Request,
            source_hardware_addr: EthernetAddress(self.legs[leg].mac),
            source_protocol_addr: self.legs[leg].addr,
            target_hardware_addr: EthernetAddress([0; 6]),
            target_protocol_addr: to,
        };
        vec![(
            leg,
            self.arp_frame(leg, EthernetAddress::BROADCAST, &request),
        )]
    }

    fn frame(&self, leg: usize, to: EthernetAddress, packet: &[u8]) -> Vec<u8> {
        self.ethernet(leg, to, EthernetProtocol::Ipv4, packet.len(), |p| {
            p.copy_from_slice(packet)
        })
    }

    fn arp_frame(&self, leg: usize, to: EthernetAddress, arp: &ArpRepr) -> Vec<u8> {
        self.ethernet(leg, to, EthernetProtocol::Arp, arp.buffer_len(), |p| {
            arp.emit(&mut ArpPacket::new_unchecked(p));
        })
    }

    fn ethernet(
        &self,
        leg: usize,
        dst_addr: EthernetAddress,
        ethertype: EthernetProtocol,
        len: usize,
        fill: impl FnOnce(&mut [u8]),
    ) -> Vec<u8> {
        let header = EthernetRepr {
            src_addr: EthernetAddress(self.legs[leg].mac),
            dst_addr,
            ethertype,
        };
        let mut out = vec![0; header.buffer_len() + len];
        let mut frame = EthernetFrame::new_unchecked(&mut out[..]);
        header.emit(&mut frame);
        fill(frame.payload_mut());
        out
    }
}
