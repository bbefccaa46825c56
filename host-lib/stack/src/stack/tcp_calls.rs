//! Calls of programs on TCP sockets.

use std::net::{Ipv4Addr, SocketAddrV4};

use core::time::Duration;

use super::socket::{is_handed_out, Entry, Kind};
use super::{FlowOwner, SocketId, Stack};
use crate::error::{Error, Result};
use crate::payload::{Bytes, Payload};
use crate::rope::Rope;
use crate::seq::Seq;
use crate::slab::Key;
use crate::tcp::listener::Listener;
use crate::tcp::{Cx, Flow, Shutdown, Start, Tcb, TcpInfo, TcpOptions, TcpState};
use crate::time::Instant;

impl<B: Payload> Stack<B> {
    /// Begins to open a connection; it is open when the socket becomes writable, and failed when it has an error.
    ///
    /// `local` may leave address or port unspecified, or both; then the address on the peer's subnet and an ephemeral
    /// port (RFC 6056) are taken. A flow whose last connection has been in TIME-WAIT for a second is free again if
    /// both sides used timestamps (RFC 6191).
    pub fn tcp_connect(
        &mut self,
        now: Instant,
        local: Option<SocketAddrV4>,
        remote: SocketAddrV4,
    ) -> Result<SocketId> {
        let to = *remote.ip();
        if remote.port() == 0 || to.is_unspecified() {
            return Err(Error::InvalidInput);
        }
        if to.is_multicast() || self.config.is_broadcast(to) {
            return Err(Error::NetworkUnreachable);
        }
        let local = local.unwrap_or(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
        let ip = self.source_address(*local.ip(), to)?;
        let mut flow = Flow {
            local: SocketAddrV4::new(ip, local.port()),
            remote,
        };
        let iss = self.claim(now, &mut flow)?;
        let start = self.tcp_start(&flow, iss);
        let tcb = Tcb::connect(&self.config.tcp, flow, start, now);
        let key = self.sockets.insert(Entry::new(Kind::Tcp(tcb)));
        self.own_flow(&flow, FlowOwner::Connection(key));
        self.stats.tcp_active_opens += 1;
        self.make_ready(key);
        Ok(SocketId(key))
    }

    /// What our side of a connection begins with.
    pub(super) fn tcp_start(&self, flow: &Flow, iss: Seq) -> Start {
        Start {
            iss,
            advertised_mss: self.own_mss(),
            path_mss: self.ip.path_mtus.get(*flow.remote.ip()).mtu - 40,
            timestamp_offset: match self.config.tcp.timestamps {
                true => self.secrets.timestamp_offset(flow),
                false => 0,
            },
        }
    }

    /// The address to use towards `to`: `wanted` if it is one of ours, or the fitting one if it is unspecified.
    pub(super) fn source_address(&self, wanted: Ipv4Addr, to: Ipv4Addr) -> Result<Ipv4Addr> {
        if wanted.is_unspecified() {
            return self.route_source(to);
        }
        self.config
            .is_local(wanted)
            .then_some(wanted)
            .ok_or(Error::AddrNotAvailable)
    }

    /// Listens on `addr`; port 0 takes a free one, an unspecified address means all of ours. At most `backlog` + 1
    /// connections wait to be accepted.
    pub fn tcp_listen(&mut self, addr: SocketAddrV4, backlog: usize) -> Result<SocketId> {
        let ip = *addr.ip();
        if !ip.is_unspecified() && !self.config.is_local(ip) {
            return Err(Error::AddrNotAvailable);
        }
        let port = match addr.port() {
            0 => self.free_port(|stack, port| stack.listener_conflicts(ip, port))?,
            port if self.listener_conflicts(ip, port) => return Err(Error::AddrInUse),
            port => port,
        };
        let listener = Listener::new(SocketAddrV4::new(ip, port), backlog, &self.config.tcp);
        let key = self
            .sockets
            .insert(Entry::new(Kind::Listener(Box::new(listener))));
        self.listeners.insert((ip, port), key);
        Ok(SocketId(key))
    }

    fn listener_conflicts(&self, ip: Ipv4Addr, port: u16) -> bool {
        let taken = |ip| self.listeners.contains_key(&(ip, port));
        taken(Ipv4Addr::UNSPECIFIED)
            || taken(ip)
            || ip.is_unspecified() && self.config.addrs.iter().any(|c| taken(c.addr()))
    }

    /// Takes the oldest connection that waits at a listener, with its peer's address.
    pub fn tcp_accept(&mut self, id: SocketId) -> Result<(SocketId, SocketAddrV4)> {
        let entry = self
            .sockets
            .get_mut(id.0)
            .filter(|e| !e.is_orphan())
            .ok_or(Error::Stale)?;
        let Kind::Listener(listener) = &mut entry.kind else {
            return Err(Error::InvalidInput);
        };
        let child = listener.accept.pop_front().ok_or(Error::WouldBlock)?;
        // What waits in an accept queue is removed only by this or by the listener's end.
        let Some(Entry {
            kind: Kind::Tcp(tcb),
            ..
        }) = self.sockets.get_mut(child)
        else {
            return Err(Error::ConnectionAborted);
        };
        tcb.accepting = None;
        Ok((SocketId(child), tcb.flow.remote))
    }

    fn tcp(&mut self, id: SocketId) -> Result<&mut Tcb<B>> {
        let entry = self
            .sockets
            .get_mut(id.0)
            .filter(|e| !e.is_orphan())
            .ok_or(Error::Stale)?;
        match &mut entry.kind {
            Kind::Tcp(tcb) => Ok(tcb),
            Kind::Listener(_) => Err(Error::NotConnected),
            Kind::Udp(_) | Kind::Ping(_) => Err(Error::Unsupported),
        }
    }

    /// Runs `f`, which moves bytes between the program and the connection: no state, timer or event changes by that, but
    /// there may be something to send.
    #[inline]
    fn transfer<R>(
        &mut self,
        now: Instant,
        id: SocketId,
        f: impl FnOnce(&mut Tcb<B>, &Cx<'_>) -> Result<R>,
    ) -> Result<R> {
        let Some(Entry {
            kind: Kind::Tcp(tcb),
            queued,
            ..
        }) = self.sockets.get_mut(id.0)
        else {
            return Err(self.tcp(id).err().unwrap_or(Error::Stale));
        };
        if !is_handed_out(tcb) {
            return Err(Error::Stale);
        }
        tcb.end_burst();
        let result = f(tcb, &Cx::new(now, &self.config, &mut self.stats));
        let has_turn = match tcb.usual {
            true => tcb.has_unsent(),
            false => tcb.wants_transmit(),
        };
        if !*queued && has_turn {
            *queued = true;
            self.ready.push_back(id.0);
        }
        result
    }

    fn tcp_key(&mut self, id: SocketId) -> Result<Key> {
        self.tcp(id).map(|_| id.0)
    }

    /// Queues bytes to send; returns how many there was room for, at least one unless `bytes` is empty.
    pub fn tcp_send(&mut self, now: Instant, id: SocketId, bytes: &[u8]) -> Result<usize> {
        self.transfer(now, id, |tcb, _| tcb.send(bytes))
    }

    /// Takes received bytes, at most as many as fit into `to`; 0 means that the peer has closed (or `to` is empty).
    pub fn tcp_recv(&mut self, now: Instant, id: SocketId, to: &mut [u8]) -> Result<usize> {
        self.transfer(now, id, |tcb, cx| tcb.recv(cx, to))
    }

    /// Queues a handle to bytes to send, none of which is copied; returns how many there was room for, at least one unless
    /// `bytes` is empty. Their memory is in use until the peer has acknowledged them.
    pub fn tcp_send_bytes(&mut self, now: Instant, id: SocketId, bytes: &Bytes) -> Result<usize> {
        self.transfer(now, id, |tcb, _| tcb.send_handle(bytes))
    }

    /// Takes all received bytes by handle, mostly to the device's buffers, which stay in use as long as the handles
    /// live; no bytes mean that the peer has closed.
    pub fn tcp_recv_chunks(&mut self, now: Instant, id: SocketId) -> Result<Rope<B>> {
        self.transfer(now, id, |tcb, cx| tcb.recv_handles(cx))
    }

    /// Like [`Stack::tcp_recv`], but leaves the bytes to be read again.
    pub fn tcp_peek(&mut self, id: SocketId, to: &mut [u8]) -> Result<usize> {
        self.tcp(id)?.peek(to)
    }

    /// Bytes that can be read at once (FIONREAD).
    pub fn tcp_unread(&mut self, id: SocketId) -> Result<usize> {
        Ok(self.tcp(id)?.unread())
    }

    /// Closes one or both halves of a connection; the socket stays.
    pub fn tcp_shutdown(&mut self, now: Instant, id: SocketId, how: Shutdown) -> Result<()> {
        let key = self.tcp_key(id)?;
        self.with_tcb(now, key, |tcb, cx| tcb.shutdown(cx, how))
            .ok_or(Error::Stale)?
    }

    /// Ends a connection at once with a RST and closes the socket; the id is stale afterwards.
    pub fn tcp_abort(&mut self, now: Instant, id: SocketId) -> Result<()> {
        let key = self.tcp_key(id)?;
        self.with_tcb(now, key, |tcb, cx| {
            tcb.orphan = true;
            tcb.abort(cx);
        })
        .ok_or(Error::Stale)
    }

    /// The connection's state; a listener's is [`TcpState::Listen`].
    pub fn tcp_state(&self, id: SocketId) -> Result<TcpState> {
        let entry = self
            .sockets
            .get(id.0)
            .filter(|e| !e.is_orphan())
            .ok_or(Error::Stale)?;
        match &entry.kind {
            Kind::Tcp(tcb) => Ok(tcb.state),
            Kind::Listener(_) => Ok(TcpState::Listen),
            Kind::Udp(_) | Kind::Ping(_) => Err(Error::Unsupported),
        }
    }

    /// Smoothed round-trip time, once a segment was timed.
    pub fn tcp_round_trip_time(&mut self, id: SocketId) -> Result<Option<Duration>> {
        Ok(self.tcp(id)?.srtt())
    }

    /// The options of a connection or a listener.
    pub fn tcp_options(&self, id: SocketId) -> Result<TcpOptions> {
        match self.tcp_or_listener(id)? {
            Kind::Tcp(tcb) => Ok(tcb.options),
            Kind::Listener(listener) => Ok(listener.options),
            Kind::Udp(_) | Kind::Ping(_) => Err(Error::Unsupported),
        }
    }

    /// Sets the options of a connection, or those that a listener's connections begin with.
    ///
    /// Times of zero, keep-alive without probes and a time to live of 0 are [`Error::InvalidInput`].
    pub fn tcp_set_options(
        &mut self,
        now: Instant,
        id: SocketId,
        options: TcpOptions,
    ) -> Result<()> {
        let senseless = options
            .keep_alive
            .is_some_and(|k| k.idle.is_zero() || k.interval.is_zero() || k.probes == 0);
        let nowhere = options.ttl == Some(0);
        if senseless || nowhere || options.user_timeout == Some(Duration::ZERO) {
            return Err(Error::InvalidInput);
        }
        self.tcp_or_listener(id)?;
        if let Some(entry) = self.sockets.get_mut(id.0) {
            if let Kind::Listener(listener) = &mut entry.kind {
                listener.options = options;
                return Ok(());
            }
        }
        let key = self.tcp_key(id)?;
        self.with_tcb(now, key, |tcb, cx| tcb.set_options(cx, options))
            .ok_or(Error::Stale)
    }

    fn tcp_or_listener(&self, id: SocketId) -> Result<&Kind<B>> {
        self.sockets
            .get(id.0)
            .filter(|e| !e.is_orphan())
            .map(|e| &e.kind)
            .ok_or(Error::Stale)
    }

    /// What the connection can tell of itself (TCP_INFO).
    pub fn tcp_info(&mut self, now: Instant, id: SocketId) -> Result<TcpInfo> {
        let delayed_ack = self.config.tcp.delayed_ack;
        Ok(self.tcp(id)?.info(now, delayed_ack))
    }
}
