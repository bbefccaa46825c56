//! The packets of an open connection that has nothing special to say, read and written in one go: no options of IPv4, and
//! of TCP no flags but ACK and PSH and no options but timestamps.

use std::net::{Ipv4Addr, SocketAddrV4};

use super::ipv4::{self, protocol};
use super::tcp::{self, Flags, TcpHeader, TimestampOption};
use super::{be16, be32};
use crate::packet::HEAD_BYTES;
use crate::seq::Seq;
use crate::tcp::Flow;

/// Bytes of both headers without timestamps, and with them.
const SHORT: usize = ipv4::HEADER_LEN + tcp::HEADER_LEN;
const LONG: usize = SHORT + 12;
/// Version 4 and a header of five words.
const VERSION_AND_LENGTH: u8 = 0x45;
/// RFC 791 section 3.1: more fragments, and the fragment's offset.
const FRAGMENT: u16 = 0x3fff;
const DONT_FRAGMENT: u8 = 0x40;
/// TCP's data offset and flags: five words or eight, and ACK.
const SHORT_ACK: u16 = 0x5010;
const LONG_ACK: u16 = 0x8010;
const PSH: u16 = 0x0008;
/// Two of padding, kind and length (RFC 7323 appendix A).
const TIMESTAMPS: u32 = 0x0101_080a;

/// What such a packet says, beside whose it is.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Plain {
    pub(crate) seq: Seq,
    pub(crate) ack: Seq,
    /// As on the wire, not scaled.
    pub(crate) window: u16,
    pub(crate) push: bool,
    pub(crate) timestamps: Option<TimestampOption>,
}

/// Both ends of a packet that has arrived, as they stand in it: addresses, then ports, the source first. One run of bytes is
/// compared in two steps.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Ends([u8; 12]);

impl Ends {
    /// Those of packets that arrive on a flow.
    pub(crate) fn of(flow: &Flow) -> Ends {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&flow.remote.ip().octets());
        bytes[4..8].copy_from_slice(&flow.local.ip().octets());
        bytes[8..10].copy_from_slice(&flow.remote.port().to_be_bytes());
        bytes[10..].copy_from_slice(&flow.local.port().to_be_bytes());
        Ends(bytes)
    }

    /// The destination is the local end.
    #[inline]
    pub(crate) fn flow(&self) -> Flow {
        let at = |port| be16(&self.0, port);
        Flow {
            local: SocketAddrV4::new(self.destination(), at(10)),
            remote: SocketAddrV4::new(self.source(), at(8)),
        }
    }

    #[inline]
    pub(crate) fn source(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(be32(&self.0, 0))
    }

    #[inline]
    pub(crate) fn destination(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(be32(&self.0, 4))
    }
}

/// One that has arrived.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Arrived {
    pub(crate) ends: Ends,
    pub(crate) plain: Plain,
    /// Where its text begins, and where the packet ends, counted from its start.
    pub(crate) text: usize,
    pub(crate) end: usize,
}

/// Reads a packet that has `available` bytes in all and begins with `head`; `None` if it is of another kind, or flawed.
#[inline]
pub(crate) fn read(head: &[u8], available: usize) -> Option<Arrived> {
    let short: &[u8; SHORT] = head.first_chunk()?;
    let end = usize::from(be16(short, 2));
    let is_tcp = short[0] == VERSION_AND_LENGTH
        && short[9] == protocol::TCP
        && be16(short, 6) & FRAGMENT == 0;
    if !is_tcp || end > available {
        return None;
    }
    let (text, timestamps) = match be16(short, 32) & !PSH {
        SHORT_ACK => (SHORT, None),
        LONG_ACK => {
            let long: &[u8; LONG] = head.first_chunk()?;
            if be32(long, 40) != TIMESTAMPS {
                return None;
            }
            let option = TimestampOption {
                value: be32(long, 44),
                echo: be32(long, 48),
            };
            (LONG, Some(option))
        }
        _ => return None,
    };
    let ends = short[12..].first_chunk()?;
    (text <= end).then_some(Arrived {
        ends: Ends(*ends),
        plain: Plain {
            seq: Seq(be32(short, 24)),
            ack: Seq(be32(short, 28)),
            window: be16(short, 34),
            push: short[33] & PSH as u8 != 0,
            timestamps,
        },
        text,
        end,
    })
}

impl Plain {
    /// What a header says, if it is one of an acknowledgment without anything special.
    #[inline]
    pub(crate) fn of(header: &TcpHeader) -> Option<Plain> {
        let special = header.flags != Flags::ACK
            || !header.sack.is_empty()
            || header.mss.is_some()
            || header.window_scale.is_some()
            || header.sack_permitted;
        (!special).then_some(Plain {
            seq: header.seq,
            ack: header.ack,
            window: header.window,
            push: false,
            timestamps: header.timestamps,
        })
    }

    /// Bytes of both headers.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        match self.timestamps {
            Some(_) => LONG,
            None => SHORT,
        }
    }

    /// Writes both headers of a packet of `len` bytes to `h`, which is all zero; the checksums are left 0.
    #[inline(always)]
    pub(crate) fn write(
        &self,
        h: &mut [u8; HEAD_BYTES],
        flow: &Flow,
        (ident, dont_fragment): (u16, bool),
        (ttl, tos): (u8, u8),
        len: usize,
    ) {
        h[0] = VERSION_AND_LENGTH;
        h[1] = tos;
        h[2..4].copy_from_slice(&(len as u16).to_be_bytes());
        h[4..6].copy_from_slice(&ident.to_be_bytes());
        h[6] = if dont_fragment { DONT_FRAGMENT } else { 0 };
        h[8] = ttl;
        h[9] = protocol::TCP;
        h[12..16].copy_from_slice(&flow.local.ip().octets());
        h[16..20].copy_from_slice(&flow.remote.ip().octets());
        h[20..22].copy_from_slice(&flow.local.port().to_be_bytes());
        h[22..24].copy_from_slice(&flow.remote.port().to_be_bytes());
        h[24..28].copy_from_slice(&self.seq.0.to_be_bytes());
        h[28..32].copy_from_slice(&self.ack.0.to_be_bytes());
        let push = if self.push { PSH } else { 0 };
        let mut offset_and_flags = SHORT_ACK | push;
        if let Some(option) = self.timestamps {
            offset_and_flags = LONG_ACK | push;
            h[40..44].copy_from_slice(&TIMESTAMPS.to_be_bytes());
            h[44..48].copy_from_slice(&option.value.to_be_bytes());
            h[48..52].copy_from_slice(&option.echo.to_be_bytes());
        }
        h[32..34].copy_from_slice(&offset_and_flags.to_be_bytes());
        h[34..36].copy_from_slice(&self.window.to_be_bytes());
    }
}

/// Makes headers that [`Plain::write`] has written those of another segment.
#[inline]
pub(crate) fn renumber(h: &mut [u8; HEAD_BYTES], ident: u16, seq: Seq) {
    h[4..6].copy_from_slice(&ident.to_be_bytes());
    h[24..28].copy_from_slice(&seq.0.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ipv4::Ipv4Header;
    use proptest::prelude::*;

    fn flow(local: (u32, u16), remote: (u32, u16)) -> Flow {
        let at = |(ip, port)| SocketAddrV4::new(Ipv4Addr::from_bits(ip), port);
        Flow {
            local: at(local),
            remote: at(remote),
        }
    }

    proptest! {
        #[test]
        fn reads_and_writes_what_the_general_headers_say(
            local: (u32, u16), remote: (u32, u16), seq: u32, ack: u32, window: u16, push: bool,
            stamps: Option<(u32, u32)>, ident: u16, dont_fragment: bool, ttl: u8, tos: u8, text in 0usize..1400,
        ) {
            let (ours, theirs) = (flow(local, remote), flow(remote, local));
            let timestamps = stamps.map(|(value, echo)| TimestampOption { value, echo });
            let plain = Plain { seq: Seq(seq), ack: Seq(ack), window, push, timestamps };
            let mut written = [0; HEAD_BYTES];
            plain.write(&mut written, &ours, (ident, dont_fragment), (ttl, tos), plain.len() + text);
            let header = TcpHeader {
                src_port: local.1, dst_port: remote.1, seq: plain.seq, ack: plain.ack, window, timestamps,
                flags: if push { Flags::ACK | Flags::PSH } else { Flags::ACK },
                ..TcpHeader::default()
            };
            let (l4, l4_len) = header.emit();
            let ip = Ipv4Header {
                src: *ours.local.ip(), dst: *ours.remote.ip(), protocol: protocol::TCP, ident, dont_fragment,
                more_fragments: false, fragment_offset: 0, ttl, tos, header_len: 20, total_len: 20 + l4_len + text,
            };
            let expected = [&ip.emit(true)[..], &l4[..l4_len]].concat();
            prop_assert_eq!(&written[..plain.len()], &expected[..]);
            prop_assert_eq!(Plain::of(&header), (!push).then_some(plain));
            let len = expected.len();
            prop_assert_eq!(Ends::of(&theirs).flow(), theirs);
            let arrived = Arrived { ends: Ends::of(&theirs), plain, text: len, end: len + text };
            prop_assert_eq!(read(&expected, len + text), Some(arrived));
            prop_assert_eq!(read(&expected, len + text + 9), Some(arrived), "padding");
            prop_assert_eq!(read(&expected, (len + text).wrapping_sub(1)), None);
            prop_assert_eq!(read(&expected[..len - 1], len + text), None);
        }

        #[test]
        fn reads_nothing_that_is_not_plain(at in 0usize..52, bit in 0u32..8, stamps: bool) {
            let timestamps = stamps.then_some(TimestampOption { value: 5, echo: 6 });
            let plain = Plain { seq: Seq(1), ack: Seq(2), window: 3, push: false, timestamps };
            let mut head = [0; HEAD_BYTES];
            plain.write(&mut head, &flow((3, 4), (1, 2)), (7, true), (64, 0), plain.len() + 100);
            let mut bytes = head[..plain.len()].to_vec();
            prop_assume!(at < bytes.len());
            bytes[at] ^= 1 << bit;
            let read = read(&bytes, bytes.len() + 100);
            // What may differ: the class, a smaller length, the identification, DF, TTL and checksums, the ends, what Plain
            // holds, PSH, the urgent pointer without its flag.
            let free = matches!(at, 1 | 4 | 5 | 8 | 10..=31 | 34..=39 | 44..=51)
                || at == 6 && bit >= 6
                || at == 33 && bit == 3
                || matches!(at, 2 | 3) && read.is_some_and(|r| r.end < bytes.len() + 100);
            prop_assert_eq!(read.is_some(), free, "byte {} bit {}", at, bit);
        }
    }
}
