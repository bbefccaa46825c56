//! What can go wrong in `cargo xtask coverage`, and what to do about it.
use std::io;
use std::path::{Path, PathBuf};

/// An error that ends the run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CoverageError {
    /// The engine cannot be had.
    #[error(transparent)]
    Engine(#[from] ferrule_sim::engine::EngineError),
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// Verilator has written something else.
    #[error("{}: not as Verilator 5 writes coverage: {line:?}", path.display())]
    Format { path: PathBuf, line: String },
    /// Cargo cannot be run.
    #[error("cargo cannot be run: {0}")]
    Cargo(io::Error),
    /// A test failed.
    #[error("the tests failed ({0}), so what they covered says little; `cargo test --workspace --test nic` shows why")]
    Tests(std::process::ExitStatus),
    /// No engine has left anything.
    #[error("no verilated engine ran: {0}")]
    Nothing(String),
    /// The reasons are not as they should be.
    #[error("reasons.toml: {0}")]
    Reasons(#[from] toml::de::Error),
    /// The document is not written.
    #[error(transparent)]
    Document(#[from] crate::document::DocumentError),
    /// For --check.
    #[error("{0} points are neither covered nor explained; write tests for them, or reasons into xtask/src/coverage/reasons.toml")]
    Unexplained(usize),
}

/// Adds the path to what the operating system says.
pub(super) fn file(path: &Path) -> impl FnOnce(io::Error) -> CoverageError {
    let path = path.to_owned();
    move |source| CoverageError::File { path, source }
}
