//! The retransmission timeout (RFC 6298).

use core::time::Duration;

use super::super::config::TcpConfig;

/// Clock granularity G of section 2.
const GRANULARITY: Duration = Duration::from_millis(1);

/// Smoothed round-trip time and the timeout made from it.
#[derive(Clone, Debug)]
pub(crate) struct RtoEstimator {
    smoothed: Option<(Duration, Duration)>,
    base: Duration,
    backoff: u32,
    min: Duration,
    max: Duration,
}

impl RtoEstimator {
    pub(crate) fn new(config: &TcpConfig) -> RtoEstimator {
        RtoEstimator {
            smoothed: None,
            base: config.initial_rto,
            backoff: 0,
            min: config.min_rto,
            max: config.max_rto.max(config.min_rto),
        }
    }

    /// The timeout as of now, back-off included.
    pub(crate) fn rto(&self) -> Duration {
        self.base
            .saturating_mul(1 << self.backoff.min(16))
            .min(self.max.max(self.base))
    }

    /// The smoothed round-trip time, once there was a sample.
    pub(crate) fn srtt(&self) -> Option<Duration> {
        self.smoothed.map(|(srtt, _)| srtt)
    }

    /// The variation of the round-trip time, once there was a sample.
    pub(crate) fn variation(&self) -> Option<Duration> {
        self.smoothed.map(|(_, variation)| variation)
    }

    /// How often the timeout was doubled.
    pub(crate) fn backoff(&self) -> u8 {
        self.backoff as u8
    }

    /// Takes a sample. By Karn's algorithm the caller never samples what was sent twice (section 3).
    pub(crate) fn sample(&mut self, r: Duration) {
        let (srtt, rttvar) = match self.smoothed {
            // (2.2) "SRTT <- R, RTTVAR <- R/2"
            None => (r, r / 2),
            // (2.3) "RTTVAR <- (1 - beta) * RTTVAR + beta * |SRTT - R'|; SRTT <- (1 - alpha) * SRTT + alpha * R'",
            // with alpha = 1/8 and beta = 1/4.
            Some((srtt, rttvar)) => (srtt * 7 / 8 + r / 8, rttvar * 3 / 4 + srtt.abs_diff(r) / 4),
        };
        self.smoothed = Some((srtt, rttvar));
        // (2.3) "RTO <- SRTT + max (G, K*RTTVAR)", K = 4; (2.4) and (2.5) bound it.
        self.base = (srtt + GRANULARITY.max(rttvar * 4)).clamp(self.min, self.max);
        self.backoff = 0;
    }

    /// (5.5) "The host MUST set RTO <- RTO * 2 ('back off the timer')."
    pub(crate) fn back_off(&mut self) {
        self.backoff = (self.backoff + 1).min(16);
    }

    /// The window has opened: what was backed off were probes.
    pub(crate) fn reset_back_off(&mut self) {
        self.backoff = 0;
    }

    /// (5.7) If the timer ran out awaiting the ACK of a SYN, "the RTO MUST be re-initialized to 3 seconds when
    /// data transmission begins"; an initial RTO set higher by configuration stays.
    pub(crate) fn restart_after_lost_syn(&mut self) {
        if self.smoothed.is_none() {
            self.base = self
                .base
                .max(Duration::from_secs(3))
                .min(self.max.max(self.base));
            self.backoff = 0;
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
        e.sample(ms(800));
        // SRTT 800, RTTVAR 400: 800 + 4 * 400.
        assert_eq!((e.srtt(), e.rto()), (Some(ms(800)), ms(2400)));
        e.sample(ms(400));
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
        e.sample(ms(10));
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
