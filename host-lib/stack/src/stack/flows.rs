//! Whose a four-tuple is: a keyed hash table, and before it the flow that was asked for last.
//!
//! Segments of one connection come in runs, so most need no hash at all.

use std::collections::HashMap;

use crate::slab::Key;
use crate::tcp::secrets::TableKeys;
use crate::tcp::Flow;

/// Whose a four-tuple is.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum FlowOwner {
    Connection(Key),
    HalfOpen(Key),
    TimeWait(Key),
}

/// Owners by four-tuple.
pub(super) struct FlowTable {
    owners: HashMap<Flow, FlowOwner, TableKeys>,
    /// A copy of the entry found last.
    last: Option<(Flow, FlowOwner)>,
}

impl FlowTable {
    pub(super) fn new(keys: TableKeys) -> FlowTable {
        FlowTable {
            owners: HashMap::with_hasher(keys),
            last: None,
        }
    }

    pub(super) fn contains_key(&self, flow: &Flow) -> bool {
        self.owners.contains_key(flow)
    }

    #[inline]
    pub(super) fn get(&mut self, flow: &Flow) -> Option<&FlowOwner> {
        if !matches!(&self.last, Some((last, _)) if last == flow) {
            let owner = *self.owners.get(flow)?;
            self.last = Some((*flow, owner));
        }
        self.last.as_ref().map(|(_, owner)| owner)
    }

    /// The flow that was asked for last, if it has an owner.
    #[inline]
    pub(super) fn last(&self) -> Option<&(Flow, FlowOwner)> {
        self.last.as_ref()
    }

    pub(super) fn insert(&mut self, flow: Flow, owner: FlowOwner) {
        self.last = None;
        self.owners.insert(flow, owner);
    }

    pub(super) fn remove(&mut self, flow: &Flow) {
        self.last = None;
        self.owners.remove(flow);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::secrets::Secrets;
    use std::net::{Ipv4Addr, SocketAddrV4};

    #[test]
    fn the_last_flow_is_never_stale() {
        let at = |port| Flow {
            local: SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), port),
            remote: SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 2), 80),
        };
        let key = |index| Key {
            index,
            generation: 0,
        };
        let mut flows = FlowTable::new(Secrets::new([1; 16]).table_keys());
        flows.insert(at(1), FlowOwner::HalfOpen(key(1)));
        assert_eq!(flows.get(&at(1)), Some(&FlowOwner::HalfOpen(key(1))));
        assert_eq!(flows.get(&at(2)), None);
        flows.insert(at(1), FlowOwner::Connection(key(2)));
        assert_eq!(flows.get(&at(1)), Some(&FlowOwner::Connection(key(2))));
        flows.remove(&at(1));
        assert_eq!(flows.get(&at(1)), None);
        assert!(!flows.contains_key(&at(1)));
    }
}
