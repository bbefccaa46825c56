//! Segments forged by who cannot see the connection (RFC 5961): they end nothing, insert nothing and leave no trace.

use crate::common::Rng;
use crate::common::*;
use crate::craft::tcp::*;
use crate::scene::{Numbers, Scene, GOOD};
use ferrule_stack::TcpState;
use proptest::prelude::*;
use std::time::Duration;

#[derive(Clone, Copy, PartialEq, Debug)]
enum Kind {
    Rst,
    RstAck,
    Syn,
    SynAck,
    Text,
    Fin,
    TextWithoutAck,
}

#[derive(Clone, Copy, Debug)]
struct Forged {
    kind: Kind,
    /// SEG.SEQ beyond RCV.NXT.
    ahead: u32,
    /// SEG.ACK beyond SND.NXT.
    ack_ahead: u32,
    len: usize,
    /// TSval beyond the last one of the true peer, if there are timestamps.
    newer: u32,
}

impl Forged {
    fn packet(&self, n: &Numbers) -> Vec<u8> {
        let options = n.stamp.map(|s| timestamps(s.wrapping_add(self.newer), 0));
        let ack = !matches!(self.kind, Kind::Rst | Kind::Syn | Kind::TextWithoutAck);
        tcp(
            at(A, n.port),
            at(B, GOOD),
            |h| {
                h.sequence_number = n.next.wrapping_add(self.ahead);
                h.acknowledgment_number = n.sent.wrapping_add(self.ack_ahead);
                h.window_size = 500;
                h.ack = ack;
                h.rst = matches!(self.kind, Kind::Rst | Kind::RstAck);
                h.syn = matches!(self.kind, Kind::Syn | Kind::SynAck);
                h.fin = self.kind == Kind::Fin;
                h.set_options_raw(options.as_deref().unwrap_or(&[]))
                    .expect("fits");
            },
            &vec![b'!'; self.text()],
        )
    }

    fn text(&self) -> usize {
        match self.kind {
            Kind::Text | Kind::TextWithoutAck => self.len,
            _ => 0,
        }
    }

    /// How many segments answer it; `None` if it is one that the true peer could have sent.
    fn answers(&self, n: &Numbers) -> Option<u64> {
        // RFC 9293 section 3.4, table 6.
        let octets = self.text() as u32 + u32::from(self.kind == Kind::Fin);
        let inside = |ahead: u32| ahead < n.window;
        let acceptable =
            inside(self.ahead) || octets > 0 && inside(self.ahead.wrapping_add(octets - 1));
        match self.kind {
            // RFC 5961 section 3.2: "2) If the RST bit is set and the sequence number exactly matches the next expected
            // sequence number (RCV.NXT), then TCP MUST reset the connection. 3) If the RST bit is set and the sequence
            // number does not exactly match the next expected sequence value, yet is within the current receive window,
            // TCP MUST send an acknowledgment (challenge ACK)"; "1) ... outside the current receive window, silently drop".
            Kind::Rst | Kind::RstAck if self.ahead == 0 => None,
            Kind::Rst | Kind::RstAck => Some(u64::from(inside(self.ahead))),
            // Section 4.2: "If the SYN bit is set, irrespective of the sequence number, TCP MUST send an ACK (also referred to
            // as challenge ACK) to the remote peer".
            Kind::Syn | Kind::SynAck => Some(1),
            // RFC 9293 section 3.10.7.4: "If an incoming segment is not acceptable, an acknowledgment should be sent in
            // reply"; "if the ACK bit is off, drop the segment and return".
            Kind::TextWithoutAck => Some(u64::from(!acceptable)),
            // RFC 5961 section 5.2: "All incoming segments whose ACK value doesn't satisfy the above condition MUST be
            // discarded and an ACK sent back."
            Kind::Text | Kind::Fin if !acceptable || self.ack_ahead != 0 => Some(1),
            Kind::Text | Kind::Fin => None,
        }
    }
}

fn forged() -> impl Strategy<Value = Forged> {
    use Kind::{Fin, Rst, RstAck, Syn, SynAck, Text, TextWithoutAck};
    let kind = prop::sample::select(vec![Rst, RstAck, Syn, SynAck, Text, Fin, TextWithoutAck]);
    // The edges of the window are filled in by the test, which knows it: here counted from -2.
    let ahead = prop_oneof![0u32..5, (0u32..5).prop_map(|n| n | 1 << 31), any::<u32>()];
    // Beyond SND.NXT, or so far behind that no window reaches back (RFC 7323 section 2.3: at most 2^30); or right.
    let ack = prop_oneof![
        Just(0u32),
        Just(1),
        1u32..1 << 31,
        (1u32 << 31) + 1..(3 << 30) - 1
    ];
    (kind, ahead, ack, 1usize..1400, 0u32..1 << 31).prop_map(
        |(kind, ahead, ack_ahead, len, newer)| Forged {
            kind,
            ahead,
            ack_ahead,
            len,
            newer,
        },
    )
}

/// Offsets of 0 to 4 mean around RCV.NXT, those with the highest bit set around the end of the window.
fn placed(mut forged: Forged, n: &Numbers) -> Forged {
    match forged.ahead {
        near @ 0..5 => forged.ahead = near.wrapping_sub(2),
        end if (1 << 31..(1 << 31) + 5).contains(&end) => {
            forged.ahead = n.window.wrapping_add(end - (1 << 31)).wrapping_sub(2);
        }
        _ => {}
    }
    forged
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn one_forged_segment_is_answered_as_rfc_5961_says_and_changes_nothing(forged in forged(), stamps: bool) {
        let mut scene = Scene::with(1, |config| config.tcp.timestamps = stamps);
        let n = scene.numbers(0);
        let forged = placed(forged, &n);
        let Some(expected) = forged.answers(&n) else {
            return Ok(());
        };
        let [_, server] = scene.good(0);
        let before = scene.victim().stats().tcp_segments_out;
        scene.inject(&forged.packet(&n));
        prop_assert_eq!(scene.victim().stats().tcp_segments_out - before, expected, "{:?} {:?}", forged, n);
        prop_assert_eq!(scene.victim().tcp_state(server), Ok(TcpState::Established));
        prop_assert_eq!(scene.victim().tcp_unread(server), Ok(0));
        scene.verify();
    }
}

#[test]
fn a_storm_of_forged_segments_draws_ten_challenges_in_five_seconds_and_slows_nobody() {
    // RFC 5961 section 7, its example of a limit: ten in any five seconds.
    let mut scene = Scene::with(2, |config| config.tcp.timestamps = false);
    let n = scene.numbers(0);
    let mut rng = Rng::new(4);
    let before = scene.victim().stats();
    let start = scene.net.now;
    for i in 0..20_000 {
        let forged = Forged {
            kind: [Kind::Rst, Kind::Syn, Kind::SynAck, Kind::Text][rng.below(4) as usize],
            ahead: 20_000 + rng.below(u64::from(n.window) - 30_000) as u32,
            ack_ahead: (1 << 31) - 1 - rng.below(1 << 28) as u32,
            len: 10,
            newer: 0,
        };
        scene.inject(&forged.packet(&n));
        if i % 1000 == 0 {
            scene.work(Duration::from_millis(100));
        }
    }
    let windows = (scene.net.now - start).as_secs() / 5 + 1;
    let after = scene.victim().stats();
    let challenges = after.tcp_challenge_acks - before.tcp_challenge_acks;
    assert!((10..=10 * windows).contains(&challenges), "{challenges}");
    assert_eq!(after.tcp_resets_in, before.tcp_resets_in);
    assert_eq!(after.tcp_retransmits, before.tcp_retransmits);
    scene.verify();
}

#[test]
fn forged_segments_that_are_dropped_do_not_set_ts_recent() {
    // RFC 5961 section 5.2: such segments "MUST be discarded". A TSval far ahead that stayed would make PAWS (RFC 7323 section
    // 5.3) drop all that the true peer sends from then on.
    for kind in [
        Kind::Text,
        Kind::Fin,
        Kind::Syn,
        Kind::SynAck,
        Kind::TextWithoutAck,
    ] {
        let mut scene = Scene::new(1);
        let n = scene.numbers(0);
        let forged = Forged {
            kind,
            ahead: 0,
            ack_ahead: 1 << 20,
            len: 100,
            newer: 1 << 30,
        };
        scene.inject(&forged.packet(&n));
        let before = scene.victim().stats().tcp_paws_drops;
        scene.work(Duration::from_millis(50));
        assert_eq!(scene.victim().stats().tcp_paws_drops, before, "{kind:?}");
        scene.verify();
    }
}
