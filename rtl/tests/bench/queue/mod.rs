//! Testbenches of `queue`.
mod cq_writer;
mod event;
mod fetchers;
mod fifo;
mod frame_writer;
mod host;
mod payload;
mod push;
mod queues;
mod rx;
mod rx_bench;
mod tso;
mod tx;
mod tx_bench;
