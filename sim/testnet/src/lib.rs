//! Hosts with sockets on simulated NICs, for tests: no root, no environment, no fixed ports or paths.
//!
//! ```
//! use std::io::{Read, Write};
//!
//! let net = ferrule_testnet::new().seed(7).start()?;
//! let listener = net.host(1).listen((net.address(1), 7), 1)?;
//! let server = net.spawn(move || std::io::read_to_string(listener.accept()?.0));
//! net.host(0).connect((net.address(1), 7))?.write_all(b"five lines")?;
//! assert_eq!(server.join().unwrap()?, "five lines");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Each [`Net`] is a world of its own on simulated time: tests run in parallel, waiting costs nothing, and the same seed gives the same run,
//! packet for packet, however many threads it has. The thread that starts the net and those of [`Net::spawn`] belong to it: one of them runs
//! at a time, and simulated time passes while all of them wait in calls of the library, in [`JoinHandle::join`] or in [`Net::sleep`].
//! Anything else that waits for another of these threads (a channel, a mutex, std's `join`) goes into [`Net::outside`].
//!
//! A wait that can never end fails, so that a broken program fails its test instead of hanging it. A test that panics leaves a capture of all
//! that was on the wire, for Wireshark, and says where it is and which seed it had; a test that passes leaves nothing.
#![forbid(unsafe_code)]
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use ferrule::{Cidr, Host, OpenError};
use ferrule_driver::DeviceError;
use ferrule_sim::engine::{EngineError, Options};
use ferrule_sim::local::{Attached, LocalClock, LocalSimulator, NicSetup};
use ferrule_sim::simulator::SimulatorError;
use ferrule_sim::station::Core;
use ferrule_sim::wire::lan::{FAR_GATEWAY, GATEWAY, PREFIX};
use ferrule_sim::wire::link::Link;
use ferrule_sim::wire::switch;
use tempfile::NamedTempFile;

pub use ferrule_driver::Clock;
pub use ferrule_sim::engine::Kind;
pub use ferrule_sim::local::JoinHandle;
pub use ferrule_sim::wire::Wire;

/// The last byte of the first host's address on its subnet; the others follow.
const FIRST_HOST: u8 = 10;
/// Hosts that fit on a subnet.
const MAX_HOSTS: usize = 200;
/// From a NIC's interrupt until its host hears of it: some frames arrive meanwhile, and are taken together.
const INTERRUPT_LATENCY: Duration = Duration::from_micros(50);
/// Simulated time for which nothing has to happen before a wait without a time-out is given up: longer than any time-out of TCP.
const PATIENCE: Duration = Duration::from_secs(600);

/// A net to be: two hosts on a cable, if nothing else is said.
#[must_use]
pub fn new() -> Builder {
    Builder {
        seed: 1,
        hosts: 2,
        far_hosts: 0,
        engine: Kind::Model,
        captures: std::env::temp_dir(),
        interrupt_latency: INTERRUPT_LATENCY,
        mtu: None,
        push: false,
        wires: Box::new(|_, wire| wire),
    }
}

/// Why a net cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// More hosts than addresses.
    #[error("{0} hosts do not fit on one subnet; {MAX_HOSTS} do")]
    TooMany(usize),
    /// The capture's file.
    #[error("a capture cannot be written to {}: {source}; name another folder with Builder::captures", path.display())]
    Capture {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The simulator.
    #[error(transparent)]
    Simulator(#[from] SimulatorError),
    /// A NIC.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A host.
    #[error(transparent)]
    Host(#[from] OpenError),
}

type Wires = dyn Fn(usize, Box<dyn Wire>) -> Box<dyn Wire>;

/// What a [`Net`] is made of.
pub struct Builder {
    seed: u64,
    hosts: usize,
    far_hosts: usize,
    engine: Kind,
    captures: PathBuf,
    interrupt_latency: Duration,
    mtu: Option<u16>,
    push: bool,
    wires: Box<Wires>,
}

impl Builder {
    /// Seed of all that looks random: MAC addresses, ports, sequence numbers. Without it 1.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
    /// How many hosts there are on the subnet 192.0.2.0/24; without it two. Up to two share a cable, more are on a switch.
    #[must_use]
    pub fn hosts(mut self, hosts: usize) -> Self {
        self.hosts = hosts;
        self
    }
    /// How many further hosts there are on the subnet 198.51.100.0/24, behind a router; without it none. They are numbered after the others.
    #[must_use]
    pub fn far_hosts(mut self, far_hosts: usize) -> Self {
        self.far_hosts = far_hosts;
        self
    }
    /// What simulates the NICs: without it the model, the fastest; any other runs the hardware description itself.
    #[must_use]
    pub fn engine(mut self, engine: Kind) -> Self {
        self.engine = engine;
        self
    }
    /// The folder in which a failing test leaves its capture; without it the system's for temporary files.
    #[must_use]
    pub fn captures(mut self, folder: impl Into<PathBuf>) -> Self {
        self.captures = folder.into();
        self
    }
    /// How long an interrupt takes from a NIC until its host hears of it, in simulated time; without it 50 us. The longer it is, the more
    /// frames a host takes at once, and the less the machine that simulates it has to do for each.
    #[must_use]
    pub fn interrupt_latency(mut self, latency: Duration) -> Self {
        self.interrupt_latency = latency;
        self
    }
    /// The largest IP packet of all hosts, 68 to 9,000 bytes; without it 1,500.
    #[must_use]
    pub fn mtu(mut self, mtu: u16) -> Self {
        self.mtu = Some(mtu);
        self
    }
    /// All NICs in PUSH mode; see `ferrule::HostBuilder::push`.
    #[must_use]
    pub fn push(mut self, push: bool) -> Self {
        self.push = push;
        self
    }
    /// Puts something between each host, by its number, and its end of the cable: a loss, a delay.
    #[must_use]
    pub fn wires(mut self, wrap: impl Fn(usize, Box<dyn Wire>) -> Box<dyn Wire> + 'static) -> Self {
        self.wires = Box::new(wrap);
        self
    }

    /// Starts the hosts, and makes this thread one of the net's.
    ///
    /// # Errors
    /// See [`NetError`].
    pub fn start(self) -> Result<Net, NetError> {
        if let Some(many) = [self.hosts, self.far_hosts]
            .into_iter()
            .find(|n| *n > MAX_HOSTS)
        {
            return Err(NetError::TooMany(many));
        }
        let count = self.hosts + self.far_hosts;
        let capture = tempfile::Builder::new()
            .prefix("ferrule-testnet-")
            .suffix(".pcapng")
            .tempfile_in(&self.captures)
            .map_err(|source| NetError::Capture {
                path: self.captures.clone(),
                source,
            })?;
        let mut simulator = LocalSimulator::builder()
            .capture(capture.path())
            .interrupt_latency(self.interrupt_latency)
            .closed(PATIENCE.as_nanos() as u64);
        for (n, wire) in cables(self.hosts, self.far_hosts).into_iter().enumerate() {
            let core = Core::open(self.engine, &Options::default())?;
            let nic = NicSetup::new(core, (self.wires)(n, wire))
                .seed(seed_of(self.seed, n))
                .recorded(ferrule_sim::capture::Recorded::Sent);
            simulator = simulator.nic(nic);
        }
        let simulator = simulator.start()?;
        let clock = simulator.clock();
        let attached = clock.attach();
        let mut net = Net {
            hosts: Vec::new(),
            addresses: Vec::new(),
            attached: Some(attached),
            clock,
            simulator: Some(simulator),
            capture: Some(capture),
            seed: self.seed,
            mtu: self.mtu,
            push: self.push,
            failed: Arc::new(AtomicBool::new(false)),
        };
        for n in 0..count {
            let (subnet, number) = match n.checked_sub(self.hosts) {
                None => (GATEWAY, n),
                Some(far) => (FAR_GATEWAY, far),
            };
            net.open(n, subnet, number)?;
        }
        Ok(net)
    }
}

/// A seed of its own for each host of a net.
fn seed_of(seed: u64, host: usize) -> u64 {
    // Any odd constant keeps the hosts of one seed apart; this one (2^64 over the golden ratio) also those of neighbouring seeds.
    seed.wrapping_add((host as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

fn cables(hosts: usize, far_hosts: usize) -> Vec<Box<dyn Wire>> {
    if hosts <= 2 && far_hosts == 0 {
        let (near, far) = Link::cable();
        let ends: [Box<dyn Wire>; 2] = [Box::new(near), Box::new(far)];
        return ends.into_iter().take(hosts).collect();
    }
    switch::ports(hosts, far_hosts)
        .into_iter()
        .map(|port| Box::new(port) as Box<dyn Wire>)
        .collect()
}

/// Hosts on simulated NICs. It belongs to the thread that started it.
pub struct Net {
    hosts: Vec<Host>,
    addresses: Vec<Ipv4Addr>,
    attached: Option<Attached>,
    clock: LocalClock,
    simulator: Option<LocalSimulator>,
    capture: Option<NamedTempFile>,
    seed: u64,
    mtu: Option<u16>,
    push: bool,
    /// A thread of the net has panicked.
    failed: Arc<AtomicBool>,
}

impl Net {
    fn open(&mut self, n: usize, gateway: Ipv4Addr, number: usize) -> Result<(), NetError> {
        let [a, b, c, _] = gateway.octets();
        // At most MAX_HOSTS, which was chosen to fit.
        let address = Ipv4Addr::new(a, b, c, FIRST_HOST + number as u8);
        let Some(simulator) = &self.simulator else {
            return Ok(());
        };
        let mut secret = [0; 16];
        secret[..8].copy_from_slice(&seed_of(self.seed, n).to_le_bytes());
        let mut host = Host::builder()
            .device(Box::new(simulator.device(n)?))
            .clock(Arc::new(self.clock.clone()))
            .gateway(gateway)
            .push(self.push)
            .seed(secret);
        if let Some(mtu) = self.mtu {
            host = host.mtu(mtu);
        }
        if let Some(cidr) = Cidr::new(address, PREFIX) {
            host = host.address(cidr);
        }
        self.hosts.push(host.open()?);
        self.addresses.push(address);
        Ok(())
    }

    /// A host, by its number from 0. A clone of it is a handle that can go to another thread.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn host(&self, n: usize) -> &Host {
        &self.hosts[n]
    }

    /// A host's address.
    ///
    /// # Panics
    /// If there are not so many hosts.
    pub fn address(&self, n: usize) -> Ipv4Addr {
        self.addresses[n]
    }

    /// Starts a thread of the net.
    ///
    /// # Panics
    /// If the operating system gives none, as [`std::thread::spawn`].
    pub fn spawn<T: Send + 'static>(
        &self,
        body: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let failed = Failed(Arc::clone(&self.failed));
        let spawned = self.clock.spawn(move || {
            let _failed = failed;
            body()
        });
        match spawned {
            Ok(handle) => handle,
            Err(e) => panic!("starting a thread: {e}"),
        }
    }

    /// Runs `call`, which waits for something other than simulated time: the others go on meanwhile.
    pub fn outside<T>(&self, call: impl FnOnce() -> T) -> T {
        match &self.attached {
            Some(attached) => attached.outside(call),
            None => call(),
        }
    }

    /// Sleeps on simulated time.
    ///
    /// # Errors
    /// When the simulator has failed.
    pub fn sleep(&self, time: Duration) -> io::Result<()> {
        let time_ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let until_ns = self.clock.now().saturating_add(time_ns);
        self.clock.wait(&[], Some(until_ns))
    }

    /// Simulated time since the start.
    pub fn now(&self) -> Duration {
        Duration::from_nanos(self.clock.now())
    }

    /// The clock that all hosts live by, for threads that sleep on it.
    pub fn clock(&self) -> LocalClock {
        self.clock.clone()
    }

    /// Plugs a host's cable in or out.
    pub fn set_link(&self, n: usize, up: bool) {
        if let Some(simulator) = &self.simulator {
            simulator.set_link(n, up);
        }
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }
}

/// Notes that its thread has panicked.
struct Failed(Arc<AtomicBool>);

impl Drop for Failed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::SeqCst);
        }
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        self.hosts.clear();
        self.attached = None;
        let stopped = self.simulator.take().map(LocalSimulator::stop);
        if let Some(Err(e)) = stopped {
            eprintln!("ferrule-testnet: {e}");
        }
        if !std::thread::panicking() && !self.failed.load(Ordering::SeqCst) {
            return;
        }
        let kept = self.capture.take().map(NamedTempFile::keep);
        match kept {
            Some(Ok((_, path))) => eprintln!(
                "ferrule-testnet: what was on the wire is in {}; the seed was {}",
                path.display(),
                self.seed
            ),
            Some(Err(e)) => eprintln!(
                "ferrule-testnet: the capture could not be kept: {e}; the seed was {}",
                self.seed
            ),
            None => {}
        }
    }
}
