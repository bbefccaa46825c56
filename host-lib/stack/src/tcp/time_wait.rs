//! TIME-WAIT as a small record of its own (RFC 9293 section 3.10.7.4, RFC 5961).

use core::time::Duration;

use super::input::acceptable;
use super::timestamps::{older, Timestamps};
use super::Flow;
use crate::seq::Seq;
use crate::slab::Key;
use crate::time::Instant;
use crate::wire::tcp::{Flags, TcpHeader};

/// At most one answer in this time to segments that are not acceptable.
const ANSWER_INTERVAL: Duration = Duration::from_millis(500);

/// What is remembered of a connection that has ended.
pub(crate) struct TimeWait {
    pub(crate) flow: Flow,
    pub(crate) snd_nxt: Seq,
    pub(crate) rcv_nxt: Seq,
    /// As last advertised on the wire.
    pub(crate) window: u16,
    pub(crate) timestamps: Option<Timestamps>,
    /// The program's handle, if it still holds one.
    pub(crate) socket: Option<Key>,
    pub(crate) challenge_since: Instant,
    pub(crate) until: Instant,
}

/// What to do about a segment in TIME-WAIT.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Nothing.
    Ignore,
    /// Acknowledge what was received.
    Ack,
    /// The peer sent its FIN again: acknowledge and start over with 2 MSL.
    AckAndRestart,
    /// A valid RST: forget the connection.
    Forget,
    /// A new connection of the same flow; its initial sequence number must be beyond the old.
    Reopen,
}

impl TimeWait {
    /// Judges a segment with `len` octets of text.
    pub(crate) fn on_segment(&mut self, now: Instant, h: &TcpHeader, len: usize) -> Verdict {
        let (syn, fin) = (h.flags.has(Flags::SYN), h.flags.has(Flags::FIN));
        if h.flags.has(Flags::RST) {
            // RFC 5961 section 3.2: only the exact number resets.
            return if h.seq == self.rcv_nxt {
                Verdict::Forget
            } else {
                Verdict::Ignore
            };
        }
        let stamps = self.timestamps.zip(h.timestamps);
        // RFC 6191 section 2: a greater timestamp opens the connection again; with the same, or without one, a greater
        // sequence number does.
        let newer = match stamps {
            Some((ours, theirs)) if ours.recent != theirs.value => older(ours.recent, theirs.value),
            _ => h.seq.gt(self.rcv_nxt),
        };
        if syn && !h.flags.has(Flags::ACK) && newer {
            // RFC 9293 MAY-2: it "MAY accept a new SYN from the remote TCP endpoint to reopen the connection
            // directly from TIME-WAIT state, if ... (1) assigns its initial sequence number for the new connection
            // to be larger than the largest sequence number it used on the previous connection".
            return Verdict::Reopen;
        }
        if stamps.is_some_and(|(ours, theirs)| ours.is_old(now, theirs)) {
            return self.answer(now);
        }
        let octets = len as u32 + u32::from(syn) + u32::from(fin);
        let ok = acceptable(h.seq, octets, self.rcv_nxt, u32::from(self.window));
        if fin && h.seq + len as u32 + 1 == self.rcv_nxt {
            // "The only thing that can arrive in this state is a retransmission of the remote FIN. Acknowledge it,
            // and restart the 2 MSL timeout."
            return Verdict::AckAndRestart;
        }
        if ok && octets == 0 {
            return Verdict::Ignore;
        }
        self.answer(now)
    }

    fn answer(&mut self, now: Instant) -> Verdict {
        if now - self.challenge_since < ANSWER_INTERVAL {
            return Verdict::Ignore;
        }
        self.challenge_since = now;
        Verdict::Ack
    }

    /// The acknowledgment to send.
    pub(crate) fn ack(&self, now: Instant) -> TcpHeader {
        TcpHeader {
            src_port: self.flow.local.port(),
            dst_port: self.flow.remote.port(),
            seq: self.snd_nxt,
            ack: self.rcv_nxt,
            flags: Flags::ACK,
            window: self.window,
            timestamps: self.timestamps.map(|ts| ts.option(now)),
            ..TcpHeader::default()
        }
    }
}
