//! Which echo requests are to be answered by the hardware, and how, by smoltcp's parsers and etherparse's builders.
use crate::rx::frames::Rng;
use etherparse::{
    EtherType, Ethernet2Header, IcmpEchoHeader, Icmpv4Header, Icmpv4Type, IpNumber, Ipv4Header,
};
use smoltcp::wire::{
    EthernetFrame, EthernetProtocol, Icmpv4Message, Icmpv4Packet, IpProtocol, Ipv4Packet,
};

/// A local address and its mask.
pub(crate) type Local = (u32, u32);

/// An echo request's parts.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) to: [u8; 6],
    pub(crate) from: [u8; 6],
    pub(crate) source: [u8; 4],
    pub(crate) target: [u8; 4],
    pub(crate) ttl: u8,
    pub(crate) data: Vec<u8>,
}

impl Request {
    /// One to `target`, which is fit to be answered if it has `len` bytes of data, up to 1,472.
    pub(crate) fn good(r: &mut Rng, to: [u8; 6], target: u32, len: usize) -> Self {
        Self {
            to,
            from: [2, 0, 0, 0, 0, r.next() as u8],
            source: [198, 51, 100, 1 + r.below(200) as u8],
            target: target.to_be_bytes(),
            ttl: r.next() as u8,
            data: r.bytes(len),
        }
    }

    /// The frame, padded to 60 bytes, made by etherparse.
    pub(crate) fn frame(&self, r: &mut Rng) -> Vec<u8> {
        let echo = IcmpEchoHeader {
            id: r.next() as u16,
            seq: r.next() as u16,
        };
        let kind = Icmpv4Type::EchoRequest(echo);
        let icmp = Icmpv4Header::with_checksum(kind, &self.data).to_bytes();
        let len = (icmp.len() + self.data.len()) as u16;
        let mut ip = Ipv4Header::new(len, self.ttl, IpNumber::ICMP, self.source, self.target)
            .expect("a header");
        ip.identification = r.next() as u16;
        ip.dont_fragment = r.percent(50);
        ip.dscp = (r.next() as u8 & 63).try_into().expect("six bits");
        ip.header_checksum = ip.calc_header_checksum();
        let ethernet = Ethernet2Header {
            destination: self.to,
            source: self.from,
            ether_type: EtherType::IPV4,
        };
        let mut frame = [
            &ethernet.to_bytes()[..],
            &ip.to_bytes(),
            &icmp[..],
            &self.data,
        ]
        .concat();
        let padding = 60_usize.saturating_sub(frame.len()) + [0, 0, 7][r.below(3)];
        frame.extend(r.bytes(padding));
        frame
    }
}

/// The answer to `frame`, if the hardware is to give one; the frame is one that would be delivered.
pub(crate) fn answer(frame: &[u8], own: [u8; 6], locals: &[Local]) -> Option<Vec<u8>> {
    let eth = EthernetFrame::new_checked(frame).ok()?;
    if eth.ethertype() != EthernetProtocol::Ipv4
        || eth.dst_addr().0 != own
        || !eth.src_addr().is_unicast() && eth.src_addr().0[0] & 1 == 1
    {
        return None;
    }
    let ip = Ipv4Packet::new_checked(eth.payload()).ok()?;
    let plain = ip.version() == 4
        && ip.header_len() == 20
        && ip.verify_checksum()
        && !ip.more_frags()
        && ip.frag_offset() == 0
        && ip.total_len() <= 1500
        && ip.next_header() == IpProtocol::Icmp;
    if !plain || ip.payload().len() < 8 {
        return None;
    }
    let icmp = Icmpv4Packet::new_checked(ip.payload()).ok()?;
    let request = icmp.msg_type() == Icmpv4Message::EchoRequest && icmp.msg_code() == 0;
    if !request || !icmp.verify_checksum() || icmp.checksum() == 0xF7FF {
        return None;
    }
    let (source, target) = (ip.src_addr(), ip.dst_addr());
    if target.octets()[0] == 0 || !locals.iter().any(|l| l.0 == target.to_bits()) {
        return None;
    }
    // RFC 1122 section 3.2.1.3: what is no host's address.
    let no_host = source.octets()[0] == 0
        || source.is_loopback()
        || source.is_multicast()
        || source.octets()[0] >= 240
        || locals.iter().any(|&(address, mask)| {
            let broadcast = address & mask | !mask;
            let has_one = mask.count_ones() < 31;
            address == source.to_bits() || has_one && broadcast == source.to_bits()
        });
    if no_host {
        return None;
    }
    let header = Ipv4Header::from_slice(eth.payload()).ok()?.0;
    let kind = Icmpv4Type::EchoReply(IcmpEchoHeader {
        id: icmp.echo_ident(),
        seq: icmp.echo_seq_no(),
    });
    let data = &ip.payload()[8..];
    let icmp = Icmpv4Header::with_checksum(kind, data).to_bytes();
    let mut reply = Ipv4Header {
        source: header.destination,
        destination: header.source,
        time_to_live: 64,
        ..header
    };
    reply.header_checksum = reply.calc_header_checksum();
    // The reserved flag of RFC 791, which etherparse does not keep; its checksum is then made anew by smoltcp.
    let mut reply = reply.to_bytes().to_vec();
    reply[6] = eth.payload()[6];
    Ipv4Packet::new_unchecked(&mut reply[..]).fill_checksum();
    let ethernet = Ethernet2Header {
        destination: eth.src_addr().0,
        source: own,
        ether_type: EtherType::IPV4,
    };
    Some([&ethernet.to_bytes()[..], &reply, &icmp[..], data].concat())
}
