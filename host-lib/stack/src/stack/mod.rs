//! The stack: tables of sockets and connections, and the order in which things happen.

mod flows;
mod half_open;
mod heard;
mod icmp;
mod igmp;
mod ip_input;
mod ip_options;
mod ip_output;
mod lead;
mod local_ports;
mod multicast_calls;
mod outgoing;
mod ping_calls;
mod route_calls;
mod socket;
mod syn_cookies;
mod tcp_calls;
mod tcp_input;
mod tcp_listen;
mod tcp_open;
mod time_wait;
mod timer_keys;
mod toward;
mod turns;
mod udp_calls;
mod udp_input;
mod usual_input;
mod usual_output;
#[cfg(test)]
mod usual_tests;

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::ip::layer::IpLayer;
use crate::ip::rate::RateLimit;
use crate::ip::reassembly::{Limits, Reassembly};
use crate::line::Line;
use crate::packet::{Owner, RxMeta, Token, TxPacket};
use crate::payload::Payload;
use crate::readiness::Readiness;
use crate::rope::{Chunk, Rope};
use crate::slab::{Key, Slab};
use crate::stats::Stats;
use crate::tcp::listener::{self, HalfOpen};
use crate::tcp::secrets::{Secrets, TableKeys};
use crate::tcp::time_wait::TimeWait;
use crate::tcp::{Flow, TcpState};
use crate::time::Instant;
use crate::timers::Timers;
use crate::udp_table::UdpTable;
use crate::wire::plain::Ends;
use flows::{FlowOwner, FlowTable, Tables};
use lead::Lead;
use outgoing::Outgoing;
use socket::{Entry, Kind};
use timer_keys::{CompactKey, TimerKey};
use toward::Toward;
use turns::{After, Turn};

pub use ping_calls::EchoReply;
pub use udp_calls::{Received, SendOptions};

/// Names a socket of one stack. After the socket is closed the id is stale, and every call with it says so.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SocketId(Key);

impl SocketId {
    /// The id as one number: unique among all sockets this stack ever had, up to 2^32 uses of one slot.
    pub fn as_u64(self) -> u64 {
        u64::from(self.0.generation) << 32 | u64::from(self.0.index)
    }
}

/// Packets to ourselves that one call to [`Stack::poll_transmit`] delivers at most.
const MAX_LOOPED: usize = 256;

/// A TCP/IP host without its device: see the crate's documentation.
///
/// `B` is what received payload lies in.
pub struct Stack<B> {
    config: Config,
    secrets: Secrets,
    sockets: Slab<Entry<B>>,
    flows: FlowTable,
    half_open: Slab<HalfOpen>,
    half_open_lines: [Line; listener::LINES],
    time_wait: Slab<TimeWait>,
    time_wait_line: Line,
    /// Those that listen on an address and port: one, or several that share it.
    listeners: HashMap<(Ipv4Addr, u16), Vec<Key>, TableKeys>,
    /// TCP sockets that are bound or listen, by port.
    tcp_ports: HashMap<u16, Vec<Key>, TableKeys>,
    udp_sockets: UdpTable,
    pings: HashMap<u16, Key, TableKeys>,
    timers: Timers<CompactKey>,
    toward: Option<Toward>,
    heard: Option<(Ipv4Addr, Ipv4Addr)>,
    lead: Option<Lead>,
    /// The connection that was in use last.
    recent: Key,
    ready: VecDeque<Key>,
    events: VecDeque<Key>,
    out: VecDeque<Outgoing<B>>,
    reassembly: Reassembly<B>,
    ip: IpLayer,
    error_limit: RateLimit,
    next_port: u64,
    stats: Stats,
    #[cfg(test)]
    short_way: usual_tests::ShortWay,
}

impl<B: Payload> Stack<B> {
    /// A stack without sockets.
    pub fn new(config: Config) -> Stack<B> {
        let secrets = Secrets::new(config.seed);
        let keys = secrets.table_keys();
        Stack {
            reassembly: Reassembly::new(
                keys.clone(),
                Limits {
                    bytes: config.reassembly_bytes,
                    bytes_per_source: config.reassembly_bytes_per_source,
                    timeout: config.reassembly_timeout,
                },
            ),
            ip: IpLayer::new(&config, &keys),
            error_limit: RateLimit::new(config.error_replies_per_second),
            config,
            secrets,
            sockets: Slab::new(),
            flows: FlowTable::new(keys.clone()),
            half_open: Slab::new(),
            half_open_lines: [Line::EMPTY; listener::LINES],
            time_wait: Slab::new(),
            time_wait_line: Line::EMPTY,
            listeners: HashMap::with_hasher(keys.clone()),
            tcp_ports: HashMap::with_hasher(keys.clone()),
            udp_sockets: UdpTable::new(&keys),
            pings: HashMap::with_hasher(keys),
            timers: Timers::new(),
            toward: None,
            heard: None,
            lead: None,
            recent: Key::NOBODYS,
            ready: VecDeque::new(),
            events: VecDeque::new(),
            out: VecDeque::new(),
            next_port: 0,
            stats: Stats::default(),
            #[cfg(test)]
            short_way: usual_tests::ShortWay::default(),
        }
    }

    /// What the stack was told when it was made.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The counters so far.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Whose a packet with these ends is.
    #[inline]
    fn owner_of(&mut self, ends: &Ends) -> Option<FlowOwner> {
        match self.flows.last_owner(ends) {
            None => self.flow_owner(&ends.flow()),
            last => last,
        }
    }

    /// Whose the flow is.
    fn flow_owner(&mut self, flow: &Flow) -> Option<FlowOwner> {
        let owners = Tables {
            sockets: &self.sockets,
            half_open: &self.half_open,
            time_wait: &self.time_wait,
        };
        self.flows.get(flow, &owners)
    }

    /// Gives a flow that is nobody's to an owner that is in its table.
    fn own_flow(&mut self, flow: &Flow, owner: FlowOwner) {
        let owners = Tables {
            sockets: &self.sockets,
            half_open: &self.half_open,
            time_wait: &self.time_wait,
        };
        self.flows.insert(flow, owner, &owners);
    }

    /// Takes a received IPv4 packet: `head` is a private copy of its first bytes (up to 128, or all of a packet of at
    /// most 256), `body` the rest. Bytes after the packet's own length, such as Ethernet's padding, are ignored.
    pub fn on_packet(&mut self, now: Instant, meta: RxMeta, head: &[u8], body: B) {
        self.stats.packets_in += 1;
        let len = head.len() + body.len();
        self.stats.bytes_in += len as u64;
        if let Err(body) = self.on_usual_packet(now, meta, head, body) {
            self.ip_input(now, meta, head, Rope::from(Chunk::Device(body)), false);
        }
    }

    /// True if no socket is left, those included that were closed and still deliver. TIME-WAIT does not count: it has nothing to lose.
    pub fn is_drained(&self) -> bool {
        self.sockets.is_empty()
    }

    /// Whether [`transmit_to`](Self::transmit_to), [`next_event`](Self::next_event) and
    /// [`take_multicast_change`](Self::take_multicast_change) have nothing to tell at `now`. Cheaper than asking them; a false no is possible where
    /// a timer is near.
    #[inline]
    pub fn is_quiet(&self, now: Instant) -> bool {
        !self.has_output()
            && self.events.is_empty()
            && self.timers.is_quiet(now)
            && self.ip_is_idle()
            && !self.ip.groups_changed
    }

    /// Whether something waits for [`transmit_to`](Self::transmit_to).
    #[inline]
    fn has_output(&self) -> bool {
        !(self.out.is_empty() && self.ready.is_empty())
    }

    /// The next packet for the device, if there is one. Runs timers that are due and delivers packets to our own
    /// addresses on the way, so call it after every packet received, call made and deadline passed, until it is `None`.
    #[inline]
    pub fn poll_transmit(&mut self, now: Instant) -> Option<TxPacket<B>> {
        let mut packet = TxPacket::default();
        self.transmit_to(now, &mut packet).then_some(packet)
    }

    /// Like [`Stack::poll_transmit`], but makes `packet` the next packet, whatever it was before, where that saves a caller with
    /// many of them from moving each; false if there is none.
    #[inline]
    pub fn transmit_to(&mut self, now: Instant, packet: &mut TxPacket<B>) -> bool {
        self.poll(now);
        self.has_output() && self.transmit(now, packet)
    }

    fn transmit(&mut self, now: Instant, to: &mut TxPacket<B>) -> bool {
        match self.out.front() {
            None => {
                let Some(key) = self.ready.front().copied() else {
                    return false;
                };
                if self.next_of_burst(now, key, to) || self.next_usual(now, key, to) {
                    return true;
                }
            }
            Some(Outgoing::Ack(flow, key, ack, marks)) => {
                let (flow, key, ack, marks) = (*flow, *key, *ack, *marks);
                self.out.pop_front();
                self.ack_packet(&flow, key, &ack, marks, to);
                return true;
            }
            Some(Outgoing::Packet(_)) => {}
        }
        self.transmit_any(now, to)
    }

    #[inline(never)]
    fn transmit_any(&mut self, now: Instant, to: &mut TxPacket<B>) -> bool {
        let mut looped = 0;
        // The caller has tried the short way with what comes first.
        let mut tried = true;
        while looped < MAX_LOOPED {
            let made = match self.out.pop_front() {
                Some(Outgoing::Ack(flow, key, ack, marks)) => {
                    self.ack_packet(&flow, key, &ack, marks, to);
                    return true;
                }
                Some(Outgoing::Packet(packet)) => {
                    *to = *packet;
                    true
                }
                None => {
                    let Some(key) = self.ready.front().copied() else {
                        return false;
                    };
                    if !tried && self.next_usual(now, key, to) {
                        return true;
                    }
                    self.ready.pop_front();
                    match self.kind_in_turn(key) {
                        Some(Turn::Segment) => self.next_segment(now, key, to),
                        Some(Turn::Datagram) => put(to, self.next_udp(key)),
                        Some(Turn::Ping) => put(to, self.next_ping(key)),
                        None => false,
                    }
                }
            };
            tried = false;
            if !made {
                continue;
            }
            if self.toward(to.dst).is_local {
                looped += 1;
                self.stats.packets_looped += 1;
                let meta = RxMeta {
                    ipv4_checksum_ok: true,
                    l4_checksum_ok: true,
                    l2_broadcast: false,
                };
                let packet = core::mem::take(to);
                self.ip_input(now, meta, packet.head.as_slice(), packet.payload, true);
                continue;
            }
            self.count_out(to.len());
            return true;
        }
        false
    }

    /// A packet of `len` bytes leaves the host.
    #[inline]
    fn count_out(&mut self, len: usize) {
        self.stats.packets_out += 1;
        self.stats.bytes_out += len as u64;
    }

    /// When [`Stack::poll_transmit`] must be called again even if nothing arrives; the origin of time if at once.
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.has_output() {
            return Some(Instant::ZERO);
        }
        [self.timers.next(), self.ip_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Runs the timers that are due; what they send waits for [`Stack::poll_transmit`].
    #[inline]
    pub fn poll(&mut self, now: Instant) {
        self.ip_on_time(now);
        while let Some(key) = self.timers.expire(now) {
            self.on_timer(now, key);
        }
    }

    /// The next socket whose readiness changed, and what changed. Changes of one socket are merged until taken; each
    /// arrival is reported again (edge), [`Stack::readiness`] tells the state (level).
    pub fn next_event(&mut self) -> Option<(SocketId, Readiness)> {
        while let Some(key) = self.events.pop_front() {
            if let Some(entry) = self.sockets.get_mut(key) {
                let pending = core::mem::take(&mut entry.pending);
                if !pending.is_empty() {
                    return Some((SocketId(key), pending));
                }
            }
        }
        None
    }

    /// What the socket is ready for now.
    pub fn readiness(&self, id: SocketId) -> Result<Readiness> {
        let entry = self
            .sockets
            .get(id.0)
            .filter(|e| !e.is_orphan())
            .ok_or(Error::Stale)?;
        Ok(match &entry.kind {
            Kind::Tcp(tcb) => tcb.readiness(),
            Kind::Listener(listener) => {
                let mut r = Readiness::NONE;
                r.set(Readiness::READABLE, !listener.accept.is_empty());
                r
            }
            // As Linux has it.
            Kind::Fresh(_) => Readiness::WRITABLE | Readiness::HANGUP,
            Kind::Udp(udp) => udp.queues.readiness(),
            Kind::Ping(ping) => ping.queues.readiness(),
        })
    }

    /// Takes the socket's pending error (SO_ERROR).
    pub fn take_error(&mut self, id: SocketId) -> Result<Option<Error>> {
        let entry = self
            .sockets
            .get_mut(id.0)
            .filter(|e| !e.is_orphan())
            .ok_or(Error::Stale)?;
        Ok(match &mut entry.kind {
            Kind::Tcp(tcb) => tcb.take_error(),
            Kind::Listener(_) | Kind::Fresh(_) => None,
            Kind::Udp(udp) => udp.queues.error.take(),
            Kind::Ping(ping) => ping.queues.error.take(),
        })
    }

    /// The socket's own address; for a ping socket the port is its identifier.
    pub fn local_addr(&self, id: SocketId) -> Result<SocketAddrV4> {
        let entry = self
            .sockets
            .get(id.0)
            .filter(|e| !e.is_orphan())
            .ok_or(Error::Stale)?;
        Ok(match &entry.kind {
            Kind::Tcp(tcb) => tcb.flow.local,
            Kind::Listener(listener) => listener.addr,
            Kind::Fresh(fresh) => fresh.local,
            Kind::Udp(udp) => udp.local,
            Kind::Ping(ping) => SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, ping.ident),
        })
    }

    /// The peer's address.
    pub fn peer_addr(&self, id: SocketId) -> Result<SocketAddrV4> {
        let entry = self
            .sockets
            .get(id.0)
            .filter(|e| !e.is_orphan())
            .ok_or(Error::Stale)?;
        match &entry.kind {
            // As Linux has it: not before the handshake, nor after the end.
            Kind::Tcp(tcb) => match tcb.state {
                TcpState::SynSent | TcpState::Closed | TcpState::TimeWait => {
                    Err(Error::NotConnected)
                }
                _ => Ok(tcb.flow.remote),
            },
            // Linux knows of no peer without a port.
            Kind::Udp(udp) => udp
                .remote
                .filter(|peer| peer.port() != 0)
                .ok_or(Error::NotConnected),
            Kind::Listener(_) | Kind::Fresh(_) | Kind::Ping(_) => Err(Error::NotConnected),
        }
    }

    /// Closes any kind of socket; the id is stale afterwards. What was sent is still delivered.
    pub fn close(&mut self, now: Instant, id: SocketId) -> Result<()> {
        let entry = self
            .sockets
            .get(id.0)
            .filter(|e| !e.is_orphan())
            .ok_or(Error::Stale)?;
        match &entry.kind {
            Kind::Tcp(_) => self
                .with_tcb(now, id.0, |tcb, cx| tcb.close(cx))
                .ok_or(Error::Stale),
            Kind::Listener(_) => {
                self.close_listener(now, id.0);
                Ok(())
            }
            Kind::Fresh(fresh) => {
                let port = fresh.local.port();
                self.close_fresh(id.0, port);
                Ok(())
            }
            Kind::Udp(_) => {
                self.close_udp(now, id.0);
                Ok(())
            }
            Kind::Ping(_) => {
                self.close_ping(id.0);
                Ok(())
            }
        }
    }

    /// Sets how many bytes the socket holds unsent. Takes effect at once; what is held already stays.
    pub fn set_send_buffer(&mut self, id: SocketId, bytes: usize) -> Result<()> {
        let entry = self
            .sockets
            .get_mut(id.0)
            .filter(|e| !e.is_orphan())
            .ok_or(Error::Stale)?;
        match &mut entry.kind {
            Kind::Tcp(tcb) => tcb.set_send_buffer(bytes),
            Kind::Listener(listener) => listener.send_buffer = Some(bytes),
            Kind::Fresh(fresh) => fresh.send_buffer = Some(bytes),
            Kind::Udp(udp) => udp.queues.set_send_limit(bytes),
            Kind::Ping(ping) => ping.queues.set_send_limit(bytes),
        }
        Ok(())
    }

    /// How many bytes the socket holds unsent (SO_SNDBUF, without Linux's doubling).
    pub fn send_buffer(&mut self, id: SocketId) -> Result<usize> {
        let default = self.config.tcp.send_buffer_bytes;
        Ok(match &self.live(id)?.kind {
            Kind::Tcp(tcb) => tcb.send_buffer(),
            Kind::Listener(listener) => listener.send_buffer.unwrap_or(default),
            Kind::Fresh(fresh) => fresh.send_buffer.unwrap_or(default),
            Kind::Udp(udp) => udp.queues.send_limit(),
            Kind::Ping(ping) => ping.queues.send_limit(),
        })
    }

    /// How many bytes the socket holds unread (SO_RCVBUF, without Linux's doubling).
    pub fn recv_buffer(&mut self, id: SocketId) -> Result<usize> {
        let default = self.config.tcp.recv_buffer_bytes;
        Ok(match &self.live(id)?.kind {
            Kind::Tcp(tcb) => tcb.recv_buffer(),
            Kind::Listener(listener) => listener.recv_buffer.unwrap_or(default),
            Kind::Fresh(fresh) => fresh.recv_buffer.unwrap_or(default),
            Kind::Udp(udp) => udp.queues.receive_limit(),
            Kind::Ping(ping) => ping.queues.receive_limit(),
        })
    }

    /// Sets how many bytes the socket holds unread. A window once advertised is never taken back.
    pub fn set_recv_buffer(&mut self, now: Instant, id: SocketId, bytes: usize) -> Result<()> {
        let entry = self
            .sockets
            .get_mut(id.0)
            .filter(|e| !e.is_orphan())
            .ok_or(Error::Stale)?;
        match &mut entry.kind {
            Kind::Tcp(_) => {
                self.with_tcb(now, id.0, |tcb, _| tcb.set_recv_buffer(bytes));
            }
            Kind::Listener(listener) => listener.recv_buffer = Some(bytes),
            Kind::Fresh(fresh) => fresh.recv_buffer = Some(bytes),
            Kind::Udp(udp) => udp.queues.set_receive_limit(bytes),
            Kind::Ping(ping) => ping.queues.set_receive_limit(bytes),
        }
        Ok(())
    }

    /// The device keeps a packet back until its next hop's address is known. That is not loss: its connection's
    /// retransmission timer stops and it is not timed. Each call is matched by one of [`Stack::on_released`].
    pub fn on_parked(&mut self, now: Instant, token: Token) {
        match token.0 {
            Owner::Nobody => {}
            Owner::Socket(key) => {
                self.with_tcb(now, key, |tcb, _| tcb.park());
            }
            Owner::HalfOpen(key) => self.park_half_open(now, key),
        }
    }

    /// A packet that was parked has been sent, or was given up.
    pub fn on_released(&mut self, now: Instant, token: Token) {
        match token.0 {
            Owner::Nobody => {}
            Owner::Socket(key) => {
                self.with_tcb(now, key, |tcb, cx| tcb.release(cx.now));
            }
            Owner::HalfOpen(key) => self.release_half_open(now, key),
        }
    }

    /// Address resolution failed for a parked packet: its socket is told "host unreachable". Call it for each packet
    /// parked for that next hop; it counts as [`Stack::on_released`].
    pub fn on_unreachable(&mut self, now: Instant, token: Token) {
        match token.0 {
            Owner::Nobody => {}
            Owner::Socket(key) => {
                self.with_tcb(now, key, |tcb, cx| {
                    tcb.release(cx.now);
                    tcb.on_unreachable(cx);
                });
                self.datagram_error(key, Error::HostUnreachable);
            }
            Owner::HalfOpen(key) => {
                self.forget_half_open(now, key);
            }
        }
    }
}

/// Makes `to` the packet, if there is one.
fn put<B>(to: &mut TxPacket<B>, packet: Option<TxPacket<B>>) -> bool {
    match packet {
        Some(packet) => {
            *to = packet;
            true
        }
        None => false,
    }
}
