//! The two ring fetchers: entries come out once, in order, as the host wrote them.
use super::host::{drive_reader, sample_reader, Memory, Reader, Rng};
use crate::common::verilator_lint;
use ferrule_abi::ring::{Sqe, INDEX_MODULUS};
use ferrule_rtl::native::Native;
use ferrule_rtl::queue::{slot_fetcher::SlotFetcher, sqe_fetcher::SqeFetcher};
use proptest::prelude::*;

const BASE: u64 = 0x1_0000_0000 - 0x80;

/// The entry with free-running index `n`.
fn sqe(n: u32) -> Sqe {
    Sqe {
        iova: u64::from(n).wrapping_mul(0x9E37_79B9_7F4A_7C15),
        len: n as u16,
        flags: (n >> 3) as u16 ^ 0x5A5A,
        vlan_tci: !n as u16,
        mss: 7,
    }
}

/// What one cycle of a fetcher showed: the entry that was taken, and whether a read failed.
struct Seen {
    entry: Option<(u32, [u32; 4])>,
    error: bool,
}

/// How many entries are done with, and of how many the fetcher has been told.
#[derive(Default)]
struct Retired {
    due: u32,
    told: u32,
}

/// The queue that the fetchers work for.
const QUEUE: u32 = 2;

fn retire_sqe(u: &mut SqeFetcher, retired: &mut Retired) {
    u.between.next = true;
    u.retire.next = true;
    u.retire_place.next = u64::from(QUEUE).into();
    u.retired.next = u64::from(retired.due % INDEX_MODULUS).into();
    retired.told = retired.due;
}

/// One slot a cycle.
fn retire_slot(u: &mut SlotFetcher, retired: &mut Retired) {
    u.retire.next = retired.told < retired.due;
    retired.told += u32::from(retired.told < retired.due);
}

/// Both fetchers look alike from here.
macro_rules! cycle {
    ($dut:expr, $reader:expr, $rng:expr, $now:expr, $memory:expr, $update:expr, $retired:expr, $ready:expr, $entry:expr, $retire:expr) => {{
        $now += 1;
        let u = &mut $dut.u;
        u.clock.next = false.into();
        drive_reader!(u.req, u.data, $reader, $now, &mut $rng, &$memory);
        let update: Option<u32> = $update;
        u.update_idx.next = update.is_some();
        if let Some(p) = update {
            u.producer.next = u64::from(p % INDEX_MODULUS).into();
        }
        $retire(u, $retired);
        u.ready.next = $ready;
        $dut.settle();
        let u = &$dut.u;
        assert!(
            update.is_none() || !u.producer_bad.val(),
            "a producer that can be"
        );
        sample_reader!(u.req, u.data, $reader, $now, &mut $rng);
        let seen = Seen {
            entry: (u.valid.val() && $ready).then(|| $entry(u)),
            error: u.error.val(),
        };
        $dut.u.clock.next = true.into();
        $dut.settle();
        seen
    }};
}
/// Resets and starts a fetcher on a ring of 2^`log2` entries.
macro_rules! start {
    ($dut:expr, $log2:expr) => {{
        // Reset; base and size as the host writes them; start.
        for step in 0..6 {
            let u = &mut $dut.u;
            u.clock.next = false.into();
            u.reset.next = step == 0;
            u.start.next = u64::from(u32::from(step == 4) << QUEUE).into();
            u.run.next = u64::from(u32::from(step == 5) << QUEUE).into();
            u.bell.next = u64::from(QUEUE).into();
            u.set_place.next = u64::from(QUEUE).into();
            u.set_lo.next = step == 1;
            u.set_hi.next = step == 2;
            u.set_cfg.next = step == 3;
            u.set_data.next = match step {
                1 => BASE & 0xFFFF_FFFF,
                2 => BASE >> 32,
                _ => u64::from($log2 as u32),
            }
            .into();
            $dut.settle();
            $dut.u.clock.next = true.into();
            $dut.settle();
        }
    }};
}
/// Runs `total` entries through a fetcher; `write` puts one into the ring, `check` looks at one.
macro_rules! run {
    ($block:ty, $seed:expr, $log2:expr, $total:expr, $fast:expr, $write:expr, $entry:expr, $check:expr, $retire:expr) => {{
        let mut rng = Rng($seed);
        let mut dut = Native::<$block>::default();
        start!(dut, $log2);
        let mut memory = Memory::default();
        let mut reader = Reader::new(20 + rng.below(81), 20 + rng.below(81), rng.below(60));
        if $fast {
            (reader.accept, reader.offer, reader.latency) = (100, 100, 1);
        }
        reader.max_read = 128;
        let (mut now, mut posted, mut taken, mut idle) = (0u64, 0u32, 0u32, 0);
        let mut retires = Retired::default();
        let pace = if $fast { 100 } else { 5 + rng.below(95) };
        while taken < $total {
            idle += 1;
            assert!(idle < 5_000, "stuck at {taken} of {posted}");
            let mut update = None;
            if rng.percent(if $fast { 50 } else { 3 }) && posted < $total {
                let room = retires.told + (1 << $log2) - posted;
                for _ in 0..rng.below(u64::from(room) + 1) {
                    $write(&mut memory, BASE, $log2, posted);
                    posted += 1;
                }
                update = Some(posted);
            }
            let ready = rng.percent(pace);
            let seen = cycle!(
                dut,
                reader,
                rng,
                now,
                memory,
                update,
                &mut retires,
                ready,
                $entry,
                $retire
            );
            assert!(!seen.error);
            if let Some((index, words)) = seen.entry {
                idle = 0;
                $check(taken, index, words);
                taken += 1;
            }
            if rng.percent(20) {
                retires.due += rng.below(u64::from(taken - retires.due) + 1) as u32;
            }
        }
        dut.u.retire.next = false;
        let retired = retires.told;
        for producer in 0..INDEX_MODULUS {
            dut.u.producer.next = u64::from(producer).into();
            dut.settle();
            let ahead = producer.wrapping_sub(retired) % INDEX_MODULUS;
            let fine = ahead >= posted - retired && ahead <= 1 << $log2;
            assert_eq!(dut.u.producer_bad.val(), !fine, "producer {producer}");
        }
        reader
    }};
}

fn write_sqe(memory: &mut Memory, base: u64, log2: u32, n: u32) {
    memory.set_entry(base + 16 * u64::from(n % (1 << log2)), sqe(n).to_words());
}
fn take_sqe(u: &SqeFetcher) -> (u32, [u32; 4]) {
    let words = [
        u.addr_lo.val().to_u32(),
        u.addr_hi.val().to_u32(),
        u.len_flags.val().to_u32(),
        u.options.val().to_u32(),
    ];
    (u.index.val().to_u32(), words)
}
fn check_sqe(n: u32, index: u32, words: [u32; 4]) {
    assert_eq!(index, n % INDEX_MODULUS);
    assert_eq!(words, sqe(n).to_words(), "SQE {n}");
}
/// Slot numbers without a pattern in their neighbours.
fn slot(n: u32) -> u16 {
    (n.wrapping_mul(0x9E37_79B9) >> 16) as u16
}
fn write_slot(memory: &mut Memory, base: u64, log2: u32, n: u32) {
    for (i, b) in slot(n).to_le_bytes().into_iter().enumerate() {
        memory.set(base + 2 * u64::from(n % (1 << log2)) + i as u64, b);
    }
}
fn take_slot(u: &SlotFetcher) -> (u32, [u32; 4]) {
    (0, [u.slot.val().to_u32(), 0, 0, 0])
}
fn check_slot(n: u32, _: u32, words: [u32; 4]) {
    assert_eq!(words[0], u32::from(slot(n)), "slot {n}");
}

proptest! {
    #![proptest_config(crate::common::cases(10))]
    #[test]
    fn sqes_come_out_once_in_order(seed: u64, log2 in 4u32..8) {
        let reader = run!(SqeFetcher, seed, log2, 600, false, write_sqe, take_sqe, check_sqe, retire_sqe);
        prop_assert!(reader.deepest <= 2);
    }
    #[test]
    fn slots_come_out_once_in_order(seed: u64, log2 in 4u32..10) {
        let reader = run!(SlotFetcher, seed, log2, 1500, false, write_slot, take_slot, check_slot, retire_slot);
        let border = 128.min(2u64 << log2);
        for (addr, dwords) in reader.log {
            let end = addr + 4 * u64::from(dwords) - 1;
            prop_assert_eq!((addr - BASE) / border, (end - BASE) / border, "past a line or the ring's end");
        }
    }
}

#[test]
fn indices_survive_the_wrap_of_the_index_space() {
    run!(
        SqeFetcher,
        1,
        5u32,
        INDEX_MODULUS + 100,
        true,
        write_sqe,
        take_sqe,
        check_sqe,
        retire_sqe
    );
    run!(
        SlotFetcher,
        2,
        14u32,
        INDEX_MODULUS + 100,
        true,
        write_slot,
        take_slot,
        check_slot,
        retire_slot
    );
}

#[test]
fn nothing_of_a_failed_read_is_handed_out() {
    let mut rng = Rng(3);
    let mut memory = Memory::default();
    let mut now = 0;
    let mut reader = Reader::new(100, 100, 5);
    reader.poison.push(BASE + 128..BASE + 256);
    let mut sq = Native::<SqeFetcher>::default();
    start!(sq, 5u32);
    (0..20).for_each(|n| write_sqe(&mut memory, BASE, 5, n));
    let (mut taken, mut errors) = (0, 0);
    for i in 0..400 {
        let seen = cycle!(
            sq,
            reader,
            rng,
            now,
            memory,
            (i == 0).then_some(20),
            &mut Retired::default(),
            true,
            take_sqe,
            retire_sqe
        );
        if let (Some((index, words)), 0) = (seen.entry, errors) {
            check_sqe(taken, index, words);
            taken += 1;
        }
        if seen.error {
            errors += 1;
            // As the queue does.
            sq.u.run.next = 0.into();
        }
    }
    assert_eq!((taken.min(8), errors), (taken, 1));
    assert!(sq.u.idle.val());
    let mut slots = Native::<SlotFetcher>::default();
    start!(slots, 8u32);
    (0..100).for_each(|n| write_slot(&mut memory, BASE, 8, n));
    let (mut taken, mut errors) = (0, 0);
    for i in 0..400 {
        let seen = cycle!(
            slots,
            reader,
            rng,
            now,
            memory,
            (i == 0).then_some(100),
            &mut Retired::default(),
            true,
            take_slot,
            retire_slot
        );
        if let (Some((_, words)), 0) = (seen.entry, errors) {
            check_slot(taken, 0, words);
            taken += 1;
        }
        if seen.error {
            errors += 1;
            slots.u.run.next = 0.into();
        }
    }
    assert_eq!(errors, 1);
    assert!(taken <= 64 && slots.u.idle.val());
}

#[test]
fn exports_to_clean_verilog() {
    verilator_lint(
        "sqe_fetcher",
        &ferrule_rtl::verilog::emit::<SqeFetcher>("sqe_fetcher").expect("emits"),
    );
    verilator_lint(
        "slot_fetcher",
        &ferrule_rtl::verilog::emit::<SlotFetcher>("slot_fetcher").expect("emits"),
    );
}
