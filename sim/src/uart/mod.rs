//! TLPs over a UART: the host's end of the link that a board without PCIe has (`docs/uart.md`). No I/O and no clock: bytes and times go in and out.
//!
//! | module | is |
//! |---|---|
//! | [`mod@unit`] | units as bytes, and their framing (RFC 1662) |
//! | [`stream`] | one direction's positions: what is kept, sent again, accepted |
//! | [`host`] | the root complex at its end |
//! | [`pins`] | the line as levels in time |
//! | [`noise`] | a line that damages bytes |
//! | [`endpoint`] | an end of the link: sessions, time-outs, TLPs |

pub mod endpoint;
pub mod host;
pub mod noise;
pub mod pins;
pub mod stream;
pub mod unit;

pub use endpoint::{Broken, Endpoint, Role, State, UartStats};
pub use host::UartHost;
pub use noise::Noise;
