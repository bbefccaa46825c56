//! Text sent twice with different contents, in segments and in fragments: what was first stays, or all of it goes.

use crate::common::Rng;
use crate::common::*;
use crate::craft::{fragments, packet, parse};
use crate::peer::{Offer, Peer};
use crate::scene::{Scene, GOOD, MALLORY};
use proptest::prelude::*;
use std::net::Ipv4Addr;
use std::time::Duration;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn of_texts_for_the_same_place_the_first_is_read(
        segments in prop::collection::vec((0usize..3_000, 1usize..900, any::<u8>()), 1..60), read: bool,
    ) {
        // RFC 9293 section 3.10.7.4: "segments with higher beginning sequence numbers SHOULD be held for later processing"; an
        // eavesdropper and this host must agree on what that is, so a later copy changes nothing (RFC 5722 section 4 in spirit).
        let mut scene = Scene::new(1);
        let mut peer = Peer::open(&mut scene, 1000, Offer { sack: true, ..Offer::default() });
        let (start, mut first) = (peer.seq, vec![None; 4_000]);
        let mut got = Vec::new();
        for (at, len, fill) in segments {
            peer.send(&mut scene, |h| h.sequence_number = start.wrapping_add(at as u32), &[], &vec![fill; len]);
            first[at..at + len].iter_mut().for_each(|octet| { octet.get_or_insert(fill); });
            if read {
                let now = scene.net.now;
                got.extend(read_all(scene.victim(), now, peer.id).0);
            }
        }
        let now = scene.net.now;
        got.extend(read_all(scene.victim(), now, peer.id).0);
        let expected: Vec<u8> = first.into_iter().map_while(|octet| octet).collect();
        prop_assert_eq!(got, expected);
        scene.verify();
    }
}

#[test]
fn a_segment_in_overlapping_fragments_is_dropped_and_its_true_copy_taken() {
    // RFC 1858 section 4 (overlapping fragment attack), teardrop, and pieces of eight octets: RFC 5722 section 4: "the entire
    // datagram (and any constituent fragments ...) MUST be silently discarded".
    let mut scene = Scene::new(1);
    let mut peer = Peer::open(&mut scene, 1000, Offer::default());
    for shift in [1i32, -1, 2, -3] {
        let whole = peer.segment(&scene, |h| h.psh = true, &[], &pattern(0, 200));
        let pieces = fragments(&whole, 8);
        for (i, piece) in pieces.iter().enumerate() {
            scene.inject(piece);
            // The second, again over another: a port or a flag would be rewritten.
            if i == 5 {
                let (mut ip, text) = parse(&pieces[3]);
                let offset = (i32::from(ip.fragment_offset.value()) + shift).max(0) as u16;
                ip.fragment_offset = offset.try_into().expect("13 bits");
                let longer = [&text[..], &[0xff; 8]].concat();
                scene.inject(&packet(ip, &longer));
            }
        }
        assert_eq!(scene.victim().tcp_unread(peer.id), Ok(0), "{shift}");
    }
    let dropped = scene.victim().stats().dropped_fragments;
    assert!(dropped > 0);
    // The sender names its retransmission anew.
    let (mut ip, text) = parse(&peer.segment(&scene, |h| h.psh = true, &[], &pattern(0, 200)));
    ip.identification = 77;
    for piece in fragments(&packet(ip, &text), 64) {
        scene.inject(&piece);
    }
    let now = scene.net.now;
    assert!(read_all(scene.victim(), now, peer.id).0 == pattern(0, 200));
    peer.answer(&mut scene);
    scene.verify();
}

#[test]
fn floods_of_fragments_from_everywhere_hold_up_no_segment_and_no_whole_datagram() {
    // One sender's flood against another's datagram is in fragments.rs; here nobody can be told from the others.
    let mut scene = Scene::with(2, |config| config.reassembly_bytes = 200_000);
    let mut peer = Peer::open(&mut scene, 1000, Offer::default());
    let mut rng = Rng::new(7);
    for i in 0..30_000 {
        let from = Ipv4Addr::from(0xc612_0000 | rng.below(1 << 17) as u32);
        let mut piece = crate::craft::udp_edited(at(from, 9), at(B, GOOD), &[0; 24], |ip| {
            ip.identification = rng.next() as u16;
            ip.more_fragments = true;
        });
        if rng.chance(50) {
            let (mut ip, text) = parse(&piece);
            ip.fragment_offset = (rng.below(8_000) as u16).try_into().expect("13 bits");
            piece = packet(ip, &text);
        }
        assert!(scene.inject(&piece).is_empty());
        if i % 3_000 == 0 {
            scene.work(Duration::from_millis(20));
            // What comes in one go gets through.
            let (mut ip, text) = parse(&peer.segment(&scene, |_| {}, &[], &pattern(i, 2_000)));
            (ip.identification, ip.source) = (i as u16, MALLORY.octets());
            for piece in fragments(&packet(ip, &text), 1_000) {
                scene.inject(&piece);
            }
            peer.seq = peer.seq.wrapping_add(2_000);
            let now = scene.net.now;
            assert!(read_all(scene.victim(), now, peer.id).0 == pattern(i, 2_000));
        }
    }
    // A minute later nothing of it waits (RFC 1122 section 3.3.2).
    scene.wait(Duration::from_secs(61));
    scene.verify();
}
