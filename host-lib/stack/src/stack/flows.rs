//! Whose a four-tuple is: a keyed hash table of four bytes an entry, and before it the flow that was asked for last.
//!
//! The table holds where the owner is, and the owner its flow. Segments of one connection come in runs, so most need no
//! hash at all.

use std::net::{Ipv4Addr, SocketAddrV4};

use hashbrown::HashTable;

use super::socket::{Entry, Kind};
use crate::slab::{Key, Slab};
use crate::tcp::listener::HalfOpen;
use crate::tcp::secrets::TableKeys;
use crate::tcp::time_wait::TimeWait;
use crate::tcp::Flow;
use crate::wire::plain::Ends;

/// Whose a four-tuple is.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum FlowOwner {
    Connection(Key),
    HalfOpen(Key),
    TimeWait(Key),
}

/// Where an owner is: the table in the upper two bits, the index in the others. None outlives its owner, so that the
/// generation is the present one.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) struct Place(u32);

impl Place {
    const HALF_OPEN: u32 = 1 << 30;
    const TIME_WAIT: u32 = 2 << 30;
    const TABLE: u32 = 3 << 30;
}

impl From<FlowOwner> for Place {
    fn from(owner: FlowOwner) -> Place {
        Place(match owner {
            FlowOwner::Connection(key) => key.index,
            FlowOwner::HalfOpen(key) => Place::HALF_OPEN | key.index,
            FlowOwner::TimeWait(key) => Place::TIME_WAIT | key.index,
        })
    }
}

/// What tells an owner and its flow.
pub(super) trait Owners {
    fn at(&self, place: Place) -> Option<(FlowOwner, &Flow)>;
}

/// The stack's tables.
pub(super) struct Tables<'a, B> {
    pub(super) sockets: &'a Slab<Entry<B>>,
    pub(super) half_open: &'a Slab<HalfOpen>,
    pub(super) time_wait: &'a Slab<TimeWait>,
}

impl<B> Owners for Tables<'_, B> {
    #[inline]
    fn at(&self, place: Place) -> Option<(FlowOwner, &Flow)> {
        let index = place.0 & !Place::TABLE;
        match place.0 & Place::TABLE {
            Place::HALF_OPEN => {
                let key = self.half_open.key_at(index)?;
                Some((FlowOwner::HalfOpen(key), &self.half_open.get(key)?.flow))
            }
            Place::TIME_WAIT => {
                let key = self.time_wait.key_at(index)?;
                Some((FlowOwner::TimeWait(key), &self.time_wait.get(key)?.flow))
            }
            _ => {
                let key = self.sockets.key_at(index)?;
                match &self.sockets.get(key)?.kind {
                    Kind::Tcp(tcb) => Some((FlowOwner::Connection(key), &tcb.flow)),
                    _ => None,
                }
            }
        }
    }
}

/// The flow that was asked for last.
struct Last {
    flow: Flow,
    ends: Ends,
    hash: u64,
    /// Whose it is, if that is known.
    owner: Option<FlowOwner>,
}

/// Owners by four-tuple.
pub(super) struct FlowTable {
    keys: TableKeys,
    places: HashTable<Place>,
    last: Last,
}

impl FlowTable {
    pub(super) fn new(keys: TableKeys) -> FlowTable {
        let nowhere = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
        let flow = Flow {
            local: nowhere,
            remote: nowhere,
        };
        FlowTable {
            last: Last {
                flow,
                ends: Ends::of(&flow),
                hash: keys.hash_flow(&flow),
                owner: None,
            },
            keys,
            places: HashTable::new(),
        }
    }

    /// Makes `flow` the last.
    #[inline]
    fn turn_to(&mut self, flow: &Flow) -> &mut Last {
        if self.last.flow != *flow {
            self.last = Last {
                flow: *flow,
                ends: Ends::of(flow),
                hash: self.keys.hash_flow(flow),
                owner: None,
            };
        }
        &mut self.last
    }

    /// The owner of the flow that was asked for last, if that has these ends.
    #[inline]
    pub(super) fn last_owner(&self, ends: &Ends) -> Option<FlowOwner> {
        match self.last.ends == *ends {
            true => self.last.owner,
            false => None,
        }
    }

    pub(super) fn get(&mut self, flow: &Flow, owners: &impl Owners) -> Option<FlowOwner> {
        let last = self.turn_to(flow);
        if last.owner.is_none() {
            self.find(owners);
        }
        self.last.owner
    }

    /// Looks for the owner of the last flow.
    fn find(&mut self, owners: &impl Owners) {
        let Last { flow, hash, .. } = &self.last;
        let same = |place: &Place| owners.at(*place).is_some_and(|(_, f)| f == flow);
        let place = self.places.find(*hash, same);
        self.last.owner = place.and_then(|p| owners.at(*p)).map(|(owner, _)| owner);
    }

    /// Gives a flow that has no owner to one that is in its table.
    pub(super) fn insert(&mut self, flow: &Flow, owner: FlowOwner, owners: &impl Owners) {
        let last = self.turn_to(flow);
        last.owner = Some(owner);
        let hash = last.hash;
        let keys = &self.keys;
        let rehash = |place: &Place| {
            owners
                .at(*place)
                .map_or(0, |(_, flow)| keys.hash_flow(flow))
        };
        self.places.insert_unique(hash, owner.into(), rehash);
    }

    /// True if the flow is the owner's.
    pub(super) fn is_of(&mut self, flow: &Flow, owner: FlowOwner) -> bool {
        let place = Place::from(owner);
        let last = self.turn_to(flow);
        let (hash, known) = (last.hash, last.owner);
        known == Some(owner) || self.places.find(hash, |p| *p == place).is_some()
    }

    /// Gives a flow that is `from`'s to `to`; false if it is not.
    pub(super) fn pass(&mut self, flow: &Flow, from: FlowOwner, to: FlowOwner) -> bool {
        let hash = self.turn_to(flow).hash;
        let place = Place::from(from);
        let Some(found) = self.places.find_mut(hash, |p| *p == place) else {
            return false;
        };
        *found = to.into();
        self.last.owner = Some(to);
        true
    }

    /// Takes a flow from its owner, wherever that is now; true if it had it.
    pub(super) fn remove(&mut self, flow: &Flow, owner: FlowOwner) -> bool {
        let place = Place::from(owner);
        let hash = self.turn_to(flow).hash;
        let Ok(entry) = self.places.find_entry(hash, |p| *p == place) else {
            return false;
        };
        entry.remove();
        self.last.owner = None;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::secrets::Secrets;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn at(port: u16) -> Flow {
        Flow {
            local: SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), port),
            remote: SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 2), 80),
        }
    }

    /// The flow of each entry of a table of half-open connections.
    impl Owners for Vec<Flow> {
        fn at(&self, place: Place) -> Option<(FlowOwner, &Flow)> {
            let index = place.0 & !Place::TABLE;
            Some((owner(index), self.get(index as usize)?))
        }
    }

    fn owner(index: u32) -> FlowOwner {
        FlowOwner::HalfOpen(Key {
            index,
            generation: 0,
        })
    }

    #[test]
    fn the_last_flow_is_never_stale() {
        let owners = vec![at(1), at(1)];
        let mut flows = FlowTable::new(Secrets::new([1; 16]).table_keys());
        flows.insert(&at(1), owner(0), &owners);
        assert_eq!(flows.get(&at(1), &owners), Some(owner(0)));
        assert_eq!(flows.get(&at(2), &owners), None);
        assert!(flows.remove(&at(1), owner(0)));
        flows.insert(&at(1), owner(1), &owners);
        assert_eq!(flows.get(&at(1), &owners), Some(owner(1)));
        assert!(!flows.remove(&at(1), owner(0)), "it is the other's");
        assert!(!flows.pass(&at(1), owner(0), owner(1)));
        assert!(flows.pass(&at(1), owner(1), owner(0)));
        assert_eq!(flows.get(&at(1), &owners), Some(owner(0)));
        assert_eq!(flows.get(&at(2), &owners), None);
        assert!(flows.is_of(&at(1), owner(0)) && !flows.is_of(&at(1), owner(1)));
        assert!(flows.remove(&at(1), owner(0)));
        assert_eq!(flows.get(&at(1), &owners), None);
    }

    proptest! {
        #[test]
        fn behaves_like_a_map(steps in proptest::collection::vec((0u16..64, any::<bool>()), 0..300)) {
            let owners: Vec<Flow> = (0..64).map(at).collect();
            let mut flows = FlowTable::new(Secrets::new([1; 16]).table_keys());
            let mut map = HashMap::new();
            for (port, insert) in steps {
                let owner = owner(u32::from(port));
                match insert {
                    true if map.insert(port, owner).is_none() => flows.insert(&at(port), owner, &owners),
                    true => {}
                    false => prop_assert_eq!(flows.remove(&at(port), owner), map.remove(&port).is_some()),
                }
                for p in [port, 63 - port] {
                    prop_assert_eq!(flows.get(&at(p), &owners), map.get(&p).copied());
                }
            }
        }
    }
}
