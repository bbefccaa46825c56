//! A simulated NIC with a host on it, in this process: joined by vfio-user on a socket of their own, or directly.
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ferrule::{Cidr, Host, HostBuilder};
use ferrule_driver::nic::{mac_text, Stats};
use ferrule_driver::{Clock, WallClock};
use ferrule_sim::clock::Attached;
use ferrule_sim::engine;
use ferrule_sim::engine::window::TraceWindow;
use ferrule_sim::local::{self, LocalSimulator, NicSetup};
use ferrule_sim::simulator::{self, Builder, Simulator};
use ferrule_sim::station::Core;
use ferrule_sim::wire::impair::Impaired;
use ferrule_sim::wire::Wire;
use rustix::time::{clock_gettime, ClockId};

use crate::args::{Access, Serve, SimArgs};
use crate::error::Error;
use crate::settings::Settings;
use crate::wire::WireSpec;

/// RFC 6298's first time-out is a second; on wall time an engine may need longer for a round trip.
const SLOW_RTO: Duration = Duration::from_secs(10);

/// What a session is made of.
pub(crate) struct SessionConfig {
    /// How to simulate.
    pub(crate) sim: SimArgs,
    /// How the driver reaches the NIC.
    pub(crate) access: Access,
    /// The host's address.
    pub(crate) address: Cidr,
    /// Its default gateway.
    pub(crate) gateway: Option<Ipv4Addr>,
    /// Where to capture to.
    pub(crate) pcap: Option<PathBuf>,
    /// Where to write a waveform to.
    pub(crate) vcd: Option<Waveform>,
}

/// A waveform to be written.
pub(crate) struct Waveform {
    /// Its file.
    pub(crate) path: PathBuf,
    /// Which part of the run it shows, if not all.
    pub(crate) window: Option<TraceWindow>,
}

/// A running session. The thread that made it is the one that uses the host: simulated time waits for it.
pub(crate) struct Session {
    host: Host,
    clock: Arc<dyn Clock>,
    world: World,
}

/// The simulator of a session.
enum World {
    /// In a thread of its own.
    Threaded {
        /// Time does not jump while this thread works; none on wall time.
        attached: Option<Attached>,
        simulator: Simulator,
        /// Holds the socket.
        _dir: tempfile::TempDir,
    },
    /// Driven by this thread.
    Local {
        attached: local::Attached,
        simulator: LocalSimulator,
        clock: local::LocalClock,
        /// This process's CPU time when it started.
        cpu_seconds: f64,
    },
}

/// What is left of a session.
pub(crate) struct Ended {
    /// The NIC's counters, if it could still be asked.
    pub(crate) counters: Option<Stats>,
    /// The simulator's figures.
    pub(crate) simulator: simulator::Stats,
}

/// The wire with whatever impairs it.
fn open_wire(sim: &SimArgs) -> Result<Box<dyn Wire>, Error> {
    let wire = sim.wire.open(sim.seed)?;
    Ok(match &sim.impair {
        Some(impairments) => Box::new(Impaired::new(wire, impairments, sim.seed)),
        None => wire,
    })
}

fn builder(sim: &SimArgs, pcap: Option<&PathBuf>) -> Result<Builder, Error> {
    let builder = Simulator::builder(open_wire(sim)?).seed(sim.seed);
    Ok(match pcap {
        Some(path) => builder.capture(path),
        None => builder,
    })
}

fn open_core(sim: &SimArgs, vcd: Option<&Waveform>) -> Result<Core, Error> {
    let options = engine::Options {
        tracing: vcd.is_some(),
        window: vcd.and_then(|vcd| vcd.window),
        ..engine::Options::default()
    };
    Ok(Core::open(sim.engine, &options)?)
}

fn start(sim: &SimArgs, builder: Builder, vcd: Option<&Waveform>) -> Result<Simulator, Error> {
    let core = open_core(sim, vcd)?;
    let builder = match vcd {
        Some(vcd) => builder.vcd(&vcd.path),
        None => builder,
    };
    Ok(builder.start(core)?)
}

/// The simulator alone, on wall time, for a driver in another process.
///
/// # Errors
/// When it cannot be started.
pub(crate) fn server(args: &Serve) -> Result<Simulator, Error> {
    let builder = builder(&args.sim, args.pcap.as_ref())?
        .listen(&args.socket)
        .wall_time();
    start(&args.sim, builder, None)
}

/// A simulator in this process, with one NIC.
///
/// # Errors
/// When it cannot be started, or its wire is the machine's.
pub(crate) fn local(
    sim: &SimArgs,
    pcap: Option<&PathBuf>,
    vcd: Option<&Waveform>,
) -> Result<LocalSimulator, Error> {
    if let WireSpec::Tap(_) = sim.wire {
        return Err(Error::Usage(format!(
            "the wire {} runs on the machine's time, the device sim: on simulated time; use another wire, or `ferrule serve` with this one",
            sim.wire
        )));
    }
    let core = open_core(sim, vcd)?;
    let nic = NicSetup::new(core, open_wire(sim)?).seed(sim.seed);
    let mut builder = LocalSimulator::builder().nic(nic);
    if let Some(path) = pcap {
        builder = builder.capture(path);
    }
    if let Some(vcd) = vcd {
        builder = builder.vcd(&vcd.path);
    }
    Ok(builder.start()?)
}

/// A host on a NIC that is there already.
///
/// # Errors
/// When it cannot be opened.
pub(crate) fn attach(
    device: &str,
    address: Cidr,
    gateway: Option<Ipv4Addr>,
) -> Result<Host, Error> {
    // It may be a slow simulator's, on the machine's time.
    let host = Host::builder().device_spec(device).address(address);
    Ok(by_way_of(host, gateway).initial_rto(SLOW_RTO).open()?)
}

/// The gateway, if there is one.
fn by_way_of(host: HostBuilder, gateway: Option<Ipv4Addr>) -> HostBuilder {
    match gateway {
        Some(gateway) => host.gateway(gateway),
        None => host,
    }
}

/// A host on the machine's time whose NIC whoever waits drives, and the simulator that it is on, if there is no device.
///
/// # Errors
/// When either cannot be had.
pub(crate) fn on_wall_time(
    settings: &Settings,
    sim: &SimArgs,
) -> Result<(Host, Option<WallSimulator>), Error> {
    if let Some(spec) = settings.simulated_time() {
        return Err(Error::Usage(format!(
            "{spec} runs on simulated time, and programs do not; leave --device away for a simulated NIC on the machine's time"
        )));
    }
    let (spec, simulator) = match &settings.device {
        Some(spec) => (spec.clone(), None),
        None => {
            let dir = tempfile::tempdir().map_err(Error::doing("making a temporary folder"))?;
            let socket = dir.path().join("nic.sock");
            let builder = builder(sim, None)?.listen(&socket).wall_time();
            let simulator = start(sim, builder, None)?;
            let spec = format!("vfio-user:{}", socket.display());
            let simulator = WallSimulator {
                simulator,
                _dir: dir,
            };
            (spec, Some(simulator))
        }
    };
    let mut host = Host::builder()
        .device_spec(&spec)
        .initial_rto(SLOW_RTO)
        .busy_poll(settings.busy_poll)
        .background(false);
    for address in &settings.addresses {
        host = host.address(*address);
    }
    for route in &settings.routes {
        host = host.route(route.to, route.via);
    }
    if let Some(mtu) = settings.mtu {
        host = host.mtu(mtu);
    }
    Ok((by_way_of(host, settings.gateway).open()?, simulator))
}

/// A simulator on the machine's time with its socket.
pub(crate) struct WallSimulator {
    simulator: Simulator,
    _dir: tempfile::TempDir,
}

impl WallSimulator {
    /// Stops it.
    ///
    /// # Errors
    /// When it had failed.
    pub(crate) fn stop(self) -> Result<(), Error> {
        self.simulator.stop()?;
        Ok(())
    }
}

impl Session {
    /// Starts simulator and host.
    ///
    /// # Errors
    /// When either cannot be started.
    pub(crate) fn start(config: &SessionConfig) -> Result<Self, Error> {
        match config.access {
            Access::VfioUser => Self::start_threaded(config),
            Access::Sim => Self::start_local(config),
        }
    }

    fn start_threaded(config: &SessionConfig) -> Result<Self, Error> {
        let dir = tempfile::tempdir().map_err(Error::doing("making a temporary folder"))?;
        let socket = dir.path().join("nic.sock");
        let builder = builder(&config.sim, config.pcap.as_ref())?.listen(&socket);
        let simulator = start(&config.sim, builder, config.vcd.as_ref())?;
        let mut host = host_builder(config).device_spec(&format!("vfio-user:{}", socket.display()));
        let clock = simulator.clock();
        let attached = clock.as_ref().map(|c| c.attach());
        let clock: Arc<dyn Clock> = match clock {
            // This thread alone drives the host, so that simulated time waits for it.
            Some(clock) => {
                host = host.background(false);
                Arc::new(clock)
            }
            None => {
                host = host.initial_rto(SLOW_RTO);
                Arc::new(WallClock)
            }
        };
        Ok(Self {
            host: host.clock(Arc::clone(&clock)).open()?,
            clock,
            world: World::Threaded {
                attached,
                simulator,
                _dir: dir,
            },
        })
    }

    fn start_local(config: &SessionConfig) -> Result<Self, Error> {
        let cpu_seconds = cpu_seconds();
        let simulator = local(&config.sim, config.pcap.as_ref(), config.vcd.as_ref())?;
        let clock = simulator.clock();
        let attached = clock.attach();
        let device = simulator.device(0).map_err(ferrule::OpenError::from)?;
        let host = host_builder(config)
            .device(Box::new(device))
            .clock(Arc::new(clock.clone()))
            .open()?;
        Ok(Self {
            host,
            clock: Arc::new(clock.clone()),
            world: World::Local {
                attached,
                simulator,
                clock,
                cpu_seconds,
            },
        })
    }

    /// A handle to the host.
    pub(crate) fn host(&self) -> Host {
        self.host.clone()
    }

    /// The clock that the host lives by.
    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    /// Name of the engine that runs.
    pub(crate) fn engine(&self) -> String {
        match &self.world {
            World::Threaded { simulator, .. } => simulator.stats().engine.to_owned(),
            World::Local { simulator, .. } => {
                simulator.stats(0).unwrap_or_default().engine.to_owned()
            }
        }
    }

    /// Whether time is the simulator's.
    pub(crate) fn is_simulated_time(&self) -> bool {
        match &self.world {
            World::Threaded { attached, .. } => attached.is_some(),
            World::Local { .. } => true,
        }
    }

    /// The NIC's MAC address, as people write it.
    ///
    /// # Errors
    /// When the NIC fails.
    pub(crate) fn mac(&self) -> Result<String, Error> {
        let mac = self
            .host
            .with_nic(|nic| nic.mac())
            .map_err(Error::doing("asking for the MAC address"))?;
        Ok(mac_text(&mac))
    }

    /// Closes the host, stops the simulator and gives what they counted.
    ///
    /// # Errors
    /// When a file could not be written, or the simulator had failed.
    pub(crate) fn end(self) -> Result<Ended, Error> {
        let counters = self
            .host
            .with_nic(ferrule_driver::Nic::stats)
            .ok()
            .and_then(Result::ok);
        drop(self.host);
        let simulator = match self.world {
            World::Threaded {
                attached,
                simulator,
                ..
            } => {
                drop(attached);
                simulator.stop()?
            }
            World::Local {
                attached,
                simulator,
                clock,
                cpu_seconds: before,
            } => {
                let nic = simulator.stats(0).unwrap_or_default();
                let stats = simulator::Stats {
                    engine: nic.engine,
                    simulated_ns: clock.now(),
                    jumped_ns: simulator.jumped_ns(),
                    cycles: nic.cycles,
                    cpu_seconds: cpu_seconds() - before,
                    tlps: nic.tlps,
                    phy: nic.phy,
                    impairments: nic.impairments,
                    violation: nic.violation,
                };
                drop(attached);
                simulator.stop()?;
                stats
            }
        };
        Ok(Ended {
            counters,
            simulator,
        })
    }
}

/// The host of a session, but for its device and clock.
fn host_builder(config: &SessionConfig) -> HostBuilder {
    let mut seed = [0; 16];
    seed[..8].copy_from_slice(&config.sim.seed.to_le_bytes());
    let host = Host::builder().address(config.address).seed(seed);
    by_way_of(host, config.gateway)
}

/// CPU time of this process.
fn cpu_seconds() -> f64 {
    let t = clock_gettime(ClockId::ProcessCPUTime);
    t.tv_sec as f64 + t.tv_nsec as f64 / 1e9
}
