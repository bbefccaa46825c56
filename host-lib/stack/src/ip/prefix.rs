//! Addresses as bit strings, and prefixes of them: what routes and subnets are made of, whatever the IP version.

use core::fmt::{self, Debug};
use core::hash::Hash;
use std::net::{Ipv4Addr, Ipv6Addr};

mod sealed {
    pub trait Sealed {}
    impl Sealed for std::net::Ipv4Addr {}
    impl Sealed for std::net::Ipv6Addr {}
}

/// An address of some version of IP, seen as a string of bits.
pub trait Address: Copy + Ord + Hash + Debug + sealed::Sealed {
    /// Bits of an address.
    const BITS: u8;

    /// The address with all but its first `len` bits cleared.
    #[must_use]
    fn network(self, len: u8) -> Self;

    /// The first bits that this address and another have in common.
    fn common_bits(self, other: Self) -> u8;
}

impl Address for Ipv4Addr {
    const BITS: u8 = 32;

    fn network(self, len: u8) -> Ipv4Addr {
        let host_bits = Self::BITS.saturating_sub(u32::from(len));
        Ipv4Addr::from(u32::from(self) & u32::MAX.checked_shl(host_bits).unwrap_or(0))
    }

    fn common_bits(self, other: Ipv4Addr) -> u8 {
        (u32::from(self) ^ u32::from(other)).leading_zeros() as u8
    }
}

impl Address for Ipv6Addr {
    const BITS: u8 = 128;

    fn network(self, len: u8) -> Ipv6Addr {
        let host_bits = Self::BITS.saturating_sub(u32::from(len));
        Ipv6Addr::from(u128::from(self) & u128::MAX.checked_shl(host_bits).unwrap_or(0))
    }

    fn common_bits(self, other: Ipv6Addr) -> u8 {
        (u128::from(self) ^ u128::from(other)).leading_zeros() as u8
    }
}

/// An address with the length of its subnet's prefix, as in `192.0.2.1/24`.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Cidr<A = Ipv4Addr> {
    addr: A,
    prefix_len: u8,
}

impl<A: fmt::Display> fmt::Display for Cidr<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.prefix_len)
    }
}

impl<A: Address> Cidr<A> {
    /// `addr/prefix_len`; `None` if the prefix is longer than an address.
    pub const fn new(addr: A, prefix_len: u8) -> Option<Cidr<A>> {
        if prefix_len <= A::BITS {
            Some(Cidr { addr, prefix_len })
        } else {
            None
        }
    }

    /// `addr` alone: a prefix of all its bits.
    pub const fn host(addr: A) -> Cidr<A> {
        Cidr {
            addr,
            prefix_len: A::BITS,
        }
    }

    /// The address itself.
    pub const fn addr(self) -> A {
        self.addr
    }

    /// Bits of the subnet's prefix, 0 to 32 or 128.
    pub const fn prefix_len(self) -> u8 {
        self.prefix_len
    }

    /// True if `other` is in this subnet.
    pub fn contains(self, other: A) -> bool {
        self.addr.common_bits(other) >= self.prefix_len
    }

    /// The subnet itself: the same prefix, the host's bits 0.
    #[must_use]
    pub fn subnet(self) -> Cidr<A> {
        Cidr {
            addr: self.addr.network(self.prefix_len),
            prefix_len: self.prefix_len,
        }
    }
}

impl Cidr<Ipv4Addr> {
    /// The subnet mask.
    pub fn mask(self) -> Ipv4Addr {
        Ipv4Addr::BROADCAST.network(self.prefix_len)
    }

    /// The subnet's directed broadcast address; /31 and /32 have none (RFC 3021).
    pub fn broadcast(self) -> Option<Ipv4Addr> {
        (self.prefix_len < 31)
            .then(|| Ipv4Addr::from(u32::from(self.addr) | !u32::from(self.mask())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets_of_every_length() {
        let ip = Ipv4Addr::new(192, 0, 2, 130);
        let cidr = |n| Cidr::new(ip, n).expect("a valid prefix length");
        assert_eq!(Cidr::new(ip, 33), None);
        assert_eq!(cidr(0).mask(), Ipv4Addr::UNSPECIFIED);
        assert_eq!(cidr(25).mask(), Ipv4Addr::new(255, 255, 255, 128));
        assert_eq!(cidr(25).broadcast(), Some(Ipv4Addr::new(192, 0, 2, 255)));
        assert_eq!(cidr(31).broadcast(), None);
        assert!(cidr(31).contains(Ipv4Addr::new(192, 0, 2, 131)));
        assert!(!cidr(32).contains(Ipv4Addr::new(192, 0, 2, 131)));
        assert!(cidr(0).contains(Ipv4Addr::new(8, 8, 8, 8)));
        assert_eq!(cidr(25).subnet().addr(), Ipv4Addr::new(192, 0, 2, 128));
    }

    #[test]
    fn ipv6_prefixes_follow_the_same_rules() {
        let ip: Ipv6Addr = "2001:db8:0:8000::1".parse().expect("an address");
        let cidr = Cidr::new(ip, 49).expect("a valid prefix length");
        assert_eq!(Cidr::new(ip, 129), None);
        let network: Ipv6Addr = "2001:db8:0:8000::".parse().expect("an address");
        assert_eq!(cidr.subnet().addr(), network);
        assert!(!cidr.contains("2001:db8::1".parse().expect("an address")));
        assert!(Cidr::host(ip).contains(ip));
    }
}
