//! Acknowledgments that lie: of what was never sent, of what never arrived, in pieces, too many of them.

use crate::common::Rng;
use crate::common::*;
use crate::peer::{check_text, program_sends, reach, Offer, Peer, Seen};
use crate::scene::Scene;
use ferrule_stack::{Algorithm, TcpInfo, TcpState};
use proptest::prelude::*;
use std::time::Duration;

const ROUND_TRIP: Duration = Duration::from_millis(20);

fn info(scene: &mut Scene, peer: &Peer) -> TcpInfo {
    let now = scene.net.now;
    scene.victim().tcp_info(now, peer.id).expect("open")
}

/// A receiver that acknowledges each segment in `pieces` steps takes `len` bytes; one segment is lost on the way. Returns
/// the congestion window after each round trip without recovery, by the bytes acknowledged.
fn divided(algorithm: Algorithm, pieces: usize, len: usize) -> Vec<(usize, u32)> {
    let mut scene = Scene::with(1, |config| config.tcp.congestion = algorithm);
    let offer = Offer {
        shift: Some(7),
        ..Offer::default()
    };
    let mut peer = Peer::open(&mut scene, 1000, offer);
    let (mut sent, mut windows) = (0, Vec::new());
    let mut arrived: Vec<Seen> = Vec::new();
    let (mut lost, mut rounds) = (false, 0);
    while peer.got.len() < len {
        rounds += 1;
        assert!(rounds < 1_000, "{} of {len} octets", peer.got.len());
        program_sends(&mut scene, &peer, &mut sent, 400_000);
        arrived.extend(peer.wait(&mut scene, ROUND_TRIP));
        if peer.got.len() > len / 4 && !lost {
            lost = true;
            arrived.remove(0);
        }
        for seen in std::mem::take(&mut arrived) {
            let before = peer.got.len();
            peer.keep(&seen);
            let new = peer.got.len() - before;
            let steps = pieces.min(new).max(1);
            for step in 1..=steps {
                let ack = peer.number(before + new * step / steps);
                arrived.extend(peer.send(&mut scene, |h| h.acknowledgment_number = ack, &[], &[]));
            }
        }
        let told = info(&mut scene, &peer);
        if told.congestion_state == 0 {
            windows.push((peer.got.len(), told.congestion_window));
        }
    }
    assert!(peer.got == pattern(0, peer.got.len()));
    scene.verify();
    windows
}

#[test]
fn acknowledging_in_pieces_opens_the_window_no_faster() {
    // RFC 5681 section 3.1: "cwnd += min (N, SMSS) ... where N is the number of previously unacknowledged bytes acknowledged";
    // "part of Appropriate Byte Counting [RFC3465] and provides robustness against misbehaving receivers".
    for algorithm in [Algorithm::NewReno, Algorithm::Cubic] {
        let honest = divided(algorithm, 1, 3_000_000);
        for pieces in [2, 10, 100] {
            let greedy = divided(algorithm, pieces, 3_000_000);
            for (got, window) in &greedy {
                // The honest receiver's window when it had as much, to a segment or a hundredth.
                let allowed = honest
                    .iter()
                    .find(|(g, _)| g + 2_000 >= *got)
                    .map_or(0, |(_, w)| *w);
                assert!(
                    100 * *window <= 101 * (allowed + 2),
                    "{algorithm:?}, {pieces} pieces: {window} at {got}, honest {allowed}"
                );
            }
        }
    }
}

#[test]
fn spoofed_duplicates_let_out_no_more_than_arrived_segments_could() {
    // RFC 5681 section 3.2: "a receiver-based attack whereby many bogus duplicate ACKs are sent to the data sender in order to
    // artificially inflate cwnd ... A TCP MAY therefore limit the number of times cwnd is artificially inflated during loss
    // recovery to the number of outstanding segments".
    for sack in [false, true] {
        let mut scene = Scene::new(1);
        let offer = Offer {
            shift: Some(7),
            sack,
            ..Offer::default()
        };
        let mut peer = Peer::open(&mut scene, 1000, offer);
        let id = peer.id;
        scene.victim().set_send_buffer(id, 2_000_000).expect("open");
        let mut sent = 0;
        program_sends(&mut scene, &peer, &mut sent, 10_000);
        let first = peer.wait(&mut scene, Duration::ZERO);
        assert_eq!(reach(&peer, &first), 10_000);
        // Ten segments are out, so that at most nine duplicates can be true.
        for _ in 0..1_000 {
            peer.answer(&mut scene);
        }
        program_sends(&mut scene, &peer, &mut sent, 1_000_000);
        let burst = peer.wait(&mut scene, Duration::ZERO);
        let beyond = reach(&peer, &burst).saturating_sub(10_000);
        assert!(beyond <= 10_000, "{beyond} octets at once, SACK {sack}");
        // From now on at most one segment for each that asks.
        let mut reached = reach(&peer, &burst).max(10_000);
        for _ in 0..500 {
            let seen = peer.answer(&mut scene);
            check_text(&peer, &seen);
            let now = reach(&peer, &seen).max(reached);
            assert!(
                now - reached <= 1_000,
                "{} octets for a duplicate",
                now - reached
            );
            reached = now;
        }
        peer.keep_all(&first);
        peer.receive(&mut scene, sent);
        scene.verify();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_acknowledgments_at_all_move_no_byte_from_its_place(
        seed: u64, sack: bool, stamps: bool, steps in 10usize..150,
    ) {
        let mut rng = Rng::new(seed);
        let mut scene = Scene::with(1, |config| config.tcp.sack = sack);
        let offer = Offer { sack, timestamps: stamps, shift: Some(2), mss: 500, ..Offer::default() };
        let mut peer = Peer::open(&mut scene, 1000, offer);
        let (mut sent, mut top, mut acked) = (0, 0usize, 0usize);
        for _ in 0..steps {
            let most = rng.below(20_000) as usize;
            program_sends(&mut scene, &peer, &mut sent, most);
            let new = peer.wait(&mut scene, Duration::ZERO);
            check_text(&peer, &new);
            top = top.max(reach(&peer, &new));
            let seen = match rng.below(8) {
                // Optimistic: all that was sent, or part of it, arrived or not.
                0..3 => {
                    acked = (acked + rng.below(3_000) as usize).min(top);
                    let ack = peer.number(acked);
                    peer.send(&mut scene, |h| h.acknowledgment_number = ack, &[], &[])
                }
                // What was acknowledged is asked for again.
                3 => {
                    let ack = peer.number(rng.below(acked as u64 + 1) as usize);
                    peer.send(&mut scene, |h| h.acknowledgment_number = ack, &[], &[])
                }
                4 => {
                    let before = info(&mut scene, &peer);
                    let ack = peer.number(top).wrapping_add(1 + rng.below(1 << 30) as u32);
                    let seen = peer.send(&mut scene, |h| h.acknowledgment_number = ack, &[], &[]);
                    // RFC 9293 section 3.10.7.4: "If the ACK acks something not yet sent (SEG.ACK > SND.NXT), then send an
                    // ACK, drop the segment, and return."
                    let after = info(&mut scene, &peer);
                    prop_assert_eq!((after.congestion_window, after.unacked), (before.congestion_window, before.unacked));
                    seen
                }
                5 => {
                    let ack = rng.next() as u32;
                    if ack.wrapping_sub(peer.number(acked)) as usize <= top - acked {
                        continue;
                    }
                    peer.send(&mut scene, |h| h.acknowledgment_number = ack, &[], &[])
                }
                6 => {
                    let window = rng.below(65_536) as u16;
                    let ack = peer.number(acked);
                    peer.send(&mut scene, |h| (h.acknowledgment_number, h.window_size) = (ack, window), &[], &[])
                }
                _ => peer.wait(&mut scene, Duration::from_micros(rng.below(400_000))),
            };
            check_text(&peer, &seen);
            top = top.max(reach(&peer, &seen));
            let later = peer.wait(&mut scene, Duration::ZERO);
            check_text(&peer, &later);
            top = top.max(reach(&peer, &later));
            prop_assert_eq!(scene.victim().tcp_state(peer.id), Ok(TcpState::Established), "seed {}", seed);
        }
        // In the end it says that it has all.
        for _ in 0..5_000 {
            if top == sent {
                break;
            }
            let ack = peer.number(top);
            let seen = peer.send(&mut scene, |h| (h.acknowledgment_number, h.window_size) = (ack, 60_000), &[], &[]);
            top = top.max(reach(&peer, &seen));
            let seen = peer.wait(&mut scene, Duration::from_millis(100));
            check_text(&peer, &seen);
            top = top.max(reach(&peer, &seen));
        }
        prop_assert_eq!(top, sent, "seed {}", seed);
        let ack = peer.number(top);
        peer.send(&mut scene, |h| h.acknowledgment_number = ack, &[], &[]);
        prop_assert_eq!(info(&mut scene, &peer).unacked, 0);
        scene.verify();
    }
}
