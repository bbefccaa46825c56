//! A transmit queue: SQ to packets, verdicts to TXCQ.
use super::cq_writer::CqWriter;
use super::fifo::Fifo;
use super::payload_reader::PayloadReader;
use super::push::Push;
use super::realigner::Realigner;
use super::segmenter::Segmenter;
use super::sqe_fetcher::SqeFetcher;
use crate::pcie::ports::{PushSink, QueueCtlSink, ReadDataSink, ReadReqSource, WriteSource};
use crate::tx::ports::{TxPacketSource, TxVerdictSink};
use ferrule_abi::regs::queue_error;
use rust_hdl::prelude::*;

#[doc(hidden)]
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum TxState {
    Stopped,
    Start,
    Run,
    Drain,
}

#[doc(hidden)]
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum BarrierState {
    Off,
    Retire,
    Written,
    Done,
}

/// Fetches SQEs, sends their frames, waits for each frame's verdict and posts the completions that are due.
///
/// Disabling, or an error, stops the fetching, aborts a frame of which SQEs are missing, lets whole frames finish, and then clears `running`;
/// a completion for which the ring has no room is forgotten then.
///
/// In PUSH mode (CFG.PUSH) there is no SQ: frames come from [`Push`], and a doorbell's producer means nothing.
#[derive(LogicBlock)]
pub struct TxQueue {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// MRRS as PCIe encodes it.
    pub max_read: Signal<In, Bits<3>>,
    /// The queue's registers.
    pub ctl: QueueCtlSink,
    /// Reads of the SQ.
    pub sq_req: ReadReqSource,
    /// Their answers.
    pub sq_data: ReadDataSink,
    /// Reads of the payload.
    pub pay_req: ReadReqSource,
    /// Their answers.
    pub pay_data: ReadDataSink,
    /// Packets to the transmit path.
    pub packet: TxPacketSource,
    /// What became of them.
    pub verdict: TxVerdictSink,
    /// Writes to the TXCQ.
    pub cq: WriteSource,
    /// Writes of the host to the push window.
    pub window: PushSink,
    /// Pulse: such a write was for nothing.
    pub stray: Signal<Out, Bit>,
    /// Stays high until `barrier_done`: tell when the completions of all frames that are in the transmit path now are written.
    pub barrier: Signal<In, Bit>,
    /// They are; falls with `barrier`.
    pub barrier_done: Signal<Out, Bit>,
    /// High for one cycle: the queue stopped with an error.
    pub failed: Signal<Out, Bit>,
    /// MSI-X vectors to raise, one pulse bit each.
    pub irq: Signal<Out, Bits<4>>,
    /// Pulses for the counters TX_BAD_DESC and TX_DMA_ERR.
    pub events: Signal<Out, Bits<32>>,
    /// Something is under way.
    pub busy: Signal<Out, Bit>,
    fetcher: SqeFetcher,
    reader: PayloadReader,
    list: Fifo,
    realigner: Realigner,
    segmenter: Segmenter,
    push: Push,
    pending: Fifo,
    writer: CqWriter,
    state: DFF<TxState>,
    error: DFF<Bits<4>>,
    locked: DFF<Bit>,
    active: DFF<Bit>,
    begin_q: DFF<Bit>,
    apply: DFF<Bit>,
    cq_log2: DFF<Bits<4>>,
    sq_log2: DFF<Bits<4>>,
    sq_mask: DFF<Bits<15>>,
    wide_one: Signal<Local, Bits<15>>,
    size: Signal<Local, Bits<15>>,
    failed_q: DFF<Bit>,
    db: DFF<Bits<32>>,
    db_valid: DFF<Bit>,
    vector: DFF<Bits<4>>,
    /// CFG.PUSH.
    pushes: DFF<Bit>,
    /// This build has PUSH mode alone: what fetches is held in reset, for the tools to take it out.
    only_pushes: Constant<Bits<1>>,
    pushing: Signal<Local, Bit>,
    held: Signal<Local, Bit>,
    retired: DFF<Bits<15>>,
    posting: DFF<Bit>,
    post_status: DFF<Bits<16>>,
    /// The next hop's address of a miss, or the time of a frame that has left.
    post_hash: DFF<Bits<32>>,
    post_index: DFF<Bits<15>>,
    counted: DFF<Bits<32>>,
    /// A packet that is cut into segments has missed its neighbour, and its last segment is not taken.
    open: DFF<Bit>,
    fence: DFF<BarrierState>,
    fence_left: DFF<Bits<5>>,
    fence_tail: DFF<Bits<15>>,
    fence_gap: Signal<Local, Bits<15>>,
    fence_moves: Signal<Local, Bit>,
    take: Signal<Local, Bit>,
    error_bad: Constant<Bits<4>>,
    error_dma: Constant<Bits<4>>,
    error_setup: Constant<Bits<4>>,
    one: Constant<Bits<4>>,
}

impl Default for TxQueue {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            max_read: Default::default(),
            ctl: Default::default(),
            sq_req: Default::default(),
            sq_data: Default::default(),
            pay_req: Default::default(),
            pay_data: Default::default(),
            packet: Default::default(),
            verdict: Default::default(),
            cq: Default::default(),
            window: Default::default(),
            stray: Default::default(),
            barrier: Default::default(),
            barrier_done: Default::default(),
            failed: Default::default(),
            irq: Default::default(),
            events: Default::default(),
            busy: Default::default(),
            fetcher: Default::default(),
            reader: Default::default(),
            list: Default::default(),
            realigner: Default::default(),
            segmenter: Default::default(),
            push: Default::default(),
            pending: Default::default(),
            writer: Default::default(),
            state: Default::default(),
            error: Default::default(),
            locked: Default::default(),
            active: Default::default(),
            begin_q: Default::default(),
            apply: Default::default(),
            cq_log2: Default::default(),
            sq_log2: Default::default(),
            sq_mask: Default::default(),
            wide_one: Default::default(),
            size: Default::default(),
            failed_q: Default::default(),
            db: Default::default(),
            db_valid: Default::default(),
            vector: Default::default(),
            pushes: Default::default(),
            only_pushes: Constant::new(0.into()),
            pushing: Default::default(),
            held: Default::default(),
            retired: Default::default(),
            posting: Default::default(),
            post_status: Default::default(),
            post_hash: Default::default(),
            post_index: Default::default(),
            counted: Default::default(),
            open: Default::default(),
            fence: Default::default(),
            fence_left: Default::default(),
            fence_tail: Default::default(),
            fence_gap: Default::default(),
            fence_moves: Default::default(),
            take: Default::default(),
            error_bad: Constant::new(u64::from(queue_error::BAD_INDEX).into()),
            error_dma: Constant::new(u64::from(queue_error::DMA).into()),
            error_setup: Constant::new(u64::from(queue_error::BAD_SETUP).into()),
            one: Constant::new(1.into()),
        }
    }
}

impl TxQueue {
    /// Leaves PUSH mode alone, whatever CFG says.
    pub(crate) fn only_push(&mut self) {
        self.only_pushes = Constant::new(1.into());
    }
}

impl Logic for TxQueue {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            state,
            error,
            locked,
            active,
            begin_q,
            apply,
            cq_log2,
            sq_log2,
            sq_mask,
            failed_q,
            db,
            db_valid,
            vector,
            pushes,
            retired,
            posting,
            post_status,
            post_hash,
            post_index,
            counted,
            open,
            fence,
            fence_left,
            fence_tail
        );
        clock!(self, clock, fetcher, reader, list, realigner, segmenter, push, pending, writer);
        self.pushing.next = self.pushes.q.val() | self.only_pushes.val().any();
        self.held.next = self.reset.val() | self.only_pushes.val().any();
        self.fetcher.reset.next = self.held.val();
        self.reader.reset.next = self.held.val();
        self.list.reset.next = self.held.val();
        self.realigner.reset.next = self.held.val();
        self.segmenter.reset.next = self.held.val();
        self.push.reset.next = self.reset.val();
        self.pending.reset.next = self.reset.val();
        self.writer.reset.next = self.reset.val();
        ReadReqSource::link(&mut self.sq_req, &mut self.fetcher.req);
        ReadDataSink::link(&mut self.sq_data, &mut self.fetcher.data);
        ReadReqSource::link(&mut self.pay_req, &mut self.reader.req);
        ReadDataSink::link(&mut self.pay_data, &mut self.realigner.data);
        PushSink::link(&mut self.window, &mut self.push.writes);
        WriteSource::link(&mut self.cq, &mut self.writer.m);
        self.stray.next = self.push.stray.val();

        // State.
        self.wide_one.next = 1.into();
        self.size.next = 0.into();
        if self.state.q.val() == TxState::Start {
            self.size.next = self.wide_one.val() << bit_cast::<15, 4>(self.sq_log2.q.val());
        }
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
            TxState::Stopped => {
                self.sq_log2.d.next = bit_cast::<4, 32>(self.ctl.setup.val());
                if self.ctl.enable.val() & !self.locked.q.val() {
                    self.cq_log2.d.next = self.ctl.setup.val().get_bits::<4>(8);
                    self.vector.d.next = self.one.val() << self.ctl.setup.val().get_bits::<4>(16);
                    self.pushes.d.next = self.ctl.setup.val().get_bit(24);
                    self.error.d.next = 0.into();
                    self.begin_q.d.next = true;
                    self.state.d.next = TxState::Start;
                }
            }
            TxState::Start => {
                self.retired.d.next = 0.into();
                self.sq_mask.d.next = self.size.val() - 1;
                self.active.d.next = true;
                self.state.d.next = TxState::Run;
                if (self.sq_log2.q.val() < 4)
                    | (self.sq_log2.q.val() > 14)
                    | (self.cq_log2.q.val() < 4)
                    | (self.cq_log2.q.val() > 14)
                    | (self.ctl.ring_lo.val() & 127).any()
                    | (self.ctl.cq_lo.val() & 63).any()
                {
                    self.error.d.next = self.error_setup.val();
                    self.locked.d.next = true;
                    self.failed_q.d.next = true;
                    self.active.d.next = false;
                    self.state.d.next = TxState::Stopped;
                }
            }
            TxState::Run => {
                // Doorbells are at least two cycles apart: a write TLP has two beats.
                self.apply.d.next = self.db_valid.q.val();
                if !self.ctl.enable.val() {
                    self.active.d.next = false;
                    self.state.d.next = TxState::Drain;
                } else if self.db_valid.q.val()
                    & ((self.fetcher.producer_bad.val() & !self.pushing.val())
                        | self.writer.consumer_bad.val())
                {
                    self.apply.d.next = false;
                    self.error.d.next = self.error_bad.val();
                    self.locked.d.next = true;
                    self.failed_q.d.next = true;
                    self.active.d.next = false;
                    self.state.d.next = TxState::Drain;
                } else if self.fetcher.error.val() {
                    self.error.d.next = self.error_dma.val();
                    self.locked.d.next = true;
                    self.failed_q.d.next = true;
                    self.active.d.next = false;
                    self.state.d.next = TxState::Drain;
                }
            }
            TxState::Drain => {
                if self.fetcher.idle.val()
                    & self.reader.idle.val()
                    & (self.list.count.val() == 0)
                    & self.realigner.idle.val()
                    & self.push.idle.val()
                    & (self.pending.count.val() == 0)
                    & !self.posting.q.val()
                    & (self.writer.head.val() == self.writer.tail.val())
                {
                    self.open.d.next = false;
                    self.state.d.next = TxState::Stopped;
                }
            }
            _ => {
                self.state.d.next = TxState::Stopped;
            }
        }
        self.ctl.running.next =
            (self.state.q.val() == TxState::Run) | (self.state.q.val() == TxState::Drain);
        self.ctl.error.next = self.error.q.val();
        self.failed.next = self.failed_q.q.val();

        // SQEs to reads.
        self.fetcher.start.next = self.begin_q.q.val();
        self.fetcher.run.next = self.active.q.val();
        self.fetcher.base_lo.next = self.ctl.ring_lo.val();
        self.fetcher.base_hi.next = self.ctl.ring_hi.val();
        self.fetcher.log2.next = self.sq_log2.q.val();
        self.fetcher.producer.next = bit_cast::<15, 32>(self.db.q.val());
        self.fetcher.update_idx.next = self.apply.q.val() & !self.pushing.val();
        self.fetcher.retired.next = self.retired.q.val();
        self.reader.run.next = self.active.q.val();
        self.reader.max_read.next = self.max_read.val();
        self.reader.addr_lo.next = self.fetcher.addr_lo.val();
        self.reader.addr_hi.next = self.fetcher.addr_hi.val();
        self.reader.len_flags.next = self.fetcher.len_flags.val();
        self.reader.options.next = self.fetcher.options.val();
        self.reader.index.next = self.fetcher.index.val();
        self.reader.valid.next = self.fetcher.valid.val();
        self.fetcher.ready.next = self.reader.ready.val();
        self.list.word.next = self.reader.word.val();
        self.list.push.next = self.reader.push.val();
        self.reader.full.next = self.list.full.val();
        self.realigner.item.next = self.list.front.val();
        self.realigner.item_valid.next = self.list.valid.val();
        self.list.pop.next = self.realigner.item_pop.val();
        self.segmenter.item.next = self.list.front.val();
        self.segmenter.taken.next = self.realigner.item_pop.val();
        self.segmenter.d0.next = self.realigner.m.d0.val();
        self.segmenter.d1.next = self.realigner.m.d1.val();
        self.segmenter.valid.next = self.realigner.m.valid.val();
        self.segmenter.ready.next = self.packet.ready.val();
        self.realigner.done_full.next = self.pending.full.val();
        self.push.done_full.next = self.pending.full.val();
        self.push.start.next = self.begin_q.q.val();
        self.push.run.next = self.active.q.val() & self.pushing.val();

        // Packets, and what is to be said of them, come from one of the two.
        self.pending.word.next = self.realigner.done.val();
        self.pending.push.next = self.realigner.done_push.val();
        self.packet.d0.next = self.segmenter.q0.val();
        self.packet.d1.next = self.segmenter.q1.val();
        self.packet.keep.next = self.realigner.m.keep.val();
        self.packet.last.next = self.realigner.m.last.val();
        self.packet.abort.next = self.realigner.m.abort.val();
        self.packet.raw.next = self.realigner.m.raw.val();
        self.packet.ipcs.next = self.realigner.m.ipcs.val();
        self.packet.l4cs.next = self.realigner.m.l4cs.val();
        self.packet.next_hop.next = self.realigner.m.next_hop.val();
        self.packet.stamp.next = self.realigner.m.stamp.val();
        self.packet.segment.next = self.segmenter.segment.val();
        self.packet.follows.next = self.segmenter.follows.val();
        self.packet.tag.next = self.realigner.m.tag.val();
        self.packet.tci.next = self.realigner.m.tci.val();
        self.packet.valid.next = self.realigner.m.valid.val();
        self.realigner.m.ready.next = self.packet.ready.val();
        self.push.m.ready.next = self.packet.ready.val();
        if self.pushing.val() {
            self.pending.word.next = self.push.done.val();
            self.pending.push.next = self.push.done_push.val();
            self.packet.d0.next = self.push.m.d0.val();
            self.packet.d1.next = self.push.m.d1.val();
            self.packet.keep.next = self.push.m.keep.val();
            self.packet.last.next = self.push.m.last.val();
            self.packet.abort.next = self.push.m.abort.val();
            self.packet.raw.next = self.push.m.raw.val();
            self.packet.ipcs.next = self.push.m.ipcs.val();
            self.packet.l4cs.next = self.push.m.l4cs.val();
            self.packet.next_hop.next = self.push.m.next_hop.val();
            self.packet.stamp.next = self.push.m.stamp.val();
            self.packet.segment.next = self.push.m.segment.val();
            self.packet.follows.next = self.push.m.follows.val();
            self.packet.tag.next = self.push.m.tag.val();
            self.packet.tci.next = self.push.m.tci.val();
            self.packet.valid.next = self.push.m.valid.val();
        }

        // Ended frames to completions: an aborted frame gets no verdict.
        self.take.next = false;
        self.verdict.ready.next = false;
        self.counted.d.next = 0.into();
        if self.pending.valid.val() & !self.posting.q.val() {
            if self.pending.front.val().get_bit(15) | self.pending.front.val().get_bit(17) {
                self.take.next = true;
                self.posting.d.next = !self.pending.front.val().get_bit(18);
            } else {
                self.verdict.ready.next = true;
                self.take.next = self.verdict.valid.val();
                self.posting.d.next = self.verdict.valid.val()
                    & !self.pending.front.val().get_bit(18)
                    & (self.verdict.bad.val()
                        | self.verdict.arp_miss.val()
                        | self.pending.front.val().get_bit(16));
            }
        }
        // A segment with another behind it leaves the telling to the last.
        if self.take.val() {
            self.open.d.next = self.pending.front.val().get_bit(18)
                & !self.pending.front.val().get_bit(15)
                & !self.pending.front.val().get_bit(17)
                & self.verdict.arp_miss.val();
        }
        if self.take.val() & !self.pending.front.val().get_bit(18) {
            self.retired.d.next = bit_cast::<15, 32>(self.pending.front.val()) + 1;
            self.post_index.d.next =
                bit_cast::<15, 32>(self.pending.front.val()) & self.sq_mask.q.val();
            self.post_status.d.next = 0.into();
            self.post_hash.d.next = 0.into();
            if self.pending.front.val().get_bit(15) & self.pending.front.val().get_bit(17) {
                self.post_status.d.next = 0x1800.into();
                self.counted.d.next = 0xC_0000.into();
            } else if self.pending.front.val().get_bit(15) {
                self.post_status.d.next = 0x1000.into();
                self.counted.d.next = 0x4_0000.into();
            } else if self.pending.front.val().get_bit(17) {
                self.post_status.d.next = 0x800.into();
                self.counted.d.next = 0x8_0000.into();
            } else if self.verdict.bad.val() {
                self.post_status.d.next = 0x1000.into();
                self.counted.d.next = 0x4_0000.into();
            } else if self.verdict.arp_miss.val() {
                self.post_status.d.next = 0x400.into();
                self.post_hash.d.next = self.verdict.address.val();
            } else if self.verdict.stamped.val() {
                self.post_status.d.next = 0x4000.into();
                self.post_hash.d.next = self.verdict.address.val();
            }
        }
        self.pending.pop.next = self.take.val();
        if self.posting.q.val() & self.writer.ready.val() {
            self.posting.d.next = false;
        }
        self.events.next = self.counted.q.val();
        self.writer.start.next = self.begin_q.q.val();
        self.writer.base_lo.next = self.ctl.cq_lo.val();
        self.writer.base_hi.next = self.ctl.cq_hi.val();
        self.writer.log2.next = self.cq_log2.q.val();
        self.writer.w0.next = 0.into();
        self.writer.w1.next = 0.into();
        self.writer.w2.next = 0.into();
        self.writer.w3.next = 0.into();
        if self.posting.q.val() {
            self.writer.w0.next = bit_cast::<32, 16>(self.post_status.q.val()) << 16;
            // TS_VALID.
            if self.post_status.q.val().get_bit(14) {
                self.writer.w2.next = self.post_hash.q.val();
            } else {
                self.writer.w1.next = self.post_hash.q.val();
            }
            self.writer.w3.next = bit_cast::<32, 15>(self.post_index.q.val()) << 16;
        }
        self.writer.valid.next = self.posting.q.val();
        self.writer.more.next =
            self.active.q.val() & (self.pending.count.val() != 0) & !self.barrier.val();
        self.writer.hold.next = false;
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

        // The barrier: first the frames without a verdict, then the completions that are not written.
        self.fence_gap.next = self.writer.tail.val() - self.fence_tail.q.val();
        match self.fence.q.val() {
            BarrierState::Off => {
                self.fence_left.d.next = self.pending.count.val();
                if self.take.val() {
                    self.fence_left.d.next = self.pending.count.val() - 1;
                }
                if self.barrier.val() {
                    self.fence.d.next = BarrierState::Retire;
                }
            }
            BarrierState::Retire => {
                if self.take.val() & self.fence_left.q.val().any() {
                    self.fence_left.d.next = self.fence_left.q.val() - 1;
                }
                if !self.fence_left.q.val().any() & !self.open.q.val() & !self.posting.q.val() {
                    self.fence_tail.d.next = self.writer.head.val();
                    self.fence.d.next = BarrierState::Written;
                }
            }
            BarrierState::Written => {
                if !self.fence_gap.val().get_bit(14) {
                    self.fence.d.next = BarrierState::Done;
                }
            }
            _ => {
                self.fence.d.next = BarrierState::Done;
            }
        }
        if !self.barrier.val() {
            self.fence.d.next = BarrierState::Off;
        }
        if self.begin_q.q.val() {
            // Nothing is pending, and the writer's indices begin anew.
            self.fence_tail.d.next = 0.into();
        }
        self.fence_moves.next = ((self.fence.q.val() == BarrierState::Off) & self.barrier.val())
            | ((self.fence.q.val() != BarrierState::Off) & !self.barrier.val())
            | ((self.fence.q.val() == BarrierState::Retire)
                & !self.fence_left.q.val().any()
                & !self.open.q.val()
                & !self.posting.q.val())
            | ((self.fence.q.val() == BarrierState::Written) & !self.fence_gap.val().get_bit(14));
        self.barrier_done.next = self.fence.q.val() == BarrierState::Done;
        // Written without the names above: what they drive must not depend, as a block, on what `busy` reads.
        self.busy.next = self.fetcher.busy.val()
            | self.reader.busy.val()
            | self.realigner.busy.val()
            | self.push.busy.val()
            | self.writer.busy.val()
            | (self.pending.valid.val()
                & !self.posting.q.val()
                & (self.verdict.valid.val()
                    | self.pending.front.val().get_bit(15)
                    | self.pending.front.val().get_bit(17)))
            | self.counted.q.val().any()
            | self.failed_q.q.val()
            | (self.db_valid.q.val() | self.apply.q.val())
            | (self.state.q.val() == TxState::Start)
            | (self.active.q.val() & !self.ctl.enable.val())
            | ((self.state.q.val() == TxState::Stopped)
                & self.ctl.enable.val()
                & !self.locked.q.val())
            | ((self.state.q.val() == TxState::Drain)
                & self.fetcher.idle.val()
                & self.realigner.idle.val()
                & self.push.idle.val()
                & (self.pending.count.val() == 0)
                & !self.posting.q.val())
            | self.fence_moves.val();
        if self.reset.val() {
            self.state.d.next = TxState::Stopped;
            self.active.d.next = false;
            self.begin_q.d.next = false;
            self.apply.d.next = false;
            self.error.d.next = 0.into();
            self.locked.d.next = false;
            self.failed_q.d.next = false;
            self.pushes.d.next = false;
            self.db_valid.d.next = false;
            self.retired.d.next = 0.into();
            self.posting.d.next = false;
            self.counted.d.next = 0.into();
            self.open.d.next = false;
            self.fence.d.next = BarrierState::Off;
        }
    }
}
