//! A packet as a script writes it, to be made or to be expected.

use std::net::Ipv4Addr;

use crate::words::Want;

/// TCP's control bits, as in the header's low byte.
pub(crate) mod flag {
    pub(crate) const FIN: u8 = 0x01;
    pub(crate) const SYN: u8 = 0x02;
    pub(crate) const RST: u8 = 0x04;
    pub(crate) const PSH: u8 = 0x08;
    pub(crate) const ACK: u8 = 0x10;
    pub(crate) const URG: u8 = 0x20;
    pub(crate) const ECE: u8 = 0x40;
    pub(crate) const CWR: u8 = 0x80;
}

/// The letters a script uses for them, in the order they are printed.
pub(crate) const LETTERS: [(char, u8); 8] = [
    ('S', flag::SYN),
    ('F', flag::FIN),
    ('R', flag::RST),
    ('P', flag::PSH),
    ('U', flag::URG),
    ('E', flag::ECE),
    ('W', flag::CWR),
    ('.', flag::ACK),
];

/// A sequence or acknowledgment number.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    /// Counted from the sender's initial sequence number.
    Relative(u32),
    /// As on the wire, written `@N`.
    Absolute(u32),
    /// Not looked at, written `*`.
    Any,
}

/// A packet.
#[derive(Clone, Debug)]
pub(crate) struct Packet {
    pub(crate) kind: Kind,
    pub(crate) ends: Ends,
    pub(crate) ip: IpPart,
    /// Bytes of payload; `None` where any will do.
    pub(crate) len: Option<usize>,
    pub(crate) content: Content,
    pub(crate) fragment: Option<Fragment>,
    pub(crate) damage: Vec<Damage>,
    /// Given to the stack as one the link sent to everyone.
    pub(crate) link_broadcast: bool,
}

/// Addresses and ports, where they are not the script's usual ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ends {
    pub(crate) peer: Option<Ipv4Addr>,
    pub(crate) peer_port: Option<u16>,
    pub(crate) local: Option<Ipv4Addr>,
    pub(crate) local_port: Option<u16>,
}

/// Fields of the IPv4 header.
#[derive(Clone, Debug, Default)]
pub(crate) struct IpPart {
    pub(crate) ttl: Option<u8>,
    /// The upper six bits of the old TOS octet.
    pub(crate) dscp: Option<u8>,
    /// The lower two bits (RFC 3168 section 5).
    pub(crate) ecn: u8,
    pub(crate) dont_fragment: Option<bool>,
    pub(crate) ident: Option<u16>,
    pub(crate) options: Vec<u8>,
}

/// What the payload is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Bytes that tell their position in the stream or datagram.
    Pattern,
    /// One byte over and over.
    Fill(u8),
    /// Given bytes.
    Text(Vec<u8>),
}

/// A part of an IPv4 payload.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Fragment {
    pub(crate) ident: u16,
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) more: bool,
}

/// What is done to a packet after it was made.
#[derive(Clone, Debug)]
pub(crate) enum Damage {
    /// The IPv4 header checksum is wrong.
    IpChecksum,
    /// The transport checksum is wrong.
    Checksum,
    /// The UDP checksum is 0: none.
    NoChecksum,
    /// One byte, counted from the start of the IPv4 header, is set; checksums are made right after.
    Byte(usize, u8),
    /// Only the first bytes arrive.
    Cut(usize),
    /// Bytes of link padding follow.
    Pad(usize),
}

/// The protocols.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Tcp(Tcp),
    Udp,
    Icmp(Icmp),
    /// Any other IPv4 protocol.
    Other(u8),
    /// A fragment that is expected, of this protocol.
    Fragment(u8),
}

/// The TCP header.
#[derive(Clone, Debug)]
pub(crate) struct Tcp {
    /// Alternatives; to be made, there is one.
    pub(crate) flags: Vec<u8>,
    pub(crate) no_push: bool,
    pub(crate) seq: Number,
    pub(crate) ack: Number,
    pub(crate) window: Option<Want>,
    pub(crate) urgent: u16,
    pub(crate) options: Options,
    /// The peer's initial sequence number from here on.
    pub(crate) isn: Option<u32>,
    /// Our SYN begins a new numbering.
    pub(crate) renumber: Renumber,
}

/// What an expected SYN's sequence number is compared with.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub(crate) enum Renumber {
    /// With what the script says.
    No,
    /// With nothing.
    New,
    /// It must be beyond all that was sent before.
    Newer,
}

/// TCP options: all of them, or some in their order if `open`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) list: Vec<Opt>,
    pub(crate) open: bool,
}

/// One TCP option.
#[derive(Clone, Debug)]
pub(crate) enum Opt {
    End,
    Nop,
    Mss(Want),
    WindowScale(Want),
    SackPermitted,
    /// `None` for any blocks, written `sack *`.
    Sack(Option<Vec<(u32, u32)>>),
    Timestamps {
        value: Stamp,
        echo: Stamp,
    },
    Raw(Vec<u8>),
}

/// A timestamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stamp {
    /// `*`, or `*a`: remembered as `a`.
    Any(Option<String>),
    /// As on the wire.
    Exact(u32),
    /// What was remembered under this name.
    Named(String),
    /// `>=a`: not before what was remembered.
    NotBefore(String),
    /// Our latest timestamp value in this connection.
    Last,
}

/// An ICMP message.
#[derive(Clone, Debug)]
pub(crate) struct Icmp {
    pub(crate) kind: u8,
    pub(crate) code: u8,
    /// Identifier and sequence number, or zero and the next hop's MTU.
    pub(crate) rest: [Option<u16>; 2],
    pub(crate) quote: Option<Quote>,
}

/// What an ICMP error quotes.
#[derive(Clone, Debug)]
pub(crate) struct Quote {
    pub(crate) of: Quoted,
    /// Bytes quoted.
    pub(crate) len: usize,
}

/// Of which packet of ours.
#[derive(Clone, Debug)]
pub(crate) enum Quoted {
    /// The latest.
    Last,
    /// One that may never have been: a segment with this sequence number.
    Tcp(Number),
    /// A datagram.
    Udp,
    /// An echo request with this identifier.
    Echo(u16),
}

/// Pattern byte at a position in a stream.
pub(crate) fn pattern(at: usize) -> u8 {
    ((at as u32).wrapping_mul(0x9e37_79b1) >> 23) as u8
}

/// Pattern bytes from a position on.
pub(crate) fn pattern_run(from: usize, len: usize) -> Vec<u8> {
    (from..from + len).map(pattern).collect()
}
