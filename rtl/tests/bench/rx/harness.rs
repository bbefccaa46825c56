//! `RxPath` with a MAC before it and a receive queue behind it.
use super::frames::{mac_words, Rng, OWN};
use super::oracle::{untag, Arp, Tables};
use crate::lockstep::Trace;
use ferrule_abi::counter;
use ferrule_rtl::stream::{FrameSink, FrameSource};
use ferrule_rtl::{native::Native, rx::RxPath};

/// A frame that came out.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) bytes: Vec<u8>,
    pub(crate) len: u16,
    pub(crate) status: u16,
    pub(crate) offsets: u16,
    pub(crate) hash: u32,
    pub(crate) timestamp: u32,
}

/// One beat of a frame: words, keep, last.
pub(crate) type Beat = (u32, u32, u8, bool);

/// `frame` cut into beats.
pub(crate) fn beats(frame: &[u8]) -> Vec<Beat> {
    let count = frame.len().div_ceil(8);
    frame
        .chunks(8)
        .enumerate()
        .map(|(i, chunk)| {
            let mut b = [0; 8];
            b[..chunk.len()].copy_from_slice(chunk);
            let word = |at: usize| u32::from_le_bytes([b[at], b[at + 1], b[at + 2], b[at + 3]]);
            let keep = (0xFF_u16 >> (8 - chunk.len())) as u8;
            (word(0), word(4), keep, i + 1 == count)
        })
        .collect()
}

/// Drives `sink` with a beat, or with none.
pub(crate) fn drive(sink: &mut FrameSink, beat: Option<Beat>) {
    let (d0, d1, keep, last) = beat.unwrap_or_default();
    sink.d0.next = u64::from(d0).into();
    sink.d1.next = u64::from(d1).into();
    sink.keep.next = u64::from(keep).into();
    sink.last.next = last;
    sink.valid.next = beat.is_some();
}

/// The bytes of the beat that `source` shows.
pub(crate) fn shown(source: &FrameSource) -> Vec<u8> {
    let words = [&source.d0, &source.d1].map(|d| d.val().to_u32().to_le_bytes());
    let count = source.keep.val().to_u8().count_ones() as usize;
    words.concat()[..count].to_vec()
}

/// The device under test and all that it gave.
pub(crate) struct Bench {
    pub(crate) dut: Native<RxPath>,
    pub(crate) rng: Rng,
    pub(crate) rxctl: u32,
    pub(crate) enable: bool,
    /// Of a hundred cycles, those in which the consumer is ready.
    pub(crate) ready_percent: usize,
    /// Of a hundred cycles, those without a beat in the middle of a frame.
    pub(crate) gap_percent: usize,
    pub(crate) packets: Vec<Packet>,
    pub(crate) arps: Vec<Arp>,
    pub(crate) counts: [u64; 32],
    pub(crate) bytes: u64,
    pub(crate) now: u32,
    pub(crate) trace: Option<Trace>,
    /// Key of the hash.
    pub(crate) key: [u8; 40],
    /// When the next frame may begin.
    free: u32,
    /// What is in the filters' tables; see [`Bench::program`].
    pub(crate) tables: Tables,
    partial: Vec<u8>,
    held: Option<Vec<u64>>,
    /// Of a hundred cycles, those in which a beat of an answer is taken.
    pub(crate) reply_percent: usize,
    /// Answers to echo requests.
    pub(crate) replies: Vec<Vec<u8>>,
    reply_partial: Vec<u8>,
    reply_held: Option<[u64; 4]>,
    /// A place for an answer was free when the last frame began.
    pub(crate) had_place: bool,
}

impl Bench {
    pub(crate) fn new(seed: u64) -> Self {
        let mut bench = Self {
            dut: Native::default(),
            rng: Rng(seed),
            rxctl: super::oracle::rxctl::BROADCAST,
            enable: true,
            ready_percent: 100,
            gap_percent: 0,
            packets: vec![],
            arps: vec![],
            counts: [0; 32],
            bytes: 0,
            now: 0xFFFF_F000,
            trace: None,
            key: [0; 40],
            free: 0xFFFF_F000,
            tables: Tables::default(),
            partial: vec![],
            held: None,
            reply_percent: 100,
            replies: vec![],
            reply_partial: vec![],
            reply_held: None,
            had_place: false,
        };
        bench.reset();
        bench
    }

    /// One cycle of reset.
    pub(crate) fn reset(&mut self) {
        self.dut.u.reset.next = true;
        self.cycle(None, 0);
        self.dut.u.reset.next = false;
        self.partial.clear();
        self.held = None;
        self.reply_partial.clear();
        self.reply_held = None;
    }

    /// Tells of the local addresses and their masks; the rest of the eight is unused.
    pub(crate) fn set_locals(&mut self, locals: &[(u32, u32)]) {
        for n in 0..8 {
            let (address, mask) = locals.get(n).copied().unwrap_or_default();
            for (place, word) in [(2 * n, address), (2 * n + 1, mask)] {
                self.dut.u.local_write.next = true;
                self.dut.u.table_place.next = (place as u64).into();
                self.dut.u.table_data.next = u64::from(word).into();
                self.cycle(None, 0);
                self.dut.u.local_write.next = false;
            }
        }
    }

    /// Gives the hash its key.
    pub(crate) fn set_key(&mut self, key: [u8; 40]) {
        self.key = key;
        for (place, bytes) in (40..).zip(key.chunks_exact(4)) {
            self.tell(place, u32::from_le_bytes(bytes.try_into().expect("four")));
        }
    }

    /// One clock cycle with `beat` at the input.
    pub(crate) fn cycle(&mut self, beat: Option<Beat>, bad: u8) {
        let ready = self.rng.percent(self.ready_percent);
        let reply_ready = self.rng.percent(self.reply_percent);
        let (mac_lo, mac_hi) = mac_words(OWN);
        let (d0, d1, keep, last) = beat.unwrap_or_default();
        let u = &mut self.dut.u;
        u.clock.next = false.into();
        u.enable.next = self.enable;
        u.mac_lo.next = u64::from(mac_lo).into();
        u.mac_hi.next = u64::from(mac_hi).into();
        u.rxctl.next = u64::from(self.rxctl).into();
        u.now_lo.next = u64::from(self.now).into();
        u.rx.d0.next = u64::from(d0).into();
        u.rx.d1.next = u64::from(d1).into();
        u.rx.keep.next = u64::from(keep).into();
        u.rx.last.next = last;
        u.rx.bad.next = u64::from(if last { bad } else { 0 }).into();
        u.rx.valid.next = beat.is_some();
        u.packet.ready.next = ready;
        u.reply.ready.next = reply_ready;
        let reset = u.reset.next;
        self.dut.settle();
        let u = &self.dut.u;
        if let Some(trace) = &mut self.trace {
            trace.record(&**u);
        }
        let events = u.events.val().to_u32();
        for (i, count) in self.counts.iter_mut().enumerate() {
            *count += u64::from(events >> i & 1);
        }
        if events >> counter::RX_FRAMES & 1 == 1 {
            self.bytes += u64::from(u.rx_bytes.val().to_u16());
        }
        if u.arp.valid.val() {
            let lo = u.arp.sha_lo.val().to_u32().to_le_bytes();
            let hi = u.arp.sha_hi.val().to_u16().to_le_bytes();
            self.arps.push((
                u.arp.op.val().to_u16(),
                [&lo[..], &hi].concat(),
                u.arp.spa.val().to_u32(),
                u.arp.tpa.val().to_u32(),
            ));
        }
        self.output(ready && !reset);
        self.reply(reply_ready && !reset);
        self.dut.u.clock.next = true.into();
        self.dut.settle();
        self.now = self.now.wrapping_add(8);
    }

    fn output(&mut self, ready: bool) {
        let p = &self.dut.u.packet;
        if !p.valid.val() {
            assert!(self.held.is_none(), "valid fell before the beat was taken");
            assert!(self.partial.is_empty(), "a gap in the middle of a frame");
            return;
        }
        let (keep, last) = (p.keep.val().to_u8(), p.last.val());
        let beat = vec![
            p.d0.val().to_u64(),
            p.d1.val().to_u64(),
            u64::from(keep),
            u64::from(last),
            p.len.val().to_u64(),
            p.status.val().to_u64(),
            p.offsets.val().to_u64(),
            p.hash.val().to_u64(),
            p.timestamp.val().to_u64(),
        ];
        if let Some(held) = &self.held {
            assert_eq!(held, &beat, "a beat changed before it was taken");
        }
        self.held = (!ready).then_some(beat);
        if !ready {
            return;
        }
        assert!(last || keep == 0xFF, "keep {keep:#x} in mid-frame");
        assert!(
            keep & (keep.wrapping_add(1)) == 0 && keep != 0,
            "keep {keep:#x}"
        );
        let d0 = p.d0.val().to_u32().to_le_bytes();
        let d1 = p.d1.val().to_u32().to_le_bytes();
        let bytes = [d0, d1].concat();
        self.partial.extend(&bytes[..keep.count_ones() as usize]);
        if last {
            let packet = Packet {
                bytes: std::mem::take(&mut self.partial),
                len: p.len.val().to_u16(),
                status: p.status.val().to_u16(),
                offsets: p.offsets.val().to_u16(),
                hash: p.hash.val().to_u32(),
                timestamp: p.timestamp.val().to_u32(),
            };
            assert_eq!(usize::from(packet.len), packet.bytes.len());
            self.packets.push(packet);
        }
    }

    fn reply(&mut self, ready: bool) {
        let f = &self.dut.u.reply;
        if !f.valid.val() {
            assert!(self.reply_held.is_none(), "an answer's beat was taken back");
            assert!(
                self.reply_partial.is_empty(),
                "a gap in the middle of an answer"
            );
            return;
        }
        let beat = [
            f.d0.val().to_u64(),
            f.d1.val().to_u64(),
            f.keep.val().to_u64(),
            u64::from(f.last.val()),
        ];
        if let Some(held) = &self.reply_held {
            assert_eq!(held, &beat, "an answer's beat changed before it was taken");
        }
        self.reply_held = (!ready).then_some(beat);
        if !ready {
            return;
        }
        let [d0, d1, keep, last] = beat;
        assert!(last == 1 || keep == 0xFF, "keep {keep:#x} in mid-answer");
        assert!(keep & (keep + 1) == 0 && keep != 0, "keep {keep:#x}");
        let bytes = (d0 | d1 << 32).to_le_bytes();
        self.reply_partial
            .extend(&bytes[..keep.count_ones() as usize]);
        if last == 1 {
            self.replies.push(std::mem::take(&mut self.reply_partial));
        }
    }

    /// `n` cycles without input.
    pub(crate) fn idle(&mut self, n: usize) {
        for _ in 0..n {
            self.cycle(None, 0);
        }
    }

    /// Writes the filters' tables as the register file tells of them.
    pub(crate) fn program(&mut self, tables: Tables) {
        let mut words = vec![(32, tables.hash as u32), (33, (tables.hash >> 32) as u32)];
        for (n, group) in tables.groups.iter().enumerate() {
            let (lo, hi) = mac_words(*group);
            words.extend([(2 * n as u64, lo), (2 * n as u64 + 1, hi)]);
        }
        for number in 0..128 {
            let members = tables.vlans.iter().filter(|id| **id / 32 == number);
            let bits = members.fold(0, |bits, id| bits | 1 << (id % 32));
            words.extend([(34, number.into()), (35, bits)]);
        }
        self.tables = tables;
        // The VLAN table empties itself after the reset.
        self.idle(130);
        for (place, word) in words {
            self.tell(place, word);
        }
    }

    /// Writes a word of the tables.
    fn tell(&mut self, place: u64, word: u32) {
        self.dut.u.table_place.next = place.into();
        self.dut.u.table_data.next = u64::from(word).into();
        self.dut.u.table_write.next = true;
        self.cycle(None, 0);
        self.dut.u.table_write.next = false;
    }

    /// Sends a frame; gives the time of its first beat.
    pub(crate) fn send(&mut self, frame: &[u8], bad: u8) -> u32 {
        let mut began = self.now;
        let tagged = usize::from(untag(frame).is_some());
        for (n, beat) in beats(frame).into_iter().enumerate() {
            while self.rng.percent(self.gap_percent) {
                self.cycle(None, 0);
            }
            let at = self.now;
            if n == 0 {
                began = at;
                let echoes = self.counts[counter::ICMP_ECHOES as usize] as usize;
                self.had_place = echoes - self.replies.len() < 2;
            }
            // A tag is taken out before the frame is hashed.
            let cycles = match n.saturating_sub(tagged) {
                0 => 43,
                2 => 40,
                3 => 38,
                4 => 30,
                5 => 22,
                6 => 14,
                _ => 8 + tagged as u32,
            };
            let free = at.wrapping_add(8 * cycles);
            if (free.wrapping_sub(self.free) as i32) > 0 {
                self.free = free;
            }
            self.cycle(Some(beat), bad);
            if n == 0 && frame[0] & 1 == 1 {
                // The multicast filter takes less time than the shortest frame on its wire.
                self.idle(14);
            }
        }
        began
    }

    /// As many cycles without input as there must be before the next frame, and `more`.
    pub(crate) fn gap(&mut self, more: usize) {
        while (self.free.wrapping_sub(self.now) as i32) > 0 {
            self.cycle(None, 0);
        }
        self.idle(more);
    }

    /// Runs until nothing is under way.
    pub(crate) fn drain(&mut self) {
        for _ in 0..200_000 {
            self.cycle(None, 0);
            if !self.dut.u.busy.val() {
                return;
            }
        }
        panic!("still busy");
    }
}
