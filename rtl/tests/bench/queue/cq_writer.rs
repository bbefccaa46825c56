//! The completion writer against a host that reads the ring by its phase.
use super::host::{sample_writer, Memory, Rng, Writer};
use crate::common::verilator_lint;
use ferrule_abi::ring::Cqe;
use ferrule_rtl::{native::Native, queue::cq_writer::CqWriter};
use proptest::prelude::*;

/// The vector that the queue raises.
const VECTOR: u32 = 5;

struct Bench {
    dut: Native<CqWriter>,
    memory: Memory,
    writer: Writer,
    rng: Rng,
    log2: u32,
    base: u64,
    /// Entries given to the device, read by the host, and what the host has told.
    given: u32,
    read: u32,
    told: u32,
    armed: bool,
    irqs: u32,
    /// Of the cycle before: `hold`, and a write was under way.
    before: (bool, bool),
}

fn words(n: u32, phase: bool) -> [u32; 4] {
    Cqe {
        len: n as u16,
        status: (n >> 16) as u16,
        hash: n.wrapping_mul(0x9E37_79B9),
        timestamp: !n,
        offsets: n as u16 ^ 0x5A5A,
        index: (n & 0x7FFF) as u16,
        phase,
    }
    .to_words()
}

/// What the host does in a cycle.
#[derive(Default, Clone, Copy)]
struct Act {
    valid: bool,
    more: bool,
    hold: bool,
    discard: bool,
    doorbell: Option<(u32, bool)>,
}

impl Bench {
    fn new(seed: u64, log2: u32, base: u64, accept: u64) -> Self {
        let mut writer = Writer::new(accept);
        writer.max_payload = 64;
        writer.allowed.push(base..base + (16 << log2));
        let mut b = Self {
            dut: Native::default(),
            memory: Memory::default(),
            writer,
            rng: Rng(seed),
            log2,
            base,
            given: 0,
            read: 0,
            told: 0,
            armed: false,
            irqs: 0,
            before: (false, false),
        };
        let queue = seed % 4;
        // Reset; base, size and vector as the host writes them; start.
        for step in 0..6 {
            let u = &mut b.dut.u;
            u.clock.next = false.into();
            u.reset.next = step == 0;
            u.owner.next = queue.into();
            u.bell.next = queue.into();
            u.set_place.next = queue.into();
            u.set_lo.next = step == 1;
            u.set_hi.next = step == 2;
            u.set_cfg.next = step == 3;
            u.set_data.next = match step {
                1 => base & 0xFFFF_FFFF,
                2 => base >> 32,
                _ => u64::from(log2 << 8 | VECTOR << 16),
            }
            .into();
            u.start.next = u64::from(u32::from(step == 4) << queue).into();
            b.dut.settle();
            b.dut.u.clock.next = true.into();
            b.dut.settle();
        }
        b
    }
    fn size(&self) -> u32 {
        1 << self.log2
    }
    /// One cycle; true if the entry offered was taken.
    fn cycle(&mut self, act: Act) -> bool {
        self.writer.before(&mut self.rng);
        let u = &mut self.dut.u;
        u.clock.next = false.into();
        let w = words(self.given, false);
        u.w0.next = u64::from(w[0]).into();
        u.w1.next = u64::from(w[1]).into();
        u.w2.next = u64::from(w[2]).into();
        u.w3.next = u64::from(w[3]).into();
        u.valid.next = act.valid;
        u.more.next = act.more;
        u.hold.next = act.hold;
        u.discard.next = act.discard;
        u.m.ready.next = self.writer.ready;
        let (consumer, arm) = act.doorbell.unwrap_or((self.told, false));
        u.consumer.next = u64::from(consumer % (1 << 15)).into();
        u.arm.next = arm;
        u.update_idx.next = act.doorbell.is_some();
        self.dut.settle();
        let u = &self.dut.u;
        assert!(!u.consumer_bad.val(), "consumer {consumer} is fine");
        let irq = u.irq.val().to_u32();
        assert!(irq == 0 || irq == 1 << VECTOR, "another queue's vector");
        if irq != 0 {
            assert!(self.armed, "an interrupt that nobody asked for");
            assert_ne!(self.visible(), self.told, "an interrupt without an entry");
            self.armed = false;
            self.irqs += 1;
        }
        let writing = u.m.valid.val();
        assert!(
            !writing || self.before.1 || !self.before.0,
            "a line begun while it should wait"
        );
        self.before = (act.hold, writing);
        if let Some((addr, bytes)) = sample_writer!(u.m, self.writer, &mut self.memory) {
            assert_eq!(
                addr & !63,
                (addr + u64::from(bytes) - 1) & !63,
                "one line a write"
            );
        }
        let taken = act.valid && u.ready.val();
        if let Some((c, arm)) = act.doorbell {
            self.told = c;
            self.armed |= arm;
        }
        if taken {
            self.given += 1;
        }
        self.dut.u.clock.next = true.into();
        self.dut.settle();
        taken
    }
    /// Free-running index after the last entry that stands in memory.
    fn visible(&self) -> u32 {
        let mut at = self.read;
        while at < self.read + self.size() {
            let phase = (at >> self.log2) & 1 == 0;
            let e = self
                .memory
                .entry(self.base + 16 * u64::from(at % self.size()));
            if Cqe::from_words(e).phase != phase {
                break;
            }
            at += 1;
        }
        at
    }
    /// The host reads what has come and checks it.
    fn drain(&mut self) {
        let end = self.visible();
        while self.read < end {
            let phase = (self.read >> self.log2) & 1 == 0;
            let e = self
                .memory
                .entry(self.base + 16 * u64::from(self.read % self.size()));
            assert_eq!(e, words(self.read, phase), "entry {}", self.read);
            self.read += 1;
        }
    }
}

fn random_run(seed: u64, log2: u32, entries: u32, accept: u64, base: u64) {
    let mut b = Bench::new(seed, log2, base, accept);
    let offer = 20 + b.rng.below(80);
    let host = 1 + b.rng.below(30);
    let mut valid = false;
    let mut cycles = 0u64;
    while b.read < entries {
        cycles += 1;
        assert!(
            cycles < 400 * u64::from(entries) + 10_000,
            "stuck at {} of {entries}",
            b.read
        );
        valid = valid || (b.given < entries && b.rng.percent(offer));
        let mut act = Act {
            valid,
            more: b.given < entries && b.rng.percent(70),
            hold: b.rng.percent(20),
            ..Act::default()
        };
        if b.rng.percent(host) {
            b.drain();
            let told = b.told + b.rng.below(u64::from(b.read - b.told) + 1) as u32;
            act.doorbell = Some((told, b.rng.percent(30)));
        }
        // The device may write only where the host has read: never more than a ring ahead of what it told.
        let before = b.writer.log.len();
        if b.cycle(act) {
            valid = false;
        }
        if b.writer.log.len() > before {
            assert!(b.visible() - b.told <= b.size(), "the ring is overrun");
        }
    }
    assert!(b.irqs > 0, "no interrupt in the whole run");
}

proptest! {
    #![proptest_config(crate::common::cases(10))]
    #[test]
    fn entries_arrive_once_in_order_and_never_overrun_the_ring(seed: u64, log2 in 4u32..7, accept in 20u64..101, page in 0u64..64) {
        // Bases are 64-byte aligned only, and may straddle the 4 GiB border.
        random_run(seed, log2, 600, accept, 0xFFFF_FC00 + 64 * page);
    }
}

#[test]
fn phases_and_indices_survive_the_wrap_of_the_index_space() {
    random_run(7, 10, 34_000, 100, 0x12_3456_7000);
}

#[test]
fn the_largest_ring_wraps() {
    random_run(9, 14, 17_000, 100, 0x8000_0000);
}

#[test]
fn a_line_waits_only_for_what_is_on_its_way() {
    let mut b = Bench::new(1, 4, 0x1000, 100);
    let give = |b: &mut Bench, n: u32, more: bool| {
        let to = b.given + n;
        while b.given < to {
            b.cycle(Act {
                valid: true,
                more,
                ..Act::default()
            });
        }
    };
    let rest = |b: &mut Bench, more: bool, n: u32| {
        for _ in 0..n {
            b.cycle(Act {
                more,
                ..Act::default()
            });
        }
    };
    give(&mut b, 3, true);
    rest(&mut b, true, 50);
    assert!(
        b.writer.log.is_empty(),
        "three of four wait while a fourth is announced"
    );
    give(&mut b, 1, true);
    rest(&mut b, true, 10);
    assert_eq!(b.writer.log, [(0x1000, 64)]);
    give(&mut b, 2, true);
    rest(&mut b, true, 20);
    rest(&mut b, false, 10);
    assert_eq!(
        b.writer.log[1..],
        [(0x1040, 32)],
        "nothing further: at once"
    );
    give(&mut b, 4, true);
    rest(&mut b, true, 20);
    assert_eq!(
        b.writer.log[2..],
        [(0x1060, 32)],
        "a line that was begun ends at its border"
    );
    b.cycle(Act {
        more: true,
        doorbell: Some((0, true)),
        ..Act::default()
    });
    rest(&mut b, true, 10);
    assert_eq!(b.writer.log[3..], [(0x1080, 32)], "armed: at once");
    assert_eq!(b.irqs, 1);
}

#[test]
fn arm_fires_once_at_once_or_at_the_next_entry() {
    let mut b = Bench::new(2, 4, 0x1000, 100);
    let run = |b: &mut Bench, n: u32| {
        for _ in 0..n {
            b.cycle(Act::default());
        }
    };
    let give = |b: &mut Bench| {
        while !b.cycle(Act {
            valid: true,
            ..Act::default()
        }) {}
    };
    b.cycle(Act {
        doorbell: Some((0, true)),
        ..Act::default()
    });
    run(&mut b, 50);
    assert_eq!(b.irqs, 0, "nothing to tell yet");
    give(&mut b);
    run(&mut b, 20);
    assert_eq!(b.irqs, 1, "at the next entry");
    give(&mut b);
    run(&mut b, 20);
    assert_eq!(b.irqs, 1, "one-shot");
    b.cycle(Act {
        doorbell: Some((1, true)),
        ..Act::default()
    });
    run(&mut b, 4);
    assert_eq!(b.irqs, 2, "at once: an entry beyond the consumer is there");
    b.cycle(Act {
        doorbell: Some((2, true)),
        ..Act::default()
    });
    b.cycle(Act {
        doorbell: Some((2, false)),
        ..Act::default()
    });
    give(&mut b);
    run(&mut b, 20);
    assert_eq!(b.irqs, 3, "a doorbell without ARM does not disarm");
}

#[test]
fn an_impossible_consumer_is_seen() {
    let mut b = Bench::new(3, 4, 0x1000, 100);
    for _ in 0..5 {
        while !b.cycle(Act {
            valid: true,
            ..Act::default()
        }) {}
    }
    for _ in 0..20 {
        b.cycle(Act::default());
    }
    b.cycle(Act {
        doorbell: Some((3, false)),
        ..Act::default()
    });
    for consumer in 0..1u64 << 15 {
        b.dut.u.consumer.next = consumer.into();
        b.dut.settle();
        assert_eq!(
            b.dut.u.consumer_bad.val(),
            !(3..=5).contains(&consumer),
            "{consumer}"
        );
    }
}

#[test]
fn a_full_ring_holds_entries_back_or_forgets_them_when_stopping() {
    let mut b = Bench::new(4, 4, 0x1000, 100);
    while b.given < 16 {
        b.cycle(Act {
            valid: true,
            ..Act::default()
        });
    }
    for _ in 0..100 {
        assert!(
            !b.cycle(Act {
                valid: true,
                ..Act::default()
            }),
            "the ring is full"
        );
    }
    assert!(!b.dut.u.busy.val(), "only the host can go on from here");
    assert_eq!(b.visible(), 16);
    assert!(b.cycle(Act {
        valid: true,
        discard: true,
        ..Act::default()
    }));
    for _ in 0..20 {
        b.cycle(Act::default());
    }
    assert_eq!(
        b.writer.log.iter().map(|w| w.1).sum::<u32>(),
        256,
        "nothing beyond the ring"
    );
}

#[test]
fn exports_to_clean_verilog() {
    let text = ferrule_rtl::verilog::emit::<CqWriter>("cq_writer").expect("emits");
    verilator_lint("cq_writer", &text);
}
