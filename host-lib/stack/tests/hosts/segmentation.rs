//! A device that cuts segments: long packets tell it how, and what it makes of them arrives as it was sent.

use crate::common::*;
use ferrule_stack::{Bytes, Instant, Offload, RxMeta, Stack, TxPacket};
use proptest::prelude::*;
use std::time::Duration;

const VERIFIED: RxMeta = RxMeta {
    ipv4_checksum_ok: true,
    l4_checksum_ok: true,
    l2_broadcast: false,
};

fn host(ip: std::net::Ipv4Addr, bytes: usize, timestamps: bool, mtu: u16) -> Stack<Bytes> {
    let mut config = config(ip);
    config.offload = Offload {
        tx_ipv4_checksum: true,
        tx_l4_checksum: true,
        tx_segmentation_bytes: bytes,
    };
    config.tcp.timestamps = timestamps;
    config.mtu = mtu;
    Stack::new(config)
}

/// What a device makes of a packet.
fn cut(packet: &TxPacket<Bytes>) -> Vec<Vec<u8>> {
    let bytes = packet.to_vec();
    let (ip, rest) = etherparse::Ipv4Header::from_slice(&bytes).expect("a header");
    let (tcp, text) = etherparse::TcpHeader::from_slice(rest).expect("a header");
    assert_eq!(usize::from(ip.total_len), bytes.len());
    if packet.segment_bytes == 0 {
        return vec![bytes];
    }
    let step = usize::from(packet.segment_bytes);
    assert!(text.len() > step, "nothing to cut");
    let mut out = Vec::new();
    for at in (0..text.len()).step_by(step) {
        let end = (at + step).min(text.len());
        let (mut ip, mut tcp) = (ip.clone(), tcp.clone());
        tcp.sequence_number = tcp.sequence_number.wrapping_add(at as u32);
        tcp.psh &= end == text.len();
        tcp.fin &= end == text.len();
        ip.set_payload_len(tcp.header_len() + end - at)
            .expect("a length");
        let mut segment = Vec::new();
        ip.write(&mut segment).expect("written");
        tcp.write(&mut segment).expect("written");
        segment.extend_from_slice(&text[at..end]);
        out.push(segment);
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_the_device_makes_of_long_packets_arrives_whole(
        bytes in 0usize..70_000, timestamps: bool, mtu in 576u16..1500, loss in 0u64..4,
        writes in proptest::collection::vec(1usize..90_000, 1..12), seed: u64,
    ) {
        let mut hosts = [host(A, bytes, timestamps, mtu), host(B, 0, timestamps, 1500)];
        let mut rng = crate::common::Rng::new(seed);
        let mut now = Instant::ZERO;
        let listener = hosts[1].tcp_listen(at(B, 80), 4).expect("free");
        let client = hosts[0].tcp_connect(now, None, at(B, 80)).expect("free");
        let all = pattern(0, writes.iter().sum());
        let (mut ends, mut sent, mut got, mut long) = (writes.iter(), 0, Vec::new(), 0);
        let (mut until, mut server) = (0, None);
        for _ in 0..200_000 {
            if sent == until {
                until += ends.next().copied().unwrap_or(0);
            }
            sent += hosts[0].tcp_send(now, client, &all[sent..until]).unwrap_or(0);
            server = server.or_else(|| hosts[1].tcp_accept(listener).ok().map(|(id, _)| id));
            if let Some(id) = server {
                got.extend(read_all(&mut hosts[1], now, id).0);
            }
            if got.len() == all.len() {
                break;
            }
            let mut moved = false;
            for from in 0..2 {
                while let Some(packet) = hosts[from].poll_transmit(now) {
                    moved = true;
                    let mss = usize::from(mtu) - 40 - if timestamps { 12 } else { 0 };
                    let text = packet.len() - headers_len(&packet.to_vec());
                    if from == 0 {
                        // SACK options take nothing here: this side receives no data.
                        prop_assert_eq!(packet.segment_bytes, if text > mss { mss as u16 } else { 0 });
                        prop_assert!(text <= bytes.max(mss), "{} octets of text", text);
                        long += u64::from(text > mss);
                    }
                    let most = [usize::from(mtu), 1500][from];
                    for segment in cut(&packet) {
                        prop_assert!(segment.len() <= most, "{} bytes", segment.len());
                        if rng.below(100) >= loss {
                            let split = segment.len().min(128);
                            let body = Bytes::from(&segment[split..]);
                            hosts[1 - from].on_packet(now, VERIFIED, &segment[..split], body);
                        }
                    }
                }
            }
            if !moved {
                let next = hosts.iter().filter_map(|host| host.next_deadline()).min();
                now = next.map_or(now, |at| at.max(now)) + Duration::from_micros(1);
            }
        }
        prop_assert!(got == all, "{} of {} arrived", got.len(), all.len());
        let possible = bytes >= 4_000 && writes.iter().any(|n| *n > 20_000);
        prop_assert!(long > 0 || !possible, "no packet was left to the device");
    }
}

/// Bytes of both headers.
fn headers_len(packet: &[u8]) -> usize {
    20 + usize::from(packet[32] >> 4) * 4
}
