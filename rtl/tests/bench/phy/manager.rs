//! The manager beside a PHY with a link partner: speeds, half duplex, cable out and in, the host's transfers in between.
use super::phy_model::{Partner, PhyModel};
use crate::common::verilator_lint;
use crate::lockstep::Trace;
use ferrule_rtl::native::Native;
use ferrule_rtl::phy::manager::PhyManager;
use proptest::prelude::*;

const ADDRESS: u8 = 5;
/// ANLPAR bits 9:5 (IEEE 802.3 table 28-2, Annex 28B): 100BASE-T4, 100 full, 100 half, 10 full, 10 half.
const FD_100: u16 = 1 << 8;
const HD_100: u16 = 1 << 7;
const FD_10: u16 = 1 << 6;
const HD_10: u16 = 1 << 5;
/// GBSR (table 40-3).
const FD_1000: u16 = 1 << 11;
const HD_1000: u16 = 1 << 10;

/// A transfer that the host wants: register, what to write.
type Wish = (u8, Option<u16>);

struct Bench {
    dut: Native<PhyManager>,
    phy: Option<PhyModel>,
    level: bool,
    reset: bool,
    gigabit: bool,
    /// Clocks of a tick.
    tick: u64,
    clocks: u64,
    /// Clocks for which RESET_N was low.
    held: u64,
    wish: Option<Wish>,
    /// Link and speed whenever they changed.
    links: Vec<(bool, u64)>,
    trace: Option<Trace>,
}

impl Bench {
    /// After power-up and reset.
    fn new(phy: Option<PhyModel>) -> Self {
        let mut bench = Self::untouched(phy);
        bench.reset = true;
        bench.run(2);
        bench.reset = false;
        bench
    }

    /// As it powers up.
    fn untouched(phy: Option<PhyModel>) -> Self {
        Self {
            dut: Native::default(),
            phy,
            level: true,
            reset: false,
            gigabit: true,
            tick: 20,
            clocks: 0,
            held: 0,
            wish: None,
            links: vec![],
            trace: None,
        }
    }

    fn cycle(&mut self) {
        self.clocks += 1;
        let u = &mut self.dut.u;
        u.clock.next = false.into();
        u.reset.next = self.reset;
        u.gigabit.next = self.gigabit;
        u.phy.next = u64::from(ADDRESS).into();
        u.tick.next = self.clocks.is_multiple_of(self.tick);
        u.mdio_i.next = self.level;
        let (register, write) = self.wish.unwrap_or((17, Some(0xDEAD)));
        u.host.valid.next = self.wish.is_some();
        u.host.phy.next = u64::from(ADDRESS).into();
        u.host.register.next = u64::from(register).into();
        u.host.write.next = write.is_some();
        u.host.wdata.next = u64::from(write.unwrap_or(0)).into();
        self.dut.settle();
        if let Some(trace) = &mut self.trace {
            trace.record(&*self.dut.u);
        }
        let u = &self.dut.u;
        let driven = u.mdio_oe.val().then(|| u.mdio_o.val());
        let (mdc, released) = (u.mdc.val(), u.phy_reset_n.val());
        let link = (u.link_up.val(), u.link_speed.val().to_u64());
        self.held += u64::from(!released && !self.reset);
        self.level = match &mut self.phy {
            Some(phy) => {
                assert!(released || !mdc, "a transfer while the PHY is in reset");
                if !released {
                    phy.reset();
                }
                phy.clock(mdc, driven)
            }
            None => driven.unwrap_or(true),
        };
        if self.links.last() != Some(&link) {
            self.links.push(link);
        }
        self.dut.u.clock.next = true.into();
        self.dut.settle();
    }

    fn run(&mut self, clocks: u64) {
        (0..clocks).for_each(|_| self.cycle());
    }

    /// Until the PHY has its first transfer; then at a tick that leaves time between rounds.
    fn settle(&mut self) {
        self.run(20 * (16 + 192) + 4_400);
        self.tick = 4_000;
    }

    /// Some rounds.
    fn rounds(&mut self, n: u64) {
        self.run(n * 8 * self.tick);
    }

    fn link(&self) -> (bool, u64, bool) {
        let u = &self.dut.u;
        (
            u.link_up.val(),
            u.link_speed.val().to_u64(),
            u.link_error.val(),
        )
    }

    /// A transfer of the host.
    fn host(&mut self, wish: Wish) -> u16 {
        self.wish = Some(wish);
        let since = self.clocks;
        self.cycle();
        while !self.dut.u.host.done.val() {
            self.cycle();
            assert!(self.clocks - since < 8 * 4_400, "the host waits for ever");
        }
        let data = self.dut.u.host.rdata.val().to_u64() as u16;
        self.wish = None;
        self.run(4);
        assert!(!self.dut.u.host.done.val());
        data
    }

    fn phy(&mut self) -> &mut PhyModel {
        self.phy.as_mut().expect("there is one")
    }
}

fn partner(base: u16, gigabit: u16) -> Option<Partner> {
    Some(Partner::Negotiates {
        // Selector 1, acknowledge.
        base: base | 0x4001,
        gigabit,
    })
}

fn with(partner: Option<Partner>) -> Bench {
    let mut phy = PhyModel::new(ADDRESS);
    phy.partner = partner;
    Bench::new(Some(phy))
}

#[test]
fn the_phy_is_reset_and_set_up_before_it_is_asked() {
    let mut bench = with(None);
    bench.run(20 * (16 + 192) - 40);
    assert_eq!(bench.held / 20, 16);
    assert_eq!(bench.phy().transfers, 0);
    bench.run(100);
    bench.tick = 4_000;
    bench.run(4 * 4_400);
    // Full duplex only, then restart.
    assert_eq!(bench.phy().written, [(4, 0x0141), (9, 0x0200), (0, 0x1200)]);
    assert_eq!(bench.link(), (false, 0, false));
}

#[test]
fn a_board_without_gigabit_does_not_advertise_it() {
    let mut bench = with(partner(FD_100, FD_1000));
    bench.gigabit = false;
    bench.settle();
    bench.rounds(3);
    assert_eq!(bench.phy().written[1], (9, 0));
    assert_eq!(bench.link(), (true, 1, false));
}

#[test]
fn the_fastest_full_duplex_of_both_is_the_speed() {
    // By Annex 28B.3 and clause 40.5: partner's base page, GBSR, link, speed.
    for (base, gigabit, link) in [
        (FD_100 | HD_100 | FD_10 | HD_10, FD_1000 | HD_1000, Some(2)),
        (0, FD_1000, Some(2)),
        (FD_100 | HD_100 | FD_10 | HD_10, 0, Some(1)),
        (FD_100, HD_1000, Some(1)),
        (FD_10 | HD_10, 0, Some(0)),
        // Nothing in common with what is advertised: the PHY brings up no link.
        (HD_100 | HD_10, 0, None),
        (0, HD_1000, None),
    ] {
        let mut bench = with(partner(base, gigabit));
        bench.settle();
        bench.rounds(4);
        let expected = (link.is_some(), link.unwrap_or(0), false);
        assert_eq!(bench.link(), expected, "{base:x} {gigabit:x}");
    }
}

#[test]
fn a_partner_that_does_not_negotiate_is_a_link_error() {
    let mut bench = with(Some(Partner::Fixed100));
    bench.settle();
    bench.rounds(3);
    assert_eq!(bench.link(), (false, 0, true));
    bench.phy().connect(None);
    bench.rounds(2);
    assert_eq!(bench.link(), (false, 0, false));
    bench.phy().connect(partner(FD_100, 0));
    bench.rounds(4);
    assert_eq!(bench.link(), (true, 1, false));
}

#[test]
fn a_change_of_speed_is_seen_as_a_link_that_went_down() {
    let mut bench = with(partner(FD_100, FD_1000));
    bench.settle();
    bench.rounds(3);
    let mut expected = vec![(false, 0), (true, 2)];
    for (base, gigabit, speed) in [(FD_100, 0, 1), (FD_10, 0, 0), (0, FD_1000, 2)] {
        bench.phy().connect(partner(base, gigabit));
        bench.rounds(4);
        let before = expected.last().expect("one").1;
        expected.extend([(false, before), (true, speed)]);
        // The speed changes with the link up, not before.
        assert_eq!(bench.links, expected);
    }
}

#[test]
fn a_link_that_was_down_between_two_looks_is_told() {
    let mut bench = with(partner(FD_100, 0));
    bench.phy().negotiation_takes = 100;
    bench.settle();
    bench.rounds(3);
    assert_eq!(bench.links, [(false, 0), (true, 1)]);
    bench.phy().connect(None);
    bench.phy().connect(partner(FD_100, 0));
    bench.rounds(3);
    assert_eq!(bench.links, [(false, 0), (true, 1), (false, 1), (true, 1)]);
}

#[test]
fn a_cable_that_is_pulled_within_a_round_is_a_link_that_is_down_and_no_error() {
    for read in 0..6 {
        let mut bench = with(partner(FD_100, FD_1000));
        bench.settle();
        bench.rounds(3);
        assert_eq!(bench.link(), (true, 2, false));
        let transfers = bench.phy().transfers;
        while bench.phy().transfers <= transfers + read {
            bench.cycle();
        }
        bench.phy().connect(None);
        for _ in 0..2 * 8 * bench.tick {
            bench.cycle();
            let (_, speed, error) = bench.link();
            assert_eq!((speed, error), (2, false), "after {read} reads");
        }
        assert_eq!(bench.link(), (false, 2, false), "after {read} reads");
    }
}

#[test]
fn without_a_phy_there_is_no_link_and_the_host_reads_ones() {
    let mut bench = Bench::new(None);
    bench.settle();
    bench.rounds(2);
    assert_eq!(bench.link(), (false, 0, false));
    assert_eq!(bench.host((2, None)), 0xFFFF);
    bench.rounds(1);
    assert_eq!(bench.link(), (false, 0, false));
}

#[test]
fn what_the_host_advertises_instead_counts() {
    let mut bench = with(partner(FD_100 | FD_10, FD_1000));
    bench.settle();
    bench.rounds(3);
    assert_eq!(bench.link(), (true, 2, false));
    bench.host((9, Some(0)));
    bench.host((4, Some(FD_10 | 1)));
    bench.host((0, Some(0x1200)));
    bench.rounds(4);
    assert_eq!(bench.link(), (true, 0, false));
}

proptest! {
    #![proptest_config(crate::common::cases(8))]
    #[test]
    fn the_hosts_transfers_and_its_own_do_not_disturb_each_other(
        wishes in proptest::collection::vec((any::<bool>(), any::<u16>(), 0u64..6_000), 1..12),
        delay in 0u64..=37,
    ) {
        let mut bench = with(partner(FD_100, FD_1000));
        bench.phy().delay = delay;
        bench.settle();
        bench.rounds(3);
        let (mut anar, transfers) = (0x0141, bench.phy().transfers);
        let since = bench.clocks;
        let wanted = wishes.len() as u64;
        for (write, value, pause) in wishes {
            if write {
                // The bits that decide stay.
                anar = 0x0141 | value & 0xFC00;
                bench.host((4, Some(anar)));
                prop_assert_eq!(bench.phy().register(4), anar);
            } else {
                prop_assert_eq!(bench.host((4, None)), anar);
                prop_assert_eq!(bench.host((2, None)), 0x0141);
            }
            bench.run(pause);
        }
        bench.rounds(1);
        prop_assert_eq!(bench.links.last(), Some(&(true, 2)));
        // Six for each round, beside the host's.
        let rounds = (bench.clocks - since) / (8 * bench.tick);
        prop_assert!(bench.phy().transfers - transfers >= wanted + 6 * (rounds - 1));
    }
}

#[test]
fn iverilog_agrees_with_the_native_simulation() {
    let mut bench = Bench::untouched(Some(PhyModel::new(ADDRESS)));
    bench.phy().connect(partner(FD_100, FD_1000));
    bench.phy().negotiation_takes = 100;
    bench.trace = Some(Trace::default());
    bench.reset = true;
    bench.cycle();
    bench.reset = false;
    bench.tick = 2;
    bench.run(2 * (16 + 192) + 4_400 * 3);
    bench.tick = 3_000;
    bench.rounds(1);
    bench.host((4, None));
    assert_eq!(bench.link(), (true, 2, false));
    let transfers = bench.phy().transfers;
    while bench.phy().transfers < transfers + 2 {
        bench.cycle();
    }
    // Within a round.
    bench.phy().connect(None);
    bench.rounds(1);
    assert_eq!(bench.link(), (false, 2, false));
    bench.phy().connect(Some(Partner::Fixed100));
    bench.rounds(2);
    bench
        .trace
        .take()
        .expect("kept")
        .check::<PhyManager>("phy_manager");
}

#[test]
fn verilog_is_clean() {
    let text = ferrule_rtl::verilog::emit::<PhyManager>("phy_manager").expect("emits");
    verilator_lint("phy_manager", &text);
}
