//! Floods of segments for nobody, packets from impossible addresses, and what may end TIME-WAIT (RFC 1337).

use crate::common::Rng;
use crate::common::*;
use crate::craft::tcp::*;
use crate::craft::ROUTER;
use crate::peer::{Offer, Peer};
use crate::scene::{Scene, GOOD, MALLORY, PREY};
use etherparse::TcpHeader;
use ferrule_stack::{Shutdown, TcpState};
use std::net::Ipv4Addr;
use std::time::Duration;

#[test]
fn fin_rst_and_christmas_trees_for_nobody_are_answered_at_the_limit() {
    let mut scene = Scene::with(2, |config| config.error_replies_per_second = 100);
    let mut rng = Rng::new(9);
    let mut answers = 0;
    let start = scene.net.now;
    for i in 0..20_000 {
        let bits = rng.next();
        let edit = |h: &mut TcpHeader| {
            (h.sequence_number, h.acknowledgment_number) = ((bits >> 32) as u32, bits as u32);
            (h.fin, h.rst, h.psh, h.urg) = (bits & 1 > 0, bits & 2 > 0, bits & 4 > 0, bits & 8 > 0);
            h.ack = bits & 16 > 0;
        };
        let port = [GOOD, PREY, 9, rng.below(65_536) as u16][rng.below(4) as usize];
        let from = at(MALLORY, rng.below(65_535) as u16 + 1);
        for answer in scene.inject(&tcp(from, at(B, port), edit, b"text")) {
            let (h, text) = parse_tcp(&answer).expect("a segment");
            // RFC 9293 section 3.10.7.1: "All data in the incoming segment is discarded. An incoming segment containing a RST is
            // discarded. An incoming segment not containing a RST causes a RST to be sent in response."
            assert!(h.rst && !h.syn && text.is_empty() && bits & 2 == 0);
            answers += 1;
        }
        if i % 1_000 == 0 {
            scene.work(Duration::from_millis(50));
        }
    }
    let seconds = (scene.net.now - start).as_secs() + 2;
    assert!(answers <= 100 * seconds, "{answers} in {seconds} s");
    scene.verify();
}

#[test]
fn packets_from_ourselves_from_nowhere_and_from_everybody_are_dropped_in_silence() {
    // LAND (CVE-1999-0016). RFC 1122 section 3.2.1.3: "A host MUST silently discard an incoming datagram containing an IP source
    // address that is invalid by the rules of this section."
    let mut scene = Scene::new(1);
    let sources = [
        B,
        Ipv4Addr::BROADCAST,
        Ipv4Addr::new(10, 0, 0, 255),
        Ipv4Addr::new(224, 0, 0, 1),
        Ipv4Addr::new(239, 255, 255, 255),
        Ipv4Addr::new(127, 0, 0, 1),
        Ipv4Addr::UNSPECIFIED,
    ];
    let before = scene.victim().stats();
    let mut count = 0;
    for source in sources {
        for port in [GOOD, PREY, 9] {
            for bits in 0..16 {
                let edit = |h: &mut TcpHeader| {
                    (h.syn, h.ack) = (bits & 1 > 0, bits & 2 > 0);
                    (h.fin, h.rst) = (bits & 4 > 0, bits & 8 > 0);
                };
                let packet = tcp(at(source, port), at(B, port), edit, &[]);
                assert!(scene.inject(&packet).is_empty());
                count += 1;
            }
            let datagram = crate::craft::udp(at(source, port), at(B, port), b"echo");
            assert!(scene.inject(&datagram).is_empty());
            count += 1;
        }
    }
    // RFC 9293 MUST-57: SYNs to broadcast and multicast addresses, too.
    for to in [
        Ipv4Addr::BROADCAST,
        Ipv4Addr::new(10, 0, 0, 255),
        Ipv4Addr::new(224, 0, 0, 1),
    ] {
        let packet = tcp(at(MALLORY, 9), at(to, GOOD), |h| h.syn = true, &[]);
        assert!(scene.inject(&packet).is_empty());
        count += 1;
    }
    let after = scene.victim().stats();
    assert_eq!(after.dropped_address - before.dropped_address, count);
    assert_eq!(after.packets_out, before.packets_out);
    scene.verify();
}

/// The victim has closed first, the peer after it.
fn in_time_wait(scene: &mut Scene, peer: &mut Peer) {
    let now = scene.net.now;
    let shut = scene.victim().tcp_shutdown(now, peer.id, Shutdown::Write);
    assert_eq!(shut, Ok(()));
    let fin = peer.wait(scene, Duration::ZERO);
    assert!(fin.iter().any(|s| s.tcp.fin));
    peer.ack = peer.ack.wrapping_add(1);
    peer.send(scene, |h| h.fin = true, &[], &[]);
    peer.seq = peer.seq.wrapping_add(1);
    assert_eq!(scene.victim().tcp_state(peer.id), Ok(TcpState::TimeWait));
}

#[test]
fn time_wait_ends_by_no_forged_segment_but_the_exact_reset() {
    let mut scene = Scene::new(1);
    let mut peer = Peer::open(&mut scene, 1000, Offer::default());
    in_time_wait(&mut scene, &mut peer);
    let mut rng = Rng::new(10);
    let mut acks = 0;
    for _ in 0..5_000 {
        let seq = peer.seq.wrapping_add(1 + rng.below(60_000) as u32);
        let kind = rng.below(4);
        let edit = |h: &mut TcpHeader| {
            h.sequence_number = seq;
            h.acknowledgment_number = rng.next() as u32;
            (h.rst, h.fin) = (kind == 0, kind == 1);
        };
        // RFC 1337 section 2: an old segment draws an ACK, which a peer that has forgotten answers by RST: so few of them.
        acks += peer
            .send(&mut scene, edit, &[], if kind > 1 { b"old" } else { b"" })
            .len();
    }
    assert_eq!(scene.victim().tcp_state(peer.id), Ok(TcpState::TimeWait));
    assert!(acks <= 1, "{acks}");
    // RFC 9293 section 3.10.7.4: "If the RST bit is set, then enter the CLOSED state"; RFC 5961 section 3.2: if exact.
    peer.send(&mut scene, |h| h.rst = true, &[], &[]);
    assert_eq!(scene.victim().tcp_state(peer.id), Ok(TcpState::Closed));
    scene.verify();
}

#[test]
fn after_time_wait_was_assassinated_old_segments_do_not_enter_the_next_connection() {
    // RFC 1337 section 2, H1: "Old duplicate data may be accepted erroneously" by a new incarnation that begins at once, here
    // with the same numbers on the peer's side. RFC 7323 section 5 (PAWS) is what is between.
    let mut scene = Scene::new(1);
    let offer = Offer {
        timestamps: true,
        ..Offer::default()
    };
    let mut peer = Peer::open(&mut scene, 1000, offer);
    let old = peer.segment(&scene, |_| {}, &[], b"old");
    peer.say(&mut scene, b"new");
    in_time_wait(&mut scene, &mut peer);
    peer.send(&mut scene, |h| h.rst = true, &[], &[]);
    assert_eq!(scene.victim().tcp_state(peer.id), Ok(TcpState::Closed));
    scene.wait(Duration::from_millis(100));
    let mut again = Peer::open(&mut scene, 1000, offer);
    scene.inject(&old);
    assert_eq!(scene.victim().tcp_unread(again.id), Ok(0));
    again.say(&mut scene, b"NEW");
    let now = scene.net.now;
    assert_eq!(read_all(scene.victim(), now, again.id).0, b"NEW");
    scene.verify();
}

#[test]
fn pings_of_good_sockets_are_answered_by_their_peer_alone() {
    let mut scene = Scene::new(1);
    let ping = scene.victim().ping_open().expect("free");
    assert!(scene.victim().ping_send(ping, A, 7, b"who?").is_ok());
    let ident = scene.victim().ping_ident(ping).expect("open");
    // A flood of replies to other identifiers, from everywhere, does not fill its queue.
    for other in (0..=u16::MAX).filter(|i| *i != ident).step_by(7) {
        let [high, low] = other.to_be_bytes();
        scene.inject(&crate::craft::icmp(
            ROUTER,
            B,
            (0, 0),
            [high, low, 0, 7],
            b"me",
        ));
    }
    scene.wait(Duration::from_millis(10));
    let mut buf = [0; 16];
    let reply = scene.victim().ping_recv(ping, &mut buf).expect("answered");
    assert_eq!((reply.from, &buf[..4]), (A, &b"who?"[..]));
    assert!(scene.victim().ping_recv(ping, &mut buf).is_err());
    scene.verify();
}
