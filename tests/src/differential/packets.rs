//! The steps in which the host sends: packets of all kinds, in SQEs that are right or wrong.
use ferrule_abi::regs;
use ferrule_abi::ring::{sqe_flags, Sqe};
use rand::seq::IndexedRandom;
use rand::Rng;

use super::case::{Case, Queue, TX_BUFFER};
use super::traffic::{self, FAR, PEERS};
use crate::bench::rings::push_image;

/// Frames that wait for CTRL.TX_EN: fewer bytes than the transmit buffer holds, since what is prefetched while a frame waits for room is
/// nobody's promise.
const MOST_HELD: usize = 12_000;

impl Case<'_> {
    /// An SQE and its data, which lie in the buffer of its place in the ring.
    fn post(&mut self, data: &[u8], flags: u16, wild: bool) {
        let (vlan_tci, mss) = (self.random.random(), self.random.random());
        let sqe = Sqe {
            flags,
            vlan_tci,
            mss,
            ..Sqe::default()
        };
        self.post_sqe(data, sqe, wild);
    }

    /// The same with what the SQE says beside where the data are.
    pub(super) fn post_sqe(&mut self, data: &[u8], sqe: Sqe, wild: bool) {
        let offset = self.random.random_range(0..16);
        let buffer = self.buffers + self.sq.slot() * TX_BUFFER + offset;
        self.store(buffer, data);
        let iova = if wild { self.memory_end + 4096 } else { buffer };
        let sqe = Sqe {
            iova: iova.wrapping_add(self.shift),
            len: data.len() as u16,
            ..sqe
        };
        let words = sqe.to_words();
        let at = self.sq.iova + self.sq.slot() * 16;
        let bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
        self.store(at, &bytes);
        self.sq.producer += 1;
        self.unseen += u64::from(self.wild);
        self.open_sqes = if sqe.flags & sqe_flags::EOP != 0 {
            0
        } else {
            self.open_sqes + 1
        };
        self.log(format!("    {sqe:x?} {:02x?}", &data[..data.len().min(60)]));
    }

    /// SQEs that fit the ring.
    pub(super) fn sq_room(&mut self) -> u64 {
        self.sq.size() - self.open_sqes
    }

    fn packet(&mut self, raw: bool) -> (Vec<u8>, u16) {
        let r = &mut self.random;
        let mut flags = 0;
        let data = if raw {
            flags |= sqe_flags::RAW;
            let len = match r.random_range(0..12) {
                0 => r.random_range(1..20),
                1 => r.random_range(1_000..2_000),
                2 => r.random_range(52..66),
                _ => r.random_range(14..200),
            };
            let mut frame: Vec<u8> = (0..len).map(|_| r.random()).collect();
            if let Some(to) = frame.get_mut(..6) {
                to.copy_from_slice(&self.own.mac);
            }
            if let Some(ether_type) = frame.get_mut(12..14) {
                // ARP frames of the host could not be told from the NIC's own.
                ether_type.copy_from_slice(&[0x08, 0x00]);
            }
            if frame.len() >= 14 && r.random_bool(0.4) {
                frame.truncate(14);
                frame[12..].copy_from_slice(&[0x86, 0xDD]);
                frame.extend(traffic::ipv6(r, 300));
                if r.random_bool(0.25) {
                    // Type, version, length, what follows; UDP's length.
                    let at = r.random_range(12..62.min(frame.len()));
                    frame[at] ^= 1 << r.random_range(0..8);
                }
                if r.random_bool(0.1) {
                    frame.truncate(r.random_range(14..=frame.len()));
                }
                if frame[12..14] == [0x08, 0x06] {
                    frame[13] = 0;
                }
            }
            frame
        } else {
            let to = match r.random_range(0..10) {
                0 => FAR,
                1 => [255; 4],
                2 => [224, 1, 2, 3],
                3 => self.own.ip,
                4 => [192, 0, 255, 255],
                5 => r.random(),
                _ => PEERS.choose(r).map_or(FAR, |p| p.1),
            };
            let most = if r.random_bool(0.05) { 1_900 } else { 300 };
            let mut packet = traffic::ipv4(r, self.own.ip, to, most);
            if r.random_bool(0.1) {
                let within = packet.len().min(44);
                packet[r.random_range(0..within)] ^= 1 << r.random_range(0..8);
            }
            if r.random_bool(0.05) {
                packet.truncate(r.random_range(1..=packet.len()));
            }
            packet
        };
        for (flag, often) in [
            (sqe_flags::IPCS, 0.7),
            (sqe_flags::L4CS, 0.7),
            (sqe_flags::TS_REQ, 0.2),
            (sqe_flags::TSO, 0.01),
            (sqe_flags::VLAN_INS, 0.15),
            (sqe_flags::INLINE, 0.01),
        ] {
            if r.random_bool(often) {
                flags |= flag;
            }
        }
        if r.random_bool(0.15) {
            flags |= r.random_range(0..8) << sqe_flags::NEXT_HOP_SHIFT;
        }
        (data, flags)
    }

    /// A frame through the push window, now and then wrong.
    fn push_frame(&mut self, data: &[u8], mut flags: u16) {
        let r = &mut self.random;
        for (flag, often) in [
            (sqe_flags::SOP, 0.97),
            (sqe_flags::EOP, 0.97),
            (sqe_flags::CPL_REQ, 0.6),
        ] {
            if r.random_bool(often) {
                flags |= flag;
            }
        }
        let len = match r.random_range(0..40) {
            0 => r.random(),
            1 => 0,
            _ => data.len() as u16,
        };
        let sqe = Sqe {
            iova: r.random(),
            len,
            flags,
            vlan_tci: r.random(),
            mss: r.random(),
        };
        let mut image = push_image(sqe, data, r.random());
        let whole = image.len();
        // Now and then it stays a piece, or a piece of it is missing.
        if r.random_bool(0.03) {
            image.truncate(r.random_range(1..=image.len()));
        }
        let gap = if r.random_bool(0.03) {
            r.random_range(0..image.len())
        } else {
            usize::MAX
        };
        let mut writes = vec![];
        let mut at = 0;
        while at < image.len() {
            let n = match r.random_range(0..4) {
                0 => r.random_range(1..=image.len() - at),
                1 => (image.len() - at).min(2),
                _ => image.len() - at,
            };
            if !(at..at + n).contains(&gap) {
                writes.push((at, image[at..at + n].to_vec()));
            }
            at += n;
        }
        self.log(format!("    push {sqe:x?} {writes:x?}"));
        for (at, values) in writes {
            let offset = regs::push_window(0) + 4 * at as u32;
            self.each(|s| s.host().write_block(offset, &values));
        }
        self.unseen += u64::from(self.wild);
        // What is wrong with this one may show when the next begins.
        self.completions += 1;
        self.grouped |= len != data.len() as u16 || gap != usize::MAX || image.len() < whole;
    }

    /// A frame in one SQE or several, some of them wrong.
    pub(super) fn post_frame(&mut self, raw: bool) {
        let (data, flags) = self.packet(raw);
        if self.pushes {
            let bytes = regs::push_bytes(data.len() as u32);
            if self.pushed + bytes <= regs::PUSH_BUFFER_BYTES {
                self.held_bytes += data.len() + 32;
                self.completions += 1;
                self.pushed += bytes;
                self.push_frame(&data, flags);
            }
            return;
        }
        let pieces = match self.random.random_range(0..5) {
            0 => self.random.random_range(1..=3usize).min(data.len()),
            _ => 1,
        };
        if self.sq_room() < pieces as u64 + 1 {
            return;
        }
        self.held_bytes += data.len() + 32;
        self.completions += 1;
        let report = self.random.random_bool(0.6);
        let size = data.len().div_ceil(pieces);
        let count = data.chunks(size).count();
        for (i, piece) in data.chunks(size).enumerate() {
            let r = &mut self.random;
            let mut f = flags;
            if i == 0 && r.random_bool(0.97) || r.random_bool(0.01) {
                f |= sqe_flags::SOP;
            }
            if i + 1 == count && r.random_bool(0.97) {
                f |= sqe_flags::EOP;
            }
            if report {
                f |= sqe_flags::CPL_REQ;
            }
            let piece = if r.random_bool(0.02) { &[] } else { piece };
            let wild = r.random_bool(0.02);
            let begins = f & sqe_flags::SOP != 0;
            let ends = f & sqe_flags::EOP != 0;
            if begins != (i == 0) || ends != (i + 1 == count) || piece.is_empty() && count > 1 {
                // What is wrong here and what it makes wrong of the next SQE may complete at once.
                self.grouped = true;
                self.completions += 1;
            }
            self.post(piece, f, wild);
        }
        if self.open_sqes > 8 {
            self.post(&[0], sqe_flags::EOP, false);
        }
    }

    /// The host may give the transmit queue work: nothing of it is held up that the host does not know of.
    fn may_transmit(&mut self) -> bool {
        if self.is_held_up() {
            return false;
        }
        if self.held_bytes > MOST_HELD {
            self.ctrl |= regs::ctrl::TX_EN.of(1);
        }
        self.write(regs::ctrl::OFFSET, self.ctrl);
        if regs::ctrl::TX_EN.get(self.ctrl) != 0 {
            self.held_bytes = 0;
        }
        true
    }

    /// Packets go out.
    pub(super) fn transmit(&mut self) {
        if !self.may_transmit() {
            self.host_reads();
            return;
        }
        let mut count = *[1, 1, 1, 2, 3, 5].choose(&mut self.random).unwrap_or(&1);
        if self.sparse || regs::ctrl::LOOPBACK.get(self.ctrl) != 0 {
            // What comes back must come in one order.
            count = 1;
        }
        self.log(format!("transmit {count}"));
        for _ in 0..count {
            if self.may_segment() && self.random.random_bool(0.12) {
                self.post_segments(count == 1);
            } else {
                let raw = self.random.random_bool(0.4);
                self.post_frame(raw);
            }
        }
        let unread = self.unread(Queue::Tx);
        let consume = self.random.random_range(0..=unread);
        self.consume(Queue::Tx, consume);
        // Frames that are pushed go without a doorbell: it would come before or after their completions.
        let arm = self.random.random_bool(0.3) && !self.pushes;
        self.ring(Queue::Tx, arm);
        self.merged = count > 1;
        self.grouped |= count > 1;
    }

    /// Frames come in and raw frames go out, which have nothing to do with each other.
    pub(super) fn both_ways(&mut self) {
        if !self.may_transmit() {
            return;
        }
        self.log("both ways".into());
        for _ in 0..self.random.random_range(1..4) {
            let most = self.max_frame - 4;
            let line = traffic::frame(&mut self.random, self.own, most);
            self.log(format!("    receive {line:?}"));
            self.receive(&line);
            if regs::ctrl::LOOPBACK.get(self.ctrl) == 0 {
                self.post_frame(true);
            }
        }
        self.ring(Queue::Tx, false);
        self.grouped = true;
    }
}
