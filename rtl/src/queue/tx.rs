//! Four transmit queues: SQs to packets, verdicts to TXCQs.
use super::bank::Bank;
use super::cq_writer::CqWriter;
use super::fifo::Fifo;
use super::pages::QueuePages;
use super::payload_reader::PayloadReader;
use super::push::Push;
use super::realigner::Realigner;
use super::segmenter::Segmenter;
use super::sqe_fetcher::SqeFetcher;
use crate::pcie::ports::{PushSink, QueueBusSink, ReadDataSink, ReadReqSource, WriteSource};
use crate::tx::ports::{TxPacketSource, TxVerdictSink};
use array_init::array_init;
use rust_hdl::prelude::*;

#[doc(hidden)]
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum BarrierState {
    Off,
    Retire,
    Written,
    Done,
}

/// Fetches SQEs of one queue after the other, sends their frames, waits for each frame's verdict and posts the completions that are due.
///
/// Disabling a queue, or an error, stops its fetching, aborts a frame of which SQEs are missing, lets whole frames finish, and then clears
/// `running`; a completion for which the ring has no room is forgotten then. A completion for which the ring of a running queue has no room
/// waits, and those of the other queues behind it.
///
/// In PUSH mode (CFG.PUSH, queue 0 alone) there is no SQ: frames come from [`Push`], and a doorbell's producer means nothing.
#[derive(LogicBlock)]
pub struct TxQueues {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// MRRS as PCIe encodes it.
    pub max_read: Signal<In, Bits<3>>,
    /// What the host writes to the queues' registers, and their STATUS.
    pub bus: QueueBusSink,
    /// Reads of the SQs.
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
    /// Writes to the TXCQs.
    pub cq: WriteSource,
    /// Writes of the host to the push window.
    pub window: PushSink,
    /// Pulse: such a write was for nothing.
    pub stray: Signal<Out, Bit>,
    /// Stays high until `barrier_done`: tell when the completions of all frames that are in the transmit path now are written.
    pub barrier: Signal<In, Bit>,
    /// The frame whose verdict comes next waits for its neighbour's lookup, which waits itself: it is not among those that the barrier
    /// is about, as the lookup may wait for the room of the very event that the barrier is for.
    pub stalled: Signal<In, Bit>,
    /// They are; falls with `barrier`.
    pub barrier_done: Signal<Out, Bit>,
    /// Bit i is high for one cycle: queue i stopped with an error.
    pub failed: Signal<Out, Bits<4>>,
    /// MSI-X vectors to raise, one pulse bit each.
    pub irq: Signal<Out, Bits<8>>,
    /// Pulses for the counters TX_BAD_DESC and TX_DMA_ERR.
    pub events: Signal<Out, Bits<32>>,
    /// Something is under way.
    pub busy: Signal<Out, Bit>,
    pages: QueuePages,
    fetcher: SqeFetcher,
    reader: PayloadReader,
    list: Fifo,
    realigner: Realigner,
    segmenter: Segmenter,
    push: Push,
    pending: Fifo,
    writer: CqWriter,
    /// Frames of each queue that its SQEs are read of and that are not retired.
    under_way: [DFF<Bits<6>>; 4],
    /// SQ_LOG2 of whose completion is made up.
    sq_log2: Bank<4>,
    sq_size: Signal<Local, Bits<15>>,
    sq_mask: Signal<Local, Bits<15>>,
    wide_one: Signal<Local, Bits<15>>,
    /// This build has PUSH mode alone: what fetches is held in reset, for the tools to take it out.
    only_pushes: Constant<Bits<1>>,
    pushing: Signal<Local, Bit>,
    held: Signal<Local, Bit>,
    lowest: Signal<Local, Bits<4>>,
    turn_flag: Signal<Local, Bits<4>>,
    begun: Signal<Local, Bits<4>>,
    ended: Signal<Local, Bits<4>>,
    /// Whose frame the oldest word of `pending` is of.
    whose: Signal<Local, Bits<2>>,
    whose_flag: Signal<Local, Bits<4>>,
    posting: DFF<Bit>,
    post_status: DFF<Bits<16>>,
    /// The next hop's address of a miss, or the time of a frame that has left.
    post_hash: DFF<Bits<32>>,
    post_index: DFF<Bits<15>>,
    post_queue: DFF<Bits<2>>,
    post_flag: Signal<Local, Bits<4>>,
    /// Bit i, of queue i: CFG.PUSH is clear; it may start as far as PUSH mode goes, by the rule for all others and for the first; a read of
    /// its ring failed; its SQEs are read; its frames are pushed; its frames are under way.
    plain: Signal<Local, Bits<4>>,
    others_sound: Signal<Local, Bits<4>>,
    first_sound: Signal<Local, Bits<4>>,
    bad_reads: Signal<Local, Bits<4>>,
    fetching: Signal<Local, Bits<4>>,
    pushed: Signal<Local, Bits<4>>,
    carried: Signal<Local, Bits<4>>,
    counted: DFF<Bits<32>>,
    /// A packet that is cut into segments has missed its neighbour, and its last segment is not taken.
    open: DFF<Bit>,
    fence: DFF<BarrierState>,
    fence_left: DFF<Bits<5>>,
    fence_moves: Signal<Local, Bit>,
    passes: Signal<Local, Bit>,
    take: Signal<Local, Bit>,
}

impl Default for TxQueues {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            max_read: Default::default(),
            bus: Default::default(),
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
            stalled: Default::default(),
            barrier_done: Default::default(),
            failed: Default::default(),
            irq: Default::default(),
            events: Default::default(),
            busy: Default::default(),
            pages: Default::default(),
            fetcher: Default::default(),
            reader: Default::default(),
            list: Default::default(),
            realigner: Default::default(),
            segmenter: Default::default(),
            push: Default::default(),
            pending: Default::default(),
            writer: Default::default(),
            under_way: array_init(|_| Default::default()),
            sq_log2: Default::default(),
            sq_size: Default::default(),
            sq_mask: Default::default(),
            wide_one: Default::default(),
            only_pushes: Constant::new(0.into()),
            pushing: Default::default(),
            held: Default::default(),
            lowest: Default::default(),
            turn_flag: Default::default(),
            begun: Default::default(),
            ended: Default::default(),
            whose: Default::default(),
            whose_flag: Default::default(),
            posting: Default::default(),
            post_status: Default::default(),
            post_hash: Default::default(),
            post_index: Default::default(),
            post_queue: Default::default(),
            post_flag: Default::default(),
            plain: Default::default(),
            others_sound: Default::default(),
            first_sound: Default::default(),
            bad_reads: Default::default(),
            fetching: Default::default(),
            pushed: Default::default(),
            carried: Default::default(),
            counted: Default::default(),
            open: Default::default(),
            fence: Default::default(),
            fence_left: Default::default(),
            fence_moves: Default::default(),
            passes: Default::default(),
            take: Default::default(),
        }
    }
}

impl TxQueues {
    /// Leaves PUSH mode alone, whatever CFG says.
    pub(crate) fn only_push(&mut self) {
        self.only_pushes = Constant::new(1.into());
    }
}

impl Logic for TxQueues {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            posting,
            post_status,
            post_hash,
            post_index,
            post_queue,
            counted,
            open,
            fence,
            fence_left
        );
        clock!(
            self, clock, pages, fetcher, reader, list, realigner, segmenter, push, pending, writer,
            sq_log2
        );
        self.pages.reset.next = self.reset.val();
        QueueBusSink::link(&mut self.bus, &mut self.pages.bus);
        self.failed.next = self.pages.failed.val();
        self.pushing.next = (self.pages.special.val().get_bit(0)
            & self.pages.running.val().get_bit(0))
            | self.only_pushes.val().any();
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

        // What the host writes.
        self.fetcher.set_cfg.next = self.pages.set_cfg.val();
        self.fetcher.set_lo.next = self.pages.set_ring_lo.val();
        self.fetcher.set_hi.next = self.pages.set_ring_hi.val();
        self.fetcher.set_place.next = self.bus.place.val();
        self.fetcher.set_data.next = self.bus.data.val();
        self.writer.alone.next = false;
        self.writer.set_cfg.next = self.pages.set_cfg.val();
        self.writer.set_lo.next = self.pages.set_cq_lo.val();
        self.writer.set_hi.next = self.pages.set_cq_hi.val();
        self.writer.set_place.next = self.bus.place.val();
        self.writer.set_data.next = self.bus.data.val();
        self.whose.next = self.pending.front.val().get_bits::<2>(19);
        self.sq_log2.clear.next = 0.into();
        self.sq_log2.place.next = self.pending.front.val().get_bits::<2>(19);
        self.sq_log2.other.next = self.pending.front.val().get_bits::<2>(19);
        self.sq_log2.target.next = self.bus.place.val();
        self.sq_log2.d.next = bit_cast::<4, 32>(self.bus.data.val());
        self.sq_log2.write.next = self.pages.set_cfg.val();

        // Doorbells.
        self.pages.bad_index.next = (self.fetcher.producer_bad.val() & !self.pushing.val())
            | self.writer.consumer_bad.val();
        self.writer.bell.next = self.pages.bell.val();
        self.writer.consumer.next = self.pages.consumer.val();
        self.writer.arm.next = self.pages.arm.val();
        self.writer.update_idx.next = self.pages.apply.val();

        // Each queue's state. PUSH mode is for queue 0 while no other one runs.
        self.lowest.next = 1.into();
        self.turn_flag.next = self.lowest.val() << bit_cast::<4, 2>(self.fetcher.whose_turn.val());
        self.plain.next = !self.pages.special.val();
        self.others_sound.next = self.plain.val() & 14;
        if self.pushing.val() {
            self.others_sound.next = 0.into();
        }
        self.first_sound.next = 0.into();
        if self.plain.val().get_bit(0) | !(self.pages.running.val() & 14).any() {
            self.first_sound.next = 1.into();
        }
        self.pages.sound.next = self.others_sound.val() | self.first_sound.val();
        self.bad_reads.next = 0.into();
        if self.fetcher.error.val() {
            self.bad_reads.next = self.turn_flag.val();
        }
        self.pages.bad_read.next = self.bad_reads.val();
        self.pages.bad_slot.next = 0.into();
        self.post_flag.next = 0.into();
        if self.posting.q.val() {
            self.post_flag.next = self.lowest.val() << bit_cast::<4, 2>(self.post_queue.q.val());
        }
        // SQEs of the queue whose turn it is may be read; in PUSH mode a frame of queue 0 may be.
        self.fetching.next = 0.into();
        if !self.fetcher.idle.val() | !self.reader.idle.val() {
            self.fetching.next = self.turn_flag.val();
        }
        self.pushed.next = 0.into();
        if !self.push.idle.val() {
            self.pushed.next = 1.into();
        }
        self.carried.next = bit_cast::<4, 1>(self.under_way[0].q.val().any().into())
            | (bit_cast::<4, 1>(self.under_way[1].q.val().any().into()) << 1)
            | (bit_cast::<4, 1>(self.under_way[2].q.val().any().into()) << 2)
            | (bit_cast::<4, 1>(self.under_way[3].q.val().any().into()) << 3);
        self.pages.drained.next = !(self.writer.unwritten.val()
            | self.post_flag.val()
            | self.fetching.val()
            | self.pushed.val()
            | self.carried.val());

        // SQEs to reads.
        self.fetcher.start.next = self.pages.start.val();
        self.fetcher.run.next = self.pages.active.val();
        if self.pushing.val() {
            self.fetcher.run.next = 0.into();
        }
        self.fetcher.bell.next = self.pages.bell.val();
        self.fetcher.producer.next = self.pages.producer.val();
        self.fetcher.update_idx.next = self.pages.apply.val() & !self.pushing.val();
        self.fetcher.between.next = self.reader.idle.val();
        self.reader.run.next = self.fetcher.runs.val();
        self.reader.owner.next = self.fetcher.whose_turn.val();
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
        self.push.start.next = self.pages.start.val().get_bit(0);
        self.push.run.next = self.pages.active.val().get_bit(0) & self.pushing.val();

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
            if self.pending.front.val().get_bit(15)
                | self.pending.front.val().get_bit(17)
                | self.pending.front.val().get_bit(21)
            {
                self.take.next = true;
                self.posting.d.next =
                    !self.pending.front.val().get_bit(18) & !self.pending.front.val().get_bit(21);
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
        self.whose_flag.next = self.lowest.val() << bit_cast::<4, 2>(self.whose.val());
        self.wide_one.next = 1.into();
        self.sq_size.next = self.wide_one.val() << bit_cast::<15, 4>(self.sq_log2.q.val());
        self.sq_mask.next = self.sq_size.val() - 1;
        self.fetcher.retired.next = bit_cast::<15, 32>(self.pending.front.val()) + 1;
        self.fetcher.retire_place.next = self.whose.val();
        self.fetcher.retire.next = self.take.val()
            & !self.pending.front.val().get_bit(18)
            & !self.pending.front.val().get_bit(21);
        if self.take.val() & !self.pending.front.val().get_bit(18) {
            self.post_queue.d.next = self.whose.val();
            self.post_index.d.next =
                bit_cast::<15, 32>(self.pending.front.val()) & self.sq_mask.val();
            self.post_status.d.next = 0.into();
            self.post_hash.d.next = 0.into();
            if self.pending.front.val().get_bit(21) {
                // The queue stops: nobody is told of a frame of which SQEs are missing.
                self.counted.d.next = 0.into();
            } else if self.pending.front.val().get_bit(15) & self.pending.front.val().get_bit(17) {
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
        // Frames from the SQE that ends them, or their last beat in PUSH mode, to their verdict.
        self.begun.next = 0.into();
        if self.reader.push.val()
            & self.reader.word.val().get_bit(31)
            & !self.reader.word.val().get_bit(18)
        {
            self.begun.next = self.turn_flag.val();
        }
        if self.pushing.val() {
            self.begun.next = 0.into();
            if self.push.done_push.val() {
                self.begun.next = 1.into();
            }
        }
        self.ended.next = 0.into();
        if self.take.val() & !self.pending.front.val().get_bit(18) {
            self.ended.next = self.whose_flag.val();
        }
        for i in 0..4 {
            self.under_way[i].clock.next = self.clock.val();
            self.under_way[i].d.next = self.under_way[i].q.val();
            if self.begun.val().get_bit(i) & !self.ended.val().get_bit(i) {
                self.under_way[i].d.next = self.under_way[i].q.val() + 1;
            } else if self.ended.val().get_bit(i) & !self.begun.val().get_bit(i) {
                self.under_way[i].d.next = self.under_way[i].q.val() - 1;
            }
        }
        if self.posting.q.val() & self.writer.ready.val() {
            self.posting.d.next = false;
        }
        self.events.next = self.counted.q.val();
        self.writer.start.next = self.pages.start.val();
        self.writer.owner.next = self.post_queue.q.val();
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
        self.writer.more.next = (self.pending.count.val() != 0) & !self.barrier.val();
        self.writer.hold.next = false;
        self.writer.discard.next = !(self.pages.active.val() & self.post_flag.val()).any();
        self.irq.next = self.writer.irq.val();

        // The barrier: first the frames without a verdict, then the completions that are not written.
        self.passes.next = self.stalled.val()
            & self.pending.valid.val()
            & !self.pending.front.val().get_bit(15)
            & !self.pending.front.val().get_bit(17)
            & !self.pending.front.val().get_bit(21)
            & !self.verdict.valid.val();
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
                if (!self.fence_left.q.val().any() | self.passes.val())
                    & !self.open.q.val()
                    & !self.posting.q.val()
                {
                    self.fence.d.next = BarrierState::Written;
                }
            }
            BarrierState::Written => {
                if !self.writer.unwritten.val().any() {
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
        self.fence_moves.next = ((self.fence.q.val() == BarrierState::Off) & self.barrier.val())
            | ((self.fence.q.val() != BarrierState::Off) & !self.barrier.val())
            | ((self.fence.q.val() == BarrierState::Retire)
                & (!self.fence_left.q.val().any() | self.passes.val())
                & !self.open.q.val()
                & !self.posting.q.val())
            | ((self.fence.q.val() == BarrierState::Written) & !self.writer.unwritten.val().any());
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
                    | self.pending.front.val().get_bit(17)
                    | self.pending.front.val().get_bit(21)))
            | self.counted.q.val().any()
            | self.pages.busy.val()
            | self.fence_moves.val();
        if self.reset.val() {
            for i in 0..4 {
                self.under_way[i].d.next = 0.into();
            }
            self.posting.d.next = false;
            self.counted.d.next = 0.into();
            self.open.d.next = false;
            self.fence.d.next = BarrierState::Off;
        }
    }
}
