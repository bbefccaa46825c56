//! `TxMux`: whole frames in turn, and their lengths.
use crate::lockstep::Trace;
use crate::rx::frames::Rng;
use crate::rx::harness::{beats, drive, shown};
use ferrule_abi::counter;
use ferrule_rtl::{native::Native, tx::mux::TxMux};
use proptest::prelude::*;
use std::collections::VecDeque;

/// First byte of the frames of each source: data, ARP, echo, PAUSE.
const SOURCES: [u8; 4] = [1, 2, 3, 4];

/// Runs four queues of frames through, of data, ARP, echo and PAUSE, of a hundred cycles so many `held` back; gives the frames in order
/// and the lengths that were counted.
fn run(
    seed: u64,
    ready: usize,
    sources: [&[Vec<u8>]; 4],
    held: usize,
    trace: &mut Trace,
) -> (Vec<Vec<u8>>, Vec<u16>) {
    let mut r = Rng(seed);
    let mut dut = Native::<TxMux>::default();
    let mut queues = sources.map(|frames| {
        let all = frames.iter().flat_map(|f| beats(f));
        all.collect::<VecDeque<_>>()
    });
    // A source may pause between its frames and not in them.
    let mut open = [false; 4];
    let (mut inside, mut was_held) = (false, false);
    let (mut out, mut lengths, mut partial) = (vec![], vec![], vec![]);
    for cycle in 0..20_000 {
        let mut offered = [None; 4];
        for i in 0..4 {
            open[i] |= r.percent(20);
            offered[i] = queues[i].front().copied().filter(|_| open[i]);
        }
        let ready = r.percent(ready);
        let hold = r.percent(held);
        let u = &mut dut.u;
        u.clock.next = false.into();
        u.reset.next = cycle == 0;
        u.enable.next = true;
        u.frame.ready.next = ready;
        drive(&mut u.data, offered[0]);
        drive(&mut u.arp, offered[1]);
        drive(&mut u.echo, offered[2]);
        drive(&mut u.pause, offered[3]);
        u.hold.next = hold;
        dut.settle();
        trace.record(&*dut.u);
        let u = &dut.u;
        let taken = [
            u.data.ready.val(),
            u.arp.ready.val(),
            u.echo.ready.val(),
            u.pause.ready.val(),
        ];
        for (i, taken) in taken.into_iter().enumerate() {
            if let (true, Some(beat)) = (taken, offered[i]) {
                queues[i].pop_front();
                open[i] = !beat.3;
            }
        }
        if u.events.val().to_u32() == 1 << counter::TX_FRAMES {
            lengths.push(u.tx_bytes.val().to_u16());
        } else {
            assert_eq!(u.events.val().to_u32(), 0);
        }
        // In the cycle before a frame's first beat it was decided.
        let began = u.frame.valid.val() && !inside;
        let of_a_client = u.frame.d0.val().to_u32() & 0xFF != u32::from(SOURCES[3]);
        assert!(!(began && of_a_client && was_held), "cycle {cycle}");
        inside |= began;
        was_held = hold && !inside;
        if u.frame.valid.val() && ready {
            inside = !u.frame.last.val();
            partial.extend(shown(&u.frame));
            if u.frame.last.val() {
                out.push(std::mem::take(&mut partial));
            }
        }
        let busy = u.busy.val();
        dut.u.clock.next = true.into();
        dut.settle();
        if !busy && cycle > 0 && queues.iter().all(VecDeque::is_empty) {
            return (out, lengths);
        }
    }
    panic!("not done");
}

/// Frames that name their source in the first byte.
fn frames(r: &mut Rng, source: u8, count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|_| {
            let n = r.below(70);
            [&[source][..], &r.bytes(n)].concat()
        })
        .collect()
}

proptest! {
    #![proptest_config(crate::common::cases(24))]
    #[test]
    fn no_frame_is_split_and_each_length_is_counted(
        seed: u64,
        ready in prop::sample::select(vec![100_usize, 50, 20]),
        held in prop::sample::select(vec![0_usize, 50, 90]),
    ) {
        let mut r = Rng(seed);
        let sources = SOURCES.map(|source| frames(&mut r, source, 20));
        let offered = sources.each_ref().map(|s| &s[..]);
        let (out, lengths) = run(seed, ready, offered, held, &mut Trace::default());
        let of = |source| out.iter().filter(|f| f[0] == source).cloned().collect::<Vec<_>>();
        assert_eq!(SOURCES.map(of), sources);
        let want: Vec<_> = out.iter().map(|f| f.len() as u16).collect();
        assert_eq!(lengths, want);
    }
}

#[test]
fn the_verilog_does_the_same() {
    let mut r = Rng(1);
    let sources = SOURCES.map(|source| frames(&mut r, source, 12));
    let mut trace = Trace::default();
    let offered = sources.each_ref().map(|s| &s[..]);
    run(1, 60, offered, 30, &mut trace);
    trace.check::<TxMux>("tx_mux");
}

#[test]
fn verilator_accepts_the_verilog() {
    let text = ferrule_rtl::verilog::emit::<TxMux>("tx_mux").expect("emits");
    crate::common::verilator_lint("tx_mux", &text);
}
