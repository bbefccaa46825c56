//! Listening: a SYN becomes a half-open entry or a cookie, and the last ACK of a handshake a connection.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::ip_input::Arrival;
use super::socket::{Entry, Kind};
use super::{FlowOwner, Stack, TimerKey};
use crate::packet::{Owner, Token};
use crate::payload::Payload;
use crate::readiness::Readiness;
use crate::seq::Seq;
use crate::slab::Key;
use crate::tcp::listener::{self, HalfOpen, Listener};
use crate::tcp::{Flow, Handshake, Start, Tcb};
use crate::time::Instant;
use crate::wire::tcp::{Flags, TcpHeader};

impl<B: Payload> Stack<B> {
    pub(super) fn listener_for(&self, local: SocketAddrV4) -> Option<Key> {
        let exact = self.listeners.get(&(*local.ip(), local.port()));
        exact
            .or_else(|| self.listeners.get(&(Ipv4Addr::UNSPECIFIED, local.port())))
            .copied()
    }

    // RFC 9293 sections 3.10.7.1 (CLOSED) and 3.10.7.2 (LISTEN).
    pub(super) fn closed_or_listen(
        &mut self,
        now: Instant,
        flow: Flow,
        h: &TcpHeader,
        arrival: Arrival<'_, B>,
        isn_after: Option<Seq>,
    ) {
        let listener = self.listener_for(flow.local);
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
        let mut iss = self.secrets.isn(now, &flow);
        if let Some(last) = isn_after {
            // RFC 9293 MAY-2: larger than any number of the previous connection.
            if iss.le(last) {
                iss = last + 64_000;
            }
        }
        let start = self.tcp_start(&flow, iss);
        let entry = HalfOpen::new(&self.config.tcp, (key, recv_buffer), flow, h, start, now);
        let key = self.half_open.insert(entry);
        self.flows.insert(flow, FlowOwner::HalfOpen(key));
        self.send_syn_ack(now, key);
    }

    fn send_syn_ack(&mut self, now: Instant, key: Key) {
        let Some(entry) = self.half_open.get_mut(key) else {
            return;
        };
        let backoff = 1u32 << entry.retransmits.min(16);
        let wait = self
            .config
            .tcp
            .initial_rto
            .saturating_mul(backoff)
            .min(self.config.tcp.max_rto);
        let deadline = (entry.parked == 0).then_some(now + wait.max(self.config.tcp.initial_rto));
        self.timers
            .set(TimerKey::HalfOpen(key), &mut entry.armed, deadline);
        let (flow, header) = (entry.flow, entry.syn_ack(now));
        self.reply(&flow, &header, Token(Owner::HalfOpen(key)));
    }

    pub(super) fn on_half_open_timer(&mut self, now: Instant, key: Key) {
        let Some(entry) = self.half_open.get_mut(key) else {
            return;
        };
        entry.armed = None;
        let gone = !matches!(
            self.sockets.get(entry.listener),
            Some(Entry {
                kind: Kind::Listener(_),
                ..
            })
        );
        if gone || entry.retransmits >= self.config.tcp.max_syn_ack_retransmits {
            self.forget_half_open(key);
            return;
        }
        entry.retransmits += 1;
        self.stats.tcp_retransmits += 1;
        self.stats.tcp_timeouts += 1;
        self.send_syn_ack(now, key);
    }

    /// Takes the entry out of every table, its listener's count included.
    pub(super) fn forget_half_open(&mut self, key: Key) -> Option<HalfOpen> {
        let mut entry = self.half_open.remove(key)?;
        self.timers
            .set(TimerKey::HalfOpen(key), &mut entry.armed, None);
        self.flows.remove(&entry.flow);
        if let Some(Entry {
            kind: Kind::Listener(listener),
            ..
        }) = self.sockets.get_mut(entry.listener)
        {
            listener.half_open -= 1;
        }
        Some(entry)
    }

    pub(super) fn park_half_open(&mut self, key: Key) {
        if let Some(entry) = self.half_open.get_mut(key) {
            entry.parked = entry.parked.saturating_add(1);
            self.timers
                .set(TimerKey::HalfOpen(key), &mut entry.armed, None);
        }
    }

    pub(super) fn release_half_open(&mut self, now: Instant, key: Key) {
        if let Some(entry) = self.half_open.get_mut(key) {
            entry.parked = entry.parked.saturating_sub(1);
            if entry.parked == 0 {
                let deadline = Some(now + self.config.tcp.initial_rto);
                self.timers
                    .set(TimerKey::HalfOpen(key), &mut entry.armed, deadline);
            }
        }
    }

    pub(super) fn half_open_input(
        &mut self,
        now: Instant,
        key: Key,
        h: TcpHeader,
        arrival: Arrival<'_, B>,
    ) {
        let Some(entry) = self.half_open.get(key) else {
            return;
        };
        let flow = entry.flow;
        match entry.on_segment(&h, arrival.data.len()) {
            listener::Verdict::Ignore => {}
            listener::Verdict::Resend => {
                // Not a retransmission of ours by timer, but the answer can no longer be timed.
                let header = entry.syn_ack(now);
                self.reply(&flow, &header, Token(Owner::HalfOpen(key)));
            }
            listener::Verdict::Ack => {
                let header = entry.ack(now);
                if self.error_limit.allow(now) {
                    self.stats.tcp_challenge_acks += 1;
                    self.reply(&flow, &header, Token::NOBODY);
                } else {
                    self.stats.rate_limited += 1;
                }
            }
            listener::Verdict::Reset => {
                let header = entry.reset(now, h.ack);
                self.reply(&flow, &header, Token::NOBODY);
            }
            listener::Verdict::Forget => {
                self.forget_half_open(key);
            }
            listener::Verdict::Complete => self.complete(now, key, &h, arrival),
        }
    }

    /// The last ACK of a handshake: the entry becomes a connection, if the accept queue has room.
    fn complete(&mut self, now: Instant, key: Key, h: &TcpHeader, arrival: Arrival<'_, B>) {
        let Some(entry) = self.half_open.get(key) else {
            return;
        };
        let (flow, listener) = (entry.flow, entry.listener);
        let (start, handshake) = (entry.start(), entry.handshake());
        match self.has_room(listener) {
            // Ignored, without RST: the SYN-ACK goes out again later and its ACK may find room.
            Some(false) => self.stats.dropped_accept_queue_full += 1,
            Some(true) => {
                self.forget_half_open(key);
                self.open_passive(now, listener, (flow, start, handshake), h, arrival);
            }
            None => {
                self.forget_half_open(key);
                self.send_stray_reset(now, &flow, h, arrival.data.len());
            }
        }
    }

    /// Whether a listener can take a connection; `None` if it is closed.
    pub(super) fn has_room(&self, key: Key) -> Option<bool> {
        match &self.sockets.get(key)?.kind {
            Kind::Listener(listener) => Some(!listener.accept_full()),
            _ => None,
        }
    }

    /// Puts a connection whose handshake is done into its listener's accept queue and gives it the segment that did it.
    pub(super) fn open_passive(
        &mut self,
        now: Instant,
        listener_key: Key,
        (flow, start, handshake): (Flow, Start, Handshake),
        h: &TcpHeader,
        arrival: Arrival<'_, B>,
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
        let cx = crate::tcp::Cx {
            now,
            config: &self.config.tcp,
            stats: &mut self.stats,
            events: Readiness::NONE,
            reply: None,
            blocked: false,
            segmentation: self.config.offload.tx_segmentation_bytes,
        };
        let mut tcb = Tcb::accept(&cx, flow, start, handshake);
        tcb.accepting = Some(listener_key);
        tcb.inherit(&cx, options, send_buffer, recv_buffer);
        self.stats.tcp_passive_opens += 1;
        let key = self.sockets.insert(Entry::new(Kind::Tcp(Box::new(tcb))));
        self.flows.insert(flow, FlowOwner::Connection(key));
        if let Some(Entry {
            kind: Kind::Listener(listener),
            ..
        }) = self.sockets.get_mut(listener_key)
        {
            listener.accept.push_back(key);
        }
        self.raise(listener_key, Readiness::READABLE);
        let tos = arrival.ip.tos;
        self.with_tcb(now, key, |tcb, cx| tcb.on_segment(cx, h, arrival.data, tos));
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
        self.listeners.remove(&(*addr.ip(), addr.port()));
        for child in accept {
            self.with_tcb(now, child, |tcb, cx| {
                tcb.accepting = None;
                tcb.orphan = true;
                tcb.abort(cx);
            });
        }
    }
}
