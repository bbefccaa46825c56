//! Windows as weapons: zero for ever, an octet at a time, given and taken back, many connections of that kind (sockstress).

use crate::common::Rng;
use crate::common::*;
use crate::peer::{reach, Offer, Peer};
use crate::scene::Scene;
use ferrule_stack::{Error, TcpState};
use proptest::prelude::*;
use std::time::Duration;

fn with_window(scene: &mut Scene, port: u16, window: u16) -> Peer {
    let offer = Offer {
        window,
        ..Offer::default()
    };
    Peer::open(scene, port, offer)
}

/// True if the victim knows nothing of the connection any more: "a reset is sent in response to any incoming segment except
/// another reset" (RFC 9293 section 3.5.2).
fn is_forgotten(scene: &mut Scene, peer: &mut Peer) -> bool {
    peer.answer(scene).iter().any(|s| s.tcp.rst)
}

#[test]
fn closed_connections_to_peers_that_never_open_their_window_end() {
    // RFC 6429: whoever owns a connection in the persist condition may end it. One that its program has closed has nobody to
    // decide, so it ends with R2 (RFC 9293 section 3.8.3).
    let mut scene = Scene::with(1, |config| config.tcp.max_retransmits = 5);
    let mut peers: Vec<Peer> = (0..200)
        .map(|i| with_window(&mut scene, 1000 + i, 0))
        .collect();
    let now = scene.net.now;
    for peer in &peers {
        let id = peer.id;
        assert_eq!(scene.victim().tcp_send(now, id, &[1; 5_000]), Ok(5_000));
        assert_eq!(scene.victim().close(now, id), Ok(()));
    }
    // Half of them answer each probe with the same window of zero.
    for _ in 0..120 {
        let packets = scene.wait(Duration::from_millis(500));
        for peer in &mut peers[..100] {
            if !peer.take(&packets).is_empty() {
                peer.answer(&mut scene);
            }
        }
        scene.work(Duration::ZERO);
    }
    let probes = scene.victim().stats().tcp_zero_window_probes;
    // One octet at growing intervals (RFC 9293 section 3.8.6.1): 0.2 s doubled five times.
    assert!((200..=6 * 200).contains(&probes), "{probes}");
    for peer in &mut peers {
        assert!(is_forgotten(&mut scene, peer), "{}", peer.me);
    }
    scene.verify();
}

#[test]
fn a_closed_connection_is_not_kept_by_a_window_that_opens_and_shuts() {
    let mut scene = Scene::with(1, |config| config.tcp.max_retransmits = 5);
    let mut peer = with_window(&mut scene, 1000, 0);
    let (now, id) = (scene.net.now, peer.id);
    assert_eq!(scene.victim().tcp_send(now, id, &[1; 5_000]), Ok(5_000));
    assert_eq!(scene.victim().close(now, id), Ok(()));
    // Nothing is ever acknowledged.
    for i in 0..600 {
        let window = [1_000, 0][i % 2];
        peer.send(&mut scene, |h| h.window_size = window, &[], &[]);
        peer.wait(&mut scene, Duration::from_millis(500));
    }
    assert!(is_forgotten(&mut scene, &mut peer));
    scene.verify();
}

#[test]
fn the_user_timeout_also_counts_what_a_zero_window_holds_back() {
    // tcp(7), TCP_USER_TIMEOUT: "the maximum amount of time in milliseconds that transmitted data may remain unacknowledged, or
    // buffered data may remain untransmitted (due to zero window size) before TCP will forcibly close the ... connection".
    let mut scene = Scene::new(1);
    let mut peer = with_window(&mut scene, 1000, 0);
    let (now, id) = (scene.net.now, peer.id);
    let mut options = scene.victim().tcp_options(id).expect("open");
    options.user_timeout = Some(Duration::from_secs(30));
    let set = scene.victim().tcp_set_options(now, id, options);
    assert_eq!(set, Ok(()));
    assert_eq!(scene.victim().tcp_send(now, id, &[1; 5_000]), Ok(5_000));
    for i in 0..70 {
        let state = scene.victim().tcp_state(id);
        let expected = if i < 60 {
            Ok(TcpState::Established)
        } else {
            state
        };
        assert_eq!(state, expected, "after {i} half seconds");
        if !peer.wait(&mut scene, Duration::from_millis(500)).is_empty() {
            peer.answer(&mut scene);
        }
    }
    assert_eq!(scene.victim().tcp_state(id), Ok(TcpState::Closed));
    assert_eq!(scene.victim().take_error(id), Ok(Some(Error::TimedOut)));
    scene.verify();
}

#[test]
fn a_window_of_one_octet_costs_no_more_packets_than_its_peer_sends() {
    let mut scene = Scene::new(1);
    let mut peer = with_window(&mut scene, 1000, 1);
    let (now, id) = (scene.net.now, peer.id);
    assert_eq!(
        scene.victim().tcp_send(now, id, &pattern(0, 5_000)),
        Ok(5_000)
    );
    let mut packets = 0;
    let first = peer.wait(&mut scene, Duration::ZERO);
    peer.keep_all(&first);
    for _ in 0..500 {
        let seen = peer.answer(&mut scene);
        packets += seen.len();
        peer.keep_all(&seen);
    }
    assert!(packets <= 500, "{packets}");
    // RFC 9293 section 3.8.6.2.1: where the window grows, so do the segments.
    peer.window = 60_000;
    peer.receive(&mut scene, 5_000);
    assert!(peer.got == pattern(0, 5_000));
    scene.verify();
}

#[test]
fn drops_of_text_from_many_peers_arrive_and_hold_up_nobody() {
    let mut scene = Scene::new(2);
    let mut peers: Vec<Peer> = (0..50)
        .map(|i| with_window(&mut scene, 1000 + i, 1_000))
        .collect();
    for round in 0..200 {
        for peer in &mut peers {
            peer.say(&mut scene, &pattern(round, 1));
        }
        scene.work(Duration::from_millis(100));
    }
    let now = scene.net.now;
    for peer in &peers {
        let (text, end) = read_all(scene.victim(), now, peer.id);
        assert!(text == pattern(0, 200) && !end);
    }
    scene.verify();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn windows_that_shrink_and_grow_at_random_are_kept_to(seed: u64, steps in 10usize..150) {
        // RFC 9293 section 3.8.6: "a sending TCP peer MUST be robust against window shrinking, which may cause the 'usable window' to
        // become negative"; it "SHOULD NOT send new data (SHLD-15)" then.
        let mut rng = Rng::new(seed);
        let mut scene = Scene::new(1);
        let first = rng.below(3_000) as u16;
        let mut peer = with_window(&mut scene, 1000, first);
        let (mut sent, mut edge) = (0, usize::from(first));
        for _ in 0..steps {
            let (now, most) = (scene.net.now, rng.below(4_000) as usize);
            sent += scene.victim().tcp_send(now, peer.id, &pattern(sent, most)).unwrap_or(0);
            let mut seen = peer.wait(&mut scene, Duration::from_micros(rng.below(300_000)));
            if rng.chance(70) {
                peer.window = [0, 1, rng.below(500), rng.below(20_000)][rng.below(4) as usize] as u16;
                edge = edge.max(peer.got.len() + usize::from(peer.window));
                seen.extend(peer.answer(&mut scene));
            }
            // A probe of one octet may lie beyond (section 3.8.6.1).
            let far = seen.iter().filter(|s| s.data.len() > 1).cloned().collect::<Vec<_>>();
            prop_assert!(reach(&peer, &far) <= edge, "seed {}", seed);
            for s in &seen {
                // What lies beyond the window of now it drops.
                let end = peer.position(s.tcp.sequence_number) + s.data.len();
                if end <= peer.got.len() + usize::from(peer.window) {
                    peer.keep(s);
                    edge = edge.max(peer.got.len() + usize::from(peer.window));
                }
            }
        }
        peer.window = 60_000;
        peer.answer(&mut scene);
        peer.receive(&mut scene, sent);
        prop_assert!(peer.got == pattern(0, sent), "seed {}", seed);
        scene.verify();
    }
}
