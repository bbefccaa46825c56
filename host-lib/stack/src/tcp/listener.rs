//! A listening socket, its accept queue, and the half-open connections of its SYN queue.

use std::collections::VecDeque;
use std::net::SocketAddrV4;

use super::input::acceptable;
use super::syn_cookie::Offer;
use super::timestamps::{clock, older, Timestamps};
use super::{Flow, Handshake, Start, TcpOptions, DEFAULT_MSS};
use crate::config::{Ecn, TcpConfig};
use crate::seq::Seq;
use crate::slab::Key;
use crate::time::Instant;
use crate::wire::tcp::{Flags, TcpHeader, TimestampOption};

/// A passive OPEN.
pub(crate) struct Listener {
    pub(crate) addr: SocketAddrV4,
    backlog: usize,
    syn_limit: usize,
    /// Half-open connections that count against `syn_limit`.
    pub(crate) half_open: usize,
    /// When a SYN was last answered with a cookie because the SYN queue was full.
    pub(crate) overflowed_at: Option<Instant>,
    /// Connections nobody has accepted yet.
    pub(crate) accept: VecDeque<Key>,
    /// What accepted connections begin with.
    pub(crate) options: TcpOptions,
    /// Sizes of their buffers, where the program has set them.
    pub(crate) send_buffer: Option<usize>,
    pub(crate) recv_buffer: Option<usize>,
}

impl Listener {
    pub(crate) fn new(addr: SocketAddrV4, backlog: usize, config: &TcpConfig) -> Listener {
        let backlog = backlog.min(config.max_backlog);
        Listener {
            addr,
            backlog,
            syn_limit: backlog.max(config.min_syn_queue),
            half_open: 0,
            overflowed_at: None,
            accept: VecDeque::new(),
            options: TcpOptions {
                congestion: config.congestion,
                ..TcpOptions::default()
            },
            send_buffer: None,
            recv_buffer: None,
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

/// The window a SYN-ACK advertises.
pub(crate) fn first_window(config: &TcpConfig, recv_buffer: Option<usize>) -> u16 {
    recv_buffer.unwrap_or(config.recv_buffer_bytes).min(65_535) as u16
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
    timestamp_offset: u32,
    /// TSval of the peer's SYN, if both sides use timestamps.
    timestamp: Option<u32>,
    sack_permitted: bool,
    ecn: bool,
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
        (listener, recv_buffer): (Key, Option<usize>),
        flow: Flow,
        syn: &TcpHeader,
        start: Start,
        now: Instant,
    ) -> HalfOpen {
        let ecn_setup = syn.flags.has(Flags::ECE) && syn.flags.has(Flags::CWR);
        HalfOpen {
            listener,
            flow,
            timestamp_offset: start.timestamp_offset,
            timestamp: syn
                .timestamps
                .filter(|_| config.timestamps)
                .map(|ts| ts.value),
            sack_permitted: config.sack && syn.sack_permitted,
            ecn: config.ecn != Ecn::Never && ecn_setup,
            iss: start.iss,
            irs: syn.seq,
            peer_mss: syn.mss.unwrap_or(DEFAULT_MSS),
            shift: super::window_shift(config),
            peer_shift: syn.window_scale,
            advertised_mss: start.advertised_mss,
            window: first_window(config, recv_buffer),
            retransmits: 0,
            parked: 0,
            sent_at: now,
            armed: None,
        }
    }

    fn header(&self, now: Instant, flags: Flags, seq: Seq) -> TcpHeader {
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
            timestamps: self.timestamp.map(|echo| TimestampOption {
                value: clock(now, self.timestamp_offset),
                echo,
            }),
            ..TcpHeader::default()
        }
    }

    /// "<SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>" (RFC 9293 section 3.10.7.2).
    pub(crate) fn syn_ack(&self, now: Instant) -> TcpHeader {
        let mut flags = Flags::SYN | Flags::ACK;
        if self.ecn {
            flags = flags | Flags::ECE;
        }
        let mut header = self.header(now, flags, self.iss);
        header.sack_permitted = self.sack_permitted;
        header.mss = Some(self.advertised_mss);
        header.window_scale = self.peer_shift.map(|_| self.shift);
        header
    }

    /// "<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>"
    pub(crate) fn ack(&self, now: Instant) -> TcpHeader {
        let mut header = self.header(now, Flags::ACK, self.iss + 1);
        if self.peer_shift.is_some() {
            header.window >>= self.shift;
        }
        header
    }

    /// "<SEQ=SEG.ACK><CTL=RST>"
    pub(crate) fn reset(&self, now: Instant, ack: Seq) -> TcpHeader {
        self.header(now, Flags::RST, ack)
    }

    /// Judges a segment with `len` octets of text (RFC 9293 section 3.10.7.4, SYN-RECEIVED by passive open).
    pub(crate) fn on_segment(&self, h: &TcpHeader, len: usize) -> Verdict {
        if let (Some(recent), Some(option), false) =
            (self.timestamp, h.timestamps, h.flags.has(Flags::RST))
        {
            // PAWS (RFC 7323 section 5.3).
            if older(option.value, recent) {
                return Verdict::Ack;
            }
        }
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

    /// What of the peer's SYN a cookie leaves to the timestamp.
    pub(crate) fn offer(&self) -> Offer {
        Offer {
            peer_shift: self.peer_shift,
            sack_permitted: self.sack_permitted,
            ecn: self.ecn,
        }
    }

    pub(crate) fn start(&self) -> Start {
        Start {
            iss: self.iss,
            advertised_mss: self.advertised_mss,
            timestamp_offset: self.timestamp_offset,
        }
    }

    pub(crate) fn handshake(&self) -> Handshake {
        let rcv_nxt = self.irs + 1;
        Handshake {
            irs: self.irs,
            peer_mss: self.peer_mss,
            sack_permitted: self.sack_permitted,
            timestamps: self.timestamp.map(|recent| {
                Timestamps::new(self.timestamp_offset, recent, self.sent_at, rcv_nxt)
            }),
            ecn: self.ecn,
            shifts: self.peer_shift.map(|peer| (self.shift, peer)),
            rcv_adv: rcv_nxt + u32::from(self.window),
            retransmitted: self.retransmits > 0,
            sent_at: Some(self.sent_at),
        }
    }
}
