//! What can go wrong in `cargo xtask synth`, and what to do about it.
use std::io;
use std::path::PathBuf;

/// An error that ends the run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SynthError {
    /// A program is not on PATH.
    #[error("{program} cannot be run ({source}); `pip install {package}` brings it, and {option} names another one")]
    Tool {
        program: String,
        package: &'static str,
        option: &'static str,
        source: io::Error,
    },
    /// A program ended with an error.
    #[error("{module}: {stage} failed; the end of {}:\n{tail}", log.display())]
    Failed {
        module: &'static str,
        stage: String,
        log: PathBuf,
        tail: String,
    },
    /// The design does not pass its checks.
    #[error("{module} cannot be exported: {reason}")]
    Export {
        module: &'static str,
        reason: String,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// A tool's output is not what is known of it.
    #[error("{what} cannot be understood: {source}; try the version that the budget names")]
    Output {
        what: &'static str,
        source: serde_json::Error,
    },
    /// The budget is not as it should be.
    #[error("{}: {source}", path.display())]
    Budget {
        path: PathBuf,
        source: toml::de::Error,
    },
    /// The document is not written.
    #[error(transparent)]
    Document(#[from] crate::document::DocumentError),
    /// A name that is no board's.
    #[error("there is no board {0}: `ferrule boards` lists them")]
    Board(String),
    /// A board that takes too much of its FPGA.
    #[error("more than {most}% of an FPGA:\n{}", broken.join("\n"))]
    Full { most: f64, broken: Vec<String> },
    /// The document needs everything.
    #[error(
        "the document lists all modules, families and clocks: leave out module names and --family"
    )]
    Partial,
    /// A figure without a limit.
    #[error("no budget for {what}: add it to {}", path.display())]
    Unbudgeted { what: String, path: PathBuf },
    /// A budget for a clock that is not there.
    #[error(
        "{}: {module} has no clock `{clock}`; it has {found}",
        path.display()
    )]
    UnknownClock {
        path: PathBuf,
        module: &'static str,
        clock: String,
        found: String,
    },
    /// Over budget.
    #[error("over the budget of {}:\n{}\nmake the design smaller or faster, or change the budget and say why", path.display(), broken.join("\n"))]
    Broken { path: PathBuf, broken: Vec<String> },
}
