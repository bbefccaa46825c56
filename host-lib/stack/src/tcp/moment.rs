//! A point in time in 32 bits, for the records of which there are many.

use core::time::Duration;

use crate::time::Instant;

/// Microseconds of the clock, modulo 2^32: which instant it was can be told for 71 minutes.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Moment(u32);

impl Moment {
    /// No record may wait longer.
    pub(crate) const REACH: Duration = Duration::from_secs(3600);

    pub(crate) fn new(at: Instant) -> Moment {
        Moment(micros(at) as u32)
    }

    /// The instant, which is not after `now`, to the microsecond before it.
    pub(crate) fn instant(self, now: Instant) -> Instant {
        let now = micros(now);
        let ago = match (now as u32).wrapping_sub(self.0) {
            // From beyond the reach, or ahead of `now`: of a caller whose clock went back.
            ago if u64::from(ago) > Moment::REACH.as_secs() * 1_000_000 * 11 / 10 => 0,
            ago => ago,
        };
        Instant::from_nanos(now.saturating_sub(u64::from(ago)) * 1000)
    }
}

fn micros(at: Instant) -> u64 {
    at.as_nanos() / 1000
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_instant_is_told_within_its_reach(at in 0..u64::MAX / 2, later in 0..Moment::REACH.as_nanos() as u64) {
            let told = Moment::new(Instant::from_nanos(at)).instant(Instant::from_nanos(at + later));
            prop_assert_eq!(told.as_nanos(), at / 1000 * 1000);
        }
    }
}
