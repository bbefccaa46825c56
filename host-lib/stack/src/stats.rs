//! Counters: what came, what went, and why anything was dropped.

/// Counters of one stack since it was made.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// IPv4 packets given to the stack.
    pub packets_in: u64,
    /// Bytes of those.
    pub bytes_in: u64,
    /// IPv4 packets handed to the device.
    pub packets_out: u64,
    /// Bytes of those.
    pub bytes_out: u64,
    /// Packets from and to addresses of this stack, never seen by the device.
    pub packets_looped: u64,
    /// Dropped: a length or version that cannot be.
    pub dropped_malformed: u64,
    /// Dropped: an IPv4 header, TCP, UDP or ICMP checksum was wrong.
    pub dropped_checksum: u64,
    /// Dropped: addressed to someone else, or from an impossible source.
    pub dropped_address: u64,
    /// Dropped: IPv4 options that cannot be read, or a route chosen by the sender.
    pub dropped_options: u64,
    /// Dropped: a protocol nobody here speaks.
    pub dropped_protocol: u64,
    /// Dropped: no socket for that port.
    pub dropped_no_socket: u64,
    /// Dropped: a socket's receive queue was full.
    pub dropped_receive_full: u64,
    /// Dropped: the stack's queue of replies was full because nobody transmits.
    pub dropped_transmit_full: u64,
    /// Dropped: SYNs because a listener's accept queue was full.
    pub dropped_syn_queue_full: u64,
    /// Dropped: last ACKs of handshakes because a listener's accept queue was full.
    pub dropped_accept_queue_full: u64,
    /// Dropped: fragments that contradicted others, exceeded the memory for them, or belonged to a datagram given up.
    pub dropped_fragments: u64,
    /// Fragmented datagrams given up because fragments were missing for too long.
    pub reassembly_timeouts: u64,
    /// Fragmented datagrams made whole.
    pub reassembled: u64,
    /// TCP segments received.
    pub tcp_segments_in: u64,
    /// TCP segments sent, counting those that the device cuts out of one packet.
    pub tcp_segments_out: u64,
    /// TCP segments sent again, for whatever reason.
    pub tcp_retransmits: u64,
    /// Retransmissions started by three duplicate ACKs.
    pub tcp_fast_retransmits: u64,
    /// Retransmission timers that ran out.
    pub tcp_timeouts: u64,
    /// Recoveries taken back because nothing had been lost (Eifel, F-RTO, DSACK).
    pub tcp_spurious_recoveries: u64,
    /// Tail loss probes sent (RFC 8985).
    pub tcp_tail_loss_probes: u64,
    /// Losses that such a probe has repaired.
    pub tcp_probe_repairs: u64,
    /// Duplicates the peer reported by SACK (RFC 2883).
    pub tcp_dsacks_in: u64,
    /// Segments dropped as old by their timestamp (PAWS).
    pub tcp_paws_drops: u64,
    /// Keep-alive probes sent.
    pub tcp_keep_alive_probes: u64,
    /// Zero-window probes sent.
    pub tcp_zero_window_probes: u64,
    /// RST segments sent.
    pub tcp_resets_out: u64,
    /// Connections that a valid RST ended.
    pub tcp_resets_in: u64,
    /// Challenge ACKs sent (RFC 5961).
    pub tcp_challenge_acks: u64,
    /// Segments that arrived outside the window.
    pub tcp_out_of_window: u64,
    /// Segments that arrived ahead of a gap.
    pub tcp_out_of_order: u64,
    /// Connections opened by connect.
    pub tcp_active_opens: u64,
    /// Connections opened by a listener.
    pub tcp_passive_opens: u64,
    /// SYNs answered with a cookie because a listener's SYN queue was full (RFC 4987).
    pub tcp_syn_cookies_sent: u64,
    /// ACKs that brought a good cookie back.
    pub tcp_syn_cookies_received: u64,
    /// ACKs that should have brought a cookie and did not, or one too old.
    pub tcp_syn_cookies_failed: u64,
    /// UDP datagrams delivered to sockets, counted once for each.
    pub udp_in: u64,
    /// UDP datagrams sent.
    pub udp_out: u64,
    /// ICMP messages received intact.
    pub icmp_in: u64,
    /// Echo requests answered.
    pub icmp_echo_replies: u64,
    /// ICMP errors sent.
    pub icmp_errors_out: u64,
    /// Times that a path MTU was found to be smaller than believed.
    pub path_mtu_reductions: u64,
    /// IGMP messages received intact.
    pub igmp_in: u64,
    /// IGMP messages sent.
    pub igmp_out: u64,
    /// Replies withheld by the rate limit.
    pub rate_limited: u64,
}

/// Segments that `len` bytes of TCP data make: one, or of `segment_bytes` bytes each if that is not 0.
#[inline]
pub(crate) fn segments(len: usize, segment_bytes: u16) -> u64 {
    match segment_bytes {
        0 => 1,
        _ => len.div_ceil(segment_bytes.into()) as u64,
    }
}
