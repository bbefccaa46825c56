//! A transfer on the management interface, as it is asked for.
#![allow(missing_docs, reason = "LogicInterface derives methods without docs")]
use rust_hdl::prelude::*;

/// Who asks.
///
/// `valid` and all beside it stand still until `done`; then `valid` falls, and after it `done`.
#[derive(LogicInterface, Default)]
#[join = "MdioSink"]
pub struct MdioSource {
    /// Write; else read.
    pub write: Signal<Out, Bit>,
    /// PHYAD.
    pub phy: Signal<Out, Bits<5>>,
    /// REGAD.
    pub register: Signal<Out, Bits<5>>,
    /// What to write.
    pub wdata: Signal<Out, Bits<16>>,
    /// A transfer is wanted.
    pub valid: Signal<Out, Bit>,
    /// It is over.
    pub done: Signal<In, Bit>,
    /// With `done`: what was read, all ones where no PHY answers; after a write without meaning.
    pub rdata: Signal<In, Bits<16>>,
}

/// Who does it; see [`MdioSource`].
#[derive(LogicInterface, Default)]
#[join = "MdioSource"]
pub struct MdioSink {
    /// Write; else read.
    pub write: Signal<In, Bit>,
    /// PHYAD.
    pub phy: Signal<In, Bits<5>>,
    /// REGAD.
    pub register: Signal<In, Bits<5>>,
    /// What to write.
    pub wdata: Signal<In, Bits<16>>,
    /// A transfer is wanted.
    pub valid: Signal<In, Bit>,
    /// It is over.
    pub done: Signal<Out, Bit>,
    /// With `done`: what was read, all ones where no PHY answers; after a write without meaning.
    pub rdata: Signal<Out, Bits<16>>,
}
