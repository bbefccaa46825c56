//! Registers through TLPs: the whole table, every hole, everything that is no register access.
use super::bench::{Bench, DEVICE, HOST};
use super::tlp::{Completion, Request, Rng, Tlp, UNSUPPORTED};
use ferrule_abi::{counter, regs, Access, Register, BAR_MSIX, BAR_REGS};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Every register: its offset in BAR0, and its row.
fn map() -> BTreeMap<u32, &'static Register> {
    let mut banks = vec![(regs::PORT, 0), (regs::EVENT, regs::event_page())];
    for queue in 0..regs::QUEUE_PAIRS {
        banks.push((regs::TX, regs::tx_page(queue)));
        banks.push((regs::RX, regs::rx_page(queue)));
    }
    let mut map = BTreeMap::new();
    for (table, base) in banks {
        for r in table {
            for i in 0..r.count {
                map.insert(base + r.offset_of(i), r);
            }
        }
    }
    map
}

/// What `Bench` feeds in makes some registers differ from their row.
fn reset_value(r: &Register) -> u32 {
    match r.name {
        "MAC_LO" => 0x3322_1102,
        "MAC_HI" => 0x5544,
        // Link up, 1000 Mbit/s.
        "STATUS" if r.bank == ferrule_abi::Bank::Port => 0b1010,
        _ => r.reset,
    }
}

fn is_action(r: &Register) -> bool {
    r.fields.iter().any(|f| f.access == Access::Wo)
}

#[test]
fn every_register_has_its_reset_value_and_write_mask() {
    let map = map();
    let mut b = Bench::new(1, true);
    for (&offset, r) in &map {
        assert_eq!(b.reg(offset), reset_value(r), "{} at {offset:x}", r.name);
    }
    // Each its own value, to see registers that share storage.
    let value = |offset: u32, turn: u64| Rng(u64::from(offset) << 8 | turn).next() as u32;
    for turn in 0..2 {
        for (&offset, r) in &map {
            // Bits that act are written elsewhere.
            b.post(BAR_REGS, offset, value(offset, turn) & !r.action_mask());
        }
        for (&offset, r) in &map {
            let constant = if r.write_mask() == 0 {
                reset_value(r)
            } else {
                0
            };
            let want = value(offset, turn) & r.write_mask() | constant;
            assert_eq!(b.reg(offset), want, "{} at {offset:x}", r.name);
        }
    }
    assert_eq!(b.refused(), 0);
    assert!(map.values().any(|r| is_action(r)));
}

#[test]
fn holes_read_all_ones_are_counted_and_hold_nothing() {
    let map = map();
    let mut b = Bench::new(2, false);
    let banks = [
        (0, 0x400),
        (0x400, 0x420),
        (0xFC0, 0x1000),
        (0x8000, 0x8010),
        (0xF_FFF0, 0x10_0000),
    ];
    let pages = (0..4).map(|p| (regs::queue_page(p), regs::queue_page(p) + 0x60));
    let mut count = 0;
    for (from, to) in banks.into_iter().chain(pages) {
        for offset in (from..to).step_by(4).filter(|o| !map.contains_key(o)) {
            b.post(BAR_REGS, offset, 0x1234_5678);
            assert_eq!(b.reg(offset), u32::MAX, "{offset:x}");
            count += 2;
        }
    }
    assert_eq!(b.refused(), count);
    for (&offset, r) in &map {
        if r.name != "BAD_ACCESS" {
            assert_eq!(b.reg(offset), reset_value(r), "{} at {offset:x}", r.name);
        }
    }
}

proptest! {
    #![proptest_config(crate::common::cases(12))]

    /// Any size, any byte enables, any BAR: answered with Unsupported Request (or the right data), never a hang, and only whole aligned
    /// writes of one DW have an effect.
    #[test]
    fn other_requests_are_refused(seed: u64) {
        let mut rng = Rng(seed);
        let mut b = Bench::new(rng.next(), true);
        let mut refused = 0;
        b.set_reg(regs::scratch::OFFSET, 0xCAFE_F00D);
        for tag in 0..40 {
            let dwords = [1, 1, 1, 2, 3, 16, 1023, 1024][rng.below(8) as usize];
            let last_be = if dwords == 1 { 0 } else { 1 + rng.below(15) as u8 };
            let first_be = if dwords == 1 { rng.below(16) as u8 } else { 1 + rng.below(15) as u8 };
            let bar = if rng.chance(1, 4) { rng.below(7) as u8 } else { BAR_REGS };
            let mut r = Request {
                first_be,
                last_be,
                ..Request::read(0xFE00_0000 + u64::from(regs::scratch::OFFSET), dwords, HOST, tag)
            };
            let good = dwords == 1 && first_be == 0xF && (bar == BAR_REGS || bar == BAR_MSIX);
            if rng.chance(1, 2) {
                r.write = true;
                r.poisoned = rng.chance(1, 4);
                r.data = (0..dwords.min(32)).map(|_| rng.next() as u32).collect();
                r.dwords = r.data.len() as u32;
                let good = good && !r.poisoned;
                if good && bar == BAR_REGS {
                    r.data[0] = 0xCAFE_F00D;
                }
                let four = rng.chance(1, 2);
                b.send(&r.encode(four), bar);
                refused += u32::from(!good);
            } else {
                let c = b.ask(&r, bar);
                if good {
                    prop_assert_eq!(c.status, 0);
                } else {
                    let (bytes, lower) = r.span();
                    refused += 1;
                    prop_assert_eq!(c, Completion {
                        completer: DEVICE, status: UNSUPPORTED, bytes, requester: HOST, tag, lower,
                        tc: 0, attr: 0, poisoned: false, data: vec![],
                    });
                }
            }
            prop_assert_eq!(b.reg(regs::scratch::OFFSET), 0xCAFE_F00D);
        }
        prop_assert_eq!(b.refused(), refused);
    }

    /// TLPs that are not what their header says, of types we do not know, or cut off: counted, and the next one is understood.
    #[test]
    fn garbage_is_counted_and_survived(seed: u64) {
        let mut rng = Rng(seed);
        let mut b = Bench::new(rng.next(), true);
        let mut unexpected = 0;
        for _ in 0..30 {
            let mut d = Request::write(0xFE00_0018, vec![rng.next() as u32], HOST).encode(rng.chance(1, 2));
            match rng.below(5) {
                // Cut off.
                0 => d.truncate(1 + rng.below(d.len() as u64 - 1) as usize),
                // Too long.
                1 => d.extend((0..1 + rng.below(9)).map(|_| rng.next() as u32)),
                // A message, a locked completion, reserved types, a prefix.
                2 => {
                    let kind = [0b1_0000, 0b1_0101, 0b0_1011, 0b0_0011, 0b1_1111][rng.below(5) as usize];
                    d[0] = d[0] & !(0x1F << 24) | kind << 24;
                }
                3 => d[0] |= 1 << 31,
                // A completion for somebody else, or with a tag we never use.
                _ => {
                    let (requester, tag) = if rng.chance(1, 2) { (DEVICE, 8 + rng.below(248) as u8) } else { (DEVICE ^ 1, 0) };
                    let c = Completion {
                        completer: HOST, status: 0, bytes: 4, requester, tag, lower: 0,
                        tc: 0, attr: 0, poisoned: false, data: vec![1; 1 + rng.below(9) as usize],
                    };
                    d = c.encode();
                }
            }
            b.send(&d, BAR_REGS);
            unexpected += 1;
            prop_assert_eq!(b.reg(regs::magic::OFFSET), regs::MAGIC);
        }
        prop_assert_eq!(b.reg(regs::scratch::OFFSET), 0);
        prop_assert_eq!(b.counter(counter::TLP_UNEXPECTED), unexpected);
    }
}

#[test]
fn requests_that_want_an_answer_get_one() {
    let mut b = Bench::new(5, false);
    // I/O read, configuration read, locked read, FetchAdd with a payload: PCIe table 2-3.
    for (i, (format, kind)) in [(0, 0b0_0010), (0, 0b0_0100), (0, 0b0_0001), (2, 0b0_1100)]
        .into_iter()
        .enumerate()
    {
        let mut r = Request::read(0xFE00_0018, 1, HOST, 0x40 + i as u8);
        if format == 2 {
            r.data = vec![1];
        }
        let mut d = r.encode(false);
        d[0] = d[0] & 0x00FF_FFFF | format << 29 | kind << 24;
        b.send(&d, BAR_REGS);
        b.settle();
        let want = Completion {
            completer: DEVICE,
            status: UNSUPPORTED,
            bytes: 4,
            requester: HOST,
            tag: r.tag,
            lower: 0,
            tc: 0,
            attr: 0,
            poisoned: false,
            data: vec![],
        };
        assert_eq!(b.seen.pop(), Some(Tlp::Completion(want)));
    }
    assert_eq!(b.refused(), 4);
}

#[test]
fn a_digest_after_the_payload_is_tolerated() {
    let mut b = Bench::new(6, true);
    for four in [false, true] {
        let mut w =
            Request::write(0xFE00_0018, vec![0x1111_0000 + u32::from(four)], HOST).encode(four);
        w[0] |= 1 << 15;
        w.push(0x0BAD_D16E);
        b.send(&w, BAR_REGS);
        assert_eq!(b.reg(regs::scratch::OFFSET), 0x1111_0000 + u32::from(four));
        let mut r = Request::read(0xFE00_0000, 1, HOST, 0xEE).encode(four);
        r[0] |= 1 << 15;
        r.push(0x0BAD_D16E);
        b.send(&r, BAR_REGS);
        b.settle();
        assert!(matches!(b.seen.pop(), Some(Tlp::Completion(c)) if c.data == [regs::MAGIC]));
    }
    assert_eq!(b.counter(counter::TLP_UNEXPECTED), 0);
}

#[test]
fn registers_reach_the_outputs() {
    let mut b = Bench::new(7, false);
    let first = |b: &Bench| {
        (
            b.n.u.rx_enable.val(),
            b.n.u.tx_enable.val(),
            b.n.u.loopback.val(),
        )
    };
    assert_eq!(first(&b), (false, false, false));
    b.set_reg(
        regs::ctrl::OFFSET,
        regs::ctrl::RX_EN.of(1) | regs::ctrl::LOOPBACK.of(1),
    );
    assert_eq!(first(&b), (true, false, true));
    b.set_reg(regs::ctrl::OFFSET, regs::ctrl::TX_EN.of(1));
    assert_eq!(first(&b), (false, true, false));
    b.set_reg(regs::mac_lo::OFFSET, 0x0403_0201);
    b.set_reg(regs::mac_hi::OFFSET, 0x0605);
    b.set_reg(regs::rxctl::OFFSET, 0x05EE_0001);
    b.set_reg(regs::arptime::OFFSET, 0x0123_4567);
    let u = &b.n.u;
    let mac = (u.mac_lo.val().to_u32(), u.mac_hi.val().to_u32());
    assert_eq!(mac, (0x0403_0201, 0x0605));
    assert_eq!(u.rxctl.val().to_u32(), 0x05EE_0001);
    assert_eq!(u.arptime.val().to_u32(), 0x0123_4567);
    assert_eq!(u.arpctl.val().to_u32(), 7);
}

/// Which of those that keep tables, by what tells them: tables from 0x100 on, local addresses, indirection table, gateways.
type Keepers = [bool; 4];

#[test]
fn who_keeps_a_table_is_told_what_is_written_to_it() {
    let mut b = Bench::new(6, true);
    let cases: [(&Register, Keepers, u32, u32); 6] = [
        (
            &regs::local_addr::REGISTER,
            [false, true, false, false],
            15,
            0x080,
        ),
        (
            &regs::local_mask::REGISTER,
            [false, true, false, false],
            15,
            0x080,
        ),
        (
            &regs::indirection::REGISTER,
            [false, false, true, false],
            7,
            0x0E0,
        ),
        (
            &regs::gateway::REGISTER,
            [false, false, false, true],
            7,
            0x0C0,
        ),
        (
            &regs::mc_hash::REGISTER,
            [true, false, false, false],
            63,
            0x100,
        ),
        (
            &regs::hash_key::REGISTER,
            [true, false, false, false],
            63,
            0x100,
        ),
    ];
    for (register, keepers, places, first) in cases {
        for i in 0..register.count {
            let offset = register.offset_of(i);
            let value = 0x9E37_79B9_u32.wrapping_mul(offset);
            b.post(BAR_REGS, offset, value);
            let mut told = vec![];
            for _ in 0..60 {
                b.cycle();
                let u = &b.n.u;
                let who = [
                    &u.table_write,
                    &u.local_write,
                    &u.steer_write,
                    &u.gateway_write,
                ];
                let who = who.map(|strobe| strobe.val());
                if who != [false; 4] {
                    let place = u.table_place.val().to_u32() & places;
                    told.push((who, place, u.table_data.val().to_u32()));
                }
            }
            let place = (offset - first) / 4;
            assert_eq!(told, [(keepers, place, value)], "{}", register.name);
        }
    }
}

/// A write that a queue engine is told of: page, register's number, value.
type Told = (u32, u32, u32);

/// Runs `cycles` cycles; what the engines are told meanwhile.
fn told(b: &mut Bench, cycles: u32) -> Vec<Told> {
    let mut all = vec![];
    for _ in 0..cycles {
        b.cycle();
        let u = &b.n.u;
        for (bus, first) in [(&u.events_bus, 0), (&u.tx_bus, 1), (&u.rx_bus, 2)] {
            if bus.write.val() {
                let page = first + 2 * bus.place.val().to_u32();
                all.push((page, bus.word.val().to_u32(), bus.data.val().to_u32()));
            }
        }
    }
    all
}

#[test]
fn queues_are_told_what_is_written_to_their_pages() {
    let mut b = Bench::new(7, true);
    for page in 0..regs::PAGES {
        let table = match page {
            0 => regs::EVENT,
            p if p % 2 == 1 => regs::TX,
            _ => regs::RX,
        };
        for r in table {
            let value = 0x8765_4321_u32.rotate_left(page) ^ r.offset;
            b.post(BAR_REGS, regs::queue_page(page) + r.offset, value);
            // A doorbell is told as it is, anything else as it is stored, and what cannot be written not at all.
            let want = match (r.name, r.write_mask()) {
                ("DOORBELL", _) => vec![(page, 0, value)],
                (_, 0) => vec![],
                (_, mask) => vec![(page, r.offset / 4, value & mask)],
            };
            assert_eq!(told(&mut b, 60), want, "page {page}, {}", r.name);
        }
    }
}

#[test]
fn what_a_queue_is_set_up_with_stays_while_it_runs() {
    let mut b = Bench::new(8, true);
    let page = regs::rx_page(3);
    let (cfg, ctrl) = (page + regs::rx_cfg::OFFSET, page + regs::rx_ctrl::OFFSET);
    b.set_reg(cfg, 0x404);
    b.n.u.rx_bus.status.next = 0x10_u64.into();
    for r in regs::RX.iter().filter(|r| r.offset >= regs::rx_cfg::OFFSET) {
        let before = b.reg(page + r.offset);
        b.post(BAR_REGS, page + r.offset, !before);
        assert_eq!(told(&mut b, 60), [], "{}", r.name);
        assert_eq!(b.reg(page + r.offset), before, "{}", r.name);
    }
    b.post(BAR_REGS, ctrl, 1);
    assert_eq!(told(&mut b, 60), [(8, 1, 1)]);
    // It does for that page's queue alone.
    b.post(BAR_REGS, regs::tx_page(3) + regs::tx_cfg::OFFSET, 0x505);
    assert_eq!(told(&mut b, 60), [(7, 3, 0x505)]);
    b.n.u.rx_bus.status.next = 0_u64.into();
    b.post(BAR_REGS, cfg, 0x505);
    assert_eq!(told(&mut b, 60), [(8, 3, 0x505)]);
    assert_eq!(b.reg(cfg), 0x505);
}

#[test]
fn a_flush_is_a_pulse() {
    let mut b = Bench::new(8, true);
    b.post(
        BAR_REGS,
        regs::arpctl::OFFSET,
        regs::arpctl::FLUSH.of(1) | 5,
    );
    let mut flushes = 0;
    for _ in 0..60 {
        b.cycle();
        flushes += regs::arpctl::FLUSH.get(b.n.u.arpctl.val().to_u32());
    }
    assert_eq!((flushes, b.reg(regs::arpctl::OFFSET)), (1, 5));
}

#[test]
fn queue_status_is_what_the_engines_say() {
    let mut b = Bench::new(9, false);
    for queue in 0..regs::QUEUE_PAIRS {
        // Which queue's is asked for, the engine sees.
        b.n.u.tx_bus.status.next = 0x13_u64.into();
        b.n.u.rx_bus.status.next = 0x0F_u64.into();
        b.n.u.events_bus.status.next = 0x10_u64.into();
        assert_eq!(b.reg(regs::tx_page(queue) + regs::tx_status::OFFSET), 0x31);
        assert_eq!(b.n.u.tx_bus.look.val().to_u32(), queue);
        assert_eq!(b.reg(regs::rx_page(queue) + regs::rx_status::OFFSET), 0xF0);
        assert_eq!(b.n.u.rx_bus.look.val().to_u32(), queue);
        assert_eq!(b.reg(regs::event_page() + regs::event_status::OFFSET), 0x01);
    }
}

#[test]
fn a_snapshot_holds_clock_and_counters() {
    let mut b = Bench::new(10, true);
    b.time_ns = 0x1234_FFFF_FFF0;
    // Pulses of several counters at once, and of one in every third cycle.
    let every = counter::ALL.iter().fold(0, |bits, c| bits | 1 << c.index);
    let all = every & !(1 << counter::RX_BYTES | 1 << counter::TX_BYTES);
    b.n.u.rx_bytes.next = 1514_u64.into();
    b.n.u.tx_bytes.next = 60_u64.into();
    for _ in 0..5 {
        b.inc = all;
        for _ in 0..200 {
            b.cycle();
        }
    }
    for _ in 0..300 {
        b.inc = 1 << counter::ARP_MISSES;
        b.cycle();
        b.cycle();
        b.cycle();
    }
    let before = b.time_ns;
    assert_eq!(b.counter(counter::RX_FRAMES), 5);
    let at =
        u64::from(b.reg(regs::time_lo::OFFSET)) | u64::from(b.reg(regs::time_hi::OFFSET)) << 32;
    assert!(
        (before..b.time_ns).contains(&at),
        "{before:x} {at:x} {:x}",
        b.time_ns
    );
    for c in counter::ALL {
        let want = match c.index {
            counter::RX_BYTES => 5 * 1514,
            counter::TX_BYTES => 5 * 60,
            counter::ARP_MISSES => 305,
            _ => 5,
        };
        assert_eq!(b.counter(c.index), want, "{}", c.name);
    }
    // The shadow stays until the next snapshot.
    b.inc = all;
    b.cycle();
    b.settle();
    assert_eq!(b.reg(regs::counters::OFFSET), 5);
    assert_eq!(b.counter(counter::RX_FRAMES), 6);
}
