//! TCP options that ask for the absurd: segments of an octet, clocks that jump, lengths that cannot be.

use crate::common::Rng;
use crate::common::*;
use crate::craft::tcp::*;
use crate::peer::{Offer, Peer};
use crate::scene::{Scene, MALLORY, PREY};
use ferrule_stack::TcpState;
use proptest::prelude::*;
use std::time::Duration;

#[test]
fn no_mss_asks_for_a_packet_an_octet_nor_for_more_than_the_link_takes() {
    // RFC 9293 section 3.7.1: the sender is bound by "Eff.snd.MSS = min(SendMSS+20, MMS_S) - TCPhdrsize - IPoptionsize", MMS_S
    // being what its own link takes. No RFC says how little; 48 is Linux' least (CVE-2019-11479).
    for (i, mss) in [0, 1, 12, 47, 48, 536, 1460, 1461, 9000, 65_535]
        .into_iter()
        .enumerate()
    {
        for timestamps in [false, true] {
            let mut scene = Scene::new(1);
            let offer = Offer {
                mss,
                timestamps,
                ..Offer::default()
            };
            let mut peer = Peer::open(&mut scene, 1000 + i as u16, offer);
            let (now, id) = (scene.net.now, peer.id);
            let sent = scene.victim().tcp_send(now, id, &pattern(0, 20_000));
            assert_eq!(sent, Ok(20_000));
            let first = peer.wait(&mut scene, Duration::ZERO);
            let largest = first.iter().map(|s| s.data.len()).max().expect("some");
            let options = if timestamps { 12 } else { 0 };
            let expected = usize::from(mss.clamp(48, 1460)) - options;
            assert_eq!(largest, expected, "MSS {mss}");
            peer.keep_all(&first);
            peer.receive(&mut scene, 20_000);
            assert!(peer.got == pattern(0, 20_000));
            scene.verify();
        }
    }
}

#[test]
fn a_clock_that_jumps_back_is_refused_and_one_that_jumps_ahead_is_followed() {
    let mut scene = Scene::new(1);
    let offer = Offer {
        timestamps: true,
        ..Offer::default()
    };
    let mut peer = Peer::open(&mut scene, 1000, offer);
    let mut value = (scene.net.now.as_nanos() / 1_000_000) as u32;
    // Ahead by as much as can be told, around the circle and on.
    for jump in [1, 1_000_000, (1 << 31) - 1, (1 << 31) - 1, (1 << 31) - 1] {
        value = value.wrapping_add(jump);
        let edit = |h: &mut etherparse::TcpHeader| {
            h.set_options_raw(&timestamps(value, 0)).expect("fits");
        };
        let text = pattern(0, 10);
        peer.send(&mut scene, edit, &[], &text);
        peer.seq = peer.seq.wrapping_add(10);
        let now = scene.net.now;
        assert!(read_all(scene.victim(), now, peer.id).0 == text, "{jump}");
        // RFC 7323 section 5.3, R1: "If there is a Timestamps option in the arriving segment, SEG.TSval < TS.Recent ... treat the
        // arriving segment as not acceptable: Send an acknowledgment in reply ... and drop the segment."
        for back in [1, 1_000, (1 << 31) - 1] {
            let old = timestamps(value.wrapping_sub(back), 0);
            let edit = |h: &mut etherparse::TcpHeader| {
                h.set_options_raw(&old).expect("fits");
            };
            let answers = peer.send(&mut scene, edit, &[], b"old");
            assert_eq!(answers.len(), 1, "{jump} and {back} back");
            assert_eq!(answers[0].tcp.acknowledgment_number, peer.seq);
            assert_eq!(scene.victim().tcp_unread(peer.id), Ok(0));
        }
    }
    scene.verify();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn options_of_any_bytes_open_a_connection_that_works_or_none(
        bytes in prop::collection::vec(any::<u8>(), 0..10), likely in prop::collection::vec((0u8..10, 0u8..12), 0..8), seed: u64,
    ) {
        // RFC 9293 MUST-7: "TCP implementations MUST be prepared to handle an illegal option length (e.g., zero)".
        let mut rng = Rng::new(seed);
        let mut raw: Vec<u8> = likely.iter().flat_map(|(kind, len)| [*kind, *len, rng.next() as u8, rng.next() as u8]).collect();
        raw.extend(bytes);
        raw.truncate(40);
        raw.resize(raw.len().next_multiple_of(4), 0);
        let mut scene = Scene::new(1);
        let (me, to) = (at(MALLORY, 1000), at(B, PREY));
        let syn = tcp(me, to, |h| {
            (h.syn, h.sequence_number, h.window_size) = (true, 7, 5_000);
            h.set_options_raw(&raw).expect("fits");
        }, &[]);
        let answers = scene.inject(&syn);
        let (answer, _) = answers.iter().find_map(|p| parse_tcp(p)).expect("any SYN is answered");
        prop_assert!(answer.syn && answer.ack && answer.acknowledgment_number == 8);
        let stamped = answer.options_iterator().flatten().any(|o| matches!(o, etherparse::TcpOptionElement::Timestamp(..)));
        // Where timestamps were read in the noise, true ones go on from there.
        let mut options = if stamped { timestamps(u32::MAX / 2, 0) } else { Vec::new() };
        options.resize(options.len().max(raw.len().min(40 - options.len())), 0);
        let ack = |h: &mut etherparse::TcpHeader| {
            (h.ack, h.sequence_number, h.window_size) = (true, 8, 5_000);
            h.acknowledgment_number = answer.sequence_number.wrapping_add(1);
            h.set_options_raw(&options).expect("fits");
        };
        scene.inject(&tcp(me, to, ack, b"hello"));
        let (now, prey) = (scene.net.now, scene.prey);
        if let Ok((id, _)) = scene.victim().tcp_accept(prey) {
            prop_assert_eq!(scene.victim().tcp_state(id), Ok(TcpState::Established));
            prop_assert_eq!(scene.victim().tcp_unread(id), Ok(5));
            prop_assert_eq!(scene.victim().tcp_send(now, id, &[1; 3_000]), Ok(3_000));
            // In every segment of the connection, too.
            for _ in 0..20 {
                let noise: Vec<u8> = (0..rng.below(11) * 4).map(|_| rng.next() as u8).collect();
                let noisy = |h: &mut etherparse::TcpHeader| {
                    ack(h);
                    h.set_options_raw(&noise).expect("fits");
                };
                scene.inject(&tcp(me, to, noisy, &[]));
            }
        }
        scene.wait(Duration::from_secs(5));
        scene.verify();
    }
}
