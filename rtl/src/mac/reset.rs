//! Reset synchroniser.
use rust_hdl::prelude::*;

/// Brings a reset into the domain of `clock`: asserted at once, released with the clock, never shorter than two of its edges.
///
/// In reset at power-up. `d` must come from a flip-flop, since a glitch on it is a reset.
#[derive(LogicBlock)]
pub struct ResetSync {
    /// The clock of the destination.
    pub clock: Signal<In, Clock>,
    /// Reset of another domain, active high.
    pub d: Signal<In, Bit>,
    /// Reset of this domain, active high.
    pub q: Signal<Out, Bit>,
    _first: bool,
    _second: bool,
}

impl Default for ResetSync {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            d: Default::default(),
            q: Signal::new_with_default(true),
            _first: true,
            _second: true,
        }
    }
}

impl Logic for ResetSync {
    fn update(&mut self) {
        if self.d.val() {
            self._first = true;
            self._second = true;
        } else if self.clock.pos_edge() {
            self._second = self._first;
            self._first = false;
        }
        self.q.next = self._second;
    }

    fn connect(&mut self) {
        self.q.connect();
    }

    // A cell of its own because rust-hdl knows neither asynchronous resets nor attributes.
    fn hdl(&self) -> Verilog {
        Verilog::Wrapper(Wrapper {
            code: "(* ASYNC_REG = \"TRUE\" *) reg first = 1'b1;\n\
                   (* ASYNC_REG = \"TRUE\" *) reg second = 1'b1;\n\
                   always @(posedge clock or posedge d)\n   \
                   if (d) begin\n      first <= 1'b1;\n      second <= 1'b1;\n   end else begin\n      \
                   first <= 1'b0;\n      second <= first;\n   end\n\
                   assign q = second;\n"
                .into(),
            cores: String::new(),
        })
    }
}
