//! What the model's DMA goes through: host memory, and what the host has set in the function's configuration space.

/// What became of a read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadOutcome {
    /// Memory read requests that went out.
    pub requests: u64,
    /// Completions that came back for them, refusals included.
    pub completions: u64,
    /// Requests that failed, or could not go out; with any, what was read is worthless.
    pub errors: u64,
}

/// The host as a device without pins sees it. Everything takes effect at once, in the order of the calls.
pub trait Bus {
    /// Fills `out` from `address`, with requests for whole DWs that end at multiples of `border` (a power of two).
    fn read(&mut self, address: u64, out: &mut [u8], border: u64) -> ReadOutcome;
    /// Writes `data` to `address`, a multiple of 4, with requests that end at multiples of `border` (a power of two); gives how many
    /// went out: none while the function may not master the bus. An interrupt message is such a write too.
    fn write(&mut self, address: u64, data: &[u8], border: u64) -> u64;
    /// Command register: bus master enable.
    fn bus_master(&self) -> bool;
    /// Largest payload of a write, in bytes.
    fn max_payload(&self) -> u64;
    /// Largest read request, in bytes.
    fn max_read(&self) -> u64;
    /// MSI-X is enabled, and the function is not masked.
    fn messages(&self) -> bool;
}
