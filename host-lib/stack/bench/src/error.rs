//! What can go wrong in a benchmark.

/// Shorthand for results of this crate.
pub type Result<T> = core::result::Result<T, Error>;

/// Why a benchmark could not be run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Our stack refused a call.
    #[error("ferrule-stack: {0}")]
    Ours(#[from] ferrule_stack::Error),
    /// smoltcp refused a call.
    #[error("smoltcp refused to {0}")]
    Theirs(&'static str),
    /// The two ends no longer get on; a bug in a stack or in the benchmark.
    #[error("no progress: {0}")]
    Stuck(&'static str),
    /// A child process, or the clock.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// How it failed.
        source: std::io::Error,
    },
    /// A child process did not print what it should.
    #[error("{0}")]
    Output(String),
}
