//! One TCP connection (RFC 9293): its state, and the parts that act on it.

mod acknowledgment;
mod api;
mod autotune;
mod burst;
mod congestion;
mod ecn;
mod few;
pub(crate) mod fresh;
mod handles;
mod icmp;
mod info;
mod input;
mod keep_alive;
pub(crate) mod listener;
mod moment;
mod options;
mod output;
mod prediction;
mod rack;
mod reassembler;
mod recovery;
mod recv_buffer;
mod rto;
mod sack_list;
mod scoreboard;
pub(crate) mod secrets;
mod send_buffer;
mod short_queue;
#[cfg(test)]
mod state_text;
pub(crate) mod syn_cookie;
pub(crate) mod time_wait;
mod timer;
pub(crate) mod timestamps;
mod warm;

pub use api::Shutdown;
pub use congestion::Algorithm;
pub use info::TcpInfo;
pub use keep_alive::KeepAlive;
pub use listener::ListenQueue;
pub use options::TcpOptions;

use core::hash::{Hash, Hasher};
use core::time::Duration;
use std::net::SocketAddrV4;

use crate::config::{Config, TcpConfig};
use crate::error::Error;
use crate::payload::Payload;
use crate::readiness::Readiness;
use crate::seq::Seq;
use crate::stats::Stats;
use crate::time::Instant;
use crate::wire::tcp::{Flags, TcpHeader};
use autotune::ReceiveTuning;
use congestion::Congestion;
use ecn::EcnState;
use rack::Rack;
use reassembler::Reassembler;
use recovery::Recovery;
use recv_buffer::RecvBuffer;
use rto::RtoEstimator;
use sack_list::SackList;
use scoreboard::Scoreboard;
use send_buffer::SendBuffer;
use timestamps::Timestamps;

pub(crate) use ecn::ECT0;

/// RFC 9293 MUST-15: "If an MSS Option is not received at connection setup, TCP implementations MUST assume a
/// default send MSS of 536".
pub(crate) const DEFAULT_MSS: u16 = 536;
/// A peer's MSS below this is raised to it, so that a hostile one cannot ask for a packet per byte.
pub(crate) const MIN_MSS: u16 = 48;

/// Octets of text that fit into one IPv4 packet beside the longest headers.
const LONGEST_TEXT: usize = 65_535 - 20 - 60;

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
    pub(crate) reply: &'a mut Option<TcpHeader>,
    /// Nothing more can be sent until something happens.
    pub(crate) blocked: bool,
    /// Octets of data that the device takes in one packet and cuts into segments itself, be it more than fits into one; 0 if
    /// it does not.
    pub(crate) segmentation: usize,
}

impl<'a> Cx<'a> {
    /// Before anything has happened; `reply` is `None`.
    #[inline]
    pub(crate) fn new(
        now: Instant,
        config: &'a Config,
        stats: &'a mut Stats,
        reply: &'a mut Option<TcpHeader>,
    ) -> Cx<'a> {
        Cx {
            now,
            config: &config.tcp,
            stats,
            events: Readiness::NONE,
            reply,
            blocked: false,
            segmentation: config.offload.tx_segmentation_bytes,
        }
    }
}

/// Transmission control block. Sequence variables carry their RFC 9293 section 3.3.1 names.
///
/// ```text
///      acknowledged     in flight      may be sent     not yet
///   ----------------|--------------|--------------|-------------
///                SND.UNA        SND.NXT    SND.UNA+SND.WND
/// ```
///
/// What lies from SND.UNA up to SND.NXT is on the scoreboard. A zero-window probe is not: it goes beyond SND.NXT, up to
/// `snd_max`.
///
/// Fields lie in the order in which they stand here: first what every packet touches, so that it takes few cache lines, and what
/// most connections never need at the end.
#[repr(C)]
pub(crate) struct Tcb<B> {
    pub(crate) flow: Flow,
    /// The listener whose accept queue the connection waits in.
    pub(crate) accepting: Option<crate::slab::Key>,

    snd_una: Seq,
    snd_nxt: Seq,
    snd_max: Seq,
    snd_wnd: u32,
    snd_wl1: Seq,
    snd_wl2: Seq,
    max_snd_wnd: u32,
    /// Effective send MSS: data of a segment beside the options that every segment has.
    mss: u32,
    /// How far full segments may go out at once: see [`burst`].
    burst_end: Seq,
    /// SND.NXT when the congestion window last held something back.
    window_full_at: Seq,
    /// One sample a round trip: the next when this is acknowledged.
    sample_after: Seq,
    rcv_nxt: Seq,
    /// Right edge of the window as advertised; it never moves left.
    rcv_adv: Seq,
    /// Octets received since the last ACK was sent.
    unacked_octets: u32,
    advertised_mss: u16,
    /// Packets of ours that wait for address resolution.
    parked: u16,

    pub(crate) state: TcpState,
    /// The program has closed its handle.
    pub(crate) orphan: bool,
    /// [`Tcb::is_usual`], as of the last time it was asked.
    pub(crate) usual: bool,
    error: Option<Error>,
    soft_error: Option<Error>,
    fin_queued: bool,
    fin_sent: bool,
    fin_received: bool,
    read_shutdown: bool,
    /// A send came short; say when there is room again.
    wants_room: bool,
    /// The program has chosen the size of a buffer: it is not tuned.
    send_buffer_locked: bool,
    recv_buffer_locked: bool,
    sack_permitted: bool,
    ack_now: bool,
    probe_now: bool,
    tail_probe_now: bool,
    keep_alive_now: bool,
    snd_shift: u8,
    rcv_shift: u8,
    /// Timeouts since something was acknowledged.
    retransmits: u8,

    /// Position of RCV.NXT in the stream of data.
    rcv_pos: u64,
    /// When the last segment arrived, and the last with data.
    heard_at: Instant,
    data_at: Instant,
    last_send: Instant,
    /// When something was last acknowledged, or sent with nothing in flight.
    progress_at: Instant,
    rto_at: Option<Instant>,
    tail_probe_at: Option<Instant>,
    delayed_ack_at: Option<Instant>,
    keep_alive_at: Option<Instant>,
    reorder_at: Option<Instant>,
    linger_at: Option<Instant>,

    tuning: ReceiveTuning,
    rack: Rack,
    rto: RtoEstimator,
    board: Scoreboard,
    timestamps: Option<Timestamps>,
    congestion: Congestion,
    pub(crate) options: TcpOptions,
    recovery: Recovery,
    send: SendBuffer<B>,
    recv: RecvBuffer<B>,

    ahead: Reassembler<B>,
    sacks: SackList,
    /// When our SYN was sent, if once only.
    syn_sent_at: Option<Instant>,
    challenge_since: Instant,
    iss: Seq,
    irs: Seq,
    timestamp_offset: u32,
    total_retransmits: u32,
    /// Where the peer's FIN lies, once it was seen.
    peer_fin: Option<Seq>,
    /// What the path takes, as far as that was known when the connection began.
    path_mss: u16,
    ecn: EcnState,
    keep_alive_probes: u8,
    challenges: u8,
}

/// What our side of a connection begins with.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Start {
    pub(crate) iss: Seq,
    pub(crate) advertised_mss: u16,
    /// The MSS that the path takes, as far as it is known.
    pub(crate) path_mss: u16,
    /// Added to the clock in our timestamps.
    pub(crate) timestamp_offset: u32,
}

/// What the two sides agreed on in the handshake.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Handshake {
    pub(crate) irs: Seq,
    pub(crate) peer_mss: u16,
    /// Both shifts, if both sides offered window scaling: ours for what we advertise, the peer's.
    pub(crate) shifts: Option<(u8, u8)>,
    /// Right edge of the window our SYN-ACK advertised.
    pub(crate) rcv_adv: Seq,
    /// The SYN-ACK had to be sent more than once.
    pub(crate) retransmitted: bool,
    /// When our SYN-ACK was sent, if that is known.
    pub(crate) sent_at: Option<Instant>,
    /// Both sides take SACK.
    pub(crate) sack_permitted: bool,
    /// Both sides use timestamps; with what is known of the peer's.
    pub(crate) timestamps: Option<Timestamps>,
    /// Both sides speak ECN.
    pub(crate) ecn: bool,
}

/// The shift we offer: the least that lets the largest buffer be advertised (RFC 7323 section 2.3).
pub(crate) fn window_shift(config: &TcpConfig) -> u8 {
    let most = config.max_recv_buffer_bytes.max(config.recv_buffer_bytes);
    (0u8..14).find(|s| (65_535usize << s) >= most).unwrap_or(14)
}

impl<B: Payload> Tcb<B> {
    /// In its box at once: it is large.
    fn new(config: &TcpConfig, flow: Flow, start: Start, now: Instant) -> Box<Tcb<B>> {
        let mss = u32::from(DEFAULT_MSS);
        let iss = start.iss;
        Box::new(Tcb {
            flow,
            state: TcpState::Closed,
            accepting: None,
            orphan: false,
            error: None,
            soft_error: None,
            options: TcpOptions {
                congestion: config.congestion,
                ..TcpOptions::default()
            },
            send_buffer_locked: false,
            recv_buffer_locked: false,
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
            wants_room: false,
            irs: Seq(0),
            rcv_nxt: Seq(0),
            rcv_adv: Seq(0),
            rcv_shift: window_shift(config),
            rcv_pos: 0,
            recv: RecvBuffer::new(config.recv_buffer_bytes),
            ahead: Reassembler::new(),
            sacks: SackList::default(),
            tuning: ReceiveTuning::new(now),
            peer_fin: None,
            fin_received: false,
            read_shutdown: false,
            advertised_mss: start.advertised_mss,
            path_mss: start.path_mss,
            sack_permitted: false,
            timestamps: None,
            timestamp_offset: start.timestamp_offset,
            ecn: EcnState::default(),
            rto: RtoEstimator::new(config),
            syn_sent_at: None,
            sample_after: iss,
            congestion: Congestion::new(config.congestion, mss),
            board: Scoreboard::new(iss),
            rack: Rack::new(iss),
            recovery: Recovery::new(iss),
            burst_end: iss,
            window_full_at: iss,
            last_send: now,
            progress_at: now,
            heard_at: now,
            data_at: now,
            retransmits: 0,
            total_retransmits: 0,
            parked: 0,
            rto_at: None,
            tail_probe_at: None,
            reorder_at: None,
            delayed_ack_at: None,
            linger_at: None,
            keep_alive_at: None,
            keep_alive_probes: 0,
            usual: false,
            ack_now: false,
            probe_now: false,
            tail_probe_now: false,
            keep_alive_now: false,
            unacked_octets: 0,
            challenge_since: now,
            challenges: 0,
        })
    }

    /// Active OPEN (RFC 9293 section 3.10.1): the SYN goes out at the next transmission.
    pub(crate) fn connect(
        config: &TcpConfig,
        flow: Flow,
        start: Start,
        now: Instant,
    ) -> Box<Tcb<B>> {
        let mut tcb = Tcb::new(config, flow, start, now);
        tcb.state = TcpState::SynSent;
        tcb
    }

    /// A connection whose handshake a listener has brought to its last ACK, which is processed next.
    pub(crate) fn accept(cx: &Cx<'_>, flow: Flow, start: Start, hs: Handshake) -> Box<Tcb<B>> {
        let mut tcb = Tcb::new(cx.config, flow, start, cx.now);
        tcb.state = TcpState::SynReceived;
        tcb.snd_nxt = start.iss + 1;
        tcb.snd_max = tcb.snd_nxt;
        tcb.irs = hs.irs;
        tcb.rcv_nxt = hs.irs + 1;
        tcb.rcv_adv = hs.rcv_adv;
        tcb.ecn.on = hs.ecn;
        tcb.agree(hs.peer_mss, hs.shifts, hs.sack_permitted, hs.timestamps);
        if hs.retransmitted {
            tcb.congestion.on_lost_syn();
            tcb.rto.restart_after_lost_syn();
        } else {
            tcb.syn_sent_at = hs.sent_at;
        }
        tcb
    }

    fn agree(
        &mut self,
        peer_mss: u16,
        shifts: Option<(u8, u8)>,
        sack_permitted: bool,
        timestamps: Option<Timestamps>,
    ) {
        // RFC 9293 section 3.7.1: Eff.snd.MSS is the lesser of what the peer takes and what we can send; RFC 6691 section 2:
        // the sender takes the options of its segments off.
        let options = if timestamps.is_some() { 12 } else { 0 };
        let most = self.advertised_mss.min(self.path_mss).max(MIN_MSS);
        self.mss = u32::from(peer_mss.max(MIN_MSS).min(most)) - options;
        self.congestion.set_mss(self.mss);
        (self.rcv_shift, self.snd_shift) = shifts.unwrap_or((0, 0));
        self.sack_permitted = sack_permitted;
        self.timestamps = timestamps;
    }

    fn header(&self, now: Instant, flags: Flags, seq: Seq) -> TcpHeader {
        let ack = if flags.has(Flags::ACK) {
            self.rcv_nxt
        } else {
            Seq(0)
        };
        TcpHeader {
            src_port: self.flow.local.port(),
            dst_port: self.flow.remote.port(),
            seq,
            ack,
            flags: flags | self.ecn.flags(),
            timestamps: self.timestamps.map(|ts| ts.option(now)),
            ..TcpHeader::default()
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
        self.board.restart(self.snd_una);
        self.leave_timers();
        self.probe_now = false;
        self.tail_probe_now = false;
        self.keep_alive_now = false;
        cx.events |=
            Readiness::READABLE | Readiness::WRITABLE | Readiness::READ_CLOSED | Readiness::HANGUP;
    }

    /// What TIME-WAIT must remember.
    pub(crate) fn time_wait(
        &self,
        now: Instant,
        socket: Option<crate::slab::Key>,
    ) -> time_wait::TimeWait {
        let window = self.recv.free().min(65_535 << self.rcv_shift) >> self.rcv_shift;
        time_wait::TimeWait::new(
            now,
            (self.flow, self.snd_max, self.rcv_nxt),
            window as u16,
            self.timestamps.map(|ts| ts.recent),
            socket,
            self.challenge_since,
        )
    }

    /// TIME-WAIT moved to its record; the program may still read here.
    pub(crate) fn leave_timers(&mut self) {
        self.rto_at = None;
        self.tail_probe_at = None;
        self.reorder_at = None;
        self.delayed_ack_at = None;
        self.linger_at = None;
        self.keep_alive_at = None;
        self.ack_now = false;
    }

    /// One of our packets waits for address resolution: no timer, no sample, no loss.
    pub(crate) fn park(&mut self) {
        self.parked = self.parked.saturating_add(1);
        self.syn_sent_at = None;
        self.board.distrust_times();
    }

    /// A parked packet has gone out, or was given up.
    pub(crate) fn release(&mut self, now: Instant) {
        if self.parked == 0 {
            return;
        }
        self.parked -= 1;
        if self.parked == 0 && self.rto_at.is_some() {
            self.rto_at = Some(now.after(self.rto.rto_nanos()));
            self.progress_at = now;
            self.arm_tail_probe(now);
        }
    }

    /// The smoothed round-trip time, once known.
    pub(crate) fn srtt(&self) -> Option<Duration> {
        self.rto.srtt()
    }
}
