//! The services of a board one by one: time, MAC address, LEDs, the search for a PHY.
use ferrule_rtl::board::dna::DnaReader;
use ferrule_rtl::board::leds::Leds;
use ferrule_rtl::board::time::TimeCounter;
use ferrule_rtl::native::Native;
use ferrule_rtl::phy::search::PhySearch;
use proptest::prelude::*;

/// A design with one clock, through a rise of it.
macro_rules! cycle {
    ($n:expr) => {
        $n.settle();
        $n.u.clock.next = true.into();
        $n.settle();
        $n.u.clock.next = false.into();
        $n.settle();
    };
}

#[test]
fn the_time_goes_on_past_32_bits() {
    // Sixteen steps to 2^32.
    let mut n = Native::<TimeCounter<0x1000_0000>>::default();
    for clocks in 0..40_u64 {
        n.settle();
        let time = n.u.time_hi.val().to_u64() << 32 | n.u.time_lo.val().to_u64();
        assert_eq!(time, clocks * 0x1000_0000);
        cycle!(n);
    }
    let mut n = Native::<TimeCounter<8>>::default();
    for _ in 0..5 {
        cycle!(n);
    }
    assert_eq!(n.u.time_lo.val().to_u64(), 40);
}

/// The cell as UG470 has it: READ loads the number at a rise of its clock, SHIFT moves it on, DOUT shows its upper end.
#[derive(Default)]
struct Dna {
    number: u64,
    shifted: u64,
    clock: bool,
    /// Our clocks since its clock changed.
    since: u32,
    rises: u32,
}

impl Dna {
    fn step(&mut self, n: &mut Native<DnaReader>) {
        let clock = n.u.dna_clk.val();
        self.since += 1;
        if clock != self.clock {
            // 100 MHz at most (DS181), at 125 MHz of ours.
            assert!(self.rises == 0 || self.since >= 2, "after {}", self.since);
            self.clock = clock;
            self.since = 0;
            if clock {
                self.rises += 1;
                if n.u.dna_read.val() {
                    self.shifted = self.number;
                } else if n.u.dna_shift.val() {
                    self.shifted = self.shifted << 1 & ((1 << 57) - 1);
                }
            }
        }
        n.u.dna_dout.next = self.shifted >> 56 & 1 != 0;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_mac_address_is_local_and_of_all_bits_of_the_number(number in 0_u64..1 << 57, flipped in 0_u32..57) {
        let read = |number: u64| {
            let mut n = Native::<DnaReader>::default();
            let mut dna = Dna { number, ..Dna::default() };
            n.u.reset.next = true;
            cycle!(n);
            n.u.reset.next = false;
            let mut clocks = 0;
            while !n.u.done.val() {
                cycle!(n);
                dna.step(&mut n);
                clocks += 1;
                assert!(clocks < 2_000);
            }
            let mac = n.u.mac_hi.val().to_u64() << 32 | n.u.mac_lo.val().to_u64();
            // It stays.
            for _ in 0..40 {
                cycle!(n);
                dna.step(&mut n);
            }
            assert_eq!(mac, n.u.mac_hi.val().to_u64() << 32 | n.u.mac_lo.val().to_u64());
            mac
        };
        let mac = read(number);
        // IEEE 802: of the first byte bit 1 is set (local), bit 0 is clear (one station).
        prop_assert_eq!(mac & 0xFF, 2);
        // Bits in the order in which they come; the last 17 over the first.
        let mut expected = 0_u64;
        for bit in (0..57).rev() {
            let top = expected >> 39 & 1;
            expected = (expected << 1 & ((1 << 40) - 1)) | (top ^ number >> bit & 1);
        }
        prop_assert_eq!(mac >> 8, expected, "number {:x}", number);
        prop_assert_ne!(read(number ^ 1 << flipped), mac, "number {:x}, bit {}", number, flipped);
    }
}

#[test]
fn leds_show_link_activity_errors_and_that_the_clock_runs() {
    let mut n = Native::<Leds>::default();
    let at = |n: &mut Native<Leds>, ms: u64, activity: bool, error: bool| {
        n.u.time_lo.next = ((ms * 1_000_000) & 0xFFFF_FFFF).into();
        n.u.activity.next = activity;
        n.u.error.next = error;
        cycle!(n);
        n.u.activity.next = false;
        n.u.error.next = false;
        cycle!(n);
        cycle!(n);
        n.u.leds.val().to_u64()
    };
    n.u.reset.next = true;
    cycle!(n);
    n.u.reset.next = false;
    assert_eq!(at(&mut n, 0, false, false), 0);
    n.u.link.next = true;
    assert_eq!(at(&mut n, 1, false, false), 1);
    // A frame shows for 34 ms at least and 68 at most, though it takes a microsecond.
    assert_eq!(at(&mut n, 5, true, false), 3);
    assert_eq!(at(&mut n, 30, false, false), 3);
    assert_eq!(at(&mut n, 40, false, false), 3);
    assert_eq!(at(&mut n, 70, false, false), 1);
    assert_eq!(at(&mut n, 71, false, true), 5);
    for (ms, lit) in [
        (400, 5),
        (540, 8 | 5),
        (900, 8 | 5),
        (1_080, 1),
        (1_620, 8 | 1),
    ] {
        // Every change of bit 25 and 29 of the time is seen on the way.
        for step in (72..ms).step_by(20) {
            if step + 20 >= ms {
                at(&mut n, step, false, false);
            }
        }
        assert_eq!(at(&mut n, ms, false, false), lit, "at {ms} ms");
    }
    n.u.link.next = false;
    assert_eq!(at(&mut n, 1_621, false, false), 8);
}

#[test]
fn a_phy_is_looked_for_at_each_address_until_it_answers_and_then_no_more() {
    let mut n = Native::<PhySearch>::default();
    n.u.first.next = 30_u64.into();
    n.u.reset.next = true;
    cycle!(n);
    n.u.reset.next = false;
    let ask = |n: &mut Native<PhySearch>, answers: bool| {
        n.u.asked.next = true;
        n.u.answered.next = answers;
        cycle!(n);
        n.u.asked.next = false;
        let restarted = n.u.restart.val();
        cycle!(n);
        assert!(!n.u.restart.val(), "for one clock only");
        (n.u.phy.val().to_u64(), restarted)
    };
    assert_eq!(n.u.phy.val().to_u64(), 30);
    assert_eq!(ask(&mut n, false), (31, true));
    assert_eq!(ask(&mut n, false), (0, true));
    assert_eq!(ask(&mut n, false), (1, true));
    assert_eq!(ask(&mut n, true), (1, false));
    for _ in 0..3 {
        assert_eq!(
            ask(&mut n, false),
            (1, false),
            "one that was there is waited for"
        );
    }
}
