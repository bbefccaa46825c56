//! The usual packet in few steps: a whole, verified, plain TCP segment for the connection that was heard last, and just what
//! that connection expected.
//!
//! Whatever is not plainly that goes the long way through IP and TCP, which comes to the same result.

use super::flows::FlowOwner;
use super::outgoing::Outgoing;
use super::socket::Kind;
use super::Stack;
use crate::packet::RxMeta;
use crate::payload::Payload;
use crate::slab::Key;
use crate::tcp::Cx;
use crate::time::Instant;
use crate::wire::plain::{self, Arrived};

impl<B: Payload> Stack<B> {
    /// Recognizes the usual packet, which has `available` bytes in all.
    #[inline]
    pub(super) fn predict(
        &self,
        now: Instant,
        meta: RxMeta,
        head: &[u8],
        available: usize,
    ) -> Option<(Key, Arrived)> {
        let (flow, FlowOwner::Connection(key)) = self.flows.last()? else {
            return None;
        };
        if !(meta.ipv4_checksum_ok && meta.l4_checksum_ok && !meta.l2_broadcast) {
            return None;
        }
        let arrived = plain::read(head, flow, available)?;
        // A connection with ourselves is not heard from outside.
        let src = *flow.remote.ip();
        if src.is_loopback() || self.config.is_local(src) {
            return None;
        }
        let Kind::Tcp(tcb) = &self.sockets.get(*key)?.kind else {
            return None;
        };
        let len = arrived.end - arrived.text;
        tcb.predicts(now, &arrived.plain, len)
            .then_some((*key, arrived))
    }

    /// Processes it.
    #[inline]
    pub(super) fn on_predicted(
        &mut self,
        now: Instant,
        (key, arrived): (Key, Arrived),
        head: &[u8],
        body: B,
    ) {
        let Some(entry) = self.sockets.get_mut(key) else {
            return;
        };
        let Kind::Tcp(tcb) = &mut entry.kind else {
            return;
        };
        self.stats.tcp_segments_in += 1;
        let in_body = arrived.end.saturating_sub(head.len());
        let body = match body.len() {
            n if n <= in_body => body,
            _ => body.slice(0..in_body),
        };
        let mut cx = Cx::new(now, &self.config, &mut self.stats);
        let text = &head[arrived.text..arrived.end.min(head.len())];
        let ack = tcb.on_predicted(&mut cx, &arrived.plain, text, body);
        let events = cx.events;
        entry
            .alarm
            .set_before(&mut self.timers, key, tcb.usual_deadline());
        if !entry.queued && tcb.has_unsent() {
            entry.queued = true;
            self.ready.push_back(key);
        }
        if !events.is_empty() {
            if entry.pending.is_empty() {
                self.events.push_back(key);
            }
            entry.pending |= events;
        }
        if let Some(ack) = ack {
            let flow = tcb.flow;
            self.push_out(Outgoing::Ack(flow, ack, key));
        }
    }
}
