//! Whether a packet goes from one other host to us alone. Packets between two addresses come in runs, so the last two for which
//! it was so are remembered.

use std::net::Ipv4Addr;

use super::Stack;
use crate::payload::Payload;

impl<B: Payload> Stack<B> {
    /// True if a packet that has come from `src` for `dst` is of another host's, and for nobody but us.
    #[inline]
    pub(super) fn hears(&mut self, src: Ipv4Addr, dst: Ipv4Addr) -> bool {
        self.heard == Some((src, dst)) || self.look_heard(src, dst)
    }

    fn look_heard(&mut self, src: Ipv4Addr, dst: Ipv4Addr) -> bool {
        let nobodys = src.is_loopback()
            || src.is_multicast()
            || src.is_broadcast()
            || src.is_unspecified()
            || dst.is_multicast()
            || dst.is_broadcast();
        let heard = !nobodys && self.config.is_from_one_to_us(src, dst);
        if heard {
            self.heard = Some((src, dst));
        }
        heard
    }

    /// Our addresses have changed, and with them who is heard.
    pub(super) fn forget_heard(&mut self) {
        self.heard = None;
    }
}
