//! The exported Verilog of the whole MAC does in iverilog, instant by instant, what the native simulation does.
use super::gmii::{self, carrier, gap, nibbles, with_fcs};
use super::top::Bench;
use crate::lockstep::Trace;
use ferrule_rtl::mac::Mac;

fn stimulus(period: [u64; 3], phase: [u64; 3]) -> Trace {
    let mut bench = Bench::untouched(period, phase);
    bench.trace = Some(Trace::default());
    bench.reset_for(1);
    bench.settle_down();
    for (i, n) in [1, 59, 60, 61, 64, 130, 257].into_iter().enumerate() {
        let f = gmii::bytes(n, i as u32);
        bench.send(&f);
        let mut symbols = carrier(i, &with_fcs(&f));
        symbols[i + 2].error = i == 4;
        if i == 5 {
            symbols[40].data ^= 1;
        }
        bench.wire(symbols);
        bench.wire(gap(8));
    }
    bench.max_frame = 200;
    bench.settle_down();
    // Underrun, loopback, reset within a frame.
    bench.send(&gmii::bytes(200, 77));
    let rest = bench.to_send.split_off(4);
    for _ in 0..200 {
        bench.step();
    }
    bench.to_send = rest;
    bench.settle_down();
    bench.loopback = true;
    bench.send(&gmii::bytes(33, 5));
    bench.send(&gmii::bytes(100, 6));
    bench.settle_down();
    bench.loopback = false;
    bench.send(&gmii::bytes(300, 8));
    bench.wire(carrier(7, &gmii::bytes(150, 3)));
    for _ in 0..150 {
        bench.step();
    }
    bench.reset_for(1);
    bench.settle_down();
    // MII, from within a frame on and back.
    for speed in [1, 2] {
        bench.send(&gmii::bytes(70, 9));
        bench.wire(carrier(7, &gmii::bytes(80, 4)));
        bench.wire(gap(20));
        for _ in 0..50 {
            bench.step();
        }
        bench.link_speed = speed;
        bench.settle_down();
        for n in [60, 61, 100] {
            let f = gmii::bytes(n, 10 + speed as u32);
            bench.send(&f);
            let mut symbols = nibbles(carrier(n % 7, &with_fcs(&f)));
            symbols.truncate(symbols.len() - n % 2);
            bench.wire(symbols);
            bench.wire(gap(24));
        }
        bench.settle_down();
    }
    bench.trace.take().expect("kept")
}

#[test]
fn iverilog_agrees_with_the_native_simulation() {
    for (period, phase) in [
        ([8, 8, 8], [0, 0, 0]),
        ([16, 8, 8], [3, 0, 1]),
        ([3, 4, 4], [0, 1, 2]),
        ([10, 4, 5], [0, 1, 2]),
    ] {
        stimulus(period, phase).check_with_unknown_memories::<Mac>("mac");
    }
}
