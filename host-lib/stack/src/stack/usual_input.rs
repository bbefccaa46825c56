//! The usual packet in few steps: a whole, verified, plain TCP segment that is just what its connection expected.
//!
//! Whatever is not plainly that goes the long way through IP and TCP, which comes to the same result.

use super::flows::FlowOwner;
use super::outgoing::Outgoing;
use super::socket::Kind;
use super::Stack;
use crate::packet::RxMeta;
use crate::payload::Payload;
use crate::tcp::Cx;
use crate::time::Instant;
use crate::wire::plain;

impl<B: Payload> Stack<B> {
    /// Takes the packet, if it is the usual one; gives its body back if it is not.
    #[inline]
    pub(super) fn on_usual_packet(
        &mut self,
        now: Instant,
        meta: RxMeta,
        head: &[u8],
        body: B,
    ) -> Result<(), B> {
        #[cfg(test)]
        if self.short_way.shut {
            return Err(body);
        }
        if !(meta.ipv4_checksum_ok && meta.l4_checksum_ok && !meta.l2_broadcast) {
            return Err(body);
        }
        let Some(arrived) = plain::read(head, head.len() + body.len()) else {
            return Err(body);
        };
        let Some(FlowOwner::Connection(key)) = self.owner_of(&arrived.ends) else {
            return Err(body);
        };
        // A connection with ourselves is not heard from outside, and none at an address that we no longer have or that has
        // become everyone's.
        if !self.hears(arrived.ends.source(), arrived.ends.destination()) {
            return Err(body);
        }
        let Some(entry) = self.sockets.get_mut(key) else {
            return Err(body);
        };
        let Kind::Tcp(tcb) = &mut entry.kind else {
            return Err(body);
        };
        tcb.use_after(&mut self.recent, key);
        if !tcb.predicts(now, &arrived.plain, arrived.end - arrived.text) {
            return Err(body);
        }
        #[cfg(test)]
        self.short_way.note_in();
        self.stats.tcp_segments_in += 1;
        let in_body = arrived.end.saturating_sub(head.len());
        let body = match body.len() {
            n if n <= in_body => body,
            _ => body.slice(0..in_body),
        };
        let mut reply = None;
        let mut cx = Cx::new(now, &self.config, &mut self.stats, &mut reply);
        let text = &head[arrived.text..arrived.end.min(head.len())];
        let una = tcb.una();
        let ack = tcb.on_predicted(&mut cx, &arrived.plain, text, body);
        let events = cx.events;
        // Text alone moves no deadline but that of its own ACK.
        let deadline = match tcb.una() == una {
            true => tcb.ack_deadline(),
            false => tcb.usual_deadline(),
        };
        entry.alarm.set_before(&mut self.timers, key, deadline);
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
            let (flow, marks) = (tcb.flow, tcb.options.marks());
            self.push_out(Outgoing::Ack(flow, key, ack, marks));
        }
        Ok(())
    }
}
