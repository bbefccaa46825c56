//! A few bytes in place: a message of a byte or a number takes no memory of its own, and no cache line.

/// At most [`Few::MOST`] bytes.
#[derive(Copy, Clone, Default)]
pub(crate) struct Few {
    bytes: [u8; Few::MOST],
    len: u8,
}

impl Few {
    pub(crate) const MOST: usize = 15;

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Holds `bytes`, which are no more than fit, instead of what it held.
    #[inline]
    pub(crate) fn set(&mut self, bytes: &[u8]) {
        self.bytes[..bytes.len()].copy_from_slice(bytes);
        self.len = bytes.len() as u8;
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// Copies out what lies from `offset` on.
    #[inline]
    pub(crate) fn copy_at(&self, offset: usize, to: &mut [u8]) {
        to.copy_from_slice(&self.bytes[offset..offset + to.len()]);
    }

    /// Forgets the first `n` bytes, which it holds.
    #[inline]
    pub(crate) fn drop_front(&mut self, n: usize) {
        if n < usize::from(self.len) {
            self.bytes.copy_within(n..usize::from(self.len), 0);
        }
        self.len -= n as u8;
    }
}
