//! The Internet checksum (RFC 1071) of stretches of a frame.

/// A one's-complement sum of half-words as they lie in memory: by RFC 1071 section 2 (B) the byte order does not matter as long as what is
/// added or compared has the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum(u64);

impl Sum {
    /// With these bytes; an odd last one is padded with zero. A stretch that is not the last has an even length.
    pub(super) fn bytes(mut self, bytes: &[u8]) -> Self {
        let mut words = bytes.chunks_exact(4);
        for w in &mut words {
            self.0 += u64::from(u32::from_le_bytes([w[0], w[1], w[2], w[3]]));
        }
        for (i, b) in words.remainder().iter().enumerate() {
            self.0 += u64::from(*b) << (8 * (i % 2));
        }
        self
    }

    /// With a number in network byte order.
    pub(super) fn number(mut self, number: u16) -> Self {
        self.0 += u64::from(number.swap_bytes());
        self
    }

    /// Folded to 16 bits.
    fn folded(self) -> u16 {
        let mut sum = self.0;
        while sum > 0xFFFF {
            sum = (sum & 0xFFFF) + (sum >> 16);
        }
        sum as u16
    }

    /// Whether what was summed holds its right checksum.
    pub(super) fn is_right(self) -> bool {
        self.folded() == 0xFFFF
    }

    /// The checksum, its bytes in the order of the wire.
    pub(super) fn checksum(self) -> [u8; 2] {
        (!self.folded()).to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::Sum;

    #[test]
    fn the_example_of_rfc_1071() {
        // Section 3: the sum of these is ddf2.
        let data = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        let checksum = Sum::default().bytes(&data).checksum();
        assert_eq!(u16::from_be_bytes(checksum), !0xddf2);
        let whole = [&data[..], &checksum].concat();
        assert!(Sum::default().bytes(&whole).is_right());
        assert!(!Sum::default().bytes(&whole).number(1).is_right());
    }

    #[test]
    fn an_odd_byte_is_padded_behind() {
        assert_eq!(
            Sum::default().bytes(&[1, 2, 3]).checksum(),
            Sum::default().bytes(&[1, 2, 3, 0]).checksum()
        );
    }
}
