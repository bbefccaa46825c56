//! The host's view of the rings, as plain as can be: no checks of the device, which are the tests' business.
use ferrule_abi::ring::{doorbell, Sqe, INDEX_MODULUS};

use super::memory::HostMemory;

const ENTRY: u64 = ferrule_abi::ring::ENTRY_SIZE as u64;

/// A ring that the device fills.
#[derive(Clone, Debug)]
pub struct CompletionRing {
    /// Where it is.
    pub iova: u64,
    /// log2 of its entries.
    pub log2: u32,
    /// Entries read so far.
    pub consumer: u64,
}

impl CompletionRing {
    /// A zeroed ring of its own.
    pub fn new(memory: &mut HostMemory, log2: u32) -> Self {
        Self {
            iova: memory.take(ENTRY << log2),
            log2,
            consumer: 0,
        }
    }
    /// The entry after the last one read, if the device has written it.
    pub fn pop(&mut self, memory: &HostMemory) -> Option<[u32; 4]> {
        let index = self.consumer & ((1 << self.log2) - 1);
        let words = memory.read_entry(self.iova + index * ENTRY);
        let expected = u32::from(self.consumer >> self.log2 & 1 == 0);
        (words[3] >> 31 == expected).then(|| {
            self.consumer += 1;
            words
        })
    }
    /// Consumer bits of a doorbell.
    pub fn doorbell(&self) -> u32 {
        doorbell::CONSUMER.of((self.consumer % u64::from(INDEX_MODULUS)) as u32)
    }
}

/// A ring that the host fills.
#[derive(Clone, Debug)]
pub struct SubmissionRing {
    /// Where it is.
    pub iova: u64,
    /// log2 of its entries.
    pub log2: u32,
    /// Entries written so far.
    pub producer: u64,
}

impl SubmissionRing {
    /// A ring of entries of `entry` bytes.
    pub fn new(memory: &mut HostMemory, log2: u32, entry: u64) -> Self {
        Self {
            iova: memory.take(entry << log2),
            log2,
            producer: 0,
        }
    }
    /// Entries.
    pub fn size(&self) -> u64 {
        1 << self.log2
    }
    /// Where in the ring the next entry goes.
    pub fn slot(&self) -> u64 {
        self.producer & (self.size() - 1)
    }
    /// Producer bits of a doorbell.
    pub fn doorbell(&self) -> u32 {
        doorbell::PRODUCER.of((self.producer % u64::from(INDEX_MODULUS)) as u32)
    }
}

/// What a host writes to the push window: an SQE, and its packet filled up with `fill`.
pub fn push_image(sqe: Sqe, data: &[u8], fill: u8) -> Vec<u32> {
    let mut image = sqe.to_words().to_vec();
    let mut padded = data.to_vec();
    padded.resize(data.len().next_multiple_of(8), fill);
    let dws = padded.chunks_exact(4);
    image.extend(dws.map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])));
    image
}
