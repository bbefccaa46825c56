//! A listening socket, its accept queue, and the half-open connections of its SYN queue.

use core::time::Duration;
use std::collections::VecDeque;
use std::net::SocketAddrV4;

use super::fresh::Sharing;
use super::input::acceptable;
use super::moment::Moment;
use super::syn_cookie::{CompactOffer, Offer};
use super::timestamps::{clock, older, Timestamps};
use super::{window_shift, Flow, Handshake, Start, TcpOptions, DEFAULT_MSS};
use crate::config::{Ecn, TcpConfig};
use crate::line::{Linked, Links};
use crate::seq::Seq;
use crate::slab::Key;
use crate::time::Instant;
use crate::wire::tcp::{Flags, TcpHeader, TimestampOption};

/// How full a listener's two queues are.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct ListenQueue {
    /// Connections that wait to be accepted.
    pub waiting: usize,
    /// Those that may wait, less one: as in the common kernels the queue takes one more.
    pub backlog: usize,
    /// Handshakes that have begun and not ended: the SYN queue.
    pub half_open: usize,
    /// Those that are remembered; beyond them SYN cookies are sent.
    pub half_open_limit: usize,
}

/// A passive OPEN.
pub(crate) struct Listener {
    pub(crate) addr: SocketAddrV4,
    backlog: usize,
    max_backlog: usize,
    min_syn_queue: usize,
    syn_limit: usize,
    /// Half-open connections that count against `syn_limit`.
    pub(crate) half_open: usize,
    /// When a SYN was last answered with a cookie because the SYN queue was full.
    pub(crate) overflowed_at: Option<Instant>,
    /// Connections nobody has accepted yet.
    pub(crate) accept: VecDeque<Key>,
    /// What accepted connections begin with.
    pub(crate) options: TcpOptions,
    /// Which ports it shares.
    pub(crate) sharing: Sharing,
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
            max_backlog: config.max_backlog,
            min_syn_queue: config.min_syn_queue,
            syn_limit: backlog.max(config.min_syn_queue),
            half_open: 0,
            overflowed_at: None,
            accept: VecDeque::new(),
            options: TcpOptions {
                congestion: config.congestion,
                ..TcpOptions::default()
            },
            sharing: Sharing::default(),
            send_buffer: None,
            recv_buffer: None,
        }
    }

    pub(crate) fn set_backlog(&mut self, backlog: usize) {
        self.backlog = backlog.min(self.max_backlog);
        self.syn_limit = self.backlog.max(self.min_syn_queue);
    }

    /// How full its two queues are.
    pub(crate) fn queue(&self) -> ListenQueue {
        ListenQueue {
            waiting: self.accept.len(),
            backlog: self.backlog,
            half_open: self.half_open,
            half_open_limit: self.syn_limit,
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

/// How long a SYN-ACK that was sent again so many times waits for its ACK (RFC 6298 section 5.5: "back off the timer").
pub(crate) fn patience(config: &TcpConfig, retransmits: u8) -> Duration {
    let backoff = 1u32 << retransmits.min(LINES as u8 - 1);
    let wait = config.initial_rto.saturating_mul(backoff);
    wait.min(config.max_rto)
        .max(config.initial_rto)
        .min(Moment::REACH)
}

/// Different times that half-open connections wait.
pub(crate) const LINES: usize = 17;

/// A connection in SYN-RECEIVED by passive open, without buffers or a timer of its own: those that wait equally long stand
/// in line. What can be told from the configuration or the flow is not kept.
pub(crate) struct HalfOpen {
    pub(crate) flow: Flow,
    pub(crate) listener: Key,
    pub(crate) links: Links,
    pub(crate) iss: Seq,
    irs: Seq,
    /// TSval of the peer's SYN, if both sides use timestamps.
    recent: u32,
    /// When the SYN-ACK was sent last.
    sent_at: Moment,
    peer_mss: u16,
    window: u16,
    offer: CompactOffer,
    has_timestamps: bool,
    pub(crate) retransmits: u8,
    /// SYN-ACKs that wait for address resolution; with any, it stands in no line.
    pub(crate) parked: u8,
}

impl Linked for HalfOpen {
    fn links(&mut self) -> &mut Links {
        &mut self.links
    }
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
        iss: Seq,
        now: Instant,
    ) -> HalfOpen {
        let ecn_setup = syn.flags.has(Flags::ECE) && syn.flags.has(Flags::CWR);
        let timestamps = syn.timestamps.filter(|_| config.timestamps);
        let offer = Offer {
            peer_shift: syn.window_scale,
            sack_permitted: config.sack && syn.sack_permitted,
            ecn: config.ecn != Ecn::Never && ecn_setup,
        };
        HalfOpen {
            flow,
            listener,
            links: Links::NONE,
            iss,
            irs: syn.seq,
            recent: timestamps.map_or(0, |ts| ts.value),
            sent_at: Moment::new(now),
            peer_mss: syn.mss.unwrap_or(DEFAULT_MSS),
            window: first_window(config, recv_buffer),
            offer: offer.into(),
            has_timestamps: timestamps.is_some(),
            retransmits: 0,
            parked: 0,
        }
    }

    /// TSval of the peer's SYN, if both sides use timestamps.
    fn timestamp(&self) -> Option<u32> {
        self.has_timestamps.then_some(self.recent)
    }

    /// The line it waits in.
    pub(crate) fn line(&self) -> u8 {
        self.retransmits.min(LINES as u8 - 1)
    }

    /// The SYN-ACK goes out, again or for the first time.
    pub(crate) fn sent(&mut self, now: Instant) {
        self.sent_at = Moment::new(now);
    }

    /// When it goes out again.
    pub(crate) fn deadline(&self, now: Instant, config: &TcpConfig) -> Instant {
        self.sent_at.instant(now) + patience(config, self.retransmits)
    }

    fn header(&self, now: Instant, start: &Start, flags: Flags, seq: Seq) -> TcpHeader {
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
            timestamps: self.timestamp().map(|echo| TimestampOption {
                value: clock(now, start.timestamp_offset),
                echo,
            }),
            ..TcpHeader::default()
        }
    }

    /// "<SEQ=ISS><ACK=RCV.NXT><CTL=SYN,ACK>" (RFC 9293 section 3.10.7.2).
    pub(crate) fn syn_ack(&self, now: Instant, config: &TcpConfig, start: &Start) -> TcpHeader {
        let offer = self.offer();
        let mut flags = Flags::SYN | Flags::ACK;
        if offer.ecn {
            flags = flags | Flags::ECE;
        }
        let mut header = self.header(now, start, flags, self.iss);
        header.sack_permitted = offer.sack_permitted;
        header.mss = Some(start.advertised_mss);
        header.window_scale = offer.peer_shift.map(|_| window_shift(config));
        header
    }

    /// "<SEQ=SND.NXT><ACK=RCV.NXT><CTL=ACK>"
    pub(crate) fn ack(&self, now: Instant, config: &TcpConfig, start: &Start) -> TcpHeader {
        let mut header = self.header(now, start, Flags::ACK, self.iss + 1);
        if self.offer().peer_shift.is_some() {
            header.window >>= window_shift(config);
        }
        header
    }

    /// "<SEQ=SEG.ACK><CTL=RST>"
    pub(crate) fn reset(&self, now: Instant, start: &Start, ack: Seq) -> TcpHeader {
        self.header(now, start, Flags::RST, ack)
    }

    /// Judges a segment with `len` octets of text (RFC 9293 section 3.10.7.4, SYN-RECEIVED by passive open).
    pub(crate) fn on_segment(&self, h: &TcpHeader, len: usize) -> Verdict {
        if let (Some(recent), false) = (self.timestamp(), h.flags.has(Flags::RST)) {
            // RFC 7323 section 3.2: "If a non-<RST> segment is received without a TSopt, a TCP SHOULD silently drop the segment."
            // A connection made by one would drop it too, and so never open.
            let Some(option) = h.timestamps else {
                return Verdict::Ignore;
            };
            // PAWS (section 5.3).
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
        self.offer.into()
    }

    /// What the two sides agreed on.
    pub(crate) fn handshake(&self, now: Instant, config: &TcpConfig, start: &Start) -> Handshake {
        let rcv_nxt = self.irs + 1;
        let offer = self.offer();
        let sent_at = self.sent_at.instant(now);
        Handshake {
            irs: self.irs,
            peer_mss: self.peer_mss,
            sack_permitted: offer.sack_permitted,
            timestamps: self
                .timestamp()
                .map(|recent| Timestamps::new(start.timestamp_offset, recent, sent_at, rcv_nxt)),
            ecn: offer.ecn,
            shifts: offer.peer_shift.map(|peer| (window_shift(config), peer)),
            rcv_adv: rcv_nxt + u32::from(self.window),
            retransmitted: self.retransmits > 0,
            sent_at: Some(sent_at),
        }
    }
}
