//! A host in two copies that must be alike after each step.

use core::fmt::Debug;
use std::collections::VecDeque;

use super::super::socket::Kind;
use super::super::Stack;
use super::ShortWay;
use crate::config::Config;
use crate::packet::{Token, TxPacket};
use crate::payload::Bytes;
use crate::slab::Key;
use crate::time::Instant;
use crate::wire::be16;
use crate::wire::ipv4::protocol;

/// A packet as both copies made it, and its owner.
pub(super) struct Sent {
    pub(super) bytes: [Vec<u8>; 2],
    pub(super) token: Token,
}

pub(super) struct Twin {
    /// The first is free to go the short way.
    pub(super) copies: [Stack<Bytes>; 2],
    /// What the first one sends is made of this again and again.
    packet: TxPacket<Bytes>,
    /// Says where in a run this is.
    pub(super) place: String,
    pub(super) now: Instant,
}

impl Twin {
    pub(super) fn new(config: Config) -> Twin {
        let mut copies = [Stack::new(config.clone()), Stack::new(config)];
        copies[1].short_way = ShortWay {
            shut: true,
            ..ShortWay::default()
        };
        Twin {
            copies,
            packet: TxPacket::default(),
            place: String::new(),
            now: Instant::ZERO,
        }
    }

    /// Time has come to `now`. Timers that run out together do so in any order: which connection's turn comes first then is
    /// nobody's business.
    pub(super) fn wake(&mut self, now: Instant) {
        self.now = now;
        let place = &self.place;
        let [free, long] = &mut self.copies;
        free.poll(now);
        long.poll(now);
        for (a, b) in [
            (&free.ready, &mut long.ready),
            (&free.events, &mut long.events),
        ] {
            let sorted = |queue: &VecDeque<Key>| {
                let mut keys = Vec::from(queue.clone());
                keys.sort();
                keys
            };
            assert_eq!(sorted(a), sorted(b), "{place}, {now:?}: timers");
            b.clone_from(a);
        }
    }

    /// Does the same to both.
    pub(super) fn call<R: PartialEq + Debug>(
        &mut self,
        name: &str,
        mut f: impl FnMut(&mut Stack<Bytes>, usize) -> R,
    ) -> R {
        let (now, place) = (self.now, &self.place);
        let [free, long] = &mut self.copies;
        let (a, b) = (f(free, 0), f(long, 1));
        assert!(a == b, "{place}, {now:?}: {name}: {a:?} is not {b:?}");
        a
    }

    /// Does the same to both; what comes of it need only be the same.
    pub(super) fn does<R: PartialEq + Debug>(
        &mut self,
        name: &str,
        f: impl FnMut(&mut Stack<Bytes>, usize) -> R,
    ) {
        self.call(name, f);
    }

    /// The next packet of both.
    pub(super) fn transmit(&mut self) -> Option<Sent> {
        let now = self.now;
        let [free, long] = &mut self.copies;
        let place = &self.place;
        let packet = &mut self.packet;
        let a = free.transmit_to(now, packet).then_some(&*packet);
        let b = long.poll_transmit(now);
        let (Some(a), Some(b)) = (a, &b) else {
            let seen = |p: Option<&TxPacket<Bytes>>| p.map(masked);
            assert!(
                a.is_none() && b.is_none(),
                "{place}, {now:?}: one sends and one does not: {:02x?}, {:02x?}",
                seen(a),
                seen(b.as_ref())
            );
            return None;
        };
        assert!(
            masked(a) == masked(b),
            "{place}, {now:?}: different packets:\n{:02x?}\n{:02x?}",
            masked(a),
            masked(b)
        );
        let beside = |p: &TxPacket<Bytes>| {
            (
                p.dst,
                p.next_hop,
                p.segment_bytes,
                p.insert_ipv4_checksum,
                p.insert_l4_checksum,
                p.token,
            )
        };
        assert_eq!(beside(a), beside(b), "{place}, {now:?}");
        let bytes = [a.to_vec(), b.to_vec()];
        let told = usize::from(be16(&bytes[0], 2));
        assert_eq!(told, bytes[0].len(), "{place}, {now:?}: total length");
        Some(Sent {
            bytes,
            token: a.token,
        })
    }

    /// The counters and queues are the same. `idle` says that nothing waits to be sent.
    pub(super) fn compare(&self, idle: bool) {
        let (now, place) = (self.now, &self.place);
        let [free, long] = &self.copies;
        if idle {
            assert_eq!(free.stats, long.stats, "{place}, {now:?}");
        }
        assert_eq!(free.ready, long.ready, "{place}, {now:?}: turns");
        assert_eq!(free.events, long.events, "{place}, {now:?}: events");
        assert_eq!(free.out.len(), long.out.len(), "{place}, {now:?}: replies");
        assert_eq!(free.sockets.len(), long.sockets.len(), "{place}, {now:?}");
    }

    /// All that is known of each connection is the same, and what was concluded from it before still holds.
    pub(super) fn compare_connections(&self) {
        let (now, place) = (self.now, &self.place);
        let [free, long] = &self.copies;
        for index in 0..64 {
            let key = free.sockets.key_at(index);
            assert_eq!(key, long.sockets.key_at(index), "{place}, {now:?}: keys");
            let Some(key) = key else {
                continue;
            };
            let (Some(a), Some(b)) = (free.sockets.get(key), long.sockets.get(key)) else {
                continue;
            };
            assert_eq!(
                (a.queued, a.pending),
                (b.queued, b.pending),
                "{place}, {now:?}: {key:?}"
            );
            let (Kind::Tcp(x), Kind::Tcp(y)) = (&a.kind, &b.kind) else {
                continue;
            };
            let (x_text, y_text) = (x.state_text(), y.state_text());
            if x_text != y_text {
                let lines = x_text.lines().zip(y_text.lines());
                let differ: Vec<_> = lines.filter(|(x, y)| x != y).collect();
                panic!("{place}, {now:?}: {key:?} differs: {differ:#?}");
            }
            assert!(
                x.has_board_of(y),
                "{place}, {now:?}: {key:?}: what is in flight differs"
            );
            for (tcb, entry) in [(x, a), (y, b)] {
                assert!(
                    !tcb.usual || tcb.is_usual(),
                    "{place}, {now:?}: {key:?} is no longer usual: {x_text}"
                );
                let (timer, due) = (entry.alarm.time(), tcb.deadline());
                assert!(
                    due.is_none_or(|due| timer.is_some_and(|timer| timer <= due)),
                    "{place}, {now:?}: {key:?}: the timer of {due:?} is at {timer:?}"
                );
            }
            assert!(
                y.usual || !x.usual,
                "{place}, {now:?}: {key:?}: the copies do not agree that it is usual"
            );
        }
    }
}

/// A packet without its identification and what depends on it: these are drawn at different moments. So is whether a packet
/// may be cut on its way, which what is known of the path decides; a bare ACK waits in the one way and is made in the other.
fn masked(packet: &TxPacket<Bytes>) -> Vec<u8> {
    let mut bytes = packet.to_vec();
    let headers = |bytes: &[u8]| 20 + usize::from(bytes[32] >> 4) * 4;
    if bytes[9] == protocol::TCP && bytes.len() == headers(&bytes) {
        bytes[6] &= !0x40;
    }
    bytes[4..6].fill(0);
    bytes[10..12].fill(0);
    bytes
}
