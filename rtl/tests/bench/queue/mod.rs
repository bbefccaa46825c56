//! Testbenches of `queue`.
mod cq_writer;
mod fifo;
mod host;
mod queues;
mod tx;
