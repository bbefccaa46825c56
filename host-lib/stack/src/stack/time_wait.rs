//! Records in TIME-WAIT, in the order in which they end.

use super::ip_input::Arrival;
use super::socket::{Entry, Kind};
use super::{FlowOwner, Stack, TimerKey};
use crate::ip::params::Marks;
use crate::packet::Token;
use crate::payload::Payload;
use crate::slab::Key;
use crate::tcp::time_wait::{TimeWait, Verdict};
use crate::tcp::TcpState;
use crate::time::Instant;
use crate::wire::tcp::TcpHeader;

impl<B: Payload> Stack<B> {
    /// A connection has ended; its flow is `from`'s still.
    pub(super) fn begin_time_wait(&mut self, now: Instant, record: TimeWait, from: FlowOwner) {
        let flow = record.flow;
        let key = self.time_wait.insert(record);
        self.flows.pass(&flow, from, FlowOwner::TimeWait(key));
        self.time_wait_line.push(&mut self.time_wait, key.index);
        self.time_time_wait(now);
    }

    /// The line's timer is its first record's.
    fn time_time_wait(&mut self, now: Instant) {
        let line = &mut self.time_wait_line;
        let first = line.first().and_then(|i| self.time_wait.at_mut(i));
        let deadline = first.map(|record| record.deadline(now, &self.config.tcp));
        self.timers
            .set(TimerKey::TimeWait, &mut line.armed, deadline);
    }

    /// The time of the first record is over, and perhaps that of those behind it.
    pub(super) fn on_time_wait_timer(&mut self, now: Instant) {
        self.time_wait_line.armed = None;
        while let Some(index) = self.time_wait_line.first() {
            let due = self.time_wait.at_mut(index);
            if due.is_none_or(|record| record.deadline(now, &self.config.tcp) > now) {
                break;
            }
            if let Some(key) = self.time_wait.key_at(index) {
                self.end_time_wait(now, key);
            }
        }
        self.time_time_wait(now);
    }

    pub(super) fn time_wait_input(
        &mut self,
        now: Instant,
        key: Key,
        h: &TcpHeader,
        arrival: &mut Arrival<'_, B>,
    ) {
        let Some(record) = self.time_wait.get_mut(key) else {
            return;
        };
        let flow = record.flow;
        let offset = self.secrets.timestamp_offset(&flow);
        match record.on_segment(now, h, arrival.data.len()) {
            Verdict::Ignore => {}
            Verdict::Ack => {
                let header = record.ack(now, offset);
                self.reply(&flow, &header, Token::NOBODY, Marks::default());
            }
            Verdict::AckAndRestart => {
                record.restart(now);
                let header = record.ack(now, offset);
                self.time_wait_line.remove(&mut self.time_wait, key.index);
                self.time_wait_line.push(&mut self.time_wait, key.index);
                self.time_time_wait(now);
                self.reply(&flow, &header, Token::NOBODY, Marks::default());
            }
            Verdict::Forget => self.end_time_wait(now, key),
            Verdict::Reopen => {
                let (last, ack) = (record.snd_nxt, record.ack(now, offset));
                if self.listener_for(&flow).is_none() {
                    self.reply(&flow, &ack, Token::NOBODY, Marks::default());
                    return;
                }
                self.end_time_wait(now, key);
                self.closed_or_listen(now, flow, h, arrival, Some(last));
            }
        }
    }

    pub(super) fn end_time_wait(&mut self, now: Instant, key: Key) {
        self.time_wait_line.remove(&mut self.time_wait, key.index);
        let Some(record) = self.time_wait.remove(key) else {
            return;
        };
        self.time_time_wait(now);
        self.flows.remove(&record.flow, FlowOwner::TimeWait(key));
        if let Some(Entry {
            kind: Kind::Tcp(tcb),
            ..
        }) = record.socket.and_then(|s| self.sockets.get_mut(s))
        {
            tcb.state = TcpState::Closed;
        }
    }
}
