//! Interfaces of the host side.
#![allow(missing_docs, reason = "LogicInterface derives methods without docs")]
use rust_hdl::prelude::*;

/// A stream of TLPs, two DWs a beat, shaped like the 64-bit AXI4-Stream of the 7-series integrated block (PG054): header DWs first, fields in their natural bit positions; of a payload DW the byte with the lowest address is in bits 31:24.
#[derive(LogicInterface, Default)]
#[join = "TlpSink"]
pub struct TlpSource {
    /// First DW of the beat (`tdata[31:0]`).
    pub d0: Signal<Out, Bits<32>>,
    /// Second DW (`tdata[63:32]`).
    pub d1: Signal<Out, Bits<32>>,
    /// With `last`: the beat holds `d0` only (tkeep 0x0F).
    pub half: Signal<Out, Bit>,
    /// Last beat of the TLP.
    pub last: Signal<Out, Bit>,
    /// Requests from the host: number of the BAR that was hit. Otherwise 0.
    pub bar: Signal<Out, Bits<3>>,
    /// The beat is there.
    pub valid: Signal<Out, Bit>,
    /// The consumer takes it.
    pub ready: Signal<In, Bit>,
}

/// Consumer side; see [`TlpSource`].
#[derive(LogicInterface, Default)]
#[join = "TlpSource"]
pub struct TlpSink {
    /// First DW of the beat (`tdata[31:0]`).
    pub d0: Signal<In, Bits<32>>,
    /// Second DW (`tdata[63:32]`).
    pub d1: Signal<In, Bits<32>>,
    /// With `last`: the beat holds `d0` only (tkeep 0x0F).
    pub half: Signal<In, Bit>,
    /// Last beat of the TLP.
    pub last: Signal<In, Bit>,
    /// Requests from the host: number of the BAR that was hit. Otherwise 0.
    pub bar: Signal<In, Bits<3>>,
    /// The beat is there.
    pub valid: Signal<In, Bit>,
    /// The consumer takes it.
    pub ready: Signal<Out, Bit>,
}

/// Asks for memory: whole DWs, not across a 4 KiB border, at most 64 DWs and at most the negotiated read size.
#[derive(LogicInterface, Default)]
#[join = "ReadReqSink"]
pub struct ReadReqSource {
    /// IOVA of the first DW, low half; bits 1:0 are 0.
    pub addr_lo: Signal<Out, Bits<32>>,
    /// High half.
    pub addr_hi: Signal<Out, Bits<32>>,
    /// How many DWs, 1 to 64.
    pub dwords: Signal<Out, Bits<7>>,
    /// The request is there.
    pub valid: Signal<Out, Bit>,
    /// It is taken; a tag and buffer space are reserved.
    pub ready: Signal<In, Bit>,
}

/// Consumer side; see [`ReadReqSource`].
#[derive(LogicInterface, Default)]
#[join = "ReadReqSource"]
pub struct ReadReqSink {
    /// IOVA of the first DW, low half; bits 1:0 are 0.
    pub addr_lo: Signal<In, Bits<32>>,
    /// High half.
    pub addr_hi: Signal<In, Bits<32>>,
    /// How many DWs, 1 to 64.
    pub dwords: Signal<In, Bits<7>>,
    /// The request is there.
    pub valid: Signal<In, Bit>,
    /// It is taken; a tag and buffer space are reserved.
    pub ready: Signal<Out, Bit>,
}

/// The answers to a client's reads, whole and in the order of its requests, however the completions were split and ordered.
#[derive(LogicInterface, Default)]
#[join = "ReadDataSink"]
pub struct ReadDataSource {
    /// DW at the lower address, memory order: the byte with the lowest address in bits 7:0.
    pub d0: Signal<Out, Bits<32>>,
    /// Next DW; undefined in the last beat of an odd number.
    pub d1: Signal<Out, Bits<32>>,
    /// Last beat of this request's answer.
    pub last: Signal<Out, Bit>,
    /// With `last`: the read failed (error completion, poisoned, or timed out); its data is worthless.
    pub err: Signal<Out, Bit>,
    /// The beat is there.
    pub valid: Signal<Out, Bit>,
    /// The consumer takes it.
    pub ready: Signal<In, Bit>,
}

/// Consumer side; see [`ReadDataSource`].
#[derive(LogicInterface, Default)]
#[join = "ReadDataSource"]
pub struct ReadDataSink {
    /// DW at the lower address, memory order: the byte with the lowest address in bits 7:0.
    pub d0: Signal<In, Bits<32>>,
    /// Next DW; undefined in the last beat of an odd number.
    pub d1: Signal<In, Bits<32>>,
    /// Last beat of this request's answer.
    pub last: Signal<In, Bit>,
    /// With `last`: the read failed (error completion, poisoned, or timed out); its data is worthless.
    pub err: Signal<In, Bit>,
    /// The beat is there.
    pub valid: Signal<In, Bit>,
    /// The consumer takes it.
    pub ready: Signal<Out, Bit>,
}

/// A memory write: one TLP, at most the negotiated payload, not across a 4 KiB border. Address and counts are steady from the first beat to the last.
#[derive(LogicInterface, Default)]
#[join = "WriteSink"]
pub struct WriteSource {
    /// IOVA of the first DW, low half; bits 1:0 are 0.
    pub addr_lo: Signal<Out, Bits<32>>,
    /// High half.
    pub addr_hi: Signal<Out, Bits<32>>,
    /// How many DWs, at least 1.
    pub dwords: Signal<Out, Bits<10>>,
    /// Byte enables of the last DW (with one DW: of that one); never 0.
    pub last_be: Signal<Out, Bits<4>>,
    /// DW at the lower address, memory order: the byte with the lowest address in bits 7:0.
    pub d0: Signal<Out, Bits<32>>,
    /// Next DW; ignored in the last beat of an odd number.
    pub d1: Signal<Out, Bits<32>>,
    /// Last beat.
    pub last: Signal<Out, Bit>,
    /// The beat is there.
    pub valid: Signal<Out, Bit>,
    /// It is taken.
    pub ready: Signal<In, Bit>,
}

/// Consumer side; see [`WriteSource`].
#[derive(LogicInterface, Default)]
#[join = "WriteSource"]
pub struct WriteSink {
    /// IOVA of the first DW, low half; bits 1:0 are 0.
    pub addr_lo: Signal<In, Bits<32>>,
    /// High half.
    pub addr_hi: Signal<In, Bits<32>>,
    /// How many DWs, at least 1.
    pub dwords: Signal<In, Bits<10>>,
    /// Byte enables of the last DW (with one DW: of that one); never 0.
    pub last_be: Signal<In, Bits<4>>,
    /// DW at the lower address, memory order: the byte with the lowest address in bits 7:0.
    pub d0: Signal<In, Bits<32>>,
    /// Next DW; ignored in the last beat of an odd number.
    pub d1: Signal<In, Bits<32>>,
    /// Last beat.
    pub last: Signal<In, Bit>,
    /// The beat is there.
    pub valid: Signal<In, Bit>,
    /// It is taken.
    pub ready: Signal<Out, Bit>,
}

/// One access of a 32-bit register in BAR0 or the MSI-X BAR; one at a time, `valid` stays until `done`.
#[derive(LogicInterface, Default)]
#[join = "RegAccessSink"]
pub struct RegAccessSource {
    /// BAR number.
    pub bar: Signal<Out, Bits<3>>,
    /// Byte offset in the BAR, a multiple of 4.
    pub addr: Signal<Out, Bits<20>>,
    /// 1 write, 0 read.
    pub write: Signal<Out, Bit>,
    /// Value to write.
    pub wdata: Signal<Out, Bits<32>>,
    /// An access is there.
    pub valid: Signal<Out, Bit>,
    /// With `done` of a read: the value; all-ones for a hole.
    pub rdata: Signal<In, Bits<32>>,
    /// High for one cycle.
    pub done: Signal<In, Bit>,
}

/// Consumer side; see [`RegAccessSource`].
#[derive(LogicInterface, Default)]
#[join = "RegAccessSource"]
pub struct RegAccessSink {
    /// BAR number.
    pub bar: Signal<In, Bits<3>>,
    /// Byte offset in the BAR, a multiple of 4.
    pub addr: Signal<In, Bits<20>>,
    /// 1 write, 0 read.
    pub write: Signal<In, Bit>,
    /// Value to write.
    pub wdata: Signal<In, Bits<32>>,
    /// An access is there.
    pub valid: Signal<In, Bit>,
    /// With `done` of a read: the value; all-ones for a hole.
    pub rdata: Signal<Out, Bits<32>>,
    /// High for one cycle.
    pub done: Signal<Out, Bit>,
}

/// What the host writes to the pages of the queues of one kind, and their STATUS.
#[derive(LogicInterface, Default)]
#[join = "QueueBusSink"]
pub struct QueueBusSource {
    /// Which of the queues is written to.
    pub place: Signal<Out, Bits<2>>,
    /// Number of the register in its page.
    pub word: Signal<Out, Bits<4>>,
    /// What is written, masked as the register is; a doorbell as it came.
    pub data: Signal<Out, Bits<32>>,
    /// It is written now. While STATUS.RUNNING is set, only DOORBELL and CTRL are.
    pub write: Signal<Out, Bit>,
    /// Whose STATUS is looked at.
    pub look: Signal<Out, Bits<2>>,
    /// It: ERROR in bits 3:0, RUNNING in bit 4; in the same cycle.
    pub status: Signal<In, Bits<5>>,
}

/// The other side of [`QueueBusSource`].
#[derive(LogicInterface, Default)]
#[join = "QueueBusSource"]
pub struct QueueBusSink {
    /// See the source.
    pub place: Signal<In, Bits<2>>,
    /// See the source.
    pub word: Signal<In, Bits<4>>,
    /// See the source.
    pub data: Signal<In, Bits<32>>,
    /// See the source.
    pub write: Signal<In, Bit>,
    /// See the source.
    pub look: Signal<In, Bits<2>>,
    /// See the source.
    pub status: Signal<Out, Bits<5>>,
}

/// Writes of the host to the push window of a transmit queue, beat by beat; they cannot be held up.
///
/// The first beat holds no DW or one (its header leaves room for one), later ones up to two.
#[derive(LogicInterface, Default)]
#[join = "PushSink"]
pub struct PushSource {
    /// DW of the window that the write begins with.
    pub offset: Signal<Out, Bits<9>>,
    /// First DW of the beat, memory order: the byte with the lowest address in bits 7:0.
    pub d0: Signal<Out, Bits<32>>,
    /// Second DW of the beat.
    pub d1: Signal<Out, Bits<32>>,
    /// How many DWs are in the beat, 0 to 2.
    pub count: Signal<Out, Bits<2>>,
    /// First beat of the write.
    pub first: Signal<Out, Bit>,
    /// Last beat.
    pub last: Signal<Out, Bit>,
    /// With `last`: the TLP does not have the length its header says.
    pub bad: Signal<Out, Bit>,
    /// The beat is there.
    pub valid: Signal<Out, Bit>,
    /// Somebody takes writes; without it they are accesses of a register that is not there.
    pub open: Signal<In, Bit>,
}

/// Consumer side; see [`PushSource`].
#[derive(LogicInterface, Default)]
#[join = "PushSource"]
pub struct PushSink {
    /// DW of the window that the write begins with.
    pub offset: Signal<In, Bits<9>>,
    /// First DW of the beat, memory order: the byte with the lowest address in bits 7:0.
    pub d0: Signal<In, Bits<32>>,
    /// Second DW of the beat.
    pub d1: Signal<In, Bits<32>>,
    /// How many DWs are in the beat, 0 to 2.
    pub count: Signal<In, Bits<2>>,
    /// First beat of the write.
    pub first: Signal<In, Bit>,
    /// Last beat.
    pub last: Signal<In, Bit>,
    /// With `last`: the TLP does not have the length its header says.
    pub bad: Signal<In, Bit>,
    /// The beat is there.
    pub valid: Signal<In, Bit>,
    /// Somebody takes writes; without it they are accesses of a register that is not there.
    pub open: Signal<Out, Bit>,
}
