//! The whole NIC on a bench: registers and DMA through TLPs, frames through GMII, every promise on both engines in lockstep where
//! Verilator is installed.
mod agree;
mod arp;
mod bad_frames;
mod captures;
mod differential;
mod dma;
mod echo;
mod filters;
mod idle;
mod overload;
mod pairs;
mod pause;
mod push;
mod queues;
mod registers;
mod speed;
mod timestamps;
mod tso;
mod wrap;
