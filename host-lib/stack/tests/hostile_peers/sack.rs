//! SACK options that lie: blocks of nothing, blocks taken back, blocks of single octets. And ours, which do not.

use crate::common::Rng;
use crate::common::*;
use crate::craft::tcp::sack;
use crate::peer::{check_text, program_sends, reach, Offer, Peer, Seen};
use crate::scene::Scene;
use etherparse::TcpOptionElement;
use ferrule_stack::TcpState;
use proptest::prelude::*;
use std::time::Duration;

fn opened(scene: &mut Scene, stamps: bool) -> Peer {
    let offer = Offer {
        shift: Some(7),
        sack: true,
        timestamps: stamps,
        ..Offer::default()
    };
    Peer::open(scene, 1000, offer)
}

/// Blocks of any sort: true, inverted, empty, below, beyond, around the circle, over one another.
fn blocks(rng: &mut Rng, peer: &Peer, top: usize) -> Vec<(u32, u32)> {
    let count = 1 + rng.below(3);
    let place = |rng: &mut Rng| peer.number(rng.below(top as u64 + 1) as usize);
    let block = |rng: &mut Rng| match rng.below(8) {
        0 => (rng.next() as u32, rng.next() as u32),
        // Inverted, or empty.
        1 => (place(rng).wrapping_add(500), place(rng)),
        2 => (place(rng), place(rng)),
        // Below SND.UNA, and reaching over it.
        3 => (
            peer.ack.wrapping_sub(5_000),
            peer.ack.wrapping_add(rng.below(3_000) as u32),
        ),
        // Beyond SND.NXT.
        4 => (
            place(rng),
            peer.number(top).wrapping_add(rng.below(5_000) as u32),
        ),
        // Half the circle and more.
        5 => (place(rng), place(rng).wrapping_add(1 << 31)),
        // What is ahead of a gap indeed.
        _ => peer
            .ahead
            .iter()
            .next_back()
            .map_or((peer.ack, peer.ack), |(at, data)| {
                (peer.number(*at), peer.number(at + data.len()))
            }),
    };
    (0..count).map(|_| block(rng)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn lying_and_reneging_receivers_get_every_byte_all_the_same(seed: u64, stamps: bool, steps in 10usize..200) {
        // RFC 2018 section 8: a receiver may discard what it has reported, so the sender keeps all until the ACK field covers it.
        let mut rng = Rng::new(seed);
        let mut scene = Scene::new(1);
        let mut peer = opened(&mut scene, stamps);
        let (mut sent, mut top) = (0, 0);
        for _ in 0..steps {
            let most = rng.below(10_000) as usize;
            program_sends(&mut scene, &peer, &mut sent, most);
            let seen = match rng.below(10) {
                0 => peer.wait(&mut scene, Duration::from_micros(rng.below(500_000))),
                // It forgets what it has reported.
                1 => {
                    peer.ahead.clear();
                    continue;
                }
                2 => peer.answer(&mut scene),
                _ => {
                    let option = sack(&blocks(&mut rng, &peer, top));
                    peer.send(&mut scene, |_| {}, &option, &[])
                }
            };
            check_text(&peer, &seen);
            top = top.max(reach(&peer, &seen));
            for s in &seen {
                if rng.chance(60) {
                    peer.keep(s);
                }
            }
            prop_assert_eq!(scene.victim().tcp_state(peer.id), Ok(TcpState::Established));
        }
        // Honest from now on, but what it has once reported and forgotten it needs again.
        peer.ahead.clear();
        peer.receive(&mut scene, sent);
        prop_assert!(peer.got == pattern(0, sent), "seed {}", seed);
        peer.wait(&mut scene, Duration::from_secs(1));
        let now = scene.net.now;
        prop_assert_eq!(scene.victim().tcp_info(now, peer.id).map(|i| i.unacked), Ok(0));
        scene.verify();
    }
}

#[test]
fn blocks_of_single_octets_do_not_make_a_packet_of_each() {
    // A receiver that reports every other octet would have what lies between sent again octet by octet, a packet each
    // (CVE-2019-11478, CVE-2019-11479); RFC 2018 section 5 lets the sender decide what to send again.
    let mut scene = Scene::new(1);
    let mut peer = opened(&mut scene, false);
    let mut sent = 0;
    program_sends(&mut scene, &peer, &mut sent, 10_000);
    peer.wait(&mut scene, Duration::from_millis(10));
    let mut sizes: Vec<usize> = Vec::new();
    let mut note = |seen: &[Seen]| {
        let texts = seen.iter().map(|s| s.data.len()).filter(|n| *n > 0);
        sizes.extend(texts);
    };
    for at in (1..9_990).step_by(8) {
        let block = |i: usize| (peer.number(at + 2 * i), peer.number(at + 2 * i + 1));
        let option = sack(&[block(0), block(1), block(2), block(3)]);
        let seen = peer.send(&mut scene, |_| {}, &option, &[]);
        note(&seen);
    }
    for _ in 0..20 {
        let seen = peer.wait(&mut scene, Duration::from_millis(500));
        note(&seen);
    }
    let bytes: usize = sizes.iter().sum();
    assert!(!sizes.is_empty());
    // No smaller than an MSS of 48, the least that is taken, beside timestamps would make them.
    assert!(
        bytes / sizes.len() >= 36,
        "{} segments for {bytes} octets",
        sizes.len()
    );
    peer.receive(&mut scene, sent);
    scene.verify();
}

/// Octets that an option of the victim's reports, by their place after `start`.
fn reported(seen: &[Seen], start: u32) -> Vec<usize> {
    let options = seen.iter().flat_map(|s| s.tcp.options_iterator().flatten());
    let blocks = options.filter_map(|option| match option {
        TcpOptionElement::SelectiveAcknowledgement(first, more) => {
            Some([Some(first)].into_iter().chain(more))
        }
        _ => None,
    });
    let place = |number: u32| number.wrapping_sub(start) as usize;
    let ranges = blocks.flatten().flatten();
    ranges
        .flat_map(|(left, right)| place(left)..place(right))
        .collect()
}

#[test]
fn what_is_reported_is_kept_and_gaps_close_however_many_there_are() {
    // RFC 2018 section 3: a block is "data that has been received and queued", and its sender trusts that. More pieces come than are kept.
    const ODD: usize = 6_000;
    let mut scene = Scene::new(1);
    let mut peer = opened(&mut scene, false);
    let start = peer.seq;
    let text = pattern(0, 2 * ODD);
    let mut known = vec![false; text.len()];
    let mut send = |scene: &mut Scene, known: &mut Vec<bool>, at: usize| {
        let number = start.wrapping_add(at as u32);
        let seen = peer.send(scene, |h| h.sequence_number = number, &[], &text[at..=at]);
        // One that came twice is reported although it was delivered: that is true, too.
        reported(&seen, start)
            .into_iter()
            .for_each(|at| known[at] = true);
        let acks = seen.iter().map(|s| s.tcp.acknowledgment_number);
        acks.map(|ack| ack.wrapping_sub(start) as usize)
            .max()
            .unwrap_or(0)
    };
    for n in 0..ODD {
        send(&mut scene, &mut known, 2 * n + 1);
    }
    let kept = known.iter().filter(|known| **known).count();
    assert!(kept > 500 && kept < ODD, "{kept} pieces are kept");
    // From here on nothing is sent that was reported.
    for at in 0..text.len() {
        if !known[at] {
            let reached = send(&mut scene, &mut known, at);
            assert!(
                known[at] || reached > at || at >= 2 * kept,
                "octet {at} is not taken: {reached}"
            );
        }
    }
    let seen = peer.wait(&mut scene, Duration::from_secs(1));
    let acks = seen
        .iter()
        .map(|s| s.tcp.acknowledgment_number.wrapping_sub(start));
    assert_eq!(acks.max(), Some(text.len() as u32));
    let (now, id) = (scene.net.now, peer.id);
    assert!(read_all(scene.victim(), now, id).0 == text);
    scene.verify();
}
