//! The route table: which gateway and which source address a destination asks for (RFC 1122 section 3.3.1).

use std::net::Ipv4Addr;

use super::prefix::{Address, Cidr};

/// Where packets to some prefix go.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Route<A = Ipv4Addr> {
    /// The destinations it is for; bits beyond the prefix do not matter.
    pub destination: Cidr<A>,
    /// The router to hand packets to. `None` leaves the next hop to the device: direct on its own subnets, its first
    /// gateway beyond them.
    pub gateway: Option<A>,
    /// The source address where the program has not chosen one; `None` chooses by the subnet of the next hop.
    pub source: Option<A>,
    /// Among routes to the same prefix the one with the least metric is used.
    pub metric: u32,
}

impl<A: Address> Route<A> {
    /// A route to `destination` without gateway.
    pub const fn new(destination: Cidr<A>) -> Route<A> {
        Route {
            destination,
            gateway: None,
            source: None,
            metric: 0,
        }
    }

    /// The same route by way of `gateway`.
    #[must_use]
    pub const fn via(mut self, gateway: A) -> Route<A> {
        self.gateway = Some(gateway);
        self
    }

    /// The same route with a preferred source address.
    #[must_use]
    pub const fn from(mut self, source: A) -> Route<A> {
        self.source = Some(source);
        self
    }

    /// The same route with another metric.
    #[must_use]
    pub const fn metric(mut self, metric: u32) -> Route<A> {
        self.metric = metric;
        self
    }
}

impl Route<Ipv4Addr> {
    /// The route to everywhere, without gateway.
    pub const fn default_route() -> Route<Ipv4Addr> {
        Route {
            destination: Cidr::new(Ipv4Addr::UNSPECIFIED, 0).expect("0 is at most 32"),
            gateway: None,
            source: None,
            metric: 0,
        }
    }
}

/// Why a route or a local address was not taken.
#[derive(Copy, Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// There is one to the same prefix with the same metric (EEXIST).
    #[error(
        "a route to this prefix with this metric exists; remove it first or give another metric"
    )]
    Exists,
    /// The gateway is on none of our subnets, or is ourselves (ENETUNREACH).
    #[error("the gateway is no neighbour: it must lie on the subnet of a local address")]
    GatewayUnreachable,
    /// The source address is none of ours, or a local address is none that a host can have (EINVAL).
    #[error("not a local unicast address")]
    InvalidAddress,
    /// There is no such route or address (ESRCH).
    #[error("no such route or address")]
    NotFound,
}

struct Entry<A> {
    route: Route<A>,
    /// The nearest shorter prefix that contains this one.
    parent: Option<usize>,
}

/// Routes, found by their longest matching prefix.
///
/// Prefixes nest or are disjoint. In order of network and length, the longest match of an address is the last entry
/// whose network is not above it, or one of those that enclose that entry: one binary search and a few steps, however
/// many routes there are. Changes, which are rare, renew the links.
pub(crate) struct RouteTable<A> {
    entries: Vec<Entry<A>>,
}

impl<A: Address> RouteTable<A> {
    pub(crate) fn new() -> RouteTable<A> {
        RouteTable {
            entries: Vec::new(),
        }
    }

    /// Adds a route; of routes to one prefix the least metric comes last, where the search meets it first.
    pub(crate) fn add(&mut self, mut route: Route<A>) -> Result<(), RouteError> {
        route.destination = route.destination.subnet();
        match self.find(&route) {
            Ok(_) => return Err(RouteError::Exists),
            Err(at) => self.entries.insert(
                at,
                Entry {
                    route,
                    parent: None,
                },
            ),
        }
        self.link();
        Ok(())
    }

    /// Removes the route to `destination` with this metric.
    pub(crate) fn remove(
        &mut self,
        destination: Cidr<A>,
        metric: u32,
    ) -> Result<Route<A>, RouteError> {
        let wanted = Route::new(destination.subnet()).metric(metric);
        let at = self.find(&wanted).map_err(|_| RouteError::NotFound)?;
        let removed = self.entries.remove(at).route;
        self.link();
        Ok(removed)
    }

    /// The route to `dst`.
    pub(crate) fn lookup(&self, dst: A) -> Option<&Route<A>> {
        let after = self
            .entries
            .partition_point(|e| e.route.destination.addr() <= dst);
        let mut at = after.checked_sub(1)?;
        loop {
            let entry = &self.entries[at];
            if entry.route.destination.contains(dst) {
                return Some(&entry.route);
            }
            at = entry.parent?;
        }
    }

    /// All routes, in order of their prefixes, those of one prefix by falling metric.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Route<A>> {
        self.entries.iter().map(|e| &e.route)
    }

    fn find(&self, route: &Route<A>) -> Result<usize, usize> {
        let order = |r: &Route<A>| (r.destination, core::cmp::Reverse(r.metric));
        self.entries
            .binary_search_by_key(&order(route), |e| order(&e.route))
    }

    fn link(&mut self) {
        let mut enclosing: Vec<usize> = Vec::new();
        for at in 0..self.entries.len() {
            let here = self.entries[at].route.destination;
            while enclosing.last().is_some_and(|outer| {
                let outer = self.entries[*outer].route.destination;
                outer.prefix_len() >= here.prefix_len() || !outer.contains(here.addr())
            }) {
                enclosing.pop();
            }
            self.entries[at].parent = enclosing.last().copied();
            enclosing.push(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv6Addr;

    fn prefix(text: &str) -> Cidr {
        let (addr, len) = text.split_once('/').expect("a slash");
        Cidr::new(
            addr.parse().expect("an address"),
            len.parse().expect("a number"),
        )
        .expect("a valid prefix length")
    }

    fn naive<A: Address>(routes: &[Route<A>], dst: A) -> Option<Route<A>> {
        routes
            .iter()
            .filter(|r| r.destination.contains(dst))
            .max_by_key(|r| (r.destination.prefix_len(), core::cmp::Reverse(r.metric)))
            .copied()
    }

    #[test]
    fn the_longest_prefix_wins_then_the_least_metric() {
        let mut table = RouteTable::new();
        let gateway = |n| Ipv4Addr::new(10, 0, 0, n);
        for (destination, n, metric) in [
            ("0.0.0.0/0", 1, 0),
            ("10.0.0.0/8", 2, 0),
            ("10.1.0.0/16", 3, 20),
            ("10.1.0.0/16", 4, 10),
        ] {
            let route = Route::new(prefix(destination))
                .via(gateway(n))
                .metric(metric);
            assert_eq!(table.add(route), Ok(()));
            assert_eq!(table.add(route), Err(RouteError::Exists));
        }
        let via = |table: &RouteTable<Ipv4Addr>, dst| table.lookup(dst).and_then(|r| r.gateway);
        assert_eq!(via(&table, Ipv4Addr::new(8, 8, 8, 8)), Some(gateway(1)));
        assert_eq!(via(&table, Ipv4Addr::new(10, 9, 9, 9)), Some(gateway(2)));
        assert_eq!(via(&table, Ipv4Addr::new(10, 1, 2, 3)), Some(gateway(4)));
        assert!(table.remove(prefix("10.1.99.0/16"), 10).is_ok());
        assert_eq!(via(&table, Ipv4Addr::new(10, 1, 2, 3)), Some(gateway(3)));
        assert_eq!(
            table.remove(prefix("10.1.0.0/16"), 10),
            Err(RouteError::NotFound)
        );
    }

    fn agree<A: Address>(
        routes: Vec<Route<A>>,
        removed: &[prop::sample::Index],
        probes: &[A],
    ) -> Result<(), TestCaseError> {
        let mut table = RouteTable::new();
        let mut model: Vec<Route<A>> = Vec::new();
        for mut route in routes {
            route.destination = route.destination.subnet();
            let same =
                |r: &Route<A>| r.destination == route.destination && r.metric == route.metric;
            let expected = if model.iter().any(same) {
                Err(RouteError::Exists)
            } else {
                model.push(route);
                Ok(())
            };
            prop_assert_eq!(table.add(route), expected);
        }
        for index in removed {
            if model.is_empty() {
                break;
            }
            let gone = model.swap_remove(index.index(model.len()));
            prop_assert_eq!(table.remove(gone.destination, gone.metric), Ok(gone));
        }
        for probe in probes.iter().chain(
            model
                .iter()
                .map(|r| r.destination.addr())
                .collect::<Vec<_>>()
                .iter(),
        ) {
            prop_assert_eq!(
                table.lookup(*probe).copied(),
                naive(&model, *probe),
                "{:?}",
                probe
            );
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn finds_what_a_search_of_all_routes_finds(
            // Few distinct bits, so that prefixes nest and meet.
            routes in prop::collection::vec((0u32..16, 0u8..=32, 0u32..3), 0..60),
            removed in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
            probes in prop::collection::vec((0u32..16, 0u32..4), 0..60),
        ) {
            let routes = routes.into_iter().map(|(high, len, metric)| {
                let addr = Ipv4Addr::from(high << 28 | high);
                Route::new(Cidr::new(addr, len).expect("at most 32")).metric(metric)
            }).collect();
            let probes: Vec<Ipv4Addr> = probes.into_iter().map(|(high, low)| Ipv4Addr::from(high << 28 | low)).collect();
            agree(routes, &removed, &probes)?;
        }

        #[test]
        fn finds_the_same_in_ipv6(
            routes in prop::collection::vec((any::<u8>(), 0u8..=128, 0u32..2), 0..40),
            probes in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let addr = |n: u8| Ipv6Addr::from(u128::from(n) << 120 | u128::from(n & 7));
            let routes = routes.into_iter()
                .map(|(n, len, metric)| Route::new(Cidr::new(addr(n), len).expect("at most 128")).metric(metric))
                .collect();
            let probes: Vec<Ipv6Addr> = probes.into_iter().map(addr).collect();
            agree(routes, &[], &probes)?;
        }
    }
}
