//! The hardware counters: 64 bits each, cleared by reset, read through SNAPSHOT.

/// A counter: its index in the COUNTER registers, its name and its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counter {
    /// Index n: low half at COUNTER + 8n.
    pub index: u32,
    /// Name, as tools print it.
    pub name: &'static str,
    /// One sentence.
    pub doc: &'static str,
}

macro_rules! counters {
    ($( $konst:ident = $index:literal $name:literal $doc:literal ; )*) => {
        $( #[doc = $doc] pub const $konst: u32 = $index; )*
        /// All counters, in the order of their index.
        pub const ALL: &[Counter] = &[ $( Counter { index: $index, name: $name, doc: $doc } ),* ];
    };
}

counters! {
    RX_FRAMES = 0 "rx_frames" "Good frames committed to the receive buffer.";
    RX_BYTES = 1 "rx_bytes" "Their bytes, without FCS.";
    TX_FRAMES = 2 "tx_frames" "Frames handed to the MAC, those of the ARP engine, answers to ICMP echo requests and PAUSE frames included.";
    TX_BYTES = 3 "tx_bytes" "Their bytes before padding, without FCS.";
    RX_DROP_FCS = 4 "rx_drop_fcs" "Dropped: bad FCS, or RX_ER during the frame.";
    RX_DROP_RUNT = 5 "rx_drop_runt" "Dropped: shorter than 64 bytes.";
    RX_DROP_OVERSIZE = 6 "rx_drop_oversize" "Dropped: longer than RXCTL.MAX_FRAME.";
    RX_DROP_LENGTH = 7 "rx_drop_length" "Dropped: the 802.3 length, the IPv4 total length or the IPv6 payload length does not fit the frame.";
    RX_DROP_FILTER = 8 "rx_drop_filter" "Dropped: not for this station.";
    RX_DROP_IP_HEADER = 9 "rx_drop_ip_header" "Dropped: IPv4 version, header length or header checksum, or IPv6 version is wrong.";
    RX_DROP_L4_CSUM = 10 "rx_drop_l4_csum" "Dropped: TCP or UDP checksum is wrong.";
    RX_DROP_OVERFLOW = 11 "rx_drop_overflow" "Dropped: the receive buffer was full.";
    RX_DROP_NO_SLOT = 12 "rx_drop_no_slot" "Dropped: the receive queue did not run, or has CFG.DROP and had no slot or no free completion entry.";
    RX_ARP = 13 "rx_arp" "ARP packets handled by the ARP engine.";
    ARP_REPLIES = 14 "arp_replies_sent" "ARP replies sent.";
    ARP_REQUESTS = 15 "arp_requests_sent" "ARP requests sent.";
    ARP_MISSES = 16 "arp_misses" "Transmit frames completed with ARP_MISS.";
    ARP_FAILURES = 17 "arp_failures" "Neighbours given up.";
    TX_BAD_DESC = 18 "tx_bad_desc" "Transmit frames completed with BAD_DESC.";
    TX_DMA_ERR = 19 "tx_dma_err" "Transmit frames completed with DMA_ERR.";
    TX_UNDERRUN = 20 "tx_underrun" "Frames cut off on the wire because data came too late; always 0 in a right design.";
    TLP_READS = 21 "tlp_reads" "Memory read TLPs sent.";
    TLP_WRITES = 22 "tlp_writes" "Memory write TLPs sent, MSI-X included.";
    TLP_COMPLETIONS = 23 "tlp_completions" "Completion TLPs received for reads of ours.";
    TLP_UNEXPECTED = 24 "tlp_unexpected" "TLPs received that nothing was waiting for, or malformed.";
    TLP_READ_ERRORS = 25 "tlp_read_errors" "Reads of ours answered with an error or not at all.";
    INTERRUPTS = 26 "interrupts" "MSI-X messages sent.";
    RX_TRUNCATED = 27 "rx_truncated" "Frames longer than a slot, cut off.";
    RX_DROP_DISABLED = 28 "rx_drop_disabled" "Frames that came while CTRL.RX_EN or the receive queue was off.";
    ARP_CONFLICTS = 29 "arp_conflicts" "ARP packets in which another station claims a local address (RFC 5227 section 2.4).";
    RX_PAUSE = 30 "rx_pause" "PAUSE frames that were acted on.";
    ICMP_ECHOES = 31 "icmp_echoes" "ICMP echo requests answered by the hardware; they are in no other counter of received frames.";
}
