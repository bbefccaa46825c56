//! Two-flop synchroniser.
use rust_hdl::prelude::*;

/// Brings `N` bits into the domain of `clock`, each through two flip-flops that the tools keep together.
///
/// The bits may arrive in different cycles: only for single bits, gray code, and values that stand still while they matter.
/// `d` must come from a flip-flop.
#[derive(LogicBlock, Default)]
pub struct Sync<const N: usize> {
    /// The clock of the destination.
    pub clock: Signal<In, Clock>,
    /// From another clock domain.
    pub d: Signal<In, Bits<N>>,
    /// Two to three clocks later.
    pub q: Signal<Out, Bits<N>>,
    _first: Bits<N>,
}

impl<const N: usize> Logic for Sync<N> {
    fn update(&mut self) {
        if self.clock.pos_edge() {
            self.q.next = self._first;
            self._first = self.d.val();
        }
    }

    fn connect(&mut self) {
        self.q.connect();
    }

    // A cell of its own because rust-hdl cannot put an attribute on a register.
    fn hdl(&self) -> Verilog {
        Verilog::Wrapper(Wrapper {
            code: format!(
                "(* ASYNC_REG = \"TRUE\" *) reg [{msb}:0] first = {N}'b0;\n\
                 (* ASYNC_REG = \"TRUE\" *) reg [{msb}:0] second = {N}'b0;\n\
                 always @(posedge clock) begin\n   first <= d;\n   second <= first;\nend\n\
                 assign q = second;\n",
                msb = N - 1,
            ),
            cores: String::new(),
        })
    }
}
