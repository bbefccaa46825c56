//! The TCP header and its options (RFC 9293 sections 3.1 and 3.2, RFC 7323 sections 2.2 and 3.2, RFC 2018 sections 2 and 3).

use core::fmt;
use core::ops::BitOr;

use super::{be16, be32};
use crate::seq::Seq;

/// Bytes of a header without options.
pub(crate) const HEADER_LEN: usize = 20;
/// Bytes of the longest header.
pub(crate) const MAX_HEADER_LEN: usize = 60;

/// Control bits.
#[derive(Copy, Clone, PartialEq, Eq, Default)]
pub(crate) struct Flags(u8);

impl Flags {
    pub(crate) const FIN: Flags = Flags(0x01);
    pub(crate) const SYN: Flags = Flags(0x02);
    pub(crate) const RST: Flags = Flags(0x04);
    pub(crate) const PSH: Flags = Flags(0x08);
    pub(crate) const ACK: Flags = Flags(0x10);
    /// ECN-Echo (RFC 3168 section 6.1).
    pub(crate) const ECE: Flags = Flags(0x40);
    /// Congestion Window Reduced.
    pub(crate) const CWR: Flags = Flags(0x80);

    #[inline]
    pub(crate) const fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    #[inline]
    pub(crate) const fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }
}

impl BitOr for Flags {
    type Output = Flags;
    #[inline]
    fn bitor(self, rhs: Flags) -> Flags {
        Flags(self.0 | rhs.0)
    }
}

impl fmt::Debug for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (bit, name) in [
            (0x02, 'S'),
            (0x10, 'A'),
            (0x01, 'F'),
            (0x04, 'R'),
            (0x08, 'P'),
            (0x40, 'E'),
            (0x80, 'W'),
        ] {
            if self.0 & bit != 0 {
                write!(f, "{name}")?;
            }
        }
        Ok(())
    }
}

/// A run of octets: the first, and the one after the last.
pub(crate) type Block = (Seq, Seq);

/// Blocks of one SACK option: at most four fit, three beside timestamps.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct SackBlocks {
    blocks: [Block; SackBlocks::MAX],
    len: u8,
}

impl SackBlocks {
    pub(crate) const MAX: usize = 4;

    /// Appends the block from `left` up to `right`; beyond the fourth nothing happens.
    pub(crate) fn push(&mut self, left: Seq, right: Seq) {
        if let Some(slot) = self.blocks.get_mut(usize::from(self.len)) {
            *slot = (left, right);
            self.len += 1;
        }
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[Block] {
        &self.blocks[..usize::from(self.len)]
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Keeps the first `n`.
    pub(crate) fn truncate(&mut self, n: usize) {
        self.len = self.len.min(n as u8);
    }
}

/// TSval and TSecr (RFC 7323 section 3.2).
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct TimestampOption {
    pub(crate) value: u32,
    pub(crate) echo: u32,
}

/// What a header says, options included; the payload travels beside it.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct TcpHeader {
    pub(crate) src_port: u16,
    pub(crate) dst_port: u16,
    pub(crate) seq: Seq,
    pub(crate) ack: Seq,
    pub(crate) flags: Flags,
    /// As on the wire, not yet scaled.
    pub(crate) window: u16,
    pub(crate) mss: Option<u16>,
    /// Shift count, at most 14.
    pub(crate) window_scale: Option<u8>,
    /// The sender takes SACK options (in a SYN).
    pub(crate) sack_permitted: bool,
    pub(crate) timestamps: Option<TimestampOption>,
    pub(crate) sack: SackBlocks,
}

impl TcpHeader {
    /// Reads the header at the start of `head` into this one, which is a default one; returns its length.
    #[inline]
    pub(crate) fn read(&mut self, head: &[u8]) -> Option<usize> {
        if head.len() < HEADER_LEN {
            return None;
        }
        let header_len = usize::from(head[12] >> 4) * 4;
        if header_len < HEADER_LEN || header_len > head.len() {
            return None;
        }
        self.src_port = be16(head, 0);
        self.dst_port = be16(head, 2);
        self.seq = Seq(be32(head, 4));
        self.ack = Seq(be32(head, 8));
        self.flags = Flags(head[13]);
        self.window = be16(head, 14);
        let options = &head[HEADER_LEN..header_len];
        match options {
            // What nearly every segment of an open connection carries (RFC 7323 appendix A).
            [1, 1, 8, 10, rest @ ..] if rest.len() == 8 => {
                self.timestamps = Some(TimestampOption {
                    value: be32(rest, 0),
                    echo: be32(rest, 4),
                });
            }
            [] => {}
            _ => self.parse_options(options),
        }
        Some(header_len)
    }

    // RFC 9293 MUST-6: "A TCP implementation MUST be able to receive a TCP Option in any segment";
    // MUST-7: it "MUST ... handle an illegal option length ... without crashing". We stop reading there.
    fn parse_options(&mut self, mut options: &[u8]) {
        while let [kind, rest @ ..] = options {
            match kind {
                0 => return,
                1 => {
                    options = rest;
                    continue;
                }
                _ => {}
            }
            let Some(len) = rest.first().map(|l| usize::from(*l)) else {
                return;
            };
            if len < 2 || len > options.len() {
                return;
            }
            match (kind, len) {
                (2, 4) => self.mss = Some(be16(options, 2)),
                // RFC 7323 section 2.3: a shift greater than 14 is used as 14.
                (3, 3) => self.window_scale = Some(options[2].min(14)),
                (4, 2) => self.sack_permitted = true,
                (5, 10 | 18 | 26 | 34) => {
                    for block in options[2..len].chunks_exact(8) {
                        self.sack.push(Seq(be32(block, 0)), Seq(be32(block, 4)));
                    }
                }
                (8, 10) => {
                    self.timestamps = Some(TimestampOption {
                        value: be32(options, 2),
                        echo: be32(options, 6),
                    });
                }
                _ => {}
            }
            options = &options[len..];
        }
    }

    /// Writes the header with a checksum field of 0 to bytes that are zero, enough for the longest; returns the length used. The options stand in the
    /// order in which Linux sends them, which is what middleboxes have seen most: MSS, SACK-permitted in the padding of
    /// timestamps, window scale, SACK.
    pub(crate) fn emit_to(&self, h: &mut [u8]) -> usize {
        let Some(h) = h.first_chunk_mut::<MAX_HEADER_LEN>() else {
            return 0;
        };
        let mut len = HEADER_LEN;
        let mut put = |bytes: &[u8]| {
            // No combination of options a caller makes is longer than the header can be.
            if let Some(to) = h.get_mut(len..len + bytes.len()) {
                to.copy_from_slice(bytes);
                len += bytes.len();
            }
        };
        if let Some(mss) = self.mss {
            put(&[2, 4]);
            put(&mss.to_be_bytes());
        }
        match (self.timestamps, self.sack_permitted) {
            (Some(ts), sack) => {
                put(if sack { &[4, 2, 8, 10] } else { &[1, 1, 8, 10] });
                put(&ts.value.to_be_bytes());
                put(&ts.echo.to_be_bytes());
            }
            (None, true) => put(&[1, 1, 4, 2]),
            (None, false) => {}
        }
        if let Some(shift) = self.window_scale {
            put(&[1, 3, 3, shift]);
        }
        if !self.sack.is_empty() {
            let blocks = self.sack.as_slice();
            put(&[1, 1, 5, 2 + 8 * blocks.len() as u8]);
            for (left, right) in blocks {
                put(&left.0.to_be_bytes());
                put(&right.0.to_be_bytes());
            }
        }
        h[0..2].copy_from_slice(&self.src_port.to_be_bytes());
        h[2..4].copy_from_slice(&self.dst_port.to_be_bytes());
        h[4..8].copy_from_slice(&self.seq.0.to_be_bytes());
        h[8..12].copy_from_slice(&self.ack.0.to_be_bytes());
        h[12] = ((len / 4) as u8) << 4;
        h[13] = self.flags.0;
        h[14..16].copy_from_slice(&self.window.to_be_bytes());
        len
    }
}

#[cfg(test)]
impl TcpHeader {
    /// The header at the start of `head`, with its length.
    pub(crate) fn parse(head: &[u8]) -> Option<(TcpHeader, usize)> {
        let mut header = TcpHeader::default();
        let len = header.read(head)?;
        Some((header, len))
    }

    /// The header as bytes, and how many of them are used.
    pub(crate) fn emit(&self) -> ([u8; MAX_HEADER_LEN], usize) {
        let mut h = [0; MAX_HEADER_LEN];
        let len = self.emit_to(&mut h);
        (h, len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn with_options(options: &[u8]) -> Vec<u8> {
        let mut h = vec![0u8; HEADER_LEN];
        h.extend_from_slice(options);
        h.resize(h.len().next_multiple_of(4), 0);
        h[12] = ((h.len() / 4) as u8) << 4;
        h
    }

    #[test]
    fn illegal_option_lengths_end_the_options() {
        for bad in [
            &[2, 0, 5, 5][..],
            &[2, 1, 5, 5],
            &[2, 9, 5, 5],
            &[1, 1, 1, 2],
        ] {
            let (header, _) =
                TcpHeader::parse(&with_options(bad)).expect("the header itself is whole");
            assert_eq!((header.mss, header.window_scale), (None, None));
        }
        let (header, _) = TcpHeader::parse(&with_options(&[3, 3, 99, 1])).expect("whole");
        assert_eq!(header.window_scale, Some(14));
    }

    proptest! {
        #[test]
        fn etherparse_reads_what_we_write(
            sp: u16, dp: u16, seq: u32, ack: u32, flags: u8, window: u16,
            mss: Option<u16>, scale in proptest::option::of(0u8..=14),
            sack_permitted: bool, stamps: Option<(u32, u32)>, blocks in proptest::collection::vec(any::<(u32, u32)>(), 0..4),
        ) {
            // As in real segments: a SYN has the one kind of options, the others have the other.
            let syn = mss.is_some();
            let mut sack = SackBlocks::default();
            if !syn {
                blocks.iter().for_each(|b| sack.push(Seq(b.0), Seq(b.1)));
            }
            let ours = TcpHeader {
                src_port: sp, dst_port: dp, seq: Seq(seq), ack: Seq(ack), flags: Flags(flags), window,
                mss, window_scale: scale.filter(|_| syn), sack_permitted: sack_permitted && syn,
                timestamps: stamps.map(|(value, echo)| TimestampOption { value, echo }), sack,
            };
            let (bytes, len) = ours.emit();

            let (theirs, rest) = etherparse::TcpHeader::from_slice(&bytes[..len]).expect("a valid header");
            prop_assert!(rest.is_empty());
            prop_assert_eq!((theirs.source_port, theirs.destination_port), (sp, dp));
            prop_assert_eq!((theirs.sequence_number, theirs.acknowledgment_number), (seq, ack));
            prop_assert_eq!(theirs.window_size, window);
            prop_assert_eq!((theirs.syn, theirs.ack, theirs.fin), (flags & 2 != 0, flags & 16 != 0, flags & 1 != 0));
            prop_assert_eq!((theirs.ece, theirs.cwr), (flags & 64 != 0, flags & 128 != 0));
            let mut seen = (None, None, false, None, Vec::new());
            for option in theirs.options_iterator() {
                match option.expect("a valid option") {
                    etherparse::TcpOptionElement::MaximumSegmentSize(v) => seen.0 = Some(v),
                    etherparse::TcpOptionElement::WindowScale(v) => seen.1 = Some(v),
                    etherparse::TcpOptionElement::SelectiveAcknowledgementPermitted => seen.2 = true,
                    etherparse::TcpOptionElement::Timestamp(v, e) => seen.3 = Some((v, e)),
                    etherparse::TcpOptionElement::SelectiveAcknowledgement(first, rest) => {
                        seen.4.push(first);
                        seen.4.extend(rest.into_iter().flatten());
                    }
                    etherparse::TcpOptionElement::Noop => {}
                }
            }
            let expected_blocks = if syn { Vec::new() } else { blocks };
            prop_assert_eq!(seen, (mss, ours.window_scale, ours.sack_permitted, stamps, expected_blocks));
            prop_assert_eq!(TcpHeader::parse(&bytes[..len]), Some((ours, len)));
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>) {
            let _ = TcpHeader::parse(&bytes);
        }
    }
}
