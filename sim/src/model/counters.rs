//! The counters of `ferrule_abi::counter`.

/// As many as the COUNTER registers have room for.
pub(super) const COUNT: usize = 32;

/// Their values.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters([u64; COUNT]);

impl Counters {
    pub(super) fn add(&mut self, index: u32, amount: u64) {
        let value = &mut self.0[index as usize];
        *value = value.wrapping_add(amount);
    }

    pub(super) fn values(&self) -> &[u64; COUNT] {
        &self.0
    }
}
