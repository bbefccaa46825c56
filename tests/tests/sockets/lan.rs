//! A host on a simulated NIC in the LAN of the simulator, and a record of what passed on the wire.
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{channel, RecvTimeoutError};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use ferrule::{Cidr, Host, HostBuilder};
use ferrule_driver::vfio_user::{VfioUser, REPLY_TIMEOUT};
use ferrule_driver::Clock;
use ferrule_rtl::nic::Nic;
use ferrule_sim::clock::{Attached, SimClock};
use ferrule_sim::engine::native::NativeEngine;
use ferrule_sim::engine::verilated::Verilated;
use ferrule_sim::engine::{self, Engine, EngineError, Options};
use ferrule_sim::simulator::Simulator;
use ferrule_sim::wire::host::ECHO_PORT;
use ferrule_sim::wire::lan::{self, Lan};
use ferrule_sim::wire::Wire;

pub(crate) use ferrule_sim::wire::lan::{FAR_HOST, GATEWAY, NIC, PEER};

/// On the NIC's subnet; nobody has it.
pub(crate) const SILENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 99);
/// Behind the router; nobody has it, and the router does not say so.
pub(crate) const SWALLOWED: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 99);
/// The peer's echo service.
pub(crate) const ECHO: SocketAddrV4 = SocketAddrV4::new(PEER, ECHO_PORT);
/// How long anything may take on the machine's clock before a test says that it hangs.
const HANGS: Duration = Duration::from_secs(240);

/// A frame on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Passed {
    /// Simulated time.
    pub(crate) at_ns: u64,
    /// Whether the NIC sent it.
    pub(crate) from_nic: bool,
    /// Without FCS.
    pub(crate) frame: Vec<u8>,
}

/// What passed on a wire.
#[derive(Clone, Default)]
pub(crate) struct Record(Arc<Mutex<Vec<Passed>>>);

impl Record {
    fn add(&self, at_ns: u64, from_nic: bool, frame: &[u8]) {
        self.0.lock().unwrap().push(Passed {
            at_ns,
            from_nic,
            frame: frame.to_vec(),
        });
    }

    /// All frames so far.
    pub(crate) fn frames(&self) -> Vec<Passed> {
        self.0.lock().unwrap().clone()
    }

    /// When the NIC asked by ARP who has `target`.
    pub(crate) fn arp_requests(&self, target: Ipv4Addr) -> Vec<u64> {
        let asks = |passed: &Passed| {
            let sliced = SlicedPacket::from_ethernet(&passed.frame).unwrap();
            match sliced.net {
                Some(NetSlice::Arp(arp)) => {
                    arp.operation() == etherparse::ArpOperation::REQUEST
                        && arp.target_protocol_addr() == target.octets()
                }
                _ => false,
            }
        };
        let mut frames = self.frames();
        frames.retain(|passed| passed.from_nic && asks(passed));
        frames.into_iter().map(|passed| passed.at_ns).collect()
    }

    /// The payloads of the UDP messages that the NIC sent.
    pub(crate) fn messages(&self) -> Vec<Vec<u8>> {
        let payload = |passed: &Passed| {
            let sliced = SlicedPacket::from_ethernet(&passed.frame).unwrap();
            match sliced.transport {
                Some(TransportSlice::Udp(udp)) if passed.from_nic => Some(udp.payload().to_vec()),
                _ => None,
            }
        };
        self.frames().iter().filter_map(payload).collect()
    }

    /// The TCP segments between the NIC and `peer`'s `port`: whether the NIC sent it, header, payload.
    pub(crate) fn tcp(&self, peer: SocketAddrV4) -> Vec<(bool, etherparse::TcpHeader, Vec<u8>)> {
        let mut segments = Vec::new();
        for passed in self.frames() {
            let sliced = SlicedPacket::from_ethernet(&passed.frame).unwrap();
            let (Some(NetSlice::Ipv4(ip)), Some(TransportSlice::Tcp(tcp))) =
                (sliced.net, sliced.transport)
            else {
                continue;
            };
            let (addr, port) = match passed.from_nic {
                true => (ip.header().destination_addr(), tcp.destination_port()),
                false => (ip.header().source_addr(), tcp.source_port()),
            };
            if (addr, port) == (*peer.ip(), peer.port()) {
                segments.push((passed.from_nic, tcp.to_header(), tcp.payload().to_vec()));
            }
        }
        segments
    }
}

/// The LAN, recorded.
struct Recorded {
    lan: Lan,
    record: Record,
}

impl Wire for Recorded {
    fn send(&mut self, now_ns: u64, frame: &[u8]) {
        self.record.add(now_ns, true, frame);
        self.lan.send(now_ns, frame);
    }

    fn poll(&mut self, now_ns: u64) -> Option<Vec<u8>> {
        let frame = self.lan.poll(now_ns)?;
        self.record.add(now_ns, false, &frame);
        Some(frame)
    }

    fn next_deadline(&mut self, now_ns: u64) -> Option<u64> {
        self.lan.next_deadline(now_ns)
    }
}

/// A simulator with its host. The thread that made it is attached to simulated time.
pub(crate) struct World {
    pub(crate) host: Host,
    pub(crate) record: Record,
    pub(crate) clock: SimClock,
    _simulator: Simulator,
    attached: Option<Attached>,
}

/// A [`World`] on simulated time.
pub(crate) fn world() -> World {
    let (simulator, builder, record) = parts(false);
    let clock = simulator.clock().unwrap();
    let attached = clock.attach();
    let host = builder
        .clock(Arc::new(clock.clone()))
        .background(false)
        .open()
        .unwrap();
    World {
        host,
        record,
        clock,
        _simulator: simulator,
        attached: Some(attached),
    }
}

/// A simulator and a host on the machine's clock, with its service thread.
pub(crate) fn wall_clock_world() -> (Host, Simulator) {
    busy_world(Duration::ZERO)
}

/// One in which threads look at the rings for a while before they sleep.
pub(crate) fn busy_world(busy_poll: Duration) -> (Host, Simulator) {
    let (simulator, builder, _) = parts(true);
    // The slowest engine needs longer than a second for a round trip.
    let builder = builder.initial_rto(Duration::from_secs(10));
    let host = builder.busy_poll(busy_poll).open().unwrap();
    (host, simulator)
}

fn parts(wall_time: bool) -> (Simulator, HostBuilder, Record) {
    let record = Record::default();
    let wire = Recorded {
        lan: Lan::new(7),
        record: record.clone(),
    };
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut builder = Simulator::builder(Box::new(wire)).seed(7).client(theirs);
    if wall_time {
        builder = builder.wall_time();
    }
    let simulator = builder.start(engine()).unwrap();
    let device = VfioUser::over(ours, REPLY_TIMEOUT).unwrap();
    let host = Host::builder()
        .device(Box::new(device))
        .address(Cidr::new(NIC, lan::PREFIX).unwrap())
        .gateway(GATEWAY)
        .seed([7; 16]);
    (simulator, host, record)
}

/// The verilated engine where there is one, else the native one: as [`engine::open`] chooses, but the Verilog is made once for all tests.
fn engine() -> Box<dyn Engine> {
    static VERILOG: OnceLock<String> = OnceLock::new();
    let verilog = VERILOG.get_or_init(|| ferrule_rtl::verilog::emit::<Nic>(engine::TOP).unwrap());
    match Verilated::build(verilog, engine::TOP, &Options::default()) {
        Ok(engine) => Box::new(engine),
        Err(EngineError::ToolMissing { .. }) => Box::new(NativeEngine::<Nic>::default()),
        Err(e) => panic!("{e}"),
    }
}

impl World {
    /// Lets simulated time go on while this thread works: others hold it now.
    pub(crate) fn release(&mut self) {
        self.attached = None;
    }

    /// Drops the host, lets the hardware send what it has still got, and gives what passed on the wire.
    pub(crate) fn end(self) -> Record {
        let Self {
            host,
            record,
            clock,
            attached,
            _simulator,
        } = self;
        drop(host);
        let soon = clock.now() + 10_000_000;
        clock.wait(&[], Some(soon)).unwrap();
        drop(attached);
        record
    }

    /// Runs `call` and gives its result with the simulated time that it took.
    pub(crate) fn timed<T>(&self, call: impl FnOnce() -> T) -> (T, Duration) {
        let start = self.host.now_ns();
        let result = call();
        (result, Duration::from_nanos(self.host.now_ns() - start))
    }
}

/// Whether `took` is `want`, or late by no more than what a few packets take.
pub(crate) fn assert_took(took: Duration, want: Duration) {
    let late = took.checked_sub(want);
    assert!(
        late.is_some_and(|late| late < Duration::from_millis(5)),
        "{want:?} of simulated time were due, it took {took:?}"
    );
}

/// Runs `body` in a thread of its own and fails if it hangs.
pub(crate) fn within_reason<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = channel();
    let thread = std::thread::spawn(move || done.send(body()).is_ok());
    match result.recv_timeout(HANGS) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => panic!("hangs: nothing came for {HANGS:?}"),
        Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Ok(_) => unreachable!("the thread sends before it ends"),
            Err(panic) => std::panic::resume_unwind(panic),
        },
    }
}

/// Asserts that a call failed, and that it failed as the same call of std's does.
pub(crate) fn assert_same_error<T: std::fmt::Debug, S: std::fmt::Debug>(
    ours: io::Result<T>,
    std: io::Result<S>,
    kind: io::ErrorKind,
) {
    let (ours, std) = (ours.unwrap_err(), std.unwrap_err());
    assert_eq!(std.kind(), kind, "std: {std}");
    assert_eq!(ours.kind(), kind, "ours: {ours}");
}
