//! Four receive queues: packets to slots, RXCQs.
use super::bank::Bank;
use super::cq_writer::CqWriter;
use super::frame_writer::FrameWriter;
use super::pages::QueuePages;
use super::slot_fetcher::SlotFetcher;
use super::state::page_register;
use crate::pcie::ports::{QueueBusSink, ReadDataSink, ReadReqSource, WriteSource};
use crate::rx::ports::RxPacketSink;
use ferrule_abi::regs;
use rust_hdl::prelude::*;

#[doc(hidden)]
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum RxStep {
    Idle,
    Post,
    Writing,
}

/// Puts each frame into the next slot that the host gave its queue and posts its completion, which is made up meanwhile.
///
/// Without a slot or room in the ring a frame waits in the receive buffer, or is forgotten where CFG.DROP says so. The frames of a queue that
/// does not run are forgotten. Disabling, or an error, finishes the frame that is under way.
#[derive(LogicBlock)]
pub struct RxQueues {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// Negotiated payload as PCIe encodes it.
    pub max_payload: Signal<In, Bits<3>>,
    /// What the host writes to the queues' registers, and their STATUS.
    pub bus: QueueBusSink,
    /// Reads of the RXQs.
    pub rq_req: ReadReqSource,
    /// Their answers.
    pub rq_data: ReadDataSink,
    /// Frames out of the receive buffer.
    pub packet: RxPacketSink,
    /// Writes to the slots.
    pub payload: WriteSource,
    /// Writes to the RXCQs.
    pub cq: WriteSource,
    /// A frame is in the receive buffer that is not read to its end.
    pub waiting: Signal<In, Bit>,
    /// A frame comes in from the wire: a completion may wait a little for its company.
    pub incoming: Signal<In, Bit>,
    /// High for one cycle: the receive buffer dropped a frame for want of room.
    pub overflow: Signal<In, Bit>,
    /// Bit i is high for one cycle: queue i stopped with an error.
    pub failed: Signal<Out, Bits<4>>,
    /// MSI-X vectors to raise, one pulse bit each.
    pub irq: Signal<Out, Bits<8>>,
    /// Pulses for the counters RX_TRUNCATED and RX_DROP_NO_SLOT.
    pub events: Signal<Out, Bits<32>>,
    /// Something is under way.
    pub busy: Signal<Out, Bit>,
    pages: QueuePages,
    fetcher: SlotFetcher,
    frames: FrameWriter,
    writer: CqWriter,
    step: DFF<RxStep>,
    /// Where slot 0 is, of whose turn it is; the size of a slot, log2 of bytes, and how many there are.
    slot_lo: RAM<Bits<32>, 2>,
    slot_hi: RAM<Bits<32>, 2>,
    stride: Bank<4>,
    slots: Bank<15>,
    slots_sound: DFF<Bits<4>>,
    lost: DFF<Bits<4>>,
    /// This build has CFG.IN_ORDER alone.
    only_in_order: Constant<Bits<1>>,
    /// Cycles for which the newest completion still waits for a frame that comes in.
    patience: DFF<Bits<7>>,
    w0: DFF<Bits<32>>,
    w1: DFF<Bits<32>>,
    w2: DFF<Bits<32>>,
    w3: DFF<Bits<32>>,
    counted: DFF<Bits<32>>,
    set_slots: Signal<Local, Bit>,
    set_stride: Signal<Local, Bits<4>>,
    set_flag: Signal<Local, Bits<4>>,
    set_rest: Signal<Local, Bits<4>>,
    lowest: Signal<Local, Bits<4>>,
    turn_flag: Signal<Local, Bits<4>>,
    bad_reads: Signal<Local, Bits<4>>,
    bad_slots: Signal<Local, Bits<4>>,
    carried: Signal<Local, Bits<4>>,
    aim_flag: Signal<Local, Bits<4>>,
    aim_rest: Signal<Local, Bits<4>>,
    /// The frame's queue runs; it is its turn; the frame cannot go on without the host.
    aimed: Signal<Local, Bit>,
    here: Signal<Local, Bit>,
    stuck: Signal<Local, Bit>,
    at_port: Signal<Local, Bit>,
    go: Signal<Local, Bit>,
    skip: Signal<Local, Bit>,
    bad_slot: Signal<Local, Bit>,
    lost_after: Signal<Local, Bits<4>>,
    waits_for: Signal<Local, Bits<4>>,
    slot_lo_word: Constant<Bits<4>>,
    slot_hi_word: Constant<Bits<4>>,
    slots_word: Constant<Bits<4>>,
}

impl Default for RxQueues {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            max_payload: Default::default(),
            bus: Default::default(),
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
            pages: Default::default(),
            fetcher: Default::default(),
            frames: Default::default(),
            writer: Default::default(),
            step: Default::default(),
            slot_lo: Default::default(),
            slot_hi: Default::default(),
            stride: Default::default(),
            slots: Default::default(),
            slots_sound: Default::default(),
            lost: Default::default(),
            only_in_order: Constant::new(0.into()),
            patience: Default::default(),
            w0: Default::default(),
            w1: Default::default(),
            w2: Default::default(),
            w3: Default::default(),
            counted: Default::default(),
            set_slots: Default::default(),
            set_stride: Default::default(),
            set_flag: Default::default(),
            set_rest: Default::default(),
            lowest: Default::default(),
            turn_flag: Default::default(),
            bad_reads: Default::default(),
            bad_slots: Default::default(),
            carried: Default::default(),
            aim_flag: Default::default(),
            aim_rest: Default::default(),
            aimed: Default::default(),
            here: Default::default(),
            stuck: Default::default(),
            at_port: Default::default(),
            go: Default::default(),
            skip: Default::default(),
            bad_slot: Default::default(),
            lost_after: Default::default(),
            waits_for: Default::default(),
            slot_lo_word: page_register(regs::rx_slot_base_lo::OFFSET),
            slot_hi_word: page_register(regs::rx_slot_base_hi::OFFSET),
            slots_word: page_register(regs::rx_slot_cfg::OFFSET),
        }
    }
}

impl RxQueues {
    /// Leaves slots in their order alone, whatever CFG says.
    pub(crate) fn only_in_order(&mut self) {
        self.only_in_order = Constant::new(1.into());
    }
}

impl Logic for RxQueues {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            step,
            slots_sound,
            lost,
            patience,
            w0,
            w1,
            w2,
            w3,
            counted
        );
        clock!(self, clock, pages, fetcher, frames, writer, stride, slots);
        self.fetcher.reset.next = self.reset.val();
        self.frames.reset.next = self.reset.val();
        self.writer.reset.next = self.reset.val();
        ReadReqSource::link(&mut self.rq_req, &mut self.fetcher.req);
        ReadDataSink::link(&mut self.rq_data, &mut self.fetcher.data);
        RxPacketSink::link(&mut self.packet, &mut self.frames.s);
        WriteSource::link(&mut self.payload, &mut self.frames.m);
        WriteSource::link(&mut self.cq, &mut self.writer.m);

        self.pages.reset.next = self.reset.val();
        QueueBusSink::link(&mut self.bus, &mut self.pages.bus);
        self.failed.next = self.pages.failed.val();

        // What the host writes.
        self.lowest.next = 1.into();
        self.set_flag.next = self.lowest.val() << bit_cast::<4, 2>(self.bus.place.val());
        self.set_rest.next = !self.set_flag.val();
        self.set_slots.next = self.bus.write.val() & (self.bus.word.val() == self.slots_word.val());
        self.set_stride.next = bit_cast::<4, 32>(self.bus.data.val());
        if self.set_slots.val() {
            self.slots_sound.d.next = self.slots_sound.q.val() & self.set_rest.val();
            if (self.set_stride.val() >= 11) & (self.set_stride.val() <= 14) {
                self.slots_sound.d.next = self.slots_sound.q.val() | self.set_flag.val();
            }
        }
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
        self.slot_lo.read_clock.next = self.clock.val();
        self.slot_lo.write_clock.next = self.clock.val();
        self.slot_lo.read_address.next = self.fetcher.next_turn.val();
        self.slot_lo.write_address.next = self.bus.place.val();
        self.slot_lo.write_data.next = self.bus.data.val();
        self.slot_lo.write_enable.next =
            self.bus.write.val() & (self.bus.word.val() == self.slot_lo_word.val());
        self.slot_hi.read_clock.next = self.clock.val();
        self.slot_hi.write_clock.next = self.clock.val();
        self.slot_hi.read_address.next = self.fetcher.next_turn.val();
        self.slot_hi.write_address.next = self.bus.place.val();
        self.slot_hi.write_data.next = self.bus.data.val();
        self.slot_hi.write_enable.next =
            self.bus.write.val() & (self.bus.word.val() == self.slot_hi_word.val());
        self.stride.clear.next = 0.into();
        self.stride.place.next = self.fetcher.whose_turn.val();
        self.stride.other.next = self.fetcher.whose_turn.val();
        self.stride.target.next = self.bus.place.val();
        self.stride.d.next = self.set_stride.val();
        self.stride.write.next = self.set_slots.val();
        self.slots.clear.next = 0.into();
        self.slots.place.next = self.fetcher.whose_turn.val();
        self.slots.other.next = self.fetcher.whose_turn.val();
        self.slots.target.next = self.bus.place.val();
        self.slots.d.next = self.bus.data.val().get_bits::<15>(16);
        self.slots.write.next = self.set_slots.val();

        // Doorbells.
        self.pages.bad_index.next =
            self.fetcher.producer_bad.val() | self.writer.consumer_bad.val();
        self.fetcher.bell.next = self.pages.bell.val();
        self.fetcher.producer.next = self.pages.producer.val();
        self.fetcher.update_idx.next = self.pages.apply.val();
        self.writer.bell.next = self.pages.bell.val();
        self.writer.consumer.next = self.pages.consumer.val();
        self.writer.arm.next = self.pages.arm.val();
        self.writer.update_idx.next = self.pages.apply.val();

        // Each queue's state.
        self.turn_flag.next = self.lowest.val() << bit_cast::<4, 2>(self.fetcher.whose_turn.val());
        self.bad_slot.next = self.fetcher.valid.val()
            & (self.fetcher.slot.val() >= bit_cast::<16, 15>(self.slots.q.val()));
        self.pages.sound.next = self.slots_sound.q.val();
        self.bad_reads.next = 0.into();
        if self.fetcher.error.val() {
            self.bad_reads.next = self.turn_flag.val();
        }
        self.pages.bad_read.next = self.bad_reads.val();
        self.bad_slots.next = 0.into();
        if self.bad_slot.val() {
            self.bad_slots.next = self.turn_flag.val();
        }
        self.pages.bad_slot.next = self.bad_slots.val();
        // A read or a frame is under way for the queue whose turn it is.
        self.carried.next = 0.into();
        if !self.fetcher.idle.val() | !self.frames.idle.val() | (self.step.q.val() != RxStep::Idle)
        {
            self.carried.next = self.turn_flag.val();
        }
        self.pages.drained.next = !(self.writer.unwritten.val() | self.carried.val());
        self.fetcher.start.next = self.pages.start.val();
        self.writer.start.next = self.pages.start.val();
        self.fetcher.run.next = self.pages.active.val();
        self.fetcher.in_order.next = self.pages.special.val();
        if self.only_in_order.val().any() {
            self.fetcher.in_order.next = 15.into();
        }

        // Whose frame it is, and whether it can go.
        self.at_port.next =
            (self.step.q.val() == RxStep::Idle) & self.frames.idle.val() & self.packet.valid.val();
        self.aim_flag.next = self.lowest.val() << bit_cast::<4, 2>(self.packet.queue.val());
        self.aim_rest.next = !self.aim_flag.val();
        self.aimed.next = (self.pages.active.val() & self.aim_flag.val()).any();
        self.here.next = self.fetcher.whose_turn.val() == self.packet.queue.val();
        self.go.next = self.at_port.val()
            & self.here.val()
            & self.fetcher.valid.val()
            & !self.bad_slot.val()
            & self.writer.room.val();
        self.stuck.next = self.here.val() & (self.fetcher.empty.val() | self.writer.full.val());
        self.skip.next = self.at_port.val()
            & (!self.aimed.val()
                | (self.stuck.val() & (self.pages.drops.val() & self.aim_flag.val()).any()));
        self.fetcher.writing.next = (self.step.q.val() != RxStep::Idle) | !self.frames.idle.val();
        self.fetcher.waits.next = self.at_port.val() & self.aimed.val();
        self.fetcher.aim.next = self.packet.queue.val();
        self.fetcher.ready.next = self.go.val();
        self.frames.max_payload.next = self.max_payload.val();
        self.frames.base_lo.next = self.slot_lo.read_data.val();
        self.frames.base_hi.next = self.slot_hi.read_data.val();
        self.frames.stride_log2.next = self.stride.q.val();
        self.frames.slot.next = bit_cast::<15, 16>(self.fetcher.slot.val());
        self.frames.go.next = self.go.val();
        self.frames.skip.next = self.skip.val();

        // Frame by frame. A frame's description is on the port until its last beat: the completion is made up at its first.
        self.counted.d.next = 0.into();
        if self.patience.q.val().any() {
            self.patience.d.next = self.patience.q.val() - 1;
        }
        self.fetcher.retire.next = false;
        self.lost_after.next = self.lost.q.val();
        match self.step.q.val() {
            RxStep::Idle => {
                if self.go.val() {
                    // TS_VALID, and DROPPED_BEFORE.
                    self.w0.d.next = bit_cast::<32, 16>(self.packet.len.val())
                        | (bit_cast::<32, 16>(self.packet.status.val()) << 16)
                        | 0x4000_0000;
                    if (self.lost.q.val() & self.aim_flag.val()).any() {
                        self.w0.d.next = bit_cast::<32, 16>(self.packet.len.val())
                            | (bit_cast::<32, 16>(self.packet.status.val()) << 16)
                            | 0x6000_0000;
                    }
                    self.w1.d.next = self.packet.hash.val();
                    self.w2.d.next = self.packet.timestamp.val();
                    self.w3.d.next = bit_cast::<32, 16>(self.packet.offsets.val())
                        | (bit_cast::<32, 16>(self.fetcher.slot.val()) << 16);
                    self.lost_after.next = self.lost.q.val() & self.aim_rest.val();
                    self.step.d.next = RxStep::Post;
                } else if self.skip.val() {
                    self.counted.d.next = 0x1000.into();
                    self.lost_after.next = self.lost.q.val() | self.aim_flag.val();
                }
            }
            RxStep::Post => {
                if self.writer.ready.val() {
                    if self.frames.truncated.val() {
                        self.counted.d.next = 0x800_0000.into();
                    }
                    self.patience.d.next = 127.into();
                    self.fetcher.retire.next = true;
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
        self.lost.d.next = self.lost_after.val() & self.pages.active.val();
        if self.overflow.val() {
            self.lost.d.next = self.pages.active.val();
        }
        self.events.next = self.counted.q.val();
        self.writer.owner.next = self.fetcher.whose_turn.val();
        self.writer.w0.next = self.w0.q.val();
        if self.frames.truncated.val() {
            self.writer.w0.next = self.w0.q.val() | 0x200_0000;
        }
        self.writer.w1.next = self.w1.q.val();
        self.writer.w2.next = self.w2.q.val();
        self.writer.w3.next = self.w3.q.val();
        self.writer.valid.next = self.step.q.val() == RxStep::Post;
        // As long as the next frame has a slot and room, or will be looked at in a few cycles. Written without the names above, as `ready` is
        // among what they are made of.
        self.writer.more.next = (self.step.q.val() == RxStep::Post)
            | (((self.fetcher.valid.val() & !self.writer.full.val())
                | self.fetcher.soon.val()
                | ((self.step.q.val() == RxStep::Idle)
                    & self.packet.valid.val()
                    & (self.fetcher.whose_turn.val() != self.packet.queue.val())))
                & (self.waiting.val() | (self.incoming.val() & self.patience.q.val().any())));
        self.writer.hold.next = (self.step.q.val() == RxStep::Writing) & !self.frames.idle.val();
        self.writer.discard.next = false;
        self.irq.next = self.writer.irq.val();
        // Written without the names above: what they drive must not depend, as a block, on what `busy` reads.
        self.waits_for.next = self.pages.active.val() >> bit_cast::<4, 2>(self.packet.queue.val());
        self.busy.next = self.fetcher.busy.val()
            | self.frames.busy.val()
            | self.writer.busy.val()
            | ((self.step.q.val() == RxStep::Idle)
                & self.packet.valid.val()
                & (!self.waits_for.val().get_bit(0)
                    | self.fetcher.soon.val()
                    | ((self.fetcher.whose_turn.val() != self.packet.queue.val())
                        & self.fetcher.settled.val())
                    | (self.fetcher.valid.val() & !self.writer.full.val())))
            | ((self.step.q.val() == RxStep::Writing) & self.frames.idle.val())
            | self.counted.q.val().any()
            | self.pages.busy.val()
            | (self.fetcher.valid.val()
                & (self.fetcher.slot.val() >= bit_cast::<16, 15>(self.slots.q.val())));
        if self.reset.val() {
            self.step.d.next = RxStep::Idle;
            self.lost.d.next = 0.into();
            self.patience.d.next = 0.into();
            self.counted.d.next = 0.into();
            self.slots_sound.d.next = 0.into();
        }
    }
}
