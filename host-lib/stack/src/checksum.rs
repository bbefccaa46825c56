//! The Internet checksum (RFC 1071): one's complement sum of 16-bit words, over pieces of any length.

use std::net::Ipv4Addr;

use crate::payload::Payload;
use crate::rope::Rope;

/// A running one's complement sum. Pieces may have odd lengths; the sum keeps track of the byte lane.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Checksum {
    sum: u64,
    odd: bool,
}

impl Checksum {
    /// An empty sum.
    pub(crate) fn new() -> Checksum {
        Checksum::default()
    }

    /// Starts a TCP or UDP sum with the pseudo header (RFC 9293 section 3.1, RFC 768).
    pub(crate) fn pseudo_header(
        src: Ipv4Addr,
        dst: Ipv4Addr,
        protocol: u8,
        l4_len: usize,
    ) -> Checksum {
        let mut c = Checksum::new();
        c.add(&src.octets());
        c.add(&dst.octets());
        c.add(&[0, protocol]);
        c.add(&(l4_len as u16).to_be_bytes());
        c
    }

    /// Adds the next bytes of the message.
    pub(crate) fn add(&mut self, mut bytes: &[u8]) {
        if self.odd {
            let Some((first, rest)) = bytes.split_first() else {
                return;
            };
            self.sum += u64::from(*first);
            self.odd = false;
            bytes = rest;
        }
        // 32 bits at a time: 2^16 = 1 (mod 2^16 - 1), so wider words fold to the same sum (RFC 1071 section 2 (C)).
        let mut words = bytes.chunks_exact(4);
        for w in &mut words {
            self.sum += u64::from(u32::from_be_bytes([w[0], w[1], w[2], w[3]]));
        }
        let rest = words.remainder();
        let mut halves = rest.chunks_exact(2);
        for h in &mut halves {
            self.sum += u64::from(u16::from_be_bytes([h[0], h[1]]));
        }
        if let [last] = halves.remainder() {
            self.sum += u64::from(*last) << 8;
            self.odd = true;
        }
        // At most 2^32 words of 2^32 fit; folding here keeps any length safe.
        self.sum = (self.sum >> 32) + (self.sum & 0xffff_ffff);
    }

    /// Adds all bytes of a rope.
    pub(crate) fn add_rope<B: Payload>(&mut self, rope: &Rope<B>) {
        rope.for_each_slice(|bytes| self.add(bytes));
    }

    /// The checksum to put into a header: the complement of the folded sum.
    pub(crate) fn finish(self) -> u16 {
        let mut s = self.sum;
        while s > 0xffff {
            s = (s >> 16) + (s & 0xffff);
        }
        !(s as u16)
    }

    /// True if the bytes added, their checksum field included, are intact.
    pub(crate) fn is_intact(self) -> bool {
        self.finish() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rfc_1071_section_3_example() {
        let mut c = Checksum::new();
        c.add(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(c.finish(), !0xddf2);
    }

    proptest! {
        #[test]
        fn agrees_with_etherparse_however_it_is_split(data: Vec<u8>, cuts: Vec<u8>) {
            let mut c = Checksum::new();
            let mut rest = &data[..];
            for cut in cuts {
                let (a, b) = rest.split_at(usize::from(cut).min(rest.len()));
                c.add(a);
                rest = b;
            }
            c.add(rest);
            let expected = etherparse::checksum::Sum16BitWords::new().add_slice(&data).ones_complement();
            prop_assert_eq!(c.finish(), u16::from_be(expected));
        }
    }
}
