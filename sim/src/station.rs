//! A station: one simulated NIC with its host's side of the bus and its end of a cable.
use std::os::fd::BorrowedFd;
use std::path::Path;

use ferrule_rtl::nic::Nic;
use ferrule_rtl::pins::Gmii;
use serde::Serialize;

use crate::arty::{Arty, Design};
use crate::capture::CapturePort;
use crate::engine::{self, Engine, EngineError, Kind, Options};
use crate::host_side::HostSide;
use crate::phy::PhyStats;
use crate::root_complex::{Settings, TlpStats};
use crate::wire::impair::ImpairStats;
use crate::wire::Wire;

mod arty;
mod model;
mod rtl;
mod uart;

pub use arty::ArtyStation;
pub use model::ModelStation;
pub use rtl::RtlStation;
pub use uart::{Line, Traffic, UartStation};

/// 1000 Mbit/s, as the NIC has it from its PHY.
pub(crate) const LINK_SPEED_1000: u8 = 2;

/// What happens next at a station.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Something moves: it must run again at this time, whatever the host does meanwhile.
    Busy(u64),
    /// Nothing happens before this deadline, if there is one, unless the host or another station does something.
    Idle(Option<u64>),
}

impl Next {
    /// The time meant, if there is one.
    pub fn at_ns(self) -> Option<u64> {
        match self {
            Self::Busy(at_ns) => Some(at_ns),
            Self::Idle(at_ns) => at_ns,
        }
    }

    /// Whichever comes first; busy if either is.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let first = [self.at_ns(), other.at_ns()].into_iter().flatten().min();
        match (self, other, first) {
            (Self::Busy(_), _, Some(at)) | (_, Self::Busy(_), Some(at)) => Self::Busy(at),
            (.., at) => Self::Idle(at),
        }
    }
}

/// What a step of a station came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// When it must run next.
    pub next: Next,
    /// It took something from its wire or gave something to it: a station at the other end may have something to do earlier than it said.
    pub wire: bool,
}

/// What a station has done.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StationStats {
    /// What simulates its NIC.
    pub engine: &'static str,
    /// Cycles of the core's clock that were evaluated.
    pub cycles: u64,
    /// TLPs by kind and direction.
    pub tlps: TlpStats,
    /// Frames on the wire.
    pub phy: PhyStats,
    /// What the wire did to them, if it was told to do anything.
    pub impairments: Option<ImpairStats>,
    /// The last TLP of the NIC that broke the protocol, in words.
    pub violation: Option<String>,
}

/// One simulated NIC at its place in the world. Times are nanoseconds and never go back.
pub trait Station: Send {
    /// Does everything that is due at `now_ns`.
    fn step(&mut self, now_ns: u64) -> Step;
    /// When it must run next, its wire asked anew: something may have come from another station.
    fn refresh(&mut self, now_ns: u64) -> Next;
    /// The host's side. After using it the station is to be stepped.
    fn host(&mut self) -> &mut dyn HostSide;
    /// Plugs the cable in or out, as the PHY reports it to the NIC.
    fn set_link(&mut self, up: bool);
    /// Puts byte times on the line towards the NIC, behind what is under way: bad FCS, runts, RX_ER.
    fn inject(&mut self, line: Vec<Gmii>);
    /// A descriptor of a wire to the outside: see [`Wire::fd`].
    fn wire_fd(&self) -> Option<BorrowedFd<'_>>;
    /// Cycles of the core's clock that were evaluated so far.
    fn cycles(&self) -> u64;
    /// What was done so far.
    fn stats(&self) -> StationStats;
    /// Ends the waveform, if one runs.
    ///
    /// # Errors
    /// When not all of it could be written.
    fn trace_stop(&mut self) -> Result<(), EngineError>;
}

/// What is around a NIC at its station.
pub struct Surroundings {
    /// The MAC address that the NIC starts with.
    pub mac: [u8; 6],
    /// How the root complex answers.
    pub settings: Settings,
    /// What the NIC is plugged into.
    pub wire: Box<dyn Wire>,
    /// Where to record the frames.
    pub capture: Option<CapturePort>,
}

/// Makes a station around what there is.
pub type Make = Box<dyn FnOnce(Surroundings) -> Box<dyn Station> + Send>;

/// What simulates a NIC.
pub enum Core {
    /// The hardware description, clock by clock.
    Rtl(Box<dyn Engine>),
    /// The model: see [`crate::model`].
    Model,
    /// A station of another kind, by its name and how it is made.
    Other(&'static str, Make),
}

impl From<Box<dyn Engine>> for Core {
    fn from(engine: Box<dyn Engine>) -> Self {
        Self::Rtl(engine)
    }
}

impl Core {
    /// What `kind` names, on the whole NIC.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn open(kind: Kind, options: &Options) -> Result<Self, EngineError> {
        match kind {
            Kind::Model if options.tracing => Err(EngineError::NoCycles),
            Kind::Model => Ok(Self::Model),
            kind => Ok(Self::Rtl(engine::open::<Nic>(kind, options)?)),
        }
    }

    /// A board without PCIe whose UART runs at so many baud; compiled.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn arty(baud: u32) -> Result<Self, EngineError> {
        let design = Design::compile()?;
        let make = move |around: Surroundings| {
            let arty = Arty::new(&design, baud, around.mac, around.wire, around.capture);
            let station = ArtyStation::new(Box::new(arty), baud, around.settings);
            Box::new(station) as Box<dyn Station>
        };
        Ok(Self::Other(arty::NAME, Box::new(make)))
    }

    /// The engine's name, as on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Rtl(engine) => engine.name(),
            Self::Model => model::NAME,
            Self::Other(name, _) => name,
        }
    }

    /// Starts a waveform at `path`.
    ///
    /// # Errors
    /// See [`EngineError`]; the model has none.
    pub(crate) fn trace_start(&mut self, path: &Path) -> Result<(), EngineError> {
        match self {
            Self::Rtl(engine) => engine.trace_start(path),
            Self::Model => Err(EngineError::NoCycles),
            Self::Other(..) => Err(EngineError::NoTracing),
        }
    }

    /// Puts the NIC in its place.
    pub(crate) fn place(self, around: Surroundings) -> Box<dyn Station> {
        match self {
            Self::Rtl(engine) => Box::new(RtlStation::new(engine, around)),
            Self::Model => Box::new(ModelStation::new(around)),
            Self::Other(_, make) => make(around),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earlier_comes_first_and_busy_stays_busy() {
        use Next::{Busy, Idle};
        assert_eq!(Busy(8).or(Idle(Some(5))), Busy(5));
        assert_eq!(Idle(None).or(Busy(8)), Busy(8));
        assert_eq!(Idle(Some(9)).or(Idle(Some(5))), Idle(Some(5)));
        assert_eq!(Idle(None).or(Idle(None)), Idle(None));
    }
}
