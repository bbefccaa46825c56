//! Receiver: every frame as sent, each fault by its bit, and a clean state for the next frame.
use super::gmii::{self, carrier, gap, with_fcs, Received};
use crate::common::verilator_lint;
use ferrule_rtl::mac::rx::MacRx;
use ferrule_rtl::native::Native;
use ferrule_rtl::pins::Gmii;
use proptest::prelude::*;

struct Bench {
    dut: Native<MacRx>,
    max_frame: u64,
    reset: bool,
    ready: bool,
    /// Clocks without a byte before each that has one.
    idle: usize,
    frame: Vec<u8>,
    frames: Vec<Received>,
}

impl Default for Bench {
    fn default() -> Self {
        Self {
            dut: Native::default(),
            max_frame: 1518,
            reset: false,
            ready: true,
            idle: 0,
            frame: Vec::new(),
            frames: Vec::new(),
        }
    }
}

impl Bench {
    fn cycle(&mut self, symbol: Gmii) -> bool {
        for i in 0..self.idle {
            let other = Gmii {
                data: [0xD5, 0x55, symbol.data][i % 3],
                valid: i % 2 == 0,
                error: !symbol.error,
            };
            self.clock(other, false);
            assert!(!self.dut.u.m.valid.val());
        }
        self.clock(symbol, true)
    }

    fn clock(&mut self, symbol: Gmii, strobe: bool) -> bool {
        let u = &mut self.dut.u;
        u.clock.next = false.into();
        u.strobe.next = strobe;
        u.reset.next = self.reset;
        u.max_frame.next = self.max_frame.into();
        u.rxd.next = u64::from(symbol.data).into();
        u.rx_dv.next = symbol.valid;
        u.rx_er.next = symbol.error;
        u.m.ready.next = self.ready;
        self.dut.settle();
        let u = &self.dut.u;
        if u.m.valid.val() && self.ready {
            let count = u.m.count.val().to_u64() as usize + 1;
            let last = u.m.last.val();
            assert!(last || count == 4);
            self.frame
                .extend(&u.m.data.val().to_u32().to_le_bytes()[..count]);
            if last {
                self.frames
                    .push((std::mem::take(&mut self.frame), u.m.bad.val().to_u64()));
            }
        }
        let busy = u.busy.val();
        self.dut.u.clock.next = true.into();
        self.dut.settle();
        busy
    }

    fn play(&mut self, symbols: impl IntoIterator<Item = Gmii>) {
        for s in symbols {
            self.cycle(s);
        }
    }
}

/// What happens to a frame on its way.
#[derive(Debug, Clone)]
enum Fault {
    None,
    Fcs(usize),
    Error(usize),
    /// The carrier is gone for one clock, this many bytes before the end of the frame.
    Drop(usize),
}

#[derive(Debug, Clone)]
struct Item {
    len: usize,
    seed: u32,
    preamble: usize,
    gap: usize,
    fault: Fault,
}

impl Item {
    /// What the wire carries, and what the receiver must say.
    fn build(&self, max: usize) -> (Vec<Gmii>, Vec<Received>) {
        let mut wire = with_fcs(&gmii::bytes(self.len, self.seed));
        let n = wire.len();
        let oversize = n > max;
        let expect = |bytes: &[u8], fcs: bool, error: bool| {
            let over = bytes.len() > max;
            let kept = bytes[..bytes.len().min(max)].len() - 4;
            let bad = u64::from(fcs && !over)
                | u64::from(error) << 1
                | u64::from(bytes.len() < 64) << 2
                | u64::from(over) << 3;
            (bytes[..kept].to_vec(), bad)
        };
        let mut frames = Vec::new();
        let symbols = match self.fault {
            Fault::None => {
                frames.push(expect(&wire, false, false));
                carrier(self.preamble, &wire)
            }
            Fault::Fcs(bit) => {
                let bit = bit % (n * 8);
                wire[bit / 8] ^= 1 << (bit % 8);
                frames.push(expect(&wire, true, false));
                carrier(self.preamble, &wire)
            }
            Fault::Error(at) => {
                let at = at % n;
                frames.push(expect(&wire, false, !oversize || at < max));
                let mut symbols = carrier(self.preamble, &wire);
                symbols[self.preamble + 1 + at].error = true;
                symbols
            }
            Fault::Drop(at) => {
                let at = 5 + at % (n - 4).max(1);
                let at = at.min(n - 1).max(4);
                // A piece whose own last four bytes are by chance its FCS does not come up with these seeds.
                let mut piece = expect(&wire[..at], true, false);
                if at <= 4 {
                    piece.0.clear();
                }
                frames.push(piece);
                let mut symbols = carrier(self.preamble, &wire);
                let end = self.preamble + 1 + at;
                // What comes after the gap does not begin as a preamble or SFD does.
                let rest: Vec<Gmii> = symbols.split_off(end);
                symbols.extend(gap(1));
                symbols.push(Gmii {
                    data: 0x00,
                    valid: true,
                    error: false,
                });
                symbols.extend(rest);
                symbols
            }
        };
        (symbols.into_iter().chain(gap(self.gap)).collect(), frames)
    }
}

fn items() -> impl Strategy<Value = Vec<Item>> {
    let len =
        prop_oneof![4 => 1usize..1600, 2 => 56usize..70, 1 => 1510usize..1520, 1 => Just(60usize)];
    let fault = prop_oneof![
        4 => Just(Fault::None),
        1 => any::<usize>().prop_map(Fault::Fcs),
        1 => any::<usize>().prop_map(Fault::Error),
        1 => any::<usize>().prop_map(Fault::Drop),
    ];
    let item = (len, any::<u32>(), 0usize..=15, 8usize..40, fault).prop_map(
        |(len, seed, preamble, gap, fault)| Item {
            len,
            seed,
            preamble,
            gap,
            fault,
        },
    );
    proptest::collection::vec(item, 1..8)
}

/// A frame whose every byte was FCS yields a word that means nothing.
fn comparable(frames: &[Received], expected: &[Received]) -> Vec<Received> {
    frames
        .iter()
        .enumerate()
        .map(|(i, (bytes, bad))| {
            if expected.get(i).is_some_and(|e| e.0.is_empty()) {
                (Vec::new(), *bad)
            } else {
                (bytes.clone(), *bad)
            }
        })
        .collect()
}

proptest! {
    #![proptest_config(crate::common::cases(24))]
    #[test]
    fn frames_come_as_sent_and_faults_by_their_bit(
        items in items(),
        max in prop_oneof![3 => Just(1518usize), 1 => 64usize..1700],
        idle in prop_oneof![3 => Just(0usize), 1 => 1usize..3],
    ) {
        let mut bench = Bench { max_frame: max as u64, idle, ..Bench::default() };
        bench.play(gap(3));
        let mut expected = Vec::new();
        for item in &items {
            let (symbols, frames) = item.build(max);
            bench.play(symbols);
            expected.extend(frames);
        }
        prop_assert!(!bench.cycle(Gmii::default()));
        prop_assert_eq!(comparable(&bench.frames, &expected), expected);
    }

    #[test]
    fn noise_never_hangs_it(symbols in proptest::collection::vec((any::<u8>(), 0u8..16, any::<bool>()), 0..400), preambles in any::<bool>()) {
        let mut bench = Bench::default();
        bench.play(gap(2));
        for (data, dv, error) in symbols {
            let data = if preambles { [0x55, 0xD5, data][usize::from(data) % 3] } else { data };
            bench.cycle(Gmii { data, valid: dv != 0, error });
        }
        bench.play(gap(8));
        let noise = bench.frames.len();
        let frame = gmii::udp_frame(b"after the noise, and long enough");
        bench.play(carrier(7, &with_fcs(&frame)));
        bench.play(gap(1));
        prop_assert_eq!(&bench.frames[noise..], &[(frame, 0)]);
    }
}

#[test]
fn a_frame_by_etherparse_arrives_as_smoltcp_reads_it() {
    let mut bench = Bench::default();
    bench.play(gap(2));
    bench.play(carrier(7, &with_fcs(&gmii::udp_frame(&[7; 400]))));
    bench.play(gap(1));
    let (bytes, bad) = &bench.frames[0];
    assert_eq!(*bad, 0);
    let frame = smoltcp::wire::EthernetFrame::new_checked(&bytes[..]).expect("a frame");
    let ip = smoltcp::wire::Ipv4Packet::new_checked(frame.payload()).expect("a packet");
    let udp = smoltcp::wire::UdpPacket::new_checked(ip.payload()).expect("a datagram");
    assert!(ip.verify_checksum());
    assert!(udp.verify_checksum(&ip.src_addr().into(), &ip.dst_addr().into()));
    assert_eq!(udp.payload(), [7; 400]);
}

#[test]
fn rx_er_in_the_preamble_spoils_the_frame() {
    let mut bench = Bench::default();
    bench.play(gap(2));
    let mut symbols = carrier(7, &with_fcs(&[1; 60]));
    symbols[3].error = true;
    bench.play(symbols);
    bench.play(gap(1));
    assert_eq!(bench.frames, [(vec![1; 60], 2)]);
}

#[test]
fn a_carrier_without_sfd_is_no_frame() {
    let mut bench = Bench::default();
    bench.play(gap(2));
    for bytes in [
        &[0x55; 40][..],
        &[0x0F; 70],
        &[0x55, 0x55, 0x5D, 0xD5, 1, 2, 3, 4, 5, 6, 7, 8],
    ] {
        bench.play(bytes.iter().map(|&data| Gmii {
            data,
            valid: true,
            error: false,
        }));
        bench.play(gap(1));
    }
    // Carrier extension and false carrier (IEEE 802.3 table 35-2) are not frames either.
    bench.play((0..20).map(|_| Gmii {
        data: 0x0E,
        valid: false,
        error: true,
    }));
    assert_eq!(bench.frames, []);
}

#[test]
fn fragments_shorter_than_an_fcs_are_runts() {
    let mut bench = Bench::default();
    bench.play(gap(2));
    for n in 0..=4 {
        bench.play(carrier(7, &[0xAB; 4][..n]));
        bench.play(gap(8));
    }
    assert_eq!(bench.frames.len(), 5);
    assert!(bench.frames.iter().all(|(_, bad)| bad & 4 != 0));
}

#[test]
fn reset_within_a_frame_ignores_the_rest_of_it() {
    let mut bench = Bench::default();
    bench.play(gap(2));
    let symbols = carrier(7, &with_fcs(&[3; 300]));
    bench.play(symbols[..100].to_vec());
    bench.reset = true;
    bench.play(symbols[100..102].to_vec());
    bench.reset = false;
    bench.frame.clear();
    bench.play(symbols[102..].to_vec());
    bench.play(gap(8));
    assert_eq!(bench.frames, []);
    bench.play(carrier(0, &with_fcs(&[4; 60])));
    bench.play(gap(1));
    assert_eq!(bench.frames, [(vec![4; 60], 0)]);
}

#[test]
fn a_word_without_a_place_ends_the_frame_as_bad() {
    let mut bench = Bench::default();
    bench.play(gap(2));
    let symbols = carrier(7, &with_fcs(&gmii::bytes(100, 9)));
    bench.play(symbols[..60].to_vec());
    bench.ready = false;
    bench.play(symbols[60..80].to_vec());
    bench.ready = true;
    bench.play(symbols[80..].to_vec());
    bench.play(gap(8));
    assert_eq!(bench.frames.len(), 1);
    assert_eq!(bench.frames[0].1, 1);
    bench.play(carrier(7, &with_fcs(&[5; 60])));
    bench.play(gap(1));
    assert_eq!(bench.frames[1], (vec![5; 60], 0));
}

#[test]
fn verilog_is_clean() {
    verilator_lint(
        "mac_rx",
        &ferrule_rtl::verilog::emit::<MacRx>("mac_rx").expect("emits"),
    );
}
