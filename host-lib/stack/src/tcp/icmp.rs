//! What ICMP and address resolution say about a connection (RFC 5927, RFC 1191).

use super::{Cx, Tcb, TcpState};
use crate::error::Error;
use crate::payload::Payload;
use crate::seq::Seq;

/// A path MTU below this is not believed, so that a forged message cannot ask for a packet per byte.
const MIN_PATH_MTU: u16 = 552;

impl<B: Payload> Tcb<B> {
    /// An ICMP error quoted a segment of this connection with sequence number `seq`.
    pub(crate) fn on_icmp_error(&mut self, cx: &mut Cx<'_>, seq: Seq, error: Error) {
        // RFC 5927 section 4.1: the quoted segment must be in flight, SND.UNA =< SEG.SEQ < SND.NXT.
        if seq.lt(self.snd_una) || !seq.lt(self.snd_max) {
            return;
        }
        match self.state {
            // RFC 5461 section 4: an attempt to connect may be given up at once.
            TcpState::SynSent | TcpState::SynReceived => self.fail(cx, error),
            // RFC 5927 section 5.2: hard errors are treated as soft in synchronized states.
            _ => self.soft_error = Some(error),
        }
    }

    /// A router cannot pass on packets larger than `mtu` (RFC 1191); `seq` is the quoted segment's. False if that is not in
    /// flight: then the message is not to be believed (RFC 5927 section 7.2).
    pub(crate) fn on_path_mtu(&mut self, seq: Seq, mtu: u16) -> bool {
        if seq.lt(self.snd_una) || !seq.lt(self.snd_max) || !self.state.is_synchronized() {
            return false;
        }
        let options = if self.timestamps.is_some() { 12 } else { 0 };
        let mss = u32::from(mtu.max(MIN_PATH_MTU)) - 40 - options;
        if mss < self.mss {
            self.mss = mss;
            self.congestion.set_mss(mss);
            // RFC 1191 section 6.4: what was too large goes out again at once, and the congestion window stays.
            self.resegment();
        }
        true
    }

    /// Address resolution failed for a packet of this connection.
    pub(crate) fn on_unreachable(&mut self, cx: &mut Cx<'_>) {
        match self.state {
            TcpState::SynSent | TcpState::SynReceived => self.fail(cx, Error::HostUnreachable),
            TcpState::Closed => {}
            _ => self.soft_error = Some(Error::HostUnreachable),
        }
    }
}
