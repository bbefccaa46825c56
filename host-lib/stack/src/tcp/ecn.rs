//! Explicit congestion notification (RFC 3168 section 6.1): the marks of routers instead of losses.

use crate::wire::tcp::Flags;

/// The two bits of the IPv4 header's traffic class that say it (RFC 3168 section 5).
pub(crate) const ECT0: u8 = 2;
const CE: u8 = 3;

/// The ECN state of one connection.
#[derive(Copy, Clone, Default, Debug)]
pub(crate) struct EcnState {
    /// Both sides agreed to it.
    pub(crate) on: bool,
    /// A mark has arrived that the peer has not confirmed: every acknowledgment says so.
    echo: bool,
    /// The window was reduced for the peer's echo: the next new segment says so.
    pub(crate) reduced: bool,
}

impl EcnState {
    /// Takes in a segment that arrived with these traffic class bits.
    pub(crate) fn on_segment(&mut self, tos: u8, flags: Flags, has_data: bool) {
        if !self.on {
            return;
        }
        if flags.has(Flags::CWR) {
            self.echo = false;
        }
        if tos & 3 == CE && has_data {
            self.echo = true;
        }
    }

    /// What our segments add to their flags. Section 6.1.3: the receiver sets ECE "in ACK packets ... until it receives a CWR
    /// packet".
    pub(crate) fn flags(&self) -> Flags {
        if self.echo {
            Flags::ECE
        } else {
            Flags::default()
        }
    }
}
