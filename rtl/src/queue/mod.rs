//! Queue engines: rings, prefetch, completions, events.
//!
//! | module | what it does |
//! |---|---|
//! | [`tx`] | a transmit queue: SQ to packets, verdicts to TXCQ |
//! | [`rx`] | a receive queue: packets to slots, RXCQ |
//! | [`event`] | the event queue |
//! | [`queues`] | one queue pair and the event queue together |
//! | [`cq_writer`] | completions into a ring, four to a line |
//! | [`sqe_fetcher`], [`slot_fetcher`] | prefetch of the rings that the host fills |
//! | [`push`], [`push_window`] | frames that the host writes into the device |
//! | [`payload_reader`], [`realigner`], [`segmenter`] | SQEs to reads, answers to contiguous packets, and those to segments |
//! | [`frame_writer`] | a received frame into its slot |
//! | [`fifo`] | a small list of words |
//!
//! Ring indices run free modulo 2^15. Every module's `busy` is high while its state would change in the next cycle though no input does;
//! it is low while the module waits for somebody else (a read's answer, a doorbell, a verdict).

pub mod cq_writer;
pub mod event;
pub mod fifo;
pub mod frame_writer;
pub mod payload_reader;
pub mod push;
pub mod push_window;
pub mod queues;
pub mod realigner;
pub mod rx;
pub mod segmenter;
pub mod slot_fetcher;
pub mod sqe_fetcher;
pub mod tx;
