//! A connection to the victim of which the other end is made by hand, segment by segment.
#![allow(dead_code, unreachable_pub)] // each test crate uses its own part of this

use crate::common::*;
use crate::craft::tcp::*;
use crate::scene::{Scene, MALLORY, PREY};
use etherparse::TcpHeader;
use ferrule_stack::SocketId;
use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::time::Duration;

/// What a hand-made SYN offers.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    pub mss: u16,
    pub window: u16,
    pub shift: Option<u8>,
    pub sack: bool,
    pub timestamps: bool,
}

impl Default for Offer {
    fn default() -> Offer {
        Offer {
            mss: 1000,
            window: 60_000,
            shift: None,
            sack: false,
            timestamps: false,
        }
    }
}

impl Offer {
    pub fn options(&self, now_ms: u32) -> Vec<u8> {
        let mut options = [&[2, 4][..], &self.mss.to_be_bytes()].concat();
        if self.sack {
            options.extend([1, 1, 4, 2]);
        }
        if self.timestamps {
            options.extend(timestamps(now_ms, 0));
        }
        if let Some(shift) = self.shift {
            options.extend([1, 3, 3, shift]);
        }
        options
    }
}

/// A segment of the victim's.
#[derive(Clone, Debug)]
pub struct Seen {
    pub tcp: TcpHeader,
    pub data: Vec<u8>,
}

/// The hand-made end.
pub struct Peer {
    pub me: SocketAddrV4,
    pub to: SocketAddrV4,
    /// The victim's end.
    pub id: SocketId,
    /// SND.NXT and RCV.NXT.
    pub seq: u32,
    pub ack: u32,
    /// As the field says it.
    pub window: u16,
    /// The victim's initial sequence number.
    pub irs: u32,
    stamped: bool,
    echo: u32,
    /// The stream as received so far, and what is ahead of a gap by its position.
    pub got: Vec<u8>,
    pub ahead: BTreeMap<usize, Vec<u8>>,
}

/// The clock of hand-made timestamps.
fn clock(scene: &Scene) -> u32 {
    (scene.net.now.as_nanos() / 1_000_000) as u32
}

impl Peer {
    /// Opens a connection to the victim's other port, which accepts it.
    pub fn open(scene: &mut Scene, port: u16, offer: Offer) -> Peer {
        Peer::try_open(scene, port, offer).expect("accepted")
    }

    /// The same, where the victim may not take it.
    pub fn try_open(scene: &mut Scene, port: u16, offer: Offer) -> Option<Peer> {
        let (me, to) = (at(MALLORY, port), at(B, PREY));
        let iss = 0xffff_f000u32.wrapping_add(u32::from(port));
        let options = offer.options(clock(scene));
        let syn = tcp(
            me,
            to,
            |h| {
                (h.syn, h.sequence_number, h.window_size) = (true, iss, offer.window);
                h.set_options_raw(&options).expect("fits");
            },
            &[],
        );
        let answers = scene.inject(&syn);
        let (answer, _) = answers
            .iter()
            .filter_map(|p| parse_tcp(p))
            .find(|(h, _)| h.destination_port == port && h.syn && h.ack)?;
        let irs = answer.sequence_number;
        let mut peer = Peer {
            me,
            to,
            id: scene.prey,
            seq: iss.wrapping_add(1),
            ack: irs.wrapping_add(1),
            window: offer.window,
            irs,
            stamped: offer.timestamps,
            echo: 0,
            got: Vec::new(),
            ahead: BTreeMap::new(),
        };
        peer.note_echo(&answer);
        peer.send(scene, |_| {}, &[], &[]);
        let prey = scene.prey;
        let (id, from) = scene.victim().tcp_accept(prey).ok()?;
        assert_eq!(from, me);
        peer.id = id;
        Some(peer)
    }

    fn note_echo(&mut self, h: &TcpHeader) {
        for option in h.options_iterator().flatten() {
            if let etherparse::TcpOptionElement::Timestamp(value, _) = option {
                self.echo = value;
            }
        }
    }

    /// A segment with the numbers due, changed by `edit`, with `options` beside the timestamps.
    pub fn segment(
        &self,
        scene: &Scene,
        edit: impl FnOnce(&mut TcpHeader),
        options: &[u8],
        data: &[u8],
    ) -> Vec<u8> {
        let mut all = Vec::new();
        if self.stamped {
            all.extend(timestamps(clock(scene), self.echo));
        }
        all.extend_from_slice(options);
        tcp(
            self.me,
            self.to,
            |h| {
                (h.sequence_number, h.acknowledgment_number) = (self.seq, self.ack);
                (h.ack, h.window_size) = (true, self.window);
                h.set_options_raw(&all).expect("fits");
                edit(h);
            },
            data,
        )
    }

    /// Sends such a segment and takes what comes back at once.
    pub fn send(
        &mut self,
        scene: &mut Scene,
        edit: impl FnOnce(&mut TcpHeader),
        options: &[u8],
        data: &[u8],
    ) -> Vec<Seen> {
        let packet = self.segment(scene, edit, options, data);
        let answers = scene.inject(&packet);
        self.take(&answers)
    }

    /// Sends text that counts.
    pub fn say(&mut self, scene: &mut Scene, data: &[u8]) -> Vec<Seen> {
        let seen = self.send(scene, |_| {}, &[], data);
        self.seq = self.seq.wrapping_add(data.len() as u32);
        seen
    }

    /// Acknowledges all that has arrived.
    pub fn answer(&mut self, scene: &mut Scene) -> Vec<Seen> {
        self.send(scene, |_| {}, &[], &[])
    }

    /// Lets time pass and takes what arrives.
    pub fn wait(&mut self, scene: &mut Scene, time: Duration) -> Vec<Seen> {
        let packets = scene.wait(time);
        self.take(&packets)
    }

    /// Those segments among packets that are for this end.
    pub fn take(&mut self, packets: &[Vec<u8>]) -> Vec<Seen> {
        let mine = packets
            .iter()
            .filter_map(|p| parse_tcp(p))
            .filter(|(h, _)| {
                (h.source_port, h.destination_port) == (self.to.port(), self.me.port())
            });
        let seen: Vec<Seen> = mine.map(|(tcp, data)| Seen { tcp, data }).collect();
        seen.iter().for_each(|s| self.note_echo(&s.tcp));
        seen
    }

    /// Position in the victim's stream of a sequence number.
    pub fn position(&self, seq: u32) -> usize {
        seq.wrapping_sub(self.irs.wrapping_add(1)) as usize
    }

    /// The sequence number of a position in the victim's stream.
    pub fn number(&self, position: usize) -> u32 {
        self.irs.wrapping_add(1).wrapping_add(position as u32)
    }

    /// Keeps the text of a segment; RCV.NXT follows what is whole.
    pub fn keep(&mut self, seen: &Seen) {
        let from = self.position(seen.tcp.sequence_number);
        if !seen.data.is_empty() {
            self.ahead.insert(from, seen.data.clone());
        }
        self.join();
    }

    pub fn keep_all(&mut self, seen: &[Seen]) {
        seen.iter().for_each(|s| self.keep(s));
    }

    /// Moves what is in order to the stream.
    fn join(&mut self) {
        while let Some((from, data)) = self.ahead.pop_first() {
            if from > self.got.len() {
                self.ahead.insert(from, data);
                break;
            }
            let known = (self.got.len() - from).min(data.len());
            self.got.extend_from_slice(&data[known..]);
        }
        self.ack = self.number(self.got.len());
    }

    /// Receives until `len` octets of the stream are there, acknowledging every segment as an honest peer does.
    pub fn receive(&mut self, scene: &mut Scene, len: usize) {
        let mut arrived = Vec::new();
        for _ in 0..20_000 {
            for seen in std::mem::take(&mut arrived) {
                self.keep(&seen);
                arrived.extend(self.answer(scene));
            }
            if self.got.len() >= len {
                return;
            }
            if arrived.is_empty() {
                arrived = self.wait(scene, Duration::from_millis(100));
            }
        }
        panic!("{} of {len} octets", self.got.len());
    }
}

/// Where text in some segments ends at the farthest.
pub fn reach(peer: &Peer, seen: &[Seen]) -> usize {
    let end = |s: &Seen| peer.position(s.tcp.sequence_number) + s.data.len();
    seen.iter()
        .filter(|s| !s.data.is_empty())
        .map(end)
        .max()
        .unwrap_or(0)
}

/// The program at the victim's end sends the next bytes of the pattern, as many as fit.
pub fn program_sends(scene: &mut Scene, peer: &Peer, sent: &mut usize, most: usize) {
    let (now, bytes) = (scene.net.now, pattern(*sent, most));
    *sent += scene.victim().tcp_send(now, peer.id, &bytes).unwrap_or(0);
}

/// Whatever the victim sends is the program's bytes in their places.
pub fn check_text(peer: &Peer, seen: &[Seen]) {
    for s in seen.iter().filter(|s| !s.data.is_empty()) {
        let place = peer.position(s.tcp.sequence_number);
        assert!(s.data == pattern(place, s.data.len()), "text at {place}");
    }
}
