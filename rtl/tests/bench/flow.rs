//! `PauseTimer` and `PauseSender` alone, against the words of IEEE 802.3 annex 31B.
use crate::lockstep::Trace;
use crate::rx::frames::{mac_words, Rng, OWN};
use crate::rx::harness::shown;
use ferrule_rtl::flow::{sender::PauseSender, timer::PauseTimer};
use ferrule_rtl::native::Native;
use proptest::prelude::*;

const CYCLE_NS: u64 = 8;
/// Nanoseconds of 512 bit times at 10, 100 and 1000 Mbit/s.
const QUANTUM_NS: [u64; 3] = [51_200, 5_120, 512];

struct Timer {
    dut: Native<PauseTimer>,
    trace: Trace,
    now_ns: u64,
    enable: bool,
}

impl Timer {
    fn new(now_ns: u64) -> Self {
        let mut timer = Self {
            dut: Native::default(),
            trace: Trace::default(),
            now_ns,
            enable: true,
        };
        timer.dut.u.reset.next = true;
        timer.cycle(None, 2);
        timer.dut.u.reset.next = false;
        timer
    }

    /// One cycle, with a pause time or without; whether frames are held back.
    fn cycle(&mut self, quanta: Option<u16>, speed: u64) -> bool {
        let u = &mut self.dut.u;
        u.clock.next = false.into();
        u.enable.next = self.enable;
        u.set.next = quanta.is_some();
        u.quanta.next = u64::from(quanta.unwrap_or(0x5A5A)).into();
        u.link_speed.next = speed.into();
        u.time_lo.next = (self.now_ns & 0xFFFF_FFFF).into();
        u.time_hi.next = (self.now_ns >> 32).into();
        self.dut.settle();
        self.trace.record(&*self.dut.u);
        let active = self.dut.u.active.val();
        self.dut.u.clock.next = true.into();
        self.dut.settle();
        self.now_ns += CYCLE_NS;
        active
    }

    /// How long frames are held back after a pause time that comes now.
    fn measure(&mut self, quanta: u16, speed: u64) -> u64 {
        let from = self.now_ns;
        self.cycle(Some(quanta), speed);
        self.cycle(None, speed);
        self.cycle(None, speed);
        let asked = u64::from(quanta) * QUANTUM_NS[speed as usize];
        if asked > 4_096 {
            // Nothing happens in between: it is held at both ends of the time that is skipped.
            assert!(self.cycle(None, speed));
            self.now_ns += asked - 4_096;
        }
        while self.cycle(None, speed) {
            assert!(
                self.now_ns - from < asked + 10_000,
                "{quanta} quanta at {speed}"
            );
        }
        assert!(!self.dut.u.busy.val());
        self.now_ns - from
    }
}

proptest! {
    #![proptest_config(crate::common::cases(48))]
    #[test]
    fn a_pause_is_never_shorter_than_asked_for_nor_much_longer(
        start in prop_oneof![0..1_u64 << 34, (1 << 32) - 9_000_u64..1 << 32, (1 << 33) - 9_000_u64..1 << 33],
        quanta in prop_oneof![1..100_u16, any::<u16>(), Just(0xFFFF)],
        speed in 0..3_u64,
    ) {
        let mut timer = Timer::new(start);
        let took = timer.measure(quanta, speed);
        let asked = u64::from(quanta) * QUANTUM_NS[speed as usize];
        // A unit of the timer, and the cycles in which it is taken and found over.
        prop_assume!(quanta > 0);
        assert!((asked..=asked + 512 + 6 * CYCLE_NS).contains(&took), "{took} for {asked} from {start}");
        assert!(!timer.cycle(None, speed));
    }
}

#[test]
fn the_last_pause_time_counts_and_zero_ends_it() {
    let mut timer = Timer::new(77);
    for (quanta, held) in [
        (0xFFFF, true),
        (0, false),
        (9, true),
        (0xFFFF, true),
        (0, false),
    ] {
        timer.cycle(Some(quanta), 2);
        timer.cycle(None, 2);
        assert_eq!(timer.cycle(None, 2), held, "{quanta}");
    }
    timer.cycle(Some(0xFFFF), 2);
    timer.cycle(None, 2);
    assert!(timer.cycle(None, 2));
    timer.cycle(Some(2), 2);
    timer.cycle(None, 2);
    timer.now_ns += 1_600;
    timer.cycle(None, 2);
    assert!(
        !timer.cycle(None, 2),
        "the shorter one replaces the longer one"
    );
    timer.cycle(Some(0xFFFF), 2);
    timer.cycle(None, 2);
    timer.enable = false;
    timer.cycle(None, 2);
    assert!(!timer.cycle(None, 2), "switched off");
    timer.trace.check::<PauseTimer>("pause_timer");
}

/// The sender, before a multiplexer that is not always ready.
struct Sender {
    dut: Native<PauseSender>,
    trace: Trace,
    rng: Rng,
    now_ns: u64,
    enable: bool,
    sending: bool,
    high: bool,
    low: bool,
}

impl Sender {
    fn new(seed: u64) -> Self {
        let mut sender = Self {
            dut: Native::default(),
            trace: Trace::default(),
            rng: Rng(seed),
            now_ns: 123,
            enable: true,
            sending: true,
            high: false,
            low: true,
        };
        sender.dut.u.reset.next = true;
        sender.run(1);
        sender.dut.u.reset.next = false;
        sender
    }

    fn run(&mut self, cycles: usize) -> Vec<Vec<u8>> {
        let (mut frames, mut bytes) = (vec![], vec![]);
        for _ in 0..cycles {
            let ready = self.rng.percent(60);
            let u = &mut self.dut.u;
            u.clock.next = false.into();
            u.enable.next = self.enable;
            u.sending.next = self.sending;
            u.high.next = self.high;
            u.low.next = self.low;
            u.time_lo.next = (self.now_ns & 0xFFFF_FFFF).into();
            let (lo, hi) = mac_words(OWN);
            u.mac_lo.next = u64::from(lo).into();
            u.mac_hi.next = u64::from(hi).into();
            u.frame.ready.next = ready;
            self.dut.settle();
            self.trace.record(&*self.dut.u);
            let u = &self.dut.u;
            if u.frame.valid.val() && ready {
                bytes.extend(shown(&u.frame));
                if u.frame.last.val() {
                    frames.push(std::mem::take(&mut bytes));
                }
            }
            self.dut.u.clock.next = true.into();
            self.dut.settle();
            self.now_ns += CYCLE_NS;
        }
        assert!(bytes.is_empty() && !self.dut.u.busy.val());
        frames
    }
}

/// Annex 31B: group address, EtherType of MAC control, opcode 1, pause time.
fn frame(quanta: u16) -> Vec<u8> {
    let [a, b] = quanta.to_be_bytes();
    [
        &[0x01, 0x80, 0xC2, 0x00, 0x00, 0x01][..],
        &OWN,
        &[0x88, 0x08, 0x00, 0x01, a, b],
    ]
    .concat()
}

#[test]
fn a_pause_is_asked_for_when_the_buffer_fills_again_in_time_and_ended_when_it_is_empty() {
    let mut sender = Sender::new(3);
    assert!(sender.run(40).is_empty());
    sender.low = false;
    assert!(sender.run(40).is_empty(), "between the marks");
    sender.high = true;
    assert_eq!(sender.run(40), [frame(0xFFFF)]);
    sender.high = false;
    assert!(sender.run(40).is_empty());
    for _ in 0..5 {
        // A pause of 65,535 quanta of 512 ns is over after 33.5 ms.
        sender.now_ns += 8_500_000;
        assert_eq!(sender.run(40), [frame(0xFFFF)]);
    }
    sender.low = true;
    assert_eq!(sender.run(40), [frame(0)]);
    sender.now_ns += 8_500_000;
    assert!(sender.run(40).is_empty());
    (sender.high, sender.low) = (true, false);
    assert_eq!(sender.run(40), [frame(0xFFFF)]);
    sender.enable = false;
    assert_eq!(sender.run(40), [frame(0)], "switched off");
    sender.enable = true;
    sender.sending = false;
    assert!(
        sender.run(40).is_empty(),
        "nothing is sent without CTRL.TX_EN"
    );
    sender.sending = true;
    assert_eq!(sender.run(40), [frame(0xFFFF)]);
    sender.trace.check::<PauseSender>("pause_sender");
}
