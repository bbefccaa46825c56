//! MII receive side: bytes at any alignment of the SFD, the nibble left over, and a change of mode between carriers.
use super::gmii::{self, carrier, gap, nibbles, with_fcs, Received};
use crate::common::verilator_lint;
use ferrule_rtl::mac::mii::MiiRx;
use ferrule_rtl::mac::rx::MacRx;
use ferrule_rtl::native::Native;
use ferrule_rtl::pins::Gmii;
use proptest::prelude::*;

/// Both halves of the receiver; what one takes from the other are registers or pass through once.
#[derive(Default)]
struct Bench {
    mii: Native<MiiRx>,
    mac: Native<MacRx>,
    nibbles: bool,
    frame: Vec<u8>,
    frames: Vec<Received>,
}

impl Bench {
    fn nibbles() -> Self {
        let mut bench = Self {
            nibbles: true,
            ..Self::default()
        };
        bench.play(gap(3));
        bench
    }

    fn cycle(&mut self, symbol: Gmii) -> bool {
        let (mii, mac) = (&mut self.mii.u, &mut self.mac.u);
        mii.clock.next = false.into();
        mac.clock.next = false.into();
        mii.nibbles.next = self.nibbles;
        mii.rxd.next = u64::from(symbol.data).into();
        mii.rx_dv.next = symbol.valid;
        mii.rx_er.next = symbol.error;
        mii.in_frame.next = mac.in_frame.val();
        mii.in_carrier.next = mac.busy.val();
        self.mii.settle();
        let mii = &self.mii.u;
        mac.max_frame.next = 1518.into();
        mac.strobe.next = mii.strobe.val();
        mac.rxd.next = mii.data.val();
        mac.rx_dv.next = mii.valid.val();
        mac.rx_er.next = mii.error.val();
        mac.m.ready.next = true;
        self.mac.settle();
        let m = &self.mac.u.m;
        if m.valid.val() {
            let count = m.count.val().to_u64() as usize + 1;
            let bytes = m.data.val().to_u32().to_le_bytes();
            self.frame.extend(&bytes[..count]);
            if m.last.val() {
                let bad = m.bad.val().to_u64();
                self.frames.push((std::mem::take(&mut self.frame), bad));
            }
        }
        self.mii.u.clock.next = true.into();
        self.mii.settle();
        self.mac.u.clock.next = true.into();
        self.mac.settle();
        self.mac.u.busy.val()
    }

    fn play(&mut self, symbols: impl IntoIterator<Item = Gmii>) {
        for s in symbols {
            self.cycle(s);
        }
    }
}

fn nibble(data: u8) -> Gmii {
    Gmii {
        data,
        valid: true,
        error: false,
    }
}

#[derive(Debug, Clone)]
struct Item {
    len: usize,
    seed: u32,
    /// Nibbles 5 before those of the SFD.
    preamble: usize,
    /// A nibble after the last byte.
    dribble: Option<u8>,
    error: Option<usize>,
    damage: Option<usize>,
    gap: usize,
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    let len = prop_oneof![1 => 5usize..300, 2 => 56usize..70, 1 => 1510usize..1515];
    let rare = || proptest::option::weighted(0.2, any::<usize>());
    let dribble = proptest::option::weighted(0.4, any::<u8>());
    let item = (
        len,
        any::<u32>(),
        0usize..32,
        dribble,
        rare(),
        rare(),
        1usize..60,
    )
        .prop_map(|(len, seed, preamble, dribble, error, damage, gap)| Item {
            len,
            seed,
            preamble,
            dribble,
            error,
            damage,
            gap,
        });
    proptest::collection::vec(item, 1..6)
}

proptest! {
    #![proptest_config(crate::common::cases(24))]
    #[test]
    fn frames_come_as_sent_wherever_their_sfd_begins(items in items()) {
        let mut bench = Bench::nibbles();
        let mut expected = Vec::new();
        for item in &items {
            let frame = gmii::bytes(item.len, item.seed);
            let mut wire = with_fcs(&frame);
            if let Some(bit) = item.damage {
                wire[bit / 8 % (item.len + 4)] ^= 1 << (bit % 8);
            }
            let mut symbols = vec![nibble(5); item.preamble];
            symbols.extend(nibbles(carrier(0, &wire)));
            if let Some(at) = item.error {
                let at = at % symbols.len();
                symbols[at].error = true;
            }
            symbols.extend(item.dribble.map(nibble));
            bench.play(symbols);
            bench.play(gap(item.gap));
            let bad = u64::from(item.damage.is_some())
                | u64::from(item.error.is_some()) << 1
                | u64::from(wire.len() < 64) << 2;
            expected.push((wire[..item.len].to_vec(), bad));
        }
        prop_assert!(!bench.cycle(Gmii::default()));
        prop_assert_eq!(bench.frames, expected);
    }

    #[test]
    fn noise_and_mode_changes_never_hang_it(
        noise in proptest::collection::vec((any::<u8>(), 0u8..16, any::<bool>(), 0u8..20), 0..400),
        likely in any::<bool>(),
        at_last in any::<bool>(),
    ) {
        let mut bench = Bench::default();
        for (data, dv, error, change) in noise {
            let data = if likely { [0x55, 0xD5, data][usize::from(data) % 3] } else { data };
            bench.nibbles ^= change == 0;
            bench.cycle(Gmii { data, valid: dv != 0, error });
        }
        bench.nibbles = at_last;
        bench.play(gap(3));
        bench.frames.clear();
        let frame = gmii::udp_frame(b"after the noise, and long enough");
        let symbols = carrier(7, &with_fcs(&frame));
        bench.play(if at_last { nibbles(symbols) } else { symbols });
        bench.play(gap(1));
        prop_assert_eq!(&bench.frames[..], &[(frame, 0)]);
    }

    #[test]
    fn a_frame_under_way_ends_in_the_mode_it_began_in(
        from in any::<bool>(),
        change_at in 0usize..700,
        seed in any::<u32>(),
    ) {
        let mut bench = Bench { nibbles: from, ..Bench::default() };
        bench.play(gap(3));
        let frame = gmii::bytes(200, seed);
        let symbols = carrier(7, &with_fcs(&frame));
        let before = if from { nibbles(symbols.clone()) } else { symbols.clone() };
        for (i, s) in before.into_iter().enumerate() {
            bench.nibbles ^= i == change_at;
            bench.cycle(s);
        }
        bench.nibbles = !from;
        bench.play(gap(8));
        bench.play(if from { symbols } else { nibbles(symbols) });
        bench.play(gap(1));
        prop_assert_eq!(&bench.frames[..], &[(frame.clone(), 0), (frame, 0)]);
    }
}

#[test]
fn an_sfd_cut_in_two_and_a_preamble_gone_wrong_are_no_frames() {
    let mut bench = Bench::nibbles();
    let body = nibbles(carrier(0, &with_fcs(&[6; 60])));
    for begin in [&[0xD][..], &[5, 5, 7, 5], &[5, 5, 5, 0xD, 0xD]] {
        bench.frames.clear();
        bench.play(begin.iter().copied().map(nibble));
        // After the whole preamble's end there is no further SFD to find.
        bench.play(body.iter().skip(1).copied());
        bench.play(gap(8));
        assert!(bench.frames.iter().all(|(_, bad)| *bad != 0), "{begin:?}");
    }
    bench.frames.clear();
    bench.play(body);
    bench.play(gap(1));
    assert_eq!(bench.frames, [(vec![6; 60], 0)]);
}

#[test]
fn false_carrier_before_a_frame_does_not_spoil_it() {
    let mut bench = Bench::nibbles();
    // IEEE 802.3 table 22-2: RX_DV low, RX_ER high, RXD 1110.
    bench.play([Gmii {
        data: 0x0E,
        valid: false,
        error: true,
    }]);
    bench.play(nibbles(carrier(7, &with_fcs(&[9; 60]))));
    bench.play(gap(1));
    assert_eq!(bench.frames, [(vec![9; 60], 0)]);
}

#[test]
fn verilog_is_clean() {
    verilator_lint(
        "mii_rx",
        &ferrule_rtl::verilog::emit::<MiiRx>("mii_rx").expect("emits"),
    );
}
