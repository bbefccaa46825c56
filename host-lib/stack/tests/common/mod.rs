//! Two hosts and a wire between them, in virtual time and by seed.
#![allow(dead_code, unreachable_pub)] // each test crate uses its own part of this

use ferrule_stack::{Bytes, Cidr, Config, Instant, Payload, RxMeta, SocketId, Stack};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

pub const A: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
pub const B: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);

pub fn at(ip: Ipv4Addr, port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(ip, port)
}

pub fn config(ip: Ipv4Addr) -> Config {
    let mut config = Config::new(
        Cidr::new(ip, 24).expect("a valid prefix"),
        [ip.octets()[3]; 16],
    );
    // On the wires of these tests six SYN-ACKs or their ACKs in a row do get lost.
    config.tcp.max_syn_ack_retransmits = 15;
    config.tcp.max_syn_retransmits = 15;
    config
}

pub fn stack(ip: Ipv4Addr) -> Stack<Bytes> {
    Stack::new(config(ip))
}

/// xorshift64*: all randomness of a run comes from its seed.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// Bytes that tell their position, so that a shift or swap shows.
pub fn pattern(from: usize, len: usize) -> Vec<u8> {
    (from..from + len)
        .map(|i| (i as u32).wrapping_mul(2_654_435_761).to_be_bytes()[i % 3])
        .collect()
}

/// Gives a packet to a stack as a driver does: the first bytes copied, the rest by handle.
pub fn feed(stack: &mut Stack<Bytes>, now: Instant, packet: &[u8]) {
    let split = if packet.len() <= 256 {
        packet.len()
    } else {
        128
    };
    stack.on_packet(
        now,
        RxMeta::default(),
        &packet[..split],
        Bytes::from(&packet[split..]),
    );
}

/// What a wire does to packets, in percent.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wire {
    pub loss: u64,
    pub duplicate: u64,
    pub corrupt: u64,
    pub jitter_us: u64,
    pub delay_us: u64,
}

/// Packets in flight, by arrival time.
pub struct InFlight {
    pub wire: Wire,
    queue: BTreeMap<(Instant, u64), (usize, Vec<u8>)>,
    serial: u64,
    pub rng: Rng,
    /// Every packet that was sent, before the wire touched it: (when, towards, bytes).
    pub log: Option<Vec<(Instant, usize, Vec<u8>)>>,
}

impl InFlight {
    pub fn new(wire: Wire, seed: u64) -> InFlight {
        InFlight {
            wire,
            queue: BTreeMap::new(),
            serial: 0,
            rng: Rng::new(seed),
            log: None,
        }
    }

    pub fn send(&mut self, now: Instant, to: usize, packet: Vec<u8>) {
        if let Some(log) = &mut self.log {
            log.push((now, to, packet.clone()));
        }
        if self.rng.chance(self.wire.loss) {
            return;
        }
        let copies = 1 + u64::from(self.rng.chance(self.wire.duplicate));
        for _ in 0..copies {
            let mut packet = packet.clone();
            if self.rng.chance(self.wire.corrupt) {
                let at = self.rng.below(packet.len() as u64) as usize;
                packet[at] ^= 1 << self.rng.below(8);
            }
            let delay = self.wire.delay_us + self.rng.below(self.wire.jitter_us + 1);
            self.serial += 1;
            self.queue.insert(
                (now + Duration::from_micros(delay), self.serial),
                (to, packet),
            );
        }
    }

    pub fn next_at(&self) -> Option<Instant> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    pub fn take(&mut self, now: Instant) -> Option<(usize, Vec<u8>)> {
        let entry = self.queue.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }
}

/// Two of our stacks on one wire.
pub struct Net {
    pub now: Instant,
    pub hosts: [Stack<Bytes>; 2],
    pub air: InFlight,
    /// Packets to addresses of neither, where a test plays those.
    pub elsewhere: Option<Vec<Vec<u8>>>,
}

impl Net {
    pub fn new(wire: Wire, seed: u64) -> Net {
        Net::with(stack(A), stack(B), wire, seed)
    }

    pub fn with(a: Stack<Bytes>, b: Stack<Bytes>, wire: Wire, seed: u64) -> Net {
        Net {
            now: Instant::ZERO,
            hosts: [a, b],
            air: InFlight::new(wire, seed),
            elsewhere: None,
        }
    }

    /// Sends what is to be sent and delivers what is due now.
    pub fn pump(&mut self) {
        loop {
            let mut moved = false;
            for from in 0..2 {
                while let Some(packet) = self.hosts[from].poll_transmit(self.now) {
                    moved = true;
                    match &mut self.elsewhere {
                        Some(others) if packet.dst != A && packet.dst != B => {
                            others.push(packet.to_vec());
                        }
                        _ => self.air.send(self.now, 1 - from, packet.to_vec()),
                    }
                }
            }
            while let Some((to, packet)) = self.air.take(self.now) {
                feed(&mut self.hosts[to], self.now, &packet);
                moved = true;
            }
            if !moved {
                return;
            }
        }
    }

    /// Moves time to the next thing that happens; false if nothing will before `until`.
    pub fn step(&mut self, until: Instant) -> bool {
        self.pump();
        let next = [
            self.hosts[0].next_deadline(),
            self.hosts[1].next_deadline(),
            self.air.next_at(),
        ];
        match next.into_iter().flatten().min() {
            Some(at) if at <= until => {
                assert!(
                    at >= self.now,
                    "a deadline in the past after everything was polled"
                );
                self.now = at;
                self.pump();
                true
            }
            _ => {
                self.now = until;
                false
            }
        }
    }

    pub fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        while self.step(until) {}
    }

    /// A listener on host 1, connected to from host 0, accepted.
    pub fn connect(&mut self, port: u16) -> (SocketId, SocketId) {
        let listener = self.hosts[1]
            .tcp_listen(at(B, port), 4)
            .expect("a free port");
        let client = self.hosts[0]
            .tcp_connect(self.now, None, at(B, port))
            .expect("a free port");
        let until = self.now + Duration::from_secs(600);
        let mut going = true;
        loop {
            if let Ok((server, peer)) = self.hosts[1].tcp_accept(listener) {
                assert_eq!(peer, self.hosts[0].local_addr(client).expect("open"));
                return (client, server);
            }
            let state = self.hosts[0].tcp_state(client);
            assert!(
                going,
                "the handshake never completed: {state:?}, {:?}",
                self.air.wire
            );
            going = self.step(until);
        }
    }
}

/// Reads everything there is.
pub fn read_all(stack: &mut Stack<Bytes>, now: Instant, id: SocketId) -> (Vec<u8>, bool) {
    let mut out = Vec::new();
    let mut buf = [0u8; 4096];
    loop {
        match stack.tcp_recv(now, id, &mut buf) {
            Ok(0) => return (out, true),
            Ok(n) => out.extend_from_slice(&buf[..n]),
            Err(ferrule_stack::Error::WouldBlock) => return (out, false),
            Err(error) => panic!("recv: {error}"),
        }
    }
}

/// A packet's TCP header by an independent parser, its payload length, after its checksums were verified.
pub fn tcp_of(packet: &[u8]) -> (etherparse::TcpHeader, usize) {
    let (ip, payload) = etherparse::Ipv4Header::from_slice(packet).expect("an IPv4 header");
    assert_eq!(
        ip.header_checksum,
        ip.calc_header_checksum(),
        "IPv4 checksum"
    );
    assert_eq!(usize::from(ip.total_len), packet.len());
    let (tcp, data) = etherparse::TcpHeader::from_slice(payload).expect("a TCP header");
    assert_eq!(
        tcp.checksum,
        tcp.calc_checksum_ipv4(&ip, data).expect("short enough"),
        "TCP checksum"
    );
    (tcp, data.len())
}

pub fn empty() -> Bytes {
    let none = Bytes::default();
    assert!(none.is_empty());
    none
}
