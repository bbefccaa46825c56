//! What can go wrong in the program, in sentences.
use std::io;
use std::path::PathBuf;

/// An error that ends the program.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The design does not pass its checks.
    #[error("the design cannot be exported: {0}")]
    Export(String),
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The TAP device.
    #[error(transparent)]
    Tap(#[from] ferrule_sim::wire::tap::TapError),
    /// The capture to replay.
    #[error(transparent)]
    Replay(#[from] ferrule_sim::wire::pcap::ReplayError),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] ferrule_sim::engine::EngineError),
    /// The simulator.
    #[error(transparent)]
    Simulator(#[from] ferrule_sim::simulator::SimulatorError),
    /// The host.
    #[error(transparent)]
    Host(#[from] ferrule::OpenError),
    /// A NIC that is looked at.
    #[error(transparent)]
    Nic(#[from] ferrule_driver::NicError),
    /// The way to it.
    #[error(transparent)]
    Device(#[from] ferrule_driver::DeviceError),
    /// A PCI device that cannot be given away or back.
    #[error(transparent)]
    Bind(#[from] ferrule_driver::vfio::BindError),
    /// The server of preloaded programs.
    #[error(transparent)]
    Stackd(#[from] ferrule_stackd::ServerError),
    /// A socket call.
    #[error("{doing}: {source}")]
    Call {
        /// What was being done.
        doing: String,
        /// Why it failed.
        source: io::Error,
    },
    /// Two options that exclude each other, or one that makes no sense here: exit status 2.
    #[error("{0}")]
    Usage(String),
    /// Who read standard output has gone away: the end, but nothing to complain of.
    #[error("nobody reads standard output any more")]
    NoReader,
    /// What came back is not what was sent.
    #[error("{0}")]
    Wrong(String),
}

impl Error {
    /// For `map_err`: a failed socket call with what was being done.
    pub(crate) fn doing(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Call { doing, source }
    }

    /// The program's exit status.
    pub(crate) fn status(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            _ => 1,
        }
    }
}
