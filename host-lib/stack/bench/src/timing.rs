//! CPU time of this thread, and medians of interleaved runs.

use rustix::time::{clock_gettime, ClockId};

use crate::jobs::Job;
use crate::Result;

/// CPU time of this thread so far, in nanoseconds.
pub fn cpu_ns() -> f64 {
    let t = clock_gettime(ClockId::ThreadCPUTime);
    t.tv_sec as f64 * 1e9 + t.tv_nsec as f64
}

/// Times all jobs in turn, `rounds` times: the median nanoseconds of one operation of each. A machine that is slower for
/// a while is so for all of them.
///
/// Each job comes with the operations of one round; a first round warms up and does not count.
pub fn medians(rounds: usize, jobs: &mut [(Box<dyn Job>, u64)]) -> Result<Vec<f64>> {
    let mut times = vec![Vec::with_capacity(rounds); jobs.len()];
    for round in 0..=rounds {
        for ((job, operations), times) in jobs.iter_mut().zip(&mut times) {
            let start = cpu_ns();
            job.run(*operations)?;
            let spent = cpu_ns() - start;
            if round > 0 {
                times.push(spent / *operations as f64);
            }
        }
    }
    Ok(times.into_iter().map(median).collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_of_an_odd_number_is_the_middle_one() {
        assert_eq!(median(vec![9.0, 1.0, 4.0]), 4.0);
    }
}
