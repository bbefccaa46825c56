//! Testbenches of `mac`.
mod fcs;
mod fifo;
mod gmii;
mod loopback;
mod mii;
mod reset;
mod rx;
mod sync;
mod top;
mod tx;
mod verilog;
mod width;
