//! The neighbour block as a whole, scenario by scenario.
use super::harness::{addr, reply, request, Answer, Bench, Notice, AGE, OWN_MAC, RETRY};
use crate::common;
use ferrule_abi::counter;
use ferrule_rtl::neigh::engine::Neigh;
use rust_hdl::prelude::*;
use smoltcp::wire::ArpRepr;

const REQUEST: u16 = 1;
const REPLY: u16 = 2;
const PEER: [u8; 6] = [0x52, 0x54, 0x00, 0xAB, 0xCD, 0xEF];
const OTHER: [u8; 6] = [0x52, 0x54, 0x00, 0x01, 0x02, 0x03];
const BROADCAST: [u8; 6] = [0xFF; 6];

/// Resolves 10.0.0.x (or another on-link address) by asking and answering.
fn resolve(b: &mut Bench, ip: &str, mac: [u8; 6]) {
    assert_eq!(b.lookup(ip), Answer::Miss(addr(ip)));
    b.receive(REPLY, mac, ip, "10.0.0.1");
    assert_eq!(b.notices.pop(), Some(Notice::Resolved(addr(ip))));
    assert_eq!(b.lookup(ip), Answer::Hit(mac));
    b.frames.clear();
}

#[test]
fn a_request_for_us_is_answered_and_its_sender_learned() {
    let mut b = Bench::new();
    b.receive(REQUEST, PEER, "10.0.0.9", "10.0.0.1");
    assert_eq!(b.sent(), [reply("10.0.0.1", PEER, "10.0.0.9")]);
    assert_eq!(b.counts[counter::ARP_REPLIES as usize], 1);
    assert_eq!(b.lookup("10.0.0.9"), Answer::Hit(PEER));
    assert!(b.notices.is_empty() && b.deadline().is_none());
}

#[test]
fn a_request_for_another_host_is_ignored() {
    let mut b = Bench::new();
    b.receive(REQUEST, PEER, "10.0.0.9", "10.0.0.2");
    assert!(b.sent().is_empty());
    assert_eq!(b.lookup("10.0.0.9"), Answer::Miss(addr("10.0.0.9")));
}

/// RFC 5227 section 2.1.1: a probe has sender address 0.0.0.0; it is answered, and nothing is learned from it.
#[test]
fn a_probe_for_our_address_is_defended() {
    let mut b = Bench::new();
    b.receive(REQUEST, PEER, "0.0.0.0", "10.0.0.1");
    assert_eq!(b.sent(), [reply("10.0.0.1", PEER, "0.0.0.0")]);
}

#[test]
fn every_local_address_is_answered_for() {
    let mut b = Bench::new();
    for n in 1..8 {
        b.local(n, &format!("10.{n}.0.1"), 24);
    }
    for n in 0..8 {
        let (ours, theirs) = (format!("10.{n}.0.1"), format!("10.{n}.0.7"));
        b.receive(REQUEST, PEER, &theirs, &ours);
        assert_eq!(b.sent(), [reply(&ours, PEER, &theirs)]);
        b.flush_now();
        assert_eq!(b.lookup(&theirs), Answer::Miss(addr(&theirs)));
        b.idle();
        assert_eq!(b.sent(), [request(&ours, &theirs)]);
    }
}

/// RFC 1812 section 3.3.2: no ARP packet that claims a group address is believed; our own echoes are not either.
#[test]
fn impossible_hardware_addresses_are_ignored() {
    let mut b = Bench::new();
    assert!(matches!(b.lookup("10.0.0.9"), Answer::Miss(_)));
    b.idle();
    b.frames.clear();
    for sha in [BROADCAST, [0x01, 0, 0x5E, 1, 2, 3], [0; 6], OWN_MAC] {
        b.receive(REQUEST, sha, "10.0.0.9", "10.0.0.1");
        b.receive(REPLY, sha, "10.0.0.9", "10.0.0.1");
    }
    assert!(b.sent().is_empty() && b.notices.is_empty());
    assert_eq!(b.lookup("10.0.0.9"), Answer::Miss(addr("10.0.0.9")));
}

#[test]
fn impossible_protocol_addresses_are_not_learned() {
    let mut b = Bench::new();
    b.gateway(2, "10.0.0.255");
    b.gateway(3, "192.168.7.7");
    // Ours, the subnet's broadcast address, and one that is not on link.
    for (spa, hop) in [("10.0.0.1", 0), ("10.0.0.255", 2), ("192.168.7.7", 3)] {
        b.receive(REQUEST, PEER, spa, "10.0.0.1");
        assert_eq!(b.sent(), [reply("10.0.0.1", PEER, spa)]);
        let answer = b.lookup_via("8.8.8.8", hop);
        assert!(matches!(answer, Answer::Miss(_)), "{spa}: {answer:?}");
        b.idle();
        b.frames.clear();
    }
    // A mask of nothing holds class D and E too.
    b.local(0, "10.0.0.1", 0);
    b.receive(REQUEST, PEER, "240.0.0.1", "10.0.0.1");
    assert_eq!(b.lookup("240.0.0.1"), Answer::Miss(addr("240.0.0.1")));
}

#[test]
fn a_gratuitous_packet_refreshes_but_does_not_create() {
    let mut b = Bench::new();
    for op in [REQUEST, REPLY] {
        b.receive(op, PEER, "10.0.0.9", "10.0.0.9");
        assert!(b.sent().is_empty());
    }
    resolve(&mut b, "10.0.0.9", PEER);
    for (op, mac) in [(REQUEST, OTHER), (REPLY, PEER)] {
        b.receive(op, mac, "10.0.0.9", "10.0.0.9");
        assert_eq!(b.lookup("10.0.0.9"), Answer::Hit(mac));
    }
    assert!(b.sent().is_empty() && b.notices.is_empty());
}

#[test]
fn a_reply_that_nobody_asked_for_is_not_learned() {
    let mut b = Bench::new();
    b.receive(REPLY, PEER, "10.0.0.9", "10.0.0.1");
    assert_eq!(b.lookup("10.0.0.9"), Answer::Miss(addr("10.0.0.9")));
    b.idle();
    assert!(b.notices.is_empty());
}

#[test]
fn a_miss_asks_and_the_reply_resolves() {
    let mut b = Bench::new();
    assert_eq!(b.lookup("10.0.0.9"), Answer::Miss(addr("10.0.0.9")));
    b.idle();
    assert_eq!(b.sent(), [request("10.0.0.1", "10.0.0.9")]);
    assert_eq!(b.deadline(), Some(b.now + RETRY));
    // While pending: a miss, and no second request.
    assert_eq!(b.lookup("10.0.0.9"), Answer::Miss(addr("10.0.0.9")));
    b.idle();
    assert!(b.sent().is_empty() && b.notices.is_empty());
    b.receive(REPLY, PEER, "10.0.0.9", "10.0.0.1");
    assert_eq!(b.notices, [Notice::Resolved(addr("10.0.0.9"))]);
    assert_eq!(b.deadline(), None);
    assert_eq!(b.lookup("10.0.0.9"), Answer::Hit(PEER));
    b.advance(10 * RETRY);
    assert!(b.sent().is_empty());
    assert_eq!(b.notices.len(), 1);
    assert_eq!(b.counts[counter::ARP_REQUESTS as usize], 1);
}

/// RFC 1122 section 2.3.2.1: not more than one request a second for a destination.
#[test]
fn three_requests_and_then_it_has_failed() {
    let mut b = Bench::new();
    b.now = u32::MAX - RETRY - 7; // across the wrap of the ticks
    assert_eq!(b.lookup("10.0.0.9"), Answer::Miss(addr("10.0.0.9")));
    b.idle();
    for again in 0..3 {
        assert_eq!(b.sent(), [request("10.0.0.1", "10.0.0.9")]);
        assert!(b.notices.is_empty());
        b.advance(RETRY - 1);
        assert!(b.frames.is_empty() && b.notices.is_empty(), "{again}");
        b.advance(1);
    }
    assert!(b.sent().is_empty());
    assert_eq!(b.notices, [Notice::Failed(addr("10.0.0.9"))]);
    assert_eq!(b.deadline(), None);
    assert_eq!(b.counts[counter::ARP_REQUESTS as usize], 3);
    assert_eq!(b.counts[counter::ARP_FAILURES as usize], 1);
    // It may be asked for anew.
    resolve(&mut b, "10.0.0.9", PEER);
}

#[test]
fn a_silent_neighbour_holds_up_nobody() {
    let mut b = Bench::new();
    resolve(&mut b, "10.0.0.8", PEER);
    assert!(matches!(b.lookup("10.0.0.9"), Answer::Miss(_)));
    b.idle();
    b.now += 100;
    assert!(matches!(b.lookup("10.0.0.10"), Answer::Miss(_)));
    b.idle();
    for _ in 0..3 {
        let before = b.cycles;
        assert_eq!(b.lookup("10.0.0.8"), Answer::Hit(PEER));
        assert!(b.cycles - before < 30, "{} cycles", b.cycles - before);
        assert_eq!(b.lookup("10.0.0.9"), Answer::Miss(addr("10.0.0.9")));
        b.advance(100);
    }
    b.receive(REPLY, OTHER, "10.0.0.10", "10.0.0.1");
    assert_eq!(b.notices, [Notice::Resolved(addr("10.0.0.10"))]);
    assert_eq!(b.lookup("10.0.0.10"), Answer::Hit(OTHER));
    b.advance(3 * RETRY);
    assert_eq!(b.notices[1..], [Notice::Failed(addr("10.0.0.9"))]);
}

#[test]
fn a_host_that_reads_no_events_holds_up_nobody() {
    let mut b = Bench::new();
    resolve(&mut b, "10.0.0.8", PEER);
    b.notice_ready = 0;
    // More failures than the queue of events holds.
    for n in 20..60 {
        b.lookup(&format!("10.0.0.{n}"));
    }
    for _ in 0..4 {
        b.now += RETRY;
        (0..5000).for_each(|_| b.cycle());
    }
    b.frames.clear();
    assert_eq!(b.lookup("10.0.0.8"), Answer::Hit(PEER));
    b.receive_raw(REQUEST, OTHER, "10.0.0.7", "10.0.0.1");
    (0..200).for_each(|_| b.cycle());
    assert_eq!(b.sent(), [reply("10.0.0.1", OTHER, "10.0.0.7")]);
    b.notice_ready = 100;
    b.idle();
    let mut failed = b.notices.clone();
    failed.sort_by_key(|n| format!("{n:?}"));
    let all: Vec<_> = (20..60)
        .map(|n| Notice::Failed(addr(&format!("10.0.0.{n}"))))
        .collect();
    assert_eq!(failed, all);
}

/// The request goes to the gateway, from the local address in the gateway's subnet.
#[test]
fn what_is_not_on_link_goes_through_a_gateway() {
    let mut b = Bench::new();
    b.local(5, "172.16.5.2", 16);
    b.gateway(7, "172.16.0.1");
    b.gateway(3, "198.51.100.1");
    let cases = [
        ("8.8.8.8", 0, "10.0.0.254", "10.0.0.1"),
        ("8.8.4.4", 7, "172.16.0.1", "172.16.5.2"),
        ("10.0.0.77", 7, "172.16.0.1", "172.16.5.2"),
        ("172.16.200.200", 0, "172.16.200.200", "172.16.5.2"),
        // A gateway outside all subnets: the first local address asks.
        ("9.9.9.9", 3, "198.51.100.1", "10.0.0.1"),
        ("10.0.0.9", 1, "10.0.0.254", "10.0.0.1"),
    ];
    for (dst, hop, gateway, source) in cases {
        b.flush_now();
        let answer = b.lookup_via(dst, hop);
        b.idle();
        assert_eq!(answer, Answer::Miss(addr(gateway)), "{dst} by {hop}");
        assert_eq!(b.sent(), [request(source, gateway)]);
        b.receive(REPLY, PEER, gateway, source);
        assert_eq!(b.notices.pop(), Some(Notice::Resolved(addr(gateway))));
        assert_eq!(b.lookup_via(dst, hop), Answer::Hit(PEER));
    }
}

#[test]
fn without_a_gateway_the_destination_fails_at_once() {
    let mut b = Bench::new();
    b.gateway(1, "0.0.0.0");
    for hop in [0, 1, 4] {
        assert_eq!(b.lookup_via("8.8.8.8", hop), Answer::Miss(addr("8.8.8.8")));
        b.idle();
        assert_eq!(b.notices.pop(), Some(Notice::Failed(addr("8.8.8.8"))));
    }
    assert!(b.sent().is_empty() && b.deadline().is_none());
    assert_eq!(b.counts[counter::ARP_FAILURES as usize], 3);
}

/// The host must learn of the miss before it learns how it ended.
#[test]
fn the_event_of_a_miss_is_held_back_until_the_host_knows_the_miss() {
    let mut b = Bench::new();
    b.gateway(1, "0.0.0.0");
    b.ask(addr("8.8.8.8"), 0);
    while b.answer.is_none() {
        b.cycle();
        assert!(b.notices.is_empty());
    }
    b.dut.u.event_hold.next = true;
    (0..100).for_each(|_| b.cycle());
    assert!(b.notices.is_empty());
    b.dut.u.event_hold.next = false;
    b.idle();
    assert_eq!(b.notices, [Notice::Failed(addr("8.8.8.8"))]);
}

/// RFC 3021: a /31 has two hosts and no broadcast address; a /32 has nobody but us.
#[test]
fn small_subnets() {
    let mut b = Bench::new();
    b.local(0, "10.0.0.2", 31);
    assert_eq!(b.lookup("10.0.0.3"), Answer::Miss(addr("10.0.0.3")));
    assert_eq!(b.lookup("10.0.0.1"), Answer::Miss(addr("10.0.0.254")));
    b.local(0, "10.0.0.3", 31);
    assert_eq!(b.lookup("10.0.0.2"), Answer::Miss(addr("10.0.0.2")));
    b.local(0, "10.0.0.3", 32);
    assert_eq!(b.lookup("10.0.0.4"), Answer::Miss(addr("10.0.0.254")));
    b.local(0, "10.0.0.1", 30);
    assert_eq!(b.lookup("10.0.0.3"), Answer::Hit(BROADCAST));
}

/// RFC 1112 section 6.4: 01-00-5E and the low 23 bits; RFC 1122 section 3.2.1.3 for broadcasts.
#[test]
fn group_and_broadcast_addresses_are_mapped() {
    let mut b = Bench::new();
    b.local(3, "172.16.5.2", 20);
    for hop in [0, 2] {
        for (ip, mac) in [
            ("255.255.255.255", BROADCAST),
            ("10.0.0.255", BROADCAST),
            ("172.16.15.255", BROADCAST),
            ("224.0.0.1", [0x01, 0x00, 0x5E, 0x00, 0x00, 0x01]),
            ("239.255.255.250", [0x01, 0x00, 0x5E, 0x7F, 0xFF, 0xFA]),
            ("224.128.9.8", [0x01, 0x00, 0x5E, 0x00, 0x09, 0x08]),
        ] {
            assert_eq!(b.lookup_via(ip, hop), Answer::Hit(mac), "{ip}");
        }
    }
    // Not these: the broadcast address of a subnet that is not ours, the network address, class E.
    assert_eq!(b.lookup("172.16.16.255"), Answer::Miss(addr("10.0.0.254")));
    assert_eq!(b.lookup("10.0.0.0"), Answer::Miss(addr("10.0.0.0")));
    assert_eq!(b.lookup("240.0.0.1"), Answer::Miss(addr("10.0.0.254")));
    assert_eq!(b.lookup("10.0.0.1"), Answer::Hit(OWN_MAC));
}

#[test]
fn an_entry_is_forgotten_after_its_age() {
    for start in [0, u32::MAX - 100, 1 << 31] {
        let mut b = Bench::new();
        b.now = start;
        resolve(&mut b, "10.0.0.9", PEER);
        b.advance(AGE);
        assert_eq!(b.lookup("10.0.0.9"), Answer::Hit(PEER));
        b.receive(REPLY, PEER, "10.0.0.9", "10.0.0.1"); // confirmed
        b.advance(AGE);
        assert_eq!(b.lookup("10.0.0.9"), Answer::Hit(PEER));
        b.advance(1);
        assert!(b.frames.is_empty());
        // Forgotten: a gratuitous packet does not bring it back.
        b.receive(REQUEST, OTHER, "10.0.0.9", "10.0.0.9");
        assert_eq!(b.lookup("10.0.0.9"), Answer::Miss(addr("10.0.0.9")));
        b.idle();
        assert_eq!(b.sent(), [request("10.0.0.1", "10.0.0.9")]);
        b.receive(REPLY, OTHER, "10.0.0.9", "10.0.0.1");
        assert_eq!(b.lookup("10.0.0.9"), Answer::Hit(OTHER));
    }
}

#[test]
fn all_hosts_of_a_slash_24_fit() {
    let mut b = Bench::new();
    let mac = |n: u8| [2, 0, 0, 0, 9, n];
    for n in 2..=254 {
        assert!(matches!(b.lookup(&format!("10.0.0.{n}")), Answer::Miss(_)));
    }
    for n in 2..=254 {
        b.receive(REPLY, mac(n), &format!("10.0.0.{n}"), "10.0.0.1");
    }
    for n in 2..=254 {
        assert_eq!(b.lookup(&format!("10.0.0.{n}")), Answer::Hit(mac(n)));
    }
    assert_eq!(b.notices.len(), 253);
}

#[test]
fn an_evicted_pending_entry_has_failed() {
    let mut b = Bench::new();
    b.local(0, "10.0.0.1", 8);
    // Five of one set: their low 14 bits are the same.
    let ip = |n: u32| format!("10.{n}.64.5");
    for n in 1..=5 {
        assert_eq!(b.lookup(&ip(n)), Answer::Miss(addr(&ip(n))));
        b.idle();
        assert_eq!(b.sent(), [request("10.0.0.1", &ip(n))]);
    }
    assert_eq!(b.notices.len(), 1);
    let Notice::Failed(victim) = b.notices[0] else {
        panic!("{:?}", b.notices)
    };
    b.notices.clear();
    let rest: Vec<_> = (1..=5).map(ip).filter(|i| addr(i) != victim).collect();
    assert_eq!(rest.len(), 4);
    // No packet from outside evicts a pending entry.
    b.receive(REQUEST, OTHER, "10.9.64.5", "10.0.0.1");
    for i in &rest {
        b.receive(REPLY, PEER, i, "10.0.0.1");
        assert_eq!(b.notices.pop(), Some(Notice::Resolved(addr(i))));
    }
    b.frames.clear();
    // Nor does the victim's late reply do anything.
    b.receive(REPLY, PEER, &victim.to_string(), "10.0.0.1");
    b.advance(5 * RETRY);
    assert!(b.notices.is_empty() && b.sent().is_empty());
    // A newcomer replaces the resolved entry that was confirmed longest ago, without an event.
    b.receive(REPLY, PEER, &rest[0], "10.0.0.1");
    b.receive(REQUEST, OTHER, &victim.to_string(), "10.0.0.1");
    assert_eq!(b.lookup(&victim.to_string()), Answer::Hit(OTHER));
    assert_eq!(b.lookup(&rest[0]), Answer::Hit(PEER));
    assert!(b.notices.is_empty());
}

#[test]
fn evicting_the_entry_with_the_next_deadline_moves_the_deadline() {
    let mut b = Bench::new();
    b.local(0, "10.0.0.1", 8);
    for n in 1..=20 {
        b.now += 1;
        b.lookup(&format!("10.{n}.64.5"));
        b.idle();
    }
    let evicted = b.notices.len();
    assert_eq!(evicted, 16);
    b.advance(3 * RETRY);
    assert_eq!(b.notices.len(), 20);
    let mut ips: Vec<_> = b.notices.iter().map(|n| format!("{n:?}")).collect();
    ips.sort();
    ips.dedup();
    assert_eq!(ips.len(), 20, "each exactly once");
    assert_eq!(b.deadline(), None);
}

/// The timer queue has a place for each request of the last RETRY ticks; when it is full, the oldest that still waits is given up.
#[test]
fn more_requests_than_the_timer_queue_holds() {
    let mut b = Bench::new();
    b.local(0, "10.0.0.1", 8);
    b.lookup("10.0.0.9");
    for n in 0..300 {
        let ip = format!("10.1.{}.{}", n / 200, n % 200);
        assert_eq!(b.lookup(&ip), Answer::Miss(addr(&ip)));
        b.receive(REPLY, PEER, &ip, "10.0.0.1");
        assert_eq!(b.lookup(&ip), Answer::Hit(PEER));
    }
    assert_eq!(b.notices.len(), 301);
    b.notices.retain(|n| matches!(n, Notice::Failed(_)));
    assert_eq!(b.notices, [Notice::Failed(addr("10.0.0.9"))]);
    b.idle();
    assert_eq!(b.deadline(), None);
    b.notices.clear();
    b.lookup("10.0.0.9");
    b.advance(3 * RETRY);
    assert_eq!(b.notices, [Notice::Failed(addr("10.0.0.9"))]);
}

#[test]
fn flush_forgets_what_is_resolved_and_keeps_what_is_asked_for() {
    let mut b = Bench::new();
    resolve(&mut b, "10.0.0.8", PEER);
    assert!(matches!(b.lookup("10.0.0.9"), Answer::Miss(_)));
    b.idle();
    b.frames.clear();
    b.flush_now();
    assert_eq!(b.lookup("10.0.0.8"), Answer::Miss(addr("10.0.0.8")));
    b.idle();
    assert_eq!(b.sent(), [request("10.0.0.1", "10.0.0.8")]);
    b.receive(REPLY, OTHER, "10.0.0.9", "10.0.0.1");
    assert_eq!(b.notices, [Notice::Resolved(addr("10.0.0.9"))]);
}

#[test]
fn reset_forgets_everything() {
    let mut b = Bench::new();
    resolve(&mut b, "10.0.0.8", PEER);
    b.lookup("10.0.0.9");
    b.reset();
    b.frames.clear();
    assert_eq!(b.deadline(), None);
    b.advance(4 * RETRY);
    assert!(b.sent().is_empty() && b.notices.is_empty());
    assert_eq!(b.lookup("10.0.0.8"), Answer::Miss(addr("10.0.0.8")));
}

#[test]
fn arpctl_answer() {
    let mut b = Bench::new();
    b.arpctl(6);
    b.receive(REQUEST, PEER, "10.0.0.9", "10.0.0.1");
    assert!(b.sent().is_empty());
    assert_eq!(b.lookup("10.0.0.9"), Answer::Hit(PEER));
}

#[test]
fn arpctl_learn() {
    let mut b = Bench::new();
    b.arpctl(5);
    b.receive(REQUEST, PEER, "10.0.0.9", "10.0.0.1");
    assert_eq!(b.sent(), [reply("10.0.0.1", PEER, "10.0.0.9")]);
    assert_eq!(b.lookup("10.0.0.9"), Answer::Miss(addr("10.0.0.9")));
}

/// With REFRESH clear an entry changes only by the reply that was asked for.
#[test]
fn arpctl_refresh() {
    let mut b = Bench::new();
    b.arpctl(1);
    assert!(matches!(b.lookup("10.0.0.9"), Answer::Miss(_)));
    b.receive(REQUEST, OTHER, "10.0.0.9", "10.0.0.9");
    b.receive(REQUEST, OTHER, "10.0.0.9", "10.0.0.1");
    b.receive(REPLY, OTHER, "10.0.0.9", "10.0.0.77");
    assert!(b.notices.is_empty());
    b.receive(REPLY, PEER, "10.0.0.9", "10.0.0.1");
    assert_eq!(b.notices, [Notice::Resolved(addr("10.0.0.9"))]);
    b.receive(REPLY, OTHER, "10.0.0.9", "10.0.0.1");
    b.receive(REQUEST, OTHER, "10.0.0.9", "10.0.0.1");
    assert_eq!(b.lookup("10.0.0.9"), Answer::Hit(PEER));
}

#[test]
fn with_tx_disabled_nothing_is_sent_and_time_goes_on() {
    let mut b = Bench::new();
    b.dut.u.enable.next = false;
    b.receive(REQUEST, PEER, "10.0.0.9", "10.0.0.1");
    assert!(matches!(b.lookup("10.0.0.8"), Answer::Miss(_)));
    b.advance(3 * RETRY);
    assert_eq!(b.notices, [Notice::Failed(addr("10.0.0.8"))]);
    assert!(b.sent().is_empty());
    assert_eq!(b.counts[counter::ARP_REQUESTS as usize], 0);
    assert_eq!(b.counts[counter::ARP_REPLIES as usize], 0);
}

#[test]
fn packets_back_to_back_are_all_dealt_with() {
    let mut b = Bench::new();
    b.frame_ready = 30;
    for n in 0..7 {
        b.receive_raw(REQUEST, PEER, &format!("10.0.0.{}", 20 + n), "10.0.0.1");
        b.cycle();
    }
    b.idle();
    let expected: Vec<ArpRepr> = (0..7)
        .map(|n| reply("10.0.0.1", PEER, &format!("10.0.0.{}", 20 + n)))
        .collect();
    assert_eq!(b.sent(), expected);
}

/// When `busy` is low nothing changes but the clock, so that a simulator may leave cycles out.
#[test]
fn an_idle_block_stands_still() {
    let mut b = Bench::new();
    resolve(&mut b, "10.0.0.8", PEER);
    b.lookup("10.0.0.9");
    b.idle();
    assert!(b.deadline().is_some() && !b.busy());
    b.cycle();
    let before = dump(&b.dut.u);
    (0..50).for_each(|_| b.cycle());
    assert_eq!(dump(&b.dut.u), before);
    b.now += RETRY;
    b.dut.u.now.next = super::harness::word(b.now);
    b.dut.u.clock.next = false.into();
    b.dut.settle();
    assert!(
        b.busy(),
        "busy in the very cycle in which the deadline comes"
    );
}

/// The value of every signal inside.
fn dump(u: &Neigh) -> Vec<u8> {
    let mut text = Vec::new();
    let vcd = write_vcd_header(&mut text, u);
    write_vcd_dump(vcd, u);
    text
}

#[test]
fn the_verilog_is_clean() {
    let text = ferrule_rtl::verilog::emit::<Neigh>("neigh").expect("emits");
    common::verilator_lint("neigh", &text);
}
