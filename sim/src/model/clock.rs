//! The adjustable clock: the time with an offset that the host steps and a rate that it trims.
use ferrule_abi::regs::clock_rate::RATE;

/// Bits of the offset's fraction of a nanosecond.
const FRACTION_BITS: u32 = 32;

/// The clock. After a reset it is the time.
#[derive(Default)]
pub(super) struct Clock {
    /// Gained in each nanosecond, in units of 2^-32 ns.
    rate: i32,
    /// The offset at `since_ns`, with its fraction.
    offset: i128,
    since_ns: u64,
}

impl Clock {
    /// What the clock shows at a time.
    pub(super) fn at(&self, time_ns: u64) -> u64 {
        time_ns.wrapping_add((self.offset_at(time_ns) >> FRACTION_BITS) as u64)
    }

    fn offset_at(&self, time_ns: u64) -> i128 {
        // A time a little before `since_ns` may be asked for.
        let passed = time_ns.wrapping_sub(self.since_ns) as i64;
        self.offset + i128::from(passed) * i128::from(self.rate)
    }

    /// CLOCK_RATE is written.
    pub(super) fn set_rate(&mut self, time_ns: u64, register: u32) {
        self.offset = self.offset_at(time_ns);
        self.since_ns = time_ns;
        let unused = u32::BITS - u32::from(RATE.width);
        self.rate = (register << unused) as i32 >> unused;
    }

    /// CLOCK_STEP is written.
    pub(super) fn step(&mut self, register: u32) {
        self.add(i128::from(register as i32));
    }

    /// CLOCK_STEP_HI is written.
    pub(super) fn step_hi(&mut self, register: u32) {
        self.add(i128::from(register) << 32);
    }

    fn add(&mut self, ns: i128) {
        // The offset counts modulo 2^64 ns.
        let modulus = 1 << (64 + FRACTION_BITS);
        self.offset = (self.offset + (ns << FRACTION_BITS)).rem_euclid(modulus);
    }
}
