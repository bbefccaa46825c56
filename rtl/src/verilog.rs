//! Verilog export of a design under a chosen module name.
use rust_hdl::prelude::*;

/// The Verilog of a fresh `B`, its top module called `top`.
///
/// Deterministic. The design is made anew because the memories of a simulated one would end up in `initial` blocks.
///
/// # Errors
/// What rust-hdl's checks found: open signals, loops, writes to inputs.
pub fn emit<B: Block + Default>(top: &str) -> Result<String, String> {
    let mut design = Box::<B>::default();
    design.connect_all();
    check_all(&*design).map_err(|e| format!("{e:?}"))?;
    let mut modules = ModuleDefines::default();
    design.accept(top, &mut modules);
    Ok(modules.defines())
}
