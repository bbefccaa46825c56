//! The host's commands for the cache, each held against what lookups, events and packets show.
use super::harness::{addr, hi, lo, request, Answer, Bench, Notice, AGE, RETRY};
use ferrule_abi::counter;
use ferrule_abi::regs::arp_op::{ADD, DELETE};
use ferrule_abi::regs::arp_result::{ABSENT, DONE, FULL};
use ferrule_abi::regs::{arp_cmd, arp_entry};

const REQUEST: u16 = 1;
const REPLY: u16 = 2;
const PEER: [u8; 6] = [0x52, 0x54, 0x00, 0xAB, 0xCD, 0xEF];
const OTHER: [u8; 6] = [0x52, 0x54, 0x00, 0x01, 0x02, 0x03];
/// Set of 10.0.0.9 by the rule of docs/registers.md: ((0 xor 9) and 63), four ways each.
const SET: u32 = 9 * 4;
/// Addresses of that set, with c xor d = 9.
const SAME_SET: [&str; 6] = [
    "10.0.0.9",
    "10.0.1.8",
    "10.0.2.11",
    "10.0.3.10",
    "10.0.4.13",
    "10.0.5.12",
];

/// A host whose subnet holds all of [`SAME_SET`].
fn bench() -> Bench {
    let mut b = Bench::new();
    b.local(0, "10.0.0.1", 16);
    b
}

fn learn(b: &mut Bench, ip: &str, mac: [u8; 6]) {
    b.receive(REQUEST, mac, ip, "10.0.0.1");
    b.frames.clear();
}

/// The words of a resolved entry.
fn resolved(ip: &str, age: u32, mac: [u8; 6]) -> [u32; 4] {
    [addr(ip).to_bits(), age, lo(mac), hi(mac).into()]
}

fn fixed(ip: &str, age: u32, mac: [u8; 6]) -> [u32; 4] {
    let mut words = resolved(ip, age, mac);
    words[3] |= arp_entry::STATIC.mask();
    words
}

#[test]
fn an_entry_is_read_with_its_address_mac_and_age() {
    let mut b = bench();
    assert_eq!(b.read(SET), [0; 4], "free");
    learn(&mut b, "10.0.0.9", PEER);
    b.advance(17);
    let places: Vec<u32> = (0..256).filter(|p| b.read(*p) != [0; 4]).collect();
    let [place] = places[..] else {
        panic!("{places:?}")
    };
    assert_eq!(place / 4, SET / 4);
    assert_eq!(b.read(place), resolved("10.0.0.9", 17, PEER));
    // Reading is no confirmation.
    b.advance(AGE - 17 + 1);
    assert_eq!(b.read(place), resolved("10.0.0.9", AGE + 1, PEER));
    assert_eq!(b.lookup("10.0.0.9"), Answer::Miss(addr("10.0.0.9")));
    b.idle();
    let pending = [addr("10.0.0.9").to_bits(), 0, 0, arp_entry::PENDING.mask()];
    assert_eq!(b.read(place), pending);
    b.advance(3 * RETRY);
    assert_eq!(b.notices, [Notice::Failed(addr("10.0.0.9"))]);
    assert_eq!(b.read(place), [0; 4], "given up");
}

#[test]
fn a_static_entry_neither_ages_nor_heeds_the_wire_nor_is_flushed() {
    let mut b = bench();
    assert_eq!(b.obey(ADD, "10.0.0.9", PEER), DONE);
    for op in [REQUEST, REPLY] {
        for target in ["10.0.0.1", "10.0.0.9"] {
            b.receive(op, OTHER, "10.0.0.9", target);
        }
    }
    b.advance(2 * AGE);
    b.flush_now();
    b.frames.clear();
    assert_eq!(b.lookup("10.0.0.9"), Answer::Hit(PEER));
    b.idle();
    assert!(b.sent().is_empty() && b.notices.is_empty());
    let held: Vec<_> = (SET..SET + 4).map(|p| b.read(p)).collect();
    assert_eq!(
        held.iter().filter(|e| **e != [0; 4]).collect::<Vec<_>>(),
        [&fixed("10.0.0.9", 2 * AGE, PEER)]
    );
    // Only the host changes it.
    assert_eq!(b.obey(ADD, "10.0.0.9", OTHER), DONE);
    assert_eq!(b.lookup("10.0.0.9"), Answer::Hit(OTHER));
    assert_eq!(b.obey(DELETE, "10.0.0.9", PEER), DONE);
    assert_eq!(b.obey(DELETE, "10.0.0.9", PEER), ABSENT);
    assert_eq!(b.lookup("10.0.0.9"), Answer::Miss(addr("10.0.0.9")));
    b.idle();
    assert_eq!(b.sent(), [request("10.0.0.1", "10.0.0.9")]);
}

#[test]
fn a_learned_entry_can_be_deleted_and_made_static() {
    let mut b = bench();
    learn(&mut b, "10.0.0.9", PEER);
    assert_eq!(b.obey(ADD, "10.0.0.9", OTHER), DONE);
    assert_eq!(b.lookup("10.0.0.9"), Answer::Hit(OTHER));
    learn(&mut b, "10.0.1.8", PEER);
    assert_eq!(b.obey(DELETE, "10.0.1.8", OTHER), DONE);
    assert_eq!(b.lookup("10.0.1.8"), Answer::Miss(addr("10.0.1.8")));
    let places = (SET..SET + 4).filter(|p| b.read(*p) != [0; 4]).count();
    assert_eq!(places, 2, "one for each of them");
    assert!(b.notices.is_empty());
}

#[test]
fn one_way_of_each_set_stays_for_what_the_wire_teaches() {
    let mut b = bench();
    for ip in &SAME_SET[..3] {
        assert_eq!(b.obey(ADD, ip, PEER), DONE);
    }
    assert_eq!(b.obey(ADD, SAME_SET[3], PEER), FULL);
    learn(&mut b, SAME_SET[3], OTHER);
    assert_eq!(b.read(SET + 3), resolved(SAME_SET[3], 0, OTHER));
    assert_eq!(b.obey(ADD, SAME_SET[3], PEER), FULL, "it cannot move");
    assert_eq!(b.lookup(SAME_SET[3]), Answer::Hit(OTHER));
    // The one way is used over and over, by lookups too.
    learn(&mut b, SAME_SET[4], OTHER);
    assert_eq!(b.lookup(SAME_SET[4]), Answer::Hit(OTHER));
    assert_eq!(
        b.lookup(SAME_SET[3]),
        Answer::Miss(addr(SAME_SET[3])),
        "its place was needed"
    );
    assert_eq!(
        b.lookup(SAME_SET[5]),
        Answer::Miss(addr(SAME_SET[5])),
        "and that of the request"
    );
    b.idle();
    assert_eq!(b.notices, [Notice::Failed(addr(SAME_SET[3]))]);
    for ip in &SAME_SET[..3] {
        assert_eq!(b.lookup(ip), Answer::Hit(PEER));
    }
    // A way that is free again takes it, wherever it was.
    assert_eq!(b.obey(DELETE, SAME_SET[1], PEER), DONE);
    assert_eq!(b.obey(ADD, SAME_SET[5], OTHER), DONE);
    assert_eq!(b.notices.pop(), Some(Notice::Resolved(addr(SAME_SET[5]))));
    assert_eq!(b.lookup(SAME_SET[5]), Answer::Hit(OTHER));
    assert_eq!(b.read(SET + 3), [0; 4]);
    b.advance(4 * RETRY);
    assert_eq!(b.notices.len(), 1, "nothing is asked for any more");
}

#[test]
fn a_command_settles_a_request_that_is_under_way() {
    for (op, told) in [
        (ADD, Notice::Resolved(addr("10.0.0.9"))),
        (DELETE, Notice::Failed(addr("10.0.0.9"))),
    ] {
        let mut b = bench();
        assert_eq!(b.lookup("10.0.0.9"), Answer::Miss(addr("10.0.0.9")));
        assert_eq!(b.obey(op, "10.0.0.9", PEER), DONE);
        assert_eq!(b.notices, [told]);
        assert_eq!(
            b.counts[counter::ARP_FAILURES as usize],
            u64::from(op == DELETE)
        );
        assert_eq!(b.deadline(), None);
        b.advance(4 * RETRY);
        assert_eq!((b.notices.len(), b.sent().len()), (1, 1));
    }
}

#[test]
fn a_command_waits_for_room_to_tell_what_becomes_of_a_request() {
    let mut b = bench();
    b.notice_ready = 0;
    for n in 0..15 {
        let ip = format!("10.0.6.{n}");
        assert_eq!(b.lookup(&ip), Answer::Miss(addr(&ip)));
        b.receive_raw(REPLY, PEER, &ip, "10.0.0.1");
        (0..100).for_each(|_| b.cycle());
    }
    assert_eq!(b.lookup("10.0.0.9"), Answer::Miss(addr("10.0.0.9")));
    b.command(DELETE, "10.0.0.9", PEER);
    (0..500).for_each(|_| b.cycle());
    assert!(b.dut.u.command_busy.val());
    // Lookups are answered meanwhile.
    assert_eq!(b.lookup("10.0.6.3"), Answer::Hit(PEER));
    b.notice_ready = 100;
    b.idle();
    assert!(!b.dut.u.command_busy.val());
    assert_eq!(b.notices.len(), 16);
    assert_eq!(b.notices[15], Notice::Failed(addr("10.0.0.9")));
}

#[test]
fn commands_that_are_none_do_nothing() {
    let mut b = bench();
    for op in [0, 6, 7] {
        b.entry = [7; 4];
        b.command(op, "10.0.0.9", PEER);
        assert!(!b.busy(), "{op}");
        assert_eq!(b.entry, [7; 4]);
    }
    assert_eq!(b.obey(ADD, "0.0.0.0", PEER), FULL);
    assert_eq!(b.obey(DELETE, "0.0.0.0", PEER), ABSENT);
    assert!((0..256).all(|p| b.read(p) == [0; 4]));
    // A second one while one is under way is ignored.
    b.result_ready = 0;
    b.command(ADD, "10.0.0.9", PEER);
    (0..100).for_each(|_| b.cycle());
    b.write(arp_cmd::OFFSET, arp_cmd::OP.of(DELETE));
    b.result_ready = 100;
    b.idle();
    assert_eq!(b.lookup("10.0.0.9"), Answer::Hit(PEER));
}

/// The longest a lookup takes with commands all the time is what it takes without them, and a READ.
#[test]
fn lookups_do_not_wait_for_commands() {
    let longest = |commands: bool, result_ready: u64| {
        let mut b = bench();
        for ip in &SAME_SET[..3] {
            assert_eq!(b.obey(ADD, ip, PEER), DONE);
        }
        learn(&mut b, SAME_SET[3], OTHER);
        b.result_ready = result_ready;
        let (mut most, mut ended) = (0, 0);
        for n in 0..300_u64 {
            for _ in 0..n % 60 {
                if commands && !b.dut.u.command_busy.val() {
                    ended += 1;
                    let op = [1, DELETE, ADD][n as usize % 3];
                    // Neither finds anything before the last way.
                    let ip = addr(SAME_SET[4]).to_bits();
                    b.write(ferrule_abi::regs::arp_addr::OFFSET, ip);
                    b.write(arp_cmd::OFFSET, arp_cmd::OP.of(op) | arp_cmd::PLACE.of(SET));
                }
                b.cycle();
            }
            let from = b.cycles;
            assert_eq!(b.lookup(SAME_SET[3]), Answer::Hit(OTHER));
            most = most.max(b.cycles - from);
        }
        assert!(!commands || ended > 100, "{ended}");
        most
    };
    let alone = longest(false, 100);
    // From Idle to Tell's last word.
    const READ: u64 = 9;
    assert!(longest(true, 100) <= alone + READ, "{alone}");
    assert!(longest(true, 25) <= alone + READ, "{alone}");
}

#[test]
fn a_reset_ends_a_command() {
    let mut b = bench();
    b.result_ready = 0;
    b.command(ADD, "10.0.0.9", PEER);
    (0..50).for_each(|_| b.cycle());
    assert!(b.dut.u.command_busy.val());
    b.reset();
    assert!(!b.dut.u.command_busy.val());
    b.result_ready = 100;
    assert!((0..256).all(|p| b.read(p) == [0; 4]));
}
