//! Two hosts in two copies each, and what their programs, drivers and administrators do.

use core::time::Duration;
use std::net::{Ipv4Addr, SocketAddrV4};

use super::forge;
use super::twin::{Sent, Twin};
use super::wire::{Air, Habits};
use super::Rng;
use crate::config::{Config, Ecn, Offload};
use crate::ip::prefix::Cidr;
use crate::ip::routes::Route;
use crate::payload::Bytes;
use crate::readiness::Readiness;
use crate::stack::SocketId;
use crate::tcp::{Algorithm, KeepAlive, Shutdown, TcpOptions};
use crate::time::Instant;

const ADDRS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 3)];
/// Second addresses that come and go. The other host's address is the broadcast address of the subnet of the first.
const SECONDS: [(Ipv4Addr, u8); 2] = [
    (Ipv4Addr::new(10, 0, 0, 2), 30),
    (Ipv4Addr::new(10, 0, 0, 9), 24),
];
const PORT: u16 = 80;
const MOST_SOCKETS: usize = 4;
/// Turns of one run.
const TURNS: usize = 500;
/// Packets after which a run ends.
const MOST_PACKETS: u64 = 4000;

/// A packet that waits for address resolution.
struct Parked {
    until: Instant,
    from: usize,
    sent: Sent,
}

/// How much of everything there is in a run, in percent.
struct Mood {
    idle: usize,
    write: usize,
    read: usize,
    /// Least and most bytes of a write.
    write_bytes: (usize, usize),
    option: usize,
    end: usize,
    park: usize,
    forge: usize,
    admin: usize,
    /// Some packets stay in the stack for a while.
    slow_device: usize,
}

pub(super) struct World {
    pub(super) hosts: [Twin; 2],
    air: Air,
    rng: Rng,
    seed: u64,
    now: Instant,
    sockets: [Vec<SocketId>; 2],
    listeners: [SocketId; 2],
    parked: Vec<Parked>,
    last_sent: [Option<Vec<u8>>; 2],
    mood: Mood,
}

fn config(host: usize, rng: &mut Rng, offload: Offload, mtu: u16) -> Config {
    let cidr = Cidr::new(ADDRS[host], 24).expect("24 is at most 32");
    let mut config = Config::new(cidr, [host as u8 + 1; 16]);
    config.mtu = mtu;
    config.offload = offload;
    let sizes = [700, 3000, 20_000, 262_144, 262_144];
    config.tcp.recv_buffer_bytes = rng.of(&sizes);
    config.tcp.send_buffer_bytes = rng.of(&sizes);
    config.tcp.timestamps = rng.chance(70);
    config.tcp.sack = rng.chance(75);
    config.tcp.ecn = rng.of(&[
        Ecn::Never,
        Ecn::Never,
        Ecn::Never,
        Ecn::WhenAsked,
        Ecn::Always,
    ]);
    config.tcp.congestion = rng.of(&[Algorithm::Cubic, Algorithm::NewReno]);
    config.tcp.delayed_ack = Duration::from_millis(rng.of(&[1, 40, 40, 200]));
    config
}

impl World {
    pub(super) fn new(seed: u64) -> World {
        let mut rng = Rng::new(seed);
        let offloads = rng.chance(50);
        let offload = Offload {
            tx_ipv4_checksum: offloads,
            tx_l4_checksum: offloads,
            tx_segmentation_bytes: match offloads {
                true => rng.of(&[0, 3000, 1 << 20]),
                false => 0,
            },
        };
        let mtu = rng.of(&[1500, 1500, 1500, 9000, 576, 100]);
        let bad = rng.chance(40);
        let worse = rng.chance(50);
        let mut percent = |n: usize| if bad { rng.below(n + 1) } else { 0 };
        let mut habits = Habits {
            loss: percent(if worse { 15 } else { 1 }),
            duplicate: percent(5),
            corrupt: percent(3),
            ..Habits::default()
        };
        habits.mark = if rng.chance(20) { rng.below(20) } else { 0 };
        habits.jitter_us = if rng.chance(20) { rng.below(5000) } else { 0 };
        habits.delay_us = rng.of(&[0, 20, 1000, 30_000]);
        habits.verifies = offloads || rng.chance(80);
        habits.joins = rng.chance(50);
        habits.head = rng.of(&[128, 128, 64, 54]);
        let air = Air::new(habits, mtu);
        let mood = Mood {
            idle: rng.of(&[20, 50, 80]),
            write: rng.of(&[20, 40, 80]),
            read: rng.of(&[20, 50, 90]),
            write_bytes: rng.of(&[
                (1, 100),
                (1, 3000),
                (1000, 20_000),
                (1, 100_000),
                (1448, 1449),
            ]),
            option: rng.of(&[0, 2, 10]),
            end: rng.of(&[0, 1, 3]),
            park: rng.of(&[0, 0, 1, 5]),
            forge: rng.of(&[0, 0, 0, 0, 1, 10]),
            admin: rng.of(&[0, 0, 1, 3]),
            slow_device: rng.of(&[0, 0, 30]),
        };
        let hosts = [0, 1].map(|host| Twin::new(config(host, &mut rng, offload, mtu)));
        let mut world = World {
            hosts,
            air,
            rng,
            seed,
            now: Instant::from_millis(1000),
            sockets: [Vec::new(), Vec::new()],
            listeners: [SocketId(crate::slab::Key {
                index: 0,
                generation: 0,
            }); 2],
            parked: Vec::new(),
            last_sent: [None, None],
            mood,
        };
        for host in 0..2 {
            let at = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, PORT);
            let listener = world.hosts[host].call("listen", |s, _| s.tcp_listen(at, 2));
            world.listeners[host] = listener.expect("a free port");
        }
        world
    }

    pub(super) fn run(&mut self) {
        for turn in 0..TURNS {
            let packets = |host: &Twin| host.copies[0].stats.packets_in;
            if self.hosts.iter().map(packets).sum::<u64>() > MOST_PACKETS {
                break;
            }
            for host in &mut self.hosts {
                host.place = format!("seed {}, turn {turn}", self.seed);
            }
            for host in 0..2 {
                self.programs(host);
                self.send_all(host);
            }
            if self.rng.chance(self.mood.idle) {
                self.pass_time();
            }
        }
    }

    /// What programs do on one host.
    fn programs(&mut self, host: usize) {
        if self.sockets[host].len() < MOST_SOCKETS {
            if self.sockets[host].is_empty() || self.rng.chance(5) {
                self.open(host);
            }
            let listener = self.listeners[host];
            let got = self.hosts[host].call("accept", |s, _| s.tcp_accept(listener));
            self.sockets[host].extend(got.ok().map(|(id, _)| id));
        }
        for id in self.sockets[host].clone() {
            if self.rng.chance(self.mood.write) {
                self.write(host, id);
            }
            if self.rng.chance(self.mood.read) {
                self.read(host, id);
            }
            if self.rng.chance(self.mood.option) {
                self.configure(host, id);
            }
            if self.rng.chance(self.mood.end) {
                self.end(host, id);
            }
            let readiness = self.hosts[host].call("readiness", |s, _| s.readiness(id));
            let over = readiness.is_ok_and(|r| r.contains(Readiness::HANGUP));
            if over && self.rng.chance(30) {
                self.close(host, id);
            }
        }
        if self.rng.chance(self.mood.forge) {
            self.forge(host);
        }
        if self.rng.chance(self.mood.admin) {
            self.administer(host);
        }
        while self.rng.chance(70)
            && self.hosts[host]
                .call("event", |s, _| s.next_event())
                .is_some()
        {}
    }

    fn open(&mut self, host: usize) {
        let now = self.now;
        let peer = if self.rng.chance(95) { 1 - host } else { host };
        let from = self.rng.chance(20).then(|| SECONDS[host].0);
        let from = from.map(|ip| SocketAddrV4::new(ip, 0));
        let to = SocketAddrV4::new(ADDRS[peer], PORT);
        let id = self.hosts[host].call("connect", |s, _| s.tcp_connect(now, from, to));
        self.sockets[host].extend(id);
    }

    fn write(&mut self, host: usize, id: SocketId) {
        let now = self.now;
        let (least, most) = self.mood.write_bytes;
        let n = least + self.rng.below(most - least);
        let text = vec![self.rng.next() as u8; n];
        if self.rng.chance(70) {
            self.hosts[host].does("send", |s, _| s.tcp_send(now, id, &text));
        } else {
            let text = Bytes::from(text);
            self.hosts[host].does("send by handle", |s, _| s.tcp_send_bytes(now, id, &text));
        }
    }

    fn read(&mut self, host: usize, id: SocketId) {
        let now = self.now;
        let n = self.rng.of(&[1, 100, 5000, 100_000, 100_000]);
        let twin = &mut self.hosts[host];
        match self.rng.below(8) {
            0 => {
                twin.does("recv by handle", |s, _| {
                    s.tcp_recv_chunks(now, id).map(|rope| rope.to_vec())
                });
            }
            1 => {
                let n = n.min(5000);
                twin.does("peek", |s, _| {
                    let mut to = vec![0; n];
                    s.tcp_peek(id, &mut to).map(|n| to[..n].to_vec())
                });
            }
            2 => {
                twin.does("unread", |s, _| s.tcp_unread(id));
                twin.does("info", |s, _| s.tcp_info(now, id));
            }
            _ => {
                twin.does("recv", |s, _| {
                    let mut to = vec![0; n];
                    s.tcp_recv(now, id, &mut to).map(|n| to[..n].to_vec())
                });
            }
        }
    }

    fn configure(&mut self, host: usize, id: SocketId) {
        let (now, rng) = (self.now, &mut self.rng);
        let twin = &mut self.hosts[host];
        let bytes = rng.of(&[0, 1, 500, 3000, 60_000, 1_000_000]);
        match rng.below(8) {
            0 => twin.does("send buffer", |s, _| s.set_send_buffer(id, bytes)),
            1 => twin.does("receive buffer", |s, _| s.set_recv_buffer(now, id, bytes)),
            2 => twin.does("error", |s, _| s.take_error(id)),
            _ => {
                let seconds = Duration::from_secs;
                let keep_alive = rng.chance(30).then(|| KeepAlive {
                    idle: seconds(1 + rng.below(3) as u64),
                    interval: seconds(1),
                    probes: 3,
                });
                let options = TcpOptions {
                    nodelay: rng.chance(50),
                    cork: rng.chance(20),
                    quick_ack: rng.chance(30),
                    keep_alive,
                    user_timeout: rng
                        .chance(15)
                        .then(|| Duration::from_millis(rng.of(&[20, 100, 3000, 30_000]))),
                    congestion: rng.of(&[Algorithm::Cubic, Algorithm::NewReno]),
                    ..TcpOptions::default()
                };
                twin.does("options", |s, _| s.tcp_set_options(now, id, options));
            }
        }
    }

    fn end(&mut self, host: usize, id: SocketId) {
        let now = self.now;
        match self.rng.below(8) {
            0 => {
                self.hosts[host].does("abort", |s, _| s.tcp_abort(now, id));
                self.sockets[host].retain(|s| *s != id);
            }
            1..3 => self.close(host, id),
            how => {
                let how = [Shutdown::Read, Shutdown::Both, Shutdown::Write][how.min(5) - 3];
                self.hosts[host].does("shutdown", |s, _| s.tcp_shutdown(now, id, how));
            }
        }
    }

    fn close(&mut self, host: usize, id: SocketId) {
        let now = self.now;
        self.hosts[host].does("close", |s, _| s.close(now, id));
        self.sockets[host].retain(|s| *s != id);
    }

    /// A packet that nobody sent arrives.
    fn forge(&mut self, host: usize) {
        let rng = &mut self.rng;
        if rng.chance(80) {
            if let Some(packet) = &self.last_sent[1 - host] {
                let packet = forge::changed(rng, packet);
                let both = [packet.clone(), packet];
                self.air.put(self.now, host, both, true);
            }
        } else if let Some(packet) = &self.last_sent[host] {
            let mtu = rng
                .chance(70)
                .then(|| rng.of(&[0, 68, 400, 600, 1000, 1400]));
            let packet = forge::unreachable(packet, mtu);
            let both = [packet.clone(), packet];
            self.air.put(self.now, host, both, true);
        }
    }

    /// Addresses and routes come and go.
    fn administer(&mut self, host: usize) {
        // What waits finds its way when it is sent, or found it when it was made.
        self.send_all(host);
        if self.hosts[host].copies.iter().any(|s| !s.out.is_empty()) {
            return;
        }
        let (addr, prefix) = SECONDS[host];
        let rng = &mut self.rng;
        let cidr = Cidr::new(addr, prefix).expect("it is valid");
        let to = Cidr::new(ADDRS[1 - host], 32).expect("it is valid");
        let route = Route::new(to).via(Ipv4Addr::new(10, 0, 0, 50 + rng.below(3) as u8));
        let twin = &mut self.hosts[host];
        match rng.below(6) {
            0 => twin.does("add address", |s, _| s.add_address(cidr)),
            1..3 => twin.does("remove address", |s, _| s.remove_address(addr)),
            3 => twin.does("add route", |s, _| s.add_route(route)),
            _ => twin.does("remove route", |s, _| s.remove_route(to, 0)),
        }
    }

    /// Sends what is to be sent, mostly all of it.
    fn send_all(&mut self, host: usize) {
        let slow = self.rng.chance(self.mood.slow_device);
        let most = if slow { self.rng.below(4) } else { usize::MAX };
        let mut idle = false;
        for _ in 0..most {
            let Some(sent) = self.hosts[host].transmit() else {
                idle = true;
                break;
            };
            if sent.bytes[0][9] == 6 {
                self.last_sent[host] = Some(sent.bytes[0].clone());
            }
            if self.rng.chance(self.mood.park) {
                let (now, token) = (self.now, sent.token);
                self.hosts[host].does("parked", |s, _| s.on_parked(now, token));
                let wait = Duration::from_micros(self.rng.below(2_000_000) as u64);
                self.parked.push(Parked {
                    until: now + wait,
                    from: host,
                    sent,
                });
            } else {
                self.air.send(&mut self.rng, self.now, 1 - host, sent);
            }
        }
        self.hosts[host].compare(idle);
        // It takes much longer than all else.
        if self.rng.chance(15) {
            self.hosts[host].compare_connections();
        }
    }

    /// Moves on to the next thing that happens by itself, and lets it happen.
    fn pass_time(&mut self) {
        let timers = self.hosts.iter().flat_map(|h| &h.copies);
        let next = timers
            .filter_map(|s| s.next_deadline())
            .chain(self.air.next_at())
            .chain(self.parked.iter().map(|p| p.until))
            .min();
        let beyond = Duration::from_micros(self.rng.of(&[0, 0, 0, 1, 500, 50_000]));
        let next = next.unwrap_or(self.now + Duration::from_secs(1));
        self.now = next.max(self.now) + beyond;
        for host in &mut self.hosts {
            host.wake(self.now);
        }
        while let Some(flight) = self.air.take(self.now) {
            let host = flight.to;
            let padding = if self.rng.chance(10) { 6 } else { 0 };
            self.air.deliver(&mut self.hosts[host], &flight, padding);
            if self.rng.chance(60) {
                self.send_all(host);
            }
        }
        self.release();
        for host in 0..2 {
            self.send_all(host);
        }
    }

    /// Address resolution comes to an end.
    fn release(&mut self) {
        let now = self.now;
        while let Some(at) = self.parked.iter().position(|p| p.until <= now) {
            let Parked { from, sent, .. } = self.parked.swap_remove(at);
            let token = sent.token;
            if self.rng.chance(90) {
                self.hosts[from].does("released", |s, _| s.on_released(now, token));
                self.air.send(&mut self.rng, now, 1 - from, sent);
            } else {
                self.hosts[from].does("unreachable", |s, _| s.on_unreachable(now, token));
            }
        }
    }
}
