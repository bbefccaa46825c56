//! Two of our stacks in virtual time: whatever the wire does, bytes arrive once and in order.

use crate::common::*;
use ferrule_stack::{
    Algorithm, Bytes, Ecn, Error, Instant, Payload, Readiness, Shutdown, Stack, TcpState,
};
use std::time::Duration;

/// Nothing is sent beyond what the other side has ever allowed, but for the one octet of a zero-window probe.
fn check_windows(log: &[(Instant, usize, Vec<u8>)], seed: u64) {
    let mut edge: [Option<u32>; 2] = [None; 2];
    let mut shift = [0u32; 2];
    let later = |a: u32, b: u32| if (a.wrapping_sub(b) as i32) > 0 { a } else { b };
    for (when, to, packet) in log {
        let (tcp, len) = tcp_of(packet);
        if tcp.syn {
            shift[1 - to] = tcp
                .options_iterator()
                .find_map(|o| match o {
                    Ok(etherparse::TcpOptionElement::WindowScale(s)) => Some(u32::from(s)),
                    _ => None,
                })
                .expect("both of us offer window scaling");
        }
        if let (Some(edge), false) = (edge[1 - to], tcp.rst) {
            let end = tcp.sequence_number.wrapping_add(len as u32);
            let beyond = end.wrapping_sub(edge) as i32;
            assert!(
                beyond <= i32::from(len == 1),
                "seed {seed}: {beyond} octets beyond the window at {when:?}"
            );
        }
        if tcp.ack && !tcp.rst {
            let scale = if tcp.syn { 0 } else { shift[1 - to] };
            let allows = tcp
                .acknowledgment_number
                .wrapping_add(u32::from(tcp.window_size) << scale);
            edge[*to] = Some(edge[*to].map_or(allows, |e| later(allows, e)));
        }
    }
}

/// Nothing is sent again before word of its last transmission can have come back: within the wire's round trip. Without SACK
/// duplicate ACKs that were late say less.
fn check_retransmissions(log: &[(Instant, usize, Vec<u8>)], wire: Wire, seed: u64) {
    let round_trip = 2 * Duration::from_micros(wire.delay_us);
    let mut first: [Option<u32>; 2] = [None; 2];
    // When each octet was last sent; probes of a single octet go by other rules.
    let mut sent: [Vec<Option<Instant>>; 2] = [Vec::new(), Vec::new()];
    let with_sack = |packet: &[u8]| {
        let (tcp, _) = tcp_of(packet);
        let permitted = etherparse::TcpOptionElement::SelectiveAcknowledgementPermitted;
        let found = tcp.options_iterator().any(|o| o == Ok(permitted.clone()));
        !tcp.syn || found
    };
    if !log.iter().all(|(_, _, packet)| with_sack(packet)) {
        return;
    }
    for (when, to, packet) in log {
        let (tcp, len) = tcp_of(packet);
        let side = 1 - to;
        let octets = len + usize::from(tcp.fin);
        if tcp.syn {
            first[side].get_or_insert(tcp.sequence_number.wrapping_add(1));
        }
        let (Some(first), false, true) = (first[side], tcp.rst || tcp.syn, octets > 0) else {
            continue;
        };
        let from = tcp.sequence_number.wrapping_sub(first) as usize;
        let sent = &mut sent[side];
        if sent.len() == from + octets {
            // A tail loss probe comes when the timer of older data runs out (RFC 8985 section 7.2).
            sent[from..].fill((octets > 1).then_some(*when));
            continue;
        }
        if sent.len() < from + octets {
            sent.resize(from + octets, None);
        }
        for octet in &mut sent[from..from + octets] {
            assert!(
                octet.is_none_or(|at| *when - at >= round_trip),
                "seed {seed}: side {side} sends {from}+{octets} again at {when:?}, last sent at {octet:?}"
            );
            *octet = (octets > 1).then_some(*when);
        }
    }
}

/// Sends `len` bytes each way over a wire, closes both ways, and checks everything on the way.
fn transfer(wire: Wire, seed: u64, len: [usize; 2]) {
    let mut choices = Rng::new(seed ^ 0xabcd);
    let mut host = |ip| {
        let mut config = config(ip);
        config.tcp.recv_buffer_bytes = [700, 3000, 20_000, 262_144][choices.below(4) as usize];
        config.tcp.send_buffer_bytes = [700, 3000, 20_000, 262_144][choices.below(4) as usize];
        config.tcp.timestamps = choices.chance(70);
        config.tcp.sack = choices.chance(70);
        config.tcp.ecn = [Ecn::Never, Ecn::WhenAsked, Ecn::Always][choices.below(3) as usize];
        config.tcp.congestion = [Algorithm::Cubic, Algorithm::NewReno][choices.below(2) as usize];
        Stack::new(config)
    };
    let mut net = Net::with(host(A), host(B), wire, seed);
    net.air.log = Some(Vec::new());
    let (client, server) = net.connect(80);
    let ids = [client, server];
    let (mut sent, mut got, mut done) = ([0usize; 2], [0usize; 2], [false; 2]);
    let mut closed = [false; 2];
    // Readers pause, so that windows close.
    let mut pause = [Instant::ZERO; 2];
    let until = Instant::ZERO + Duration::from_secs(3600 * 10);
    while !(done[0] && done[1]) {
        for side in 0..2 {
            let host = &mut net.hosts[side];
            if sent[side] < len[side] {
                let n = (1 + choices.below(5000) as usize).min(len[side] - sent[side]);
                match host.tcp_send(net.now, ids[side], &pattern(sent[side], n)) {
                    Ok(n) => sent[side] += n,
                    Err(Error::WouldBlock) => {}
                    Err(error) => panic!("seed {seed}: send on side {side}: {error}"),
                }
            } else if !closed[side] {
                host.tcp_shutdown(net.now, ids[side], Shutdown::Write)
                    .expect("open");
                closed[side] = true;
            }
            if !done[side] && net.now >= pause[side] {
                if choices.chance(10) {
                    pause[side] = net.now + Duration::from_millis(choices.below(3000));
                }
                let mut buf = vec![0; 1 + choices.below(20_000) as usize];
                match host.tcp_recv(net.now, ids[side], &mut buf) {
                    Ok(0) => {
                        assert_eq!(
                            got[side],
                            len[1 - side],
                            "seed {seed}: end of stream early on side {side}"
                        );
                        done[side] = true;
                    }
                    Ok(n) => {
                        assert!(
                            buf[..n] == pattern(got[side], n)[..],
                            "seed {seed}: wrong bytes on side {side}"
                        );
                        got[side] += n;
                    }
                    Err(Error::WouldBlock) => {}
                    Err(error) => panic!("seed {seed}: recv on side {side}: {error}"),
                }
            }
        }
        net.pump();
        // Let time pass only when nobody can go on at this instant.
        let busy = (0..2).any(|s| {
            let r = net.hosts[s].readiness(ids[s]).expect("open");
            !done[s] && net.now >= pause[s] && r.contains(Readiness::READABLE)
                || !closed[s] && r.contains(Readiness::WRITABLE)
        });
        if !busy {
            let wake = pause.into_iter().filter(|p| *p > net.now).min();
            let moved = net.step(wake.unwrap_or(until));
            assert!(
                moved || wake.is_some() || done[0] && done[1],
                "seed {seed}: stuck at {:?}, got {got:?} of {len:?}",
                net.now
            );
        }
    }
    for (side, id) in ids.into_iter().enumerate() {
        net.hosts[side].close(net.now, id).expect("open");
    }
    net.run_for(Duration::from_secs(400));
    let log = net.air.log.take().expect("was set");
    check_windows(&log, seed);
    check_retransmissions(&log, wire, seed);
    for (side, id) in ids.into_iter().enumerate() {
        assert_eq!(net.hosts[side].tcp_state(id), Err(Error::Stale));
    }
}

#[test]
fn a_clean_wire_needs_no_retransmission() {
    let mut net = Net::new(
        Wire {
            delay_us: 1000,
            ..Wire::default()
        },
        1,
    );
    let (client, server) = net.connect(80);
    let mut sent = 0;
    let mut got = Vec::new();
    while got.len() < 1_000_000 {
        if sent < 1_000_000 {
            let n = (1_000_000 - sent).min(10_000);
            sent += net.hosts[0]
                .tcp_send(net.now, client, &pattern(sent, n))
                .unwrap_or(0);
        }
        let until = net.now + Duration::from_secs(1);
        assert!(net.step(until));
        got.extend(read_all(&mut net.hosts[1], net.now, server).0);
    }
    assert!(got == pattern(0, 1_000_000));
    for host in &net.hosts {
        let s = host.stats();
        assert_eq!(
            (
                s.tcp_retransmits,
                s.tcp_timeouts,
                s.tcp_out_of_order,
                s.tcp_resets_out
            ),
            (0, 0, 0, 0)
        );
    }
    // RFC 5681 section 4.2: at least every second full-sized segment is acknowledged.
    let (data, acks) = (
        net.hosts[0].stats().tcp_segments_out,
        net.hosts[1].stats().tcp_segments_out,
    );
    assert!(
        acks * 2 + 10 >= data && acks <= data,
        "{acks} ACKs for {data} segments"
    );
}

#[test]
fn bytes_arrive_once_and_in_order_over_any_wire() {
    // The seeds run when all 100,000 are not asked for.
    let seeds = std::env::var("FERRULE_SEEDS").map_or(2500, |n| n.parse().expect("a number"));
    for seed in 0..seeds {
        let mut rng = Rng::new(seed);
        let wire = Wire {
            loss: rng.below(20),
            duplicate: rng.below(10),
            corrupt: rng.below(10),
            jitter_us: rng.below(20_000),
            delay_us: rng.below(50_000),
        };
        let len = [rng.below(60_000) as usize, rng.below(60_000) as usize];
        transfer(wire, seed, len);
    }
}

#[test]
fn an_orderly_close_passes_the_states_of_figure_5() {
    // RFC 9293 figure 5, the left and the right path, with the states of section 3.6 case 2.
    let mut net = Net::new(
        Wire {
            delay_us: 10_000,
            ..Wire::default()
        },
        1,
    );
    let (client, server) = net.connect(80);
    let states = |net: &Net| {
        (
            net.hosts[0].tcp_state(client).ok(),
            net.hosts[1].tcp_state(server).ok(),
        )
    };
    net.run_for(Duration::from_secs(1));
    assert_eq!(
        states(&net),
        (Some(TcpState::Established), Some(TcpState::Established))
    );
    net.hosts[0]
        .tcp_shutdown(net.now, client, Shutdown::Write)
        .expect("open");
    net.run_for(Duration::from_millis(5));
    assert_eq!(
        states(&net),
        (Some(TcpState::FinWait1), Some(TcpState::Established))
    );
    net.run_for(Duration::from_millis(5));
    assert_eq!(
        states(&net),
        (Some(TcpState::FinWait1), Some(TcpState::CloseWait))
    );
    net.run_for(Duration::from_millis(100));
    assert_eq!(
        states(&net),
        (Some(TcpState::FinWait2), Some(TcpState::CloseWait))
    );
    // The half-closed connection still carries data the other way.
    let now = net.now;
    assert_eq!(net.hosts[1].tcp_send(now, server, b"late"), Ok(4));
    net.run_for(Duration::from_millis(100));
    assert_eq!(
        read_all(&mut net.hosts[0], now, client),
        (b"late".to_vec(), false)
    );
    net.hosts[1]
        .tcp_shutdown(net.now, server, Shutdown::Write)
        .expect("open");
    net.run_for(Duration::from_millis(15));
    assert_eq!(
        states(&net),
        (Some(TcpState::TimeWait), Some(TcpState::LastAck))
    );
    net.run_for(Duration::from_millis(10));
    assert_eq!(
        states(&net),
        (Some(TcpState::TimeWait), Some(TcpState::Closed))
    );
    // 2 MSL of 30 s.
    net.run_for(Duration::from_secs(59));
    assert_eq!(states(&net).0, Some(TcpState::TimeWait));
    net.run_for(Duration::from_secs(1));
    assert_eq!(states(&net).0, Some(TcpState::Closed));
}

#[test]
fn simultaneous_close_passes_closing() {
    let mut net = Net::new(
        Wire {
            delay_us: 10_000,
            ..Wire::default()
        },
        1,
    );
    let (client, server) = net.connect(80);
    net.run_for(Duration::from_secs(1));
    net.hosts[0]
        .tcp_shutdown(net.now, client, Shutdown::Write)
        .expect("open");
    net.hosts[1]
        .tcp_shutdown(net.now, server, Shutdown::Write)
        .expect("open");
    net.run_for(Duration::from_millis(10));
    assert_eq!(net.hosts[0].tcp_state(client), Ok(TcpState::Closing));
    assert_eq!(net.hosts[1].tcp_state(server), Ok(TcpState::Closing));
    net.run_for(Duration::from_millis(10));
    assert_eq!(net.hosts[0].tcp_state(client), Ok(TcpState::TimeWait));
    assert_eq!(net.hosts[1].tcp_state(server), Ok(TcpState::TimeWait));
}

#[test]
fn simultaneous_open_makes_one_connection() {
    // RFC 9293 figure 7.
    let mut net = Net::new(
        Wire {
            delay_us: 10_000,
            ..Wire::default()
        },
        1,
    );
    let a = net.hosts[0]
        .tcp_connect(net.now, Some(at(A, 5000)), at(B, 6000))
        .expect("free");
    let b = net.hosts[1]
        .tcp_connect(net.now, Some(at(B, 6000)), at(A, 5000))
        .expect("free");
    net.run_for(Duration::from_millis(10));
    assert_eq!(net.hosts[0].tcp_state(a), Ok(TcpState::SynReceived));
    net.run_for(Duration::from_millis(100));
    assert_eq!(net.hosts[0].tcp_state(a), Ok(TcpState::Established));
    assert_eq!(net.hosts[1].tcp_state(b), Ok(TcpState::Established));
    let now = net.now;
    net.hosts[0]
        .tcp_send(now, a, &pattern(0, 30_000))
        .expect("room");
    net.run_for(Duration::from_secs(1));
    assert!(read_all(&mut net.hosts[1], now, b).0 == pattern(0, 30_000));
    assert_eq!(
        net.hosts[0].stats().tcp_timeouts + net.hosts[1].stats().tcp_timeouts,
        0
    );
}

#[test]
fn bytes_sent_by_handle_arrive_in_order_among_copied_ones_and_can_be_taken_by_handle() {
    let wire = Wire {
        delay_us: 100,
        ..Wire::default()
    };
    let mut net = Net::new(wire, 3);
    let (client, server) = net.connect(80);
    let data = pattern(0, 60_000);
    let whole = Bytes::from(&data[..]);
    let (mut sent, mut got) = (0, Vec::new());
    while got.len() < data.len() {
        let end = data.len().min(sent + 7_000);
        if sent < end {
            let host = &mut net.hosts[0];
            sent += match sent % 2 {
                0 => host.tcp_send_bytes(net.now, client, &whole.slice(sent..end)),
                _ => host.tcp_send(net.now, client, &data[sent..end.min(sent + 333)]),
            }
            .expect("room");
        }
        net.run_for(Duration::from_millis(1));
        match net.hosts[1].tcp_recv_chunks(net.now, server) {
            Ok(rope) => got.extend(rope.to_vec()),
            Err(error) => assert_eq!(error, Error::WouldBlock),
        }
    }
    assert!(got == data);
    net.hosts[0].close(net.now, client).expect("open");
    net.run_for(Duration::from_millis(1));
    let end = net.hosts[1]
        .tcp_recv_chunks(net.now, server)
        .expect("end of stream");
    assert!(end.is_empty());
}
