//! `ferrule verilog`: the NIC as Verilog.
use std::fs;

use ferrule_rtl::nic::Nic;

use crate::args::Verilog;
use crate::error::Error;

/// Name of the top module.
const TOP: &str = "ferrule_nic";

/// Writes the export and says what was written.
///
/// # Errors
/// When the design cannot be exported or the folder cannot be written.
pub(crate) fn run(args: &Verilog) -> Result<(), Error> {
    let text = ferrule_rtl::verilog::emit::<Nic>(TOP).map_err(Error::Export)?;
    let path = args.output.join(format!("{TOP}.v"));
    let failed = |source| Error::Write {
        path: path.clone(),
        source,
    };
    fs::create_dir_all(&args.output).map_err(failed)?;
    fs::write(&path, &text).map_err(failed)?;
    let modules = text.lines().filter(|l| l.starts_with("module ")).count();
    println!(
        "{}: {modules} modules, {} lines; top module {TOP}",
        path.display(),
        text.lines().count()
    );
    Ok(())
}
