//! Calls that change and ask for addresses and routes, and the choices made by them: source address and next hop.

use std::net::Ipv4Addr;

use super::Stack;
use crate::error::{Error, Result};
use crate::ip::prefix::Cidr;
use crate::ip::routes::{Route, RouteError};
use crate::payload::Payload;

impl<B: Payload> Stack<B> {
    /// The local addresses, in the order in which they are preferred.
    pub fn addresses(&self) -> &[Cidr] {
        &self.config.addrs
    }

    /// Adds a local address and the route to its subnet. The device must be told too.
    pub fn add_address(&mut self, addr: Cidr) -> core::result::Result<(), RouteError> {
        let ip = addr.addr();
        if ip.is_unspecified() || ip.is_multicast() || ip.is_loopback() || ip.is_broadcast() {
            return Err(RouteError::InvalidAddress);
        }
        if self.config.is_local(ip) {
            return Err(RouteError::Exists);
        }
        self.forget_toward();
        self.forget_heard();
        self.config.addrs.push(addr);
        self.ip.connect_subnets(&self.config.addrs);
        Ok(())
    }

    /// Removes a local address with the routes that have it as their source. Sockets bound to it stay, but hear and
    /// send nothing more.
    pub fn remove_address(&mut self, addr: Ipv4Addr) -> core::result::Result<(), RouteError> {
        self.forget_toward();
        self.forget_heard();
        let at = self.config.addrs.iter().position(|c| c.addr() == addr);
        self.config.addrs.remove(at.ok_or(RouteError::NotFound)?);
        let gone: Vec<Route> = self
            .ip
            .routes
            .iter()
            .filter(|route| route.source == Some(addr))
            .copied()
            .collect();
        for route in gone {
            self.ip.routes.remove(route.destination, route.metric)?;
        }
        // Another address may lie on the same subnet.
        self.ip.connect_subnets(&self.config.addrs);
        Ok(())
    }

    /// Adds a route.
    pub fn add_route(&mut self, route: Route) -> core::result::Result<(), RouteError> {
        self.config.check_route(&route)?;
        self.forget_toward();
        self.ip.routes.add(route)
    }

    /// Removes the route to `destination` with this metric.
    pub fn remove_route(
        &mut self,
        destination: Cidr,
        metric: u32,
    ) -> core::result::Result<Route, RouteError> {
        self.forget_toward();
        self.ip.routes.remove(destination, metric)
    }

    /// All routes, those to the subnets of local addresses included.
    pub fn routes(&self) -> impl Iterator<Item = &Route> {
        self.ip.routes.iter()
    }

    /// The gateways of all routes, each once, in order: what the device must know as next hops.
    pub fn gateways(&self) -> Vec<Ipv4Addr> {
        let mut gateways: Vec<Ipv4Addr> = self.ip.routes.iter().filter_map(|r| r.gateway).collect();
        gateways.sort_unstable();
        gateways.dedup();
        gateways
    }

    /// The route that packets to `dst` take.
    pub fn route_to(&self, dst: Ipv4Addr) -> Option<&Route> {
        self.ip.routes.lookup(dst)
    }

    /// The largest packet that reaches `dst` in one piece as far as it is known (RFC 1191); our own link's if nothing is.
    pub fn path_mtu(&self, dst: Ipv4Addr) -> u16 {
        self.ip.path_mtus.get(dst).mtu
    }

    /// The local address for packets to `dst` where the program has not chosen one (RFC 1122 section 3.3.4.3): the
    /// route's, else the one that shares most of the next hop's subnet, else the first.
    ///
    /// [`Error::NetworkUnreachable`] without a route, but for broadcasts and groups.
    pub(super) fn route_source(&self, dst: Ipv4Addr) -> Result<Ipv4Addr> {
        let addrs = &self.config.addrs;
        if self.config.is_local(dst) {
            return Ok(dst);
        }
        let first = addrs.first().ok_or(Error::NetworkUnreachable)?.addr();
        if dst.is_broadcast() {
            return Ok(first);
        }
        let route = match self.ip.routes.lookup(dst) {
            Some(route) => route,
            // Groups are on every link. Linux wants a route to tell which of its interfaces is meant; here there is one.
            None if dst.is_multicast() => return Ok(first),
            None => return Err(Error::NetworkUnreachable),
        };
        if let Some(source) = route.source {
            return Ok(source);
        }
        let next = route.gateway.unwrap_or(dst);
        let mut best: Option<&Cidr> = None;
        for cidr in addrs.iter().filter(|c| c.contains(next)) {
            if best.is_none_or(|b| b.prefix_len() < cidr.prefix_len()) {
                best = Some(cidr);
            }
        }
        Ok(best.map_or(first, |c| c.addr()))
    }
}
