//! The arithmetic of the adjustable clock.
use rust_hdl::prelude::*;

/// Bits of the offset's fraction, and of the rate: 2^-32 ns, and 2^-32 ns for each nanosecond.
pub const FRACTION_BITS: u32 = 32;

/// Adds up what makes the clock differ from the time: in each cycle the nanoseconds that have passed times `rate`, and steps.
///
/// The sum has 64 bits of nanoseconds and 32 of their fraction, and forgets nothing: after a rate r was set at time a and left until time
/// b, it has grown by r (b - a) exactly, however the time got from a to b. In one cycle it may go on by less than 2^32 ns.
#[derive(LogicBlock, Default)]
pub struct ClockSum {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset: the clock is the time.
    pub reset: Signal<In, Bit>,
    /// The time in nanoseconds, bits 31:0.
    pub time_lo: Signal<In, Bits<32>>,
    /// Bits 63:32.
    pub time_hi: Signal<In, Bits<32>>,
    /// Signed, in units of 2^-32.
    pub rate: Signal<In, Bits<24>>,
    /// What a step adds.
    pub amount: Signal<In, Bits<32>>,
    /// High for one cycle: adds `amount`, a signed number, in nanoseconds.
    pub step_lo: Signal<In, Bit>,
    /// High for one cycle: adds `amount` in units of 2^32 ns.
    pub step_hi: Signal<In, Bit>,
    /// The clock in nanoseconds, bits 31:0. It follows the time by a cycle, a step by two, the rate's part by five.
    pub now_lo: Signal<Out, Bits<32>>,
    /// Bits 63:32.
    pub now_hi: Signal<Out, Bits<32>>,
    /// Time up to which the rate's part is on its way or in `_sum`.
    _seen: u32,
    _passed: u32,
    /// `_passed` times the rate, by halves, and their sum.
    _low: i64,
    _high: i64,
    _product: i64,
    _sum: i128,
    _now: u64,
}

impl Logic for ClockSum {
    fn update(&mut self) {
        if self.clock.pos_edge() {
            let time_lo = self.time_lo.val().to_u32();
            let time = u64::from(self.time_hi.val().to_u32()) << 32 | u64::from(time_lo);
            let amount = self.amount.val().to_u32();
            self._now = time.wrapping_add((self._sum >> FRACTION_BITS) as u64);
            if self.reset.val() {
                (self._sum, self._product, self._seen) = (0, 0, time_lo);
                (self._passed, self._low, self._high) = (0, 0, 0);
            } else if self.step_lo.val() {
                self._sum += i128::from(amount as i32) << FRACTION_BITS;
            } else if self.step_hi.val() {
                self._sum += i128::from(amount) << (FRACTION_BITS + 32);
            } else {
                let rate = (self.rate.val().to_u32() << 8) as i32 >> 8;
                self._sum += i128::from(self._product);
                self._product = self._low + (self._high << 16);
                self._low = i64::from(self._passed & 0xFFFF) * i64::from(rate);
                self._high = i64::from(self._passed >> 16) * i64::from(rate);
                self._passed = time_lo.wrapping_sub(self._seen);
                self._seen = time_lo;
            }
            // 96 bits are kept.
            self._sum &= (1 << 96) - 1;
        }
        self.now_lo.next = (self._now & 0xFFFF_FFFF).into();
        self.now_hi.next = (self._now >> 32).into();
    }

    fn connect(&mut self) {
        self.now_lo.connect();
        self.now_hi.connect();
    }

    // A cell of its own because rust-hdl has no multiplication, and computes bit by bit beyond 32 bits.
    fn hdl(&self) -> Verilog {
        Verilog::Wrapper(Wrapper {
            code: "reg [31:0] seen = 32'b0;\n\
                   reg [31:0] passed = 32'b0;\n\
                   reg signed [40:0] low = 41'b0;\n\
                   reg signed [40:0] high = 41'b0;\n\
                   reg signed [55:0] product = 56'b0;\n\
                   reg [95:0] offset = 96'b0;\n\
                   reg [63:0] now = 64'b0;\n\
                   wire signed [16:0] low_half = {1'b0, passed[15:0]};\n\
                   wire signed [16:0] high_half = {1'b0, passed[31:16]};\n\
                   wire signed [23:0] signed_rate = rate;\n\
                   reg [95:0] addend;\n\
                   always @(*) begin\n\
                   \x20  addend = {{40{product[55]}}, product};\n\
                   \x20  if (step_lo) addend = {{32{amount[31]}}, amount, 32'b0};\n\
                   \x20  else if (step_hi) addend = {amount, 64'b0};\n\
                   end\n\
                   always @(posedge clock) begin\n\
                   \x20  now <= {time_hi, time_lo} + offset[95:32];\n\
                   \x20  offset <= offset + addend;\n\
                   \x20  if (!(step_lo || step_hi)) begin\n\
                   \x20     seen <= time_lo;\n\
                   \x20     passed <= time_lo - seen;\n\
                   \x20     low <= low_half * signed_rate;\n\
                   \x20     high <= high_half * signed_rate;\n\
                   \x20     product <= {{15{low[40]}}, low} + {high[39:0], 16'b0};\n\
                   \x20  end\n\
                   \x20  if (reset) begin\n\
                   \x20     seen <= time_lo;\n\
                   \x20     passed <= 32'b0;\n\
                   \x20     low <= 41'b0;\n\
                   \x20     high <= 41'b0;\n\
                   \x20     product <= 56'b0;\n\
                   \x20     offset <= 96'b0;\n\
                   \x20  end\n\
                   end\n\
                   assign now_lo = now[31:0];\n\
                   assign now_hi = now[63:32];\n"
                .into(),
            cores: String::new(),
        })
    }
}
