//! Sequence numbers: 32-bit arithmetic modulo 2^32 (RFC 9293 section 3.4).

use core::fmt;
use core::ops::{Add, AddAssign, Sub};

/// A TCP sequence number. Ordered by [`Seq::lt`] and its kin, never by the bare integer.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Seq(pub(crate) u32);

impl Seq {
    /// Signed distance from `other` to `self`; right while they are less than 2^31 apart.
    #[inline]
    pub(crate) const fn diff(self, other: Seq) -> i32 {
        self.0.wrapping_sub(other.0) as i32
    }

    /// `self` lies before `other`.
    #[inline]
    pub(crate) const fn lt(self, other: Seq) -> bool {
        self.diff(other) < 0
    }

    /// `self` lies before `other` or is it.
    #[inline]
    pub(crate) const fn le(self, other: Seq) -> bool {
        self.diff(other) <= 0
    }

    /// `self` lies after `other`.
    #[inline]
    pub(crate) const fn gt(self, other: Seq) -> bool {
        self.diff(other) > 0
    }

    /// `self` lies after `other` or is it.
    #[inline]
    pub(crate) const fn ge(self, other: Seq) -> bool {
        self.diff(other) >= 0
    }

    /// The later of the two.
    #[inline]
    pub(crate) const fn max(self, other: Seq) -> Seq {
        if self.ge(other) {
            self
        } else {
            other
        }
    }

    /// Octets from `other` up to `self`; 0 if `self` is before `other`.
    #[inline]
    pub(crate) const fn distance_from(self, other: Seq) -> u32 {
        let d = self.diff(other);
        if d < 0 {
            0
        } else {
            d as u32
        }
    }
}

impl Add<u32> for Seq {
    type Output = Seq;
    #[inline]
    fn add(self, rhs: u32) -> Seq {
        Seq(self.0.wrapping_add(rhs))
    }
}

impl AddAssign<u32> for Seq {
    #[inline]
    fn add_assign(&mut self, rhs: u32) {
        *self = *self + rhs;
    }
}

impl Sub<u32> for Seq {
    type Output = Seq;
    #[inline]
    fn sub(self, rhs: u32) -> Seq {
        Seq(self.0.wrapping_sub(rhs))
    }
}

impl fmt::Debug for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn order_survives_the_wrap() {
        assert!(Seq(0xffff_fff0).lt(Seq(0x10)));
        assert!(Seq(0x10).gt(Seq(0xffff_fff0)));
        assert_eq!(Seq(0x10).distance_from(Seq(0xffff_fff0)), 0x20);
        assert_eq!(Seq(0xffff_ffff) + 1, Seq(0));
        assert_eq!(Seq(0) - 1, Seq(0xffff_ffff));
    }

    proptest! {
        #[test]
        fn adding_less_than_half_the_space_moves_forward(a: u32, d in 1u32..0x8000_0000) {
            let (s, t) = (Seq(a), Seq(a) + d);
            prop_assert!(d == 0x8000_0000 || s.lt(t) && t.gt(s) && !t.le(s) && s.le(t));
            prop_assert_eq!(t.distance_from(s), d);
            prop_assert_eq!(s.distance_from(t), 0);
            prop_assert_eq!(t - d, s);
            prop_assert_eq!(s.max(t), t);
        }
    }
}
