//! The rings that host and device share, and what the device writes into them checked before it is used.
//!
//! What only the host writes is kept in private memory too and never read back from the ring. Of what the device writes, each word is read
//! once; slot numbers, indices, lengths and status bits are checked against the private books. A violation is a [`RingFault`].
pub(crate) mod completion;
pub(crate) mod receive;
pub(crate) mod slots;
pub(crate) mod submission;

use ferrule_abi::ring::INDEX_MODULUS;

/// A device broke the contract of a ring. Its queue is quarantined: nothing more is read from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RingFault {
    /// A receive completion for a slot that does not exist.
    #[error("slot {slot} completed, there are {count}")]
    NoSuchSlot {
        /// The slot.
        slot: u16,
        /// How many there are.
        count: u16,
    },
    /// A receive completion for a slot that is the host's.
    #[error("slot {slot} completed, which the device did not have")]
    SlotNotLent {
        /// The slot.
        slot: u16,
    },
    /// A received length that cannot be.
    #[error("a frame of {len} bytes in a slot of {slot_size}, truncated: {truncated}")]
    Length {
        /// The length.
        len: u16,
        /// The slot's size in bytes.
        slot_size: u32,
        /// Whether it says that the frame was cut.
        truncated: bool,
    },
    /// Status bits that do not go together.
    #[error("status bits {status:#06x} do not go together")]
    Status {
        /// The bits.
        status: u16,
    },
    /// A transmit completion for an SQE that is not outstanding.
    #[error("SQE {index} completed, which is not outstanding")]
    NotOutstanding {
        /// Its index in the ring.
        index: u16,
    },
    /// A transmit completion for an SQE that does not end a frame, or for a frame that asked for none and had no error.
    #[error("SQE {index} completed, for which no completion was due")]
    NotDue {
        /// Its index in the ring.
        index: u16,
    },
    /// An event that is not defined.
    #[error("event {code} with detail {detail} is not defined")]
    Event {
        /// The code.
        code: u16,
        /// The detail.
        detail: u16,
    },
}

/// A ring index as doorbells carry it: free running modulo 2^15.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Index(u16);

const MASK: u16 = (INDEX_MODULUS - 1) as u16;

impl Index {
    #[inline]
    pub(crate) fn advance(&mut self, by: u16) {
        self.0 = self.0.wrapping_add(by) & MASK;
    }
    /// How far this is beyond `earlier`.
    #[inline]
    pub(crate) fn since(self, earlier: Self) -> u16 {
        self.0.wrapping_sub(earlier.0) & MASK
    }
    /// The entry of a ring of 2^log2 entries.
    #[inline]
    pub(crate) fn entry(self, log2: u8) -> u16 {
        self.0 & ((1 << log2) - 1)
    }
    /// The phase of a completion written at this index: 1 on the first pass, then alternating. 2^15 is an even number of passes of any ring.
    #[inline]
    pub(crate) fn phase(self, log2: u8) -> bool {
        self.0 >> log2 & 1 == 0
    }
    /// The count itself, of which the low bits are the entry's.
    #[inline]
    pub(crate) fn count(self) -> u16 {
        self.0
    }
    /// The value for a doorbell.
    #[inline]
    pub(crate) fn value(self) -> u32 {
        self.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_index_is_a_count_in_disguise(log2 in 4u8..=14, start in 0u64..200_000, steps in prop::collection::vec(0u16..=16_384, 1..50)) {
            let mut count = start;
            let mut index = Index((start % 32_768) as u16);
            for step in steps {
                let before = index;
                index.advance(step);
                count += u64::from(step);
                prop_assert_eq!(index.since(before), step);
                prop_assert_eq!(u64::from(index.value()), count % 32_768);
                prop_assert_eq!(u64::from(index.entry(log2)), count % (1 << log2));
                prop_assert_eq!(index.phase(log2), (count >> log2).is_multiple_of(2));
            }
        }
    }
}
