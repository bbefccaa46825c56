//! The event queue: neighbours, link, queue errors.
use super::cq_writer::CqWriter;
use super::state::{page_register, QueueState};
use crate::neigh::ports::NeighEventSink;
use crate::pcie::ports::{QueueBusSink, WriteSource};
use array_init::array_init;
use ferrule_abi::regs;
use rust_hdl::prelude::*;

/// Writes events into their ring. While it does not run, events are forgotten.
///
/// A neighbour's event waits until the completions of all frames before it are written: an ARP_MISS is never seen after the
/// NEIGH_RESOLVED that answers it. If the ring is full, neighbours' events wait, a queue's error and the link's last state are kept.
#[derive(LogicBlock)]
pub struct EventQueue {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// Bits 31:0 of the clock in nanoseconds.
    pub now_lo: Signal<In, Bits<32>>,
    /// What the host writes to the queue's registers, and its STATUS.
    pub bus: QueueBusSink,
    /// Events of neighbours.
    pub neigh: NeighEventSink,
    /// The link is up.
    pub link_up: Signal<In, Bit>,
    /// Bit i is high for one cycle: transmit queue i stopped with an error.
    pub tx_failed: Signal<In, Bits<4>>,
    /// Bit i is high for one cycle: receive queue i stopped with an error.
    pub rx_failed: Signal<In, Bits<4>>,
    /// Asks the transmit queues for `barrier_done`.
    pub barrier: Signal<Out, Bit>,
    /// All completions before `barrier` are written.
    pub barrier_done: Signal<In, Bit>,
    /// Writes to the ring.
    pub m: WriteSource,
    /// MSI-X vectors to raise, one pulse bit each.
    pub irq: Signal<Out, Bits<8>>,
    /// Something is under way.
    pub busy: Signal<Out, Bit>,
    writer: CqWriter,
    control: QueueState,
    cfg_sound: DFF<Bit>,
    db: DFF<Bits<32>>,
    db_valid: DFF<Bit>,
    apply: DFF<Bit>,
    set_cfg: Signal<Local, Bit>,
    cq_log2: Signal<Local, Bits<4>>,
    link: DFF<Bit>,
    link_due: DFF<Bit>,
    own_due: DFF<Bit>,
    tx_due: DFF<Bits<4>>,
    rx_due: DFF<Bits<4>>,
    /// Those due and not told now, the page that is, and whether there is one.
    tx_left: Signal<Local, Bits<4>>,
    rx_left: Signal<Local, Bits<4>>,
    page: Signal<Local, Bits<4>>,
    due: Signal<Local, Bit>,
    rest: DFF<Bit>,
    posting: DFF<Bit>,
    w0: DFF<Bits<32>>,
    w1: DFF<Bits<32>>,
    w2: DFF<Bits<32>>,
    flag: [Constant<Bits<4>>; 4],
    tx_page: [Constant<Bits<4>>; 4],
    rx_page: [Constant<Bits<4>>; 4],
    doorbell_word: Constant<Bits<4>>,
    ctrl_word: Constant<Bits<4>>,
    cfg_word: Constant<Bits<4>>,
    cq_lo_word: Constant<Bits<4>>,
    cq_hi_word: Constant<Bits<4>>,
}

impl Default for EventQueue {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            now_lo: Default::default(),
            bus: Default::default(),
            neigh: Default::default(),
            link_up: Default::default(),
            tx_failed: Default::default(),
            rx_failed: Default::default(),
            barrier: Default::default(),
            barrier_done: Default::default(),
            m: Default::default(),
            irq: Default::default(),
            busy: Default::default(),
            writer: Default::default(),
            control: Default::default(),
            cfg_sound: Default::default(),
            db: Default::default(),
            db_valid: Default::default(),
            apply: Default::default(),
            set_cfg: Default::default(),
            cq_log2: Default::default(),
            link: Default::default(),
            link_due: Default::default(),
            own_due: Default::default(),
            tx_due: Default::default(),
            rx_due: Default::default(),
            tx_left: Default::default(),
            rx_left: Default::default(),
            page: Default::default(),
            due: Default::default(),
            rest: Default::default(),
            posting: Default::default(),
            w0: Default::default(),
            w1: Default::default(),
            w2: Default::default(),
            flag: array_init(|i| Constant::new((1_u64 << i).into())),
            tx_page: array_init(|i| Constant::new((1 + 2 * i as u64).into())),
            rx_page: array_init(|i| Constant::new((2 + 2 * i as u64).into())),
            doorbell_word: page_register(regs::event_doorbell::OFFSET),
            ctrl_word: page_register(regs::event_ctrl::OFFSET),
            cfg_word: page_register(regs::event_cfg::OFFSET),
            cq_lo_word: page_register(regs::event_cq_base_lo::OFFSET),
            cq_hi_word: page_register(regs::event_cq_base_hi::OFFSET),
        }
    }
}

impl Logic for EventQueue {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, cfg_sound, db, db_valid, apply, link, link_due, own_due, tx_due, rx_due,
            rest, posting, w0, w1, w2
        );
        clock!(self, clock, control, writer);
        self.control.reset.next = self.reset.val();
        self.writer.reset.next = self.reset.val();
        WriteSource::link(&mut self.m, &mut self.writer.m);

        // What the host writes.
        self.set_cfg.next = self.bus.write.val() & (self.bus.word.val() == self.cfg_word.val());
        self.cq_log2.next = self.bus.data.val().get_bits::<4>(8);
        if self.set_cfg.val() {
            self.cfg_sound.d.next = (self.cq_log2.val() >= 4) & (self.cq_log2.val() <= 14);
        }
        self.writer.alone.next = true;
        self.writer.set_cfg.next = self.set_cfg.val();
        self.writer.set_lo.next =
            self.bus.write.val() & (self.bus.word.val() == self.cq_lo_word.val());
        self.writer.set_hi.next =
            self.bus.write.val() & (self.bus.word.val() == self.cq_hi_word.val());
        self.writer.set_place.next = 0.into();
        self.writer.set_data.next = self.bus.data.val();
        // Doorbells are at least two cycles apart: a write TLP has two beats.
        self.db_valid.d.next =
            self.bus.write.val() & (self.bus.word.val() == self.doorbell_word.val());
        if self.bus.write.val() & (self.bus.word.val() == self.doorbell_word.val()) {
            self.db.d.next = self.bus.data.val();
        }
        self.apply.d.next =
            self.db_valid.q.val() & self.control.active.val() & !self.writer.consumer_bad.val();

        // State.
        self.bus.status.next = self.control.status.val();
        self.control.set_ctrl.next =
            self.bus.write.val() & (self.bus.word.val() == self.ctrl_word.val());
        self.control.enable.next = self.bus.data.val().get_bit(0);
        self.control.sound.next = self.cfg_sound.q.val();
        self.control.bad_index.next = self.db_valid.q.val() & self.writer.consumer_bad.val();
        self.control.bad_read.next = false;
        self.control.bad_slot.next = false;
        self.control.drained.next = !self.posting.q.val()
            & !self.own_due.q.val()
            & !self.control.failed.val()
            & !self.writer.unwritten.val().any();
        // A queue that could not start is not told by an event: there is no ring for it.
        if self.control.failed.val() & self.control.status.val().get_bit(4) {
            self.own_due.d.next = true;
        }
        self.link.d.next = self.link_up.val();

        // Queues that have failed, the lowest page of a transmit queue first, then that of a receive queue.
        self.tx_left.next = self.tx_due.q.val();
        self.rx_left.next = self.rx_due.q.val();
        self.page.next = 0.into();
        self.due.next = self.tx_due.q.val().any() | self.rx_due.q.val().any();
        if self.rx_due.q.val().get_bit(0) {
            self.page.next = self.rx_page[0].val();
            self.rx_left.next = self.rx_due.q.val() & 14;
        } else if self.rx_due.q.val().get_bit(1) {
            self.page.next = self.rx_page[1].val();
            self.rx_left.next = self.rx_due.q.val() & 12;
        } else if self.rx_due.q.val().get_bit(2) {
            self.page.next = self.rx_page[2].val();
            self.rx_left.next = self.rx_due.q.val() & 8;
        } else if self.rx_due.q.val().get_bit(3) {
            self.page.next = self.rx_page[3].val();
            self.rx_left.next = 0.into();
        }
        if self.tx_due.q.val().any() {
            self.rx_left.next = self.rx_due.q.val();
        }
        if self.tx_due.q.val().get_bit(0) {
            self.page.next = self.tx_page[0].val();
            self.tx_left.next = self.tx_due.q.val() & 14;
        } else if self.tx_due.q.val().get_bit(1) {
            self.page.next = self.tx_page[1].val();
            self.tx_left.next = self.tx_due.q.val() & 12;
        } else if self.tx_due.q.val().get_bit(2) {
            self.page.next = self.tx_page[2].val();
            self.tx_left.next = self.tx_due.q.val() & 8;
        } else if self.tx_due.q.val().get_bit(3) {
            self.page.next = self.tx_page[3].val();
            self.tx_left.next = 0.into();
        }
        if self.control.active.val() {
            if self.link_up.val() != self.link.q.val() {
                self.link_due.d.next = true;
            }
            self.tx_due.d.next = self.tx_due.q.val() | self.tx_failed.val();
            self.rx_due.d.next = self.rx_due.q.val() | self.rx_failed.val();
        } else {
            self.link_due.d.next = false;
            self.tx_due.d.next = 0.into();
            self.rx_due.d.next = 0.into();
        }

        // One event at a time. Each takes a barrier of its own: `rest` is high until the last one is over.
        self.barrier.next = self.control.active.val() & self.neigh.valid.val() & !self.rest.q.val();
        if !self.barrier_done.val() {
            self.rest.d.next = false;
        }
        self.neigh.ready.next = !self.control.active.val();
        if self.posting.q.val() {
            if self.writer.ready.val() {
                self.posting.d.next = false;
            }
        } else if self.own_due.q.val()
            | (self.control.active.val() & (self.due.val() | self.link_due.q.val()))
        {
            self.posting.d.next = true;
            self.w1.d.next = 0.into();
            self.w2.d.next = self.now_lo.val();
            if self.own_due.q.val() {
                self.own_due.d.next = false;
                self.w0.d.next = 0x0000_0004.into();
            } else if self.due.val() {
                self.tx_due.d.next = self.tx_left.val() | self.tx_failed.val();
                self.rx_due.d.next = self.rx_left.val() | self.rx_failed.val();
                self.w0.d.next = (bit_cast::<32, 4>(self.page.val()) << 16) | 4;
            } else {
                self.link_due.d.next = self.link_up.val() != self.link.q.val();
                self.w0.d.next = 0x0000_0003.into();
                if self.link.q.val() {
                    self.w0.d.next = 0x0001_0003.into();
                }
            }
        } else if self.control.active.val()
            & self.neigh.valid.val()
            & !self.rest.q.val()
            & self.barrier_done.val()
        {
            self.posting.d.next = true;
            self.rest.d.next = true;
            self.neigh.ready.next = true;
            self.w0.d.next = 1.into();
            if self.neigh.failed.val() {
                self.w0.d.next = 2.into();
            }
            self.w1.d.next = self.neigh.address.val();
            self.w2.d.next = self.now_lo.val();
            if self.neigh.conflict.val() {
                self.w0.d.next = (bit_cast::<32, 16>(self.neigh.mac_hi.val()) << 16) | 5;
                self.w2.d.next = self.neigh.mac_lo.val();
            }
        }
        self.writer.start.next = 0.into();
        if self.control.start.val() {
            self.writer.start.next = 1.into();
        }
        self.writer.owner.next = 0.into();
        self.writer.bell.next = 0.into();
        self.writer.w0.next = self.w0.q.val();
        self.writer.w1.next = self.w1.q.val();
        self.writer.w2.next = self.w2.q.val();
        self.writer.w3.next = 0.into();
        self.writer.valid.next = self.posting.q.val();
        // Written without `due`: what tells must not depend, as a block, on what it waits for.
        self.writer.more.next = self.control.active.val()
            & (self.tx_due.q.val().any() | self.rx_due.q.val().any() | self.link_due.q.val());
        self.writer.hold.next = false;
        self.writer.discard.next = !self.control.active.val();
        self.writer.consumer.next = self.db.q.val().get_bits::<15>(16);
        self.writer.arm.next = self.db.q.val().get_bit(31);
        self.writer.update_idx.next = self.apply.q.val();
        self.irq.next = self.writer.irq.val();
        self.busy.next = self.writer.busy.val()
            | self.control.busy.val()
            | (!self.posting.q.val()
                & (self.own_due.q.val()
                    | self.tx_due.q.val().any()
                    | self.rx_due.q.val().any()
                    | self.link_due.q.val()))
            | (self.neigh.valid.val()
                & !self.posting.q.val()
                & (!self.control.active.val() | self.rest.q.val() | self.barrier_done.val()))
            | (self.link_up.val() != self.link.q.val())
            | (self.db_valid.q.val() | self.apply.q.val())
            | self.tx_failed.val().any()
            | self.rx_failed.val().any();
        if self.reset.val() {
            self.cfg_sound.d.next = false;
            self.db_valid.d.next = false;
            self.apply.d.next = false;
            self.link_due.d.next = false;
            self.own_due.d.next = false;
            self.tx_due.d.next = 0.into();
            self.rx_due.d.next = 0.into();
            self.rest.d.next = false;
            self.posting.d.next = false;
        }
    }
}
