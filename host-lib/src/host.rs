//! A host: one NIC with the stack on it, from which sockets are made.
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use ferrule_driver::lock::Mutex;
use ferrule_driver::nic::LocalAddress;
use ferrule_driver::{Clock, Device, Nic, NicConfig, NicError, WallClock};
use ferrule_stack::{Cidr, Config, Offload, Route, SocketId, Stack, Stats};

use crate::core::Core;
use crate::error::OpenError;
use crate::events::Events;
use crate::exports::Lent;
use crate::ping::Ping;
use crate::settings;
use crate::shared::{NicClock, Shared};
use crate::tcp::{TcpListener, TcpStream};
use crate::tcp_socket::TcpSocket;
use crate::udp::UdpSocket;

/// How long the last handle to a host waits for what its sockets still have to send.
const DRAIN: Duration = Duration::from_secs(2);
/// Largest IP packet on Ethernet where nobody asks for more (RFC 894).
const ETHERNET_MTU: u16 = 1_500;

/// A NIC with a TCP/IP stack on it. Clones are handles to the same host; the last one drains and closes it.
#[derive(Clone)]
pub struct Host {
    inner: Arc<Inner>,
}

struct Inner {
    shared: Arc<Shared<Core>>,
    /// Ready for everything: stands for the descriptor of a socket that cannot get one.
    always_ready: UnixStream,
    service: Mutex<Option<JoinHandle<()>>>,
}

/// How to make a [`Host`].
pub struct HostBuilder {
    device: Option<Box<dyn Device>>,
    spec: Option<String>,
    addresses: Vec<Cidr>,
    routes: Vec<Route>,
    clock: Arc<dyn Clock>,
    seed: Option<[u8; 16]>,
    initial_rto: Option<Duration>,
    mtu: u16,
    push: bool,
    busy_poll: Duration,
    background: bool,
}

impl Host {
    /// A host on the NIC that `spec` names (`pci:0000:01:00.0`, `pci-no-iommu:0000:01:00.0`, `vfio-user:PATH`; `#1` behind it is the second port, which a process may open beside the first
    /// as a host of its own), its address from FERRULE_ADDRESS and its gateway from FERRULE_GATEWAY.
    ///
    /// # Errors
    /// When the device cannot be had or the settings are missing or wrong.
    pub fn open(spec: &str) -> Result<Self, OpenError> {
        let mut builder = Self::builder()
            .device_spec(spec)
            .address(settings::address()?);
        if let Some(gateway) = settings::gateway()? {
            builder = builder.gateway(gateway);
        }
        builder.open()
    }

    /// What a host is made of, to be filled in.
    pub fn builder() -> HostBuilder {
        HostBuilder {
            device: None,
            spec: None,
            addresses: Vec::new(),
            routes: Vec::new(),
            clock: Arc::new(WallClock),
            seed: None,
            initial_rto: None,
            mtu: ETHERNET_MTU,
            push: false,
            busy_poll: Duration::ZERO,
            background: true,
        }
    }

    /// The process's default host: opened at the first use on the device that FERRULE_DEVICE names.
    ///
    /// # Errors
    /// When FERRULE_DEVICE is not set, and as [`Host::open`].
    pub fn default_host() -> io::Result<Self> {
        static DEFAULT: Mutex<Option<Host>> = Mutex::new(None);
        let mut default = DEFAULT.lock();
        if let Some(host) = &*default {
            return Ok(host.clone());
        }
        let host = settings::device()
            .and_then(|spec| Self::open(&spec))
            .map_err(|e| io::Error::new(io::ErrorKind::NotConnected, e))?;
        *default = Some(host.clone());
        Ok(host)
    }

    /// Opens a TCP connection; tries each address in turn.
    ///
    /// # Errors
    /// As connect(2): refused, timed out, unreachable.
    pub fn connect(&self, addr: impl ToSocketAddrs) -> io::Result<TcpStream> {
        TcpStream::connect_on(self, addr, None)
    }

    /// Opens a TCP connection within `timeout`.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] when the time is over; otherwise as [`Host::connect`].
    pub fn connect_timeout(&self, addr: &SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        TcpStream::connect_on(self, addr, Some(timeout))
    }

    /// Listens for TCP connections; `backlog` of them may wait to be accepted.
    ///
    /// # Errors
    /// As bind(2) and listen(2): the address is taken, or not ours.
    pub fn listen(&self, addr: impl ToSocketAddrs, backlog: usize) -> io::Result<TcpListener> {
        TcpListener::bind_on(self, addr, backlog)
    }

    /// Makes a UDP socket bound to `addr`.
    ///
    /// # Errors
    /// As bind(2).
    pub fn bind_udp(&self, addr: impl ToSocketAddrs) -> io::Result<UdpSocket> {
        UdpSocket::bind_on(self, addr)
    }

    /// Makes a UDP socket without an address, for what is to be set before [`UdpSocket::bind_to`].
    ///
    /// # Errors
    /// When the NIC fails.
    pub fn udp_socket(&self) -> io::Result<UdpSocket> {
        UdpSocket::open_on(self)
    }

    /// Makes a TCP socket that neither listens nor is connected, for what is to be set before.
    ///
    /// # Errors
    /// When the NIC fails.
    pub fn tcp_socket(&self) -> io::Result<TcpSocket> {
        TcpSocket::on(self)
    }

    /// Makes a set of sockets to be watched together, empty at first.
    pub fn events(&self) -> Events {
        Events::on(self)
    }

    /// Makes a socket that sends ICMP echo requests and receives the answers.
    ///
    /// # Errors
    /// When the NIC fails.
    pub fn ping(&self) -> io::Result<Ping> {
        Ping::on(self)
    }

    /// The stack's counters.
    ///
    /// # Errors
    /// When the NIC fails.
    pub fn stack_stats(&self) -> io::Result<Stats> {
        self.shared().with(|core, _| core.stack.stats())
    }

    /// Lets `call` use the NIC itself, between two packets: counters, link, MAC address. It may wait on the host's clock.
    ///
    /// # Errors
    /// When the NIC fails.
    pub fn with_nic<T>(&self, call: impl FnOnce(&mut Nic) -> T) -> io::Result<T> {
        self.shared().with_waiting(|core| call(&mut core.nic))
    }

    /// Our addresses, the first the default source.
    ///
    /// # Errors
    /// When the NIC fails.
    pub fn addresses(&self) -> io::Result<Vec<Cidr>> {
        self.shared()
            .with(|core, _| core.stack.addresses().to_vec())
    }

    /// All destinations that are reached, the subnets of our addresses included: to others calls fail with ENETUNREACH.
    ///
    /// # Errors
    /// When the NIC fails.
    pub fn reached(&self) -> io::Result<Vec<Cidr>> {
        let destinations = |core: &mut Core| core.stack.routes().map(|r| r.destination).collect();
        self.shared().with(|core, _| destinations(core))
    }

    /// Nanoseconds on the clock that this host lives by.
    pub fn now_ns(&self) -> u64 {
        self.shared().now().as_nanos()
    }

    pub(crate) fn shared(&self) -> &Shared<Core> {
        &self.inner.shared
    }

    /// A descriptor that is ready for everything.
    pub(crate) fn always_ready(&self) -> BorrowedFd<'_> {
        self.inner.always_ready.as_fd()
    }

    /// Lends a socket's descriptor.
    pub(crate) fn lend(&self, id: SocketId) -> io::Result<Lent> {
        let mut state = self.shared().lock();
        let Core { exports, stack, .. } = &mut state.core;
        exports.lend(stack, id)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

impl HostBuilder {
    /// The NIC, opened already.
    #[must_use]
    pub fn device(mut self, device: Box<dyn Device>) -> Self {
        self.device = Some(device);
        self
    }

    /// The NIC, by name: `pci:0000:01:00.0`, `pci-no-iommu:0000:01:00.0` or `vfio-user:PATH`, as [`ferrule_driver::open`] takes it; `#1` behind it is a second port.
    #[must_use]
    pub fn device_spec(mut self, spec: &str) -> Self {
        self.spec = Some(spec.to_owned());
        self
    }

    /// Adds a local address with its prefix length; eight at most, the first is the default source.
    #[must_use]
    pub fn address(mut self, address: Cidr) -> Self {
        self.addresses.push(address);
        self
    }

    /// The default gateway. Without one, and without a [route](Self::route), only the subnets of our addresses are reached: calls to
    /// elsewhere fail with ENETUNREACH. Groups and broadcasts need none.
    #[must_use]
    pub fn gateway(mut self, gateway: Ipv4Addr) -> Self {
        let default = Route::default_route();
        (self.routes).retain(|route| route.destination != default.destination);
        self.routes.insert(0, default.via(gateway));
        self
    }

    /// Adds a route: what goes to `destination`, and to no longer prefix that has a route, goes by way of `gateway`, which must be on the
    /// subnet of an address of ours. There may be seven gateways.
    #[must_use]
    pub fn route(mut self, destination: Cidr, gateway: Ipv4Addr) -> Self {
        self.routes
            .push(Route::new(destination.subnet()).via(gateway));
        self
    }

    /// The clock to live by; the machine's without it. A simulator in the same process gives its own.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Secret of sequence numbers and ports; random without it. A fixed one is for tests.
    #[must_use]
    pub fn seed(mut self, seed: [u8; 16]) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The retransmission time-out before a round trip was measured: RFC 6298's one second without it. A slow simulator on wall time wants more.
    #[must_use]
    pub fn initial_rto(mut self, rto: Duration) -> Self {
        self.initial_rto = Some(rto);
        self
    }

    /// The largest IP packet in bytes, 68 to 9,000; 1,500 without it. All stations of a subnet must have the same.
    #[must_use]
    pub fn mtu(mut self, mtu: u16) -> Self {
        self.mtu = mtu;
        self
    }

    /// PUSH mode, for slow links to the NIC: packets are written into the device, which reads no memory. The MTU is at most 2,032 then.
    #[must_use]
    pub fn push(mut self, push: bool) -> Self {
        self.push = push;
        self
    }

    /// How long a thread that waits looks at the NIC's rings before it sleeps until an interrupt; without it no time. What an answer takes is
    /// shorter by the time that waking up takes, and a processor is busy meanwhile. Of no effect on simulated time.
    #[must_use]
    pub fn busy_poll(mut self, busy_poll: Duration) -> Self {
        self.busy_poll = busy_poll;
        self
    }

    /// Whether somebody answers and retransmits while no thread is in a socket call; true without it. Where the clock does not do it itself,
    /// as that of a simulator in this process does, it is a service thread.
    ///
    /// False is for programs that drive a simulator on simulated time from one thread: time then only passes while that thread waits. Descriptors
    /// of sockets then show what has come only by the calls that are made.
    #[must_use]
    pub fn background(mut self, background: bool) -> Self {
        self.background = background;
        self
    }

    /// Opens the NIC and starts the host.
    ///
    /// # Errors
    /// When there is no device or address, the MTU is none, a route cannot be, or the NIC cannot be brought up.
    pub fn open(self) -> Result<Host, OpenError> {
        let device = match (self.device, self.spec) {
            (Some(device), _) => device,
            (None, Some(spec)) => ferrule_driver::open(&spec)?,
            (None, None) => return Err(OpenError::NoDevice),
        };
        if self.addresses.is_empty() {
            return Err(OpenError::NoAddress);
        }
        let gateways = gateways(&self.routes);
        let nic_config = NicConfig {
            addresses: self
                .addresses
                .iter()
                .map(|a| LocalAddress {
                    address: a.addr(),
                    prefix: a.prefix_len(),
                })
                .collect(),
            gateways: gateways.clone(),
            push: self.push,
            ..NicConfig::default()
        };
        let nic_config = nic_config.with_mtu(self.mtu).map_err(NicError::from)?;
        let clock = NicClock::new(self.clock);
        let nic = Nic::open(device, Arc::new(clock.clone()), &nic_config)?;
        let mut config = Config::new(self.addresses[0], self.seed.unwrap_or_else(rand::random));
        config.addrs = self.addresses;
        // Where there is no route the stack is to say so, and not the hardware after it has asked for a neighbour.
        config.routes = Vec::new();
        config.mtu = self.mtu;
        config.offload = Offload {
            tx_ipv4_checksum: true,
            tx_l4_checksum: true,
            tx_segmentation_bytes: nic.max_segmented(),
        };
        if let Some(rto) = self.initial_rto {
            config.tcp.initial_rto = rto;
        }
        let irqs = nic
            .irq_fds()
            .into_iter()
            .map(|fd| fd.try_clone_to_owned())
            .collect::<io::Result<_>>()?;
        let gone = nic
            .gone_fd()
            .map(|fd| fd.try_clone_to_owned())
            .transpose()?;
        let mut stack = Stack::new(config);
        for route in self.routes {
            stack.add_route(route).map_err(|why| OpenError::Route {
                destination: route.destination,
                gateway: route.gateway.unwrap_or(Ipv4Addr::UNSPECIFIED),
                why,
            })?;
        }
        let always_ready = UnixStream::pair()?.0;
        let core = Core::new(nic, stack, gateways);
        let shared = Arc::new(Shared::new(core, clock, irqs, gone, self.busy_poll)?);
        let service = if self.background && !shared.leave_to_clock() {
            Some(serve(Arc::clone(&shared))?)
        } else {
            None
        };
        Ok(Host {
            inner: Arc::new(Inner {
                shared,
                always_ready,
                service: Mutex::new(service),
            }),
        })
    }
}

/// The gateways of routes, each once, in the order in which the NIC is told of them: the default one first, to which it sends by itself.
fn gateways(routes: &[Route]) -> Vec<Ipv4Addr> {
    let mut gateways: Vec<Ipv4Addr> = Vec::new();
    for gateway in routes.iter().filter_map(|route| route.gateway) {
        if !gateways.contains(&gateway) {
            gateways.push(gateway);
        }
    }
    gateways
}

/// Starts the thread that always waits.
fn serve(shared: Arc<Shared<Core>>) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name("ferrule".to_owned())
        .spawn(move || {
            let ended = shared.block_on(None, |state, _| state.closing.then_some(Ok(())));
            if let Err(e) = ended {
                tracing::error!("the NIC failed: {e}");
            }
        })
}

impl Drop for Inner {
    fn drop(&mut self) {
        // What was written before is still delivered, for as long as the design allows. A NIC that failed has nothing to drain.
        let drained = self.shared.block_on(Some(DRAIN), |state, _| {
            state.core.is_drained().then_some(Ok(()))
        });
        if let Err(e) = drained {
            tracing::debug!("draining the sockets: {e}");
        }
        self.shared.close();
        let service = self.service.lock().take();
        if service.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the service thread panicked");
        }
        if let Err(e) = self.shared.flush(DRAIN) {
            tracing::debug!("waiting for the NIC to send: {e}");
        }
    }
}
