//! A transmit queue: SQEs to packets, packets to the buffer, their fates to the TXCQ.
use std::collections::VecDeque;

use ferrule_abi::counter;
use ferrule_abi::regs::{self, queue_error};
use ferrule_abi::ring::{cqe_status, sqe_flags, Sqe, ENTRY_SIZE, MAX_FRAME};

use super::clock::Clock;
use super::completion::{advance, distance, CompletionRing};
use super::io::Io;
use super::neigh::{Answer, Neigh};
use super::packet::{Needs, Packet};
use super::push::{PushWindow, Pushed};
use super::queue::{is_ring_size, Control};
use super::registers::{Page, Registers};
use super::segments::Segments;
use super::wire::Wire;

/// SQEs of a line of 128 bytes, the most that one read brings.
const LINE: u16 = 8;
/// Reads of the SQ that may be under way.
const SQ_READS: usize = 2;
/// Frames that have ended and whose fate is not told yet.
const PENDING: usize = 16;
/// Largest read of payload.
const LARGEST_READ: u64 = 256;
/// What cannot be done with frames that are pushed.
const NOT_PUSHED: u16 = sqe_flags::TSO | sqe_flags::INLINE;

/// A frame of which SQEs are taken.
struct Walk {
    packet: Packet,
    bytes: u32,
    index: u16,
    bad: bool,
    failed: bool,
    report: bool,
    /// It is cut into segments.
    segments: Option<Segments>,
    /// Its last SQE is taken.
    ends: bool,
}

impl Walk {
    /// Something of the SQE that was taken last waits to be read, or to be found fault with.
    fn has_segment(&self) -> bool {
        !self.bad && self.segments.as_ref().is_some_and(Segments::has_bytes)
    }

    fn ended(&self, more: bool) -> Ended {
        Ended {
            index: self.index,
            bad: self.bad,
            failed: self.failed,
            report: self.report,
            more,
        }
    }
}

/// A frame that has ended, or a segment of it.
#[derive(Clone, Copy)]
struct Ended {
    index: u16,
    bad: bool,
    failed: bool,
    report: bool,
    /// Other segments follow.
    more: bool,
}

impl Ended {
    /// Nothing of it goes on: there will be no verdict.
    fn is_aborted(&self) -> bool {
        self.bad || self.failed
    }
}

/// What becomes of a frame that was not aborted.
#[derive(Clone, Copy)]
enum Fate {
    /// With the clock when it left, if that was asked for.
    Sent(Option<u32>),
    Bad,
    /// The next hop's address.
    Miss(u32),
}

/// The one frame of the queue that is between it and the buffer.
#[derive(Default)]
enum Finishing {
    #[default]
    Nothing,
    /// It waits for room.
    Enter(Packet, Ended),
    /// It waits for the neighbours' answer.
    Lookup(Packet, u32, u8),
    /// It is to leave.
    Leave,
    /// Its fate is not taken yet.
    Told(Fate),
}

/// The transmit queue that may have PUSH.
pub(super) const PUSHING: usize = 0;

/// The queue.
#[derive(Default)]
pub(super) struct TxQueue {
    control: Control,
    ring: CompletionRing,
    /// The SQ.
    base: u64,
    size: u16,
    wanted: u16,
    fetched: u16,
    taken: u16,
    retired: u16,
    sqes: VecDeque<Sqe>,
    /// CFG.PUSH.
    pushes: bool,
    window: PushWindow,
    walk: Option<Walk>,
    finishing: Finishing,
    pending: VecDeque<Ended>,
    /// What is shared by the segments that are still to come.
    shared: Option<Fate>,
    /// A packet that is cut into segments has missed its neighbour, and its last segment is not taken.
    open: bool,
    /// A completion that the ring had no room for.
    posting: Option<[u32; 4]>,
}

/// The parts that a frame meets on its way.
pub(super) struct Path<'a> {
    pub(super) registers: &'a Registers,
    pub(super) neigh: &'a mut Neigh,
    pub(super) wire: &'a mut Wire,
    pub(super) clock: &'a Clock,
    /// CTRL.TX_EN.
    pub(super) enabled: bool,
}

impl Path<'_> {
    /// Gives a frame to the wire. One whose time is wanted is waited for, if frames may start.
    fn send(&mut self, packet: Packet, now_ns: u64) -> Finishing {
        let waits = packet.wants_time() && self.enabled;
        packet.send(self.wire, now_ns, waits);
        if waits {
            Finishing::Leave
        } else {
            Finishing::Told(Fate::Sent(None))
        }
    }
}

impl TxQueue {
    /// Looks at the registers of `page`; whether the queue starts. `alone` says that no other transmit queue runs, and `pushes` that one does
    /// with PUSH.
    pub(super) fn look(
        &mut self,
        page: Page,
        registers: &Registers,
        alone: bool,
        pushes: bool,
    ) -> bool {
        use regs::{tx_cfg, tx_ctrl};
        // The addresses are not copied at the start, as sizes are.
        let address = |offset| registers.address(page, offset);
        self.ring.set_base(address(regs::tx_cq_base_lo::OFFSET));
        self.base = address(regs::tx_sq_base_lo::OFFSET);
        let enable = tx_ctrl::ENABLE.get(registers.page(page, tx_ctrl::OFFSET)) != 0;
        if !self.control.enable(enable) {
            return false;
        }
        let cfg = registers.page(page, tx_cfg::OFFSET);
        let (sq_log2, cq_log2) = (tx_cfg::SQ_LOG2.get(cfg), tx_cfg::CQ_LOG2.get(cfg));
        let may_run = match tx_cfg::PUSH.get(cfg) != 0 {
            true => alone && page == Page::Tx(PUSHING),
            false => !pushes,
        };
        if self
            .control
            .start(may_run && is_ring_size(sq_log2) && is_ring_size(cq_log2))
        {
            self.ring.start(cq_log2, tx_cfg::VECTOR.get(cfg));
            self.size = 1 << sq_log2;
            (self.wanted, self.fetched, self.taken, self.retired) = (0, 0, 0, 0);
            self.sqes.clear();
            self.pushes = tx_cfg::PUSH.get(cfg) != 0;
            self.window = PushWindow::default();
        }
        true
    }

    /// Whether it runs, or is still finishing; and if so, whether with PUSH.
    pub(super) fn runs(&self) -> Option<bool> {
        (!self.control.is_stopped()).then_some(self.pushes)
    }

    /// Does what needs no turn: completions go to the TXCQ, SQEs are fetched. Whether anything was done.
    pub(super) fn tend(&mut self, io: &mut Io<'_>) -> bool {
        let mut moved = false;
        while self.post(io) || self.retire(io) || self.fetch(io) {
            moved = true;
        }
        moved
    }

    /// Whether the way to the buffer is this queue's until it has gone on: a frame is on it, or has only begun.
    pub(super) fn holds_the_way(&self) -> bool {
        let is_under_way = !matches!(self.finishing, Finishing::Nothing | Finishing::Told(_));
        is_under_way || self.walk.is_some()
    }

    /// Ends what was begun; whether the queue stops.
    pub(super) fn close(&mut self, io: &mut Io<'_>) -> bool {
        self.ring.flush(io);
        let stops = self.control.is_draining() && self.is_empty();
        if stops {
            self.open = false;
            self.control.stop();
        }
        stops
    }

    fn is_empty(&self) -> bool {
        self.walk.is_none()
            && matches!(self.finishing, Finishing::Nothing)
            && self.pending.is_empty()
            && self.posting.is_none()
            && self.window.is_empty()
    }

    /// Whether the push window is open.
    pub(super) fn takes_pushes(&self) -> bool {
        self.pushes && self.control.is_active()
    }

    /// Takes what the host writes to the push window, from DW `place` on; whether it belonged to a frame.
    pub(super) fn push(&mut self, place: usize, values: &[u32]) -> bool {
        self.window.write(place, values, NOT_PUSHED)
    }

    /// Whether the completions of all frames that have ended are written; but for one whose next hop is looked up if `news_fit` is false,
    /// since its lookup may wait until the news before it are told.
    pub(super) fn is_told(&self, news_fit: bool) -> bool {
        let waits = !news_fit && matches!(self.finishing, Finishing::Lookup(..));
        self.pending.len() == usize::from(waits)
            && !self.open
            && self.posting.is_none()
            && self.ring.is_flushed()
    }

    /// The host's doorbell.
    pub(super) fn doorbell(&mut self, producer: u16, consumer: u16, arm: bool, io: &mut Io<'_>) {
        if !self.control.is_active() {
            return;
        }
        let asked = distance(self.retired, producer);
        let known = distance(self.retired, self.wanted);
        let is_bad = !self.pushes && (asked > self.size || asked < known);
        if is_bad || self.ring.is_bad(consumer) {
            self.control.fail(queue_error::BAD_INDEX);
            return;
        }
        if !self.pushes {
            self.wanted = producer;
        }
        self.ring.update(consumer, arm, io);
    }

    /// Reads of the SQ, line by line; whether there were any.
    fn fetch(&mut self, io: &mut Io<'_>) -> bool {
        let mut any = false;
        for _ in 0..SQ_READS {
            let left = distance(self.fetched, self.wanted);
            let stock = distance(self.taken, self.fetched);
            if left == 0 || stock > LINE || !(self.control.is_active() || any) {
                break;
            }
            any = true;
            let count = left.min(LINE - self.fetched % LINE);
            let place = u64::from(self.fetched & (self.size - 1)) * ENTRY_SIZE as u64;
            let mut data = [0; LINE as usize * ENTRY_SIZE];
            let bytes = usize::from(count) * ENTRY_SIZE;
            let good = io.read(self.base.wrapping_add(place), &mut data[..bytes], 128);
            self.fetched = advance(self.fetched, count);
            if !good && self.control.is_active() {
                // A second read is on its way before the first one's failure is known.
                self.control.fail(queue_error::DMA);
            }
            let word = |b: &[u8], i: usize| {
                u32::from_le_bytes([b[4 * i], b[4 * i + 1], b[4 * i + 2], b[4 * i + 3]])
            };
            let entries = data[..bytes].chunks_exact(ENTRY_SIZE);
            self.sqes
                .extend(entries.map(|b| Sqe::from_words([0, 1, 2, 3].map(|i| word(b, i)))));
        }
        any
    }

    /// Takes the next SQE; whether there was one to take.
    pub(super) fn walk(&mut self, io: &mut Io<'_>) -> bool {
        if !matches!(self.finishing, Finishing::Nothing) || self.pending.len() >= PENDING {
            return false;
        }
        if !self.control.is_active() && self.window.forget() {
            return true;
        }
        if let Some(pushed) = self.window.pop() {
            self.take_pushed(pushed);
            return true;
        }
        if !self.control.is_active() {
            // A frame of which SQEs are missing is forgotten.
            return self.walk.take().is_some();
        }
        if let Some(walk) = self.walk.take_if(|w| w.ends || w.has_segment()) {
            self.cut(walk, io);
            return true;
        }
        let Some(&sqe) = self.sqes.front() else {
            return false;
        };
        let is_first = sqe.flags & sqe_flags::SOP != 0;
        if let Some(mut walk) = self.walk.take_if(|_| is_first) {
            walk.bad = true;
            self.end(walk);
            return true;
        }
        self.sqes.pop_front();
        let index = self.taken;
        self.taken = advance(self.taken, 1);
        let begins = self.walk.is_none();
        let mut walk = self.walk.take().unwrap_or_else(|| Walk {
            packet: Packet::new(&sqe),
            bytes: 0,
            index,
            bad: !is_first || sqe.flags & sqe_flags::INLINE != 0,
            failed: false,
            report: sqe.flags & sqe_flags::TS_REQ != 0,
            segments: None,
            ends: false,
        });
        let is_last = sqe.flags & sqe_flags::EOP != 0;
        walk.index = index;
        walk.report |= is_last && sqe.flags & sqe_flags::CPL_REQ != 0;
        walk.bytes += u32::from(sqe.len);
        walk.bad |= sqe.len == 0 || walk.bytes > MAX_FRAME;
        if begins && sqe.flags & sqe_flags::TSO != 0 {
            walk.segments = Segments::new(&sqe);
            walk.bad |= walk.segments.is_none();
        } else if let Some(segments) = &mut walk.segments {
            walk.bad |= !walk.bad && !segments.payload(&sqe);
        } else if !walk.bad {
            let border = io.bus.max_read().min(LARGEST_READ);
            let room = walk.packet.extend(sqe.len.into());
            walk.failed |= !io.read(sqe.iova, room, border);
        }
        walk.ends = is_last;
        if walk.has_segment() {
            self.cut(walk, io);
        } else if is_last {
            self.end(walk);
        } else {
            self.walk = Some(walk);
        }
        true
    }

    /// Reads of a packet's segments the next, as far as the SQE goes.
    fn cut(&mut self, mut walk: Walk, io: &mut Io<'_>) {
        let border = io.bus.max_read().min(LARGEST_READ);
        let (ends, has_segment) = (walk.ends, walk.has_segment());
        let Some(segments) = walk.segments.as_mut().filter(|_| has_segment) else {
            self.end(walk);
            return;
        };
        let (failed, packet) = segments.read(|iova, room| io.read(iova, room, border));
        walk.failed |= failed;
        walk.bad |= segments.is_wrong(ends);
        let is_done = ends && segments.is_done();
        match packet {
            Some(packet) => {
                // What is wrong with the rest comes to light behind the segment.
                let ended = Ended {
                    bad: false,
                    ..walk.ended(!is_done)
                };
                if ended.is_aborted() {
                    self.pending.push_back(ended);
                } else {
                    self.finishing = Finishing::Enter(packet, ended);
                }
                self.walk = (!is_done).then_some(walk);
            }
            None if ends => self.end(walk),
            None => self.walk = Some(walk),
        }
    }

    /// Takes a frame out of the push window.
    fn take_pushed(&mut self, pushed: Pushed) {
        let index = self.taken;
        self.taken = advance(self.taken, 1);
        let (sqe, bytes) = match pushed {
            Pushed::Whole(sqe, bytes) => (sqe, bytes),
            Pushed::Bad => (Sqe::default(), vec![]),
        };
        let mut packet = Packet::new(&sqe);
        packet.extend(bytes.len()).copy_from_slice(&bytes);
        self.end(Walk {
            packet,
            bytes: sqe.len.into(),
            index,
            bad: bytes.is_empty(),
            failed: false,
            report: sqe.flags & (sqe_flags::CPL_REQ | sqe_flags::TS_REQ) != 0,
            segments: None,
            ends: true,
        });
    }

    fn end(&mut self, walk: Walk) {
        let ended = walk.ended(false);
        if ended.is_aborted() {
            self.pending.push_back(ended);
        } else {
            self.finishing = Finishing::Enter(walk.packet, ended);
        }
    }

    /// Moves the frame that is being finished on; whether it moved.
    pub(super) fn finish(&mut self, path: &mut Path<'_>, io: &mut Io<'_>) -> bool {
        match std::mem::take(&mut self.finishing) {
            Finishing::Enter(mut packet, ended) if packet.needed_places() < path.wire.room() => {
                self.pending.push_back(ended);
                self.shared = self.shared.filter(|_| packet.follows());
                if let Some(fate) = self.shared {
                    self.finishing = Finishing::Told(fate);
                    return true;
                }
                self.finishing = match packet.finish() {
                    Err(_) => Finishing::Told(Fate::Bad),
                    Ok(Needs::Nothing) => path.send(packet, io.now_ns),
                    Ok(Needs::NextHop {
                        destination,
                        next_hop,
                    }) => Finishing::Lookup(packet, destination, next_hop),
                };
                true
            }
            Finishing::Lookup(mut packet, destination, next_hop) => {
                let answer =
                    path.neigh
                        .lookup(destination, next_hop, path.registers, path.wire, io);
                let moved = answer.is_some();
                self.finishing = match answer {
                    None => Finishing::Lookup(packet, destination, next_hop),
                    Some(Answer::Hit(mac)) => {
                        packet.address(mac, path.registers.mac());
                        path.send(packet, io.now_ns)
                    }
                    Some(Answer::Miss(address)) => {
                        io.count(counter::ARP_MISSES);
                        Finishing::Told(Fate::Miss(address))
                    }
                };
                moved
            }
            Finishing::Leave => {
                let left = path.wire.take_left();
                self.finishing = left.map_or(Finishing::Leave, |at_ns| {
                    Finishing::Told(Fate::Sent(Some(path.clock.at(at_ns) as u32)))
                });
                left.is_some()
            }
            same => {
                self.finishing = same;
                false
            }
        }
    }

    /// Takes the fate of the oldest frame that has ended; whether there was one.
    fn retire(&mut self, io: &mut Io<'_>) -> bool {
        let Some(&ended) = self.pending.front().filter(|_| self.posting.is_none()) else {
            return false;
        };
        let (mut status, mut hash, mut timestamp) = (0, 0, 0);
        if ended.is_aborted() {
            if ended.bad {
                status |= cqe_status::BAD_DESC;
            }
            if ended.failed {
                status |= cqe_status::DMA_ERR;
            }
        } else {
            match self.finishing {
                Finishing::Told(Fate::Sent(None)) => {}
                Finishing::Told(Fate::Sent(Some(at))) => {
                    (status, timestamp) = (cqe_status::TS_VALID, at);
                }
                Finishing::Told(Fate::Bad) => status = cqe_status::BAD_DESC,
                Finishing::Told(Fate::Miss(address)) => {
                    (status, hash) = (cqe_status::ARP_MISS, address);
                }
                _ => return false,
            }
            if let Finishing::Told(fate @ (Fate::Bad | Fate::Miss(_))) = self.finishing {
                self.shared = Some(fate);
            }
            self.finishing = Finishing::Nothing;
        }
        self.open = ended.more && !ended.is_aborted() && matches!(self.shared, Some(Fate::Miss(_)));
        if ended.more {
            // The last tells.
            self.pending.pop_front();
            return true;
        }
        if status & cqe_status::BAD_DESC != 0 {
            io.count(counter::TX_BAD_DESC);
        }
        if status & cqe_status::DMA_ERR != 0 {
            io.count(counter::TX_DMA_ERR);
        }
        self.pending.pop_front();
        self.retired = advance(ended.index, 1);
        if status != 0 || ended.report {
            let index = u32::from(ended.index & (self.size - 1));
            self.posting = Some([u32::from(status) << 16, hash, timestamp, index << 16]);
        }
        true
    }

    /// Puts a completion into the ring; whether one went.
    fn post(&mut self, io: &mut Io<'_>) -> bool {
        let Some(words) = self.posting else {
            return false;
        };
        let active = self.control.is_active();
        let more = active && !self.pending.is_empty();
        if !self.ring.push(words, more, io) && active {
            return false;
        }
        self.posting = None;
        true
    }

    /// STATUS.
    pub(super) fn status(&self) -> u32 {
        self.control.status()
    }

    /// Whether the queue failed since the last call.
    pub(super) fn take_failed(&mut self) -> bool {
        self.control.take_failed()
    }
}
