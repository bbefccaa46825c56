//! Address conflicts (RFC 5227): what counts as one, how often the host is told, the defence; announcements and probes.
use super::harness::{addr, reply, request, Answer, Bench, Notice};
use ferrule_abi::counter;
use ferrule_abi::regs::{arp_op, arp_result, arpctl};

const REQUEST: u16 = 1;
const REPLY: u16 = 2;
const OTHER: [u8; 6] = [0x52, 0x54, 0x00, 0x01, 0x02, 0x03];
const THIRD: [u8; 6] = [0x52, 0x54, 0x00, 0x01, 0x02, 0x04];
/// RFC 5227 section 1.1: DEFEND_INTERVAL, 10 s, in ticks of 2^20 ns; and twelve seconds.
const INTERVAL: u32 = 9_537;
const LATER: u32 = 11_445;

fn conflicts(b: &Bench) -> u64 {
    b.counts[counter::ARP_CONFLICTS as usize]
}

/// RFC 5227 section 2.4: a request or a reply, whoever it is for, with a sender IP address of ours and another hardware address.
#[test]
fn whoever_claims_a_local_address_is_told_of() {
    for (op, target) in [
        (REQUEST, "10.0.0.1"),
        (REQUEST, "10.0.0.254"),
        (REPLY, "10.0.0.77"),
        (REPLY, "10.0.0.1"),
    ] {
        let mut b = Bench::new();
        b.local(3, "10.3.0.1", 24);
        for ours in ["10.0.0.1", "10.3.0.1"] {
            b.receive(op, OTHER, ours, target);
            assert_eq!(b.notices, [Notice::Conflict(addr(ours), OTHER)]);
            assert_eq!(conflicts(&b), 1);
            b.notices.clear();
            b.reset();
            b.counts = [0; 32];
        }
        assert!(matches!(b.lookup("10.0.0.77"), Answer::Miss(_)));
    }
}

#[test]
fn our_own_packets_probes_and_neighbours_are_no_conflict() {
    let mut b = Bench::new();
    b.receive(REQUEST, super::harness::OWN_MAC, "10.0.0.1", "10.0.0.1");
    b.receive(REQUEST, OTHER, "0.0.0.0", "10.0.0.1");
    b.receive(REQUEST, OTHER, "10.0.0.9", "10.0.0.1");
    b.receive(REPLY, OTHER, "10.0.0.9", "10.0.0.1");
    // RFC 1812 section 3.3.2: these are believed in nothing.
    b.receive(REPLY, [0xFF; 6], "10.0.0.1", "10.0.0.9");
    assert!(b.notices.is_empty());
    assert_eq!(conflicts(&b), 0);
}

#[test]
fn all_conflicts_are_counted_and_one_is_told_of_at_a_time() {
    let mut b = Bench::new();
    for mac in [OTHER, THIRD, OTHER] {
        b.receive(REPLY, mac, "10.0.0.1", "10.0.0.9");
    }
    b.advance(INTERVAL);
    b.receive(REPLY, THIRD, "10.0.0.1", "10.0.0.9");
    let told = Notice::Conflict(addr("10.0.0.1"), OTHER);
    assert_eq!(b.notices, [told], "within the interval");
    b.advance(LATER - INTERVAL + 1_024);
    b.receive(REPLY, THIRD, "10.0.0.1", "10.0.0.9");
    assert_eq!(b.notices[1..], [Notice::Conflict(addr("10.0.0.1"), THIRD)]);
    assert_eq!(conflicts(&b), 5);
    // While one has not been taken, the next ones have no place.
    b.notices.clear();
    b.notice_ready = 0;
    for mac in [OTHER, THIRD] {
        b.now = b.now.wrapping_add(2 * LATER);
        b.receive_raw(REPLY, mac, "10.0.0.1", "10.0.0.9");
        (0..100).for_each(|_| b.cycle());
    }
    b.notice_ready = 100;
    b.idle();
    assert_eq!(b.notices, [told]);
    assert_eq!(conflicts(&b), 7);
}

/// RFC 5227 section 2.4 (b).
#[test]
fn with_defend_an_address_is_announced_once_an_interval() {
    let mut b = Bench::new();
    b.arpctl(7 | arpctl::DEFEND.mask());
    let announcement = request("10.0.0.1", "10.0.0.1");
    for _ in 0..3 {
        b.receive(REPLY, OTHER, "10.0.0.1", "10.0.0.9");
        b.advance(INTERVAL / 3 - 1);
    }
    assert_eq!(b.sent(), [announcement]);
    b.advance(LATER);
    b.receive(REQUEST, OTHER, "10.0.0.1", "10.0.0.1");
    assert_eq!(b.sent(), [announcement]);
    b.arpctl(7);
    b.advance(2 * LATER);
    b.receive(REPLY, OTHER, "10.0.0.1", "10.0.0.9");
    assert!(b.sent().is_empty(), "not without");
    assert_eq!(b.notices.len(), 3);
}

/// RFC 5227 sections 2.1.1 and 2.3.
#[test]
fn announcements_and_probes_are_sent_by_command() {
    let mut b = Bench::new();
    assert_eq!(
        b.obey(arp_op::ANNOUNCE, "10.0.0.5", [0; 6]),
        arp_result::DONE
    );
    assert_eq!(b.sent(), [request("10.0.0.5", "10.0.0.5")]);
    assert_eq!(b.obey(arp_op::PROBE, "10.0.0.6", [0; 6]), arp_result::DONE);
    assert_eq!(b.sent(), [request("0.0.0.0", "10.0.0.6")]);
    assert_eq!(b.counts[counter::ARP_REQUESTS as usize], 2);
    assert_eq!(b.deadline(), None, "nothing is waited for");
    // One after the other, however slow the wire is.
    b.frame_ready = 3;
    for ip in ["10.0.0.7", "10.0.0.8"] {
        b.command(arp_op::ANNOUNCE, ip, [0; 6]);
        while b.dut.u.command_busy.val() {
            b.cycle();
        }
    }
    b.idle();
    let both = ["10.0.0.7", "10.0.0.8"].map(|ip| request(ip, ip));
    assert_eq!(b.sent(), both);
    b.dut.u.enable.next = false;
    assert_eq!(b.obey(arp_op::PROBE, "10.0.0.6", [0; 6]), arp_result::DONE);
    assert!(b.sent().is_empty());
    // A request is answered as ever.
    b.dut.u.enable.next = true;
    b.receive(REQUEST, OTHER, "10.0.0.9", "10.0.0.1");
    assert_eq!(b.sent(), [reply("10.0.0.1", OTHER, "10.0.0.9")]);
}
