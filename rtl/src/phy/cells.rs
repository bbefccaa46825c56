//! Input and output cells of the 7-series (UG471, UG953), each with what it does in simulation; several lines of a bus to a cell.
//!
//! The Verilog instantiates the primitives by name; the tools know them, a simulator needs their models.
use rust_hdl::prelude::*;

/// One primitive for each of `lines` lines: by number, and what selects the line of a port.
fn each(lines: usize, text: impl Fn(usize, &str) -> String) -> Verilog {
    let of = |i| match lines {
        1 => text(i, ""),
        _ => text(i, &format!("[{i}]")),
    };
    Verilog::Wrapper(Wrapper {
        code: (0..lines).map(of).collect(),
        cores: String::new(),
    })
}

/// IDDR, SAME_EDGE_PIPELINED: `q1` and `q2` are the values at a rise and the fall after it, both shown from the next rise on.
#[derive(LogicBlock, Default)]
pub struct Iddr<const N: usize> {
    /// The clock.
    pub clock: Signal<In, Clock>,
    /// From the pins or their delay.
    pub d: Signal<In, Bits<N>>,
    /// At the rise.
    pub q1: Signal<Out, Bits<N>>,
    /// At the fall.
    pub q2: Signal<Out, Bits<N>>,
    _rise: Bits<N>,
    _fall: Bits<N>,
}

impl<const N: usize> Logic for Iddr<N> {
    fn update(&mut self) {
        if self.clock.pos_edge() {
            self.q1.next = self._rise;
            self.q2.next = self._fall;
            self._rise = self.d.val();
        }
        if self.clock.neg_edge() {
            self._fall = self.d.val();
        }
    }

    fn connect(&mut self) {
        self.q1.connect();
        self.q2.connect();
    }

    fn hdl(&self) -> Verilog {
        each(N, |i, at| {
            format!(
                "IDDR #(.DDR_CLK_EDGE(\"SAME_EDGE_PIPELINED\"), .INIT_Q1(1'b0), .INIT_Q2(1'b0), .SRTYPE(\"SYNC\"))\n   \
                 iddr{i} (.C(clock), .CE(1'b1), .R(1'b0), .S(1'b0), .D(d{at}), .Q1(q1{at}), .Q2(q2{at}));\n"
            )
        })
    }
}

/// ODDR, SAME_EDGE: `d1` is shown from a rise on, `d2` of the same rise from the fall after it.
#[derive(LogicBlock, Default)]
pub struct Oddr<const N: usize> {
    /// The clock.
    pub clock: Signal<In, Clock>,
    /// First half of the cycle.
    pub d1: Signal<In, Bits<N>>,
    /// Second half.
    pub d2: Signal<In, Bits<N>>,
    /// To the pins.
    pub q: Signal<Out, Bits<N>>,
    _second: Bits<N>,
}

impl<const N: usize> Logic for Oddr<N> {
    fn update(&mut self) {
        if self.clock.pos_edge() {
            self.q.next = self.d1.val();
            self._second = self.d2.val();
        }
        if self.clock.neg_edge() {
            self.q.next = self._second;
        }
    }

    fn connect(&mut self) {
        self.q.connect();
    }

    fn hdl(&self) -> Verilog {
        each(N, |i, at| {
            format!(
                "ODDR #(.DDR_CLK_EDGE(\"SAME_EDGE\"), .INIT(1'b0), .SRTYPE(\"SYNC\"))\n   \
                 oddr{i} (.C(clock), .CE(1'b1), .R(1'b0), .S(1'b0), .D1(d1{at}), .D2(d2{at}), .Q(q{at}));\n"
            )
        })
    }
}

/// IDELAYE2 with a fixed delay of `TAPS` taps of 78 ps (at 200 MHz); an IDELAYCTRL of the group `rgmii` must stand beside it. Simulation knows no
/// times below a clock edge: it passes on.
#[derive(LogicBlock, Default)]
pub struct Idelay<const N: usize, const TAPS: usize> {
    /// From the pins.
    pub d: Signal<In, Bits<N>>,
    /// Later.
    pub q: Signal<Out, Bits<N>>,
}

impl<const N: usize, const TAPS: usize> Logic for Idelay<N, TAPS> {
    fn update(&mut self) {
        self.q.next = self.d.val();
    }

    fn connect(&mut self) {
        self.q.connect();
    }

    fn hdl(&self) -> Verilog {
        each(N, |i, at| {
            format!(
                "wire [4:0] taps{i};\n\
                 (* IODELAY_GROUP = \"rgmii\" *)\n\
                 IDELAYE2 #(.IDELAY_TYPE(\"FIXED\"), .IDELAY_VALUE({TAPS}), .DELAY_SRC(\"IDATAIN\"), .REFCLK_FREQUENCY(200.0), \
                 .SIGNAL_PATTERN(\"DATA\"),\n   .HIGH_PERFORMANCE_MODE(\"FALSE\"), .CINVCTRL_SEL(\"FALSE\"), .PIPE_SEL(\"FALSE\"))\n   \
                 idelay{i} (.IDATAIN(d{at}), .DATAOUT(q{at}), .DATAIN(1'b0), .C(1'b0), .CE(1'b0), .INC(1'b0), .LD(1'b0), .LDPIPEEN(1'b0),\n   \
                 .REGRST(1'b0), .CINVCTRL(1'b0), .CNTVALUEIN(5'b0), .CNTVALUEOUT(taps{i}));\n"
            )
        })
    }
}
