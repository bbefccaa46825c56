//! Calls of programs on TCP sockets.

use std::net::{Ipv4Addr, SocketAddrV4};

use core::time::Duration;

use super::socket::{is_handed_out, Entry, Kind};
use super::{SocketId, Stack};
use crate::error::{Error, Result};
use crate::payload::{Bytes, Payload};
use crate::rope::Rope;
use crate::seq::Seq;
use crate::slab::Key;
use crate::tcp::{Cx, Flow, ListenQueue, Shutdown, Start, Tcb, TcpInfo, TcpOptions, TcpState};
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
        let local = local.unwrap_or(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
        let (tcb, flow) = self.active_open(now, local, remote)?;
        let key = self.sockets.insert(Entry::new(Kind::Tcp(tcb)));
        self.begin(key, &flow);
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
        // That there is a way is asked even where the source is given.
        let by_route = self.route_source(to)?;
        if wanted.is_unspecified() {
            return Ok(by_route);
        }
        self.config
            .is_local(wanted)
            .then_some(wanted)
            .ok_or(Error::AddrNotAvailable)
    }

    /// Listens on `addr`; port 0 takes a free one, an unspecified address means all of ours. At most `backlog` + 1
    /// connections wait to be accepted.
    pub fn tcp_listen(&mut self, addr: SocketAddrV4, backlog: usize) -> Result<SocketId> {
        let id = self.tcp_open();
        // As std does; a port whose connections are in TIME-WAIT is free here in any case.
        let listening = (self.set_reuse_address(id, true))
            .and_then(|()| self.tcp_bind_to(id, addr))
            .and_then(|()| self.tcp_listen_on(id, backlog));
        match listening {
            Ok(()) => Ok(id),
            Err(error) => {
                let port = self.fresh(id).map_or(0, |fresh| fresh.local.port());
                self.close_fresh(id.0, port);
                Err(error)
            }
        }
    }

    /// How full a listener's queues are.
    pub fn tcp_listen_queue(&mut self, id: SocketId) -> Result<ListenQueue> {
        match &self.live(id)?.kind {
            Kind::Listener(listener) => Ok(listener.queue()),
            _ => Err(Error::InvalidInput),
        }
    }

    /// The socket's entry, if the program has it.
    pub(super) fn live(&mut self, id: SocketId) -> Result<&mut Entry<B>> {
        self.sockets
            .get_mut(id.0)
            .filter(|e| !e.is_orphan())
            .ok_or(Error::Stale)
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
            Kind::Listener(_) | Kind::Fresh(_) => Err(Error::NotConnected),
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
        tcb.use_after(&mut self.recent, id.0);
        tcb.end_burst();
        let result = f(tcb, &Cx::new(now, &self.config, &mut self.stats, &mut None));
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
            .map_err(nowhere_to_send)
    }

    /// Takes received bytes, at most as many as fit into `to`; 0 means that the peer has closed (or `to` is empty).
    pub fn tcp_recv(&mut self, now: Instant, id: SocketId, to: &mut [u8]) -> Result<usize> {
        self.transfer(now, id, |tcb, cx| tcb.recv(cx, to))
    }

    /// Queues a handle to bytes to send, none of which is copied; returns how many there was room for, at least one unless
    /// `bytes` is empty. Their memory is in use until the peer has acknowledged them.
    pub fn tcp_send_bytes(&mut self, now: Instant, id: SocketId, bytes: &Bytes) -> Result<usize> {
        self.transfer(now, id, |tcb, _| tcb.send_handle(bytes))
            .map_err(nowhere_to_send)
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

    /// Bytes that were sent and that the peer has not acknowledged (SIOCOUTQ); the end of the stream counts as one.
    pub fn tcp_unacknowledged(&mut self, id: SocketId) -> Result<usize> {
        Ok(self.tcp(id)?.unacknowledged())
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
            Kind::Fresh(_) => Ok(TcpState::Closed),
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
            Kind::Fresh(fresh) => Ok(fresh.options),
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
            let kept = match &mut entry.kind {
                Kind::Listener(listener) => Some(&mut listener.options),
                Kind::Fresh(fresh) => Some(&mut fresh.options),
                _ => None,
            };
            if let Some(kept) = kept {
                *kept = options;
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

/// As in Linux: where there is no connection a receiving call is told so, a sending one that its pipe is broken.
fn nowhere_to_send(error: Error) -> Error {
    match error {
        Error::NotConnected => Error::BrokenPipe,
        error => error,
    }
}
