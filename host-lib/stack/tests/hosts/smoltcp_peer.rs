//! Differential runs against smoltcp, an independent stack, as client and as server, over a lossy wire.

use crate::common::*;
use ferrule_stack::{Bytes, Error, Instant, Shutdown, Stack};
use smoltcp::iface::{Config as IfaceConfig, Interface, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::{icmp, tcp, udp};
use smoltcp::time::Instant as TheirInstant;
use smoltcp::wire::{
    HardwareAddress, Icmpv4Packet, Icmpv4Repr, IpAddress, IpCidr, IpListenEndpoint, Ipv4Address,
};
use std::collections::VecDeque;
use std::time::Duration;

#[derive(Default)]
struct Queue {
    rx: VecDeque<Vec<u8>>,
    tx: VecDeque<Vec<u8>>,
}

struct Rx(Vec<u8>);
struct Tx<'a>(&'a mut VecDeque<Vec<u8>>);

impl RxToken for Rx {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut packet = vec![0; len];
        let r = f(&mut packet);
        self.0.push_back(packet);
        r
    }
}

impl Device for Queue {
    type RxToken<'a> = Rx;
    type TxToken<'a> = Tx<'a>;

    fn receive(&mut self, _: TheirInstant) -> Option<(Rx, Tx<'_>)> {
        Some((Rx(self.rx.pop_front()?), Tx(&mut self.tx)))
    }

    fn transmit(&mut self, _: TheirInstant) -> Option<Tx<'_>> {
        Some(Tx(&mut self.tx))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut caps = DeviceCapabilities::default();
        caps.medium = Medium::Ip;
        caps.max_transmission_unit = 1500;
        caps
    }
}

/// Our stack at `A`, smoltcp at `B`.
struct Mixed {
    now: Instant,
    ours: Stack<Bytes>,
    theirs: Interface,
    device: Queue,
    sockets: SocketSet<'static>,
    air: InFlight,
}

impl Mixed {
    fn new(wire: Wire, seed: u64) -> Mixed {
        let mut device = Queue::default();
        let mut config = IfaceConfig::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut theirs = Interface::new(config, &mut device, TheirInstant::ZERO);
        theirs.update_ip_addrs(|addrs| {
            addrs
                .push(IpCidr::new(IpAddress::Ipv4(B), 24))
                .expect("room for one address");
        });
        let sockets = SocketSet::new(Vec::new());
        Mixed {
            now: Instant::ZERO,
            ours: stack(A),
            theirs,
            device,
            sockets,
            air: InFlight::new(wire, seed),
        }
    }

    fn their_now(&self) -> TheirInstant {
        TheirInstant::from_micros((self.now.as_nanos() / 1000) as i64)
    }

    fn pump(&mut self) {
        loop {
            let mut moved = false;
            while let Some(packet) = self.ours.poll_transmit(self.now) {
                self.air.send(self.now, 1, packet.to_vec());
                moved = true;
            }
            let now = self.their_now();
            self.theirs.poll(now, &mut self.device, &mut self.sockets);
            while let Some(packet) = self.device.tx.pop_front() {
                self.air.send(self.now, 0, packet);
                moved = true;
            }
            while let Some((to, packet)) = self.air.take(self.now) {
                moved = true;
                match to {
                    0 => feed(&mut self.ours, self.now, &packet),
                    _ => self.device.rx.push_back(packet),
                }
            }
            if !moved {
                return;
            }
        }
    }

    fn step(&mut self) {
        self.pump();
        let now = self.their_now();
        let theirs = self.theirs.poll_at(now, &self.sockets);
        let theirs = theirs.map(|t| Instant::from_nanos(t.total_micros().max(0) as u64 * 1000));
        let next = [self.ours.next_deadline(), theirs, self.air.next_at()]
            .into_iter()
            .flatten()
            .min();
        // Their clock counts microseconds; and something must always happen in the end.
        let at = next.unwrap_or(self.now + Duration::from_secs(1));
        self.now = at.max(self.now + Duration::from_micros(1));
        self.pump();
    }
}

fn their_tcp() -> tcp::Socket<'static> {
    let buffer = || tcp::SocketBuffer::new(vec![0; 20_000]);
    let mut socket = tcp::Socket::new(buffer(), buffer());
    socket.set_timeout(None);
    socket
}

/// Bytes both ways, FINs both ways; every byte compared.
fn exchange(wire: Wire, seed: u64, we_connect: bool, len: [usize; 2]) {
    let mut net = Mixed::new(wire, seed);
    let mut socket = their_tcp();
    let mut listener = None;
    let mut ours = None;
    if we_connect {
        socket
            .listen(IpListenEndpoint::from(7))
            .expect("a fresh socket");
        ours = Some(
            net.ours
                .tcp_connect(net.now, None, at(B, 7))
                .expect("a free port"),
        );
    } else {
        listener = Some(net.ours.tcp_listen(at(A, 7), 4).expect("a free port"));
    }
    let handle = net.sockets.add(socket);
    if !we_connect {
        let to = (IpAddress::Ipv4(A), 7);
        let socket = net.sockets.get_mut::<tcp::Socket>(handle);
        socket
            .connect(net.theirs.context(), to, 40_000 + (seed as u16 % 1000))
            .expect("a fresh socket");
    }
    let (mut sent, mut got) = ([0; 2], [0; 2]);
    let (mut closed, mut ended) = ([false; 2], [false; 2]);
    let limit = Instant::ZERO + Duration::from_secs(36_000);
    while !(ended[0] && ended[1]) {
        assert!(
            net.now < limit,
            "seed {seed}: stuck, sent {sent:?} got {got:?} of {len:?}"
        );
        if let (None, Some(listener)) = (ours, listener) {
            ours = net.ours.tcp_accept(listener).ok().map(|(id, _)| id);
        }
        if let Some(id) = ours {
            if sent[0] < len[0] {
                match net.ours.tcp_send(
                    net.now,
                    id,
                    &pattern(sent[0], (len[0] - sent[0]).min(3000)),
                ) {
                    Ok(n) => sent[0] += n,
                    Err(Error::WouldBlock) => {}
                    Err(error) => panic!("seed {seed}: our send: {error}"),
                }
            } else if !closed[0] && net.ours.tcp_shutdown(net.now, id, Shutdown::Write).is_ok() {
                closed[0] = true;
            }
            let mut buf = [0; 2000];
            match net.ours.tcp_recv(net.now, id, &mut buf) {
                Ok(0) => ended[0] = true,
                Ok(n) => {
                    assert!(
                        buf[..n] == pattern(got[0], n)[..],
                        "seed {seed}: we got wrong bytes"
                    );
                    got[0] += n;
                }
                Err(Error::WouldBlock) => {}
                Err(error) => panic!("seed {seed}: our recv: {error}"),
            }
        }
        let socket = net.sockets.get_mut::<tcp::Socket>(handle);
        if sent[1] < len[1] {
            if socket.can_send() {
                let n = socket
                    .send_slice(&pattern(sent[1], (len[1] - sent[1]).min(3000)))
                    .expect("can send");
                sent[1] += n;
            }
        } else if !closed[1] && socket.may_send() {
            socket.close();
            closed[1] = true;
        }
        // All at once: smoltcp forgets what is unread when its TIME-WAIT ends.
        while socket.can_recv() {
            let mut buf = [0; 2000];
            let n = socket.recv_slice(&mut buf).expect("can receive");
            assert!(
                buf[..n] == pattern(got[1], n)[..],
                "seed {seed}: they got wrong bytes"
            );
            got[1] += n;
        }
        ended[1] |= closed[1] && !socket.may_recv();
        net.step();
    }
    let theirs = net.sockets.get::<tcp::Socket>(handle).state();
    let stats = net.ours.stats();
    assert_eq!(
        got,
        [len[1], len[0]],
        "seed {seed}: they are {theirs:?}, we counted {stats:?}"
    );
}

fn runs(we_connect: bool) {
    for seed in 0..250 {
        let mut rng = Rng::new(seed + 1000);
        // The first is a clean wire. One's complement sums miss some corruption of several bits, never of one.
        let wire = Wire {
            loss: rng.below(12) * u64::from(seed > 0),
            duplicate: rng.below(8) * u64::from(seed > 0),
            corrupt: rng.below(5) * u64::from(seed > 0),
            jitter_us: rng.below(10_000),
            delay_us: rng.below(30_000),
        };
        let len = [rng.below(60_000) as usize, rng.below(60_000) as usize];
        exchange(wire, seed, we_connect, len);
    }
}

#[test]
fn as_client_of_smoltcp_every_byte_arrives_once_and_in_order() {
    runs(true);
}

#[test]
fn as_server_of_smoltcp_every_byte_arrives_once_and_in_order() {
    runs(false);
}

#[test]
fn smoltcp_answers_our_ping_and_we_answer_its() {
    let mut net = Mixed::new(
        Wire {
            delay_us: 500,
            ..Wire::default()
        },
        1,
    );
    let ping = net.ours.ping_open().expect("a free identifier");
    net.ours
        .ping_send(ping, B, 7, &pattern(0, 1000))
        .expect("room");
    let buffer = || icmp::PacketBuffer::new(vec![icmp::PacketMetadata::EMPTY; 4], vec![0; 4096]);
    let mut socket = icmp::Socket::new(buffer(), buffer());
    socket
        .bind(icmp::Endpoint::Ident(0x1234))
        .expect("a fresh socket");
    let data = pattern(5, 600);
    let echo = Icmpv4Repr::EchoRequest {
        ident: 0x1234,
        seq_no: 9,
        data: &data,
    };
    let mut bytes = vec![0; echo.buffer_len()];
    echo.emit(
        &mut Icmpv4Packet::new_unchecked(&mut bytes),
        &Default::default(),
    );
    socket.send_slice(&bytes, IpAddress::Ipv4(A)).expect("room");
    let handle = net.sockets.add(socket);
    for _ in 0..10 {
        net.step();
    }
    let mut buf = [0; 2000];
    let reply = net.ours.ping_recv(ping, &mut buf).expect("a reply");
    assert_eq!(
        (reply.from, reply.seq, reply.len, reply.copied),
        (B, 7, 1000, 1000)
    );
    assert!(buf[..1000] == pattern(0, 1000));
    let socket = net.sockets.get_mut::<icmp::Socket>(handle);
    let (bytes, from) = socket.recv().expect("a reply");
    assert_eq!(from, IpAddress::Ipv4(A));
    let packet = Icmpv4Packet::new_checked(bytes).expect("whole");
    let repr = Icmpv4Repr::parse(&packet, &Default::default()).expect("an intact message");
    assert_eq!(
        repr,
        Icmpv4Repr::EchoReply {
            ident: 0x1234,
            seq_no: 9,
            data: &data
        }
    );
}

#[test]
fn datagrams_pass_both_ways_with_their_boundaries() {
    let mut net = Mixed::new(
        Wire {
            delay_us: 500,
            ..Wire::default()
        },
        1,
    );
    let ours = net.ours.udp_bind(at(A, 53)).expect("a free port");
    let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 8], vec![0; 8192]);
    let mut socket = udp::Socket::new(buffer(), buffer());
    socket.bind(5353).expect("a fresh socket");
    let to: (Ipv4Address, u16) = (A, 53);
    for len in [0usize, 1, 700, 1472] {
        socket.send_slice(&pattern(len, len), to).expect("room");
        net.ours
            .udp_send_to(ours, &pattern(len, len), Some(at(B, 5353)))
            .expect("room");
    }
    let handle = net.sockets.add(socket);
    for _ in 0..20 {
        net.step();
    }
    for len in [0usize, 1, 700, 1472] {
        let mut buf = [0; 2000];
        let got = net.ours.udp_recv_from(ours, &mut buf).expect("a datagram");
        assert_eq!((got.len, got.from), (len, at(B, 5353)));
        assert!(buf[..len] == pattern(len, len));
        let socket = net.sockets.get_mut::<udp::Socket>(handle);
        let (bytes, from) = socket.recv().expect("a datagram");
        assert!(bytes == pattern(len, len));
        assert_eq!(
            (from.endpoint.addr, from.endpoint.port),
            (IpAddress::Ipv4(A), 53)
        );
    }
}
