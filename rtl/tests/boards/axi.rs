//! The adapter to the PCI Express block's AXI4-Streams: whatever the gaps and stalls, what goes in comes out.
use crate::stream::{self, goes};
use ferrule_rtl::native::Native;
use ferrule_rtl::pcie::axi::PcieAxi;
use ferrule_rtl::pins::TlpBeat;
use proptest::prelude::*;

/// A TLP as the block gives it: its DWs, what stands in tuser beside it, and whether its ECRC is wrong.
#[derive(Clone, Debug)]
struct Given {
    dwords: Vec<u32>,
    /// BAR that was hit, one bit each.
    hit: u8,
    poisoned: bool,
    ecrc: bool,
}

fn given() -> impl Strategy<Value = Given> {
    let hit = prop_oneof![4 => (0_u32..7).prop_map(|bar| 1 << bar), 1 => Just(0_u8)];
    (
        prop::collection::vec(any::<u32>(), 3..20),
        hit,
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.1),
    )
        .prop_map(|(dwords, hit, poisoned, ecrc)| Given {
            dwords,
            hit,
            poisoned,
            ecrc,
        })
}

/// tdata, tkeep, tlast, tuser of each beat (PG054: two DWs a beat, the header's first in bits 31:0).
fn beats(tlp: &Given) -> Vec<(u32, u32, u8, bool, u32)> {
    let n = tlp.dwords.len().div_ceil(2);
    let beat = |(i, pair): (usize, &[u32])| {
        let last = i + 1 == n;
        let user =
            u32::from(tlp.hit) << 2 | u32::from(tlp.poisoned) << 1 | u32::from(last && tlp.ecrc);
        let keep = if pair.len() == 2 { 0xFF } else { 0x0F };
        (
            pair[0],
            pair.get(1).copied().unwrap_or(0xDEAD_BEEF),
            keep,
            last,
            user,
        )
    };
    tlp.dwords.chunks(2).enumerate().map(beat).collect()
}

struct Bench {
    n: Native<PcieAxi>,
}

impl Bench {
    fn new() -> Self {
        let mut b = Self {
            n: Native::default(),
        };
        b.n.u.reset.next = true;
        b.rise();
        b.n.u.reset.next = false;
        b
    }
    fn rise(&mut self) {
        self.n.settle();
        self.n.u.clock.next = true.into();
        self.n.settle();
        self.n.u.clock.next = false.into();
        self.n.settle();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn both_ways_at_once_with_any_gaps(
        from_host in prop::collection::vec(given(), 1..6),
        to_host in prop::collection::vec(prop::collection::vec(any::<u32>(), 3..20), 1..6),
        patterns in prop::array::uniform4(prop_oneof![Just(u32::MAX), Just(0x5555_5555), Just(0), any::<u32>()]),
    ) {
        let mut b = Bench::new();
        let incoming: Vec<_> = from_host.iter().flat_map(beats).collect();
        let outgoing: Vec<TlpBeat> = to_host.iter().flat_map(|dwords| stream::beats(dwords, 0)).collect();
        let (mut at_in, mut at_out) = (0, 0);
        let (mut got_in, mut got_out, mut errors) = (vec![], vec![], 0);
        let (mut shows_in, mut shows_out) = (false, false);
        for cycle in 0..4_000 {
            // Once a beat is shown it stays until it is taken (AXI4-Stream, section 2.2.1).
            shows_in = at_in < incoming.len() && (shows_in || goes(patterns[0], cycle));
            shows_out = at_out < outgoing.len() && (shows_out || goes(patterns[1], cycle));
            let u = &mut b.n.u;
            let (d0, d1, keep, last, user) = incoming.get(at_in).copied().unwrap_or_default();
            u.rx_d0.next = u64::from(d0).into();
            u.rx_d1.next = u64::from(d1).into();
            u.rx_keep.next = u64::from(keep).into();
            u.rx_last.next = last;
            u.rx_user.next = u64::from(user).into();
            u.rx_valid.next = shows_in;
            u.from_host.ready.next = goes(patterns[2], cycle);
            let beat = outgoing.get(at_out).copied().unwrap_or_default();
            u.to_host.d0.next = u64::from(beat.d0).into();
            u.to_host.d1.next = u64::from(beat.d1).into();
            u.to_host.half.next = beat.half;
            u.to_host.last.next = beat.last;
            u.to_host.valid.next = shows_out;
            u.tx_ready.next = goes(patterns[3], cycle);
            b.n.settle();
            let u = &b.n.u;
            errors += usize::from(u.error.val());
            if u.from_host.valid.val() && u.from_host.ready.val() {
                got_in.push((
                    u.from_host.d0.val().to_u32(),
                    u.from_host.d1.val().to_u32(),
                    u.from_host.half.val(),
                    u.from_host.last.val(),
                    u.from_host.bar.val().to_u8(),
                ));
            }
            if u.tx_valid.val() && u.tx_ready.val() {
                got_out.push((u.tx_d0.val().to_u32(), u.tx_d1.val().to_u32(), u.tx_keep.val().to_u8(), u.tx_last.val()));
            }
            let (takes_in, takes_out) = (shows_in && u.rx_ready.val(), shows_out && u.to_host.ready.val());
            b.rise();
            if takes_in {
                at_in += 1;
                shows_in = false;
            }
            if takes_out {
                at_out += 1;
                shows_out = false;
            }
        }
        let expected: Vec<_> = from_host.iter().flat_map(|tlp| {
            let bar = if tlp.hit == 0 { 7 } else { tlp.hit.trailing_zeros() as u8 };
            // EP is bit 14 of the first DW (PCIe 2.1, figure 2-5).
            let poison = if tlp.poisoned { 0x4000 } else { 0 };
            beats(tlp).into_iter().enumerate().map(move |(i, (d0, d1, keep, last, _))| {
                (if i == 0 { d0 | poison } else { d0 }, d1, keep == 0x0F, last, bar)
            })
        }).collect();
        prop_assert_eq!(got_in, expected);
        let expected: Vec<_> = outgoing.iter().map(|b| (b.d0, b.d1, if b.half { 0x0F } else { 0xFF }, b.last)).collect();
        prop_assert_eq!(got_out, expected);
        prop_assert_eq!(errors, from_host.iter().filter(|t| t.ecrc).count());
    }
}

#[test]
fn every_cycle_can_carry_a_beat() {
    let mut b = Bench::new();
    b.n.u.from_host.ready.next = true;
    b.n.u.rx_valid.next = true;
    b.n.u.rx_keep.next = 0xFF_u64.into();
    let mut taken = 0;
    for _ in 0..100 {
        b.n.settle();
        taken += u32::from(b.n.u.rx_ready.val());
        b.rise();
    }
    assert_eq!(taken, 100);
}

#[test]
fn a_reset_in_the_middle_of_a_tlp_leaves_nothing_of_it() {
    let mut b = Bench::new();
    let show = |b: &mut Bench, d0: u64, poisoned: bool| {
        b.n.u.rx_valid.next = true;
        b.n.u.rx_keep.next = 0xFF_u64.into();
        b.n.u.rx_last.next = false;
        b.n.u.rx_d0.next = d0.into();
        b.n.u.rx_user.next = (u64::from(poisoned) << 1 | 4).into();
        b.rise();
    };
    // Three beats, of which the slice holds two, and nobody takes any.
    for _ in 0..3 {
        show(&mut b, 0x4000_0001, false);
    }
    b.n.u.rx_valid.next = false;
    b.n.u.reset.next = true;
    b.rise();
    b.n.u.reset.next = false;
    b.n.settle();
    assert!(!b.n.u.from_host.valid.val());
    // What comes then is the first beat of a TLP: its poison is where the header has it.
    show(&mut b, 0x4000_0001, true);
    assert!(b.n.u.from_host.valid.val());
    assert_eq!(b.n.u.from_host.d0.val().to_u64(), 0x4000_4001);
}

#[test]
fn configuration_is_where_pg054_has_it() {
    let mut b = Bench::new();
    let u = &mut b.n.u;
    u.cfg_bus.next = 0x5A_u64.into();
    u.cfg_device.next = 0x13_u64.into();
    u.cfg_function.next = 5_u64.into();
    u.cfg_command.next = 4_u64.into();
    // Maximum payload 256 bytes (bits 7:5), maximum read 512 (bits 14:12): PCIe 2.1, section 7.8.4.
    u.cfg_dcommand.next = 0x2020_u64.into();
    b.n.settle();
    let u = &b.n.u;
    assert_eq!(u.completer_id.val().to_u64(), 0x5A9D);
    assert!(u.bus_master.val());
    assert_eq!(
        (u.max_payload.val().to_u64(), u.max_read.val().to_u64()),
        (1, 2)
    );
    b.n.u.cfg_command.next = 0xFFFB_u64.into();
    b.n.settle();
    assert!(!b.n.u.bus_master.val());
    // A TLP of ours that the block threw away is an error once.
    b.n.u.tx_dropped.next = true;
    b.rise();
    b.n.u.tx_dropped.next = false;
    assert!(b.n.u.error.val());
    b.rise();
    assert!(!b.n.u.error.val());
}
