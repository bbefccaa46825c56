//! Interfaces between the modules of the host side.
#![allow(missing_docs, reason = "LogicInterface derives methods without docs")]
use rust_hdl::prelude::*;

/// A completion TLP for a read of ours: the header words are steady from the first beat to the last; data in memory order.
///
/// The first beat holds no data or one DW (the 3-DW header leaves room for one), later ones up to two.
#[derive(LogicInterface, Default)]
#[join = "CompletionSink"]
pub struct CompletionSource {
    /// First header DW: format, EP, length.
    pub dw0: Signal<Out, Bits<32>>,
    /// Second header DW: status, byte count.
    pub dw1: Signal<Out, Bits<32>>,
    /// Low bits of the tag; the others and the requester id are right.
    pub tag: Signal<Out, Bits<3>>,
    /// First DW of the beat.
    pub d0: Signal<Out, Bits<32>>,
    /// Second DW of the beat.
    pub d1: Signal<Out, Bits<32>>,
    /// How many DWs of the payload are in the beat, 0 to 2.
    pub count: Signal<Out, Bits<2>>,
    /// Last beat of the TLP.
    pub last: Signal<Out, Bit>,
    /// With `last`: the TLP does not have the length its header says.
    pub bad: Signal<Out, Bit>,
    /// The beat is there.
    pub valid: Signal<Out, Bit>,
    /// The consumer takes it.
    pub ready: Signal<In, Bit>,
}

/// Consumer side; see [`CompletionSource`].
#[derive(LogicInterface, Default)]
#[join = "CompletionSource"]
pub struct CompletionSink {
    /// First header DW: format, EP, length.
    pub dw0: Signal<In, Bits<32>>,
    /// Second header DW: status, byte count.
    pub dw1: Signal<In, Bits<32>>,
    /// Low bits of the tag; the others and the requester id are right.
    pub tag: Signal<In, Bits<3>>,
    /// First DW of the beat.
    pub d0: Signal<In, Bits<32>>,
    /// Second DW of the beat.
    pub d1: Signal<In, Bits<32>>,
    /// How many DWs of the payload are in the beat, 0 to 2.
    pub count: Signal<In, Bits<2>>,
    /// Last beat of the TLP.
    pub last: Signal<In, Bit>,
    /// With `last`: the TLP does not have the length its header says.
    pub bad: Signal<In, Bit>,
    /// The beat is there.
    pub valid: Signal<In, Bit>,
    /// The consumer takes it.
    pub ready: Signal<Out, Bit>,
}

/// A completion of ours to a request of the host, as its DWs. With data (one DW) if bit 30 of `dw0` is set.
#[derive(LogicInterface, Default)]
#[join = "ReplySink"]
pub struct ReplySource {
    /// First header DW.
    pub dw0: Signal<Out, Bits<32>>,
    /// Second header DW, without the completer id in bits 31:16.
    pub dw1: Signal<Out, Bits<32>>,
    /// Third header DW.
    pub dw2: Signal<Out, Bits<32>>,
    /// The payload in memory order.
    pub data: Signal<Out, Bits<32>>,
    /// It is there.
    pub valid: Signal<Out, Bit>,
    /// It is taken.
    pub ready: Signal<In, Bit>,
}

/// Consumer side; see [`ReplySource`].
#[derive(LogicInterface, Default)]
#[join = "ReplySource"]
pub struct ReplySink {
    /// First header DW.
    pub dw0: Signal<In, Bits<32>>,
    /// Second header DW, without the completer id in bits 31:16.
    pub dw1: Signal<In, Bits<32>>,
    /// Third header DW.
    pub dw2: Signal<In, Bits<32>>,
    /// The payload in memory order.
    pub data: Signal<In, Bits<32>>,
    /// It is there.
    pub valid: Signal<In, Bit>,
    /// It is taken.
    pub ready: Signal<Out, Bit>,
}

/// A memory read TLP to be sent.
#[derive(LogicInterface, Default)]
#[join = "ReadTlpSink"]
pub struct ReadTlpSource {
    /// IOVA of the first DW, low half; bits 1:0 are 0.
    pub addr_lo: Signal<Out, Bits<32>>,
    /// High half.
    pub addr_hi: Signal<Out, Bits<32>>,
    /// How many DWs, 1 to 64.
    pub dwords: Signal<Out, Bits<7>>,
    /// Its tag.
    pub tag: Signal<Out, Bits<3>>,
    /// The read is there.
    pub valid: Signal<Out, Bit>,
    /// It is taken.
    pub ready: Signal<In, Bit>,
    /// High while no read will be taken, because the function may not master the bus or is being reset: `valid` may then be withdrawn.
    pub refuse: Signal<In, Bit>,
}

/// Consumer side; see [`ReadTlpSource`].
#[derive(LogicInterface, Default)]
#[join = "ReadTlpSource"]
pub struct ReadTlpSink {
    /// IOVA of the first DW, low half; bits 1:0 are 0.
    pub addr_lo: Signal<In, Bits<32>>,
    /// High half.
    pub addr_hi: Signal<In, Bits<32>>,
    /// How many DWs, 1 to 64.
    pub dwords: Signal<In, Bits<7>>,
    /// Its tag.
    pub tag: Signal<In, Bits<3>>,
    /// The read is there.
    pub valid: Signal<In, Bit>,
    /// It is taken.
    pub ready: Signal<Out, Bit>,
    /// High while no read will be taken, because the function may not master the bus or is being reset: `valid` may then be withdrawn.
    pub refuse: Signal<Out, Bit>,
}
