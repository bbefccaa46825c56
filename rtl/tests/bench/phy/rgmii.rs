//! RGMII: against a PHY that sends and samples on both edges, each line with a skew of its own; and the Verilog with models of the cells.
use crate::common::verilator_lint;
use ferrule_rtl::native::Native;
use ferrule_rtl::phy::rgmii::Rgmii;
use ferrule_rtl::pins::Gmii;
use ferrule_test_tools::have;
use proptest::prelude::*;
use std::fmt::Write;
use std::process::Command;

/// The least that the standard leaves of setup and hold at the receiver, 1 ns (RGMII 2.0 table 2), in steps of 250 ps.
const SETUP: i64 = 4;

/// What is on the five lines in the half of a cycle that begins with a rise, and in the other one (RGMII 2.0 table 1 and section 3.4.2).
fn halves(speed: u64, s: Gmii) -> [u8; 2] {
    let control = |bit: bool| u8::from(bit) << 4;
    let low = s.data & 0xF | control(s.valid);
    let upper = if speed == 2 {
        s.data >> 4
    } else {
        s.data & 0xF
    };
    [low, upper | control(s.valid != s.error)]
}

/// A run: the symbols the PHY sends and those the MAC sends, one a cycle; gives what each receives.
struct Run {
    speed: u64,
    /// Steps of each line's skew, data first.
    skew: [i64; 5],
    /// Steps from the transmit clock to that of TXC.
    shift: i64,
}

impl Run {
    fn play(&self, to_mac: &[Gmii], from_mac: &[Gmii]) -> (Vec<Gmii>, Vec<[u8; 2]>, u8) {
        let period = [1_600, 160, 32][self.speed as usize];
        let mut dut = Native::<Rgmii<0>>::default();
        let (mut received, mut sampled) = (vec![], vec![]);
        // Level of TXC and the time since the lines changed, as a receiver has them.
        let (mut txc, mut lines, mut changed, mut edge) = (false, 0u8, i64::MIN / 2, i64::MIN / 2);
        let mut half = [0; 2];
        let cycles = to_mac.len().max(from_mac.len()) as i64 + 4;
        // The speed takes two clocks to be known; after its last symbol a side stays as it is.
        let of = |symbols: &[Gmii], n: i64| {
            let n = usize::try_from(n).ok()?;
            symbols.get(n).or(symbols.last()).copied()
        };
        for now in -4 * period..cycles * period {
            // The PHY's lines change a quarter of a period before each edge of RXC, which it delays.
            let mut rd = 0;
            for (line, skew) in self.skew.iter().enumerate() {
                let at = now + period / 4 - skew;
                let (n, second) = (at.div_euclid(period), at.rem_euclid(period) >= period / 2);
                let both = halves(self.speed, of(to_mac, n).unwrap_or_default());
                rd |= both[usize::from(second)] & 1 << line;
            }
            let u = &mut dut.u;
            u.link_speed.next = self.speed.into();
            u.rgmii_rd.next = u64::from(rd & 0xF).into();
            u.rgmii_rx_ctl.next = rd & 16 != 0;
            let high = |at: i64| at.rem_euclid(period) < period / 2;
            let rises = high(now) && !high(now - 1);
            if rises {
                // The MAC's flip-flops: what is there before the edge is taken, and the next symbol is shown after it.
                received.push(Gmii {
                    data: u.gmii_rxd.val().to_u64() as u8,
                    valid: u.gmii_rx_dv.val(),
                    error: u.gmii_rx_er.val(),
                });
            }
            dut.settle();
            let u = &mut dut.u;
            u.gmii_rx_clk.next = high(now).into();
            u.gmii_tx_clk.next = high(now).into();
            u.txc_clk.next = high(now - self.shift).into();
            dut.settle();
            if rises {
                let symbol = of(from_mac, now.div_euclid(period)).unwrap_or_default();
                let u = &mut dut.u;
                u.gmii_txd.next = u64::from(symbol.data).into();
                u.gmii_tx_en.next = symbol.valid;
                u.gmii_tx_er.next = symbol.error;
                dut.settle();
            }
            let u = &dut.u;
            let td = u.rgmii_td.val().to_u64() as u8 | u8::from(u.rgmii_tx_ctl.val()) << 4;
            if td != lines {
                assert!(now - edge >= SETUP, "hold of {} steps", now - edge);
                (lines, changed) = (td, now);
            }
            if u.rgmii_txc.val() != txc {
                txc = !txc;
                edge = now;
                assert!(now - changed >= SETUP, "setup of {} steps", now - changed);
                half[usize::from(!txc)] = td;
                if !txc {
                    sampled.push(half);
                }
            }
        }
        (received, sampled, dut.u.in_band.val().to_u64() as u8)
    }
}

fn symbols() -> impl Strategy<Value = Vec<Gmii>> {
    let symbol = (any::<u8>(), any::<bool>(), any::<bool>())
        .prop_map(|(data, valid, error)| Gmii { data, valid, error });
    proptest::collection::vec(symbol, 1..30)
}

/// What a nibble interface has of a symbol.
fn seen(speed: u64, s: Gmii) -> Gmii {
    let mask = if speed == 2 { 0xFF } else { 0x0F };
    Gmii {
        data: s.data & mask,
        ..s
    }
}

proptest! {
    #![proptest_config(crate::common::cases(24))]
    #[test]
    fn both_directions_with_skew(
        speed in prop_oneof![1 => Just(0u64), 2 => Just(1), 6 => Just(2)],
        skew in prop::array::uniform5(-3i64..=3),
        to_mac in symbols(),
        from_mac in symbols(),
    ) {
        let shift = [400, 40, 8][speed as usize];
        let (received, sampled, _) = Run { speed, skew, shift }.play(&to_mac, &from_mac);
        let received: Vec<_> = received.iter().map(|s| seen(speed, *s)).collect();
        let expected: Vec<_> = to_mac.iter().map(|s| seen(speed, *s)).collect();
        prop_assert!(received.windows(expected.len()).any(|w| w == expected), "{:?} is not in {:?}", expected, received);
        let expected: Vec<_> = from_mac.iter().map(|s| halves(speed, *s)).collect();
        prop_assert!(sampled.windows(expected.len()).any(|w| w == expected), "{:?} is not in {:?}", expected, sampled);
    }
}

#[test]
fn status_in_band_is_what_comes_between_frames() {
    let idle = |data: u8| Gmii {
        data,
        ..Gmii::default()
    };
    let frame = Gmii {
        data: 0x22,
        valid: true,
        error: false,
    };
    let error = Gmii {
        data: 0x77,
        valid: false,
        error: true,
    };
    // RGMII 2.0 table 4: link up, 125 MHz, full duplex; the same on both edges.
    let run = Run {
        speed: 2,
        skew: [0; 5],
        shift: 8,
    };
    assert_eq!(run.play(&[idle(0xDD), frame, error], &[]).2, 0xD);
    assert_eq!(run.play(&[idle(0xDD), idle(0xBB), frame], &[]).2, 0xB);
    assert_eq!(run.play(&[idle(0xDD), frame, idle(0x00)], &[]).2, 0);
}

/// The cells as UG471 and UG953 describe them; not what the tools' libraries hold, but enough for the modes used.
const CELLS: &str = r#"
module IDDR #(parameter DDR_CLK_EDGE = "OPPOSITE_EDGE", parameter INIT_Q1 = 1'b0, parameter INIT_Q2 = 1'b0, parameter SRTYPE = "SYNC")
    (input C, input CE, input D, input R, input S, output reg Q1, output reg Q2);
  reg rise = 0, fall = 0;
  initial begin Q1 = INIT_Q1; Q2 = INIT_Q2; if (DDR_CLK_EDGE != "SAME_EDGE_PIPELINED" || SRTYPE != "SYNC") $finish; end
  always @(posedge C) if (R) begin Q1 <= 0; Q2 <= 0; end else if (S) begin Q1 <= 1; Q2 <= 1; end
    else if (CE) begin rise <= D; Q1 <= rise; Q2 <= fall; end
  always @(negedge C) if (CE) fall <= D;
endmodule
module ODDR #(parameter DDR_CLK_EDGE = "OPPOSITE_EDGE", parameter INIT = 1'b0, parameter SRTYPE = "SYNC")
    (input C, input CE, input D1, input D2, input R, input S, output Q);
  reg first = INIT, second = INIT, later = INIT;
  initial if (DDR_CLK_EDGE != "SAME_EDGE" || SRTYPE != "SYNC") $finish;
  always @(posedge C) if (R) begin first <= 0; later <= 0; end else if (S) begin first <= 1; later <= 1; end
    else if (CE) begin first <= D1; later <= D2; end
  always @(negedge C) second <= later;
  assign Q = C ? first : second;
endmodule
module IDELAYE2 #(parameter IDELAY_TYPE = "FIXED", parameter IDELAY_VALUE = 0, parameter DELAY_SRC = "IDATAIN", parameter REFCLK_FREQUENCY = 200.0,
    parameter SIGNAL_PATTERN = "DATA", parameter HIGH_PERFORMANCE_MODE = "FALSE", parameter CINVCTRL_SEL = "FALSE", parameter PIPE_SEL = "FALSE")
    (input IDATAIN, output DATAOUT, input DATAIN, input C, input CE, input INC, input LD, input LDPIPEEN, input REGRST, input CINVCTRL,
     input [4:0] CNTVALUEIN, output [4:0] CNTVALUEOUT);
  wire unused = &{DATAIN, C, CE, INC, LD, LDPIPEEN, REGRST, CINVCTRL, CNTVALUEIN};
  assign #(IDELAY_VALUE * 0.078) DATAOUT = IDATAIN;
  assign CNTVALUEOUT = IDELAY_VALUE;
endmodule
"#;

/// A PHY that sends back what it samples, by wires: TXC comes back as RXC, 2 ns late as from a PHY that delays it.
fn around(symbols: &[Gmii], speed: u64) -> String {
    let rows: String = symbols
        .iter()
        .enumerate()
        .fold(String::new(), |mut rows, (i, s)| {
            let word = u16::from(s.valid) << 9 | u16::from(s.error) << 8 | u16::from(s.data);
            writeln!(rows, "rows[{i}] = 10'h{word:x};").expect("a string");
            rows
        });
    format!(
        "`timescale 1ns/1ps
module around;
reg clk = 0, clk90 = 0; wire txc, tctl; wire [3:0] td, status; wire [7:0] rxd; wire dv, er; reg [9:0] rows [0:{n}-1], now = 0;
wire [3:0] rd; wire rctl; integer k;
assign #0.3 rd = td; assign #0.5 rctl = tctl;
rgmii dut(.gmii_rx_clk(txc), .gmii_tx_clk(clk), .txc_clk(clk90), .link_speed(2'd{speed}), .rgmii_rd(rd), .rgmii_rx_ctl(rctl), .rgmii_txc(txc),
  .rgmii_td(td), .rgmii_tx_ctl(tctl), .gmii_rxd(rxd), .gmii_rx_dv(dv), .gmii_rx_er(er), .gmii_txd(now[7:0]), .gmii_tx_en(now[9]),
  .gmii_tx_er(now[8]), .in_band(status));
always #4 clk = !clk;
always @(clk) clk90 <= #2 clk;
always @(negedge txc) $display(\"GOT %b%b%b\", dv, er, rxd);
initial begin
  {rows}
  repeat (8) @(posedge clk);
  for (k = 0; k < {n}; k = k + 1) begin now <= #1 rows[k]; @(posedge clk); end
  now <= #1 0; repeat (8) @(posedge clk);
  $finish;
end
endmodule
",
        n = symbols.len()
    )
}

fn run(dir: &std::path::Path, program: &str, args: &[&str]) -> String {
    let out = Command::new(program).current_dir(dir).args(args).output();
    let out = out.unwrap_or_else(|e| panic!("{program}: {e}"));
    let log = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{program} fails:\n{log}");
    String::from_utf8_lossy(&out.stdout).into_owned()
}

#[test]
fn the_verilog_brings_back_over_the_wires_what_it_sends() {
    if !have(&["iverilog"]) {
        return;
    }
    let text = ferrule_rtl::verilog::emit::<Rgmii<0>>("rgmii").expect("emits");
    let symbols: Vec<Gmii> = (0..60u32)
        .map(|i| {
            let x = (i + 1).wrapping_mul(2_654_435_761);
            Gmii {
                data: (x >> 8) as u8,
                valid: x >> 20 & 1 != 0,
                error: x >> 21 & 1 != 0,
            }
        })
        .collect();
    for speed in [1, 2] {
        let dir = tempfile::tempdir().expect("temporary folder");
        let file = dir.path().join("all.v");
        std::fs::write(&file, [&text, CELLS, &around(&symbols, speed)].concat()).expect("write");
        run(
            dir.path(),
            "iverilog",
            &["-g2005", "-o", "sim", "-s", "around", "all.v"],
        );
        let said = run(dir.path(), "vvp", &["-n", "sim"]);
        let got: Vec<_> = said
            .lines()
            .filter_map(|l| l.strip_prefix("GOT "))
            .collect();
        let expected: Vec<_> = symbols
            .iter()
            .map(|s| {
                let nibble = s.data & 0xF;
                let data = if speed == 2 {
                    s.data
                } else {
                    nibble << 4 | nibble
                };
                format!("{}{}{data:08b}", u8::from(s.valid), u8::from(s.error))
            })
            .collect();
        assert!(
            got.windows(60).any(|w| w == expected),
            "{expected:?} is not in {got:?}"
        );
    }
}

#[test]
fn verilog_is_clean_and_yosys_knows_its_cells() {
    let text = ferrule_rtl::verilog::emit::<Rgmii<12>>("rgmii").expect("emits");
    let stubs = CELLS.replace("assign #(IDELAY_VALUE * 0.078) DATAOUT", "assign DATAOUT");
    let lint_off =
        format!("/* verilator lint_off WIDTH */\n/* verilator lint_off MULTITOP */\n{stubs}");
    verilator_lint("rgmii", &[&*lint_off, &text].concat());
    if have(&["yosys"]) {
        let dir = tempfile::tempdir().expect("temporary folder");
        std::fs::write(dir.path().join("rgmii.v"), &text).expect("write");
        let script = "read_verilog rgmii.v; synth_xilinx -family xc7 -top rgmii -flatten -noiopad; stat; select -assert-count 5 t:IDDR; \
                      select -assert-count 6 t:ODDR; select -assert-count 5 t:IDELAYE2; check -assert";
        run(dir.path(), "yosys", &["-q", "-p", script]);
    }
}
