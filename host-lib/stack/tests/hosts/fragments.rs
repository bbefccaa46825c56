//! Fragments as a host meets them: cut by routers, reordered, missing, contradicting, in floods.

use crate::common::*;
use crate::craft::*;
use etherparse::IpNumber;
use ferrule_stack::{Bytes, Error, Instant, RxMeta, SocketId, Stack};
use proptest::prelude::*;
use std::net::Ipv4Addr;

const SECOND: Instant = Instant::from_millis(1000);

fn server() -> (Stack<Bytes>, SocketId) {
    let mut s = stack(A);
    let id = s.udp_bind(at(Ipv4Addr::UNSPECIFIED, 7)).expect("free");
    (s, id)
}

fn datagram(len: usize, ident: u16) -> Vec<u8> {
    let data = pattern(usize::from(ident), len);
    udp_edited(at(B, 9), at(A, 7), &data, |ip| ip.identification = ident)
}

fn received(s: &mut Stack<Bytes>, id: SocketId) -> Option<Vec<u8>> {
    let mut buf = vec![0; 70_000];
    let got = s.udp_recv_from(id, &mut buf).ok()?;
    buf.truncate(got.copied);
    Some(buf)
}

#[test]
fn a_lost_fragment_is_told_after_a_minute_with_the_beginning_of_the_datagram() {
    let (mut s, id) = server();
    // With options, to see that the header is quoted as it came: Router Alert.
    let bytes = udp_edited(at(B, 9), at(A, 7), &pattern(0, 3000), |ip| {
        ip.options = [148, 4, 0, 0].into();
    });
    let pieces = fragments(&bytes, 1000);
    feed(&mut s, SECOND, &pieces[0]);
    feed(&mut s, SECOND, &pieces[2]);
    assert_eq!(s.next_deadline(), Some(Instant::from_millis(61_000)));
    assert!(drain(&mut s, Instant::from_millis(60_999)).is_empty());
    let out = drain(&mut s, Instant::from_millis(61_000));
    let [told] = &out[..] else {
        panic!("{} packets", out.len());
    };
    let (ip, _) = parse(told);
    assert_eq!((ip.source, ip.destination), (A.octets(), B.octets()));
    // RFC 1812 section 4.3.2.5: precedence 6 or 7; section 4.3.2.3: at most 576 bytes.
    assert!(ip.dscp.value() >> 3 >= 6 && told.len() == 576);
    let (kind, _, quote) = parse_icmp(told);
    assert_eq!(kind, (11, 1));
    assert!(quote == pieces[0][..quote.len()]);
    assert_eq!(
        (s.stats().reassembly_timeouts, s.next_deadline()),
        (1, None)
    );
    assert_eq!(received(&mut s, id), None);
}

#[test]
fn nothing_is_told_without_the_beginning_nor_about_what_was_sent_to_many() {
    let (mut s, _) = server();
    let pieces = fragments(&datagram(3000, 1), 1000);
    feed(&mut s, SECOND, &pieces[1]);
    let all = Ipv4Addr::new(10, 0, 0, 255);
    let broadcast = fragments(&udp(at(B, 9), at(all, 7), &pattern(0, 3000)), 1000);
    feed(&mut s, SECOND, &broadcast[0]);
    let whole = fragments(&datagram(3000, 2), 1000);
    whole.iter().for_each(|p| feed(&mut s, SECOND, p));
    // Contradicting fragments are dropped in silence (RFC 5722 section 4).
    feed(&mut s, SECOND, &fragments(&datagram(2000, 3), 1000)[0]);
    feed(&mut s, SECOND, &fragments(&datagram(2000, 3), 992)[1]);
    assert!(drain(&mut s, Instant::from_millis(61_000)).is_empty());
    assert_eq!(s.stats().reassembly_timeouts, 3);
    assert_eq!(s.next_deadline(), None);
}

#[test]
fn a_datagram_of_which_one_fragment_came_by_link_broadcast_is_answered_by_no_error() {
    let mut s = stack(A);
    let unknown = packet(header(IpNumber(200), B, A, |_| {}), &pattern(0, 1600));
    for (i, piece) in fragments(&unknown, 800).iter().enumerate() {
        let meta = RxMeta {
            l2_broadcast: i == 0,
            ..RxMeta::default()
        };
        s.on_packet(SECOND, meta, piece, empty());
    }
    assert_eq!(s.stats().reassembled, 1);
    assert!(drain(&mut s, SECOND).is_empty());
}

#[test]
fn timeouts_are_told_no_faster_than_the_limit_allows() {
    let mut config = config(A);
    config.error_replies_per_second = 10;
    let mut s = Stack::<Bytes>::new(config);
    for ident in 0..100 {
        feed(&mut s, SECOND, &fragments(&datagram(3000, ident), 1000)[0]);
    }
    assert_eq!(drain(&mut s, Instant::from_millis(61_000)).len(), 10);
    assert_eq!(s.stats().rate_limited, 90);
}

#[test]
fn fragments_of_any_protocol_are_whole_before_they_are_judged() {
    let (mut s, _) = server();
    // A ping of 4,000 bytes is answered in fragments, each a packet.
    let ping = icmp(B, A, (8, 0), [0, 1, 0, 2], &pattern(0, 4000));
    for piece in fragments(&ping, 512) {
        feed(&mut s, SECOND, &piece);
    }
    let answer = drain(&mut s, SECOND);
    assert_eq!(answer.len(), 3);
    let payload: Vec<u8> = answer.iter().flat_map(|p| parse(p).1).collect();
    assert_eq!(payload[..8], [0, 0, payload[2], payload[3], 0, 1, 0, 2]);
    assert!(payload[8..] == pattern(0, 4000));
    // A whole datagram of a protocol nobody speaks is told about as a whole.
    let other = packet(header(IpNumber(200), B, A, |_| {}), &pattern(0, 1600));
    for piece in fragments(&other, 800) {
        feed(&mut s, SECOND, &piece);
    }
    let out = drain(&mut s, SECOND);
    let (kind, _, quote) = parse_icmp(&out[0]);
    assert_eq!(kind, (3, 2));
    assert_eq!(quote[..20], other[..20]);
}

#[test]
fn one_senders_flood_of_fragments_does_not_cost_another_its_datagram() {
    let (mut s, id) = server();
    let honest = fragments(&datagram(8000, 77), 1480);
    let (last, before) = honest.split_last().expect("some");
    before.iter().for_each(|p| feed(&mut s, SECOND, p));
    let flooder = Ipv4Addr::new(10, 0, 0, 66);
    for ident in 0..20_000 {
        let piece = udp_edited(at(flooder, 9), at(A, 7), &[0; 1400], |ip| {
            ip.identification = ident;
            ip.more_fragments = true;
        });
        feed(&mut s, SECOND, &piece[..1420]);
        drain(&mut s, SECOND);
    }
    feed(&mut s, SECOND, last);
    assert_eq!(received(&mut s, id), Some(pattern(77, 8000)));
}

#[test]
fn a_fragment_beyond_65535_bytes_is_dropped() {
    let (mut s, _) = server();
    // The "ping of death": the last offset there is, with more bytes than fit behind it.
    let ip = header(IpNumber::ICMP, B, A, |ip| {
        ip.fragment_offset = 8189.try_into().expect("13 bits");
    });
    feed(&mut s, SECOND, &packet(ip, &[0; 1000]));
    assert_eq!((s.stats().dropped_fragments, s.next_deadline()), (1, None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn what_several_routers_cut_is_put_together_in_any_order(
        lens in prop::collection::vec(0usize..6000, 1..6), first in 128usize..1480, second in 64usize..1480, seed: u64,
    ) {
        let (mut s, id) = server();
        let mut rng = crate::common::Rng::new(seed);
        let mut pieces: Vec<Vec<u8>> = Vec::new();
        for (ident, len) in (1..).zip(&lens) {
            // What the first router cut, a later one cuts again.
            let cut = fragments(&datagram(*len, ident), first);
            pieces.extend(cut.iter().flat_map(|p| fragments(p, second)));
        }
        for i in (1..pieces.len()).rev() {
            pieces.swap(i, rng.below(i as u64 + 1) as usize);
        }
        for piece in &pieces {
            // The wire repeats packets before the datagram is whole, too.
            if rng.chance(20) {
                feed(&mut s, SECOND, &pieces[rng.below(pieces.len() as u64) as usize]);
            }
            feed(&mut s, SECOND, piece);
        }
        let mut expected: Vec<Vec<u8>> = (1..).zip(&lens).map(|(ident, len)| pattern(ident, *len)).collect();
        let mut got: Vec<Vec<u8>> = Vec::new();
        while let Some(data) = received(&mut s, id) {
            got.push(data);
        }
        expected.sort();
        got.sort();
        // Datagrams of one packet may be repeated whole.
        got.dedup();
        expected.dedup();
        prop_assert!(got == expected, "seed {seed}");
        prop_assert_eq!(s.udp_recv_from(id, &mut [0]), Err(Error::WouldBlock));
    }
}
