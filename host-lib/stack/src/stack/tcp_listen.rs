//! Listening: a SYN becomes a half-open entry or a cookie, and the last ACK of a handshake a connection.

use core::hash::BuildHasher;
use std::net::Ipv4Addr;

use super::ip_input::Arrival;
use super::socket::{Entry, Kind};
use super::{FlowOwner, Stack};
use crate::payload::Payload;
use crate::readiness::Readiness;
use crate::seq::Seq;
use crate::slab::Key;
use crate::tcp::listener::{HalfOpen, Listener};
use crate::tcp::{Flow, Handshake, Start, Tcb};
use crate::time::Instant;
use crate::wire::tcp::{Flags, TcpHeader};

impl<B: Payload> Stack<B> {
    /// Who hears of a connection request. Those that share a port (SO_REUSEPORT) share the flows by a keyed hash.
    pub(super) fn listener_for(&self, flow: &Flow) -> Option<Key> {
        let local = flow.local;
        let exact = self.listeners.get(&(*local.ip(), local.port()));
        let sharers =
            exact.or_else(|| self.listeners.get(&(Ipv4Addr::UNSPECIFIED, local.port())))?;
        match sharers.as_slice() {
            [one] => Some(*one),
            sharers => {
                let hash = self.listeners.hasher().hash_one(flow);
                let at = hash.checked_rem(sharers.len() as u64)?;
                sharers.get(at as usize).copied()
            }
        }
    }

    // RFC 9293 sections 3.10.7.1 (CLOSED) and 3.10.7.2 (LISTEN).
    pub(super) fn closed_or_listen(
        &mut self,
        now: Instant,
        flow: Flow,
        h: &TcpHeader,
        arrival: &mut Arrival<'_, B>,
        isn_after: Option<Seq>,
    ) {
        let listener = self.listener_for(&flow);
        // "An incoming RST segment could not be valid ... and should be ignored."
        if h.flags.has(Flags::RST) {
            return;
        }
        let (syn, ack) = (h.flags.has(Flags::SYN), h.flags.has(Flags::ACK));
        match listener {
            Some(key) if syn && !ack => return self.on_syn(now, key, flow, h, isn_after),
            // "this segment should be dropped"
            Some(_) if !ack => return,
            Some(key) if !syn && self.cookies_are_out(now, key) => {
                return self.on_cookie(now, key, flow, h, arrival);
            }
            Some(_) => {}
            None => self.stats.dropped_no_socket += 1,
        }
        self.send_stray_reset(now, &flow, h, arrival.data.len());
    }

    fn on_syn(
        &mut self,
        now: Instant,
        key: Key,
        flow: Flow,
        h: &TcpHeader,
        isn_after: Option<Seq>,
    ) {
        let Some(Entry {
            kind: Kind::Listener(listener),
            ..
        }) = self.sockets.get_mut(key)
        else {
            return;
        };
        if listener.accept_full() {
            self.stats.dropped_syn_queue_full += 1;
            return;
        }
        let recv_buffer = listener.recv_buffer;
        // One that follows a TIME-WAIT needs a number a cookie cannot be; it takes the place of that record.
        if listener.syn_full() && isn_after.is_none() {
            listener.overflowed_at = Some(now);
            self.send_cookie(now, (key, recv_buffer), flow, h);
            return;
        }
        listener.half_open += 1;
        let iss = self.isn_after(now, &flow, isn_after);
        let entry = HalfOpen::new(&self.config.tcp, (key, recv_buffer), flow, h, iss, now);
        self.add_half_open(now, entry);
    }

    /// Whether a listener can take a connection; `None` if it is closed.
    pub(super) fn has_room(&self, key: Key) -> Option<bool> {
        match &self.sockets.get(key)?.kind {
            Kind::Listener(listener) => Some(!listener.accept_full()),
            _ => None,
        }
    }

    /// Puts a connection whose handshake is done into its listener's accept queue and gives it the segment that did it. It
    /// takes the place of its half-open entry, if there is one.
    pub(super) fn open_passive(
        &mut self,
        now: Instant,
        listener_key: Key,
        (flow, start, handshake): (Flow, Start, Handshake),
        h: &TcpHeader,
        arrival: &mut Arrival<'_, B>,
        half_open: Option<Key>,
    ) {
        let Some(Entry {
            kind: Kind::Listener(listener),
            ..
        }) = self.sockets.get(listener_key)
        else {
            return;
        };
        let (options, send_buffer, recv_buffer) =
            (listener.options, listener.send_buffer, listener.recv_buffer);
        let mut reply = None;
        let cx = crate::tcp::Cx::new(now, &self.config, &mut self.stats, &mut reply);
        let mut tcb = Tcb::accept(&cx, flow, start, handshake);
        tcb.accepting = Some(listener_key);
        tcb.inherit(&cx, options, send_buffer, recv_buffer);
        self.stats.tcp_passive_opens += 1;
        let key = self.sockets.insert(Entry::new(Kind::Tcp(tcb)));
        let owner = FlowOwner::Connection(key);
        match half_open {
            Some(before) => {
                self.flows.pass(&flow, FlowOwner::HalfOpen(before), owner);
                self.drop_half_open(now, before);
            }
            None => self.own_flow(&flow, owner),
        }
        if let Some(Entry {
            kind: Kind::Listener(listener),
            ..
        }) = self.sockets.get_mut(listener_key)
        {
            listener.accept.push_back(key);
        }
        self.raise(listener_key, Readiness::READABLE);
        let tos = arrival.ip.tos;
        let mut h = *h;
        self.with_tcb(now, key, |tcb, cx| {
            tcb.on_segment(cx, &mut h, &mut arrival.data, tos)
        });
    }

    /// Closes a listener: connections nobody accepted are reset, half-open ones fade.
    pub(super) fn close_listener(&mut self, now: Instant, key: Key) {
        let Some(Entry {
            kind: Kind::Listener(listener),
            ..
        }) = self.sockets.remove(key)
        else {
            return;
        };
        let Listener { addr, accept, .. } = *listener;
        let place = (*addr.ip(), addr.port());
        if let Some(sharers) = self.listeners.get_mut(&place) {
            sharers.retain(|sharer| *sharer != key);
            if sharers.is_empty() {
                self.listeners.remove(&place);
            }
        }
        self.leave_tcp_port(key, addr.port());
        for child in accept {
            self.with_tcb(now, child, |tcb, cx| {
                tcb.accepting = None;
                tcb.orphan = true;
                tcb.abort(cx);
            });
        }
    }
}
