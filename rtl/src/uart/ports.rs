//! What lies between the parts of the link.
#![allow(missing_docs, reason = "LogicInterface derives methods without docs")]
use rust_hdl::prelude::*;

/// Bytes of units on their way to the line, and the flags between them.
#[derive(LogicInterface, Default)]
#[join = "OctetSink"]
pub struct OctetSource {
    /// The byte.
    pub data: Signal<Out, Bits<8>>,
    /// A flag instead.
    pub flag: Signal<Out, Bit>,
    /// Either is there, and stays until it is taken.
    pub valid: Signal<Out, Bit>,
    /// It is taken.
    pub ready: Signal<In, Bit>,
}

/// Consumer side; see [`OctetSource`].
#[derive(LogicInterface, Default)]
#[join = "OctetSource"]
pub struct OctetSink {
    /// The byte.
    pub data: Signal<In, Bits<8>>,
    /// A flag instead.
    pub flag: Signal<In, Bit>,
    /// Either is there, and stays until it is taken.
    pub valid: Signal<In, Bit>,
    /// It is taken.
    pub ready: Signal<Out, Bit>,
}

/// A unit that came whole, and what it says.
#[derive(LogicInterface, Default)]
#[join = "HeardSink"]
pub struct HeardSource {
    /// Its session.
    pub session: Signal<Out, Bits<8>>,
    /// OPEN.
    pub open: Signal<Out, Bit>,
    /// BACK.
    pub back: Signal<Out, Bit>,
    /// TURN.
    pub turn: Signal<Out, Bit>,
    /// OF_TURN.
    pub of_turn: Signal<Out, Bit>,
    /// Position of its first DW.
    pub position: Signal<Out, Bits<12>>,
    /// Position up to which it acknowledges.
    pub ack: Signal<Out, Bits<12>>,
    /// Position before which there is room.
    pub limit: Signal<Out, Bits<12>>,
    /// If it is accepted: the position behind its last DW.
    pub beyond: Signal<Out, Bits<12>>,
    /// Pulse: all this counts.
    pub valid: Signal<Out, Bit>,
}

/// Consumer side; see [`HeardSource`].
#[derive(LogicInterface, Default)]
#[join = "HeardSource"]
pub struct HeardSink {
    /// Its session.
    pub session: Signal<In, Bits<8>>,
    /// OPEN.
    pub open: Signal<In, Bit>,
    /// BACK.
    pub back: Signal<In, Bit>,
    /// TURN.
    pub turn: Signal<In, Bit>,
    /// OF_TURN.
    pub of_turn: Signal<In, Bit>,
    /// Position of its first DW.
    pub position: Signal<In, Bits<12>>,
    /// Position up to which it acknowledges.
    pub ack: Signal<In, Bits<12>>,
    /// Position before which there is room.
    pub limit: Signal<In, Bits<12>>,
    /// If it is accepted: the position behind its last DW.
    pub beyond: Signal<In, Bits<12>>,
    /// Pulse: all this counts.
    pub valid: Signal<In, Bit>,
}

/// A unit that is to be sent.
#[derive(LogicInterface, Default)]
#[join = "SayingSink"]
pub struct SayingSource {
    /// Bits of its first seven bytes, the first byte in bits 55:48.
    pub session: Signal<Out, Bits<8>>,
    /// BACK.
    pub back: Signal<Out, Bit>,
    /// TURN.
    pub turn: Signal<Out, Bit>,
    /// OF_TURN.
    pub of_turn: Signal<Out, Bit>,
    /// What is expected next.
    pub ack: Signal<Out, Bits<12>>,
    /// Position before which there is room here.
    pub limit: Signal<Out, Bits<12>>,
    /// Position from which data is to be sent.
    pub from: Signal<Out, Bits<12>>,
    /// The unit is to be short.
    pub brief: Signal<Out, Bit>,
    /// Position before which it is to stop; it may move on meanwhile.
    pub written: Signal<Out, Bits<12>>,
    /// Position before which the other side has room; it may move on meanwhile.
    pub room: Signal<Out, Bits<12>>,
    /// Send a unit: all beside it stands still until `taken`, but for `written` and `room`.
    pub valid: Signal<Out, Bit>,
    /// Pulse: the unit has begun, with what stood beside `valid`.
    pub taken: Signal<In, Bit>,
    /// No unit is being sent.
    pub idle: Signal<In, Bit>,
    /// Position behind the last DW that was sent, while `idle`.
    pub sent: Signal<In, Bits<12>>,
}

/// Consumer side; see [`SayingSource`].
#[derive(LogicInterface, Default)]
#[join = "SayingSource"]
pub struct SayingSink {
    /// Session.
    pub session: Signal<In, Bits<8>>,
    /// BACK.
    pub back: Signal<In, Bit>,
    /// TURN.
    pub turn: Signal<In, Bit>,
    /// OF_TURN.
    pub of_turn: Signal<In, Bit>,
    /// What is expected next.
    pub ack: Signal<In, Bits<12>>,
    /// Position before which there is room here.
    pub limit: Signal<In, Bits<12>>,
    /// Position from which data is to be sent.
    pub from: Signal<In, Bits<12>>,
    /// The unit is to be short.
    pub brief: Signal<In, Bit>,
    /// Position before which it is to stop; it may move on meanwhile.
    pub written: Signal<In, Bits<12>>,
    /// Position before which the other side has room; it may move on meanwhile.
    pub room: Signal<In, Bits<12>>,
    /// Send a unit: all beside it stands still until `taken`, but for `written` and `room`.
    pub valid: Signal<In, Bit>,
    /// Pulse: the unit has begun, with what stood beside `valid`.
    pub taken: Signal<Out, Bit>,
    /// No unit is being sent.
    pub idle: Signal<Out, Bit>,
    /// Position behind the last DW that was sent, while `idle`.
    pub sent: Signal<Out, Bits<12>>,
}
