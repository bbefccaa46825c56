//! What precedes each datagram in its pair.
use std::net::{Ipv4Addr, SocketAddrV4};

/// Bytes of a [`DatagramHeader`].
pub const DATAGRAM_HEADER: usize = 16;

/// The longest payload of a UDP datagram over IPv4.
pub const MAX_DATAGRAM: usize = 65_507;

/// Goes before a datagram's payload, or stands alone for an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatagramHeader {
    /// From the program: to whom; none for the connected peer.
    Out(Option<SocketAddrV4>),
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
    },
    /// To the program: what the next call is to fail with, an errno.
    Error(i32),
}

impl DatagramHeader {
    /// Its bytes.
    pub fn to_bytes(&self) -> [u8; DATAGRAM_HEADER] {
        let mut out = [0; DATAGRAM_HEADER];
        match self {
            Self::Out(None) => {}
            Self::Out(Some(to)) => {
                out[0] = 1;
                out[2..8].copy_from_slice(&crate::addr_bytes(*to));
            }
            Self::In { from, to, ttl, tos } => {
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
        match bytes[0] {
            0 => Some(Self::Out(None)),
            1 => Some(Self::Out(Some(addr))),
            2 => Some(Self::In {
                from: addr,
                to: word.into(),
                ttl: bytes[12],
                tos: bytes[13],
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
        fn a_header_survives_the_way(ip: u32, port: u16, to: u32, ttl: u8, tos: u8, errno: i32, more in prop::collection::vec(any::<u8>(), 0..9)) {
            let addr = SocketAddrV4::new(ip.into(), port);
            let received = DatagramHeader::In { from: addr, to: to.into(), ttl, tos };
            for header in [DatagramHeader::Out(None), DatagramHeader::Out(Some(addr)), received, DatagramHeader::Error(errno)] {
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
