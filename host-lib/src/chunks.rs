//! Received bytes by handle: where they lie, until somebody copies them.
use std::fmt;

use ferrule_stack::Rope;

use crate::core::Body;

/// Bytes that were received and that nobody has copied yet: most lie in the device's buffers, which stay in use for as long as this lives.
///
/// They are only ever copied out, as a device may write to its buffers at any time.
#[derive(Default)]
pub struct Chunks(pub(crate) Rope<Body>);

impl Chunks {
    /// How many bytes there are; none mean that the peer has closed.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Copies the bytes from `offset` on, as many as there are and fit; how many those are.
    pub fn copy_at(&self, offset: usize, to: &mut [u8]) -> usize {
        self.0.copy_at(offset, to)
    }

    /// Puts what was received after it behind it.
    pub fn append(&mut self, later: Self) {
        self.0.append(later.0);
    }

    /// A copy of all bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        self.0.to_vec()
    }
}

impl fmt::Debug for Chunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunks").field("len", &self.len()).finish()
    }
}
