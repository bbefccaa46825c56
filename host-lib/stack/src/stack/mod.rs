//! The stack: tables of sockets and connections, and the order in which things happen.

mod icmp;
mod igmp;
mod ip_input;
mod ip_options;
mod ip_output;
mod multicast_calls;
mod ping_calls;
mod route_calls;
mod socket;
mod tcp_calls;
mod tcp_input;
mod udp_calls;
mod udp_input;

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::ip::layer::IpLayer;
use crate::ip::rate::RateLimit;
use crate::ip::reassembly::{Limits, Reassembly};
use crate::packet::{Owner, RxMeta, Token, TxPacket};
use crate::payload::Payload;
use crate::readiness::Readiness;
use crate::rope::{Chunk, Rope};
use crate::slab::{Key, Slab};
use crate::stats::Stats;
use crate::tcp::listener::HalfOpen;
use crate::tcp::secrets::{Secrets, TableKeys};
use crate::tcp::time_wait::TimeWait;
use crate::tcp::{Cx, Flow, Tcb};
use crate::time::Instant;
use crate::timers::Timers;
use crate::udp_table::UdpTable;
use crate::wire::tcp::TcpHeader;
use socket::{Entry, Kind};

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

/// Whose a four-tuple is.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum FlowOwner {
    Connection(Key),
    HalfOpen(Key),
    TimeWait(Key),
}

/// What a timer is for.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum TimerKey {
    Socket(Key),
    HalfOpen(Key),
    TimeWait(Key),
}

/// What an operation on a connection left to be done.
struct After {
    events: Readiness,
    reply: Option<TcpHeader>,
    blocked: bool,
}

/// Replies that wait for transmission at most.
const MAX_REPLIES: usize = 4096;
/// Packets to ourselves that one call to [`Stack::poll_transmit`] delivers at most.
const MAX_LOOPED: usize = 256;

/// A TCP/IP host without its device: see the crate's documentation.
///
/// `B` is what received payload lies in.
pub struct Stack<B> {
    config: Config,
    secrets: Secrets,
    sockets: Slab<Entry<B>>,
    flows: HashMap<Flow, FlowOwner, TableKeys>,
    half_open: Slab<HalfOpen>,
    time_wait: Slab<(TimeWait, Option<Instant>)>,
    listeners: HashMap<(Ipv4Addr, u16), Key, TableKeys>,
    udp_sockets: UdpTable,
    pings: HashMap<u16, Key, TableKeys>,
    timers: Timers<TimerKey>,
    ready: VecDeque<Key>,
    events: VecDeque<Key>,
    out: VecDeque<TxPacket<B>>,
    reassembly: Reassembly<B>,
    ip: IpLayer,
    error_limit: RateLimit,
    next_port: u64,
    stats: Stats,
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
            flows: HashMap::with_hasher(keys.clone()),
            half_open: Slab::new(),
            time_wait: Slab::new(),
            listeners: HashMap::with_hasher(keys.clone()),
            udp_sockets: UdpTable::new(&keys),
            pings: HashMap::with_hasher(keys),
            timers: Timers::new(),
            ready: VecDeque::new(),
            events: VecDeque::new(),
            out: VecDeque::new(),
            next_port: 0,
            stats: Stats::default(),
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

    /// Takes a received IPv4 packet: `head` is a private copy of its first bytes (up to 128, or all of a packet of at
    /// most 256), `body` the rest. Bytes after the packet's own length, such as Ethernet's padding, are ignored.
    pub fn on_packet(&mut self, now: Instant, meta: RxMeta, head: &[u8], body: B) {
        self.stats.packets_in += 1;
        self.stats.bytes_in += (head.len() + body.len()) as u64;
        self.ip_input(now, meta, head, Rope::from(Chunk::Device(body)), false);
    }

    /// True if no socket is left, those included that were closed and still deliver. TIME-WAIT does not count: it has nothing to lose.
    pub fn is_drained(&self) -> bool {
        self.sockets.is_empty()
    }

    /// The next packet for the device, if there is one. Runs timers that are due and delivers packets to our own
    /// addresses on the way, so call it after every packet received, call made and deadline passed, until it is `None`.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<TxPacket<B>> {
        self.poll(now);
        let mut looped = 0;
        while looped < MAX_LOOPED {
            let packet = self
                .out
                .pop_front()
                .or_else(|| self.next_from_sockets(now))?;
            if self.config.is_local(packet.dst) {
                looped += 1;
                self.stats.packets_looped += 1;
                let meta = RxMeta {
                    ipv4_checksum_ok: true,
                    l4_checksum_ok: true,
                    l2_broadcast: false,
                };
                self.ip_input(now, meta, packet.head.as_slice(), packet.payload, true);
                continue;
            }
            self.stats.packets_out += 1;
            self.stats.bytes_out += packet.len() as u64;
            return Some(packet);
        }
        None
    }

    /// When [`Stack::poll_transmit`] must be called again even if nothing arrives; the origin of time if at once.
    pub fn next_deadline(&self) -> Option<Instant> {
        if !self.out.is_empty() || !self.ready.is_empty() {
            return Some(Instant::ZERO);
        }
        [self.timers.next(), self.ip_deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Runs the timers that are due; what they send waits for [`Stack::poll_transmit`].
    pub fn poll(&mut self, now: Instant) {
        self.ip_on_time(now);
        while let Some(key) = self.timers.expire(now) {
            match key {
                TimerKey::Socket(key) => {
                    if let Some(entry) = self.sockets.get_mut(key) {
                        entry.armed = None;
                    }
                    self.with_tcb(now, key, |tcb, cx| tcb.on_timer(cx));
                }
                TimerKey::HalfOpen(key) => self.on_half_open_timer(now, key),
                TimerKey::TimeWait(key) => self.end_time_wait(key),
            }
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
            Kind::Listener(_) => None,
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
            Kind::Tcp(tcb) => Ok(tcb.flow.remote),
            // Linux knows of no peer without a port.
            Kind::Udp(udp) => udp
                .remote
                .filter(|peer| peer.port() != 0)
                .ok_or(Error::NotConnected),
            Kind::Listener(_) | Kind::Ping(_) => Err(Error::NotConnected),
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
            Kind::Listener(_) => return Err(Error::Unsupported),
            Kind::Udp(udp) => udp.queues.set_send_limit(bytes),
            Kind::Ping(ping) => ping.queues.set_send_limit(bytes),
        }
        Ok(())
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
            Kind::Listener(_) => return Err(Error::Unsupported),
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
            Owner::HalfOpen(key) => self.park_half_open(key),
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
                self.forget_half_open(key);
            }
        }
    }

    fn next_from_sockets(&mut self, now: Instant) -> Option<TxPacket<B>> {
        while let Some(key) = self.ready.pop_front() {
            let Some(entry) = self.sockets.get_mut(key) else {
                continue;
            };
            entry.queued = false;
            let packet = match &entry.kind {
                Kind::Tcp(_) => self.next_tcp(now, key),
                Kind::Udp(_) => self.next_udp(key),
                Kind::Ping(_) => self.next_ping(key),
                Kind::Listener(_) => None,
            };
            if packet.is_some() {
                return packet;
            }
        }
        None
    }

    fn make_ready(&mut self, key: Key) {
        if let Some(entry) = self.sockets.get_mut(key) {
            if !entry.queued {
                entry.queued = true;
                self.ready.push_back(key);
            }
        }
    }

    fn raise(&mut self, key: Key, events: Readiness) {
        if let Some(entry) = self.sockets.get_mut(key) {
            if events.is_empty() || entry.is_orphan() {
                return;
            }
            if entry.pending.is_empty() {
                self.events.push_back(key);
            }
            entry.pending |= events;
        }
    }

    /// Runs `f` on a connection, then draws the consequences. `None` if there is no such connection.
    fn with_tcb<R>(
        &mut self,
        now: Instant,
        key: Key,
        f: impl FnOnce(&mut Tcb<B>, &mut Cx<'_>) -> R,
    ) -> Option<R> {
        let Some(Entry {
            kind: Kind::Tcp(tcb),
            ..
        }) = self.sockets.get_mut(key)
        else {
            return None;
        };
        let mut cx = Cx {
            now,
            config: &self.config.tcp,
            stats: &mut self.stats,
            events: Readiness::NONE,
            reply: None,
            blocked: false,
        };
        let result = f(tcb, &mut cx);
        let after = After {
            events: cx.events,
            reply: cx.reply,
            blocked: cx.blocked,
        };
        self.settle(now, key, after);
        Some(result)
    }
}
