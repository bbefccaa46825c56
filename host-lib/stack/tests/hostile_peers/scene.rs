//! A victim with connections that deserve service, and what a stranger sends it meanwhile.
#![allow(dead_code, unreachable_pub)] // each test crate uses its own part of this

use crate::common::*;
use etherparse::{TcpHeader, TcpOptionElement};
use ferrule_stack::{Bytes, Config, Error, Instant, SocketId, Stack};
use std::net::Ipv4Addr;
use std::time::Duration;

/// Where the attacker lives.
pub const MALLORY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 66);
/// The victim's port for good peers, and that for all others.
pub const GOOD: u16 = 80;
pub const PREY: u16 = 81;
/// Bytes that a good connection sends each way whenever there is time for work.
const PORTION: usize = 3000;

/// A connection between host 0, the good peer, and host 1, the victim.
struct Good {
    ends: [SocketId; 2],
    sent: [usize; 2],
    got: [usize; 2],
}

/// Host 0 of `net` is the good peer at `A`, host 1 the victim at `B`; strangers' packets are made by the tests.
pub struct Scene {
    pub net: Net,
    goods: Vec<Good>,
    pub listener: SocketId,
    pub prey: SocketId,
}

impl Scene {
    pub fn new(good: usize) -> Scene {
        Scene::with(good, |_| {})
    }

    /// `good` connections are open and have worked; `edit` changes the victim.
    pub fn with(good: usize, edit: impl FnOnce(&mut Config)) -> Scene {
        let wire = Wire {
            delay_us: 2_000,
            ..Wire::default()
        };
        let mut config = config(B);
        edit(&mut config);
        let mut net = Net::with(stack(A), Stack::new(config), wire, 1);
        net.now = Instant::from_millis(1_000_000);
        net.elsewhere = Some(Vec::new());
        net.air.log = Some(Vec::new());
        let victim = &mut net.hosts[1];
        let listener = victim.tcp_listen(at(B, GOOD), 8).expect("free");
        let prey = victim.tcp_listen(at(B, PREY), 8).expect("free");
        let mut scene = Scene {
            net,
            goods: Vec::new(),
            listener,
            prey,
        };
        for _ in 0..good {
            scene.befriend();
        }
        scene.work(Duration::from_millis(50));
        scene
    }

    pub fn victim(&mut self) -> &mut Stack<Bytes> {
        &mut self.net.hosts[1]
    }

    /// Opens one more good connection; it may take a few SYNs.
    pub fn befriend(&mut self) {
        let net = &mut self.net;
        let client = net.hosts[0]
            .tcp_connect(net.now, None, at(B, GOOD))
            .expect("a port");
        let until = net.now + Duration::from_secs(20);
        loop {
            match net.hosts[1].tcp_accept(self.listener) {
                Ok((server, peer)) => {
                    assert_eq!(Ok(peer), net.hosts[0].local_addr(client));
                    self.goods.push(Good {
                        ends: [client, server],
                        sent: [0; 2],
                        got: [0; 2],
                    });
                    return;
                }
                Err(error) => assert_eq!(error, Error::WouldBlock),
            }
            assert!(net.step(until), "a good peer can connect");
        }
    }

    /// Sends and checks what the good connections carry.
    fn exchange(&mut self, portion: usize) {
        let net = &mut self.net;
        for good in &mut self.goods {
            for (i, host) in net.hosts.iter_mut().enumerate() {
                let due = portion.min((good.got[1 - i] + 20_000).saturating_sub(good.sent[i]));
                if due > 0 {
                    match host.tcp_send(net.now, good.ends[i], &pattern(good.sent[i], due)) {
                        Ok(n) => good.sent[i] += n,
                        Err(error) => assert_eq!(error, Error::WouldBlock),
                    }
                }
                let (data, end) = read_all(host, net.now, good.ends[i]);
                assert!(!end && data == pattern(good.got[i], data.len()));
                good.got[i] += data.len();
            }
        }
    }

    /// Time passes in which the good connections carry more.
    pub fn work(&mut self, time: Duration) {
        self.exchange(PORTION);
        self.net.run_for(time);
        self.exchange(0);
    }

    /// All that good peers have sent arrives; nothing is in flight.
    pub fn rest(&mut self) {
        let until = self.net.now + Duration::from_secs(60);
        loop {
            self.exchange(0);
            if self
                .goods
                .iter()
                .all(|g| g.sent[0] == g.got[1] && g.sent[1] == g.got[0])
            {
                break;
            }
            assert!(self.net.step(until), "good bytes arrive");
        }
        self.net.run_for(Duration::from_secs(1));
    }

    /// A stranger's packet and what the victim sends to strangers in answer, at this moment.
    pub fn inject(&mut self, packet: &[u8]) -> Vec<Vec<u8>> {
        feed(&mut self.net.hosts[1], self.net.now, packet);
        self.collect()
    }

    /// What the victim has to send to strangers now.
    pub fn collect(&mut self) -> Vec<Vec<u8>> {
        self.net.pump();
        self.net.elsewhere.replace(Vec::new()).expect("was set")
    }

    /// Time passes for everybody; what went to strangers meanwhile.
    pub fn wait(&mut self, time: Duration) -> Vec<Vec<u8>> {
        self.net.run_for(time);
        self.collect()
    }

    /// The two ends of a good connection.
    pub fn good(&self, i: usize) -> [SocketId; 2] {
        self.goods[i].ends
    }

    /// The numbers of a good connection, at rest.
    pub fn numbers(&mut self, i: usize) -> Numbers {
        self.exchange(1);
        self.rest();
        let client = self.good(i)[0];
        let port = self.net.hosts[0].local_addr(client).expect("open").port();
        let log = self.net.air.log.as_ref().expect("is kept");
        let mut sent: [Vec<(TcpHeader, usize)>; 2] = [Vec::new(), Vec::new()];
        for (_, to, packet) in log {
            let (tcp, len) = tcp_of(packet);
            if [tcp.source_port, tcp.destination_port].contains(&port) {
                sent[1 - *to].push((tcp, len));
            }
        }
        // A window once advertised is not taken back (RFC 9293 section 3.8.6). Both sides offered a shift of 7, which six
        // megabytes need (RFC 7323 section 2.3).
        let edge = |h: &TcpHeader| {
            let shift = if h.syn { 0 } else { 7 };
            h.acknowledgment_number
                .wrapping_add(u32::from(h.window_size) << shift)
        };
        let window = |from: usize, next: u32| {
            let beyond = sent[from]
                .iter()
                .map(|(h, _)| edge(h).wrapping_sub(next) as i32);
            beyond.max().expect("it has sent").max(0) as u32
        };
        let last = |from: usize| sent[from].last().cloned().expect("it has sent");
        let ((victims, len), (peers, _)) = (last(1), last(0));
        let next = victims.acknowledgment_number;
        let snd_nxt = victims.sequence_number.wrapping_add(len as u32);
        let stamp = peers.options_iterator().flatten().find_map(|o| match o {
            TcpOptionElement::Timestamp(value, _) => Some(value),
            _ => None,
        });
        Numbers {
            port,
            next,
            sent: snd_nxt,
            window: window(1, next),
            peers: window(0, snd_nxt),
            stamp,
        }
    }

    /// The attack is over: what good peers sent has arrived in order and they can still connect.
    pub fn verify(mut self) {
        self.rest();
        self.befriend();
        for _ in 0..4 {
            self.work(Duration::from_millis(20));
        }
        self.rest();
        for good in &self.goods {
            assert!(good.got.iter().all(|n| *n > 0));
        }
    }
}

/// The numbers of a good connection at rest, as the victim has them.
#[derive(Clone, Copy, Debug)]
pub struct Numbers {
    /// The good peer's port.
    pub port: u16,
    /// RCV.NXT
    pub next: u32,
    /// SND.UNA and SND.NXT
    pub sent: u32,
    /// RCV.WND
    pub window: u32,
    /// SND.WND
    pub peers: u32,
    /// The last TSval of the good peer, if there are timestamps.
    pub stamp: Option<u32>,
}
