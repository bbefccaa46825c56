//! What a packet's destination means for it. Packets to one address come in runs, so the last is remembered.

use std::net::Ipv4Addr;

use super::Stack;
use crate::config::Config;
use crate::ip::layer::IpLayer;
use crate::payload::Payload;
use crate::tcp::secrets::Secrets;

/// What is the same for all packets to one address.
#[derive(Copy, Clone, Debug)]
pub(super) struct Toward {
    dst: Ipv4Addr,
    /// The address is ours.
    pub(super) is_local: bool,
    /// The gateway, unless the device finds the way itself.
    pub(super) next_hop: Option<Ipv4Addr>,
    /// See [`crate::tcp::secrets::Secrets::ident_mask`].
    pub(super) ident_mask: u16,
}

impl Toward {
    /// What is known of `dst`, which is in `last` then.
    #[inline]
    pub(super) fn of(
        last: &mut Option<Toward>,
        dst: Ipv4Addr,
        ip: &IpLayer,
        config: &Config,
        secrets: &Secrets,
    ) -> Toward {
        match last {
            Some(toward) if toward.dst == dst => *toward,
            _ => *last.insert(Toward::look(dst, ip, config, secrets)),
        }
    }

    fn look(dst: Ipv4Addr, ip: &IpLayer, config: &Config, secrets: &Secrets) -> Toward {
        let routed = !(dst.is_multicast() || dst.is_broadcast());
        let route = ip.routes.lookup(dst).filter(|_| routed);
        Toward {
            dst,
            is_local: config.is_local(dst),
            next_hop: route.and_then(|route| route.gateway),
            ident_mask: secrets.ident_mask(dst),
        }
    }
}

impl<B: Payload> Stack<B> {
    /// What is known of `dst`.
    #[inline]
    pub(super) fn toward(&mut self, dst: Ipv4Addr) -> Toward {
        Toward::of(&mut self.toward, dst, &self.ip, &self.config, &self.secrets)
    }

    /// Addresses, routes or what is known of a path have changed.
    pub(super) fn forget_toward(&mut self) {
        self.toward = None;
        self.lead = None;
    }

    /// The identification of the next packet to `dst`.
    #[inline]
    pub(super) fn next_ident(&mut self, dst: Ipv4Addr, dont_fragment: bool) -> u16 {
        let mask = self.toward(dst).ident_mask;
        self.ip.next_ident(dont_fragment) ^ mask
    }
}
