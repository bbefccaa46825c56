//! A TCP segment finds its connection, half-open entry, TIME-WAIT record or listener, in that order.

use std::net::SocketAddrV4;

use super::ip_input::Arrival;
use super::outgoing::Outgoing;
use super::socket::{Entry, Kind};
use super::{After, FlowOwner, Stack};
use crate::ip::params::{IpParams, Marks};
use crate::packet::{Owner, Token, TxPacket};
use crate::payload::Payload;
use crate::rope::Rope;
use crate::seq::Seq;
use crate::slab::Key;
use crate::tcp::{Flow, TcpState, ECT0};
use crate::time::Instant;
use crate::wire::tcp::{Flags, TcpHeader};

impl<B: Payload> Stack<B> {
    pub(super) fn tcp_input(&mut self, now: Instant, arrival: &mut Arrival<'_, B>) {
        let mut header = TcpHeader::default();
        let Some(header_len) = header.read(arrival.data.head) else {
            self.stats.dropped_malformed += 1;
            return;
        };
        // RFC 9293 MUST-57: "a TCP implementation MUST silently discard an incoming SYN segment that is addressed to
        // a broadcast or multicast address"; nothing else can be valid there either.
        if arrival.to_many {
            self.stats.dropped_address += 1;
            return;
        }
        // MUST-3: "the receiver MUST check" the checksum.
        if !arrival.transport_intact() {
            self.stats.dropped_checksum += 1;
            return;
        }
        self.stats.tcp_segments_in += 1;
        arrival.data.trim_front(header_len);
        let flow = Flow {
            local: SocketAddrV4::new(arrival.ip.dst, header.dst_port),
            remote: SocketAddrV4::new(arrival.ip.src, header.src_port),
        };
        match self.flow_owner(&flow) {
            Some(FlowOwner::Connection(key)) => {
                let tos = arrival.ip.tos;
                self.with_tcb(now, key, |tcb, cx| {
                    tcb.on_segment(cx, &mut header, &mut arrival.data, tos)
                });
            }
            Some(FlowOwner::HalfOpen(key)) => self.half_open_input(now, key, &header, arrival),
            Some(FlowOwner::TimeWait(key)) => self.time_wait_input(now, key, &header, arrival),
            None => self.closed_or_listen(now, flow, &header, arrival, None),
        }
    }

    /// RFC 9293 section 3.10.7.1: "If the ACK bit is off, sequence number zero is used, <SEQ=0><ACK=SEG.SEQ+SEG.LEN>
    /// <CTL=RST,ACK>. If the ACK bit is on, <SEQ=SEG.ACK><CTL=RST>."
    pub(super) fn send_stray_reset(
        &mut self,
        now: Instant,
        flow: &Flow,
        h: &TcpHeader,
        len: usize,
    ) {
        if !self.error_limit.allow(now) {
            self.stats.rate_limited += 1;
            return;
        }
        let octets =
            len as u32 + u32::from(h.flags.has(Flags::SYN)) + u32::from(h.flags.has(Flags::FIN));
        let (seq, ack, flags) = match h.flags.has(Flags::ACK) {
            true => (h.ack, Seq(0), Flags::RST),
            false => (Seq(0), h.seq + octets, Flags::RST | Flags::ACK),
        };
        let header = TcpHeader {
            src_port: flow.local.port(),
            dst_port: flow.remote.port(),
            seq,
            ack,
            flags,
            ..TcpHeader::default()
        };
        self.reply(flow, &header, Token::NOBODY, Marks::default());
    }

    pub(super) fn reply(&mut self, flow: &Flow, header: &TcpHeader, token: Token, marks: Marks) {
        if header.flags.has(Flags::RST) {
            self.stats.tcp_resets_out += 1;
        }
        let params = IpParams::of(marks, self.config.ttl);
        let mut packet = Box::default();
        let no_text = (&mut Rope::default(), 0);
        self.tcp_packet(flow, header, no_text, token, params, &mut packet);
        self.push_out(Outgoing::Packet(packet));
    }

    /// Makes `to` the next segment of a connection whose turn it is; false if it has none.
    #[inline]
    pub(super) fn next_segment(&mut self, now: Instant, key: Key, to: &mut TxPacket<B>) -> bool {
        let token = Token(Owner::Socket(key));
        let mut segment = None;
        let from = self.with_tcb(now, key, |tcb, cx| {
            segment = tcb.poll_transmit(cx);
            (tcb.flow, tcb.options.marks())
        });
        let (Some((flow, mut marks)), Some(segment)) = (from, &mut segment) else {
            return false;
        };
        if segment.ect {
            marks.tos |= ECT0;
        }
        let params = IpParams::of(marks, self.config.ttl);
        let text = (&mut segment.payload, segment.segment_bytes);
        self.tcp_packet(&flow, &segment.header, text, token, params, to);
        true
    }

    /// After anything happened to a connection: its reply, its place in the tables, its timer, its turn, its events.
    pub(super) fn settle(&mut self, now: Instant, key: Key, after: After<'_>) {
        let Some(Entry {
            kind: Kind::Tcp(tcb),
            ..
        }) = self.sockets.get_mut(key)
        else {
            return;
        };
        let (flow, state, marks) = (tcb.flow, tcb.state, tcb.options.marks());
        let owner = FlowOwner::Connection(key);
        let mut last_ack = None;
        if state == TcpState::Closed {
            self.flows.remove(&flow, owner);
        } else if state == TcpState::TimeWait && self.flows.is_of(&flow, owner) {
            last_ack = tcb.take_ack(now);
            let record = tcb.time_wait(now, (!tcb.orphan).then_some(key));
            tcb.leave_timers();
            if self.time_wait.len() < self.config.tcp.max_time_wait {
                self.begin_time_wait(now, record, owner);
            } else {
                tcb.state = TcpState::Closed;
                self.flows.remove(&flow, owner);
            }
        }
        let Some(entry) = self.sockets.get_mut(key) else {
            return;
        };
        let Kind::Tcp(tcb) = &mut entry.kind else {
            return;
        };
        let ended = tcb.orphan && matches!(tcb.state, TcpState::Closed | TcpState::TimeWait);
        if ended {
            entry.alarm.set(&mut self.timers, key, None);
            self.sockets.remove(key);
        } else {
            let ready = !after.blocked && tcb.wants_transmit();
            entry.alarm.set(&mut self.timers, key, tcb.deadline());
            self.raise(key, after.events);
            if ready {
                self.make_ready(key);
            }
        }
        for header in [last_ack.as_ref(), after.reply].into_iter().flatten() {
            self.send_reply(&flow, key, header, marks);
        }
    }
}
