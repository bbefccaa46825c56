//! A listening socket, its accept queue, and the half-open connections of its SYN queue.

use std::collections::VecDeque;
use std::net::SocketAddrV4;

use super::input::acceptable;
use super::{Flow, Handshake, DEFAULT_MSS};
use crate::config::TcpConfig;
use crate::seq::Seq;
use crate::slab::Key;
use crate::time::Instant;
use crate::wire::tcp::{Flags, TcpHeader};

/// A passive OPEN.
pub(crate) struct Listener {
    pub(crate) addr: SocketAddrV4,
    backlog: usize,
    syn_limit: usize,
    /// Half-open connections that count against `syn_limit`.
    pub(crate) half_open: usize,
    /// Connections nobody has accepted yet.
    pub(crate) accept: VecDeque<Key>,
}

impl Listener {
    pub(crate) fn new(addr: SocketAddrV4, backlog: usize, config: &TcpConfig) -> Listener {
        let backlog = backlog.min(config.max_backlog);
        Listener {
            addr,
            backlog,
            syn_limit: backlog.max(config.min_syn_queue),
            half_open: 0,
            accept: VecDeque::new(),
        }
    }

    /// As in the common kernels, the accept queue takes one more than the backlog.
    pub(crate) fn accept_full(&self) -> bool {
        self.accept.len() > self.backlog
    }

    pub(crate) fn syn_full(&self) -> bool {
        self.half_open >= self.syn_limit
    }
}

/// A connection in SYN-RECEIVED by passive open, without buffers or timers of its own.
pub(crate) struct HalfOpen {
    pub(crate) listener: Key,
    pub(crate) flow: Flow,
    iss: Seq,
    irs: Seq,
    peer_mss: u16,
    /// Ours, and the peer's if it offered scaling.
    shift: u8,
    peer_shift: Option<u8>,
    advertised_mss: u16,
    window: u16,
    pub(crate) retransmits: u8,
    pub(crate) parked: u8,
    sent_at: Instant,
    pub(crate) armed: Option<crate::timers::Timer>,
}

/// What to do about a segment for a half-open connection.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Nothing.
    Ignore,
    /// The same SYN again: the SYN-ACK was lost or late.
    Resend,
    /// Out of the window: acknowledge.
    Ack,
    /// Valid RST, or a new SYN in the window: forget it.
    Forget,
    /// An ACK of something never sent.
    Reset,
    /// The last ACK of the handshake.
    Complete,
}

impl HalfOpen {
    /// Notes a SYN and what our answer will say.
    pub(crate) fn new(
        config: &TcpConfig,
        listener: Key,
        flow: Flow,
        syn: &TcpHeader,
        iss: Seq,
        advertised_mss: u16,
        now: Instant,
    ) -> HalfOpen {
        HalfOpen {
            listener,
            flow,
            iss,
            irs: syn.seq,
            peer_mss: syn.mss.unwrap_or(DEFAULT_MSS),
            shift: super::window_shift(config.recv_buffer_bytes),
            peer_shift: syn.window_scale,
            advertised_mss,
            window: config.recv_buffer_bytes.min(65_535) as u16,
            retransmits: 0,
            parked: 0,
            sent_at: now,
            armed: None,
        }
    }

    fn header(&self, flags: Flags, seq: Seq) -> TcpHeader {
        TcpHeader {
            src_port: self.flow.local.port(),
            dst_port: self.flow.remote.port(),
            seq,
            ack: if flags.has(Flags::ACK) {
                self.irs + 1
            } else {
                Seq(0)
            },
            flags,
            window: self.window,
            mss: None,
            window_scale: None,
        }
    }

    /// "<SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>" (RFC 9293 section 3.10.7.2).
    pub(crate) fn syn_ack(&self) -> TcpHeader {
        let mut header = self.header(Flags::SYN | Flags::ACK, self.iss);
        header.mss = Some(self.advertised_mss);
        header.window_scale = self.peer_shift.map(|_| self.shift);
        header
    }

    /// "<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>"
    pub(crate) fn ack(&self) -> TcpHeader {
        let mut header = self.header(Flags::ACK, self.iss + 1);
        if self.peer_shift.is_some() {
            header.window >>= self.shift;
        }
        header
    }

    /// "<SEQ=SEG.ACK><CTL=RST>"
    pub(crate) fn reset(&self, ack: Seq) -> TcpHeader {
        self.header(Flags::RST, ack)
    }

    /// Judges a segment with `len` octets of text (RFC 9293 section 3.10.7.4, SYN-RECEIVED by passive open).
    pub(crate) fn on_segment(&self, h: &TcpHeader, len: usize) -> Verdict {
        let (syn, rst, ack) = (
            h.flags.has(Flags::SYN),
            h.flags.has(Flags::RST),
            h.flags.has(Flags::ACK),
        );
        if syn && !rst && !ack && h.seq == self.irs {
            return Verdict::Resend;
        }
        let octets = len as u32 + u32::from(syn) + u32::from(h.flags.has(Flags::FIN));
        let rcv_nxt = self.irs + 1;
        if !acceptable(h.seq, octets, rcv_nxt, u32::from(self.window)) {
            return if rst { Verdict::Ignore } else { Verdict::Ack };
        }
        if rst {
            // RFC 5961 section 3.2, as in the synchronized states.
            return if h.seq == rcv_nxt {
                Verdict::Forget
            } else {
                Verdict::Ack
            };
        }
        if syn {
            // "If the connection was initiated with a passive OPEN, then return this connection to the LISTEN state".
            return Verdict::Forget;
        }
        if !ack {
            return Verdict::Ignore;
        }
        if h.ack != self.iss + 1 {
            return Verdict::Reset;
        }
        Verdict::Complete
    }

    pub(crate) fn handshake(&self) -> Handshake {
        Handshake {
            iss: self.iss,
            irs: self.irs,
            peer_mss: self.peer_mss,
            advertised_mss: self.advertised_mss,
            shifts: self.peer_shift.map(|peer| (self.shift, peer)),
            rcv_adv: self.irs + 1 + u32::from(self.window),
            retransmitted: self.retransmits > 0,
            sent_at: self.sent_at,
        }
    }
}
