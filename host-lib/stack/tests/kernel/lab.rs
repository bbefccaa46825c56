//! Our stack at one end of a wire, the kernel at the other, on wall time.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use etherparse::{IpNumber, Ipv4Header, TcpHeader};
use ferrule_kernel_wire::{namespace, wait, Capture, Captured, Direction, Tun, Wire};
use ferrule_stack::{Bytes, Cidr, Config, Instant, RxMeta, SocketId, Stack};
use ferrule_test_tools::missing;

pub(crate) const KERNEL: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
pub(crate) const OURS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
/// How long anything may take before a test says that it hangs.
pub(crate) const HANGS: Duration = Duration::from_secs(60);

pub(crate) fn kernel(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(KERNEL, port)
}

pub(crate) fn ours(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(OURS, port)
}

/// What a test is made of.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) seed: u64,
    pub(crate) wire: Wire,
    pub(crate) sysctls: &'static [(&'static str, &'static str)],
    pub(crate) config: fn(&mut Config),
}

impl Default for Setup {
    fn default() -> Setup {
        Setup {
            seed: 1,
            wire: Wire::default(),
            sysctls: &[],
            config: |_| {},
        }
    }
}

/// Both ends and the wire.
pub(crate) struct Lab {
    pub(crate) stack: Stack<Bytes>,
    pub(crate) setup: Setup,
    pub(crate) capture: Capture,
    tun: Tun,
    to_kernel: Direction,
    to_us: Direction,
    start: std::time::Instant,
    pcap: PathBuf,
}

/// Runs `test` in a namespace of its own; false if it is skipped because there can be none.
pub(crate) fn run(setup: Setup, test: impl FnOnce(&mut Lab) + Send + 'static) -> bool {
    if let Some(what) = namespace::missing() {
        return missing(what);
    }
    let name = std::thread::current().name().unwrap_or("test").to_owned();
    let thread = std::thread::Builder::new().name(name);
    let thread = thread
        .spawn(move || match Lab::new(setup) {
            Ok(mut lab) => {
                test(&mut lab);
                lab.check();
                true
            }
            Err(error) => missing(&format!("no namespace or TUN device here: {error}")),
        })
        .expect("a thread");
    // The test's own message was printed already.
    match thread.join() {
        Ok(ran) => ran,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

impl Lab {
    fn new(setup: Setup) -> std::io::Result<Lab> {
        namespace::enter()?;
        let tun = Tun::open(KERNEL, 24)?;
        for (name, value) in setup.sysctls {
            namespace::sysctl(name, value).expect("a setting of every kernel");
        }
        let cidr = Cidr::new(OURS, 24).expect("a prefix");
        let mut seed = [0; 16];
        seed[..8].copy_from_slice(&setup.seed.to_le_bytes());
        let mut config = Config::new(cidr, seed);
        (setup.config)(&mut config);
        let name = std::thread::current().name().unwrap_or("test").to_owned();
        let file = format!("{}-{}.pcap", name.replace("::", "-"), setup.seed);
        Ok(Lab {
            stack: Stack::new(config),
            capture: Capture::default(),
            tun,
            to_kernel: Direction::new(setup.wire, setup.seed),
            to_us: Direction::new(setup.wire, !setup.seed),
            start: std::time::Instant::now(),
            pcap: Path::new(env!("CARGO_TARGET_TMPDIR")).join(file),
            setup,
        })
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::ZERO + self.start.elapsed()
    }

    /// Packets that the wire lost.
    pub(crate) fn lost(&self) -> u64 {
        self.to_kernel.lost() + self.to_us.lost()
    }

    /// Moves all packets that can be moved now, then waits for something to happen, at most 2 ms.
    pub(crate) fn turn(&mut self) {
        while let Some(packet) = self.tun.recv().expect("the device stays") {
            let at = self.start.elapsed();
            self.capture.add(at, true, &packet);
            self.to_us.send(at, packet);
        }
        let at = self.start.elapsed();
        while let Some(packet) = self.to_us.take(at) {
            let head = packet.len().min(128);
            let body = Bytes::from(&packet[head..]);
            self.stack
                .on_packet(self.now(), RxMeta::default(), &packet[..head], body);
        }
        while let Some(packet) = self.stack.poll_transmit(self.now()) {
            let packet = packet.to_vec();
            let at = self.start.elapsed();
            self.capture.add(at, false, &packet);
            self.to_kernel.send(at, packet);
        }
        let at = self.start.elapsed();
        while let Some(packet) = self.to_kernel.take(at) {
            self.tun.send(&packet).expect("the kernel takes it");
        }
        let deadline = self.stack.next_deadline();
        let deadline = deadline.map(|at| Duration::from_nanos(at.as_nanos()));
        let next = [deadline, self.to_kernel.next_at(), self.to_us.next_at()];
        let next = next.into_iter().flatten().min();
        let most = Duration::from_millis(2);
        let time = next.map_or(most, |at| at.saturating_sub(self.start.elapsed()).min(most));
        wait(&[&self.tun], time).expect("can wait");
    }

    /// Turns until `done` gives something.
    pub(crate) fn until<T>(
        &mut self,
        what: &str,
        mut done: impl FnMut(&mut Stack<Bytes>, Instant) -> Option<T>,
    ) -> T {
        let limit = std::time::Instant::now() + HANGS;
        loop {
            let now = self.now();
            if let Some(value) = done(&mut self.stack, now) {
                return value;
            }
            assert!(
                std::time::Instant::now() < limit,
                "never came: {what}; {:?}, {:?}",
                self.setup,
                self.stack.stats()
            );
            self.turn();
        }
    }

    /// Turns for a while.
    pub(crate) fn run_for(&mut self, time: Duration) {
        let end = std::time::Instant::now() + time;
        while std::time::Instant::now() < end {
            self.turn();
        }
    }

    /// Turns until a thread has ended; what it returned.
    pub(crate) fn join<T>(&mut self, thread: JoinHandle<T>) -> T {
        self.until("the kernel's side ends", |_, _| {
            thread.is_finished().then_some(())
        });
        match thread.join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// A connection from us to a kernel's listener, opened.
    pub(crate) fn connect(&mut self, port: u16) -> SocketId {
        let now = self.now();
        let id = self.stack.tcp_connect(now, None, kernel(port));
        let id = id.expect("a free port");
        self.until("our connection opens", |stack, _| {
            assert_eq!(stack.take_error(id), Ok(None));
            let ready = stack.readiness(id).expect("open");
            ready
                .contains(ferrule_stack::Readiness::WRITABLE)
                .then_some(())
        });
        id
    }

    /// The next connection of a listener of ours.
    pub(crate) fn accept(&mut self, listener: SocketId) -> SocketId {
        self.until("the kernel's connection", |stack, _| {
            stack.tcp_accept(listener).ok().map(|(id, _)| id)
        })
    }

    /// Sends all of `bytes`.
    pub(crate) fn send_all(&mut self, id: SocketId, bytes: &[u8]) {
        let mut sent = 0;
        self.until("all is taken to be sent", |stack, now| {
            match stack.tcp_send(now, id, &bytes[sent..]) {
                Ok(n) => sent += n,
                Err(ferrule_stack::Error::WouldBlock) => {}
                Err(error) => panic!("send: {error}"),
            }
            (sent == bytes.len()).then_some(())
        });
    }

    /// Reads to the end of the stream.
    pub(crate) fn read_to_end(&mut self, id: SocketId) -> Vec<u8> {
        let mut all = Vec::new();
        let mut buf = vec![0; 65_536];
        self.until("the end of the stream", |stack, now| loop {
            match stack.tcp_recv(now, id, &mut buf) {
                Ok(0) => return Some(()),
                Ok(n) => all.extend_from_slice(&buf[..n]),
                Err(ferrule_stack::Error::WouldBlock) => return None,
                Err(error) => panic!("recv: {error}"),
            }
        });
        all
    }

    /// The TCP headers on the wire, by an independent parser.
    pub(crate) fn segments(&self) -> Vec<(Captured, Ipv4Header, TcpHeader)> {
        let packets = self.capture.packets().iter();
        packets
            .filter_map(|packet| {
                let (ip, rest) = Ipv4Header::from_slice(&packet.head).expect("IPv4");
                let tcp = ip.protocol == IpNumber::TCP && ip.fragment_offset.value() == 0;
                let (tcp, _) = TcpHeader::from_slice(rest).ok().filter(|_| tcp)?;
                Some((packet.clone(), ip, tcp))
            })
            .collect()
    }

    /// Neither end may have found an error in what the other sent.
    fn check(&self) {
        let counters = [
            ("Ip", "InHdrErrors"),
            // Not InErrs, which counts a SYN-ACK that the wire duplicated too.
            ("Tcp", "InCsumErrors"),
            ("Udp", "InCsumErrors"),
            ("Icmp", "InErrors"),
            ("Icmp", "InCsumErrors"),
        ];
        for (group, name) in counters {
            let count = namespace::counter(group, name).expect("every kernel counts it");
            assert_eq!(
                count, 0,
                "the kernel counts {group} {name}, {:?}",
                self.setup
            );
        }
        let stats = self.stack.stats();
        let bad = stats.dropped_malformed + stats.dropped_checksum;
        assert_eq!(bad, 0, "{stats:?}, {:?}", self.setup);
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Best effort: the test has failed whether or not its packets can be kept.
            if self.capture.save(&self.pcap).is_ok() {
                eprintln!("packets: {}, {:?}", self.pcap.display(), self.setup);
            }
        }
    }
}
