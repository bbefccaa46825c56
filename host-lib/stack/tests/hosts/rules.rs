//! One TCP endpoint of ours against hand-made segments: each test is a rule of an RFC.

use crate::common::*;
use etherparse::PacketBuilder;
use ferrule_stack::{Bytes, Error, Instant, Readiness, Shutdown, SocketId, Stack, TcpState};
use std::time::Duration;

const SYN: u8 = 2;
const ACK: u8 = 16;
const FIN: u8 = 1;
const RST: u8 = 4;

/// Plays the peer at `B`, port 9, against our stack at `A`.
struct Script {
    now: Instant,
    us: Stack<Bytes>,
    our_port: u16,
    /// Their next sequence number, and ours that they expect.
    seq: u32,
    ack: u32,
    window: u16,
}

#[derive(Debug, PartialEq, Eq)]
struct Seen {
    flags: u8,
    seq: u32,
    ack: u32,
    len: usize,
    window: u16,
}

impl Script {
    fn new() -> Script {
        Script::with(stack(A))
    }

    fn with(us: Stack<Bytes>) -> Script {
        Script {
            now: Instant::from_millis(1000),
            us,
            our_port: 80,
            seq: 1_000_000,
            ack: 0,
            window: 30_000,
        }
    }

    /// Sends a segment with the options a SYN has if it is one.
    fn send(&mut self, flags: u8, seq: u32, ack: u32, data: &[u8]) {
        let mut tcp =
            PacketBuilder::ipv4(B.octets(), A.octets(), 64).tcp(9, self.our_port, seq, self.window);
        if flags & SYN != 0 {
            tcp = tcp
                .syn()
                .options(&[etherparse::TcpOptionElement::MaximumSegmentSize(1000)])
                .expect("fits");
        }
        if flags & ACK != 0 {
            tcp = tcp.ack(ack);
        }
        if flags & FIN != 0 {
            tcp = tcp.fin();
        }
        if flags & RST != 0 {
            tcp = tcp.rst();
        }
        let mut packet = Vec::new();
        tcp.write(&mut packet, data).expect("a vector takes all");
        feed(&mut self.us, self.now, &packet);
    }

    /// Everything we send now.
    fn seen(&mut self) -> Vec<Seen> {
        let mut out = Vec::new();
        while let Some(packet) = self.us.poll_transmit(self.now) {
            let (tcp, len) = tcp_of(&packet.to_vec());
            let bits = [
                (FIN, tcp.fin),
                (SYN, tcp.syn),
                (RST, tcp.rst),
                (ACK, tcp.ack),
            ];
            let flags = bits
                .into_iter()
                .filter(|(_, set)| *set)
                .map(|(bit, _)| bit)
                .sum();
            out.push(Seen {
                flags,
                seq: tcp.sequence_number,
                ack: tcp.acknowledgment_number,
                len,
                window: tcp.window_size,
            });
        }
        out
    }

    fn one(&mut self) -> Seen {
        let mut seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:?}");
        seen.remove(0)
    }

    fn wait(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }

    /// Listens and brings a connection to ESTABLISHED.
    fn accepted() -> (Script, SocketId) {
        let mut s = Script::new();
        let listener = s.us.tcp_listen(at(A, 80), 4).expect("free");
        s.handshake();
        let (id, _) = s.us.tcp_accept(listener).expect("complete");
        (s, id)
    }

    fn handshake(&mut self) {
        self.send(SYN, self.seq, 0, &[]);
        let syn_ack = self.one();
        assert_eq!((syn_ack.flags, syn_ack.ack), (SYN | ACK, self.seq + 1));
        self.seq += 1;
        self.ack = syn_ack.seq.wrapping_add(1);
        self.send(ACK, self.seq, self.ack, &[]);
    }

    fn sent_from(&self) -> u32 {
        self.ack
    }
}

#[test]
fn a_segment_to_a_closed_port_is_answered_by_the_reset_of_3_10_7_1() {
    let mut s = Script::new();
    s.send(SYN, 100, 0, &[]);
    assert_eq!(
        s.one(),
        Seen {
            flags: RST | ACK,
            seq: 0,
            ack: 101,
            len: 0,
            window: 0
        }
    );
    s.send(ACK, 100, 777, b"abc");
    assert_eq!(
        s.one(),
        Seen {
            flags: RST,
            seq: 777,
            ack: 0,
            len: 0,
            window: 0
        }
    );
    s.send(RST, 100, 0, &[]);
    assert_eq!(s.seen(), []);
}

#[test]
fn rst_counts_only_with_the_exact_sequence_number_rfc_5961_3() {
    let (mut s, id) = Script::accepted();
    s.send(RST, s.seq + 1, 0, &[]);
    let challenge = s.one();
    assert_eq!(
        (challenge.flags, challenge.seq, challenge.ack),
        (ACK, s.ack, s.seq)
    );
    s.send(RST, s.seq.wrapping_sub(1), 0, &[]);
    assert_eq!(s.seen(), []);
    assert_eq!(s.us.tcp_state(id), Ok(TcpState::Established));
    s.send(RST, s.seq, 0, &[]);
    assert_eq!(s.us.tcp_state(id), Ok(TcpState::Closed));
    assert_eq!(
        s.us.tcp_recv(s.now, id, &mut [0; 8]),
        Err(Error::ConnectionReset)
    );
    assert_eq!(s.us.tcp_send(s.now, id, b"x"), Err(Error::BrokenPipe));
}

#[test]
fn syn_in_a_synchronized_state_draws_a_rate_limited_challenge_ack_rfc_5961_4() {
    let (mut s, id) = Script::accepted();
    for _ in 0..50 {
        s.send(SYN, s.seq, 0, &[]);
    }
    let seen = s.seen();
    assert_eq!(seen.len(), 10);
    assert!(seen
        .iter()
        .all(|x| (x.flags, x.seq, x.ack) == (ACK, s.ack, s.seq)));
    assert_eq!(s.us.tcp_state(id), Ok(TcpState::Established));
    s.wait(5000);
    s.send(SYN, s.seq, 0, &[]);
    s.one();
}

#[test]
fn an_ack_of_what_was_never_sent_is_not_taken_rfc_5961_5() {
    let (mut s, id) = Script::accepted();
    s.send(ACK, s.seq, s.ack.wrapping_add(1), b"injected");
    assert_eq!(s.one().flags, ACK);
    s.send(ACK, s.seq, s.ack.wrapping_sub(60_000), b"injected");
    assert_eq!(s.one().flags, ACK);
    assert_eq!(
        s.us.tcp_recv(s.now, id, &mut [0; 8]),
        Err(Error::WouldBlock)
    );
}

#[test]
fn the_accept_queue_takes_backlog_plus_one_and_then_ignores_the_last_ack() {
    let mut s = Script::new();
    let listener = s.us.tcp_listen(at(A, 80), 0).expect("free");
    let mut ends = Vec::new();
    for client in 0..2u16 {
        let mut packet = Vec::new();
        PacketBuilder::ipv4(B.octets(), A.octets(), 64)
            .tcp(1000 + client, 80, 500, 9000)
            .syn()
            .write(&mut packet, &[])
            .expect("a vector takes all");
        feed(&mut s.us, s.now, &packet);
        ends.push((1000 + client, s.one().seq.wrapping_add(1)));
    }
    let last_ack = |s: &mut Script, (port, ack): (u16, u32)| {
        let mut packet = Vec::new();
        PacketBuilder::ipv4(B.octets(), A.octets(), 64)
            .tcp(port, 80, 501, 9000)
            .ack(ack)
            .write(&mut packet, &[])
            .expect("a vector takes all");
        feed(&mut s.us, s.now, &packet);
        s.seen()
    };
    assert_eq!(last_ack(&mut s, ends[0]), []);
    assert_eq!(last_ack(&mut s, ends[1]), []);
    assert_eq!(s.us.stats().dropped_accept_queue_full, 1);
    assert_eq!(s.us.readiness(listener), Ok(Readiness::READABLE));
    assert_eq!(
        s.us.tcp_accept(listener).map(|(_, peer)| peer),
        Ok(at(B, 1000))
    );
    assert_eq!(s.us.tcp_accept(listener), Err(Error::WouldBlock));
    // The SYN-ACK goes out again after the initial RTO of 1 s, and now its ACK finds room.
    s.wait(1000);
    assert_eq!(s.one().flags, SYN | ACK);
    assert_eq!(last_ack(&mut s, ends[1]), []);
    assert_eq!(
        s.us.tcp_accept(listener).map(|(_, peer)| peer),
        Ok(at(B, 1001))
    );
}

#[test]
fn a_syn_is_retransmitted_at_1_3_7_15_31_63_seconds_rfc_6298() {
    let mut s = Script::new();
    let start = s.now;
    let id =
        s.us.tcp_connect(s.now, Some(at(A, 80)), at(B, 9))
            .expect("free");
    assert_eq!(s.one().flags, SYN);
    let mut times = Vec::new();
    while times.len() < 6 {
        s.now = s.us.next_deadline().expect("a timer");
        if !s.seen().is_empty() {
            times.push((s.now - start).as_secs());
        }
    }
    assert_eq!(times, [1, 3, 7, 15, 31, 63]);
    s.send(RST | ACK, 0, 12345, &[]);
    assert_eq!(
        s.us.tcp_state(id),
        Ok(TcpState::SynSent),
        "a RST with a wrong ACK"
    );
    // Given up after more than the 3 minutes that RFC 9293 section 3.8.3 demands.
    while let Some(at) = s.us.next_deadline() {
        s.now = at;
        s.seen();
    }
    assert!((s.now - start).as_secs() >= 180);
    assert_eq!(s.us.take_error(id), Ok(Some(Error::TimedOut)));
}

#[test]
fn connection_refused_is_reported() {
    let mut s = Script::new();
    let id =
        s.us.tcp_connect(s.now, Some(at(A, 80)), at(B, 9))
            .expect("free");
    let syn = s.one();
    s.send(RST | ACK, 0, syn.seq.wrapping_add(1), &[]);
    let (who, what) = s.us.next_event().expect("an event");
    assert_eq!(who, id);
    assert!(what.contains(Readiness::ERROR | Readiness::WRITABLE | Readiness::HANGUP));
    assert_eq!(
        s.us.tcp_send(s.now, id, b"x"),
        Err(Error::ConnectionRefused)
    );
}

#[test]
fn three_duplicate_acks_retransmit_at_once_rfc_5681() {
    let (mut s, id) = Script::accepted();
    s.us.tcp_send(s.now, id, &pattern(0, 8000)).expect("room");
    assert_eq!(s.seen().len(), 8);
    for _ in 0..2 {
        s.send(ACK, s.seq, s.ack, &[]);
        assert_eq!(s.seen(), []);
    }
    s.send(ACK, s.seq, s.ack, &[]);
    let again = s.one();
    assert_eq!((again.seq, again.len), (s.sent_from(), 1000));
    assert_eq!(s.us.stats().tcp_fast_retransmits, 1);
    // A partial ACK (RFC 6582) retransmits the next hole without further duplicates.
    s.send(ACK, s.seq, s.ack.wrapping_add(3000), &[]);
    assert_eq!(s.seen()[0].seq, s.ack.wrapping_add(3000));
}

#[test]
fn a_timeout_retransmits_the_earliest_segment_and_backs_off_rfc_6298_5() {
    let (mut s, id) = Script::accepted();
    s.us.tcp_send(s.now, id, &pattern(0, 3000)).expect("room");
    assert_eq!(s.seen().len(), 3);
    let mut gaps = Vec::new();
    let mut last = s.now;
    while gaps.len() < 4 {
        s.now = s.us.next_deadline().expect("a timer");
        for seen in s.seen() {
            assert_eq!((seen.seq, seen.len), (s.sent_from(), 1000));
            gaps.push((s.now - last).as_millis());
            last = s.now;
        }
    }
    // The handshake took no time at all: RTO is the least there is, then doubles.
    assert_eq!(gaps, [200, 400, 800, 1600]);
}

#[test]
fn a_zero_window_is_probed_and_an_opened_one_used() {
    let (mut s, id) = Script::accepted();
    s.window = 0;
    s.send(ACK, s.seq, s.ack, &[]);
    s.us.tcp_send(s.now, id, &pattern(0, 5000)).expect("room");
    assert_eq!(s.seen(), []);
    for _ in 0..40 {
        s.now = s.us.next_deadline().expect("the persist timer");
        let probe = s.one();
        assert_eq!((probe.seq, probe.len), (s.sent_from(), 1));
        s.send(ACK, s.seq, s.ack, &[]);
        assert_eq!(s.seen(), []);
    }
    assert_eq!(
        s.us.tcp_state(id),
        Ok(TcpState::Established),
        "a peer that answers probes is alive"
    );
    s.window = 3000;
    s.send(ACK, s.seq, s.ack, &[]);
    let lens: Vec<usize> = s.seen().iter().map(|x| x.len).collect();
    assert_eq!(lens, [1000, 1000, 1000]);
}

#[test]
fn our_window_closes_and_opens_by_a_segment_at_least() {
    let (mut s, id) = Script::accepted();
    s.us.set_recv_buffer(s.now, id, 4000).expect("open");
    s.seen();
    let start = s.seq;
    let (mut last, mut taken) = (65_535, 0);
    // What was advertised before the buffer shrank stays promised.
    while last > 0 {
        s.send(ACK, start + taken, s.ack, &pattern(taken as usize, 1000));
        s.wait(100);
        for seen in s.seen() {
            (last, taken) = (seen.window, seen.ack - start);
        }
        assert!(taken < 200_000, "the window never closed");
    }
    let taken = taken as usize;
    let mut buf = vec![0; taken];
    s.us.tcp_recv(s.now, id, &mut buf[..100]).expect("data");
    assert_eq!(s.seen(), [], "a silly window");
    let mut got = 100;
    while got < taken {
        got += s.us.tcp_recv(s.now, id, &mut buf[got..]).expect("data");
    }
    assert!(buf == pattern(0, taken));
    assert!(s.one().window > 0);
}

#[test]
fn nagle_joins_small_sends_and_nodelay_parts_them() {
    let (mut s, id) = Script::accepted();
    let lens = |s: &mut Script| s.seen().iter().map(|x| x.len).collect::<Vec<_>>();
    s.us.tcp_send(s.now, id, b"a").expect("room");
    assert_eq!(lens(&mut s), [1]);
    s.us.tcp_send(s.now, id, b"bc").expect("room");
    s.us.tcp_send(s.now, id, b"def").expect("room");
    assert_eq!(lens(&mut s), []);
    s.ack = s.ack.wrapping_add(1);
    s.send(ACK, s.seq, s.ack, &[]);
    assert_eq!(lens(&mut s), [5]);
    let mut options = s.us.tcp_options(id).expect("open");
    options.nodelay = true;
    s.us.tcp_set_options(s.now, id, options).expect("open");
    s.us.tcp_send(s.now, id, b"g").expect("room");
    assert_eq!(lens(&mut s), [1]);
    s.us.tcp_send(s.now, id, b"h").expect("room");
    assert_eq!(lens(&mut s), [1]);
    assert_eq!(s.us.tcp_send(s.now, id, b""), Ok(0));
    assert_eq!(lens(&mut s), [], "an empty send is no segment");
}

#[test]
fn one_segment_waits_for_the_delayed_ack_and_two_do_not() {
    let (mut s, _id) = Script::accepted();
    s.send(ACK, s.seq, s.ack, &pattern(0, 1000));
    assert_eq!(s.seen(), []);
    s.wait(39);
    assert_eq!(s.seen(), []);
    s.wait(1);
    assert_eq!(s.one().ack, s.seq + 1000);
    s.send(ACK, s.seq + 1000, s.ack, &pattern(0, 1000));
    s.send(ACK, s.seq + 2000, s.ack, &pattern(0, 1000));
    assert_eq!(s.one().ack, s.seq + 3000);
}

#[test]
fn out_of_order_segments_are_kept_and_each_draws_a_duplicate_ack() {
    let (mut s, id) = Script::accepted();
    for i in [3u32, 2, 4] {
        s.send(ACK, s.seq + i * 100, s.ack, &pattern(i as usize * 100, 100));
    }
    let seen = s.seen();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|x| x.ack == s.seq && x.len == 0));
    s.send(ACK, s.seq, s.ack, &pattern(0, 200));
    assert_eq!(s.one().ack, s.seq + 500);
    assert!(read_all(&mut s.us, s.now, id).0 == pattern(0, 500));
}

#[test]
fn closing_with_unread_data_resets_rfc_2525_2_17() {
    let (mut s, id) = Script::accepted();
    s.send(ACK, s.seq, s.ack, b"unread");
    s.us.close(s.now, id).expect("open");
    let reset = s.one();
    assert_eq!((reset.flags & RST, reset.seq), (RST, s.ack));
    assert_eq!(s.us.close(s.now, id), Err(Error::Stale));
    s.send(ACK, s.seq + 6, s.ack, b"more");
    assert_eq!(s.one().flags, RST, "nothing is left of the connection");
}

#[test]
fn data_for_a_program_that_has_closed_resets() {
    let (mut s, id) = Script::accepted();
    s.us.close(s.now, id).expect("open");
    assert_eq!(s.one().flags, FIN | ACK);
    s.send(ACK, s.seq, s.ack.wrapping_add(1), b"too late");
    assert_eq!(s.one().flags & RST, RST);
}

#[test]
fn time_wait_acknowledges_a_fin_again_and_lets_a_newer_syn_reopen() {
    let (mut s, id) = Script::accepted();
    s.us.close(s.now, id).expect("open");
    let fin = s.one();
    assert_eq!((fin.flags, fin.seq), (FIN | ACK, s.ack));
    s.ack = s.ack.wrapping_add(1);
    s.send(FIN | ACK, s.seq, s.ack, &[]);
    assert_eq!(s.one().ack, s.seq + 1);
    s.wait(10_000);
    s.send(FIN | ACK, s.seq, s.ack, &[]);
    assert_eq!(s.one().ack, s.seq + 1);
    // RFC 1122 section 4.2.2.13: an old SYN is not taken, a newer one is, with a larger ISN.
    s.wait(1000);
    s.send(SYN, s.seq - 5000, 0, &[]);
    assert_eq!(s.one().flags, ACK);
    let old = s.ack;
    s.seq += 70_000;
    s.send(SYN, s.seq, 0, &[]);
    let syn_ack = s.one();
    assert_eq!(syn_ack.flags, SYN | ACK);
    assert!((syn_ack.seq.wrapping_sub(old) as i32) > 0);
}

#[test]
fn a_packet_parked_for_address_resolution_is_no_loss() {
    let mut s = Script::new();
    let id =
        s.us.tcp_connect(s.now, Some(at(A, 80)), at(B, 9))
            .expect("free");
    let syn = s.us.poll_transmit(s.now).expect("the SYN");
    s.us.on_parked(s.now, syn.token);
    assert_eq!(
        s.us.next_deadline(),
        None,
        "no timer runs for a parked packet"
    );
    s.wait(2500);
    assert_eq!(s.seen(), []);
    s.us.on_released(s.now, syn.token);
    s.wait(300);
    let (tcp, _) = tcp_of(&syn.to_vec());
    s.send(SYN | ACK, s.seq, tcp.sequence_number.wrapping_add(1), &[]);
    assert_eq!(s.one().flags, ACK);
    assert_eq!(s.us.tcp_state(id), Ok(TcpState::Established));
    let stats = s.us.stats();
    assert_eq!((stats.tcp_retransmits, stats.tcp_timeouts), (0, 0));
    assert_eq!(
        s.us.tcp_round_trip_time(id),
        Ok(None),
        "no sample from a parked packet"
    );
}

#[test]
fn a_next_hop_that_never_answers_is_host_unreachable() {
    let mut s = Script::new();
    let id =
        s.us.tcp_connect(s.now, Some(at(A, 80)), at(B, 9))
            .expect("free");
    let syn = s.us.poll_transmit(s.now).expect("the SYN");
    s.us.on_parked(s.now, syn.token);
    s.us.on_unreachable(s.now, syn.token);
    assert_eq!(s.us.take_error(id), Ok(Some(Error::HostUnreachable)));
    let udp = s.us.udp_bind(at(A, 0)).expect("free");
    s.us.udp_send_to(udp, b"x", Some(at(B, 9))).expect("room");
    let packet = s.us.poll_transmit(s.now).expect("the datagram");
    s.us.on_unreachable(s.now, packet.token);
    assert_eq!(
        s.us.udp_recv_from(udp, &mut [0; 4]),
        Err(Error::HostUnreachable)
    );
}

#[test]
fn an_exact_address_is_served_before_a_wildcard() {
    let mut s = Script::new();
    let any =
        s.us.tcp_listen(at([0, 0, 0, 0].into(), 81), 4)
            .expect("free");
    assert_eq!(s.us.tcp_listen(at(A, 81), 4), Err(Error::AddrInUse));
    assert_eq!(s.us.tcp_listen(at(B, 82), 4), Err(Error::AddrNotAvailable));
    s.our_port = 81;
    s.handshake();
    assert!(s.us.tcp_accept(any).is_ok());
}

#[test]
fn closing_a_listener_resets_those_who_wait() {
    let mut s = Script::new();
    let listener = s.us.tcp_listen(at(A, 80), 4).expect("free");
    s.handshake();
    s.us.close(s.now, listener).expect("open");
    assert_eq!(s.one().flags & RST, RST);
    s.send(SYN, 5, 0, &[]);
    assert_eq!(s.one().flags, RST | ACK);
}

#[test]
fn shutdown_of_reading_ends_the_stream_and_of_writing_sends_a_fin() {
    let (mut s, id) = Script::accepted();
    s.us.tcp_shutdown(s.now, id, Shutdown::Read).expect("open");
    assert_eq!(s.us.tcp_recv(s.now, id, &mut [0; 4]), Ok(0));
    s.us.tcp_send(s.now, id, b"bye").expect("room");
    s.us.tcp_shutdown(s.now, id, Shutdown::Write).expect("open");
    let last = s.one();
    assert_eq!((last.flags, last.len), (FIN | ACK, 3));
    assert_eq!(s.us.tcp_send(s.now, id, b"more"), Err(Error::BrokenPipe));
}

#[test]
fn a_forged_checksum_changes_nothing() {
    let (mut s, id) = Script::accepted();
    let mut packet = Vec::new();
    PacketBuilder::ipv4(B.octets(), A.octets(), 64)
        .tcp(9, 80, s.seq, 100)
        .ack(s.ack)
        .write(&mut packet, b"data")
        .expect("a vector takes all");
    packet[36] ^= 1;
    feed(&mut s.us, s.now, &packet);
    assert_eq!(s.us.stats().dropped_checksum, 1);
    assert_eq!(
        s.us.tcp_recv(s.now, id, &mut [0; 4]),
        Err(Error::WouldBlock)
    );
}

#[test]
fn fin_wait_2_sends_nothing_more_and_still_receives() {
    let (mut s, id) = Script::accepted();
    s.us.tcp_shutdown(s.now, id, Shutdown::Write).expect("open");
    assert_eq!(
        (s.one().flags, s.us.tcp_state(id)),
        (FIN | ACK, Ok(TcpState::FinWait1))
    );
    s.ack = s.ack.wrapping_add(1);
    s.send(ACK, s.seq, s.ack, &[]);
    assert_eq!(s.seen(), []);
    assert_eq!(s.us.tcp_state(id), Ok(TcpState::FinWait2));
    assert_eq!(s.us.next_deadline(), None);
    s.send(ACK, s.seq, s.ack, b"late");
    s.wait(40);
    let ack = s.one();
    assert_eq!((ack.flags, ack.seq, ack.ack), (ACK, s.ack, s.seq + 4));
    // A program that closes now leaves the connection to a timer.
    s.us.tcp_recv(s.now, id, &mut [0; 8]).expect("data");
    s.us.close(s.now, id).expect("open");
    s.wait(60_000);
    assert_eq!(s.seen(), []);
    s.send(FIN | ACK, s.seq + 4, s.ack, &[]);
    assert_eq!(s.one().flags, RST);
}

#[test]
fn a_lost_fin_is_sent_again_alone() {
    let (mut s, id) = Script::accepted();
    s.us.tcp_send(s.now, id, b"abc").expect("room");
    s.us.tcp_shutdown(s.now, id, Shutdown::Write).expect("open");
    assert_eq!(s.one().flags, FIN | ACK);
    s.send(ACK, s.seq, s.ack.wrapping_add(3), &[]);
    assert_eq!(s.seen(), []);
    s.now = s.us.next_deadline().expect("the retransmission timer");
    let again = s.one();
    assert_eq!(
        (again.flags, again.seq, again.len),
        (FIN | ACK, s.ack.wrapping_add(3), 0)
    );
}

#[test]
fn a_fin_waits_for_a_closed_window_and_is_probed() {
    let (mut s, id) = Script::accepted();
    s.window = 0;
    s.send(ACK, s.seq, s.ack, &[]);
    s.us.tcp_shutdown(s.now, id, Shutdown::Write).expect("open");
    assert_eq!(s.seen(), []);
    s.now = s.us.next_deadline().expect("the persist timer");
    assert_eq!(s.one().flags, FIN | ACK);
    s.send(ACK, s.seq, s.ack.wrapping_add(1), &[]);
    assert_eq!(s.us.tcp_state(id), Ok(TcpState::FinWait2));
}

#[test]
fn a_path_mtu_message_makes_segments_smaller_if_it_quotes_what_is_in_flight() {
    let (mut s, id) = Script::accepted();
    s.us.tcp_send(s.now, id, &pattern(0, 1000)).expect("room");
    let sent = s.us.poll_transmit(s.now).expect("a segment").to_vec();
    let too_big = |quote: &[u8]| {
        let mut packet = Vec::new();
        let header =
            etherparse::icmpv4::DestUnreachableHeader::FragmentationNeeded { next_hop_mtu: 600 };
        PacketBuilder::ipv4([10, 0, 0, 254], A.octets(), 64)
            .icmpv4(etherparse::Icmpv4Type::DestinationUnreachable(header))
            .write(&mut packet, quote)
            .expect("a vector takes all");
        packet
    };
    let mut forged = sent[..28].to_vec();
    forged[24] ^= 0x80;
    feed(&mut s.us, s.now, &too_big(&forged));
    assert_eq!(s.seen(), [], "RFC 5927 section 4.1");
    feed(&mut s.us, s.now, &too_big(&sent[..28]));
    // RFC 1191 section 6.4: one at first, the others when it is acknowledged.
    assert_eq!(s.one().len, 560);
    s.send(ACK, s.seq, s.ack.wrapping_add(560), &[]);
    assert_eq!(s.one().len, 440);
}

#[test]
fn a_writer_is_woken_when_a_third_of_its_buffer_is_free_asked_or_not() {
    let (mut s, id) = Script::accepted();
    s.us.set_send_buffer(id, 3000).expect("open");
    while s.us.next_event().is_some() {}
    assert_eq!(s.us.tcp_send(s.now, id, &pattern(0, 3000)), Ok(3000));
    assert_eq!(
        s.us.readiness(id).map(|r| r.contains(Readiness::WRITABLE)),
        Ok(false)
    );
    assert_eq!(s.seen().len(), 3);
    s.send(ACK, s.seq, s.ack.wrapping_add(1000), &[]);
    assert_eq!(s.us.next_event(), Some((id, Readiness::WRITABLE)));
    assert_eq!(
        s.us.readiness(id).map(|r| r.contains(Readiness::WRITABLE)),
        Ok(true)
    );
}

#[test]
fn a_stack_can_be_shared_behind_a_lock() {
    fn assert_send<T: Send>(_: &T) {}
    assert_send(&stack(A));
}
