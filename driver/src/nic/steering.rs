//! Which queue pair a received frame goes to: the indirection table, by the lowest bits of the frame's hash.
use super::error::NicError;
use super::Nic;
use ferrule_abi::regs::indirection::{QUEUES, REGISTER};

/// Entries of the indirection table: one for each value of the hash's bits 6:0.
pub const INDIRECTION_ENTRIES: usize = ferrule_abi::regs::INDIRECTION_ENTRIES as usize;
/// Bits of an entry in a register.
const ENTRY_BITS: usize = 2;
/// Entries in a register.
const IN_REGISTER: usize = QUEUES.width as usize / ENTRY_BITS;

const _: () = assert!(REGISTER.count as usize * IN_REGISTER == INDIRECTION_ENTRIES);

/// The indirection table.
pub(super) type Table = [u8; INDIRECTION_ENTRIES];

/// An indirection table that names a queue pair which is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {entry} of the indirection table is {pair}; this NIC has queue pairs 0 to {last}")]
pub struct SteeringError {
    /// Which entry.
    pub entry: usize,
    /// What it says.
    pub pair: u8,
    /// The highest number of a pair.
    pub last: u8,
}

/// As many entries for each of so many pairs, as far as that goes.
pub(super) fn even(pairs: u8) -> Table {
    std::array::from_fn(|entry| (entry % usize::from(pairs)) as u8)
}

/// # Errors
/// If there is no pair that it names.
fn check(table: &Table, pairs: u8) -> Result<(), SteeringError> {
    match table.iter().position(|pair| *pair >= pairs) {
        None => Ok(()),
        Some(entry) => Err(SteeringError {
            entry,
            pair: table[entry],
            last: pairs - 1,
        }),
    }
}

/// The values of the registers, in their order.
fn words(table: &Table) -> impl Iterator<Item = u32> + '_ {
    let entries = table.chunks_exact(IN_REGISTER);
    entries.map(|entries| {
        let placed = entries.iter().zip((0..).step_by(ENTRY_BITS));
        placed.fold(0, |word, (pair, at)| word | u32::from(*pair) << at)
    })
}

impl Nic {
    /// The indirection table: the frames whose hash ends in n (bits 6:0) go to the pair that entry n names; frames without a hash (neither IPv4 nor
    /// IPv6, or with a wrong header) go to that of entry 0. After [`Nic::open`] entry n names pair n modulo [`NicConfig::queue_pairs`](super::NicConfig::queue_pairs).
    pub fn indirection(&self) -> &[u8; INDIRECTION_ENTRIES] {
        &self.indirection
    }

    /// Gives the NIC another indirection table, while it receives or not: frames that are inside already may go by the one or the other, sixteen entries
    /// change at a time, and a flow that moves may so be seen at two pairs for a moment. It is kept over a [recovery](Self::recover).
    ///
    /// # Errors
    /// [`NicError::Steering`] if it names a pair that is not there, of which nothing is changed; [`NicError::Device`].
    pub fn set_indirection(&mut self, table: &[u8; INDIRECTION_ENTRIES]) -> Result<(), NicError> {
        check(table, self.config.queue_pairs)?;
        self.indirection = *table;
        self.write_indirection()
    }

    /// Programs the table, where there is more than one pair to choose from: a reset leaves one that knows pair 0 alone.
    pub(super) fn write_indirection(&mut self) -> Result<(), NicError> {
        if self.config.queue_pairs > 1 {
            for (n, word) in (0..).zip(words(&self.indirection)) {
                self.port.write(REGISTER.offset_of(n), word)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_16n_plus_i_is_in_bits_2i_of_register_n() {
        // docs/registers.md, INDIRECTION.
        let mut table = [0; 128];
        (table[0], table[1], table[15], table[16], table[127]) = (1, 2, 3, 2, 3);
        let words: Vec<u32> = words(&table).collect();
        assert_eq!(words, [0xC000_0009, 2, 0, 0, 0, 0, 0, 0xC000_0000]);
    }

    #[test]
    fn a_pair_that_is_not_there_is_named() {
        let mut table = even(3);
        assert_eq!(check(&table, 3), Ok(()));
        assert_eq!(table[..5], [0, 1, 2, 0, 1]);
        table[77] = 3;
        let error = check(&table, 3).unwrap_err();
        assert_eq!(
            error.to_string(),
            "entry 77 of the indirection table is 3; this NIC has queue pairs 0 to 2"
        );
    }
}
