//! Simulates synthesisable Verilog with nothing installed: a text becomes machine code at start-up.
//!
//! The subset is what hardware description generators write: modules with vectors, memories, `assign`, `always @(*)` with blocking
//! assignments, `always @(posedge clock)` with non-blocking ones and perhaps an asynchronous reset, constants as initial values, instances
//! connected by name. What is outside is refused by name, with its place ([`VerilogError`]); nothing is guessed. Widths and signs follow IEEE
//! 1364-2005 clause 5. Values are two-state.
//!
//! The design is flattened, its combinational logic is cut so finely that every piece comes after all that it reads, and one pass
//! in that order settles it; logic that feeds itself is refused with the names of the loop's signals.
//!
//! ```
//! use ferrule_verilog::{Options, Program};
//! let text = "module counter(input wire clock, input wire up, output reg [7:0] count);
//!     always @(posedge clock) if (up) count <= count + 1;
//! endmodule";
//! let program = Program::compile("counter.v", text, "counter", Options::default())?;
//! let (up, count) = (program.port("up").unwrap(), program.port("count").unwrap());
//! let mut model = program.start();
//! model.set(up, 1);
//! for _ in 0..300 {
//!     model.settle();
//!     model.rise(1);
//! }
//! assert_eq!(model.get(count), 300 % 256);
//! # Ok::<(), ferrule_verilog::VerilogError>(())
//! ```
#![deny(unsafe_code)]

mod ast;
mod compile;
mod elaborate;
mod error;
mod lex;
#[allow(unsafe_code)]
mod machine;
mod model;
mod netlist;
mod parse;
mod schedule;
mod value;

pub use error::{Fault, Pos, VerilogError};
pub use model::{Model, Options, Program, Scope, Signal};
