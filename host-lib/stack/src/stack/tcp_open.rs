//! Calls of programs on TCP sockets that neither listen nor have a connection yet: open, bind, then connect or listen.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::socket::{Entry, Kind};
use super::{FlowOwner, SocketId, Stack};
use crate::error::{Error, Result};
use crate::payload::Payload;
use crate::slab::Key;
use crate::tcp::fresh::{Fresh, Sharing, UNBOUND};
use crate::tcp::listener::Listener;
use crate::tcp::{Flow, Tcb, TcpOptions, TcpState};
use crate::time::Instant;

impl<B: Payload> Stack<B> {
    /// Opens a TCP socket without an address, to be connected or to listen. Like Linux's it is writable and hung up until then.
    pub fn tcp_open(&mut self) -> SocketId {
        let fresh = Fresh {
            local: UNBOUND,
            options: TcpOptions {
                congestion: self.config.tcp.congestion,
                ..TcpOptions::default()
            },
            sharing: Sharing::default(),
            send_buffer: None,
            recv_buffer: None,
        };
        let entry = Entry::new(Kind::Fresh(Box::new(fresh)));
        SocketId(self.sockets.insert(entry))
    }

    pub(super) fn fresh(&mut self, id: SocketId) -> Result<&mut Fresh> {
        match &mut self.live(id)?.kind {
            Kind::Fresh(fresh) => Ok(fresh),
            Kind::Tcp(_) | Kind::Listener(_) => Err(Error::InvalidInput),
            Kind::Udp(_) | Kind::Ping(_) => Err(Error::Unsupported),
        }
    }

    /// Gives an open socket its address, once: port 0 takes a free one, an unspecified address means all of ours.
    ///
    /// # Errors
    /// [`Error::InvalidInput`] if it has one or is past that, [`Error::AddrNotAvailable`] if the address is not ours,
    /// [`Error::AddrInUse`] if the port is taken.
    pub fn tcp_bind_to(&mut self, id: SocketId, addr: SocketAddrV4) -> Result<()> {
        let ip = *addr.ip();
        let fresh = self.fresh(id)?;
        let (bound, sharing) = (fresh.local.port() != 0, fresh.sharing);
        if !ip.is_unspecified() && !self.config.is_local(ip) {
            return Err(Error::AddrNotAvailable);
        }
        if bound {
            return Err(Error::InvalidInput);
        }
        let port = match addr.port() {
            0 => self
                .free_port(|stack, port| stack.tcp_conflicts(id.0, ip, port, Sharing::default()))?,
            port if self.tcp_conflicts(id.0, ip, port, sharing) => return Err(Error::AddrInUse),
            port => port,
        };
        self.fresh(id)?.local = SocketAddrV4::new(ip, port);
        self.tcp_ports.entry(port).or_default().push(id.0);
        Ok(())
    }

    /// True if a socket may not have this address beside those that are bound or listen.
    fn tcp_conflicts(&self, own: Key, ip: Ipv4Addr, port: u16, sharing: Sharing) -> bool {
        let on_port = self.tcp_ports.get(&port).map_or(&[][..], Vec::as_slice);
        on_port.iter().filter(|key| **key != own).any(|key| {
            let (taken, its, listens) = match self.sockets.get(*key).map(|entry| &entry.kind) {
                Some(Kind::Fresh(fresh)) => (*fresh.local.ip(), fresh.sharing, false),
                Some(Kind::Listener(listener)) => (*listener.addr.ip(), listener.sharing, true),
                _ => return false,
            };
            let meets = ip == taken || ip.is_unspecified() || taken.is_unspecified();
            meets && !sharing.allows(its, listens)
        })
    }

    /// A socket no longer holds its port.
    pub(super) fn leave_tcp_port(&mut self, key: Key, port: u16) {
        if let Some(keys) = self.tcp_ports.get_mut(&port) {
            keys.retain(|k| *k != key);
            if keys.is_empty() {
                self.tcp_ports.remove(&port);
            }
        }
    }

    /// Begins to connect an open socket, as [`Stack::tcp_connect`] does.
    ///
    /// # Errors
    /// [`Error::InProgress`] if it is at it already, [`Error::IsConnected`] if it is connected or listens; others as
    /// [`Stack::tcp_connect`]'s.
    pub fn tcp_connect_on(&mut self, now: Instant, id: SocketId, to: SocketAddrV4) -> Result<()> {
        let fresh = match &self.live(id)?.kind {
            Kind::Fresh(fresh) => fresh,
            Kind::Tcp(tcb) if tcb.state == TcpState::SynSent => return Err(Error::InProgress),
            Kind::Tcp(_) | Kind::Listener(_) => return Err(Error::IsConnected),
            Kind::Udp(_) | Kind::Ping(_) => return Err(Error::Unsupported),
        };
        let (local, options) = (fresh.local, fresh.options);
        let (send_buffer, recv_buffer) = (fresh.send_buffer, fresh.recv_buffer);
        let (mut tcb, flow) = self.active_open(now, local, to)?;
        let mut reply = None;
        let cx = crate::tcp::Cx::new(now, &self.config, &mut self.stats, &mut reply);
        tcb.inherit(&cx, options, send_buffer, recv_buffer);
        self.leave_tcp_port(id.0, local.port());
        self.live(id)?.kind = Kind::Tcp(tcb);
        self.begin(id.0, &flow);
        Ok(())
    }

    /// A connection to be, its flow claimed.
    pub(super) fn active_open(
        &mut self,
        now: Instant,
        local: SocketAddrV4,
        remote: SocketAddrV4,
    ) -> Result<(Box<Tcb<B>>, Flow)> {
        let to = *remote.ip();
        if remote.port() == 0 || to.is_unspecified() {
            return Err(Error::InvalidInput);
        }
        if to.is_multicast() || self.config.is_broadcast(to) {
            return Err(Error::NetworkUnreachable);
        }
        let ip = self.source_address(*local.ip(), to)?;
        let mut flow = Flow {
            local: SocketAddrV4::new(ip, local.port()),
            remote,
        };
        let iss = self.claim(now, &mut flow)?;
        let start = self.tcp_start(&flow, iss);
        Ok((Tcb::connect(&self.config.tcp, flow, start, now), flow))
    }

    /// The connection in a slot sends its SYN.
    pub(super) fn begin(&mut self, key: Key, flow: &Flow) {
        self.own_flow(flow, FlowOwner::Connection(key));
        self.stats.tcp_active_opens += 1;
        self.make_ready(key);
    }

    /// Has an open socket listen, on a free port if it has none; at most `backlog` + 1 connections wait to be accepted. On a
    /// listener it sets the backlog.
    ///
    /// # Errors
    /// [`Error::AddrInUse`] if somebody else listens there, [`Error::InvalidInput`] for a connection.
    pub fn tcp_listen_on(&mut self, id: SocketId, backlog: usize) -> Result<()> {
        if let Kind::Listener(listener) = &mut self.live(id)?.kind {
            listener.set_backlog(backlog);
            return Ok(());
        }
        if self.fresh(id)?.local.port() == 0 {
            self.tcp_bind_to(id, UNBOUND)?;
        }
        let fresh = self.fresh(id)?;
        let (local, sharing, options) = (fresh.local, fresh.sharing, fresh.options);
        let (send_buffer, recv_buffer) = (fresh.send_buffer, fresh.recv_buffer);
        if self.tcp_conflicts(id.0, *local.ip(), local.port(), sharing) {
            return Err(Error::AddrInUse);
        }
        let mut listener = Listener::new(local, backlog, &self.config.tcp);
        listener.options = options;
        listener.sharing = sharing;
        (listener.send_buffer, listener.recv_buffer) = (send_buffer, recv_buffer);
        self.live(id)?.kind = Kind::Listener(Box::new(listener));
        let place = (*local.ip(), local.port());
        self.listeners.entry(place).or_default().push(id.0);
        Ok(())
    }

    pub(super) fn sharing(&mut self, id: SocketId) -> Result<&mut Sharing> {
        match &mut self.live(id)?.kind {
            Kind::Fresh(fresh) => Ok(&mut fresh.sharing),
            Kind::Listener(listener) => Ok(&mut listener.sharing),
            Kind::Tcp(_) | Kind::Udp(_) | Kind::Ping(_) => Err(Error::Unsupported),
        }
    }

    /// Closes a socket that is neither a connection nor listens.
    pub(super) fn close_fresh(&mut self, key: Key, port: u16) {
        self.leave_tcp_port(key, port);
        self.sockets.remove(key);
    }
}
