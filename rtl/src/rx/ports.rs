//! Interfaces of the receive path.
#![allow(missing_docs, reason = "LogicInterface derives methods without docs")]
use rust_hdl::prelude::*;

/// Frame from the MAC, in the core's clock: no back-pressure, gaps allowed. FCS and preamble are gone.
#[derive(LogicInterface, Default)]
#[join = "RxBeatSink"]
pub struct RxBeatSource {
    /// Bytes 0 to 3 of the beat, the first in bits 7:0.
    pub d0: Signal<Out, Bits<32>>,
    /// Bytes 4 to 7.
    pub d1: Signal<Out, Bits<32>>,
    /// One bit a byte, contiguous from bit 0; all ones but in the last beat.
    pub keep: Signal<Out, Bits<8>>,
    /// Last beat of the frame.
    pub last: Signal<Out, Bit>,
    /// With `last`: what is wrong; bit 0 FCS, 1 RX_ER, 2 shorter than 64 bytes, 3 longer than the maximum (cut off there).
    pub bad: Signal<Out, Bits<4>>,
    /// The beat is there and is taken.
    pub valid: Signal<Out, Bit>,
}

/// Consumer side; see [`RxBeatSource`].
#[derive(LogicInterface, Default)]
#[join = "RxBeatSource"]
pub struct RxBeatSink {
    /// Bytes 0 to 3 of the beat, the first in bits 7:0.
    pub d0: Signal<In, Bits<32>>,
    /// Bytes 4 to 7.
    pub d1: Signal<In, Bits<32>>,
    /// One bit a byte, contiguous from bit 0; all ones but in the last beat.
    pub keep: Signal<In, Bits<8>>,
    /// Last beat of the frame.
    pub last: Signal<In, Bit>,
    /// With `last`: what is wrong; bit 0 FCS, 1 RX_ER, 2 shorter than 64 bytes, 3 longer than the maximum (cut off there).
    pub bad: Signal<In, Bits<4>>,
    /// The beat is there and is taken.
    pub valid: Signal<In, Bit>,
}

/// Whole good frames out of the receive buffer. The words that describe a frame are steady from its first beat to its last.
#[derive(LogicInterface, Default)]
#[join = "RxPacketSink"]
pub struct RxPacketSource {
    /// Bytes 0 to 3 of the beat, the first in bits 7:0.
    pub d0: Signal<Out, Bits<32>>,
    /// Bytes 4 to 7.
    pub d1: Signal<Out, Bits<32>>,
    /// One bit a byte, contiguous from bit 0; all ones but in the last beat.
    pub keep: Signal<Out, Bits<8>>,
    /// Last beat of the frame.
    pub last: Signal<Out, Bit>,
    /// The beat is there.
    pub valid: Signal<Out, Bit>,
    /// Length of the frame in bytes, without FCS.
    pub len: Signal<Out, Bits<16>>,
    /// Bits of `cqe_status`.
    pub status: Signal<Out, Bits<16>>,
    /// Half-word offset of L3 in bits 7:0, of L4 in bits 15:8; 0 none.
    pub offsets: Signal<Out, Bits<16>>,
    /// Flow hash; 0 for what is not IPv4.
    pub hash: Signal<Out, Bits<32>>,
    /// Which receive queue it is for.
    pub queue: Signal<Out, Bits<2>>,
    /// Low 32 bits of the time in nanoseconds at the frame's end.
    pub timestamp: Signal<Out, Bits<32>>,
    /// The consumer takes the beat.
    pub ready: Signal<In, Bit>,
}

/// Consumer side; see [`RxPacketSource`].
#[derive(LogicInterface, Default)]
#[join = "RxPacketSource"]
pub struct RxPacketSink {
    /// Bytes 0 to 3 of the beat, the first in bits 7:0.
    pub d0: Signal<In, Bits<32>>,
    /// Bytes 4 to 7.
    pub d1: Signal<In, Bits<32>>,
    /// One bit a byte, contiguous from bit 0; all ones but in the last beat.
    pub keep: Signal<In, Bits<8>>,
    /// Last beat of the frame.
    pub last: Signal<In, Bit>,
    /// The beat is there.
    pub valid: Signal<In, Bit>,
    /// Length of the frame in bytes, without FCS.
    pub len: Signal<In, Bits<16>>,
    /// Bits of `cqe_status`.
    pub status: Signal<In, Bits<16>>,
    /// Half-word offset of L3 in bits 7:0, of L4 in bits 15:8; 0 none.
    pub offsets: Signal<In, Bits<16>>,
    /// Flow hash; 0 for what is not IPv4.
    pub hash: Signal<In, Bits<32>>,
    /// See the source.
    pub queue: Signal<In, Bits<2>>,
    /// Low 32 bits of the time in nanoseconds at the frame's end.
    pub timestamp: Signal<In, Bits<32>>,
    /// The consumer takes the beat.
    pub ready: Signal<Out, Bit>,
}

/// A well-formed ARP packet (Ethernet, IPv4) that passed FCS and filter; a pulse.
#[derive(LogicInterface, Default)]
#[join = "ArpPacketSink"]
pub struct ArpPacketSource {
    /// Operation: 1 request, 2 reply.
    pub op: Signal<Out, Bits<16>>,
    /// Sender hardware address, bytes 0 to 3.
    pub sha_lo: Signal<Out, Bits<32>>,
    /// Sender hardware address, bytes 4 and 5.
    pub sha_hi: Signal<Out, Bits<16>>,
    /// Sender protocol address.
    pub spa: Signal<Out, Bits<32>>,
    /// Target protocol address.
    pub tpa: Signal<Out, Bits<32>>,
    /// High for one cycle.
    pub valid: Signal<Out, Bit>,
}

/// Consumer side; see [`ArpPacketSource`].
#[derive(LogicInterface, Default)]
#[join = "ArpPacketSource"]
pub struct ArpPacketSink {
    /// Operation: 1 request, 2 reply.
    pub op: Signal<In, Bits<16>>,
    /// Sender hardware address, bytes 0 to 3.
    pub sha_lo: Signal<In, Bits<32>>,
    /// Sender hardware address, bytes 4 and 5.
    pub sha_hi: Signal<In, Bits<16>>,
    /// Sender protocol address.
    pub spa: Signal<In, Bits<32>>,
    /// Target protocol address.
    pub tpa: Signal<In, Bits<32>>,
    /// High for one cycle.
    pub valid: Signal<In, Bit>,
}
