//! Why properties could not be checked, and what to do about it.
use std::path::PathBuf;

use thiserror::Error;

#[derive(Debug, Error)]
pub(super) enum FormalError {
    /// The command line names what is not there.
    #[error("there is no property `{0}`; `cargo xtask formal --list` names them")]
    NoSuchProperty(String),
    /// A program that is needed is not there.
    #[error("formal checks need `{tool}`, which cannot be run ({source}); {remedy}")]
    ToolMissing {
        tool: String,
        remedy: &'static str,
        source: std::io::Error,
    },
    /// A program reports what it should not.
    #[error("`{tool}` failed on {what}:\n{log}")]
    ToolFailed {
        tool: &'static str,
        what: String,
        log: String,
    },
    /// rust-hdl's checks.
    #[error("exporting {module}: {reason}")]
    Export {
        module: &'static str,
        reason: String,
    },
    /// A checker that the command cannot bind.
    #[error("the ports of the checker {name}: {reason}; each must be `input [range] name`, named as the net that it watches")]
    Checker { name: &'static str, reason: String },
    /// A seeded fault that is out of date.
    #[error("the fault {mutant} of {property} finds its text {found} times in the exported Verilog, not once; bring it up to date: {text}")]
    Pattern {
        property: &'static str,
        mutant: &'static str,
        found: usize,
        text: &'static str,
    },
    /// The folder for models and waveforms.
    #[error("{}: {source}; choose another folder with --output", path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    /// The checks ran, and some said what they should not.
    #[error(
        "{0} checks are not as they must be; see the table above, the waveforms are named there"
    )]
    NotAsTheyMust(usize),
}
