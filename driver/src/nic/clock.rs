//! The clock that timestamps come from: read, stepped and trimmed, as a servo of IEEE 1588 needs it.
use super::error::NicError;
use super::port::Port;
use super::Nic;
use ferrule_abi::regs::{self, clock_rate::RATE};

/// Units of CLOCK_RATE in 10^-9.
const UNITS_PER_PPB: f64 = (1u64 << 32) as f64 / 1e9;
/// Smallest and largest value of CLOCK_RATE.
const RATES: std::ops::RangeInclusive<f64> = {
    let most = 1u32 << (RATE.width - 1);
    -(most as f64)..=(most - 1) as f64
};

/// What makes no sense for the clock.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum ClockError {
    /// A rate that the hardware cannot have.
    #[error("the clock cannot be trimmed by {ppb} parts in 10^9, only by {:.1} to {:.1}", *RATES.start() / UNITS_PER_PPB, *RATES.end() / UNITS_PER_PPB)]
    Rate {
        /// What was asked for, in parts in 10^9.
        ppb: f64,
    },
}

/// CLOCK_RATE for a rate in parts in 10^9.
fn rate(ppb: f64) -> Result<u32, ClockError> {
    let units = (ppb * UNITS_PER_PPB).round();
    if !RATES.contains(&units) {
        return Err(ClockError::Rate { ppb });
    }
    Ok(units as i32 as u32 & RATE.mask())
}

/// Values for CLOCK_STEP and CLOCK_STEP_HI that add `ns` together; the second only if it is needed.
fn steps(ns: i64) -> (u32, Option<u32>) {
    let low = ns as i32;
    let high = (ns.wrapping_sub(low.into()) >> 32) as u32;
    (low as u32, (high != 0).then_some(high))
}

/// The time in nanoseconds nearest to `near_ns` that ends in these 32 bits: makes a whole time of the `timestamp` of a frame that came or
/// left within 2.1 s of it.
pub fn widen_timestamp(timestamp: u32, near_ns: u64) -> u64 {
    let ahead = timestamp.wrapping_sub(near_ns as u32) as i32;
    near_ns.wrapping_add_signed(ahead.into())
}

/// Takes a snapshot of counters and clock; gives the clock.
pub(super) fn snapshot(port: &mut Port) -> Result<u64, NicError> {
    port.write(regs::snapshot::OFFSET, regs::snapshot::TAKE.of(1))?;
    let busy = regs::status::SNAPSHOT_BUSY;
    port.wait_clear(regs::status::OFFSET, busy, "a snapshot of its counters")?;
    let low = port.read(regs::time_lo::OFFSET)?;
    let high = port.read(regs::time_hi::OFFSET)?;
    Ok(u64::from(high) << 32 | u64::from(low))
}

impl Nic {
    fn check_clock(&self) -> Result<(), NicError> {
        if self.caps.timestamps {
            Ok(())
        } else {
            Err(NicError::Unsupported("timestamps"))
        }
    }

    /// The clock in nanoseconds, at a moment between call and return. After [`Nic::open`](Self::open) it runs as the device's time does.
    ///
    /// # Errors
    /// [`NicError::Unsupported`] without [`Caps::timestamps`](super::Caps::timestamps); [`NicError::Gone`], [`NicError::Stuck`],
    /// [`NicError::Device`].
    pub fn clock_ns(&mut self) -> Result<u64, NicError> {
        self.check_clock()?;
        snapshot(&mut self.port)
    }

    /// Adds nanoseconds to the clock. By up to 2.1 s either way it does so at once; by more, its halves one shortly after the other.
    ///
    /// # Errors
    /// [`NicError::Unsupported`] without [`Caps::timestamps`](super::Caps::timestamps); [`NicError::Device`].
    pub fn step_clock(&mut self, ns: i64) -> Result<(), NicError> {
        self.check_clock()?;
        self.stepped_ns = self.stepped_ns.wrapping_add(ns);
        self.write_step(ns)
    }

    fn write_step(&mut self, ns: i64) -> Result<(), NicError> {
        let (low, high) = steps(ns);
        if let Some(high) = high {
            self.port.write(regs::clock_step_hi::OFFSET, high)?;
        }
        self.port.write(regs::clock_step::OFFSET, low)
    }

    /// Steps and trims a clock that a reset has made the device's time again as it was before. What the rate had added is lost.
    pub(super) fn restore_clock(&mut self) -> Result<(), NicError> {
        if self.stepped_ns != 0 {
            self.write_step(self.stepped_ns)?;
        }
        match self.clock_rate {
            0 => Ok(()),
            rate => self.port.write(regs::clock_rate::OFFSET, rate),
        }
    }

    /// Lets the clock run faster than the device's time by so many parts in 10^9, or slower if negative: to the nearest 0.23, up to
    /// 1,953,124. It replaces the rate before.
    ///
    /// # Errors
    /// [`NicError::Clock`] for a rate that cannot be; [`NicError::Unsupported`] without [`Caps::timestamps`](super::Caps::timestamps);
    /// [`NicError::Device`].
    pub fn trim_clock(&mut self, ppb: f64) -> Result<(), NicError> {
        self.check_clock()?;
        self.clock_rate = rate(ppb)?;
        self.port.write(regs::clock_rate::OFFSET, self.clock_rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_rate_is_counted_in_two_to_the_minus_32() {
        // 1/4096 is 2^20 units; a part in 10^9 is 4.29 of them.
        for (ppb, units) in [
            (0.0, 0),
            (1e9 / 4096.0, 1 << 20),
            (-1e9 / 4096.0, 0xF0_0000),
            (1.0, 4),
            (-1.0, 0xFF_FFFC),
            (0.1, 0),
            (0.2, 1),
            (500_000.0, 2_147_484),
            (1_953_124.0, 0x7F_FFFC),
            (-1_953_125.0, 0x80_0000),
        ] {
            assert_eq!(rate(ppb), Ok(units), "{ppb}");
        }
        for ppb in [1_953_126.0, -1_953_126.0, f64::NAN, f64::INFINITY, f64::MIN] {
            let error = rate(ppb).unwrap_err().to_string();
            assert!(error.contains("-1953125"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn a_step_is_the_sum_of_what_is_written(ns: i64) {
            let (low, high) = steps(ns);
            let sum = i64::from(low as i32).wrapping_add(i64::from(high.unwrap_or(0)) << 32);
            prop_assert_eq!(sum, ns);
            prop_assert_eq!(high.is_none(), i32::try_from(ns).is_ok());
        }

        #[test]
        fn a_timestamp_is_widened_within_two_seconds(near: u64, apart in -0x8000_0000_i64..0x8000_0000) {
            let at = near.wrapping_add_signed(apart);
            prop_assert_eq!(widen_timestamp(at as u32, near), at);
        }
    }
}
