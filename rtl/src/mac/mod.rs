//! Ethernet MAC: GMII and MII, FCS, clock crossing, width conversion.
//!
//! | module | is |
//! |---|---|
//! | [`top`] | the whole MAC between the frame streams and the GMII or MII pins |
//! | [`rx`], [`tx`] | the two byte machines, each in its GMII clock |
//! | [`mii`] | nibbles of an MII to bytes |
//! | [`fcs`] | the frame check sequence, a byte a clock |
//! | [`fifo`] | the crossing between clocks: a FIFO with gray pointers |
//! | [`sync`], [`reset`] | synchroniser cells |
//! | [`narrow`], [`widen`] | between beats of eight bytes and words of four |
//! | [`loopback`] | from transmit to receive inside the core's clock |
//! | [`word`] | the stream of 32-bit words between them |

pub mod fcs;
pub mod fifo;
pub mod loopback;
pub mod mii;
pub mod narrow;
pub mod reset;
pub mod rx;
pub mod sync;
pub mod top;
pub mod tx;
pub mod widen;
pub mod word;

pub use top::Mac;
