//! The simulator: one thread that owns the engine, the root complex, the wire and the vfio-user server, and decides when time passes.
//!
//! While anything moves, in the device or towards it, cycles are run and each takes 8 ns. When all is idle, simulated time jumps to the next
//! deadline of device, wire or host, but only if the host has nothing to do either ([`SimClock`]); if it has, the thread sleeps until the
//! host speaks. On wall time, which a wire to the outside needs, time is the machine's, and idle time is slept.
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{channel, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use ferrule_rtl::pins::Gmii;
use rustix::event::{eventfd, EventfdFlags};
use serde::Serialize;
use thiserror::Error;

use crate::capture::{Recorded, SharedCapture};
use crate::clock::SimClock;
use crate::engine::EngineError;
use crate::phy::PhyStats;
use crate::root_complex::{Settings, TlpStats};
use crate::station::{Core, Station, Surroundings};
use crate::vfio_user_server::VfioUserServer;
use crate::wire::impair::ImpairStats;
use crate::wire::Wire;
use crate::world::World;

mod run;
#[cfg(test)]
mod tests;

use run::{Progress, Runner};

/// Why a simulator did not start, or ended with something missing.
#[derive(Debug, Error)]
pub enum SimulatorError {
    /// The engine, or its waveform.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The capture file.
    #[error("writing the capture {}: {source}", path.display())]
    Capture {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: io::Error,
    },
    /// The vfio-user socket.
    #[error("listening at {}: {source}", path.display())]
    Listen {
        /// The socket.
        path: PathBuf,
        /// What the operating system says; `AddrInUse`: another simulator lives there.
        source: io::Error,
    },
    /// A wire that cannot be on simulated time.
    #[error("a wire to the outside runs on the machine's time, a simulator in process on simulated time; use a simulator with a thread")]
    OutsideWire,
    /// A descriptor or a thread could not be had.
    #[error("starting the simulator: {0}")]
    Io(#[from] io::Error),
    /// A fault in the simulator or the hardware description.
    #[error("the simulator ended with a fault: {0}")]
    Fault(String),
}

/// What a simulator has done.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Name of the engine.
    pub engine: &'static str,
    /// The time in nanoseconds.
    pub simulated_ns: u64,
    /// How much of it was jumped over.
    pub jumped_ns: u64,
    /// Cycles of the core's clock that were evaluated.
    pub cycles: u64,
    /// CPU time of the simulator's thread in seconds.
    pub cpu_seconds: f64,
    /// TLPs by kind and direction.
    pub tlps: TlpStats,
    /// Frames on the wire.
    pub phy: PhyStats,
    /// What the wire did to them, if it was told to do anything.
    pub impairments: Option<ImpairStats>,
    /// The last TLP of the device that broke the protocol, in words.
    pub violation: Option<String>,
}

impl Stats {
    /// Evaluated cycles for each second of CPU time; 0 before the first.
    pub fn cycles_per_cpu_second(&self) -> f64 {
        if self.cpu_seconds > 0.0 {
            self.cycles as f64 / self.cpu_seconds
        } else {
            0.0
        }
    }
}

/// A MAC address for a seed: locally administered, unicast, and different for different seeds below 2^40.
pub fn mac_of_seed(seed: u64) -> [u8; 6] {
    // An odd multiplier is a bijection modulo 2^40 and spreads neighbouring seeds.
    let [a, b, c, d, e, ..] = seed.wrapping_mul(0x00B9_7F4A_7C15).to_le_bytes();
    [0x02, e, d, c, b, a]
}

/// What a simulator is made of.
pub struct Builder {
    wire: Box<dyn Wire>,
    mac: [u8; 6],
    settings: Settings,
    listen: Option<PathBuf>,
    client: Option<UnixStream>,
    wall_time: bool,
    capture: Option<PathBuf>,
    vcd: Option<PathBuf>,
}

impl Builder {
    /// The MAC address that the NIC starts with.
    #[must_use]
    pub fn mac(mut self, mac: [u8; 6]) -> Self {
        self.mac = mac;
        self
    }
    /// The MAC address of a seed: see [`mac_of_seed`].
    #[must_use]
    pub fn seed(self, seed: u64) -> Self {
        self.mac(mac_of_seed(seed))
    }
    /// Read latency and the like.
    #[must_use]
    pub fn host(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }
    /// Serves vfio-user clients at this path, one after the other.
    #[must_use]
    pub fn listen(mut self, path: impl Into<PathBuf>) -> Self {
        self.listen = Some(path.into());
        self
    }
    /// Serves this vfio-user client and no other.
    #[must_use]
    pub fn client(mut self, socket: UnixStream) -> Self {
        self.client = Some(socket);
        self
    }
    /// Runs on the machine's time instead of simulated time; a wire to the outside does so by itself.
    #[must_use]
    pub fn wall_time(mut self) -> Self {
        self.wall_time = true;
        self
    }
    /// Writes every frame on the wire to a pcapng file.
    #[must_use]
    pub fn capture(mut self, path: impl Into<PathBuf>) -> Self {
        self.capture = Some(path.into());
        self
    }
    /// Writes a waveform; the engine must have been opened for it.
    #[must_use]
    pub fn vcd(mut self, path: impl Into<PathBuf>) -> Self {
        self.vcd = Some(path.into());
        self
    }

    /// Starts the simulator around an engine, or the model, in a thread of its own.
    ///
    /// # Errors
    /// See [`SimulatorError`].
    pub fn start(self, core: impl Into<Core>) -> Result<Simulator, SimulatorError> {
        let mut core = core.into();
        if let Some(path) = &self.vcd {
            core.trace_start(path)?;
        }
        let capture = match self.capture {
            None => None,
            Some(path) => match SharedCapture::create(&path, 1) {
                Ok(capture) => Some(capture),
                Err(source) => return Err(SimulatorError::Capture { path, source }),
            },
        };
        let wall_time = self.wall_time || self.wire.fd().is_some();
        let station = core.place(Surroundings {
            mac: self.mac,
            settings: self.settings,
            wire: self.wire,
            capture: capture.as_ref().map(|c| c.port(0, Recorded::All)),
        });
        let serves = match (self.listen, self.client) {
            (Some(path), _) => Some(Serves::At(path)),
            (None, Some(socket)) => Some(Serves::One(socket)),
            (None, None) => None,
        };
        launch(station, serves, capture, wall_time)
    }
}

/// Whom a simulator serves.
enum Serves {
    /// Clients at a path, one after the other.
    At(PathBuf),
    /// A client that is connected already.
    One(UnixStream),
}

/// Starts the thread.
fn launch(
    station: Box<dyn Station>,
    serves: Option<Serves>,
    capture: Option<SharedCapture>,
    wall_time: bool,
) -> Result<Simulator, SimulatorError> {
    let name = station.stats().engine;
    let mut world = World::new(vec![station]);
    let server = match serves {
        Some(Serves::At(path)) => Some(
            VfioUserServer::bind(&path)
                .map_err(|source| SimulatorError::Listen { path, source })?,
        ),
        Some(Serves::One(socket)) => Some(VfioUserServer::serve(socket, world.look(0))?),
        None => None,
    };
    let wake = Arc::new(
        eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(io::Error::from)?,
    );
    let clock = (!wall_time).then(SimClock::new);
    let stats = Arc::new(Mutex::new(Stats {
        engine: name,
        ..Stats::default()
    }));
    let (commands, inbox) = channel();
    let runner = Runner {
        world,
        server,
        capture,
        clock: clock.clone(),
        inbox,
        wake: Arc::clone(&wake),
        stats: Arc::clone(&stats),
        progress: Progress::default(),
    };
    let thread = std::thread::Builder::new()
        .name("ferrule-sim".into())
        .spawn(move || runner.run())?;
    Ok(Simulator {
        clock,
        commands,
        wake,
        stats,
        thread: Some(thread),
    })
}

/// What the handle asks of the thread.
enum Command {
    Stop,
    Link(bool),
    Line(Vec<Gmii>),
}

type Inbox = Receiver<Command>;

/// A running simulator. Dropped, it stops.
pub struct Simulator {
    clock: Option<SimClock>,
    commands: Sender<Command>,
    wake: Arc<OwnedFd>,
    stats: Arc<Mutex<Stats>>,
    thread: Option<JoinHandle<Result<(), SimulatorError>>>,
}

impl Simulator {
    /// A simulator with its NIC plugged into `wire`.
    pub fn builder(wire: Box<dyn Wire>) -> Builder {
        Builder {
            wire,
            mac: mac_of_seed(0),
            settings: Settings::default(),
            listen: None,
            client: None,
            wall_time: false,
            capture: None,
            vcd: None,
        }
    }

    /// Serves vfio-user clients at `path` with whatever is at a station, on the machine's time: with a NIC that is a real one, for instance.
    ///
    /// # Errors
    /// See [`SimulatorError`].
    pub fn serve(
        station: Box<dyn Station>,
        path: impl Into<PathBuf>,
    ) -> Result<Self, SimulatorError> {
        launch(station, Some(Serves::At(path.into())), None, true)
    }

    /// The clock for hosts in this process; none on wall time, where [`ferrule_driver::clock::WallClock`] serves.
    pub fn clock(&self) -> Option<SimClock> {
        self.clock.clone()
    }

    /// What was done so far; up to date whenever the simulator is idle, at most some thousand cycles late while it works.
    pub fn stats(&self) -> Stats {
        self.stats
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether its thread still runs; it ends by itself only by a fault.
    pub fn is_running(&self) -> bool {
        self.thread
            .as_ref()
            .is_some_and(|thread| !thread.is_finished())
    }

    /// Plugs the cable in or out, as the PHY reports it to the NIC.
    pub fn set_link(&self, up: bool) {
        self.command(Command::Link(up));
    }

    /// Puts byte times on the line towards the NIC, behind what is under way: bad FCS, runts, RX_ER.
    pub fn inject(&self, line: Vec<Gmii>) {
        self.command(Command::Line(line));
    }

    fn command(&self, command: Command) {
        // A thread that has ended takes no commands, and needs none.
        let _ = self.commands.send(command);
        let _ = rustix::io::write(self.wake.as_fd(), &1u64.to_ne_bytes());
    }

    /// Stops, closes all files and gives the final figures.
    ///
    /// # Errors
    /// What could not be written, or the fault that had ended the simulator before.
    pub fn stop(mut self) -> Result<Stats, SimulatorError> {
        self.join()?;
        Ok(self.stats())
    }

    fn join(&mut self) -> Result<(), SimulatorError> {
        self.command(Command::Stop);
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        thread.join().unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(SimulatorError::Fault(text.unwrap_or("a panic").into()))
        })
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        if let Err(e) = self.join() {
            tracing::error!("{e}");
        }
    }
}

fn capture_error(path: &Path, source: io::Error) -> SimulatorError {
    SimulatorError::Capture {
        path: path.into(),
        source,
    }
}
