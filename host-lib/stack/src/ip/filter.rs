//! Multicast source filters: whose packets to a group are wanted (RFC 3376 sections 2 and 3).

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

/// Whether the sources of a filter are those wanted or those not wanted.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum FilterMode {
    /// Only packets from the sources listed.
    Include,
    /// Packets from all sources but those listed.
    Exclude,
}

/// A filter mode and its sources.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Filter {
    pub(crate) mode: FilterMode,
    pub(crate) sources: BTreeSet<Ipv4Addr>,
}

impl Filter {
    /// INCLUDE of no source: not a member.
    pub(crate) const NONE: Filter = Filter {
        mode: FilterMode::Include,
        sources: BTreeSet::new(),
    };

    /// EXCLUDE of no source: everything is wanted, what a plain join means.
    pub(crate) const ANY: Filter = Filter {
        mode: FilterMode::Exclude,
        sources: BTreeSet::new(),
    };

    /// True if packets from `source` are wanted.
    pub(crate) fn allows(&self, source: Ipv4Addr) -> bool {
        self.sources.contains(&source) == (self.mode == FilterMode::Include)
    }

    /// True if nothing is wanted.
    pub(crate) fn is_none(&self) -> bool {
        self.mode == FilterMode::Include && self.sources.is_empty()
    }

    /// What the host must receive so that each of several sockets gets what it wants.
    ///
    /// RFC 3376 section 3.2: if any socket excludes, the sources that all of those exclude, less those that any other
    /// includes, are excluded; otherwise the sources that any includes are included.
    pub(crate) fn merged<'a>(filters: impl Iterator<Item = &'a Filter> + Clone) -> Filter {
        let including = |f: &&Filter| f.mode == FilterMode::Include;
        let included: BTreeSet<Ipv4Addr> = filters
            .clone()
            .filter(including)
            .flat_map(|f| f.sources.iter().copied())
            .collect();
        let mut excluding = filters.filter(|f| f.mode == FilterMode::Exclude);
        let Some(first) = excluding.next() else {
            return Filter {
                mode: FilterMode::Include,
                sources: included,
            };
        };
        let mut sources = first.sources.clone();
        for other in excluding {
            sources.retain(|s| other.sources.contains(s));
        }
        sources.retain(|s| !included.contains(s));
        Filter {
            mode: FilterMode::Exclude,
            sources,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filter(mode: FilterMode, sources: &[u8]) -> Filter {
        Filter {
            mode,
            sources: sources
                .iter()
                .map(|n| Ipv4Addr::new(192, 0, 2, *n))
                .collect(),
        }
    }

    #[test]
    fn the_examples_of_rfc_3376_section_3_2() {
        use FilterMode::{Exclude, Include};
        // a..f of the RFC are 1..6 here.
        let s1 = filter(Exclude, &[1, 2, 3, 4]);
        let s2 = filter(Exclude, &[2, 3, 4, 5]);
        let s3 = filter(Include, &[4, 5, 6]);
        assert_eq!(
            Filter::merged([&s1, &s2, &s3].into_iter()),
            filter(Exclude, &[2, 3])
        );
        let s1 = filter(Include, &[1, 2, 3]);
        let s2 = filter(Include, &[2, 3, 4]);
        assert_eq!(
            Filter::merged([&s1, &s2, &s3].into_iter()),
            filter(Include, &[1, 2, 3, 4, 5, 6])
        );
        assert!(Filter::merged([].into_iter()).is_none());
    }

    proptest! {
        #[test]
        fn what_any_socket_wants_and_nothing_else_is_received(
            filters in prop::collection::vec((any::<bool>(), prop::collection::vec(1u8..8, 0..6)), 0..5),
        ) {
            let filters: Vec<Filter> = filters.iter().map(|(include, sources)| {
                filter(if *include { FilterMode::Include } else { FilterMode::Exclude }, sources)
            }).collect();
            let merged = Filter::merged(filters.iter());
            for n in 1..10 {
                let source = Ipv4Addr::new(192, 0, 2, n);
                prop_assert_eq!(merged.allows(source), filters.iter().any(|f| f.allows(source)));
            }
        }
    }
}
