//! TIME-WAIT as a small record of its own (RFC 9293 section 3.10.7.4, RFC 5961).

use core::time::Duration;

use super::input::acceptable;
use super::moment::Moment;
use super::timestamps::{clock, older};
use super::Flow;
use crate::config::TcpConfig;
use crate::line::{Linked, Links};
use crate::seq::Seq;
use crate::slab::Key;
use crate::time::Instant;
use crate::wire::tcp::{Flags, TcpHeader, TimestampOption};

/// At most one answer in this time to segments that are not acceptable.
const ANSWER_INTERVAL: Duration = Duration::from_millis(500);

/// RFC 6191 needs our timestamps to have grown: a tick would do, Linux waits as long (`tcp_tw_reuse`).
const REUSE_AFTER: Duration = Duration::from_secs(1);

/// What is remembered of a connection that has ended. All wait equally long, in line, and so need no timers of their own.
pub(crate) struct TimeWait {
    pub(crate) flow: Flow,
    /// The program's handle, if it still holds one.
    pub(crate) socket: Option<Key>,
    pub(crate) links: Links,
    pub(crate) snd_nxt: Seq,
    rcv_nxt: Seq,
    /// TS.Recent, if both sides use timestamps.
    recent: u32,
    since: Moment,
    challenge_since: Moment,
    /// As last advertised on the wire.
    window: u16,
    has_timestamps: bool,
}

impl Linked for TimeWait {
    fn links(&mut self) -> &mut Links {
        &mut self.links
    }
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
    /// Begins to wait. The numbers are SND.NXT and RCV.NXT.
    pub(crate) fn new(
        now: Instant,
        (flow, snd_nxt, rcv_nxt): (Flow, Seq, Seq),
        window: u16,
        recent: Option<u32>,
        socket: Option<Key>,
        challenge_since: Instant,
    ) -> TimeWait {
        TimeWait {
            flow,
            socket,
            links: Links::NONE,
            snd_nxt,
            rcv_nxt,
            recent: recent.unwrap_or(0),
            since: Moment::new(now),
            challenge_since: Moment::new(challenge_since.max(now - ANSWER_INTERVAL)),
            window,
            has_timestamps: recent.is_some(),
        }
    }

    /// Waits as long again.
    pub(crate) fn restart(&mut self, now: Instant) {
        self.since = Moment::new(now);
    }

    /// When it is over.
    pub(crate) fn deadline(&self, now: Instant, config: &TcpConfig) -> Instant {
        self.since.instant(now) + (2 * config.msl).min(Moment::REACH)
    }

    /// True if a connection of our own making may take the flow over: by its timestamps the peer tells it from the old one
    /// (RFC 6191 section 2).
    pub(crate) fn can_be_reused(&self, now: Instant) -> bool {
        self.has_timestamps && now - self.since.instant(now) >= REUSE_AFTER
    }

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
        let stamps = h
            .timestamps
            .filter(|_| self.has_timestamps)
            .map(|ts| ts.value);
        // RFC 6191 section 2: a greater timestamp opens the connection again; with the same, or without one, a greater
        // sequence number does.
        let newer = match stamps {
            Some(value) if value != self.recent => older(self.recent, value),
            _ => h.seq.gt(self.rcv_nxt),
        };
        if syn && !h.flags.has(Flags::ACK) && newer {
            // RFC 9293 MAY-2: it "MAY accept a new SYN from the remote TCP endpoint to reopen the connection
            // directly from TIME-WAIT state, if ... (1) assigns its initial sequence number for the new connection
            // to be larger than the largest sequence number it used on the previous connection".
            return Verdict::Reopen;
        }
        if stamps.is_some_and(|value| older(value, self.recent)) {
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
        if now - self.challenge_since.instant(now) < ANSWER_INTERVAL {
            return Verdict::Ignore;
        }
        self.challenge_since = Moment::new(now);
        Verdict::Ack
    }

    /// The acknowledgment to send.
    pub(crate) fn ack(&self, now: Instant, timestamp_offset: u32) -> TcpHeader {
        TcpHeader {
            src_port: self.flow.local.port(),
            dst_port: self.flow.remote.port(),
            seq: self.snd_nxt,
            ack: self.rcv_nxt,
            flags: Flags::ACK,
            window: self.window,
            timestamps: self.has_timestamps.then(|| TimestampOption {
                value: clock(now, timestamp_offset),
                echo: self.recent,
            }),
            ..TcpHeader::default()
        }
    }
}
