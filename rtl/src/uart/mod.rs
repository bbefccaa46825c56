//! TLPs over a UART, in place of a PCIe block: the protocol is in `docs/uart.md`.
//!
//! | module | is |
//! |---|---|
//! | [`nic`] | the NIC behind a UART: what a board without PCIe holds |
//! | [`link`] | the link: pins on one side, TLP streams and the core's settings on the other |
//! | [`line_rx`], [`line_tx`] | bytes from and to the pins |
//! | [`stuff`] | flags around units, and bytes that look like flags |
//! | [`fcs`] | the check sequence, a bit a clock |
//! | [`unit_rx`], [`unit_tx`] | a unit taken apart and put together |
//! | [`session`] | what is sent when: sessions, acknowledgement, room, sending again |
//! | [`packer`], [`unpacker`] | between beats of TLPs and the streams' buffers |
//! | [`ports`] | what lies between them |

pub mod fcs;
pub mod line_rx;
pub mod line_tx;
pub mod link;
pub mod nic;
pub mod packer;
pub mod ports;
pub mod session;
pub mod stuff;
pub mod unit_rx;
pub mod unit_tx;
pub mod unpacker;

pub use link::UartLink;
