//! Where datagrams can be sent, so that a preloaded program's call can say at once where not.
use std::net::Ipv4Addr;

/// Bytes of an entry: an address and the length of its prefix, or [`EVERYBODY`].
const ENTRY: usize = 5;
/// In the place of a prefix length: the address is a broadcast.
const EVERYBODY: u8 = 0xFF;

/// The destinations that a host reaches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Subnets, each with the length of its prefix, at most 32.
    pub subnets: Vec<(Ipv4Addr, u8)>,
    /// Broadcast addresses of subnets of ours.
    pub broadcasts: Vec<Ipv4Addr>,
}

/// What a destination is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// No route leads there.
    Unreachable,
    /// It is everybody: the socket needs leave to send there.
    Everybody,
    /// Anything else.
    Reached,
}

impl Reach {
    /// What an address is to this host. Groups are on its link.
    pub fn of(&self, address: Ipv4Addr) -> Destination {
        if address.is_broadcast() || self.broadcasts.contains(&address) {
            return Destination::Everybody;
        }
        let within = |(subnet, len): &(Ipv4Addr, u8)| {
            let differ = subnet.to_bits() ^ address.to_bits();
            differ.leading_zeros() >= u32::from(*len)
        };
        let reached = address.is_multicast() || self.subnets.iter().any(within);
        match reached {
            true => Destination::Reached,
            false => Destination::Unreachable,
        }
    }

    /// Its bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let broadcasts = self.broadcasts.iter().map(|address| (*address, EVERYBODY));
        let all = self.subnets.iter().copied().chain(broadcasts);
        all.flat_map(|(address, len)| {
            let [a, b, c, d] = address.octets();
            [a, b, c, d, len]
        })
        .collect()
    }

    /// Reads it.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut reach = Self::default();
        for entry in bytes.chunks(ENTRY) {
            let [a, b, c, d, len] = *<&[u8; ENTRY]>::try_from(entry).ok()?;
            let address = Ipv4Addr::new(a, b, c, d);
            match len {
                0..=32 => reach.subnets.push((address, len)),
                EVERYBODY => reach.broadcasts.push(address),
                _ => return None,
            }
        }
        Some(reach)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_address_is_what_the_longest_prefixes_make_of_it() {
        let at = Ipv4Addr::new;
        let reach = Reach {
            subnets: vec![(at(10, 0, 0, 0), 24), (at(172, 16, 0, 0), 12)],
            broadcasts: vec![at(10, 0, 0, 255)],
        };
        for (address, what) in [
            (at(10, 0, 0, 7), Destination::Reached),
            (at(10, 0, 1, 7), Destination::Unreachable),
            (at(172, 31, 255, 255), Destination::Reached),
            (at(172, 32, 0, 0), Destination::Unreachable),
            (at(239, 1, 2, 3), Destination::Reached),
            (at(10, 0, 0, 255), Destination::Everybody),
            (at(255, 255, 255, 255), Destination::Everybody),
        ] {
            assert_eq!(reach.of(address), what, "{address}");
        }
        let everywhere = Reach {
            subnets: vec![(at(0, 0, 0, 0), 0)],
            broadcasts: vec![],
        };
        assert_eq!(everywhere.of(at(8, 8, 8, 8)), Destination::Reached);
    }

    proptest! {
        #[test]
        fn what_is_reached_survives_the_way(subnets in prop::collection::vec((any::<Ipv4Addr>(), 0u8..=32), 0..9), broadcasts: Vec<Ipv4Addr>) {
            let reach = Reach { subnets, broadcasts };
            prop_assert_eq!(Reach::from_bytes(&reach.to_bytes()), Some(reach));
        }

        #[test]
        fn any_bytes_are_a_reach_or_none(bytes: Vec<u8>) {
            let reach = Reach::from_bytes(&bytes);
            prop_assert!(reach.is_none_or(|reach| reach.to_bytes().len() == bytes.len()));
        }
    }
}
