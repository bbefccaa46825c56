//! `RxQueues` in a host and behind a receive buffer.
use super::host::{
    drive_bus, drive_reader, sample_reader, sample_writer, Bus, Memory, Reader, Rng, Writer,
};
use ferrule_abi::regs;
use ferrule_abi::ring::{cqe_status as cs, Cqe, INDEX_MODULUS};
use ferrule_rtl::{native::Native, queue::rx::RxQueues};
use std::collections::VecDeque;

pub(super) const RQ: u64 = 0x1_0000_0000 - 0x80;
pub(super) const CQ: u64 = 0x2_0000_0040;
pub(super) const SLOTS: u64 = 0x3_0000_0000 - 0x800;
/// The queue's vector.
pub(super) const VECTOR: u32 = 5;
/// What slots hold before a frame comes.
pub(super) const BLANK: u8 = 0xA5;

/// A frame as the receive path describes it.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) bytes: Vec<u8>,
    pub(super) status: u16,
    pub(super) offsets: u16,
    pub(super) hash: u32,
    pub(super) timestamp: u32,
}

pub(super) fn frame(rng: &mut Rng, len: usize) -> Frame {
    Frame {
        bytes: (0..len).map(|_| rng.next() as u8).collect(),
        status: (rng.next() as u16) & 0x1FF,
        offsets: rng.next() as u16,
        hash: rng.next() as u32,
        timestamp: rng.next() as u32,
    }
}

pub(super) struct Bench {
    pub(super) dut: Native<RxQueues>,
    pub(super) memory: Memory,
    pub(super) rq: Reader,
    pub(super) payload: Writer,
    pub(super) cq: Writer,
    pub(super) rng: Rng,
    pub(super) now: u64,
    pub(super) rq_log2: u32,
    pub(super) cq_log2: u32,
    pub(super) stride: u64,
    pub(super) bus: Bus,
    pub(super) overflow: bool,
    /// Frames in the receive buffer, beats sent of the first, and how often a beat is there.
    pub(super) frames: VecDeque<Frame>,
    pub(super) beat: usize,
    pub(super) offer: u64,
    pub(super) offered: bool,
    /// Frames handed over whole.
    pub(super) handed: Vec<Frame>,
    /// Slots in the order in which the host gave them; those up to `completed` have come back.
    pub(super) given: Vec<u16>,
    pub(super) cq_read: u32,
    pub(super) cqes: Vec<Cqe>,
    pub(super) contents: Vec<Vec<u8>>,
    pub(super) irqs: u32,
    pub(super) failures: u32,
    pub(super) counts: [u32; 32],
}

impl Bench {
    pub(super) fn new(seed: u64, rq_log2: u32, cq_log2: u32, stride_log2: u32, slots: u32) -> Self {
        let mut rng = Rng(seed);
        let mut rq = Reader::new(30 + rng.below(71), 30 + rng.below(71), rng.below(200));
        rq.max_read = 128;
        let mut cq = Writer::new(20 + rng.below(81));
        cq.max_payload = 64;
        cq.allowed.push(CQ..CQ + (16 << cq_log2));
        let mut b = Self {
            dut: Native::default(),
            memory: Memory::default(),
            rq,
            payload: Writer::new(20 + rng.below(81)),
            cq,
            now: 0,
            rq_log2,
            cq_log2,
            stride: 1 << stride_log2,
            bus: Bus::of(seed as u32 % 4),
            overflow: false,
            frames: VecDeque::new(),
            beat: 0,
            offer: 30 + rng.below(71),
            offered: false,
            handed: vec![],
            given: vec![],
            cq_read: 0,
            cqes: vec![],
            contents: vec![],
            irqs: 0,
            failures: 0,
            counts: [0; 32],
            rng,
        };
        let u = &mut b.dut.u;
        u.reset.next = true;
        b.cycle();
        b.dut.u.reset.next = false;
        b.setup(
            rq_log2 | cq_log2 << 8 | VECTOR << 16,
            stride_log2 | slots << 16,
        );
        b
    }
    /// Writes all that a queue is set up with: CFG and SLOT_CFG as given.
    pub(super) fn setup(&mut self, cfg: u32, slots: u32) {
        for (offset, value) in [
            (regs::rx_cfg::OFFSET, cfg),
            (regs::rx_rxq_base_lo::OFFSET, RQ as u32),
            (regs::rx_rxq_base_hi::OFFSET, (RQ >> 32) as u32),
            (regs::rx_cq_base_lo::OFFSET, CQ as u32),
            (regs::rx_cq_base_hi::OFFSET, (CQ >> 32) as u32),
            (regs::rx_slot_base_lo::OFFSET, SLOTS as u32),
            (regs::rx_slot_base_hi::OFFSET, (SLOTS >> 32) as u32),
            (regs::rx_slot_cfg::OFFSET, slots),
        ] {
            self.bus.write(offset, value);
        }
        self.write_all();
    }
    /// Lets the host write what it has to.
    pub(super) fn write_all(&mut self) {
        while !self.bus.is_empty() {
            self.cycle();
        }
    }
    pub(super) fn max_payload(&mut self, code: u64) {
        self.dut.u.max_payload.next = code.into();
        self.payload.max_payload = 128 << code;
    }
    pub(super) fn enable(&mut self, on: bool) {
        self.bus.write(regs::rx_ctrl::OFFSET, u32::from(on));
        self.write_all();
        self.cycle();
        self.cycle();
        self.cycle();
        self.cycle();
    }
    pub(super) fn doorbell(&mut self, producer: u32, consumer: u32, arm: bool) {
        let (p, c) = (producer % INDEX_MODULUS, consumer % INDEX_MODULUS);
        let bell = p | c << 16 | u32::from(arm) << 31;
        self.bus.write(regs::rx_doorbell::OFFSET, bell);
        self.write_all();
        self.cycle();
    }
    /// Gives a slot without telling the device yet.
    pub(super) fn give(&mut self, slot: u16) {
        let at = RQ + 2 * (self.given.len() as u64 % (1 << self.rq_log2));
        for (i, b) in slot.to_le_bytes().into_iter().enumerate() {
            self.memory.set(at + i as u64, b);
        }
        let base = SLOTS + u64::from(slot) * self.stride;
        for i in 0..64 {
            self.memory.set(base + i, BLANK);
        }
        self.payload.allowed.push(base..base + self.stride);
        self.given.push(slot);
    }
    pub(super) fn error(&self) -> u32 {
        self.dut.u.bus.status.val().to_u32() & 15
    }
    pub(super) fn running(&self) -> bool {
        self.dut.u.bus.status.val().get_bit(4)
    }
    pub(super) fn cycle(&mut self) {
        self.now += 1;
        let u = &mut self.dut.u;
        u.clock.next = false.into();
        drive_reader!(
            u.rq_req,
            u.rq_data,
            self.rq,
            self.now,
            &mut self.rng,
            &self.memory
        );
        self.payload.before(&mut self.rng);
        self.cq.before(&mut self.rng);
        u.payload.ready.next = self.payload.ready;
        u.cq.ready.next = self.cq.ready;
        drive_bus!(u.bus, self.bus);
        u.overflow.next = std::mem::take(&mut self.overflow);
        // The receive buffer: the description stands with the beats and is something else in between.
        let noise = self.rng.next() as u32;
        self.offered = match self.frames.front() {
            Some(_) => self.offered || self.rng.percent(self.offer),
            None => false,
        };
        if let (Some(f), true) = (self.frames.front(), self.offered || self.beat > 0) {
            u.packet.len.next = (f.bytes.len() as u64).into();
            u.packet.status.next = u64::from(f.status).into();
            u.packet.offsets.next = u64::from(f.offsets).into();
            u.packet.hash.next = u64::from(f.hash).into();
            u.packet.queue.next = u64::from(self.bus.queue).into();
            u.packet.timestamp.next = u64::from(f.timestamp).into();
        } else {
            u.packet.len.next = u64::from(noise & 0xFFFF).into();
            u.packet.status.next = u64::from(noise >> 16).into();
            u.packet.hash.next = u64::from(!noise).into();
            u.packet.queue.next = u64::from(noise & 3).into();
        }
        u.packet.valid.next = self.offered;
        u.waiting.next = !self.frames.is_empty();
        u.packet.d0.next = u64::from(noise).into();
        u.packet.last.next = false;
        if let (Some(f), true) = (self.frames.front(), self.offered) {
            let rest = &f.bytes[8 * self.beat..];
            let mut beat = [0x77; 8];
            let n = rest.len().min(8);
            beat[..n].copy_from_slice(&rest[..n]);
            let word = u64::from_le_bytes(beat);
            u.packet.d0.next = (word & 0xFFFF_FFFF).into();
            u.packet.d1.next = (word >> 32).into();
            u.packet.keep.next = ((1u64 << n) - 1).into();
            u.packet.last.next = rest.len() <= 8;
        }
        self.dut.settle();
        let u = &self.dut.u;
        sample_reader!(u.rq_req, u.rq_data, self.rq, self.now, &mut self.rng);
        sample_writer!(u.payload, self.payload, &mut self.memory);
        let written = sample_writer!(u.cq, self.cq, &mut self.memory).is_some();
        if self.offered && u.packet.ready.val() {
            self.offered = false;
            self.beat += 1;
            if u.packet.last.val() {
                self.handed.extend(self.frames.pop_front());
                self.beat = 0;
            }
        }
        let irq = u.irq.val().to_u32();
        assert!(irq == 0 || irq == 1 << VECTOR, "the queue's own vector");
        self.irqs += u32::from(irq != 0);
        let failed = u.failed.val().to_u32();
        assert!(failed == 0 || failed == 1 << self.bus.queue);
        self.failures += u32::from(failed != 0);
        for (i, n) in self.counts.iter_mut().enumerate() {
            *n += u32::from(u.events.val().get_bit(i));
        }
        self.dut.u.clock.next = true.into();
        self.dut.settle();
        if written {
            self.poll();
        }
    }
    /// The host reads completions, and at once what their slots hold: it must all be there.
    pub(super) fn poll(&mut self) {
        loop {
            let at = CQ + 16 * u64::from(self.cq_read % (1 << self.cq_log2));
            let e = Cqe::from_words(self.memory.entry(at));
            if e.phase != ((self.cq_read >> self.cq_log2) & 1 == 0) {
                return;
            }
            assert_eq!(
                e.index, self.given[self.cq_read as usize],
                "slots are used in the order given"
            );
            let base = SLOTS + u64::from(e.index) * self.stride;
            let n = u64::from(e.len).min(self.stride);
            self.contents
                .push((base..base + n).map(|a| self.memory.byte(a)).collect());
            if e.len < 64 {
                assert_eq!(
                    self.memory.byte(base + n),
                    BLANK,
                    "a byte beyond the frame is written"
                );
            }
            self.cqes.push(e);
            self.cq_read += 1;
            self.payload.allowed.retain(|r| r.start != base);
        }
    }
    pub(super) fn settle(&mut self) {
        let mut quiet = 0;
        for _ in 0..200_000 {
            self.cycle();
            let world = self.rq.outstanding();
            // A frame that is there and not offered is a gap of the buffer's, however long.
            let gap = !self.frames.is_empty() && !self.offered;
            quiet = if self.dut.u.busy.val() || world > 0 || gap {
                0
            } else {
                quiet + 1
            };
            if quiet > 20 {
                return;
            }
        }
        panic!("never idle");
    }
    /// Every completion against the frames handed over, in order.
    pub(super) fn check(&self, skipped: usize) {
        assert_eq!(
            self.handed.len() - skipped,
            self.cqes.len(),
            "one completion a frame"
        );
        for (i, (c, f)) in self.cqes.iter().zip(&self.handed[skipped..]).enumerate() {
            let cut = f.bytes.len() as u64 > self.stride;
            let status = f.status | cs::TS_VALID | if cut { cs::TRUNC } else { 0 };
            assert_eq!(
                c.status & !cs::DROPPED_BEFORE,
                status,
                "status of frame {i}"
            );
            assert_eq!(usize::from(c.len), f.bytes.len(), "length of frame {i}");
            assert_eq!(
                (c.hash, c.timestamp, c.offsets),
                (f.hash, f.timestamp, f.offsets)
            );
            let n = f.bytes.len().min(self.stride as usize);
            assert_eq!(self.contents[i], f.bytes[..n], "bytes of frame {i}");
        }
    }
}
