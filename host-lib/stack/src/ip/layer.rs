//! The host's own knowledge of the network: routes, path MTUs, multicast groups.

use std::net::Ipv4Addr;

use super::igmp::Igmp;
use super::membership::Memberships;
use super::params::PathMtuDiscovery;
use super::path_mtu::PathMtus;
use super::prefix::Cidr;
use super::routes::{Route, RouteTable};
use crate::config::Config;
use crate::tcp::secrets::TableKeys;
use crate::time::Instant;
use crate::wire::ip_options::ROUTER_ALERT;
use crate::wire::ipv4::HEADER_LEN;

/// State of IP that is no packet's and no socket's.
pub(crate) struct IpLayer {
    pub(crate) routes: RouteTable<Ipv4Addr>,
    pub(crate) path_mtus: PathMtus,
    pub(crate) members: Memberships,
    pub(crate) igmp: Igmp,
    /// The set of groups has changed since the driver asked.
    pub(crate) groups_changed: bool,
    /// Identifications given so far to packets that may be cut on their way, and to those that may not.
    idents: [u16; 2],
}

impl IpLayer {
    pub(crate) fn new(config: &Config, keys: &TableKeys) -> IpLayer {
        let room = usize::from(config.link_mtu()) - HEADER_LEN - ROUTER_ALERT.len();
        let mut layer = IpLayer {
            routes: RouteTable::new(),
            path_mtus: PathMtus::new(config.link_mtu(), keys.clone()),
            members: Memberships::new(keys.clone()),
            igmp: Igmp::new(keys.clone(), room),
            groups_changed: false,
            idents: [0; 2],
        };
        layer.connect_subnets(&config.addrs);
        for route in &config.routes {
            // What cannot be is left out, as `Config::routes` says.
            let _ = config
                .check_route(route)
                .and_then(|()| layer.routes.add(*route));
        }
        layer
    }

    /// Sees to it that there is a route to the subnet of each local address; the first address on it is the source.
    pub(crate) fn connect_subnets(&mut self, addrs: &[Cidr]) {
        for cidr in addrs {
            // One that exists serves this address too.
            let _ = self.routes.add(Route::new(cidr.subnet()).from(cidr.addr()));
        }
    }

    /// A number for the next packet's identification. Only packets that may be cut need one of their own (RFC 6864
    /// section 4), so others do not use theirs up.
    pub(crate) fn next_ident(&mut self, dont_fragment: bool) -> u16 {
        let ident = &mut self.idents[usize::from(dont_fragment)];
        *ident = ident.wrapping_add(1);
        *ident
    }

    /// Whether TCP's packets to `dst` carry DF, which fit into the path MTU.
    #[inline]
    pub(crate) fn tcp_dont_fragment(&self, dst: Ipv4Addr) -> bool {
        PathMtuDiscovery::default().dont_fragment(self.path_mtus.get(dst), false)
    }

    /// True if time changes nothing here, and nothing waits to be taken.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.path_mtus.is_empty() && self.igmp.is_idle()
    }

    /// When something here is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        [self.path_mtus.deadline(), self.igmp.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Does what is due; messages of IGMP wait to be taken.
    pub(crate) fn on_time(&mut self, now: Instant) {
        self.path_mtus.expire(now);
        self.igmp.on_time(now, &self.members);
    }
}
