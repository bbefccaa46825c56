//! The retransmission timeout (RFC 6298).

use core::time::Duration;

use super::super::config::TcpConfig;
use crate::time::nanos;

/// Clock granularity G of section 2.
const GRANULARITY_NS: u64 = 1_000_000;
/// Section 5.7's 3 seconds.
const AFTER_LOST_SYN_NS: u64 = 3_000_000_000;

/// Smoothed round-trip time and the timeout made from it, in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct RtoEstimator {
    /// SRTT and RTTVAR, once there was a sample.
    srtt: u64,
    rttvar: u64,
    base: u64,
    /// `base`, backed off.
    timeout: u64,
    min: u64,
    max: u64,
    backoff: u8,
    sampled: bool,
}

impl RtoEstimator {
    pub(crate) fn new(config: &TcpConfig) -> RtoEstimator {
        let base = nanos(config.initial_rto);
        RtoEstimator {
            srtt: 0,
            rttvar: 0,
            sampled: false,
            base,
            timeout: base,
            min: nanos(config.min_rto),
            max: nanos(config.max_rto.max(config.min_rto)),
            backoff: 0,
        }
    }

    /// The timeout as of now, back-off included.
    #[inline]
    pub(crate) fn rto_nanos(&self) -> u64 {
        self.timeout
    }

    /// The timeout as of now, back-off included.
    pub(crate) fn rto(&self) -> Duration {
        Duration::from_nanos(self.timeout)
    }

    /// The smoothed round-trip time, once there was a sample.
    #[inline]
    pub(crate) fn srtt_nanos(&self) -> Option<u64> {
        self.sampled.then_some(self.srtt)
    }

    /// The smoothed round-trip time, once there was a sample.
    pub(crate) fn srtt(&self) -> Option<Duration> {
        self.srtt_nanos().map(Duration::from_nanos)
    }

    /// The variation of the round-trip time, once there was a sample.
    pub(crate) fn variation(&self) -> Option<Duration> {
        self.sampled.then_some(Duration::from_nanos(self.rttvar))
    }

    /// How often the timeout was doubled.
    pub(crate) fn backoff(&self) -> u8 {
        self.backoff
    }

    fn set(&mut self, base: u64, backoff: u8) {
        self.base = base;
        self.backoff = backoff;
        self.timeout = base.saturating_mul(1 << backoff).min(self.max.max(base));
    }

    /// Takes a sample in nanoseconds. By Karn's algorithm the caller never samples what was sent twice (section 3).
    pub(crate) fn sample(&mut self, r: u64) {
        let (srtt, rttvar) = (self.srtt, self.rttvar);
        let (srtt, rttvar) = match self.sampled {
            // (2.2) "SRTT <- R, RTTVAR <- R/2"
            false => (r, r / 2),
            // (2.3) "RTTVAR <- (1 - beta) * RTTVAR + beta * |SRTT - R'|; SRTT <- (1 - alpha) * SRTT + alpha * R'",
            // with alpha = 1/8 and beta = 1/4.
            true => (
                srtt - srtt.div_ceil(8) + r / 8,
                rttvar - rttvar.div_ceil(4) + srtt.abs_diff(r) / 4,
            ),
        };
        (self.srtt, self.rttvar, self.sampled) = (srtt, rttvar, true);
        // (2.3) "RTO <- SRTT + max (G, K*RTTVAR)", K = 4; (2.4) and (2.5) bound it.
        let base = srtt.saturating_add(GRANULARITY_NS.max(rttvar.saturating_mul(4)));
        self.set(base.clamp(self.min, self.max), 0);
    }

    /// (5.5) "The host MUST set RTO <- RTO * 2 ('back off the timer')."
    pub(crate) fn back_off(&mut self) {
        self.set(self.base, (self.backoff + 1).min(16));
    }

    /// The window has opened: what was backed off were probes.
    pub(crate) fn reset_back_off(&mut self) {
        self.set(self.base, 0);
    }

    /// (5.7) If the timer ran out awaiting the ACK of a SYN, "the RTO MUST be re-initialized to 3 seconds when
    /// data transmission begins"; an initial RTO set higher by configuration stays.
    pub(crate) fn restart_after_lost_syn(&mut self) {
        if !self.sampled {
            let most = self.max.max(self.base);
            self.set(self.base.max(AFTER_LOST_SYN_NS).min(most), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn follows_the_formulas_of_section_2() {
        let mut e = RtoEstimator::new(&TcpConfig {
            min_rto: ms(1),
            ..TcpConfig::default()
        });
        assert_eq!(e.rto(), ms(1000));
        e.sample(nanos(ms(800)));
        // SRTT 800, RTTVAR 400: 800 + 4 * 400.
        assert_eq!((e.srtt(), e.rto()), (Some(ms(800)), ms(2400)));
        e.sample(nanos(ms(400)));
        // RTTVAR 3/4 * 400 + 1/4 * 400 = 400, SRTT 7/8 * 800 + 1/8 * 400 = 750.
        assert_eq!((e.srtt(), e.rto()), (Some(ms(750)), ms(2350)));
    }

    #[test]
    fn backs_off_by_doubling_up_to_the_maximum_until_a_sample() {
        let mut e = RtoEstimator::new(&TcpConfig::default());
        let seen: Vec<u64> = (0..8)
            .map(|_| {
                let now = e.rto().as_secs();
                e.back_off();
                now
            })
            .collect();
        assert_eq!(seen, [1, 2, 4, 8, 16, 32, 60, 60]);
        e.sample(nanos(ms(10)));
        assert_eq!(e.rto(), ms(200));
    }

    #[test]
    fn a_lost_syn_makes_it_three_seconds() {
        let mut e = RtoEstimator::new(&TcpConfig::default());
        e.back_off();
        e.restart_after_lost_syn();
        assert_eq!(e.rto(), ms(3000));
    }
}
