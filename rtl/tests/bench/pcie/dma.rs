//! DMA through TLPs: memory images, answers, order, errors, timeouts, bus mastering, reset in mid-traffic.
use super::bench::{Answer, Bench, Job, DEVICE, HOST};
use super::tlp::{word_at, Completion, Request, Rng, Tlp, ABORT, SUCCESS, UNSUPPORTED};
use ferrule_abi::{counter, regs, TICK_NS};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A random address for `dwords` DWs, below or above 4 GiB, not across a 4 KiB border.
fn address(rng: &mut Rng, dwords: u32) -> u64 {
    let page = (1 + rng.below(1 << 20)) << 12;
    let high = if rng.chance(1, 2) {
        (1 + rng.below(1 << 30)) << 32
    } else {
        0
    };
    let room = 4096 - u64::from(dwords) * 4;
    let at = match rng.below(3) {
        0 => 0,
        1 => room,
        _ => rng.below(room / 4 + 1) * 4,
    };
    high + page + at
}

fn job(rng: &mut Rng) -> Job {
    let dwords = [1, 2, 3, 4, 8, 31, 32][rng.below(7) as usize];
    Job {
        addr: address(rng, dwords),
        data: (0..dwords).map(|_| rng.next() as u32).collect(),
        last_be: [0b0001, 0b0011, 0b0111, 0b1111][rng.below(4) as usize],
    }
}

/// Applies a job to a memory image.
fn apply(memory: &mut BTreeMap<u64, u8>, job: &Job) {
    let full = job.data.len() as u64 * 4 - u64::from(job.last_be.leading_zeros() - 4);
    for i in 0..full {
        memory.insert(
            job.addr + i,
            (job.data[(i / 4) as usize] >> (8 * (i % 4))) as u8,
        );
    }
}

/// What a read is to be answered with, as the stream of beats gives it: without the second DW of a beat that holds one.
fn check(answer: &Answer, addr: u64, dwords: u32) {
    let want: Vec<u32> = (0..u64::from(dwords))
        .map(|i| word_at(addr + 4 * i))
        .collect();
    let got = answer.as_ref().expect("no error");
    assert_eq!(got.len(), want.len().next_multiple_of(2), "beats");
    assert_eq!(got[..want.len()], want[..], "{dwords} DWs at {addr:x}");
}

proptest! {
    #![proptest_config(crate::common::cases(10))]

    /// Everything at once: reads of three clients, writes of four, register accesses, interrupts; random splits, orders and stalls.
    #[test]
    fn memory_and_answers_are_right(seed: u64) {
        let mut rng = Rng(seed);
        let mut b = Bench::new(rng.next(), true);
        // Vector 1 unmasked, to an address of its own.
        for (i, v) in [0xFEE0_1000, 0x7, 0x4321, 0].into_iter().enumerate() {
            b.write(ferrule_abi::BAR_MSIX, 16 + 4 * i as u32, v);
        }
        let mut memory = BTreeMap::new();
        let mut asked: [Vec<(u64, u32)>; 3] = Default::default();
        let (mut writes, mut reads) = (0, 0);
        for _ in 0..60 {
            for i in 0..4 {
                if rng.chance(1, 2) {
                    // Each client has its own memory, so that the order among clients does not matter.
                    let mut j = job(&mut rng);
                    j.addr = j.addr & !(3 << 50) | (i as u64) << 50;
                    apply(&mut memory, &j);
                    b.jobs[i].push_back(j);
                    writes += 1;
                }
            }
            for (asked, queue) in asked.iter_mut().zip(&mut b.requests) {
                if rng.chance(1, 2) {
                    let dwords = [1, 2, 7, 16, 32, 63, 64][rng.below(7) as usize];
                    let r = (address(&mut rng, dwords), dwords);
                    queue.push_back(r);
                    asked.push(r);
                    reads += 1;
                }
            }
            for _ in 0..rng.below(60) {
                b.cycle();
            }
            if rng.chance(1, 3) {
                // The completion of a register read comes after every write that was accepted before it.
                b.until("room", |b| b.to_device.is_empty());
                let taken = b.jobs_taken;
                prop_assert_eq!(b.reg(regs::magic::OFFSET), regs::MAGIC);
                let sent = b.seen.iter().filter(|t| matches!(t, Tlp::Request(_))).count();
                prop_assert!(sent >= taken, "{} writes taken, {} seen", taken, sent);
            }
        }
        b.irq = 2;
        b.cycle();
        b.settle();
        for (i, v) in [(0_u64, 0x21), (1, 0x43), (2, 0), (3, 0)] {
            memory.insert(0x7_FEE0_1000 + i, v);
        }
        prop_assert_eq!(&b.memory, &memory);
        for (i, asked) in asked.iter().enumerate() {
            prop_assert_eq!(b.answers[i].len(), asked.len());
            for (answer, &(addr, dwords)) in b.answers[i].iter().zip(asked) {
                check(answer, addr, dwords);
            }
        }
        prop_assert_eq!(b.counter(counter::TLP_WRITES), writes + 1);
        prop_assert_eq!(b.counter(counter::TLP_READS), reads);
        prop_assert_eq!(b.counter(counter::INTERRUPTS), 1);
        prop_assert_eq!(b.counter(counter::TLP_UNEXPECTED), 0);
        prop_assert_eq!(b.counter(counter::TLP_READ_ERRORS), 0);
    }

    /// Completions that are wrong in some way never reach a client as data, and do not disturb the other reads.
    #[test]
    fn wrong_completions_do_no_harm(seed: u64) {
        let mut rng = Rng(seed);
        let mut b = Bench::new(rng.next(), true);
        b.answering = false;
        let (mut unexpected, mut errors, mut good) = (0, 0, 0);
        let mut asked: [Vec<(u64, u32, bool)>; 3] = Default::default();
        for _ in 0..20 {
            for i in 0..3 {
                let dwords = 1 + rng.below(64) as u32;
                b.requests[i].push_back((address(&mut rng, dwords), dwords));
            }
            b.until("the reads", |b| b.reads.len() == 3);
            while !b.reads.is_empty() {
                let at = rng.below(b.reads.len() as u64) as usize;
                let r = b.reads.swap_remove(at);
                let mut parts = Bench::completions(&r, || rng.chance(1, 2));
                let mut fails = false;
                // First something that must be thrown away, perhaps.
                let mut wrong = parts[0].clone();
                match rng.below(7) {
                    0 => wrong.bytes = wrong.bytes % 0xFFC + 4,
                    1 => wrong.data.push(7),
                    2 => wrong.data.clear(),
                    3 => wrong.tag = (0..8).find(|t| *t != r.tag && b.reads.iter().all(|o| o.tag != *t)).expect("five are free"),
                    4 => wrong.requester ^= 0x100,
                    _ => wrong.tag |= 0x80,
                }
                let is_wrong = wrong.bytes != r.dwords * 4
                    || wrong.data.len() as u32 > r.dwords
                    || wrong.data.is_empty()
                    || wrong.tag != r.tag
                    || wrong.requester != DEVICE;
                if rng.chance(1, 2) && is_wrong {
                    b.send(&wrong.encode(), 0);
                    unexpected += 1;
                }
                if rng.chance(1, 4) {
                    // Cut off within the payload: what has come of it must not count.
                    let mut d = parts[0].encode();
                    d.pop();
                    b.send(&d, 0);
                    unexpected += 1;
                }
                if rng.chance(1, 3) {
                    // An error in place of the rest: Unsupported Request, Completer Abort, or poisoned data.
                    let which = rng.below(parts.len() as u64) as usize;
                    match rng.below(3) {
                        0 => parts[which].poisoned = true,
                        k => {
                            parts[which].status = [UNSUPPORTED, ABORT][k as usize - 1];
                            parts[which].data.clear();
                            parts.truncate(which + 1);
                        }
                    }
                    errors += 1;
                    fails = true;
                }
                good += parts.len() as u64;
                for c in parts {
                    b.send(&c.encode(), 0);
                }
                let client = match r.tag { 0 | 1 => 0, 2 | 3 => 1, _ => 2 };
                asked[client].push((r.addr, r.dwords, fails));
            }
            b.settle();
        }
        for (i, asked) in asked.iter().enumerate() {
            prop_assert_eq!(b.answers[i].len(), asked.len());
            for (answer, &(addr, dwords, fails)) in b.answers[i].iter().zip(asked) {
                if fails {
                    prop_assert!(answer.is_none());
                } else {
                    check(answer, addr, dwords);
                }
            }
        }
        prop_assert_eq!(b.counter(counter::TLP_UNEXPECTED), unexpected);
        prop_assert_eq!(b.counter(counter::TLP_READ_ERRORS), errors);
        prop_assert_eq!(b.counter(counter::TLP_COMPLETIONS), good);
    }
}

#[test]
fn eight_reads_are_in_flight_and_answered_in_order_whatever_comes_first() {
    let mut b = Bench::new(20, false);
    b.answering = false;
    for i in 0..3 {
        for k in 0..5 {
            b.requests[i].push_back((0x10_0000 * (i as u64 + 1) + 0x100 * k, 64));
        }
    }
    for _ in 0..200 {
        b.cycle();
    }
    assert_eq!(b.reads.len(), 8);
    assert_eq!(
        b.requests.iter().map(|q| q.len()).collect::<Vec<_>>(),
        [3, 3, 1]
    );
    for r in std::mem::take(&mut b.reads).into_iter().rev() {
        for c in Bench::completions(&r, || true) {
            b.send(&c.encode(), 0);
        }
    }
    b.answering = true;
    b.settle();
    for i in 0..3 {
        assert_eq!(b.answers[i].len(), 5);
        for (k, a) in b.answers[i].iter().enumerate() {
            check(a, 0x10_0000 * (i as u64 + 1) + 0x100 * k as u64, 64);
        }
    }
}

#[test]
fn a_client_that_does_not_listen_stops_no_other() {
    let mut b = Bench::new(21, false);
    b.listening[2] = false;
    for k in 0..8 {
        b.requests[2].push_back((0x1000 * k, 64));
    }
    for k in 0..20 {
        b.requests[0].push_back((0x9_0000 + 128 * k, 32));
        b.requests[1].push_back((0xA_0000 + 128 * k, 32));
    }
    b.until("answers", |b| {
        b.answers[0].len() == 20 && b.answers[1].len() == 20
    });
    assert!(b.answers[2].is_empty());
    b.listening[2] = true;
    b.settle();
    assert_eq!(b.answers[2].len(), 8);
}

#[test]
fn a_read_without_answer_fails_after_50_ms_and_the_device_idles_meanwhile() {
    let mut b = Bench::new(22, false);
    b.answering = false;
    b.requests[0].push_back((0x5000, 4));
    b.requests[2].push_back((0x6000, 64));
    b.until("reads", |b| b.reads.len() == 2);
    // One of them gets half of its answer.
    let r = b
        .reads
        .iter()
        .find(|r| r.addr == 0x6000)
        .expect("it was sent")
        .clone();
    let first = Bench::completions(&r, || true)[0].encode();
    b.send(&first, 0);
    let sent = b.time_ns;
    // Busy at first, in case the answer is merely slow.
    let mut ticks = 0;
    while b.busy() {
        b.time_ns += TICK_NS;
        for _ in 0..100 {
            b.cycle();
        }
        ticks += 1;
        assert!(ticks < 4);
    }
    while b.answers[0].is_empty() {
        assert!(!b.busy());
        // As a simulator does: jump to the deadline.
        assert!(b.n.u.deadline_valid.val());
        let deadline = u64::from(b.n.u.deadline.val().to_u32()) * TICK_NS;
        assert!(deadline > b.time_ns);
        b.time_ns = deadline;
        for _ in 0..100 {
            b.cycle();
        }
        ticks += 1;
        assert!(ticks < 60, "no timeout");
    }
    let waited = b.time_ns - sent;
    assert!((50_000_000..55_000_000).contains(&waited), "{waited} ns");
    b.settle();
    assert_eq!((&b.answers[0], &b.answers[2]), (&vec![None], &vec![None]));
    assert!(!b.n.u.deadline_valid.val());
    // Too late: nobody waits for it any more.
    for r in std::mem::take(&mut b.reads) {
        for c in Bench::completions(&r, || false) {
            b.send(&c.encode(), 0);
        }
    }
    b.settle();
    assert_eq!(b.counter(counter::TLP_READ_ERRORS), 2);
    assert_eq!(b.counter(counter::TLP_UNEXPECTED), 2);
    // And the tags are good again.
    b.answering = true;
    b.requests[0].push_back((0x7000, 3));
    b.settle();
    check(&b.answers[0][1], 0x7000, 3);
}

#[test]
fn without_bus_mastering_nothing_is_sent() {
    let mut b = Bench::new(23, true);
    let mut rng = Rng(99);
    b.n.u.bus_master.next = false;
    for i in 0..4 {
        for _ in 0..5 {
            b.jobs[i].push_back(job(&mut rng));
        }
    }
    for i in 0..3 {
        for _ in 0..6 {
            b.requests[i].push_back((0x1000, 8));
        }
    }
    b.irq = 15;
    assert_eq!(b.reg(regs::magic::OFFSET), regs::MAGIC);
    b.settle();
    assert!(b.memory.is_empty() && b.reads.is_empty());
    for a in &b.answers {
        assert_eq!(*a, vec![None; 6]);
    }
    assert_eq!(
        b.counter(counter::TLP_WRITES) + b.counter(counter::TLP_READS),
        0
    );
    b.n.u.bus_master.next = true;
    b.answers = Default::default();
    b.requests[1].push_back((0x3000, 5));
    b.jobs[0].push_back(Job {
        addr: 0x4000,
        data: vec![1, 2, 3],
        last_be: 15,
    });
    b.settle();
    check(&b.answers[1][0], 0x3000, 5);
    assert_eq!(b.memory.len(), 12);
}

#[test]
fn reset_waits_for_reads_and_clears_all_but_the_mac_address() {
    let mut b = Bench::new(24, true);
    b.set_reg(regs::mac_lo::OFFSET, 0xAABB_CC02);
    b.set_reg(regs::scratch::OFFSET, 0x1234);
    b.set_reg(regs::gateway::OFFSET, 0x0A00_0001);
    b.set_reg(regs::ctrl::OFFSET, regs::ctrl::RX_EN.of(1));
    b.write(ferrule_abi::BAR_MSIX, 0, 0xFEE0_0000);
    b.inc = 1;
    b.reg(0x3FC);
    b.answering = false;
    b.requests[2].push_back((0x6000, 64));
    b.until("the read", |b| b.reads.len() == 1);
    b.set_reg(regs::ctrl::OFFSET, regs::ctrl::RESET.of(1));
    // New requests and writes wait; registers still answer.
    b.requests[0].push_back((0x7000, 4));
    b.jobs[3].push_back(Job {
        addr: 0x4000,
        data: vec![1, 2, 3],
        last_be: 15,
    });
    for _ in 0..200 {
        b.cycle();
    }
    assert_eq!(b.reg(regs::status::OFFSET) & 1, 1);
    assert_eq!(
        (b.soft_resets, b.jobs_taken, b.requests[0].len()),
        (0, 0, 1)
    );
    b.answering = true;
    b.until("the reset", |b| b.soft_resets > 0);
    b.forget();
    assert!(b.memory.is_empty());
    while b.reg(regs::status::OFFSET) & 1 == 1 {}
    assert_eq!(b.soft_resets, 32);
    assert_eq!(b.reg(regs::mac_lo::OFFSET), 0xAABB_CC02);
    assert_eq!(b.reg(regs::mac_hi::OFFSET), 0x5544);
    assert_eq!(b.reg(regs::scratch::OFFSET), 0);
    assert_eq!(b.reg(regs::gateway::OFFSET), 0);
    assert_eq!(b.reg(regs::ctrl::OFFSET), 0);
    assert_eq!(b.refused(), 0);
    assert_eq!(b.counter(counter::RX_FRAMES), 0);
    assert_eq!(b.read(ferrule_abi::BAR_MSIX, 0), 0xFEE0_0000);
    assert!(!b.n.u.rx_enable.val());
}

#[test]
fn reset_ends_though_the_host_never_answers() {
    let mut b = Bench::new(25, false);
    b.answering = false;
    b.requests[1].push_back((0x6000, 64));
    b.until("the read", |b| b.reads.len() == 1);
    b.set_reg(regs::ctrl::OFFSET, regs::ctrl::RESET.of(1));
    let until = b.time_ns + 54 * TICK_NS;
    while b.time_ns < until {
        if b.time_ns < until - 7 * TICK_NS {
            assert_eq!(b.soft_resets, 0);
        }
        b.time_ns += TICK_NS;
        for _ in 0..100 {
            b.cycle();
        }
    }
    b.until("the reset", |b| b.soft_resets == 32);
    b.settle();
    assert_eq!(b.reg(regs::status::OFFSET) & 1, 0);
}

#[test]
fn completions_carry_on_after_an_error_completion() {
    let mut b = Bench::new(26, false);
    b.answering = false;
    b.requests[2].push_back((0x1000, 4));
    b.requests[2].push_back((0x2000, 4));
    b.until("reads", |b| b.reads.len() == 2);
    let refused: Vec<u32> = Completion {
        completer: HOST,
        status: UNSUPPORTED,
        bytes: 16,
        requester: DEVICE,
        tag: b.reads[0].tag,
        lower: 0,
        tc: 0,
        attr: 0,
        poisoned: false,
        data: vec![],
    }
    .encode();
    b.send(&refused, 0);
    let r: Request = b.reads[1].clone();
    for c in Bench::completions(&r, || false) {
        assert_eq!(c.status, SUCCESS);
        b.send(&c.encode(), 0);
    }
    b.reads.clear();
    b.settle();
    assert_eq!(b.answers[2][0], None);
    check(&b.answers[2][1], 0x2000, 4);
}
