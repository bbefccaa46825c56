//! Payload bytes as owned handles: what the device's buffers and our own memory have in common.

use core::fmt;
use core::ops::Range;
use std::sync::Arc;

/// An owned handle to immutable payload bytes, such as a received DMA buffer.
///
/// Never a reference: memory that a device can write to is only ever copied out of.
pub trait Payload {
    /// Number of bytes.
    fn len(&self) -> usize;

    /// True if there are no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A second handle to `range` of these bytes; no bytes are copied. Ranges beyond the end are cut to it.
    fn slice(&self, range: Range<usize>) -> Self;

    /// Copies the first `to.len()` bytes into `to`; the stack never asks for more than there are.
    fn copy_to(&self, to: &mut [u8]);
}

/// Bytes in ordinary memory, shared by reference count.
#[derive(Clone)]
pub struct Bytes {
    data: Arc<Vec<u8>>,
    start: usize,
    end: usize,
}

impl Bytes {
    /// The bytes themselves.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        &self.data[self.start..self.end]
    }
}

impl Bytes {
    /// All bytes of `data`, shared.
    pub(crate) fn shared(data: Arc<Vec<u8>>) -> Bytes {
        let end = data.len();
        Bytes {
            data,
            start: 0,
            end,
        }
    }

    /// The memory the bytes lie in, to be used again if this was the last handle to it.
    pub(crate) fn into_memory(self) -> Arc<Vec<u8>> {
        self.data
    }
}

impl Default for Bytes {
    fn default() -> Bytes {
        Bytes::from(Vec::new())
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(data: Vec<u8>) -> Bytes {
        Bytes::shared(Arc::new(data))
    }
}

impl From<&[u8]> for Bytes {
    fn from(data: &[u8]) -> Bytes {
        Bytes::from(data.to_vec())
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({})", self.end - self.start)
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Bytes) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Bytes {}

impl Payload for Bytes {
    #[inline]
    fn len(&self) -> usize {
        self.end - self.start
    }

    #[inline]
    fn slice(&self, range: Range<usize>) -> Bytes {
        let end = range.end.min(self.len());
        let start = range.start.min(end);
        Bytes {
            data: Arc::clone(&self.data),
            start: self.start + start,
            end: self.start + end,
        }
    }

    #[inline]
    fn copy_to(&self, to: &mut [u8]) {
        let n = to.len().min(self.len());
        to[..n].copy_from_slice(&self.as_slice()[..n]);
    }
}
