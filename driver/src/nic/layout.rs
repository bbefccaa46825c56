//! Where rings, transmit buffers and receive slots lie in the one piece of memory that the NIC gets.
use super::config::NicConfig;
use crate::ring::submission::TX_BUFFER;
use ferrule_abi::ring::ENTRY_SIZE;

/// Rings start on pages: more than any base register asks for.
const ALIGN: usize = 4096;

/// Byte offsets.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) events: usize,
    pub(crate) pairs: Vec<PairLayout>,
    pub(crate) len: usize,
}

/// Byte offsets of what one queue pair has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PairLayout {
    pub(crate) sq: usize,
    pub(crate) txcq: usize,
    pub(crate) rxq: usize,
    pub(crate) rxcq: usize,
    pub(crate) buffers: usize,
    pub(crate) slots: usize,
}

impl Layout {
    pub(crate) fn new(config: &NicConfig) -> Self {
        let mut end = 0usize;
        let mut place = |len: usize, align: usize| {
            let start = end.next_multiple_of(align);
            end = start + len;
            start
        };
        let slot = 1usize << config.slot_log2;
        let events = place(ENTRY_SIZE << config.event_log2, ALIGN);
        let pair = |_| PairLayout {
            sq: place(ENTRY_SIZE << config.sq_log2, ALIGN),
            txcq: place(ENTRY_SIZE << config.txcq_log2, ALIGN),
            rxq: place(2 << config.rxq_log2, ALIGN),
            rxcq: place(ENTRY_SIZE << config.rxcq_log2, ALIGN),
            buffers: place(TX_BUFFER << config.sq_log2, ALIGN),
            slots: place(slot * usize::from(config.slots), slot.max(ALIGN)),
        };
        let pairs = (0..config.queue_pairs).map(pair).collect();
        Self {
            events,
            pairs,
            len: end,
        }
    }
}
