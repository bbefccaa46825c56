//! A receive queue: packets to slots, RXCQ.
use super::cq_writer::CqWriter;
use super::frame_writer::FrameWriter;
use super::slot_fetcher::SlotFetcher;
use crate::pcie::ports::{QueueCtlSink, ReadDataSink, ReadReqSource, WriteSource};
use crate::rx::ports::RxPacketSink;
use ferrule_abi::regs::queue_error;
use rust_hdl::prelude::*;

#[doc(hidden)]
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum RxState {
    Stopped,
    Start,
    Run,
    Drain,
}

#[doc(hidden)]
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum RxStep {
    Idle,
    Post,
    Writing,
}

/// Puts each frame into the next slot that the host gave and posts its completion, which is made up meanwhile.
///
/// Without a slot or room in the ring a frame waits in the receive buffer. While the queue does not run, frames are forgotten.
/// Disabling, or an error, finishes the frame that is under way; its completion is forgotten if the ring has no room.
#[derive(LogicBlock)]
pub struct RxQueue {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// Negotiated payload as PCIe encodes it.
    pub max_payload: Signal<In, Bits<3>>,
    /// The queue's registers.
    pub ctl: QueueCtlSink,
    /// Reads of the RXQ.
    pub rq_req: ReadReqSource,
    /// Their answers.
    pub rq_data: ReadDataSink,
    /// Frames out of the receive buffer.
    pub packet: RxPacketSink,
    /// Writes to the slots.
    pub payload: WriteSource,
    /// Writes to the RXCQ.
    pub cq: WriteSource,
    /// A frame is in the receive buffer that is not read to its end.
    pub waiting: Signal<In, Bit>,
    /// A frame comes in from the wire: a completion may wait a little for its company.
    pub incoming: Signal<In, Bit>,
    /// High for one cycle: the receive buffer dropped a frame for want of room.
    pub overflow: Signal<In, Bit>,
    /// High for one cycle: the queue stopped with an error.
    pub failed: Signal<Out, Bit>,
    /// MSI-X vectors to raise, one pulse bit each.
    pub irq: Signal<Out, Bits<4>>,
    /// Pulses for the counters RX_TRUNCATED and RX_DROP_NO_SLOT (frames that were in the buffer while the queue did not run).
    pub events: Signal<Out, Bits<32>>,
    /// Something is under way.
    pub busy: Signal<Out, Bit>,
    fetcher: SlotFetcher,
    frames: FrameWriter,
    writer: CqWriter,
    state: DFF<RxState>,
    step: DFF<RxStep>,
    error: DFF<Bits<4>>,
    locked: DFF<Bit>,
    active: DFF<Bit>,
    begin_q: DFF<Bit>,
    apply: DFF<Bit>,
    cq_log2: DFF<Bits<4>>,
    rq_log2: DFF<Bits<4>>,
    failed_q: DFF<Bit>,
    db: DFF<Bits<32>>,
    db_valid: DFF<Bit>,
    vector: DFF<Bits<4>>,
    slot_count: DFF<Bits<16>>,
    stride: DFF<Bits<4>>,
    /// CFG.IN_ORDER.
    in_order: DFF<Bit>,
    /// This build has CFG.IN_ORDER alone.
    only_in_order: Constant<Bits<1>>,
    retired: DFF<Bits<15>>,
    lost: DFF<Bit>,
    /// Cycles for which the newest completion still waits for a frame that comes in.
    patience: DFF<Bits<7>>,
    w0: DFF<Bits<32>>,
    w1: DFF<Bits<32>>,
    w2: DFF<Bits<32>>,
    w3: DFF<Bits<32>>,
    counted: DFF<Bits<32>>,
    go: Signal<Local, Bit>,
    error_bad: Constant<Bits<4>>,
    error_dma: Constant<Bits<4>>,
    error_slot: Constant<Bits<4>>,
    error_setup: Constant<Bits<4>>,
    one: Constant<Bits<4>>,
}

impl Default for RxQueue {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            max_payload: Default::default(),
            ctl: Default::default(),
            rq_req: Default::default(),
            rq_data: Default::default(),
            packet: Default::default(),
            payload: Default::default(),
            cq: Default::default(),
            waiting: Default::default(),
            incoming: Default::default(),
            overflow: Default::default(),
            failed: Default::default(),
            irq: Default::default(),
            events: Default::default(),
            busy: Default::default(),
            fetcher: Default::default(),
            frames: Default::default(),
            writer: Default::default(),
            state: Default::default(),
            step: Default::default(),
            error: Default::default(),
            locked: Default::default(),
            active: Default::default(),
            begin_q: Default::default(),
            apply: Default::default(),
            cq_log2: Default::default(),
            rq_log2: Default::default(),
            failed_q: Default::default(),
            db: Default::default(),
            db_valid: Default::default(),
            vector: Default::default(),
            slot_count: Default::default(),
            stride: Default::default(),
            in_order: Default::default(),
            only_in_order: Constant::new(0.into()),
            retired: Default::default(),
            lost: Default::default(),
            patience: Default::default(),
            w0: Default::default(),
            w1: Default::default(),
            w2: Default::default(),
            w3: Default::default(),
            counted: Default::default(),
            go: Default::default(),
            error_bad: Constant::new(u64::from(queue_error::BAD_INDEX).into()),
            error_dma: Constant::new(u64::from(queue_error::DMA).into()),
            error_slot: Constant::new(u64::from(queue_error::BAD_SLOT).into()),
            error_setup: Constant::new(u64::from(queue_error::BAD_SETUP).into()),
            one: Constant::new(1.into()),
        }
    }
}

impl RxQueue {
    /// Leaves slots in their order alone, whatever CFG says.
    pub(crate) fn only_in_order(&mut self) {
        self.only_in_order = Constant::new(1.into());
    }
}

impl Logic for RxQueue {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, state, step, error, locked, active, begin_q, apply, cq_log2, rq_log2,
            failed_q, db, db_valid, vector, slot_count, stride, in_order, retired, lost, patience,
            w0, w1, w2, w3, counted
        );
        clock!(self, clock, fetcher, frames, writer);
        self.fetcher.reset.next = self.reset.val();
        self.frames.reset.next = self.reset.val();
        self.writer.reset.next = self.reset.val();
        ReadReqSource::link(&mut self.rq_req, &mut self.fetcher.req);
        ReadDataSink::link(&mut self.rq_data, &mut self.fetcher.data);
        RxPacketSink::link(&mut self.packet, &mut self.frames.s);
        WriteSource::link(&mut self.payload, &mut self.frames.m);
        WriteSource::link(&mut self.cq, &mut self.writer.m);

        // State.
        self.go.next = (self.step.q.val() == RxStep::Idle)
            & self.frames.idle.val()
            & self.packet.valid.val()
            & self.active.q.val()
            & self.fetcher.valid.val()
            & (self.fetcher.slot.val() < self.slot_count.q.val());
        self.begin_q.d.next = false;
        self.db_valid.d.next = self.ctl.ring.val();
        if self.ctl.ring.val() {
            self.db.d.next = self.ctl.doorbell.val();
        }
        self.apply.d.next = false;
        self.failed_q.d.next = false;
        if !self.ctl.enable.val() {
            self.locked.d.next = false;
        }
        match self.state.q.val() {
            RxState::Stopped => {
                self.rq_log2.d.next = bit_cast::<4, 32>(self.ctl.setup.val());
                if self.ctl.enable.val() & !self.locked.q.val() {
                    self.cq_log2.d.next = self.ctl.setup.val().get_bits::<4>(8);
                    self.vector.d.next = self.one.val() << self.ctl.setup.val().get_bits::<4>(16);
                    self.slot_count.d.next =
                        bit_cast::<16, 15>(self.ctl.slots.val().get_bits::<15>(16));
                    self.stride.d.next = bit_cast::<4, 32>(self.ctl.slots.val());
                    self.in_order.d.next = self.ctl.setup.val().get_bit(24);
                    self.error.d.next = 0.into();
                    self.begin_q.d.next = true;
                    self.state.d.next = RxState::Start;
                }
            }
            RxState::Start => {
                self.active.d.next = true;
                self.state.d.next = RxState::Run;
                if (self.rq_log2.q.val() < 4)
                    | (self.rq_log2.q.val() > 14)
                    | (self.cq_log2.q.val() < 4)
                    | (self.cq_log2.q.val() > 14)
                    | (self.stride.q.val() < 11)
                    | (self.stride.q.val() > 14)
                    | (self.ctl.ring_lo.val() & 127).any()
                    | (self.ctl.cq_lo.val() & 63).any()
                    | (self.ctl.slot_lo.val() & 2047).any()
                {
                    self.error.d.next = self.error_setup.val();
                    self.locked.d.next = true;
                    self.failed_q.d.next = true;
                    self.active.d.next = false;
                    self.state.d.next = RxState::Stopped;
                }
            }
            RxState::Run => {
                // Doorbells are at least two cycles apart: a write TLP has two beats.
                self.apply.d.next = self.db_valid.q.val();
                if !self.ctl.enable.val() {
                    self.active.d.next = false;
                    self.state.d.next = RxState::Drain;
                } else if self.db_valid.q.val()
                    & (self.fetcher.producer_bad.val() | self.writer.consumer_bad.val())
                {
                    self.apply.d.next = false;
                    self.error.d.next = self.error_bad.val();
                    self.locked.d.next = true;
                    self.failed_q.d.next = true;
                    self.active.d.next = false;
                    self.state.d.next = RxState::Drain;
                } else if self.fetcher.error.val() {
                    self.error.d.next = self.error_dma.val();
                    self.locked.d.next = true;
                    self.failed_q.d.next = true;
                    self.active.d.next = false;
                    self.state.d.next = RxState::Drain;
                } else if self.fetcher.valid.val()
                    & (self.fetcher.slot.val() >= self.slot_count.q.val())
                {
                    self.error.d.next = self.error_slot.val();
                    self.locked.d.next = true;
                    self.failed_q.d.next = true;
                    self.active.d.next = false;
                    self.state.d.next = RxState::Drain;
                }
            }
            RxState::Drain => {
                if self.fetcher.idle.val()
                    & self.frames.idle.val()
                    & (self.step.q.val() == RxStep::Idle)
                    & (self.writer.head.val() == self.writer.tail.val())
                {
                    self.state.d.next = RxState::Stopped;
                }
            }
            _ => {
                self.state.d.next = RxState::Stopped;
            }
        }
        self.ctl.running.next =
            (self.state.q.val() == RxState::Run) | (self.state.q.val() == RxState::Drain);
        self.ctl.error.next = self.error.q.val();
        self.failed.next = self.failed_q.q.val();

        self.fetcher.start.next = self.begin_q.q.val();
        self.fetcher.run.next = self.active.q.val();
        self.fetcher.base_lo.next = self.ctl.ring_lo.val();
        self.fetcher.base_hi.next = self.ctl.ring_hi.val();
        self.fetcher.log2.next = self.rq_log2.q.val();
        self.fetcher.in_order.next = self.in_order.q.val() | self.only_in_order.val().any();
        self.fetcher.producer.next = bit_cast::<15, 32>(self.db.q.val());
        self.fetcher.update_idx.next = self.apply.q.val();
        self.fetcher.retired.next = self.retired.q.val();
        self.fetcher.ready.next = self.go.val();
        self.frames.max_payload.next = self.max_payload.val();
        self.frames.base_lo.next = self.ctl.slot_lo.val();
        self.frames.base_hi.next = self.ctl.slot_hi.val();
        self.frames.stride_log2.next = self.stride.q.val();
        self.frames.slot.next = bit_cast::<15, 16>(self.fetcher.slot.val());
        self.frames.go.next = self.go.val();
        self.frames.skip.next = (self.step.q.val() == RxStep::Idle)
            & self.frames.idle.val()
            & self.packet.valid.val()
            & !self.active.q.val();

        // Frame by frame. A frame's description is on the port until its last beat: the completion is made up at its first.
        self.counted.d.next = 0.into();
        if self.patience.q.val().any() {
            self.patience.d.next = self.patience.q.val() - 1;
        }
        if self.overflow.val() {
            self.lost.d.next = true;
        }
        match self.step.q.val() {
            RxStep::Idle => {
                if self.go.val() {
                    // TS_VALID, and DROPPED_BEFORE.
                    self.w0.d.next = bit_cast::<32, 16>(self.packet.len.val())
                        | (bit_cast::<32, 16>(self.packet.status.val()) << 16)
                        | 0x4000_0000;
                    if self.lost.q.val() {
                        self.w0.d.next = bit_cast::<32, 16>(self.packet.len.val())
                            | (bit_cast::<32, 16>(self.packet.status.val()) << 16)
                            | 0x6000_0000;
                    }
                    self.w1.d.next = self.packet.hash.val();
                    self.w2.d.next = self.packet.timestamp.val();
                    self.w3.d.next = bit_cast::<32, 16>(self.packet.offsets.val())
                        | (bit_cast::<32, 16>(self.fetcher.slot.val()) << 16);
                    self.lost.d.next = self.overflow.val();
                    self.step.d.next = RxStep::Post;
                }
                if self.frames.idle.val() & self.packet.valid.val() & !self.active.q.val() {
                    self.counted.d.next = 0x1000.into();
                }
            }
            RxStep::Post => {
                if self.writer.ready.val() {
                    if self.frames.truncated.val() {
                        self.counted.d.next = 0x800_0000.into();
                    }
                    self.patience.d.next = 127.into();
                    self.retired.d.next = self.retired.q.val() + 1;
                    self.step.d.next = RxStep::Writing;
                }
            }
            RxStep::Writing => {
                if self.frames.idle.val() {
                    self.step.d.next = RxStep::Idle;
                }
            }
            _ => {
                self.step.d.next = RxStep::Idle;
            }
        }
        self.events.next = self.counted.q.val();
        self.writer.start.next = self.begin_q.q.val();
        self.writer.base_lo.next = self.ctl.cq_lo.val();
        self.writer.base_hi.next = self.ctl.cq_hi.val();
        self.writer.log2.next = self.cq_log2.q.val();
        self.writer.w0.next = self.w0.q.val();
        if self.frames.truncated.val() {
            self.writer.w0.next = self.w0.q.val() | 0x200_0000;
        }
        self.writer.w1.next = self.w1.q.val();
        self.writer.w2.next = self.w2.q.val();
        self.writer.w3.next = self.w3.q.val();
        self.writer.valid.next = self.step.q.val() == RxStep::Post;
        self.writer.more.next = self.active.q.val()
            & ((self.step.q.val() == RxStep::Post)
                | (self.fetcher.valid.val()
                    & (self.waiting.val() | (self.incoming.val() & self.patience.q.val().any()))));
        self.writer.hold.next = (self.step.q.val() == RxStep::Writing) & !self.frames.idle.val();
        self.writer.discard.next = !self.active.q.val();
        self.writer.consumer.next = 0.into();
        if self.db_valid.q.val() | self.apply.q.val() {
            self.writer.consumer.next = self.db.q.val().get_bits::<15>(16);
        }
        self.writer.arm.next = self.db.q.val().get_bit(31);
        self.writer.update_idx.next = self.apply.q.val();
        self.irq.next = 0.into();
        if self.writer.irq.val() {
            self.irq.next = self.vector.q.val();
        }
        // Written without `go`: what that drives must not depend, as a block, on what `busy` reads.
        self.busy.next = self.fetcher.busy.val()
            | self.frames.busy.val()
            | self.writer.busy.val()
            | ((self.step.q.val() == RxStep::Idle)
                & self.packet.valid.val()
                & (self.fetcher.valid.val() | !self.active.q.val()))
            | ((self.step.q.val() == RxStep::Writing) & self.frames.idle.val())
            | self.counted.q.val().any()
            | self.failed_q.q.val()
            | (self.db_valid.q.val() | self.apply.q.val())
            | (self.state.q.val() == RxState::Start)
            | (self.active.q.val() & !self.ctl.enable.val())
            | ((self.state.q.val() == RxState::Stopped)
                & self.ctl.enable.val()
                & !self.locked.q.val())
            | (self.active.q.val()
                & self.fetcher.valid.val()
                & (self.fetcher.slot.val() >= self.slot_count.q.val()))
            | ((self.state.q.val() == RxState::Drain)
                & self.fetcher.idle.val()
                & (self.step.q.val() == RxStep::Idle));
        if self.begin_q.q.val() {
            self.retired.d.next = 0.into();
            self.lost.d.next = false;
        }
        if self.reset.val() {
            self.state.d.next = RxState::Stopped;
            self.active.d.next = false;
            self.begin_q.d.next = false;
            self.apply.d.next = false;
            self.step.d.next = RxStep::Idle;
            self.error.d.next = 0.into();
            self.locked.d.next = false;
            self.failed_q.d.next = false;
            self.in_order.d.next = false;
            self.db_valid.d.next = false;
            self.retired.d.next = 0.into();
            self.lost.d.next = false;
            self.patience.d.next = 0.into();
            self.counted.d.next = 0.into();
        }
    }
}
