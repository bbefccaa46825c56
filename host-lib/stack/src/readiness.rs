//! What a socket is ready for, as poll(2) would say it, and the queue of changes.

use core::fmt;
use core::ops::{BitOr, BitOrAssign};

/// A set of conditions of a socket.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Default)]
pub struct Readiness(u8);

impl Readiness {
    /// Nothing.
    pub const NONE: Readiness = Readiness(0);
    /// Data, end of stream, an error or a connection to accept (POLLIN).
    pub const READABLE: Readiness = Readiness(1);
    /// Room to send, a connection opened, or an error (POLLOUT).
    pub const WRITABLE: Readiness = Readiness(2);
    /// The peer will send no more (POLLRDHUP).
    pub const READ_CLOSED: Readiness = Readiness(4);
    /// Both directions are closed (POLLHUP).
    pub const HANGUP: Readiness = Readiness(8);
    /// An error is pending (POLLERR).
    pub const ERROR: Readiness = Readiness(16);

    /// True if all of `other` are in the set.
    #[inline]
    pub const fn contains(self, other: Readiness) -> bool {
        self.0 & other.0 == other.0
    }

    /// True if any of `other` are in the set.
    #[inline]
    pub const fn intersects(self, other: Readiness) -> bool {
        self.0 & other.0 != 0
    }

    /// True if the set is empty.
    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The bits, in the order of the constants from bit 0.
    pub const fn bits(self) -> u8 {
        self.0
    }

    #[inline]
    pub(crate) fn set(&mut self, other: Readiness, when: bool) {
        if when {
            self.0 |= other.0;
        }
    }
}

impl BitOr for Readiness {
    type Output = Readiness;
    #[inline]
    fn bitor(self, rhs: Readiness) -> Readiness {
        Readiness(self.0 | rhs.0)
    }
}

impl BitOrAssign for Readiness {
    #[inline]
    fn bitor_assign(&mut self, rhs: Readiness) {
        self.0 |= rhs.0;
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [
            (Readiness::READABLE, "IN"),
            (Readiness::WRITABLE, "OUT"),
            (Readiness::READ_CLOSED, "RDHUP"),
            (Readiness::HANGUP, "HUP"),
            (Readiness::ERROR, "ERR"),
        ];
        let set: Vec<&str> = names
            .iter()
            .filter(|(bit, _)| self.contains(*bit))
            .map(|(_, n)| *n)
            .collect();
        write!(f, "{}", set.join("|"))
    }
}
