//! What must hold for whatever the stack sends: another parser reads it, its sums are right, it fits the link.

use crate::common::B;
use etherparse::{IpNumber, Ipv4Header, TcpHeader, UdpHeader};
use ferrule_stack::{Bytes, TxPacket};
use std::net::{Ipv4Addr, SocketAddrV4};

/// A packet that was sent, with its TCP header and length of text if it is a segment.
pub(crate) struct Sent {
    pub(crate) bytes: Vec<u8>,
    pub(crate) tcp: Option<(SocketAddrV4, SocketAddrV4, TcpHeader, usize)>,
}

fn sum(bytes: &[u8]) -> u16 {
    etherparse::checksum::Sum16BitWords::new()
        .add_slice(bytes)
        .ones_complement()
}

pub(crate) fn sent(packet: &TxPacket<Bytes>, mtu: usize) -> Sent {
    let bytes = packet.to_vec();
    assert!(bytes.len() <= mtu && bytes.len() == packet.len());
    let (ip, payload) = Ipv4Header::from_slice(&bytes).expect("an IPv4 header");
    assert_eq!(ip.header_checksum, ip.calc_header_checksum());
    assert_eq!(usize::from(ip.total_len), bytes.len());
    assert_eq!(packet.dst.octets(), ip.destination);
    assert_eq!(ip.source, B.octets());
    assert!(ip.time_to_live > 0);
    let mut tcp = None;
    if ip.more_fragments || ip.fragment_offset.value() > 0 {
        assert!(!ip.dont_fragment && !payload.is_empty());
        return Sent { bytes, tcp };
    }
    match ip.protocol {
        IpNumber::TCP => {
            let (h, text) = TcpHeader::from_slice(payload).expect("a TCP header");
            assert_eq!(h.checksum, h.calc_checksum_ipv4(&ip, text).expect("short"));
            assert!(h.options_iterator().all(|o| o.is_ok()));
            assert!(!(h.syn && (h.fin || h.rst)));
            let stack = SocketAddrV4::new(B, h.source_port);
            let peer = SocketAddrV4::new(Ipv4Addr::from(ip.destination), h.destination_port);
            let len = text.len();
            tcp = Some((stack, peer, h, len));
        }
        IpNumber::UDP => {
            let (h, text) = UdpHeader::from_slice(payload).expect("a UDP header");
            assert_eq!(usize::from(h.length), payload.len());
            let right = h.calc_checksum_ipv4(&ip, text).expect("short");
            assert_eq!(h.checksum, right);
        }
        IpNumber::ICMP | IpNumber::IGMP => {
            assert!(payload.len() >= 8);
            assert_eq!(sum(payload), 0, "checksum");
        }
        other => panic!("protocol {other:?}"),
    }
    Sent { bytes, tcp }
}
