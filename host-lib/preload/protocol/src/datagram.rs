//! What precedes each datagram in its pair.
use std::net::{Ipv4Addr, SocketAddrV4};

/// Bytes of a [`DatagramHeader`].
pub const DATAGRAM_HEADER: usize = 16;

/// The longest payload of a UDP datagram over IPv4.
pub const MAX_DATAGRAM: usize = 65_507;

/// What a program chooses for one datagram by control messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    /// The address to send from (IP_PKTINFO).
    pub source: Option<Ipv4Addr>,
    /// Its time to live (IP_TTL).
    pub ttl: Option<u8>,
    /// Its type of service (IP_TOS).
    pub tos: Option<u8>,
}

/// What a program wants to be told of each datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tell {
    /// To which address it came (IP_PKTINFO, IPV6_RECVPKTINFO).
    pub to: bool,
    /// Its time to live (IP_RECVTTL).
    pub ttl: bool,
    /// Its type of service (IP_RECVTOS).
    pub tos: bool,
}

/// Three answers to yes or no as bits, the first the lowest.
fn bits(answers: [bool; 3]) -> u8 {
    answers
        .iter()
        .rev()
        .fold(0, |bits, on| bits << 1 | u8::from(*on))
}

fn bit(bits: u8, at: u8) -> bool {
    bits >> at & 1 != 0
}

/// Goes before a datagram's payload, or stands alone for an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatagramHeader {
    /// From the program.
    Out {
        /// To whom; none for the connected peer.
        to: Option<SocketAddrV4>,
        /// What is other than the socket has it, for this datagram alone.
        choices: Choices,
    },
    /// To the program.
    In {
        /// Who sent it.
        from: SocketAddrV4,
        /// To which of our addresses, group or broadcast.
        to: Ipv4Addr,
        /// Its time to live when it came.
        ttl: u8,
        /// Its type of service.
        tos: u8,
        /// What of these the program wants to be told in control messages.
        tell: Tell,
    },
    /// To the program: what the next call is to fail with, an errno.
    Error(i32),
}

impl DatagramHeader {
    /// Its bytes.
    pub fn to_bytes(&self) -> [u8; DATAGRAM_HEADER] {
        let mut out = [0; DATAGRAM_HEADER];
        match self {
            Self::Out { to, choices } => {
                if let Some(to) = to {
                    out[0] = 1;
                    out[2..8].copy_from_slice(&crate::addr_bytes(*to));
                }
                let Choices { source, ttl, tos } = choices;
                out[1] = bits([source.is_some(), ttl.is_some(), tos.is_some()]);
                let source = source.unwrap_or(Ipv4Addr::UNSPECIFIED);
                out[8..12].copy_from_slice(&source.octets());
                out[12] = ttl.unwrap_or(0);
                out[13] = tos.unwrap_or(0);
            }
            Self::In {
                from,
                to,
                ttl,
                tos,
                tell,
            } => {
                out[1] = bits([tell.to, tell.ttl, tell.tos]);
                out[0] = 2;
                out[2..8].copy_from_slice(&crate::addr_bytes(*from));
                out[8..12].copy_from_slice(&to.octets());
                out[12] = *ttl;
                out[13] = *tos;
            }
            Self::Error(errno) => {
                out[0] = 3;
                out[8..12].copy_from_slice(&errno.to_ne_bytes());
            }
        }
        out
    }

    /// Reads it from the beginning of a message.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..DATAGRAM_HEADER)?;
        let addr = crate::addr_from(&bytes[2..8])?;
        let word: [u8; 4] = bytes[8..12].try_into().ok()?;
        let asked = bytes[1];
        match bytes[0] {
            kind @ (0 | 1) => Some(Self::Out {
                to: (kind == 1).then_some(addr),
                choices: Choices {
                    source: bit(asked, 0).then_some(word.into()),
                    ttl: bit(asked, 1).then_some(bytes[12]),
                    tos: bit(asked, 2).then_some(bytes[13]),
                },
            }),
            2 => Some(Self::In {
                from: addr,
                to: word.into(),
                ttl: bytes[12],
                tos: bytes[13],
                tell: Tell {
                    to: bit(asked, 0),
                    ttl: bit(asked, 1),
                    tos: bit(asked, 2),
                },
            }),
            3 => Some(Self::Error(i32::from_ne_bytes(word))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_header_survives_the_way(ip: u32, port: u16, to: u32, ttl: u8, tos: u8, asked: [bool; 3], errno: i32, more in prop::collection::vec(any::<u8>(), 0..9)) {
            let addr = SocketAddrV4::new(ip.into(), port);
            let tell = Tell { to: asked[0], ttl: asked[1], tos: asked[2] };
            let received = DatagramHeader::In { from: addr, to: to.into(), ttl, tos, tell };
            let choices = Choices {
                source: asked[0].then_some(to.into()),
                ttl: asked[1].then_some(ttl),
                tos: asked[2].then_some(tos),
            };
            let sent = [None, Some(addr)].map(|to| DatagramHeader::Out { to, choices });
            for header in [sent[0], sent[1], received, DatagramHeader::Error(errno)] {
                let mut bytes = header.to_bytes().to_vec();
                bytes.extend(&more);
                prop_assert_eq!(DatagramHeader::from_bytes(&bytes), Some(header));
                prop_assert_eq!(DatagramHeader::from_bytes(&bytes[..DATAGRAM_HEADER - 1]), None);
            }
        }

        #[test]
        fn any_bytes_are_a_header_or_none(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let header = DatagramHeader::from_bytes(&bytes);
            prop_assert_eq!(header.is_some(), bytes.len() >= DATAGRAM_HEADER && bytes[0] < 4);
        }
    }
}
