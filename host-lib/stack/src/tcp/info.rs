//! What a connection can tell of itself, in the layout in which Linux programs read it (TCP_INFO).

use core::time::Duration;

use super::recovery::Phase;
use super::{Tcb, TcpState};
use crate::payload::Payload;
use crate::time::Instant;

/// The state of a connection as `struct tcp_info` of Linux's `linux/tcp.h` has it, up to `tcpi_total_retrans`.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct TcpInfo {
    /// The connection's state.
    pub state: TcpState,
    /// `TCP_CA_Open` 0, `TCP_CA_Disorder` 1, `TCP_CA_CWR` 2, `TCP_CA_Recovery` 3, `TCP_CA_Loss` 4.
    pub congestion_state: u8,
    /// Timeouts since something was acknowledged.
    pub retransmits: u8,
    /// Keep-alive probes without an answer.
    pub probes: u8,
    /// Doublings of the retransmission timeout.
    pub backoff: u8,
    /// Timestamps (RFC 7323) are in use.
    pub timestamps: bool,
    /// SACK (RFC 2018) is in use.
    pub sack: bool,
    /// Shift counts of the peer's window and of ours, if scaling is in use.
    pub window_scale: Option<(u8, u8)>,
    /// ECN (RFC 3168) is in use.
    pub ecn: bool,
    /// Retransmission timeout.
    pub rto: Duration,
    /// Longest delay of an acknowledgment.
    pub delayed_ack: Duration,
    /// Bytes of data in a segment sent.
    pub send_mss: u32,
    /// Bytes of data expected in a segment received.
    pub receive_mss: u32,
    /// Segments in flight.
    pub unacked: u32,
    /// Segments the peer reported by SACK.
    pub sacked: u32,
    /// Segments taken for lost.
    pub lost: u32,
    /// Segments sent again and in flight.
    pub retransmitted: u32,
    /// Time since data was last sent.
    pub since_data_sent: Duration,
    /// Time since data last arrived.
    pub since_data_received: Duration,
    /// Time since a segment last arrived.
    pub since_ack_received: Duration,
    /// Largest packet sent.
    pub path_mtu: u32,
    /// Smoothed round-trip time; zero until there is one.
    pub rtt: Duration,
    /// Its variation.
    pub rtt_variation: Duration,
    /// Slow start threshold in segments.
    pub slow_start_threshold: u32,
    /// Congestion window in segments.
    pub congestion_window: u32,
    /// MSS we told the peer.
    pub advertised_mss: u32,
    /// Round-trip time as the receiver sees it; zero until known.
    pub receiver_rtt: Duration,
    /// Size of the receive buffer in bytes.
    pub receive_space: u32,
    /// Segments ever sent again.
    pub total_retransmits: u32,
}

impl TcpInfo {
    /// Bytes of [`TcpInfo::to_linux`].
    pub const LINUX_LEN: usize = 104;

    /// The bytes of `struct tcp_info`, in this machine's byte order. Times are microseconds, those of the last segments
    /// milliseconds, as there.
    pub fn to_linux(&self) -> [u8; TcpInfo::LINUX_LEN] {
        let micros = |d: Duration| u32::try_from(d.as_micros()).unwrap_or(u32::MAX);
        let millis = |d: Duration| u32::try_from(d.as_millis()).unwrap_or(u32::MAX);
        let flag = |on: bool, bit: u8| if on { bit } else { 0 };
        let (peer, ours) = self.window_scale.unwrap_or((0, 0));
        let mut out = [0; TcpInfo::LINUX_LEN];
        out[..8].copy_from_slice(&[
            self.state.linux(),
            self.congestion_state,
            self.retransmits,
            self.probes,
            self.backoff,
            flag(self.timestamps, 1)
                | flag(self.sack, 2)
                | flag(self.window_scale.is_some(), 4)
                | flag(self.ecn, 8),
            peer | ours << 4,
            0,
        ]);
        let words = [
            micros(self.rto),
            micros(self.delayed_ack),
            self.send_mss,
            self.receive_mss,
            self.unacked,
            self.sacked,
            self.lost,
            self.retransmitted,
            0, // tcpi_fackets: not kept by Linux either since 4.15
            millis(self.since_data_sent),
            0, // tcpi_last_ack_sent: "not remembered, sorry"
            millis(self.since_data_received),
            millis(self.since_ack_received),
            self.path_mtu,
            self.receive_space, // tcpi_rcv_ssthresh: the window is never clamped below the buffer
            micros(self.rtt),
            micros(self.rtt_variation),
            self.slow_start_threshold,
            self.congestion_window,
            self.advertised_mss,
            3, // tcpi_reordering: the duplicate threshold; RACK measures reordering by time
            micros(self.receiver_rtt),
            self.receive_space,
            self.total_retransmits,
        ];
        for (to, word) in out[8..].chunks_exact_mut(4).zip(words) {
            to.copy_from_slice(&word.to_ne_bytes());
        }
        out
    }
}

impl TcpState {
    /// The number Linux gives the state (`net/tcp_states.h`).
    fn linux(self) -> u8 {
        match self {
            TcpState::Established => 1,
            TcpState::SynSent => 2,
            TcpState::SynReceived => 3,
            TcpState::FinWait1 => 4,
            TcpState::FinWait2 => 5,
            TcpState::TimeWait => 6,
            TcpState::Closed => 7,
            TcpState::CloseWait => 8,
            TcpState::LastAck => 9,
            TcpState::Listen => 10,
            TcpState::Closing => 11,
        }
    }
}

impl<B: Payload> Tcb<B> {
    /// What there is to tell now.
    pub(crate) fn info(&self, now: Instant, delayed_ack: Duration) -> TcpInfo {
        let mss = self.mss.max(1);
        let segments = |octets: u32| octets.div_ceil(mss);
        let options = if self.timestamps.is_some() { 12 } else { 0 };
        let scaling = self.snd_shift > 0 || self.rcv_shift > 0;
        TcpInfo {
            state: self.state,
            congestion_state: match self.recovery.phase {
                Phase::Open if self.is_disordered() => 1,
                Phase::Open => 0,
                Phase::Reducing => 2,
                Phase::Recovery => 3,
                Phase::Loss => 4,
            },
            retransmits: self.retransmits,
            probes: self.keep_alive_probes,
            backoff: self.rto.backoff(),
            timestamps: self.timestamps.is_some(),
            sack: self.sack_permitted,
            window_scale: scaling.then_some((self.snd_shift, self.rcv_shift)),
            ecn: self.ecn.on,
            rto: self.rto.rto(),
            delayed_ack,
            send_mss: self.mss,
            receive_mss: u32::from(self.advertised_mss) - options,
            unacked: self.board.segments(),
            sacked: self.board.sacked_segments(),
            lost: segments(self.board.lost()),
            retransmitted: segments(self.board.again()),
            since_data_sent: now - self.last_send,
            since_data_received: now - self.data_at,
            since_ack_received: now - self.heard_at,
            path_mtu: self.mss + options + 40,
            rtt: self.rto.srtt().unwrap_or_default(),
            rtt_variation: self.rto.variation().unwrap_or_default(),
            slow_start_threshold: match self.congestion.ssthresh() {
                u32::MAX => 0x7fff_ffff,
                octets => octets / mss,
            },
            congestion_window: self.congestion.window() / mss,
            advertised_mss: u32::from(self.advertised_mss),
            receiver_rtt: Duration::from_nanos(self.tuning.rtt().unwrap_or(0)),
            receive_space: u32::try_from(self.recv.capacity()).unwrap_or(u32::MAX),
            total_retransmits: self.total_retransmits,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::offset_of;

    /// A value for each field that no other has.
    fn distinct() -> TcpInfo {
        let us = Duration::from_micros;
        let ms = Duration::from_millis;
        TcpInfo {
            state: TcpState::CloseWait,
            congestion_state: 3,
            retransmits: 5,
            probes: 6,
            backoff: 7,
            timestamps: true,
            sack: true,
            window_scale: Some((9, 10)),
            ecn: true,
            rto: us(201),
            delayed_ack: us(202),
            send_mss: 203,
            receive_mss: 204,
            unacked: 205,
            sacked: 206,
            lost: 207,
            retransmitted: 208,
            since_data_sent: ms(209),
            since_data_received: ms(210),
            since_ack_received: ms(211),
            path_mtu: 212,
            rtt: us(213),
            rtt_variation: us(214),
            slow_start_threshold: 215,
            congestion_window: 216,
            advertised_mss: 217,
            receiver_rtt: us(218),
            receive_space: 219,
            total_retransmits: 220,
        }
    }

    #[test]
    fn every_field_lies_where_the_c_library_has_it() {
        let info = distinct().to_linux();
        macro_rules! field {
            ($name:ident) => {{
                let at = offset_of!(libc::tcp_info, $name);
                u32::from_ne_bytes([info[at], info[at + 1], info[at + 2], info[at + 3]])
            }};
        }
        // TCP_CLOSE_WAIT of net/tcp_states.h; the options' bits are TCPI_OPT_* of linux/tcp.h.
        let bytes = [
            (offset_of!(libc::tcp_info, tcpi_state), 8),
            (offset_of!(libc::tcp_info, tcpi_ca_state), 3),
            (offset_of!(libc::tcp_info, tcpi_retransmits), 5),
            (offset_of!(libc::tcp_info, tcpi_probes), 6),
            (offset_of!(libc::tcp_info, tcpi_backoff), 7),
            (offset_of!(libc::tcp_info, tcpi_options), 1 | 2 | 4 | 8),
            (offset_of!(libc::tcp_info, tcpi_snd_rcv_wscale), 9 | 10 << 4),
        ];
        for (at, value) in bytes {
            assert_eq!(info[at], value, "octet {at}");
        }
        assert_eq!((field!(tcpi_rto), field!(tcpi_ato)), (201, 202));
        assert_eq!((field!(tcpi_snd_mss), field!(tcpi_rcv_mss)), (203, 204));
        assert_eq!((field!(tcpi_unacked), field!(tcpi_sacked)), (205, 206));
        assert_eq!((field!(tcpi_lost), field!(tcpi_retrans)), (207, 208));
        assert_eq!(field!(tcpi_last_data_sent), 209);
        assert_eq!(field!(tcpi_last_data_recv), 210);
        assert_eq!(field!(tcpi_last_ack_recv), 211);
        assert_eq!((field!(tcpi_pmtu), field!(tcpi_rtt)), (212, 213));
        assert_eq!((field!(tcpi_rttvar), field!(tcpi_snd_ssthresh)), (214, 215));
        assert_eq!((field!(tcpi_snd_cwnd), field!(tcpi_advmss)), (216, 217));
        assert_eq!((field!(tcpi_rcv_rtt), field!(tcpi_rcv_space)), (218, 219));
        assert_eq!(field!(tcpi_total_retrans), 220);
        let end = offset_of!(libc::tcp_info, tcpi_total_retrans) + 4;
        assert_eq!(end, TcpInfo::LINUX_LEN);
    }
}
