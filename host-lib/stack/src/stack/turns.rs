//! Whose turn it is to send, what is to be reported, and what follows when something was done to a connection.

use super::outgoing::Outgoing;
use super::socket::{is_handed_out, Kind};
use super::Stack;
use crate::ip::params::Marks;
use crate::packet::{Owner, Token};
use crate::payload::Payload;
use crate::readiness::Readiness;
use crate::slab::Key;
use crate::tcp::{Cx, Flow, Tcb, TcpState};
use crate::time::Instant;
use crate::wire::plain::Plain;
use crate::wire::tcp::TcpHeader;

/// What an operation on a connection left to be done.
#[derive(Copy, Clone)]
pub(super) struct After<'a> {
    pub(super) events: Readiness,
    pub(super) reply: Option<&'a TcpHeader>,
    pub(super) blocked: bool,
}

/// What it is the turn of.
pub(super) enum Turn {
    Segment,
    Datagram,
    Ping,
}

impl<B: Payload> Stack<B> {
    /// What a socket that has left the queue of those with something to send may now send.
    #[inline]
    pub(super) fn kind_in_turn(&mut self, key: Key) -> Option<Turn> {
        let entry = self.sockets.get_mut(key)?;
        entry.queued = false;
        match &entry.kind {
            Kind::Tcp(_) => Some(Turn::Segment),
            Kind::Udp(_) => Some(Turn::Datagram),
            Kind::Ping(_) => Some(Turn::Ping),
            Kind::Listener(_) | Kind::Fresh(_) => None,
        }
    }

    pub(super) fn make_ready(&mut self, key: Key) {
        if let Some(entry) = self.sockets.get_mut(key) {
            if !entry.queued {
                entry.queued = true;
                self.ready.push_back(key);
            }
        }
    }

    pub(super) fn raise(&mut self, key: Key, events: Readiness) {
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
    #[inline]
    pub(super) fn with_tcb<R>(
        &mut self,
        now: Instant,
        key: Key,
        f: impl FnOnce(&mut Tcb<B>, &mut Cx<'_>) -> R,
    ) -> Option<R> {
        let tcb = self.sockets.get_mut(key)?.connection()?;
        let mut reply = None;
        let mut cx = Cx::new(now, &self.config, &mut self.stats, &mut reply);
        let result = f(tcb, &mut cx);
        let (events, blocked) = (cx.events, cx.blocked);
        let after = After {
            events,
            reply: reply.as_ref(),
            blocked,
        };
        self.follow_up(now, key, after);
        Some(result)
    }

    /// The consequences of something that was done to a connection. They are the same for all that can be done: the code is
    /// there once, as a connection's whole life, from its SYN to TIME-WAIT, passes through here again and again.
    #[inline(never)]
    fn follow_up(&mut self, now: Instant, key: Key, after: After<'_>) {
        let Some(entry) = self.sockets.get_mut(key) else {
            return;
        };
        let Kind::Tcp(tcb) = &mut entry.kind else {
            return;
        };
        tcb.end_burst();
        tcb.usual = tcb.is_usual();
        if matches!(tcb.state, TcpState::Closed | TcpState::TimeWait) {
            return self.settle(now, key, after);
        }
        // What settle() does for a connection that goes on, without looking it up again.
        let deadline = tcb.deadline();
        entry.alarm.set(&mut self.timers, key, deadline);
        if !entry.queued && !after.blocked && tcb.wants_transmit() {
            entry.queued = true;
            self.ready.push_back(key);
        }
        if !after.events.is_empty() && is_handed_out(tcb) {
            if entry.pending.is_empty() {
                self.events.push_back(key);
            }
            entry.pending |= after.events;
        }
        if let Some(header) = after.reply {
            let (flow, marks) = (tcb.flow, tcb.options.marks());
            self.send_reply(&flow, key, header, marks);
        }
    }

    /// Sends a segment without text of the connection `key` right away.
    pub(super) fn send_reply(&mut self, flow: &Flow, key: Key, header: &TcpHeader, marks: Marks) {
        match Plain::of(header) {
            Some(ack) if !self.toward(*flow.remote.ip()).is_local => {
                self.push_out(Outgoing::Ack(*flow, key, ack, marks));
            }
            _ => self.reply(flow, header, Token(Owner::Socket(key)), marks),
        }
    }
}
