//! SYN floods (RFC 4987): the queue of half-open connections is full, and good peers connect all the same.

use crate::common::*;
use crate::craft::tcp::*;
use crate::peer::{Offer, Peer};
use crate::scene::{Scene, GOOD, MALLORY, PREY};
use std::net::Ipv4Addr;
use std::time::Duration;

/// A SYN from anybody, with the options of some common kernel or none.
fn syn(rng: &mut Rng, port: u16) -> Vec<u8> {
    // 198.18.0.0/15 is for tests of this kind (RFC 2544).
    let source = Ipv4Addr::from(0xc612_0000 | rng.below(1 << 17) as u32);
    let offer = Offer {
        mss: [0, 536, 1460, 9000][rng.below(4) as usize],
        shift: rng.chance(50).then_some(7),
        sack: rng.chance(50),
        timestamps: rng.chance(50),
        ..Offer::default()
    };
    let options = offer.options(rng.next() as u32);
    tcp(
        at(source, rng.below(65_535) as u16 + 1),
        at(B, port),
        |h| {
            (h.syn, h.sequence_number) = (true, rng.next() as u32);
            h.set_options_raw(&options).expect("fits");
        },
        &[],
    )
}

#[test]
fn good_peers_connect_and_carry_on_during_a_flood_of_their_own_port() {
    let mut scene = Scene::with(2, |config| config.tcp.min_syn_queue = 16);
    let mut rng = Rng::new(1);
    let before = scene.victim().stats();
    for i in 0..30_000 {
        let flood = syn(&mut rng, GOOD);
        let answers = scene.inject(&flood);
        // RFC 4987 section 3.6: the SYN-ACK carries the cookie; nothing but it answers a SYN.
        assert!(answers
            .iter()
            .filter_map(|p| parse_tcp(p))
            .all(|(h, _)| h.syn && h.ack && !h.rst));
        if i % 3000 == 1500 {
            scene.befriend();
            scene.work(Duration::from_millis(10));
        }
    }
    let stats = scene.victim().stats();
    assert!(stats.tcp_syn_cookies_sent - before.tcp_syn_cookies_sent > 29_000);
    assert_eq!(stats.tcp_passive_opens - before.tcp_passive_opens, 10);
    assert_eq!(stats.tcp_syn_cookies_received, 10);
    scene.verify();
}

#[test]
fn after_a_flood_the_queue_empties_and_no_cookies_are_needed() {
    let mut scene = Scene::with(1, |config| {
        config.tcp.min_syn_queue = 16;
        config.tcp.max_syn_ack_retransmits = 5;
    });
    let mut rng = Rng::new(2);
    for _ in 0..1_000 {
        let flood = syn(&mut rng, GOOD);
        scene.inject(&flood);
    }
    let sent = scene.victim().stats().tcp_syn_cookies_sent;
    assert!(sent > 900);
    // Five retransmissions, 1 s the first, doubled each time (RFC 6298 section 5.5): after 63 s nobody waits.
    scene.wait(Duration::from_secs(64));
    scene.befriend();
    assert_eq!(scene.victim().stats().tcp_syn_cookies_sent, sent);
    scene.verify();
}

#[test]
fn guessed_cookies_open_nothing_and_their_resets_are_limited() {
    let mut scene = Scene::with(1, |config| {
        config.tcp.min_syn_queue = 16;
        config.error_replies_per_second = 100;
    });
    let mut rng = Rng::new(3);
    for _ in 0..100 {
        let flood = syn(&mut rng, GOOD);
        scene.inject(&flood);
    }
    let opened = scene.victim().stats().tcp_passive_opens;
    let mut answers = 0;
    for _ in 0..50_000 {
        let from = at(Ipv4Addr::from(0xc612_0000 | rng.below(1 << 17) as u32), 9);
        let options = timestamps(rng.next() as u32, rng.next() as u32);
        let guess = tcp(
            from,
            at(B, GOOD),
            |h| {
                (h.sequence_number, h.acknowledgment_number) =
                    (rng.next() as u32, rng.next() as u32);
                (h.ack, h.window_size) = (true, 1000);
                h.set_options_raw(if rng.chance(50) { &options } else { &[] })
                    .expect("fits");
            },
            b"GET / HTTP/1.0\r\n\r\n",
        );
        answers += scene.inject(&guess).len();
    }
    assert_eq!(scene.victim().stats().tcp_passive_opens, opened);
    assert_eq!(scene.victim().stats().tcp_syn_cookies_failed, 50_000);
    // All at one moment: no more than one second's allowance.
    assert!(answers <= 100, "{answers} resets");
    scene.verify();
}

#[test]
fn connections_that_nobody_accepts_fill_one_listener_and_not_the_other() {
    let mut scene = Scene::new(1);
    let prey = scene.prey;
    // The backlog of 8 and one more (listen(2) of the common kernels); Peer accepts, so this is done by hand.
    let mut open = 0;
    for port in 1000..1100 {
        let (me, to) = (at(MALLORY, port), at(B, PREY));
        let answers = scene.inject(&tcp(
            me,
            to,
            |h| (h.syn, h.sequence_number) = (true, 5),
            &[],
        ));
        let Some((answer, _)) = answers.iter().filter_map(|p| parse_tcp(p)).next() else {
            continue;
        };
        let ack = |h: &mut etherparse::TcpHeader| {
            (h.ack, h.sequence_number) = (true, 6);
            h.acknowledgment_number = answer.sequence_number.wrapping_add(1);
        };
        scene.inject(&tcp(me, to, ack, b"never read"));
        open += 1;
    }
    assert_eq!(open, 9);
    scene.befriend();
    scene.work(Duration::from_millis(10));
    // As soon as the program accepts, there is room again.
    for _ in 0..9 {
        assert!(scene.victim().tcp_accept(prey).is_ok());
    }
    assert!(Peer::try_open(&mut scene, 2000, Offer::default()).is_some());
    scene.verify();
}
