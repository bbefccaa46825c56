//! CUBIC (RFC 9438): the window grows by a cubic function of the time since the last congestion, and never slower than Reno's.

use super::Acked;
use crate::time::Instant;

/// Section 4.6: "beta_cubic SHOULD be set to 0.7".
const BETA: f64 = 0.7;
/// Section 5: "C SHOULD be set to 0.4", in segments per second cubed.
const C: f64 = 0.4;

/// The state of section 4.1.3; windows are in segments.
#[derive(Copy, Clone, Default, Debug)]
pub(super) struct Cubic {
    w_max: f64,
    /// Seconds until the window is back at W_max.
    k: f64,
    w_est: f64,
    /// The window at the last reduction.
    cwnd_prior: f64,
    epoch_start: Option<Instant>,
    /// Bytes by which the window is due to grow, less than a segment.
    credit: f64,
}

impl Cubic {
    /// A new congestion avoidance stage begins with the next acknowledgment.
    pub(super) fn restart_epoch(&mut self) {
        self.epoch_start = None;
        self.credit = 0.0;
    }

    /// How many bytes the window grows in congestion avoidance (sections 4.2 to 4.5).
    pub(super) fn growth(&mut self, cwnd: u32, mss: u32, acked: Acked) -> u32 {
        let mss = f64::from(mss);
        let window = f64::from(cwnd) / mss;
        let start = *self.epoch_start.get_or_insert_with(|| {
            // Section 4.2 (2): "K = cubic_root((W_max - cwnd_epoch) / C)"; above W_max the plateau is here.
            self.w_max = self.w_max.max(window);
            self.k = ((self.w_max - window) / C).cbrt();
            self.w_est = window;
            acked.now
        });
        // Section 4.3: W_est grows by alpha segments a window; "alpha_cubic = 3 * (1 - beta) / (1 + beta)" until it has
        // reached the window of the last reduction, then by one.
        let segments = f64::from(acked.octets) / mss;
        let alpha = if self.w_est < self.cwnd_prior {
            3.0 * (1.0 - BETA) / (1.0 + BETA)
        } else {
            1.0
        };
        self.w_est += alpha * segments / window;
        let cubic = |t: f64| C * (t - self.k).powi(3) + self.w_max;
        let t = (acked.now - start).as_secs_f64();
        if cubic(t) < self.w_est {
            let target = (self.w_est * mss).min(f64::from(u32::MAX)) as u32;
            return target.saturating_sub(cwnd);
        }
        // Section 4.4: towards the window of a round trip from now, "cwnd + (target - cwnd)/cwnd" an ACK of a segment;
        // section 4.2: the target is at least the window and at most 1.5 times it.
        let target = cubic(t + acked.srtt as f64 / 1e9).clamp(window, 1.5 * window);
        self.credit += (target - window) / window * segments * mss;
        let whole = self.credit as u32;
        self.credit -= f64::from(whole);
        whole
    }

    /// Section 4.6, multiplicative decrease, and section 4.7, fast convergence; the new threshold in bytes.
    pub(super) fn reduced(&mut self, cwnd: u32, mss: u32, flight: u32) -> u32 {
        let window = f64::from(cwnd) / f64::from(mss);
        self.w_max = if window < self.w_max {
            window * (1.0 + BETA) / 2.0
        } else {
            window
        };
        self.cwnd_prior = window;
        self.restart_epoch();
        // Section 4.6: "ssthresh = flight_size * beta_cubic"; the window itself where the application did not fill it
        // would let an idle sender keep what it never used.
        (f64::from(flight) * BETA) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    /// The window every round trip after a reduction from `w_max` segments, in segments.
    fn after_a_loss(w_max: u32, rtt: Duration, trips: u32) -> Vec<f64> {
        let mss = 1000;
        let mut cubic = Cubic::default();
        let mut cwnd = w_max * mss;
        cwnd = cubic.reduced(cwnd, mss, cwnd);
        let mut now = Instant::from_millis(0);
        let mut seen = vec![f64::from(cwnd) / 1000.0];
        for _ in 0..trips {
            let segments = cwnd / mss;
            for _ in 0..segments {
                now += rtt / segments;
                cwnd += cubic.growth(
                    cwnd,
                    mss,
                    Acked {
                        now,
                        octets: mss,
                        srtt: rtt.as_nanos() as u64,
                        after_timeout: false,
                    },
                );
            }
            seen.push(f64::from(cwnd) / 1000.0);
        }
        seen
    }

    #[test]
    fn the_window_follows_the_cubic_function_of_section_4_2() {
        // W_cubic(t) = C * (t - K)^3 + W_max, with K = cubic_root(W_max * (1 - beta) / C).
        let (w_max, trips_per_second) = (1000, 10);
        let k = (f64::from(w_max) * (1.0 - BETA) / C).cbrt();
        let seen = after_a_loss(w_max, Duration::from_millis(100), 150);
        for seconds in [1usize, 3, 5, 7, 9, 11, 14] {
            let expected = C * (seconds as f64 - k).powi(3) + f64::from(w_max);
            let got = seen[seconds * trips_per_second];
            // A round trip of 100 ms is what the window may lag behind.
            assert!(
                (got / expected - 1.0).abs() < 0.02,
                "after {seconds} s {got}, not {expected}"
            );
        }
    }

    #[test]
    fn where_reno_is_faster_it_grows_as_reno() {
        // Section 4.3: with short round trips W_est leads; up to W_max it grows by alpha = 0.53 segments a round trip.
        let seen = after_a_loss(100, Duration::from_millis(2), 20);
        let slope = (seen[20] - seen[0]) / 20.0;
        assert!(
            (0.45..0.6).contains(&slope),
            "{slope} segments a round trip"
        );
    }

    #[test]
    fn fast_convergence_releases_bandwidth() {
        let mut cubic = Cubic::default();
        assert_eq!(cubic.reduced(100_000, 1000, 100_000), 70_000);
        assert!((cubic.w_max - 100.0).abs() < 1e-9);
        // Section 4.7: a second loss below W_max remembers cwnd * (1 + beta) / 2.
        cubic.reduced(80_000, 1000, 80_000);
        assert!((cubic.w_max - 68.0).abs() < 1e-9);
    }
}
