//! The SYN queue: half-open connections in lines by how often their SYN-ACK went out, for those wait equally long.

use super::ip_input::Arrival;
use super::socket::{Entry, Kind};
use super::{FlowOwner, Stack, TimerKey};
use crate::ip::params::Marks;
use crate::packet::{Owner, Token};
use crate::payload::Payload;
use crate::slab::Key;
use crate::tcp::listener::{self, HalfOpen};
use crate::time::Instant;
use crate::wire::tcp::TcpHeader;

impl<B: Payload> Stack<B> {
    /// A SYN was taken: answers it.
    pub(super) fn add_half_open(&mut self, now: Instant, entry: HalfOpen) {
        let flow = entry.flow;
        let key = self.half_open.insert(entry);
        self.own_flow(&flow, FlowOwner::HalfOpen(key));
        self.send_syn_ack(now, key);
    }

    /// Sends the SYN-ACK of an entry that stands in no line, which then waits for its ACK.
    fn send_syn_ack(&mut self, now: Instant, key: Key) {
        self.line_up(now, key);
        let Some(entry) = self.half_open.get(key) else {
            return;
        };
        let flow = entry.flow;
        let start = self.tcp_start(&flow, entry.iss);
        let header = entry.syn_ack(now, &self.config.tcp, &start);
        let marks = self.listener_marks(entry.listener);
        self.reply(&flow, &header, Token(Owner::HalfOpen(key)), marks);
    }

    /// What a listener's packets carry, as those of its connections will.
    pub(super) fn listener_marks(&self, listener: Key) -> Marks {
        match self.sockets.get(listener).map(|entry| &entry.kind) {
            Some(Kind::Listener(listener)) => listener.options.marks(),
            _ => Marks::default(),
        }
    }

    /// The entry's time begins now.
    fn line_up(&mut self, now: Instant, key: Key) {
        let Some(entry) = self.half_open.get_mut(key) else {
            return;
        };
        entry.sent(now);
        let line = entry.line();
        self.half_open_lines[usize::from(line)].push(&mut self.half_open, key.index);
        self.time_line(now, line);
    }

    /// Its time stops, unless it stood still already.
    fn leave_line(&mut self, now: Instant, key: Key) {
        let Some(entry) = self.half_open.get(key).filter(|e| e.parked == 0) else {
            return;
        };
        let line = entry.line();
        self.half_open_lines[usize::from(line)].remove(&mut self.half_open, key.index);
        self.time_line(now, line);
    }

    /// A line's timer is its first entry's.
    fn time_line(&mut self, now: Instant, number: u8) {
        let line = &mut self.half_open_lines[usize::from(number)];
        let first = line.first().and_then(|i| self.half_open.at_mut(i));
        let deadline = first.map(|entry| entry.deadline(now, &self.config.tcp));
        self.timers
            .set(TimerKey::HalfOpen(number), &mut line.armed, deadline);
    }

    /// The time of a line's first entry has come, and perhaps that of those behind it.
    pub(super) fn on_half_open_timer(&mut self, now: Instant, number: u8) {
        self.half_open_lines[usize::from(number)].armed = None;
        while let Some(index) = self.half_open_lines[usize::from(number)].first() {
            let due = self.half_open.at_mut(index);
            if due.is_none_or(|entry| entry.deadline(now, &self.config.tcp) > now) {
                break;
            }
            if let Some(key) = self.half_open.key_at(index) {
                self.on_half_open_timeout(now, key);
            }
        }
        self.time_line(now, number);
    }

    fn on_half_open_timeout(&mut self, now: Instant, key: Key) {
        let Some(entry) = self.half_open.get(key) else {
            return;
        };
        let spent = entry.retransmits >= self.config.tcp.max_syn_ack_retransmits;
        if spent || self.has_room(entry.listener).is_none() {
            self.forget_half_open(now, key);
            return;
        }
        self.leave_line(now, key);
        if let Some(entry) = self.half_open.get_mut(key) {
            entry.retransmits += 1;
        }
        self.stats.tcp_retransmits += 1;
        self.stats.tcp_timeouts += 1;
        self.send_syn_ack(now, key);
    }

    /// Takes the entry out of every table, its listener's count included.
    pub(super) fn forget_half_open(&mut self, now: Instant, key: Key) {
        if let Some(entry) = self.half_open.get(key) {
            self.flows.remove(&entry.flow, FlowOwner::HalfOpen(key));
        }
        self.drop_half_open(now, key);
    }

    /// Takes out an entry whose flow is another's by now.
    pub(super) fn drop_half_open(&mut self, now: Instant, key: Key) {
        self.leave_line(now, key);
        let Some(entry) = self.half_open.remove(key) else {
            return;
        };
        if let Some(Entry {
            kind: Kind::Listener(listener),
            ..
        }) = self.sockets.get_mut(entry.listener)
        {
            listener.half_open -= 1;
        }
    }

    /// A SYN-ACK waits for address resolution: that is no loss.
    pub(super) fn park_half_open(&mut self, now: Instant, key: Key) {
        self.leave_line(now, key);
        if let Some(entry) = self.half_open.get_mut(key) {
            entry.parked = entry.parked.saturating_add(1);
        }
    }

    pub(super) fn release_half_open(&mut self, now: Instant, key: Key) {
        let Some(entry) = self.half_open.get_mut(key).filter(|e| e.parked > 0) else {
            return;
        };
        entry.parked -= 1;
        if entry.parked == 0 {
            self.line_up(now, key);
        }
    }

    pub(super) fn half_open_input(
        &mut self,
        now: Instant,
        key: Key,
        h: &TcpHeader,
        arrival: &mut Arrival<'_, B>,
    ) {
        let Some(entry) = self.half_open.get(key) else {
            return;
        };
        let verdict = entry.on_segment(h, arrival.data.len());
        if verdict == listener::Verdict::Complete {
            return self.complete(now, key, h, arrival);
        }
        let (flow, config) = (entry.flow, &self.config.tcp);
        let marks = self.listener_marks(entry.listener);
        let start = self.tcp_start(&flow, entry.iss);
        match verdict {
            listener::Verdict::Ignore | listener::Verdict::Complete => {}
            listener::Verdict::Resend => {
                // Not a retransmission of ours by timer, but the answer can no longer be timed.
                let header = entry.syn_ack(now, config, &start);
                self.reply(&flow, &header, Token(Owner::HalfOpen(key)), marks);
            }
            listener::Verdict::Ack => {
                let header = entry.ack(now, config, &start);
                if self.error_limit.allow(now) {
                    self.stats.tcp_challenge_acks += 1;
                    self.reply(&flow, &header, Token::NOBODY, marks);
                } else {
                    self.stats.rate_limited += 1;
                }
            }
            listener::Verdict::Reset => {
                let header = entry.reset(now, &start, h.ack);
                self.reply(&flow, &header, Token::NOBODY, marks);
            }
            listener::Verdict::Forget => {
                self.forget_half_open(now, key);
            }
        }
    }

    /// The last ACK of a handshake: the entry becomes a connection, if the accept queue has room.
    fn complete(&mut self, now: Instant, key: Key, h: &TcpHeader, arrival: &mut Arrival<'_, B>) {
        let Some(entry) = self.half_open.get(key) else {
            return;
        };
        let (flow, listener) = (entry.flow, entry.listener);
        let start = self.tcp_start(&flow, entry.iss);
        let handshake = entry.handshake(now, &self.config.tcp, &start);
        match self.has_room(listener) {
            // Ignored, without RST: the SYN-ACK goes out again later and its ACK may find room.
            Some(false) => self.stats.dropped_accept_queue_full += 1,
            Some(true) => {
                let made = (flow, start, handshake);
                self.open_passive(now, listener, made, h, arrival, Some(key));
            }
            None => {
                self.forget_half_open(now, key);
                self.send_stray_reset(now, &flow, h, arrival.data.len());
            }
        }
    }
}
