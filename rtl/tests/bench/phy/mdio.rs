//! A transfer on the management interface: against a slave that reads it bit by bit, and in time.
use super::phy_model::PhyModel;
use crate::common::verilator_lint;
use crate::lockstep::Trace;
use ferrule_rtl::native::Native;
use ferrule_rtl::phy::mdio::Mdio;
use proptest::prelude::*;

struct Bench {
    dut: Native<Mdio>,
    phy: PhyModel,
    level: bool,
    reset: bool,
    trace: Option<Trace>,
}

impl Bench {
    fn new(address: u8) -> Self {
        Self {
            dut: Native::default(),
            phy: PhyModel::new(address),
            level: true,
            reset: false,
            trace: None,
        }
    }

    fn cycle(&mut self) {
        let u = &mut self.dut.u;
        u.clock.next = false.into();
        u.reset.next = self.reset;
        u.mdio_i.next = self.level;
        self.dut.settle();
        if let Some(trace) = &mut self.trace {
            trace.record(&*self.dut.u);
        }
        let u = &self.dut.u;
        let driven = u.mdio_oe.val().then(|| u.mdio_o.val());
        self.level = self.phy.clock(u.mdc.val(), driven);
        self.dut.u.clock.next = true.into();
        self.dut.settle();
    }

    /// Does a transfer; what was read, and whether somebody answered.
    fn transfer(&mut self, phy: u8, register: u8, write: Option<u16>) -> (u16, bool) {
        let s = &mut self.dut.u.s;
        s.phy.next = u64::from(phy).into();
        s.register.next = u64::from(register).into();
        s.write.next = write.is_some();
        s.wdata.next = u64::from(write.unwrap_or(0x5AA5)).into();
        s.valid.next = true;
        let mut cycles = 0;
        while !self.dut.u.s.done.val() {
            self.cycle();
            cycles += 1;
            assert!(cycles <= 65 * 64 + 4, "it does not end");
        }
        let got = (
            self.dut.u.s.rdata.val().to_u64() as u16,
            self.dut.u.answered.val(),
        );
        self.dut.u.s.valid.next = false;
        self.cycle();
        self.cycle();
        assert!(!self.dut.u.s.done.val());
        got
    }
}

proptest! {
    #![proptest_config(crate::common::cases(12))]
    #[test]
    fn transfers_reach_their_phy_and_no_other(
        address in 0u8..32,
        delay in 0u64..=37,
        transfers in proptest::collection::vec((any::<bool>(), 0u8..32, prop_oneof![Just(4u8), Just(9)], any::<u16>(), 0usize..200), 1..8),
    ) {
        let mut bench = Bench::new(address);
        bench.phy.delay = delay;
        let (mut expected, mut count) = ([0u16; 10], 0);
        (expected[4], expected[9]) = (0x01E1, 0x0300);
        for (mine, other, register, value, pause) in transfers {
            let phy = if mine { address } else { other };
            let here = phy == address;
            let at = usize::from(register);
            if value & 1 == 0 {
                bench.transfer(phy, register, Some(value));
                if here {
                    expected[at] = value;
                }
            } else {
                let got = bench.transfer(phy, register, None);
                prop_assert_eq!(got, if here { (expected[at], true) } else { (0xFFFF, false) });
            }
            count += u64::from(here);
            prop_assert_eq!((bench.phy.register(4), bench.phy.register(9)), (expected[4], expected[9]));
            for _ in 0..pause {
                bench.cycle();
            }
        }
        prop_assert_eq!(bench.phy.transfers, count);
    }
}

#[test]
fn after_a_reset_within_a_transfer_the_next_one_is_whole() {
    for cut in [1, 100, 2_111, 3_000, 4_000] {
        let mut bench = Bench::new(3);
        bench.dut.u.s.phy.next = 3.into();
        bench.dut.u.s.register.next = 4.into();
        bench.dut.u.s.valid.next = true;
        for _ in 0..cut {
            bench.cycle();
        }
        // The PHY is in the same reset.
        bench.phy.held = true;
        bench.reset = true;
        bench.dut.u.s.valid.next = false;
        bench.cycle();
        bench.reset = false;
        bench.cycle();
        bench.cycle();
        bench.phy = PhyModel::new(3);
        for _ in 0..64 {
            bench.cycle();
        }
        bench.transfer(3, 4, Some(0x1234));
        assert_eq!(bench.transfer(3, 4, None), (0x1234, true), "cut at {cut}");
    }
}

#[test]
fn iverilog_agrees_with_the_native_simulation() {
    let mut bench = Bench::new(9);
    bench.phy.delay = 20;
    bench.trace = Some(Trace::default());
    bench.reset = true;
    bench.cycle();
    bench.reset = false;
    bench.transfer(9, 4, Some(0xC3A5));
    bench.transfer(9, 4, None);
    bench.transfer(8, 4, None);
    bench.trace.take().expect("kept").check::<Mdio>("mdio");
}

#[test]
fn verilog_is_clean() {
    verilator_lint(
        "mdio",
        &ferrule_rtl::verilog::emit::<Mdio>("mdio").expect("emits"),
    );
}
