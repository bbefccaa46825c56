//! Interfaces of the transmit path.
#![allow(missing_docs, reason = "LogicInterface derives methods without docs")]
use rust_hdl::prelude::*;

/// A packet from the host, contiguous from byte 0 (the destination MAC address if `raw`, else the IPv4 header). The flags are steady from the first beat to the last.
#[derive(LogicInterface, Default)]
#[join = "TxPacketSink"]
pub struct TxPacketSource {
    /// Bytes 0 to 3 of the beat, the first in bits 7:0.
    pub d0: Signal<Out, Bits<32>>,
    /// Bytes 4 to 7.
    pub d1: Signal<Out, Bits<32>>,
    /// One bit a byte, contiguous from bit 0; all ones but in the last beat.
    pub keep: Signal<Out, Bits<8>>,
    /// Last beat.
    pub last: Signal<Out, Bit>,
    /// With `last`: the packet is to be forgotten; no verdict follows.
    pub abort: Signal<Out, Bit>,
    /// The packet has its own Ethernet header.
    pub raw: Signal<Out, Bit>,
    /// Insert the IPv4 header checksum.
    pub ipcs: Signal<Out, Bit>,
    /// Insert the TCP or UDP checksum.
    pub l4cs: Signal<Out, Bit>,
    /// 0 automatic, n gateway n.
    pub next_hop: Signal<Out, Bits<3>>,
    /// Tell when it leaves.
    pub stamp: Signal<Out, Bit>,
    /// One of the segments that a packet is cut into.
    pub segment: Signal<Out, Bit>,
    /// With `segment`: not the first; it shares the fate of those before it.
    pub follows: Signal<Out, Bit>,
    /// Insert an 802.1Q tag.
    pub tag: Signal<Out, Bit>,
    /// With `tag`: its tag control information.
    pub tci: Signal<Out, Bits<16>>,
    /// The beat is there.
    pub valid: Signal<Out, Bit>,
    /// The consumer takes it.
    pub ready: Signal<In, Bit>,
}

/// Consumer side; see [`TxPacketSource`].
#[derive(LogicInterface, Default)]
#[join = "TxPacketSource"]
pub struct TxPacketSink {
    /// Bytes 0 to 3 of the beat, the first in bits 7:0.
    pub d0: Signal<In, Bits<32>>,
    /// Bytes 4 to 7.
    pub d1: Signal<In, Bits<32>>,
    /// One bit a byte, contiguous from bit 0; all ones but in the last beat.
    pub keep: Signal<In, Bits<8>>,
    /// Last beat.
    pub last: Signal<In, Bit>,
    /// With `last`: the packet is to be forgotten; no verdict follows.
    pub abort: Signal<In, Bit>,
    /// The packet has its own Ethernet header.
    pub raw: Signal<In, Bit>,
    /// Insert the IPv4 header checksum.
    pub ipcs: Signal<In, Bit>,
    /// Insert the TCP or UDP checksum.
    pub l4cs: Signal<In, Bit>,
    /// 0 automatic, n gateway n.
    pub next_hop: Signal<In, Bits<3>>,
    /// Tell when it leaves.
    pub stamp: Signal<In, Bit>,
    /// One of the segments that a packet is cut into.
    pub segment: Signal<In, Bit>,
    /// With `segment`: not the first; it shares the fate of those before it.
    pub follows: Signal<In, Bit>,
    /// Insert an 802.1Q tag.
    pub tag: Signal<In, Bit>,
    /// With `tag`: its tag control information.
    pub tci: Signal<In, Bits<16>>,
    /// The beat is there.
    pub valid: Signal<In, Bit>,
    /// The consumer takes it.
    pub ready: Signal<Out, Bit>,
}

/// What became of a packet that was not aborted, in the order of the packets.
#[derive(LogicInterface, Default)]
#[join = "TxVerdictSink"]
pub struct TxVerdictSource {
    /// Next hop not resolved; nothing is sent.
    pub arp_miss: Signal<Out, Bit>,
    /// Not what its flags say (IP mode without an IPv4 header, too short or too long for a frame); nothing is sent.
    pub bad: Signal<Out, Bit>,
    /// It has left, at a time that is known.
    pub stamped: Signal<Out, Bit>,
    /// With `arp_miss`: the next hop's IPv4 address. With `stamped`: bits 31:0 of the clock when the SFD had left.
    pub address: Signal<Out, Bits<32>>,
    /// The verdict is there.
    pub valid: Signal<Out, Bit>,
    /// The consumer takes it.
    pub ready: Signal<In, Bit>,
}

/// Consumer side; see [`TxVerdictSource`].
#[derive(LogicInterface, Default)]
#[join = "TxVerdictSource"]
pub struct TxVerdictSink {
    /// Next hop not resolved; nothing is sent.
    pub arp_miss: Signal<In, Bit>,
    /// Not what its flags say (IP mode without an IPv4 header, too short or too long for a frame); nothing is sent.
    pub bad: Signal<In, Bit>,
    /// It has left, at a time that is known.
    pub stamped: Signal<In, Bit>,
    /// With `arp_miss`: the next hop's IPv4 address. With `stamped`: bits 31:0 of the clock when the SFD had left.
    pub address: Signal<In, Bits<32>>,
    /// The verdict is there.
    pub valid: Signal<In, Bit>,
    /// The consumer takes it.
    pub ready: Signal<Out, Bit>,
}
