//! Points in time as the caller counts them: nanoseconds on a clock the stack never reads itself.

use core::fmt;
use core::num::NonZeroU64;
use core::ops::{Add, AddAssign, Sub};
use core::time::Duration;

/// A point on the caller's monotonic clock, in nanoseconds since an origin the caller chooses.
///
/// Arithmetic saturates: a deadline beyond the end of time, 2^64 - 2 ns, is the end of time.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(
    /// One more than the nanoseconds, so that an `Option` of it takes no more room: connections have many.
    NonZeroU64,
);

impl Default for Instant {
    fn default() -> Instant {
        Instant::ZERO
    }
}

impl Instant {
    /// The clock's origin.
    pub const ZERO: Instant = Instant(NonZeroU64::MIN);

    /// The instant `nanos` nanoseconds after the origin.
    #[inline]
    pub const fn from_nanos(nanos: u64) -> Instant {
        Instant(NonZeroU64::MIN.saturating_add(nanos))
    }

    /// The instant `millis` milliseconds after the origin.
    pub const fn from_millis(millis: u64) -> Instant {
        Instant::from_nanos(millis.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the origin.
    #[inline]
    pub const fn as_nanos(self) -> u64 {
        self.0.get() - 1
    }

    /// Time passed since `earlier`; zero if `earlier` is later.
    #[inline]
    pub const fn saturating_since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.nanos_since(earlier))
    }

    /// The same in nanoseconds, in which times are kept where there is one for every packet: a [`Duration`] is two numbers.
    #[inline]
    pub(crate) const fn nanos_since(self, earlier: Instant) -> u64 {
        self.as_nanos().saturating_sub(earlier.as_nanos())
    }

    /// The instant `nanos` nanoseconds later.
    #[inline]
    pub(crate) const fn after(self, nanos: u64) -> Instant {
        Instant(self.0.saturating_add(nanos))
    }
}

/// A duration in nanoseconds, at most 2^64 - 1.
#[inline]
pub(crate) const fn nanos(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(duration.subsec_nanos() as u64)
}

impl Add<Duration> for Instant {
    type Output = Instant;
    #[inline]
    fn add(self, rhs: Duration) -> Instant {
        self.after(nanos(rhs))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, rhs: Duration) {
        *self = *self + rhs;
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;
    #[inline]
    fn sub(self, rhs: Duration) -> Instant {
        Instant::from_nanos(self.as_nanos().saturating_sub(nanos(rhs)))
    }
}

impl Sub<Instant> for Instant {
    type Output = Duration;
    #[inline]
    fn sub(self, rhs: Instant) -> Duration {
        self.saturating_since(rhs)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{:09}s",
            self.as_nanos() / 1_000_000_000,
            self.as_nanos() % 1_000_000_000
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_ends_one_nanosecond_early_and_begins_at_zero() {
        let end = Instant::from_nanos(u64::MAX);
        assert_eq!(end.as_nanos(), u64::MAX - 1);
        assert_eq!(end + Duration::MAX, end);
        assert_eq!(Instant::ZERO - Duration::from_nanos(1), Instant::default());
        assert_eq!(end - Instant::ZERO, Duration::from_nanos(u64::MAX - 1));
        assert_eq!(Instant::from_millis(2).as_nanos(), 2_000_000);
        assert_eq!(
            format!("{:?}", Instant::from_nanos(1_000_000_007)),
            "1.000000007s"
        );
    }

    #[test]
    fn an_optional_instant_takes_no_more_room() {
        assert_eq!(size_of::<Option<Instant>>(), size_of::<u64>());
    }
}
