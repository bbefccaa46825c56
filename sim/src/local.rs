//! The simulator in process: no thread of its own, no socket. NICs and their hosts are one run on simulated time.
//!
//! Time passes only while every attached thread waits on the [`LocalClock`], or while one waits for a register's value. The thread that
//! waits last drives the world, until a descriptor or a deadline calls for one of the waiting threads; that one then runs alone until it
//! waits in turn. So the run does not depend on how the machine schedules its threads: with all of them attached, what happens, and when,
//! is a function of the seed.
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ferrule_rtl::pins::Gmii;
use rustix::event::{eventfd, EventfdFlags};

use crate::capture::{Recorded, SharedCapture};
use crate::root_complex::Settings;
use crate::simulator::{mac_of_seed, SimulatorError};
use crate::station::{Core, Next, Station, StationStats, Surroundings};
use crate::wire::Wire;
use crate::world::World;

mod clock;
mod device;
mod drive;
mod interrupts;
mod schedule;
mod services;
#[cfg(test)]
mod tests;

pub use clock::{Attached, JoinHandle, LocalClock, Ticket};
pub use device::LocalDevice;

use interrupts::Interrupts;
use schedule::Schedule;
use services::Services;

/// A NIC to be: what simulates it, and where it is plugged in.
pub struct NicSetup {
    core: Core,
    wire: Box<dyn Wire>,
    mac: [u8; 6],
    settings: Settings,
    recorded: Recorded,
}

impl NicSetup {
    /// A NIC with the MAC address of seed 0, all of whose frames are captured.
    pub fn new(core: impl Into<Core>, wire: Box<dyn Wire>) -> Self {
        Self {
            core: core.into(),
            wire,
            mac: mac_of_seed(0),
            settings: Settings::default(),
            recorded: Recorded::All,
        }
    }
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
    /// How many ports the NIC has behind its one PCIe function, 1 to [`ferrule_abi::MAX_PORTS`]; the engine must have as many. The wire is the first
    /// one's. The model and what is behind a UART have one whatever this says.
    #[must_use]
    pub fn ports(mut self, ports: u8) -> Self {
        self.settings.ports = ports;
        self
    }
    /// Which of its frames a capture holds: those sent only, where the far end of the cable is captured too.
    #[must_use]
    pub fn recorded(mut self, recorded: Recorded) -> Self {
        self.recorded = recorded;
        self
    }
}

/// What a [`LocalSimulator`] is made of.
#[derive(Default)]
pub struct Builder {
    nics: Vec<NicSetup>,
    capture: Option<PathBuf>,
    vcd: Option<PathBuf>,
    patience_ns: Option<u64>,
    interrupt_latency_ns: u64,
}

impl Builder {
    /// Adds a NIC; they are numbered from 0.
    #[must_use]
    pub fn nic(mut self, nic: NicSetup) -> Self {
        self.nics.push(nic);
        self
    }
    /// Writes the frames to a pcapng file, with an interface for each NIC.
    #[must_use]
    pub fn capture(mut self, path: impl Into<PathBuf>) -> Self {
        self.capture = Some(path.into());
        self
    }
    /// Writes a waveform of the first NIC; its engine must have been opened for it.
    #[must_use]
    pub fn vcd(mut self, path: impl Into<PathBuf>) -> Self {
        self.vcd = Some(path.into());
        self
    }
    /// Says that nobody but attached threads will ever do anything: if all of them wait without a deadline and nothing has called for one
    /// of them for `patience_ns` of simulated time, or nothing can any more, their waits fail instead of lasting for ever.
    #[must_use]
    pub fn closed(mut self, patience_ns: u64) -> Self {
        self.patience_ns = Some(patience_ns);
        self
    }

    /// How long an interrupt takes from the NIC until its host hears of it; without it no time. On a real machine it is some microseconds,
    /// in which more frames arrive: a host that is called less often runs faster on the machine's clock too.
    #[must_use]
    pub fn interrupt_latency(mut self, latency: Duration) -> Self {
        self.interrupt_latency_ns = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self
    }

    /// The world, at time 0.
    ///
    /// # Errors
    /// See [`SimulatorError`].
    pub fn start(mut self) -> Result<LocalSimulator, SimulatorError> {
        if self.nics.iter().any(|nic| nic.wire.fd().is_some()) {
            return Err(SimulatorError::OutsideWire);
        }
        if let (Some(path), Some(nic)) = (&self.vcd, self.nics.first_mut()) {
            nic.core.trace_start(path)?;
        }
        let capture = match self.capture {
            None => None,
            Some(path) => match SharedCapture::create(&path, self.nics.len()) {
                Ok(capture) => Some(capture),
                Err(source) => return Err(SimulatorError::Capture { path, source }),
            },
        };
        let stations = (0..).zip(self.nics).map(|(n, nic)| {
            let around = Surroundings {
                mac: nic.mac,
                settings: nic.settings,
                wire: nic.wire,
                capture: capture.as_ref().map(|c| c.port(n, nic.recorded)),
            };
            nic.core.place(around)
        });
        let world = World::new(stations.collect());
        let shared = Shared {
            now_ns: AtomicU64::new(0),
            contenders: AtomicUsize::new(0),
            asleep: AtomicBool::new(false),
            look: AtomicBool::new(true),
            interrupts: Arc::default(),
            uncontended: Condvar::new(),
            changed: new_eventfd()?,
            state: Mutex::new(State {
                opened: vec![false; world.len()],
                world,
                schedule: Schedule::default(),
                services: Services::default(),
                failure: None,
                makes_room: false,
                jumped_ns: 0,
                called_ns: 0,
                patience_ns: self.patience_ns,
                interrupt_latency_ns: self.interrupt_latency_ns,
                interrupts_ns: None,
                ask_services: true,
            }),
        };
        Ok(LocalSimulator {
            shared: Arc::new(shared),
            capture,
            stopped: false,
        })
    }
}

/// A simulator without a thread. Dropped, it stops: every wait on its clock fails then, and its NICs are gone.
pub struct LocalSimulator {
    shared: Arc<Shared>,
    capture: Option<SharedCapture>,
    stopped: bool,
}

/// What clock, devices and handle share.
struct Shared {
    now_ns: AtomicU64,
    /// Threads that want the state while another one drives.
    contenders: AtomicUsize,
    /// The driving thread sleeps in poll(2).
    asleep: AtomicBool,
    /// A descriptor may have become readable, or a service due.
    look: AtomicBool,
    interrupts: Arc<Interrupts>,
    /// No thread contends any more.
    uncontended: Condvar,
    /// Wakes a driving thread that is asleep.
    changed: OwnedFd,
    state: Mutex<State>,
}

struct State {
    world: World,
    schedule: Schedule,
    services: Services,
    /// Which NICs have a driver.
    opened: Vec<bool>,
    failure: Option<Failure>,
    /// The driving thread waits for those that contend.
    makes_room: bool,
    jumped_ns: u64,
    /// When a thread was last called for.
    called_ns: u64,
    patience_ns: Option<u64>,
    interrupt_latency_ns: u64,
    /// When the interrupts that were raised are delivered.
    interrupts_ns: Option<u64>,
    /// The descriptors of services may have become readable.
    ask_services: bool,
}

/// Why the world stands still for ever.
#[derive(Clone, Debug)]
enum Failure {
    Stopped,
    Fault(String),
    Deadlock,
}

impl Failure {
    fn text(&self) -> String {
        match self {
            Self::Stopped => "the simulator has stopped; its clock stands still".into(),
            Self::Fault(text) => format!("the simulator ended with a fault: {text}"),
            Self::Deadlock => {
                "every thread waits, and nothing will ever happen that one of them waits for".into()
            }
        }
    }

    fn io_error(&self) -> io::Error {
        let kind = match self {
            Self::Deadlock => io::ErrorKind::Deadlock,
            _ => io::ErrorKind::BrokenPipe,
        };
        io::Error::new(kind, self.text())
    }
}

impl Shared {
    /// The state, for the thread that drives or is about to.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, for any thread: one that drives makes room.
    fn contend(&self) -> MutexGuard<'_, State> {
        self.contenders.fetch_add(1, Ordering::SeqCst);
        let state = self.lock();
        // Nobody is woken for nothing: that would be a system call for each access of a register.
        if self.contenders.fetch_sub(1, Ordering::SeqCst) == 1 && state.makes_room {
            self.uncontended.notify_all();
        }
        state
    }

    /// Wakes the driving thread, should it sleep, to look at what has changed.
    fn stir(&self) {
        self.look.store(true, Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst) {
            signal(&self.changed);
        }
    }
}

impl State {
    fn check(&self) -> io::Result<()> {
        match &self.failure {
            None => Ok(()),
            Some(failure) => Err(failure.io_error()),
        }
    }

    /// The first failure stays; every waiting thread hears of it.
    fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
        self.schedule.release_all();
    }

    /// Runs the world for as long as `busy` says so and something moves in it; waiting threads are not looked after meanwhile.
    fn run_while(&mut self, shared: &Shared, mut busy: impl FnMut(&mut World) -> bool) {
        while busy(&mut self.world) {
            let Next::Busy(at_ns) = self.world.next() else {
                return;
            };
            self.world.advance(at_ns);
            shared.now_ns.store(self.world.now_ns(), Ordering::Release);
            if let Err(text) = unwound(|| self.world.step()) {
                self.fail(Failure::Fault(text));
                return;
            }
        }
    }
}

impl LocalSimulator {
    /// One without NICs yet.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The clock for the hosts.
    pub fn clock(&self) -> LocalClock {
        LocalClock::new(Arc::clone(&self.shared))
    }

    /// Opens a NIC, counted from 0, as a driver does; dropped, the device is reset and can be opened again.
    ///
    /// # Errors
    /// [`ferrule_driver::DeviceError::Os`] if there is no such NIC or it is open.
    pub fn device(&self, nic: usize) -> Result<LocalDevice, ferrule_driver::DeviceError> {
        LocalDevice::open(Arc::clone(&self.shared), nic)
    }

    /// What a NIC, counted from 0, has done so far; nothing if there is none.
    pub fn stats(&self, nic: usize) -> Option<StationStats> {
        let state = self.shared.contend();
        (nic < state.world.len()).then(|| state.world.station(nic).stats())
    }

    /// How much of the time was jumped over, in nanoseconds.
    pub fn jumped_ns(&self) -> u64 {
        self.shared.contend().jumped_ns
    }

    /// Plugs the cable of a NIC in or out.
    pub fn set_link(&self, nic: usize, up: bool) {
        self.with_station(nic, |station| station.set_link(up));
    }

    /// Puts byte times on the line towards a NIC, behind what is under way.
    pub fn inject(&self, nic: usize, line: Vec<Gmii>) {
        self.with_station(nic, |station| station.inject(line));
    }

    fn with_station(&self, nic: usize, call: impl FnOnce(&mut dyn Station)) {
        let mut state = self.shared.contend();
        if nic < state.world.len() {
            call(state.world.station_mut(nic));
        }
        drop(state);
        self.shared.stir();
    }

    /// Stops and closes all files.
    ///
    /// # Errors
    /// What could not be written, or the fault that had ended the simulator before.
    pub fn stop(mut self) -> Result<(), SimulatorError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), SimulatorError> {
        if std::mem::replace(&mut self.stopped, true) {
            return Ok(());
        }
        let mut state = self.shared.contend();
        state.fail(Failure::Stopped);
        let fault = match &state.failure {
            Some(Failure::Fault(text)) => Err(SimulatorError::Fault(text.clone())),
            _ => Ok(()),
        };
        let traced = state.world.trace_stop().map_err(SimulatorError::from);
        drop(state);
        self.shared.stir();
        let captured = match self.capture.as_ref().map(SharedCapture::finish) {
            Some(Err((path, source))) => Err(SimulatorError::Capture { path, source }),
            _ => Ok(()),
        };
        fault.and(captured).and(traced)
    }
}

impl Drop for LocalSimulator {
    fn drop(&mut self) {
        if let Err(e) = self.end() {
            tracing::error!("{e}");
        }
    }
}

/// Runs `call`; the words of its panic if it has one.
fn unwound<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).map_err(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        text.unwrap_or("a panic").to_owned()
    })
}

fn new_eventfd() -> io::Result<OwnedFd> {
    Ok(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)
}
/// Fails only if the counter is full: then it is readable as it should be.
fn signal(fd: &OwnedFd) {
    let _ = rustix::io::write(fd, &1u64.to_ne_bytes());
}
/// Fails only if nothing was signalled.
fn clear(fd: &OwnedFd) {
    let _ = rustix::io::read(fd, &mut [0; 8]);
}
