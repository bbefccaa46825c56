//! What holds of every segment of a connection, whatever its script expects: windows are kept, acknowledgments never go back.

use crate::packet::flag;
use crate::seen::SeenTcp;

/// What both sides of one connection have said so far; numbers are as on the wire.
#[derive(Clone, Debug, Default)]
pub(crate) struct Always {
    /// The peer's window scale, if its SYN had one, and ours.
    scales: (Option<u8>, Option<u8>),
    /// The greatest right edge the peer has ever allowed.
    allowed: Option<u32>,
    /// The highest acknowledgment we have sent, and the right edge of our window.
    told: Option<(u32, u32)>,
}

/// `a` is before `b` (RFC 9293 section 3.4).
fn before(a: u32, b: u32) -> bool {
    a != b && b.wrapping_sub(a) < 1 << 31
}

impl Always {
    /// The peer sends this.
    pub(crate) fn arrives(&mut self, flags: u8, ack: u32, window: u16, scale: Option<u8>) {
        let syn = flags & flag::SYN != 0;
        if syn {
            self.scales.0 = scale.map(|s| s.min(14));
        }
        if flags & flag::ACK == 0 {
            return;
        }
        let shift = match self.scales {
            (Some(theirs), Some(_)) if !syn => theirs,
            _ => 0,
        };
        let edge = ack.wrapping_add(u32::from(window) << shift);
        if self.allowed.is_none_or(|a| before(a, edge)) {
            self.allowed = Some(edge);
        }
    }

    /// We send this.
    pub(crate) fn sends(&mut self, tcp: &SeenTcp) -> Result<(), String> {
        if tcp.flags & flag::SYN != 0 {
            let scale = tcp.options.iter().find(|o| o.kind == 3);
            *self = Always {
                scales: (self.scales.0, scale.and_then(|o| o.value.first().copied())),
                ..Always::default()
            };
        }
        if tcp.flags & flag::RST != 0 {
            return Ok(());
        }
        let len = tcp.data.len() as u32;
        let end = tcp.seq.wrapping_add(len);
        // RFC 9293 section 3.8.6: nothing beyond the window; section 3.8.6.1: save one octet that probes it.
        if len > 1 && self.allowed.is_some_and(|edge| before(edge, end)) {
            return Err("text was sent beyond the peer's window".into());
        }
        if tcp.flags & flag::ACK == 0 {
            return Ok(());
        }
        let edge = tcp.ack.wrapping_add(u32::from(tcp.window));
        if let Some((ack, right)) = self.told {
            if before(tcp.ack, ack) {
                return Err("an acknowledgment was taken back".into());
            }
            // SHLD-14: "A TCP receiver SHOULD NOT shrink the window". Scaled windows are rounded.
            let scaled = self.scales.0.is_some() && self.scales.1.is_some();
            if !scaled && before(edge, right) {
                return Err("the window was shrunk".into());
            }
        }
        self.told = Some((tcp.ack, edge));
        Ok(())
    }
}

#[test]
fn a_window_is_kept_and_never_taken_back() {
    let segment = |seq, ack, len, window| SeenTcp {
        src_port: 1,
        dst_port: 2,
        seq,
        ack,
        flags: flag::ACK,
        window,
        urgent: 0,
        options: Vec::new(),
        data: vec![0; len],
    };
    let mut always = Always::default();
    always.arrives(flag::ACK, 100, 50, None);
    assert_eq!(always.sends(&segment(100, 7, 50, 1000)), Ok(()));
    assert!(always.sends(&segment(101, 7, 50, 1000)).is_err());
    assert_eq!(always.sends(&segment(150, 7, 1, 1000)), Ok(()), "a probe");
    assert_eq!(always.sends(&segment(150, 17, 0, 990)), Ok(()));
    assert!(always.sends(&segment(150, 27, 0, 970)).is_err(), "shrunk");
    assert!(
        always.sends(&segment(150, 16, 0, 1000)).is_err(),
        "taken back"
    );
}
