//! Flow control by PAUSE frames (IEEE 802.3 annex 31B), both ways.
pub mod decode;
pub mod sender;
pub mod timer;
