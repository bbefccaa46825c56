//! What the receive filters are programmed with: multicast addresses, exact or by their hash, and VLANs.
use super::config::{mac_text, MacAddress};
use ferrule_abi::regs::{self, multicast_hash, MULTICAST_ADDRESSES};
use std::collections::BTreeMap;

/// A register and the value to be written to it.
pub(crate) type Write = (u32, u32);

/// Why a filter cannot be changed so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// The address is no multicast address.
    #[error("{} is not a multicast address", mac_text(.0))]
    NotMulticast(MacAddress),
    /// The address was not joined, or was left as often as it was joined.
    #[error("the multicast address {} was not joined", mac_text(.0))]
    NotJoined(MacAddress),
    /// There is no such VLAN.
    #[error("{0} is not the identifier of a VLAN, which is 0 to 4095")]
    Vlan(u16),
}

/// The multicast addresses that are received, each with how often it was joined.
#[derive(Debug, Default)]
pub(crate) struct Multicast {
    exact: [Option<(MacAddress, u32)>; MULTICAST_ADDRESSES as usize],
    /// Those for which no exact place was left. Other addresses with the same hash are received too.
    hashed: BTreeMap<MacAddress, u32>,
}

impl Multicast {
    fn joins(&mut self, address: MacAddress) -> Option<&mut u32> {
        let exact = self.exact.iter_mut().flatten();
        exact
            .filter(|(known, _)| *known == address)
            .map(|(_, joins)| joins)
            .next()
            .or_else(|| self.hashed.get_mut(&address))
    }

    /// Joins an address once more; gives what is to be written.
    pub(crate) fn join(&mut self, address: MacAddress) -> Result<Vec<Write>, FilterError> {
        if address[0] & 1 == 0 || address == [0xFF; 6] {
            return Err(FilterError::NotMulticast(address));
        }
        if let Some(joins) = self.joins(address) {
            *joins += 1;
            return Ok(vec![]);
        }
        match self.exact.iter().position(Option::is_none) {
            Some(place) => Ok(self.set(place, address, 1)),
            None => {
                self.hashed.insert(address, 1);
                Ok(self.hash_writes())
            }
        }
    }

    /// Takes back one join; gives what is to be written. A place that becomes free goes to an address that had none.
    pub(crate) fn leave(&mut self, address: MacAddress) -> Result<Vec<Write>, FilterError> {
        let joins = self.joins(address).ok_or(FilterError::NotJoined(address))?;
        *joins -= 1;
        if *joins > 0 {
            return Ok(vec![]);
        }
        if self.hashed.remove(&address).is_some() {
            return Ok(self.hash_writes());
        }
        let of = |entry: &Option<(MacAddress, u32)>| entry.is_some_and(|e| e.0 == address);
        let Some(place) = self.exact.iter().position(of) else {
            return Ok(vec![]);
        };
        self.exact[place] = None;
        match self.hashed.pop_first() {
            // Received by its hash until it is received exactly.
            Some((next, joins)) => {
                let mut writes = self.set(place, next, joins);
                writes.extend(self.hash_writes());
                Ok(writes)
            }
            None => Ok(vec![(regs::mc_lo::REGISTER.offset_of(place as u32), 0)]),
        }
    }

    /// What is to be written to filters that are empty.
    pub(crate) fn writes(&self) -> Vec<Write> {
        let exact = (0..).zip(&self.exact);
        let exact = exact.filter_map(|(place, entry)| entry.map(|e| (place, e.0)));
        let mut writes: Vec<_> = exact
            .flat_map(|(place, address)| Self::place_writes(place, address))
            .collect();
        if !self.hashed.is_empty() {
            writes.extend(self.hash_writes());
        }
        writes
    }

    /// Puts an address in an exact place: no address while its halves belong to two.
    fn set(&mut self, place: usize, address: MacAddress, joins: u32) -> Vec<Write> {
        self.exact[place] = Some((address, joins));
        Self::place_writes(place as u32, address).into()
    }

    fn place_writes(place: u32, address: MacAddress) -> [Write; 3] {
        let [a, b, c, d, e, f] = address;
        let low = regs::mc_lo::REGISTER.offset_of(place);
        let high = regs::mc_hi::REGISTER.offset_of(place);
        [
            (low, 0),
            (high, u16::from_le_bytes([e, f]).into()),
            (low, u32::from_le_bytes([a, b, c, d])),
        ]
    }

    fn hash_writes(&self) -> Vec<Write> {
        let bits = self
            .hashed
            .keys()
            .fold(0_u64, |bits, address| bits | 1 << multicast_hash(*address));
        let offset = |n| regs::mc_hash::REGISTER.offset_of(n);
        vec![(offset(0), bits as u32), (offset(1), (bits >> 32) as u32)]
    }
}

/// The table of VLANs.
#[derive(Debug)]
pub(crate) struct Vlans([u32; 128]);

impl Default for Vlans {
    fn default() -> Self {
        Self([0; 128])
    }
}

impl Vlans {
    /// What is to be written to a table that is empty.
    pub(crate) fn writes(&self) -> Vec<Write> {
        let words = (0..).zip(self.0).filter(|(_, word)| *word != 0);
        words
            .flat_map(|(number, word)| Self::word_writes(number, word))
            .collect()
    }

    fn word_writes(number: u32, word: u32) -> [Write; 2] {
        [
            (regs::vlan_word::OFFSET, number),
            (regs::vlan_bits::OFFSET, word),
        ]
    }

    /// Receives a VLAN's frames or not; gives what is to be written.
    pub(crate) fn set(&mut self, id: u16, receive: bool) -> Result<[Write; 2], FilterError> {
        let number = id / 32;
        let word = self.0.get_mut(usize::from(number));
        let word = word.ok_or(FilterError::Vlan(id))?;
        *word = *word & !(1 << (id % 32)) | u32::from(receive) << (id % 32);
        Ok(Self::word_writes(number.into(), *word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// What the hardware's tables hold after these writes, as docs/registers.md has them: exact addresses and the hash.
    fn hardware(memory: &BTreeMap<u32, u32>) -> (BTreeSet<MacAddress>, u64) {
        let word = |offset| memory.get(&offset).copied().unwrap_or(0);
        let exact = (0..16).map(|n| {
            let [a, b, c, d] = word(0x100 + 8 * n).to_le_bytes();
            let [e, f, ..] = word(0x104 + 8 * n).to_le_bytes();
            [a, b, c, d, e, f]
        });
        let exact = exact.filter(|address| address[0] & 1 == 1).collect();
        (exact, u64::from(word(0x184)) << 32 | u64::from(word(0x180)))
    }

    proptest! {
        /// Whatever is joined and left: what is joined is received at every moment, exactly as far as there are places.
        #[test]
        fn joined_addresses_are_received_whatever_else_is_joined_and_left(
            steps in prop::collection::vec((any::<bool>(), 0_u8..30), 1..200),
        ) {
            let group = |n: u8| [0x01, 0x00, 0x5E, n / 7, n, n ^ 0x55];
            let (mut filter, mut memory) = (Multicast::default(), BTreeMap::new());
            let mut joined = BTreeMap::<u8, u32>::new();
            for (join, n) in steps {
                let was = joined.get(&n).copied().unwrap_or(0);
                let writes = if join {
                    joined.insert(n, was + 1);
                    filter.join(group(n)).unwrap()
                } else if was == 0 {
                    prop_assert_eq!(filter.leave(group(n)), Err(FilterError::NotJoined(group(n))));
                    continue;
                } else {
                    joined.insert(n, was - 1);
                    filter.leave(group(n)).unwrap()
                };
                joined.retain(|_, joins| *joins > 0);
                for (offset, value) in writes {
                    memory.insert(offset, value);
                    let (exact, hash) = hardware(&memory);
                    for m in joined.keys().filter(|m| **m != n) {
                        let address = group(*m);
                        let hit = hash >> multicast_hash(address) & 1 == 1;
                        prop_assert!(hit || exact.contains(&address), "{} is lost", m);
                    }
                }
                let (exact, hash) = hardware(&memory);
                prop_assert_eq!(exact.len(), joined.len().min(16));
                let others = joined.keys().filter(|m| !exact.contains(&group(**m)));
                let wanted = others.fold(0_u64, |bits, m| bits | 1 << multicast_hash(group(*m)));
                prop_assert_eq!(hash, wanted);
            }
        }
    }

    #[test]
    fn what_is_no_group_is_refused() {
        for address in [[2, 0, 0, 0, 0, 1], [0xFF; 6]] {
            let error = Multicast::default().join(address).unwrap_err();
            assert_eq!(error, FilterError::NotMulticast(address));
        }
        assert_eq!(
            Vlans::default().set(4_096, true),
            Err(FilterError::Vlan(4_096))
        );
    }

    #[test]
    fn a_vlan_is_a_bit_of_its_word() {
        let mut vlans = Vlans::default();
        assert_eq!(vlans.set(4_095, true), Ok([(0x188, 127), (0x18C, 1 << 31)]));
        assert_eq!(
            vlans.set(4_064, true),
            Ok([(0x188, 127), (0x18C, 1 << 31 | 1)])
        );
        assert_eq!(vlans.set(4_095, false), Ok([(0x188, 127), (0x18C, 1)]));
        assert_eq!(vlans.set(33, true), Ok([(0x188, 1), (0x18C, 2)]));
    }
}
