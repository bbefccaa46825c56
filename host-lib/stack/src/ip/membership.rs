//! Which sockets are in which multicast groups, and what the host receives for them together.

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;

use super::filter::Filter;
use crate::slab::Key;
use crate::tcp::secrets::TableKeys;

/// RFC 1112 section 4: the group of all hosts, of which every host is a member for ever.
pub(crate) const ALL_HOSTS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);

struct Group {
    members: BTreeMap<Key, Filter>,
    /// What the members' filters come to.
    merged: Filter,
}

/// The multicast groups of a host. Never holds a filter that lets nothing through.
pub(crate) struct Memberships {
    groups: HashMap<Ipv4Addr, Group, TableKeys>,
}

impl Memberships {
    pub(crate) fn new(keys: TableKeys) -> Memberships {
        Memberships {
            groups: HashMap::with_hasher(keys),
        }
    }

    /// Gives a socket's filter for a group, [`Filter::NONE`] to leave it; returns the merged filters before and after.
    pub(crate) fn set(&mut self, group: Ipv4Addr, member: Key, filter: Filter) -> (Filter, Filter) {
        let entry = self.groups.entry(group).or_insert_with(|| Group {
            members: BTreeMap::new(),
            merged: Filter::NONE,
        });
        if filter.is_none() {
            entry.members.remove(&member);
        } else {
            entry.members.insert(member, filter);
        }
        let after = Filter::merged(entry.members.values());
        let before = core::mem::replace(&mut entry.merged, after.clone());
        if entry.members.is_empty() {
            self.groups.remove(&group);
        }
        (before, after)
    }

    /// A socket's own filter for a group, if it is a member.
    pub(crate) fn of(&self, group: Ipv4Addr, member: Key) -> Option<&Filter> {
        self.groups.get(&group)?.members.get(&member)
    }

    /// What the host receives of a group.
    pub(crate) fn merged(&self, group: Ipv4Addr) -> Option<&Filter> {
        self.groups.get(&group).map(|g| &g.merged)
    }

    /// True if the host is in a group.
    pub(crate) fn contains(&self, group: Ipv4Addr) -> bool {
        group == ALL_HOSTS || self.groups.contains_key(&group)
    }

    /// True if some socket may want a packet from `source` to `group`.
    pub(crate) fn allows(&self, group: Ipv4Addr, source: Ipv4Addr) -> bool {
        group == ALL_HOSTS || self.merged(group).is_some_and(|f| f.allows(source))
    }

    /// The groups in order, the one of all hosts included.
    pub(crate) fn groups(&self) -> Vec<Ipv4Addr> {
        let mut groups: Vec<Ipv4Addr> = self.groups.keys().copied().collect();
        if !self.groups.contains_key(&ALL_HOSTS) {
            groups.push(ALL_HOSTS);
        }
        groups.sort_unstable();
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::super::filter::FilterMode;
    use super::*;
    use crate::tcp::secrets::Secrets;

    #[test]
    fn a_group_lasts_as_long_as_its_last_member() {
        let mut m = Memberships::new(Secrets::new([1; 16]).table_keys());
        let group = Ipv4Addr::new(239, 1, 1, 1);
        let key = |index| Key {
            index,
            generation: 0,
        };
        let source = Ipv4Addr::new(192, 0, 2, 1);
        let only = Filter {
            mode: FilterMode::Include,
            sources: [source].into(),
        };
        assert_eq!(
            m.set(group, key(1), only.clone()),
            (Filter::NONE, only.clone())
        );
        assert!(m.allows(group, source) && !m.allows(group, Ipv4Addr::new(192, 0, 2, 2)));
        assert_eq!(
            m.set(group, key(2), Filter::ANY),
            (only.clone(), Filter::ANY)
        );
        assert_eq!(m.groups(), [ALL_HOSTS, group]);
        assert_eq!(
            m.set(group, key(2), Filter::NONE),
            (Filter::ANY, only.clone())
        );
        assert_eq!(m.set(group, key(1), Filter::NONE), (only, Filter::NONE));
        assert_eq!(m.groups(), [ALL_HOSTS]);
        assert!(m.allows(ALL_HOSTS, source) && !m.allows(group, source));
    }
}
