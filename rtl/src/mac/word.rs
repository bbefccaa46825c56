//! The stream of frames inside the MAC: four bytes a word.
#![allow(missing_docs, reason = "LogicInterface derives methods without docs")]
use rust_hdl::prelude::*;

/// Producer side.
///
/// A word moves in a cycle in which `valid` and `ready` are both high; once `valid` is high, the word stays until then.
#[derive(LogicInterface, Default)]
#[join = "WordSink"]
pub struct WordSource {
    /// The bytes, the first in bits 7:0.
    pub data: Signal<Out, Bits<32>>,
    /// Last word of the frame.
    pub last: Signal<Out, Bit>,
    /// Valid bytes less one; 3 but in the last word.
    pub count: Signal<Out, Bits<2>>,
    /// With `last`, on receive: see `RxBeatSource::bad`.
    pub bad: Signal<Out, Bits<4>>,
    /// The word is there.
    pub valid: Signal<Out, Bit>,
    /// The consumer takes it.
    pub ready: Signal<In, Bit>,
}

/// Consumer side; see [`WordSource`].
#[derive(LogicInterface, Default)]
#[join = "WordSource"]
pub struct WordSink {
    /// The bytes, the first in bits 7:0.
    pub data: Signal<In, Bits<32>>,
    /// Last word of the frame.
    pub last: Signal<In, Bit>,
    /// Valid bytes less one; 3 but in the last word.
    pub count: Signal<In, Bits<2>>,
    /// With `last`, on receive: see `RxBeatSource::bad`.
    pub bad: Signal<In, Bits<4>>,
    /// The word is there.
    pub valid: Signal<In, Bit>,
    /// This side takes it.
    pub ready: Signal<Out, Bit>,
}
