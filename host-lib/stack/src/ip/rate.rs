//! A token bucket for packets that strangers can make us send (RFC 1812 section 4.3.2.8).

use crate::time::Instant;

/// Allows `per_second` packets a second on average, and as many at once.
pub(crate) struct RateLimit {
    per_second: u64,
    /// Billionths of a packet.
    credit: u64,
    since: Instant,
}

const ONE: u64 = 1_000_000_000;

impl RateLimit {
    pub(crate) fn new(per_second: u32) -> RateLimit {
        let per_second = u64::from(per_second);
        RateLimit {
            per_second,
            credit: per_second * ONE,
            since: Instant::ZERO,
        }
    }

    /// Takes one packet's worth, if there is.
    pub(crate) fn allow(&mut self, now: Instant) -> bool {
        let earned = (now - self.since)
            .as_nanos()
            .saturating_mul(u128::from(self.per_second));
        let full = self.per_second * ONE;
        self.credit = u64::try_from(earned)
            .unwrap_or(full)
            .saturating_add(self.credit)
            .min(full);
        self.since = self.since.max(now);
        let ok = self.credit >= ONE;
        if ok {
            self.credit -= ONE;
        }
        ok
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allows_a_burst_then_the_rate() {
        let mut limit = RateLimit::new(10);
        let allowed = |limit: &mut RateLimit, ms| {
            (0..100)
                .filter(|_| limit.allow(Instant::from_millis(ms)))
                .count()
        };
        assert_eq!(allowed(&mut limit, 0), 10);
        assert_eq!(allowed(&mut limit, 500), 5);
        assert_eq!(allowed(&mut limit, 60_000), 10);
        assert!(!RateLimit::new(0).allow(Instant::from_millis(9)));
    }
}
