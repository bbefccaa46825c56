//! The receive side: slots lent to the device through the RXQ, and its completions checked.
use super::slots::{RxBuf, SlotPool};
use super::{Index, RingFault};
use crate::nic::{Checksum, Head, InPlace, RxFrame, Transport, HEAD_LEN, SMALL_PACKET};
use crate::DmaBuf;
use ferrule_abi::ring::{cqe_status as st, Cqe};
use std::ops::Range;
use std::sync::Arc;

/// Shortest frame there can be: an Ethernet header.
const MIN_FRAME: u16 = 14;
/// Bits that only a transmit completion has.
const NOT_RECEIVE: u16 = st::ARP_MISS | st::DMA_ERR | st::BAD_DESC;

#[derive(Debug)]
pub(crate) struct ReceiveRing {
    memory: DmaBuf,
    rxq: usize,
    log2: u8,
    producer: Index,
    pool: Arc<SlotPool>,
    /// Which slots the device has. Ours alone: the device cannot change it.
    lent: Box<[bool]>,
    /// How many those are, and those of `accepted`.
    lent_count: u16,
    /// Completions that were checked, in their order, of which nobody has got the packets yet. Empty between batches.
    accepted: Vec<Cqe>,
    /// Slots to lend again.
    spare: Vec<u16>,
    /// The device uses slots in their order, and does not read which are lent: none may stay with a reader.
    in_order: bool,
}

impl ReceiveRing {
    /// The RXQ of 2^log2 entries at `rxq` of `memory`, with all slots of `pool` to be lent. There must be no more slots than entries.
    pub(crate) fn new(
        memory: DmaBuf,
        rxq: usize,
        log2: u8,
        pool: Arc<SlotPool>,
        slots: u16,
        in_order: bool,
    ) -> Self {
        Self {
            memory,
            rxq,
            log2,
            producer: Index::default(),
            pool,
            lent: vec![false; slots.into()].into(),
            lent_count: 0,
            accepted: Vec::with_capacity(slots.into()),
            spare: (0..slots).collect(),
            in_order,
        }
    }

    pub(crate) fn producer(&self) -> Index {
        self.producer
    }

    /// Takes back what the device had, after a reset: all slots but those that readers hold are to be lent again.
    pub(crate) fn take_back(&mut self) {
        for (slot, lent) in (0..).zip(&mut self.lent) {
            if std::mem::take(lent) {
                self.spare.push(slot);
            }
        }
        self.lent_count = 0;
        self.producer = Index::default();
        if self.in_order {
            // No reader holds any, so these are all.
            self.spare.sort_unstable();
        }
    }

    /// Lends the slots that are free to the device; tells how many. A doorbell must follow.
    pub(crate) fn refill(&mut self) -> u16 {
        self.pool.collect(&mut self.spare);
        let count = self.spare.len() as u16;
        let ring = self.memory.half_words(self.rxq, self.log2);
        let mut index = self.producer;
        for slot in self.spare.drain(..) {
            ring.store(index.count(), slot);
            self.lent[usize::from(slot)] = true;
            index.advance(1);
        }
        self.producer = index;
        self.lent_count += count;
        count
    }

    /// Whether it is time to lend slots again: `batch` of them are free, or the device has fewer than half.
    pub(crate) fn doorbell_due(&mut self, batch: u16) -> bool {
        self.pool.collect(&mut self.spare);
        let spare = self.spare.len();
        spare >= batch.into() || spare > 0 && 2 * usize::from(self.lent_count) < self.lent.len()
    }

    /// Whether readers have given slots back that were not collected.
    pub(crate) fn has_returned(&self) -> bool {
        self.pool.has_returned()
    }

    /// Whether packets are copied out of their slots at once: fewer than half of the slots are with the device or on their way to it, or the
    /// device wants them in their order.
    fn copies_out(&self) -> bool {
        self.in_order || 2 * (usize::from(self.lent_count) + self.spare.len()) < self.lent.len()
    }

    /// Checks a completion; [`hand_out`](Self::hand_out) must follow.
    #[inline]
    pub(crate) fn accept(&mut self, cqe: Cqe) -> Result<(), RingFault> {
        self.check(&cqe)?;
        self.lent[usize::from(cqe.index)] = false;
        self.accepted.push(cqe);
        Ok(())
    }

    /// Checks a completion, and gives its slot back: it may be looked at until slots are lent again, or taken with [`take_slot`](Self::take_slot)
    /// or [`keep`](Self::keep) before another completion is looked at.
    #[inline]
    pub(crate) fn look_at(&mut self, cqe: Cqe) -> Result<InPlace<'_>, RingFault> {
        self.check(&cqe)?;
        let slot = cqe.index;
        self.lent[usize::from(slot)] = false;
        self.lent_count -= 1;
        self.spare.push(slot);
        Ok(InPlace::new(&self.pool, cqe))
    }

    /// Takes the slot that was given back last.
    #[inline]
    pub(crate) fn take_slot(&mut self) {
        self.spare.pop();
    }

    /// What [`look_at`](Self::look_at) showed last is for [`hand_out`](Self::hand_out).
    pub(crate) fn keep(&mut self, cqe: Cqe) {
        self.spare.pop();
        self.lent_count += 1;
        self.accepted.push(cqe);
    }

    /// Slots that are to be lent again are moved here from `slots`.
    #[inline]
    pub(crate) fn give_back(&mut self, slots: &mut Vec<u16>) {
        self.spare.append(slots);
    }

    #[inline]
    fn check(&self, cqe: &Cqe) -> Result<(), RingFault> {
        let slot = cqe.index;
        let status = cqe.status;
        match self.lent.get(usize::from(slot)) {
            None => {
                let count = self.lent.len() as u16;
                return Err(RingFault::NoSuchSlot { slot, count });
            }
            Some(false) => return Err(RingFault::SlotNotLent { slot }),
            Some(true) => {}
        }
        let slot_size = 1u32 << self.pool.size_log2;
        let truncated = status & st::TRUNC != 0;
        if cqe.len < MIN_FRAME || (u32::from(cqe.len) > slot_size) != truncated {
            return Err(RingFault::Length {
                len: cqe.len,
                slot_size,
                truncated,
            });
        }
        let both = [st::TCP | st::UDP, st::IPV4 | st::IPV6];
        if status & NOT_RECEIVE != 0 || both.iter().any(|bits| status & bits == *bits) {
            return Err(RingFault::Status { status });
        }
        Ok(())
    }

    /// Appends the packets of all completions that were checked to `frames`; tells how many. A frame is not small: it is made where it
    /// stays, and the bytes are copied there.
    pub(crate) fn hand_out(&mut self, frames: &mut Vec<RxFrame>) -> usize {
        let accepted = std::mem::take(&mut self.accepted);
        let before = frames.len();
        frames.extend(accepted.iter().map(frame));
        for (frame, cqe) in frames[before..].iter_mut().zip(&accepted) {
            self.lent_count -= 1;
            let slot = cqe.index;
            let stored = usize::from(cqe.len).min(1 << self.pool.size_log2);
            let head_len = if stored <= SMALL_PACKET {
                stored
            } else {
                HEAD_LEN
            };
            let at = self.pool.at(slot);
            frame.head.fill(&self.pool.memory, at, head_len);
            if head_len < stored {
                frame.body = Some(self.body(slot, head_len..stored));
            } else {
                self.spare.push(slot);
            }
        }
        self.accepted = accepted;
        self.accepted.clear();
        frames.len() - before
    }

    /// Bytes `range` of a slot.
    fn body(&mut self, slot: u16, range: Range<usize>) -> RxBuf {
        if !self.copies_out() {
            return RxBuf::in_slot(&self.pool, slot, range);
        }
        let mut bytes = vec![0; range.len()];
        let at = self.pool.at(slot) + range.start;
        self.pool.memory.read(at, &mut bytes);
        self.spare.push(slot);
        RxBuf::copied(bytes)
    }
}

/// What a checked completion says of its frame, of which the bytes are still to come.
#[inline]
pub(crate) fn frame(cqe: &Cqe) -> RxFrame {
    let has = |bit| cqe.status & bit != 0;
    let vlan = has(st::VLAN).then_some(cqe.offsets);
    let offset = |half_words: u16| match vlan {
        None if half_words > 0 && 2 * half_words < cqe.len => Some(2 * half_words),
        _ => None,
    };
    RxFrame {
        head: Head::empty(),
        body: None,
        wire_len: cqe.len,
        truncated: has(st::TRUNC),
        ipv4: has(st::IPV4),
        ipv6: has(st::IPV6),
        ip_header_ok: (has(st::IPV4) || has(st::IPV6)) && has(st::IP_OK),
        transport: match (has(st::TCP), has(st::UDP)) {
            (true, _) => Some(Transport::Tcp),
            (_, true) => Some(Transport::Udp),
            _ => None,
        },
        checksum: match (has(st::CSUM_VALID), has(st::L4_OK)) {
            (false, _) => Checksum::NotChecked,
            (true, true) => Checksum::Good,
            (true, false) => Checksum::Bad,
        },
        fragment: has(st::FRAG),
        bad_fcs: has(st::FCS_ERR),
        dropped_before: has(st::DROPPED_BEFORE),
        vlan,
        hash: cqe.hash,
        timestamp: has(st::TS_VALID).then_some(cqe.timestamp),
        l3_offset: offset(cqe.offsets & 0xFF),
        l4_offset: offset(cqe.offsets >> 8),
    }
}
