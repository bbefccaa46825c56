//! One TCP connection (RFC 9293): its state, and the parts that act on it.

mod api;
pub use api::Shutdown;
pub(crate) mod congestion;
mod handles;
mod icmp;
mod input;
pub(crate) mod listener;
mod output;
pub(crate) use output::Segment;
pub(crate) mod reassembler;
pub(crate) mod recv_buffer;
pub(crate) mod rto;
pub(crate) mod secrets;
pub(crate) mod send_buffer;
pub(crate) mod time_wait;
mod timer;

use core::hash::{Hash, Hasher};
use core::time::Duration;
use std::net::SocketAddrV4;

use crate::config::TcpConfig;
use crate::error::Error;
use crate::payload::Payload;
use crate::readiness::Readiness;
use crate::seq::Seq;
use crate::stats::Stats;
use crate::time::Instant;
use crate::wire::tcp::{Flags, TcpHeader};
use congestion::{CongestionControl, NewReno};
use reassembler::Reassembler;
use recv_buffer::RecvBuffer;
use rto::RtoEstimator;
use send_buffer::SendBuffer;

/// RFC 9293 MUST-15: "If an MSS Option is not received at connection setup, TCP implementations MUST assume a
/// default send MSS of 536".
pub(crate) const DEFAULT_MSS: u16 = 536;
/// A peer's MSS below this is raised to it, so that a hostile one cannot ask for a packet per byte.
pub(crate) const MIN_MSS: u16 = 48;

/// The two ends of a connection.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Flow {
    pub(crate) local: SocketAddrV4,
    pub(crate) remote: SocketAddrV4,
}

impl Flow {
    /// Addresses, then ports, as two words.
    pub(crate) fn words(&self) -> [u64; 2] {
        let (l, r) = (self.local, self.remote);
        [
            u64::from(u32::from(*l.ip())) << 32 | u64::from(u32::from(*r.ip())),
            u64::from(l.port()) << 16 | u64::from(r.port()),
        ]
    }
}

impl Hash for Flow {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b] = self.words();
        state.write_u64(a);
        state.write_u32(b as u32);
    }
}

/// A connection's state (RFC 9293 section 3.3.2).
#[derive(Copy, Clone, PartialEq, Eq, Debug, Hash)]
pub enum TcpState {
    /// No connection.
    Closed,
    /// Waiting for a connection request.
    Listen,
    /// Waiting for a matching request after having sent one.
    SynSent,
    /// Waiting for the request's acknowledgment after having received and sent one.
    SynReceived,
    /// Open; data flows both ways.
    Established,
    /// We closed; waiting for the peer's FIN or the acknowledgment of ours.
    FinWait1,
    /// We closed and that is acknowledged; waiting for the peer's FIN.
    FinWait2,
    /// The peer closed; waiting for the program to close.
    CloseWait,
    /// Both closed at once; waiting for the acknowledgment of our FIN.
    Closing,
    /// The peer closed, then we; waiting for the acknowledgment of our FIN.
    LastAck,
    /// Both closed; waiting until no old segment can be about.
    TimeWait,
}

impl TcpState {
    /// Both sides' SYNs are acknowledged.
    pub(crate) fn is_synchronized(self) -> bool {
        !matches!(
            self,
            TcpState::Closed | TcpState::Listen | TcpState::SynSent | TcpState::SynReceived
        )
    }
}

/// What an operation on a connection may use, and where it leaves what follows from it.
pub(crate) struct Cx<'a> {
    pub(crate) now: Instant,
    pub(crate) config: &'a TcpConfig,
    pub(crate) stats: &'a mut Stats,
    /// Changes to report to the program.
    pub(crate) events: Readiness,
    /// A segment without data to send right away.
    pub(crate) reply: Option<TcpHeader>,
    /// Nothing more can be sent until something happens.
    pub(crate) blocked: bool,
}

/// Transmission control block. Sequence variables carry their RFC 9293 section 3.3.1 names.
///
/// ```text
///      acknowledged     in flight      may be sent     not yet
///   ----------------|--------------|--------------|-------------
///                SND.UNA        SND.NXT    SND.UNA+SND.WND
/// ```
///
/// SND.NXT goes back to SND.UNA when the retransmission timer runs out; `snd_max` is the highest it ever was.
pub(crate) struct Tcb<B> {
    pub(crate) flow: Flow,
    pub(crate) state: TcpState,
    /// The listener whose accept queue the connection waits in.
    pub(crate) accepting: Option<crate::slab::Key>,
    /// The program has closed its handle.
    pub(crate) orphan: bool,
    error: Option<Error>,
    soft_error: Option<Error>,

    iss: Seq,
    snd_una: Seq,
    snd_nxt: Seq,
    snd_max: Seq,
    snd_wnd: u32,
    snd_wl1: Seq,
    snd_wl2: Seq,
    snd_shift: u8,
    max_snd_wnd: u32,
    /// Effective send MSS.
    mss: u32,
    send: SendBuffer<B>,
    fin_queued: bool,
    fin_sent: bool,
    nodelay: bool,
    /// A send came short; say when there is room again.
    wants_room: bool,

    irs: Seq,
    rcv_nxt: Seq,
    /// Right edge of the window as advertised; it never moves left.
    rcv_adv: Seq,
    rcv_shift: u8,
    /// Position of RCV.NXT in the stream of data.
    rcv_pos: u64,
    recv: RecvBuffer<B>,
    ahead: Reassembler<B>,
    /// Where the peer's FIN lies, once it was seen.
    peer_fin: Option<Seq>,
    fin_received: bool,
    read_shutdown: bool,
    advertised_mss: u16,

    rto: RtoEstimator,
    /// The segment being timed: the sequence number that acknowledges it, and when it was sent.
    timed: Option<(Seq, Instant)>,
    congestion: Box<dyn CongestionControl>,
    duplicate_acks: u32,
    /// RFC 6582: recovery lasts until this is acknowledged.
    recover: Option<Seq>,
    /// RFC 6582 section 4: no new recovery for duplicates of what was sent before this.
    no_recovery_before: Seq,
    last_send: Instant,
    retransmits: u8,
    /// Packets of ours that wait for address resolution.
    parked: u16,

    retransmit_at: Option<Instant>,
    delayed_ack_at: Option<Instant>,
    linger_at: Option<Instant>,
    ack_now: bool,
    retransmit_head: bool,
    probe_now: bool,
    /// Octets received since the last ACK was sent.
    unacked_octets: u32,
    challenge_since: Instant,
    challenges: u8,
}

/// What the two sides agreed on in the handshake.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Handshake {
    pub(crate) iss: Seq,
    pub(crate) irs: Seq,
    pub(crate) peer_mss: u16,
    pub(crate) advertised_mss: u16,
    /// Both shifts, if both sides offered window scaling: ours for what we advertise, the peer's.
    pub(crate) shifts: Option<(u8, u8)>,
    /// Right edge of the window our SYN-ACK advertised.
    pub(crate) rcv_adv: Seq,
    /// The SYN-ACK had to be sent more than once.
    pub(crate) retransmitted: bool,
    /// When our SYN-ACK was sent.
    pub(crate) sent_at: Instant,
}

/// The shift we offer: the least that lets the whole buffer be advertised (RFC 7323 section 2.3).
pub(crate) fn window_shift(recv_buffer: usize) -> u8 {
    // Leave room for the buffer to be made sixteen times as large later.
    (0u8..14)
        .find(|s| (65_535usize << s) >= recv_buffer.saturating_mul(16))
        .unwrap_or(14)
}

impl<B: Payload> Tcb<B> {
    fn new(config: &TcpConfig, flow: Flow, iss: Seq, advertised_mss: u16, now: Instant) -> Tcb<B> {
        let mss = u32::from(DEFAULT_MSS);
        Tcb {
            flow,
            state: TcpState::Closed,
            accepting: None,
            orphan: false,
            error: None,
            soft_error: None,
            iss,
            snd_una: iss,
            snd_nxt: iss,
            snd_max: iss,
            snd_wnd: 0,
            snd_wl1: Seq(0),
            snd_wl2: Seq(0),
            snd_shift: 0,
            max_snd_wnd: 0,
            mss,
            send: SendBuffer::new(config.send_buffer_bytes),
            fin_queued: false,
            fin_sent: false,
            nodelay: false,
            wants_room: false,
            irs: Seq(0),
            rcv_nxt: Seq(0),
            rcv_adv: Seq(0),
            rcv_shift: window_shift(config.recv_buffer_bytes),
            rcv_pos: 0,
            recv: RecvBuffer::new(config.recv_buffer_bytes),
            ahead: Reassembler::new(),
            peer_fin: None,
            fin_received: false,
            read_shutdown: false,
            advertised_mss,
            rto: RtoEstimator::new(config),
            timed: None,
            congestion: Box::new(NewReno::new(mss)),
            duplicate_acks: 0,
            recover: None,
            no_recovery_before: iss,
            last_send: now,
            retransmits: 0,
            parked: 0,
            retransmit_at: None,
            delayed_ack_at: None,
            linger_at: None,
            ack_now: false,
            retransmit_head: false,
            probe_now: false,
            unacked_octets: 0,
            challenge_since: now,
            challenges: 0,
        }
    }

    /// Active OPEN (RFC 9293 section 3.10.1): the SYN goes out at the next transmission.
    pub(crate) fn connect(
        config: &TcpConfig,
        flow: Flow,
        iss: Seq,
        advertised_mss: u16,
        now: Instant,
    ) -> Tcb<B> {
        let mut tcb = Tcb::new(config, flow, iss, advertised_mss, now);
        tcb.state = TcpState::SynSent;
        tcb
    }

    /// A connection whose handshake a listener has brought to its last ACK, which is processed next.
    pub(crate) fn accept(cx: &Cx<'_>, flow: Flow, hs: Handshake) -> Tcb<B> {
        let mut tcb = Tcb::new(cx.config, flow, hs.iss, hs.advertised_mss, cx.now);
        tcb.state = TcpState::SynReceived;
        tcb.snd_nxt = hs.iss + 1;
        tcb.snd_max = tcb.snd_nxt;
        tcb.irs = hs.irs;
        tcb.rcv_nxt = hs.irs + 1;
        tcb.rcv_adv = hs.rcv_adv;
        tcb.agree(hs.peer_mss, hs.shifts);
        if hs.retransmitted {
            tcb.congestion.on_lost_syn();
            tcb.rto.restart_after_lost_syn();
        } else {
            tcb.timed = Some((hs.iss + 1, hs.sent_at));
        }
        tcb
    }

    fn agree(&mut self, peer_mss: u16, shifts: Option<(u8, u8)>) {
        // RFC 9293 section 3.7.1: Eff.snd.MSS is the lesser of what the peer takes and what we can send.
        self.mss = u32::from(peer_mss.max(MIN_MSS).min(self.advertised_mss));
        self.congestion.set_mss(self.mss);
        (self.rcv_shift, self.snd_shift) = shifts.unwrap_or((0, 0));
    }

    /// Sequence number of the first byte in the send buffer.
    fn send_base(&self) -> Seq {
        if self.snd_una == self.iss {
            self.iss + 1
        } else {
            self.snd_una
        }
    }

    /// Octets sent and not acknowledged, counting from SND.NXT.
    fn in_flight(&self) -> u32 {
        self.snd_nxt.distance_from(self.snd_una)
    }

    /// The earliest thing to happen by itself.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        // A packet parked for address resolution is not lost: its timer waits.
        let retransmit = self.retransmit_at.filter(|_| self.parked == 0);
        [retransmit, self.delayed_ack_at, self.linger_at]
            .into_iter()
            .flatten()
            .min()
    }

    fn header(&self, flags: Flags, seq: Seq) -> TcpHeader {
        TcpHeader {
            src_port: self.flow.local.port(),
            dst_port: self.flow.remote.port(),
            seq,
            ack: if flags.has(Flags::ACK) {
                self.rcv_nxt
            } else {
                Seq(0)
            },
            flags,
            window: 0,
            mss: None,
            window_scale: None,
        }
    }

    /// Ends the connection with an error for the program, if it still holds the socket.
    fn fail(&mut self, cx: &mut Cx<'_>, error: Error) {
        self.error = Some(error);
        self.enter_closed(cx);
        cx.events |= Readiness::ERROR;
    }

    fn enter_closed(&mut self, cx: &mut Cx<'_>) {
        self.state = TcpState::Closed;
        self.send.clear();
        self.ahead.clear();
        self.retransmit_at = None;
        self.delayed_ack_at = None;
        self.linger_at = None;
        self.ack_now = false;
        self.retransmit_head = false;
        self.probe_now = false;
        cx.events |=
            Readiness::READABLE | Readiness::WRITABLE | Readiness::READ_CLOSED | Readiness::HANGUP;
    }

    /// What TIME-WAIT must remember.
    pub(crate) fn time_wait(
        &self,
        socket: Option<crate::slab::Key>,
        until: Instant,
    ) -> time_wait::TimeWait {
        time_wait::TimeWait {
            flow: self.flow,
            snd_nxt: self.snd_max,
            rcv_nxt: self.rcv_nxt,
            window: (self.recv.free().min(65_535 << self.rcv_shift) >> self.rcv_shift) as u16,
            socket,
            challenge_since: self.challenge_since,
            until,
        }
    }

    /// TIME-WAIT moved to its record; the program may still read here.
    pub(crate) fn leave_timers(&mut self) {
        self.retransmit_at = None;
        self.delayed_ack_at = None;
        self.linger_at = None;
        self.ack_now = false;
    }

    /// One of our packets waits for address resolution: no timer, no sample, no loss.
    pub(crate) fn park(&mut self) {
        self.parked = self.parked.saturating_add(1);
        self.timed = None;
    }

    /// A parked packet has gone out, or was given up.
    pub(crate) fn release(&mut self, now: Instant) {
        if self.parked == 0 {
            return;
        }
        self.parked -= 1;
        if self.parked == 0 && self.retransmit_at.is_some() {
            self.retransmit_at = Some(now + self.rto.rto());
        }
    }

    /// The smoothed round-trip time, once known.
    pub(crate) fn srtt(&self) -> Option<Duration> {
        self.rto.srtt()
    }
}
