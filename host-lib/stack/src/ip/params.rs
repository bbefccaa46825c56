//! What a packet's IPv4 header says beyond addresses and lengths, and how a packet that is too long is treated.

use super::path_mtu::PathMtu;

/// How a socket's datagrams take part in path MTU discovery: the values of Linux' IP_MTU_DISCOVER.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Default)]
pub enum PathMtuDiscovery {
    /// Never set DF; datagrams are cut to the path MTU as far as it is known (IP_PMTUDISC_DONT).
    Dont,
    /// Set DF on what fits into the path MTU and cut what does not (IP_PMTUDISC_WANT).
    #[default]
    Want,
    /// Always set DF; what does not fit into the path MTU is an error (IP_PMTUDISC_DO).
    Do,
    /// Always set DF and ignore the path MTU; what does not fit into our own link is an error (IP_PMTUDISC_PROBE).
    Probe,
    /// Never set DF and ignore the path MTU; what does not fit into our own link is an error (IP_PMTUDISC_INTERFACE).
    Interface,
    /// Never set DF and ignore the path MTU; what does not fit into our own link is cut (IP_PMTUDISC_OMIT).
    Omit,
}

impl PathMtuDiscovery {
    /// The longest packet that goes out in one piece.
    pub(crate) fn mtu(self, path: PathMtu, link_mtu: u16) -> u16 {
        match self {
            Self::Dont | Self::Want | Self::Do => path.mtu.min(link_mtu),
            Self::Probe | Self::Interface | Self::Omit => link_mtu,
        }
    }

    /// True if longer packets are refused rather than cut.
    pub(crate) fn refuses(self) -> bool {
        matches!(self, Self::Do | Self::Probe | Self::Interface)
    }

    /// Whether a packet that needs `fragments` or not carries DF.
    pub(crate) fn dont_fragment(self, path: PathMtu, fragments: bool) -> bool {
        match self {
            Self::Do | Self::Probe => true,
            Self::Want => !fragments && !path.must_fragment,
            Self::Dont | Self::Interface | Self::Omit => false,
        }
    }
}

/// What a sender chooses for a packet's header.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct IpParams {
    pub(crate) ttl: u8,
    /// Type of service: DSCP and ECN (RFC 2474, RFC 3168).
    pub(crate) tos: u8,
    pub(crate) discovery: PathMtuDiscovery,
}

/// What a connection chooses for the headers of all its packets.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Marks {
    /// `None` is the stack's.
    pub(crate) ttl: Option<u8>,
    /// Its ECN bits are TCP's own.
    pub(crate) tos: u8,
}

impl IpParams {
    /// Those of a connection's packet.
    pub(crate) fn of(marks: Marks, default_ttl: u8) -> IpParams {
        IpParams {
            tos: marks.tos,
            ..IpParams::new(marks.ttl.unwrap_or(default_ttl))
        }
    }

    /// What nobody has chosen anything about.
    pub(crate) fn new(ttl: u8) -> IpParams {
        IpParams {
            ttl,
            tos: 0,
            discovery: PathMtuDiscovery::Want,
        }
    }

    /// A message of ICMP, which is cut rather than lost.
    pub(crate) fn control(ttl: u8, tos: u8) -> IpParams {
        IpParams {
            ttl,
            tos,
            discovery: PathMtuDiscovery::Dont,
        }
    }
}
