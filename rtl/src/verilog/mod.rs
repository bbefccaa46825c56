//! Verilog export of a design under a chosen module name.
//!
//! The text is what rust-hdl's `ModuleDefines` writes, byte for byte. That one searches all links of a module for each port of each
//! child, which takes seconds for the whole NIC; here links are looked up (`links`), so that an engine can export when it starts.
mod indices;
mod links;
mod modules;
mod writer;

use std::panic::resume_unwind;
use std::thread;

use rust_hdl::prelude::*;

/// What the whole of a board takes, several times over.
const STACK_BYTES: usize = 64 << 20;

/// The Verilog of a fresh `B`, its top module called `top`.
///
/// Deterministic. The design is made anew because the memories of a simulated one would end up in `initial` blocks.
///
/// # Errors
/// What rust-hdl's checks found: open signals, loops, writes to inputs.
pub fn emit<B: Block + Default>(top: &str) -> Result<String, String> {
    // A large design is moved about on the stack while it is made: more than a thread usually has.
    thread::scope(|scope| {
        let made = thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || emit_here::<B>(top));
        let made = made.map_err(|e| format!("a thread for the export: {e}"))?;
        made.join().unwrap_or_else(|e| resume_unwind(e))
    })
}

fn emit_here<B: Block + Default>(top: &str) -> Result<String, String> {
    let mut design = Box::<B>::default();
    design.connect_all();
    check_all(&*design).map_err(|e| format!("{e:?}"))?;
    Ok(writer::verilog(&modules::collect(top, &*design)))
}
