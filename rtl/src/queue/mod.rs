//! Queue engines: rings, prefetch, completions, events.
//!
//! | module | what it does |
//! |---|---|
//! | [`tx`] | four transmit queues: SQs to packets, verdicts to TXCQs |
//! | [`rx`] | four receive queues: packets to slots, RXCQs |
//! | [`event`] | the event queue |
//! | [`queues`] | four queue pairs and the event queue together |
//! | [`pages`] | what the host writes to four queues' pages |
//! | [`state`] | whether a queue runs |
//! | [`bank`], [`ring_base`] | what is kept for each queue |
//! | [`cq_writer`] | completions into rings, four to a line |
//! | [`sqe_fetcher`], [`slot_fetcher`] | prefetch of the rings that the host fills |
//! | [`push`], [`push_window`] | frames that the host writes into the device |
//! | [`payload_reader`], [`realigner`], [`segmenter`] | SQEs to reads, answers to contiguous packets, and those to segments |
//! | [`frame_writer`] | a received frame into its slot |
//! | [`fifo`] | a small list of words |
//!
//! Four queues of a kind share one engine: what is kept for each is an index or an address in a [`bank`] or a small memory, and the engine works
//! for one queue at a time. What a queue's page says is written to the engine over a bus; it is steady while the queue runs.
//!
//! Ring indices run free modulo 2^15. Every module's `busy` is high while its state would change in the next cycle though no input does;
//! it is low while the module waits for somebody else (a read's answer, a doorbell, a verdict).

pub mod bank;
pub mod cq_writer;
pub mod event;
pub mod fifo;
pub mod frame_writer;
pub mod pages;
pub mod payload_reader;
pub mod push;
pub mod push_window;
pub mod queues;
pub mod realigner;
pub mod ring_base;
pub mod rx;
pub mod segmenter;
pub mod slot_fetcher;
pub mod sqe_fetcher;
pub mod state;
pub mod tx;
