//! Leaf cells that are only wires: rust-hdl's shifts are slow in its own simulation, and these are needed every cycle.
use rust_hdl::prelude::*;

/// Reverses the bytes of a DW: a TLP carries the byte with the lowest address in bits 31:24, memory order has it in bits 7:0.
#[derive(LogicBlock, Default)]
pub struct SwapBytes {
    /// The DW.
    pub x: Signal<In, Bits<32>>,
    /// Its bytes reversed.
    pub y: Signal<Out, Bits<32>>,
}

impl Logic for SwapBytes {
    fn update(&mut self) {
        self.y.next = u64::from(self.x.val().to_u32().swap_bytes()).into();
    }
    fn connect(&mut self) {
        self.y.connect();
    }
    fn hdl(&self) -> Verilog {
        Verilog::Custom("always @(*) y = {x[7:0], x[15:8], x[23:16], x[31:24]};\n".into())
    }
}

/// The time in nanoseconds to ticks of `ferrule_abi::TICK_NS` (2^20 ns).
#[derive(LogicBlock, Default)]
pub struct Ticks {
    /// Nanoseconds, bits 31:0.
    pub time_lo: Signal<In, Bits<32>>,
    /// Nanoseconds, bits 63:32.
    pub time_hi: Signal<In, Bits<32>>,
    /// Ticks modulo 2^32.
    pub ticks: Signal<Out, Bits<32>>,
}

impl Logic for Ticks {
    fn update(&mut self) {
        let ns =
            u64::from(self.time_hi.val().to_u32()) << 32 | u64::from(self.time_lo.val().to_u32());
        self.ticks.next = ((ns / ferrule_abi::TICK_NS) & 0xFFFF_FFFF).into();
    }
    fn connect(&mut self) {
        self.ticks.connect();
    }
    fn hdl(&self) -> Verilog {
        Verilog::Custom("always @(*) ticks = {time_hi[19:0], time_lo[31:20]};\n".into())
    }
}
