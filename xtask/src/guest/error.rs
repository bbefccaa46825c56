//! What can go wrong in `cargo xtask guest`, and what to do about it.
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// An error that ends the run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GuestError {
    /// A program that must be there is not.
    #[error("{program} cannot be run ({source}); {mend}")]
    Program {
        program: String,
        source: io::Error,
        mend: &'static str,
    },
    /// A program ran and failed.
    #[error("{what} failed ({status}):\n{output}")]
    Failed {
        what: String,
        status: ExitStatus,
        output: String,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// The packages do not hold what they are fetched for.
    #[error("{what} is not in the packages under {}; remove that folder to fetch them anew", folder.display())]
    NotInPackages { what: String, folder: PathBuf },
    /// The simulator.
    #[error(transparent)]
    Simulator(#[from] ferrule_sim::simulator::SimulatorError),
    /// Its engine.
    #[error(transparent)]
    Engine(#[from] ferrule_sim::engine::EngineError),
    /// Steps failed in the guest.
    #[error("{failed} of {steps} steps failed; the guest's console and the simulator's figures are in {}", folder.display())]
    Steps {
        failed: usize,
        steps: usize,
        folder: PathBuf,
    },
}

/// Adds the path to what the operating system says.
pub(super) fn file(path: &Path) -> impl FnOnce(io::Error) -> GuestError {
    let path = path.to_owned();
    move |source| GuestError::File { path, source }
}
