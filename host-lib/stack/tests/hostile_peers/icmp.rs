//! Forged ICMP (RFC 5927): it ends no connection, slows none, and asks for no tiny packets.

use crate::common::Rng;
use crate::common::*;
use crate::craft::tcp::tcp;
use crate::craft::{icmp_error, too_big, ROUTER};
use crate::peer::{Offer, Peer};
use crate::scene::{Scene, GOOD};
use ferrule_stack::TcpState;
use std::time::Duration;

/// A quotation of a segment that the victim may have sent to its good peer.
fn quoted(port: u16, seq: u32) -> Vec<u8> {
    tcp(
        at(B, GOOD),
        at(A, port),
        |h| (h.ack, h.sequence_number) = (true, seq),
        &[],
    )
}

#[test]
fn messages_about_what_is_not_in_flight_change_nothing() {
    // RFC 5927 section 4.1: the number quoted must be one in flight, SND.UNA =< SEG.SEQ < SND.NXT.
    let mut scene = Scene::new(2);
    let mut rng = Rng::new(8);
    let n = scene.numbers(0);
    let [_, server] = scene.good(0);
    let now = scene.net.now;
    let before = scene.victim().tcp_info(now, server).expect("open");
    for kind in 0..=40 {
        for code in 0..=16 {
            // At rest nothing is in flight: not even the next number.
            for seq in [n.sent, n.sent.wrapping_sub(1), rng.next() as u32] {
                let message = icmp_error(&quoted(n.port, seq), (kind, code), [0, 0, 2, 0]);
                let answers = scene.inject(&message);
                // Echo requests are none of them.
                assert!(answers.is_empty() || kind == 8);
            }
        }
    }
    let now = scene.net.now;
    let after = scene.victim().tcp_info(now, server).expect("open");
    let of = |i: &ferrule_stack::TcpInfo| (i.state, i.send_mss, i.congestion_window, i.path_mtu);
    assert_eq!(of(&after), of(&before));
    assert_eq!(scene.victim().take_error(server), Ok(None));
    scene.verify();
}

#[test]
fn hard_errors_and_quenches_about_what_is_in_flight_end_and_slow_nothing() {
    let mut scene = Scene::new(1);
    let mut peer = Peer::open(&mut scene, 1000, Offer::default());
    let (now, id) = (scene.net.now, peer.id);
    let sent = scene.victim().tcp_send(now, id, &pattern(0, 20_000));
    assert_eq!(sent, Ok(20_000));
    let packets = scene.wait(Duration::ZERO);
    let before = scene.victim().tcp_info(now, id).expect("open");
    for packet in &packets {
        // RFC 5927 section 5.2: hard errors (protocol and port unreachable, RFC 1122 section 4.2.3.9) are soft in synchronized
        // states. RFC 6633: source quenches are discarded in silence.
        for kind in [(3, 2), (3, 3), (3, 0), (3, 1), (4, 0), (11, 0), (12, 0)] {
            scene.inject(&icmp_error(packet, kind, [0; 4]));
        }
    }
    let after = scene.victim().tcp_info(now, id).expect("open");
    assert_eq!(after.state, TcpState::Established);
    assert_eq!(after.congestion_window, before.congestion_window);
    let arrived = peer.take(&packets);
    peer.keep_all(&arrived);
    peer.receive(&mut scene, 20_000);
    assert!(peer.got == pattern(0, 20_000));
    scene.verify();
}

#[test]
fn forged_path_mtus_on_the_path_make_segments_no_smaller_than_552() {
    // RFC 5927 section 7: forged messages lower the path MTU. RFC 1191 section 3 allows as little as 68, which would be a packet
    // for 16 octets; 552 is Linux' least (min_pmtu).
    let mut scene = Scene::new(1);
    let offer = Offer {
        mss: 1460,
        timestamps: true,
        ..Offer::default()
    };
    let mut peer = Peer::open(&mut scene, 1000, offer);
    let (now, id) = (scene.net.now, peer.id);
    let sent = scene.victim().tcp_send(now, id, &pattern(0, 100_000));
    assert_eq!(sent, Ok(100_000));
    let mut packets = scene.wait(Duration::ZERO);
    let mut segments = 0;
    for mtu in [1_499, 1_000, 600, 552, 551, 296, 68, 67, 1, 0] {
        for packet in packets.clone() {
            packets.extend(scene.inject(&too_big(&packet, mtu)));
        }
        let now = scene.net.now;
        let info = scene.victim().tcp_info(now, id).expect("open");
        assert!(info.send_mss >= 500, "{} after {mtu}", info.send_mss);
        segments = segments.max(packets.len());
        assert!(packets.len() < 1_000);
    }
    let arrived = peer.take(&packets);
    peer.keep_all(&arrived);
    peer.receive(&mut scene, 100_000);
    assert!(peer.got == pattern(0, 100_000));
    // The good peer's path is another.
    let [_, server] = scene.good(0);
    let now = scene.net.now;
    assert_eq!(
        scene.victim().tcp_info(now, server).map(|i| i.path_mtu),
        Ok(1500)
    );
    scene.verify();
}

#[test]
fn echoes_in_floods_are_answered_at_the_limit() {
    // RFC 1812 section 4.3.2.8 for errors; the answers of RFC 1122 section 3.2.2.6 share their limit.
    let mut scene = Scene::with(1, |config| config.error_replies_per_second = 50);
    let mut answers = 0;
    for second in 0..5 {
        for _ in 0..2_000 {
            let echo = crate::craft::icmp(ROUTER, B, (8, 0), [0; 4], &[0; 1_000]);
            answers += scene.inject(&echo).len();
            let refused = crate::craft::udp(at(ROUTER, 9), at(B, 9), b"nobody");
            answers += scene.inject(&refused).len();
        }
        assert!(answers <= 50 * (second + 2), "{answers}");
        scene.work(Duration::from_secs(1));
    }
    scene.verify();
}
