//! The stream of frames between modules: eight bytes a beat, as two 32-bit words.
#![allow(missing_docs, reason = "LogicInterface derives methods without docs")]
use rust_hdl::prelude::*;

/// Producer side of a frame stream.
///
/// A beat moves in a cycle in which `valid` and `ready` are both high; once `valid` is high, the beat stays until then.
#[derive(LogicInterface, Default)]
#[join = "FrameSink"]
pub struct FrameSource {
    /// Bytes 0 to 3 of the beat; the first on the wire in bits 7:0.
    pub d0: Signal<Out, Bits<32>>,
    /// Bytes 4 to 7 of the beat.
    pub d1: Signal<Out, Bits<32>>,
    /// One bit a byte: all ones but in the last beat, where the valid bytes are contiguous from bit 0.
    pub keep: Signal<Out, Bits<8>>,
    /// Last beat of the frame.
    pub last: Signal<Out, Bit>,
    /// The beat is there.
    pub valid: Signal<Out, Bit>,
    /// The consumer takes it.
    pub ready: Signal<In, Bit>,
}

/// Consumer side of a frame stream; see [`FrameSource`].
#[derive(LogicInterface, Default)]
#[join = "FrameSource"]
pub struct FrameSink {
    /// Bytes 0 to 3 of the beat.
    pub d0: Signal<In, Bits<32>>,
    /// Bytes 4 to 7 of the beat.
    pub d1: Signal<In, Bits<32>>,
    /// One bit a byte.
    pub keep: Signal<In, Bits<8>>,
    /// Last beat of the frame.
    pub last: Signal<In, Bit>,
    /// The beat is there.
    pub valid: Signal<In, Bit>,
    /// This side takes it.
    pub ready: Signal<Out, Bit>,
}
