//! Two-state constants of any width.

/// Bits of a limb.
pub(crate) const LIMB: u32 = 64;

/// A vector of bits, the least significant in bit 0 of the first limb; bits beyond the width are 0.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Bits {
    width: u32,
    limbs: Vec<u64>,
}

/// Limbs that hold `width` bits.
pub(crate) fn limbs(width: u32) -> usize {
    width.div_ceil(LIMB).max(1) as usize
}

/// All bits of the last limb that `width` bits use.
pub(crate) fn last_mask(width: u32) -> u64 {
    match width % LIMB {
        0 => u64::MAX,
        n => (1 << n) - 1,
    }
}

impl Bits {
    pub(crate) fn new(width: u32, value: u64) -> Self {
        Self::from_limbs(width, vec![value])
    }

    /// Cut or filled with zeros to `width`.
    pub(crate) fn from_limbs(width: u32, mut limbs: Vec<u64>) -> Self {
        limbs.resize(self::limbs(width), 0);
        if let Some(last) = limbs.last_mut() {
            *last &= last_mask(width);
        }
        Self { width, limbs }
    }

    pub(crate) fn width(&self) -> u32 {
        self.width
    }

    pub(crate) fn limbs(&self) -> &[u64] {
        &self.limbs
    }

    pub(crate) fn bit(&self, at: u32) -> bool {
        self.limbs
            .get((at / LIMB) as usize)
            .is_some_and(|limb| limb >> (at % LIMB) & 1 != 0)
    }

    /// As another width: cut, or filled with zeros, or with the sign.
    pub(crate) fn resize(&self, width: u32, signed: bool) -> Self {
        let mut limbs = self.limbs.clone();
        if signed && width > self.width && self.bit(self.width - 1) {
            if let Some(last) = limbs.last_mut() {
                *last |= !last_mask(self.width);
            }
            limbs.resize(self::limbs(width), u64::MAX);
        }
        Self::from_limbs(width, limbs)
    }

    /// The value, if it fits.
    pub(crate) fn to_u64(&self) -> Option<u64> {
        let (low, high) = self.limbs.split_first()?;
        high.iter().all(|limb| *limb == 0).then_some(*low)
    }

    pub(crate) fn slice(&self, lsb: u32, width: u32) -> Self {
        let mut limbs = vec![0; self::limbs(width)];
        for at in 0..width {
            if self.bit(lsb + at) {
                limbs[(at / LIMB) as usize] |= 1 << (at % LIMB);
            }
        }
        Self { width, limbs }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_fills_across_limbs() {
        let minus_two = Bits::new(3, 0b110);
        assert_eq!(minus_two.resize(70, true).limbs(), [u64::MAX - 1, 0x3F]);
        assert_eq!(minus_two.resize(70, false).limbs(), [6, 0]);
        assert_eq!(minus_two.resize(2, true), Bits::new(2, 0b10));
        assert_eq!(
            Bits::from_limbs(128, vec![0, 5]).slice(62, 4),
            Bits::new(4, 0b0100)
        );
        assert_eq!(Bits::from_limbs(128, vec![0, 5]).to_u64(), None);
    }
}
