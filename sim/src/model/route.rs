//! What an IPv4 address is to this host, by its local addresses.
use ferrule_abi::regs::{local_addr, local_mask, LOCAL_ADDRESSES};

use super::registers::Registers;

/// The answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Route {
    /// A local address.
    pub(super) own: bool,
    /// In the subnet of one.
    pub(super) onlink: bool,
    /// The broadcast address of such a subnet; /31 and /32 have none (RFC 3021).
    pub(super) broadcast: bool,
    /// The first local address whose subnet holds it, else the first local address, else 0.
    pub(super) source: u32,
}

impl Route {
    /// Classifies `ip`.
    pub(super) fn of(ip: u32, registers: &Registers) -> Self {
        let mut route = Self::default();
        for n in 0..LOCAL_ADDRESSES {
            let address = registers.port(local_addr::REGISTER.offset_of(n));
            let mask = registers.port(local_mask::REGISTER.offset_of(n));
            if address == 0 {
                continue;
            }
            route.own |= address == ip;
            if (address ^ ip) & mask == 0 {
                if !route.onlink {
                    route.source = address;
                }
                route.onlink = true;
                // Bit 1 of the mask is clear when two or more bits are left for hosts.
                route.broadcast |= ip | mask == u32::MAX && mask & 2 == 0;
            } else if route.source == 0 {
                route.source = address;
            }
        }
        route
    }
}
