//! The exported Verilog of the whole MAC does in iverilog, instant by instant, what the native simulation does.
use super::gmii::{self, carrier, gap, with_fcs};
use super::top::{Bench, Instant};
use ferrule_rtl::mac::Mac;
use ferrule_test_tools::have;
use std::fmt::Write;
use std::process::Command;

const TESTBENCH: &str = r#"
module testbench;
  reg [127:0] vectors [0:99999];
  integer i, n;
  reg core, rxc, txc, reset, loopback, last, valid, dv, er;
  reg [13:0] max_frame; reg [31:0] d0, d1; reg [7:0] keep, rxd;
  wire [31:0] q0, q1, events; wire [7:0] qkeep, txd; wire [3:0] bad; wire qlast, qvalid, ready, en, txer, busy;
  mac dut (.clock(core), .gmii_rx_clk(rxc), .gmii_tx_clk(txc), .reset(reset), .max_frame(max_frame), .loopback(loopback),
    .rx$d0(q0), .rx$d1(q1), .rx$keep(qkeep), .rx$last(qlast), .rx$bad(bad), .rx$valid(qvalid),
    .tx$d0(d0), .tx$d1(d1), .tx$keep(keep), .tx$last(last), .tx$valid(valid), .tx$ready(ready),
    .gmii_rxd(rxd), .gmii_rx_dv(dv), .gmii_rx_er(er), .gmii_txd(txd), .gmii_tx_en(en), .gmii_tx_er(txer), .events(events), .busy(busy));
  initial begin
    $readmemh("vectors.hex", vectors);
    n = vectors[0];
    for (i = 1; i <= n; i = i + 1) begin
      core = 0; rxc = 0; txc = 0;
      {reset, loopback, max_frame, d0, d1, keep, last, valid, rxd, dv, er} = vectors[i][101:1];
      #1;
      if (qvalid) $display("%h %h %h %b %h %b %h %b %b %h %b", q0, q1, qkeep, qlast, bad, ready, txd, en, txer, events, busy);
      else $display("- %b %h %b %b %h %b", ready, txd, en, txer, events, busy);
      {core, rxc, txc} = vectors[i][127:125];
      #1;
    end
    $finish;
  end
endmodule
"#;

fn vector(i: &Instant) -> u128 {
    let (d0, d1, keep, last) = i.beat.unwrap_or_default();
    let mut x = 0u128;
    let mut push = |value: u64, bits: u32| x = x << bits | u128::from(value);
    for r in i.rises {
        push(r.into(), 1);
    }
    push(0, 24);
    push(i.reset.into(), 1);
    push(i.loopback.into(), 1);
    push(i.max_frame, 14);
    push(d0.into(), 32);
    push(d1.into(), 32);
    push(keep, 8);
    push(last.into(), 1);
    push(i.beat.is_some().into(), 1);
    push(i.rx.data.into(), 8);
    push(i.rx.valid.into(), 1);
    push(i.rx.error.into(), 1);
    push(0, 1);
    x
}

fn line(i: &Instant) -> String {
    let mut out = String::new();
    match i.received {
        Some((d0, d1, keep, last, bad)) => {
            write!(
                out,
                "{d0:08x} {d1:08x} {keep:02x} {} {bad:x} ",
                u8::from(last)
            )
            .expect("string");
        }
        None => out.push_str("- "),
    }
    write!(
        out,
        "{} {:02x} {} {} {:08x} {}",
        u8::from(i.ready),
        i.tx.data,
        u8::from(i.tx.valid),
        u8::from(i.tx.error),
        i.events,
        u8::from(i.busy)
    )
    .expect("string");
    out
}

fn stimulus(period: [u64; 3], phase: [u64; 3]) -> Vec<Instant> {
    let mut bench = Bench::untouched(period, phase);
    bench.trace = Some(Vec::new());
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
    bench.trace.take().expect("kept")
}

#[test]
fn iverilog_agrees_with_the_native_simulation() {
    if !have(&["iverilog"]) {
        return;
    }
    let text = ferrule_rtl::verilog::emit::<Mac>("mac").expect("emits");
    for (period, phase) in [
        ([8, 8, 8], [0, 0, 0]),
        ([16, 8, 8], [3, 0, 1]),
        ([3, 4, 4], [0, 1, 2]),
        ([10, 4, 5], [0, 1, 2]),
    ] {
        let trace = stimulus(period, phase);
        let dir = tempfile::tempdir().expect("temporary folder");
        let mut vectors = format!("{:032x}\n", trace.len());
        for i in &trace {
            writeln!(vectors, "{:032x}", vector(i)).expect("string");
        }
        for (name, text) in [
            ("mac.v", text.as_str()),
            ("testbench.v", TESTBENCH),
            ("vectors.hex", &vectors),
        ] {
            std::fs::write(dir.path().join(name), text).expect("write");
        }
        let build = Command::new("iverilog")
            .args(["-g2005", "-o", "sim", "mac.v", "testbench.v"])
            .current_dir(dir.path())
            .output()
            .expect("iverilog runs");
        assert!(
            build.status.success(),
            "{}",
            String::from_utf8_lossy(&build.stderr)
        );
        let run = Command::new("timeout")
            .args(["300", "vvp", "-n", "sim"])
            .current_dir(dir.path())
            .output()
            .expect("vvp runs");
        let out = String::from_utf8_lossy(&run.stdout);
        let got: Vec<_> = out.lines().filter(|l| !l.starts_with("WARNING")).collect();
        assert!(got.len() >= trace.len(), "{} lines: {out}", got.len());
        for (n, (i, got)) in trace.iter().zip(&got).enumerate() {
            assert_eq!(**got, line(i), "periods {period:?}, instant {n}: {i:?}");
        }
    }
}
