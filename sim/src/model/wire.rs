//! The sending side: the transmit buffer, data, ARP and echo frames taking turns, pauses, and the pace of the wire.
use std::collections::VecDeque;

use ferrule_abi::counter;

use super::arp::ArpFrame;
use super::counters::Counters;
use super::flow::pause_frame;
use super::judge::{TAG_AT, TYPE_VLAN};

/// Places of eight bytes in the buffer.
const PLACES: usize = 4096;
/// Shortest frame without FCS.
const LEAST: usize = 60;
/// Preamble with SFD.
const PREAMBLE_BYTES: usize = 8;
/// That and FCS.
const AROUND_BYTES: usize = PREAMBLE_BYTES + 4;
/// Answers to echo requests that are held.
const ECHOES: usize = 2;
/// Smallest gap between frames.
const GAP_BYTES: u64 = 12;
/// A byte time at 1000 Mbit/s.
pub(super) const BYTE_NS_1000: u64 = 8;

/// Settings that matter here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mode {
    /// Frames may start.
    pub(super) enabled: bool,
    /// What is sent is received.
    pub(super) loopback: bool,
    /// Received PAUSE frames are obeyed.
    pub(super) pauses: bool,
    /// Own address.
    pub(super) mac: [u8; 6],
}

/// A frame in the buffer.
struct Waiting {
    bytes: Vec<u8>,
    /// Tag control information of the tag that it gets on its way out.
    tag: Option<u16>,
    /// When it was complete.
    at_ns: u64,
    /// Somebody wants to know when it leaves.
    mark: bool,
}

/// Whose frame went last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Data,
    Arp,
    Echo,
}

/// A frame that has been begun.
struct OnTheWire {
    bytes: Vec<u8>,
    ends_ns: u64,
    loopback: bool,
}

/// The sending side.
pub(super) struct Wire {
    /// The buffer.
    waiting: VecDeque<Waiting>,
    /// Places they take.
    used: usize,
    /// The frame that the ARP engine wants to send.
    arp: Option<(ArpFrame, u64)>,
    /// Pause time of the PAUSE frame that is to be sent, and since when.
    pause: Option<(u16, u64)>,
    /// Until when the link partner wants a pause.
    held_ns: Option<u64>,
    /// Answers to echo requests, and when they were complete.
    echoes: VecDeque<(Vec<u8>, u64)>,
    last: Turn,
    begun: VecDeque<OnTheWire>,
    /// When the SFD of the marked frame left.
    left_ns: Option<u64>,
    /// When the next frame may begin.
    free_ns: u64,
    byte_ns: u64,
}

impl Wire {
    pub(super) fn new(byte_ns: u64) -> Self {
        Self {
            waiting: VecDeque::new(),
            used: 0,
            arp: None,
            pause: None,
            held_ns: None,
            echoes: VecDeque::new(),
            last: Turn::Data,
            begun: VecDeque::new(),
            left_ns: None,
            free_ns: 0,
            byte_ns,
        }
    }

    pub(super) fn byte_ns(&self) -> u64 {
        self.byte_ns
    }

    pub(super) fn set_byte_ns(&mut self, byte_ns: u64) {
        self.byte_ns = byte_ns;
    }

    /// Places in the buffer for the next frame.
    pub(super) fn room(&self) -> usize {
        // One place always stays free; of the first frame, the reader holds its description already.
        match self.used {
            0 => PLACES - 1,
            used => PLACES.saturating_sub(used),
        }
    }

    /// Takes a complete frame into the buffer, the tag that it is to get, and whether it is marked.
    pub(super) fn store(&mut self, bytes: Vec<u8>, tag: Option<u16>, at_ns: u64, mark: bool) {
        self.used += places(bytes.len());
        self.waiting.push_back(Waiting {
            bytes,
            tag,
            at_ns,
            mark,
        });
    }

    /// Whether the ARP engine may give a frame.
    pub(super) fn takes_arp(&self) -> bool {
        self.arp.is_none()
    }

    /// Takes an ARP frame.
    pub(super) fn send_arp(&mut self, frame: ArpFrame, now_ns: u64) {
        self.arp = Some((frame, now_ns));
    }

    /// Whether a PAUSE frame may be given.
    pub(super) fn takes_pause(&self) -> bool {
        self.pause.is_none()
    }

    /// Takes a PAUSE frame.
    pub(super) fn send_pause(&mut self, quanta: u16, now_ns: u64) {
        self.pause = Some((quanta, now_ns));
    }

    /// The link partner wants a pause until then, or none.
    pub(super) fn hold(&mut self, until_ns: Option<u64>) {
        self.held_ns = until_ns;
    }

    /// Whether the link partner wants a pause.
    pub(super) fn is_held(&self) -> bool {
        self.held_ns.is_some()
    }

    /// Whether there is a place for an answer to an echo request.
    pub(super) fn takes_echo(&self) -> bool {
        self.echoes.len() < ECHOES
    }

    /// Takes an answer.
    pub(super) fn send_echo(&mut self, frame: Vec<u8>, now_ns: u64) {
        self.echoes.push_back((frame, now_ns));
    }

    /// Begins the frames whose time has come; whether there were any.
    pub(super) fn step(&mut self, mode: Mode, now_ns: u64, counters: &mut Counters) -> bool {
        // Frames that begin now begin after it; those that waited begin at its end.
        let ended = self.held_ns.take_if(|at| !mode.pauses || *at <= now_ns);
        if let Some(end_ns) = ended.filter(|_| mode.pauses) {
            self.free_ns = self.free_ns.max(end_ns);
        }
        if !mode.enabled {
            // Their news would be old by the time they could be sent.
            let dropped = self.echoes.drain(..).count() > 0;
            return match self.arp.take() {
                Some((frame, _)) => {
                    count_arp(&frame, counters);
                    true
                }
                None => dropped,
            };
        }
        let mut any = false;
        while let Some(at_ns) = self.next_start_ns().filter(|at| *at <= now_ns) {
            let Some((bytes, mark)) = self.next(mode.mac, counters) else {
                break;
            };
            any = true;
            counters.add(counter::TX_FRAMES, 1);
            counters.add(counter::TX_BYTES, bytes.len() as u64);
            let line_bytes = (bytes.len().max(LEAST) + AROUND_BYTES) as u64;
            if mark {
                self.left_ns = Some(at_ns + PREAMBLE_BYTES as u64 * self.byte_ns);
            }
            let ends_ns = at_ns + line_bytes * self.byte_ns;
            self.free_ns = ends_ns + GAP_BYTES * self.byte_ns;
            self.begun.push_back(OnTheWire {
                bytes,
                ends_ns,
                loopback: mode.loopback,
            });
        }
        any
    }

    /// When the next frame begins.
    fn next_start_ns(&self) -> Option<u64> {
        let pause = self.pause.map(|(_, at)| at);
        let data = self.waiting.front().map(|w| w.at_ns);
        let arp = self.arp.as_ref().map(|(_, at)| *at);
        let echo = self.echoes.front().map(|(_, at)| *at);
        let client = [data, arp, echo].into_iter().flatten().min();
        let client = client.map(|at| at.max(self.held_ns.unwrap_or(0)));
        let ready = pause.into_iter().chain(client).min()?;
        Some(ready.max(self.free_ns))
    }

    /// The time at which the marked frame has left; once.
    pub(super) fn take_left(&mut self) -> Option<u64> {
        self.left_ns.take()
    }

    /// The next frame in turn, and whether it is marked: a PAUSE frame, else data, ARP, echo, and data again.
    fn next(&mut self, mac: [u8; 6], counters: &mut Counters) -> Option<(Vec<u8>, bool)> {
        if let Some((quanta, _)) = self.pause.take() {
            return Some((pause_frame(mac, quanta), false));
        }
        let order = match self.last {
            Turn::Data => [Turn::Arp, Turn::Echo, Turn::Data],
            Turn::Arp => [Turn::Echo, Turn::Data, Turn::Arp],
            Turn::Echo => [Turn::Data, Turn::Arp, Turn::Echo],
        };
        for turn in order {
            let frame = match turn {
                Turn::Data => self.next_data(),
                Turn::Arp => self.arp.take().map(|(frame, _)| {
                    count_arp(&frame, counters);
                    (frame.bytes(), false)
                }),
                Turn::Echo => self.echoes.pop_front().map(|(frame, _)| (frame, false)),
            };
            if frame.is_some() {
                self.last = turn;
                return frame;
            }
        }
        None
    }

    /// The first frame of the buffer, with its tag, and whether it is marked.
    fn next_data(&mut self) -> Option<(Vec<u8>, bool)> {
        let Waiting {
            mut bytes,
            tag,
            mark,
            ..
        } = self.waiting.pop_front()?;
        self.used -= places(bytes.len());
        if let Some(tci) = tag {
            let [hi, lo] = tci.to_be_bytes();
            let [a, b] = TYPE_VLAN;
            bytes.splice(TAG_AT..TAG_AT, [a, b, hi, lo]);
        }
        Some((bytes, mark))
    }

    /// The next frame that has come to its end, padded: of those that stay inside (`loopback`), or of the others.
    pub(super) fn take_ended(&mut self, now_ns: u64, loopback: bool) -> Option<Vec<u8>> {
        let ended = self.begun.front()?;
        if ended.ends_ns > now_ns || ended.loopback != loopback {
            return None;
        }
        let mut bytes = self.begun.pop_front()?.bytes;
        bytes.resize(bytes.len().max(LEAST), 0);
        Some(bytes)
    }

    /// When something happens here next.
    pub(super) fn deadline_ns(&self, enabled: bool) -> Option<u64> {
        let begins = self.next_start_ns().filter(|_| enabled);
        let ends = self.begun.front().map(|f| f.ends_ns);
        begins.into_iter().chain(ends).min()
    }
}

/// Places of a frame: its bytes, and its length.
fn places(bytes: usize) -> usize {
    1 + bytes.div_ceil(8)
}

fn count_arp(frame: &ArpFrame, counters: &mut Counters) {
    let index = match frame.reply_to {
        Some(_) => counter::ARP_REPLIES,
        None => counter::ARP_REQUESTS,
    };
    counters.add(index, 1);
}
