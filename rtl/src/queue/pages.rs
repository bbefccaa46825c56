//! The pages of four queues of a kind: what the host writes to them, and whether each queue runs.
use super::state::{page_register, QueueState};
use crate::pcie::ports::QueueBusSink;
use array_init::array_init;
use ferrule_abi::regs;
use rust_hdl::prelude::*;

// The pages of both kinds have these registers, and the fields of CFG that are looked at here, at the same places.
const _: () = {
    assert!(regs::tx_doorbell::OFFSET == regs::rx_doorbell::OFFSET);
    assert!(regs::tx_ctrl::OFFSET == regs::rx_ctrl::OFFSET);
    assert!(regs::tx_cfg::OFFSET == regs::rx_cfg::OFFSET);
    assert!(regs::tx_sq_base_lo::OFFSET == regs::rx_rxq_base_lo::OFFSET);
    assert!(regs::tx_sq_base_hi::OFFSET == regs::rx_rxq_base_hi::OFFSET);
    assert!(regs::tx_cq_base_lo::OFFSET == regs::rx_cq_base_lo::OFFSET);
    assert!(regs::tx_cq_base_hi::OFFSET == regs::rx_cq_base_hi::OFFSET);
    assert!(regs::tx_cfg::SQ_LOG2.mask() == regs::rx_cfg::RXQ_LOG2.mask());
    assert!(regs::tx_cfg::CQ_LOG2.mask() == regs::rx_cfg::CQ_LOG2.mask());
    assert!(regs::tx_cfg::PUSH.mask() == regs::rx_cfg::IN_ORDER.mask());
};

/// Tells writes to the pages apart, keeps what is one bit a queue, checks doorbells, and starts and stops the queues.
#[derive(LogicBlock)]
pub struct QueuePages {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// What the host writes, and STATUS.
    pub bus: QueueBusSink,
    /// CFG is written.
    pub set_cfg: Signal<Out, Bit>,
    /// The low half of the base of SQ or RXQ is.
    pub set_ring_lo: Signal<Out, Bit>,
    /// Its high half.
    pub set_ring_hi: Signal<Out, Bit>,
    /// The low half of the completion ring's base.
    pub set_cq_lo: Signal<Out, Bit>,
    /// Its high half.
    pub set_cq_hi: Signal<Out, Bit>,
    /// Bit i: both ring sizes in queue i's CFG can be.
    pub cfg_sound: Signal<Out, Bits<4>>,
    /// Bit i: bit 24 of queue i's CFG, PUSH or IN_ORDER.
    pub special: Signal<Out, Bits<4>>,
    /// Bit i: bit 25 of queue i's CFG, DROP.
    pub drops: Signal<Out, Bits<4>>,
    /// Whose doorbell it is.
    pub bell: Signal<Out, Bits<2>>,
    /// The doorbell: PRODUCER.
    pub producer: Signal<Out, Bits<15>>,
    /// CONSUMER.
    pub consumer: Signal<Out, Bits<15>>,
    /// ARM.
    pub arm: Signal<Out, Bit>,
    /// The doorbell has an index that cannot be.
    pub bad_index: Signal<In, Bit>,
    /// High for one cycle: the doorbell holds, its queue runs and its indices can be.
    pub apply: Signal<Out, Bit>,
    /// Bit i: nothing else is wrong with what queue i is to start on.
    pub sound: Signal<In, Bits<4>>,
    /// Bit i: a read of queue i's ring failed.
    pub bad_read: Signal<In, Bits<4>>,
    /// Bit i: the host gave queue i a slot that there is not.
    pub bad_slot: Signal<In, Bits<4>>,
    /// Bit i: nothing of queue i is under way.
    pub drained: Signal<In, Bits<4>>,
    /// Bit i is high for one cycle: queue i starts.
    pub start: Signal<Out, Bits<4>>,
    /// Bit i: queue i takes work.
    pub active: Signal<Out, Bits<4>>,
    /// Bit i: STATUS.RUNNING of queue i.
    pub running: Signal<Out, Bits<4>>,
    /// Bit i is high for one cycle: queue i was stopped by an error.
    pub failed: Signal<Out, Bits<4>>,
    /// Something changes in the next cycle.
    pub busy: Signal<Out, Bit>,
    control: [QueueState; 4],
    r_cfg_sound: DFF<Bits<4>>,
    r_special: DFF<Bits<4>>,
    r_drops: DFF<Bits<4>>,
    r_bell: DFF<Bits<2>>,
    db: DFF<Bits<32>>,
    db_valid: DFF<Bit>,
    r_apply: DFF<Bit>,
    ring_log2: Signal<Local, Bits<4>>,
    cq_log2: Signal<Local, Bits<4>>,
    lowest: Signal<Local, Bits<4>>,
    set_flag: Signal<Local, Bits<4>>,
    set_rest: Signal<Local, Bits<4>>,
    bell_flag: Signal<Local, Bits<4>>,
    wakes: Signal<Local, Bits<4>>,
    number: [Constant<Bits<2>>; 4],
    doorbell_word: Constant<Bits<4>>,
    ctrl_word: Constant<Bits<4>>,
    cfg_word: Constant<Bits<4>>,
    ring_lo_word: Constant<Bits<4>>,
    ring_hi_word: Constant<Bits<4>>,
    cq_lo_word: Constant<Bits<4>>,
    cq_hi_word: Constant<Bits<4>>,
}

impl Default for QueuePages {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            bus: Default::default(),
            set_cfg: Default::default(),
            set_ring_lo: Default::default(),
            set_ring_hi: Default::default(),
            set_cq_lo: Default::default(),
            set_cq_hi: Default::default(),
            cfg_sound: Default::default(),
            special: Default::default(),
            drops: Default::default(),
            bell: Default::default(),
            producer: Default::default(),
            consumer: Default::default(),
            arm: Default::default(),
            bad_index: Default::default(),
            apply: Default::default(),
            sound: Default::default(),
            bad_read: Default::default(),
            bad_slot: Default::default(),
            drained: Default::default(),
            start: Default::default(),
            active: Default::default(),
            running: Default::default(),
            failed: Default::default(),
            busy: Default::default(),
            control: array_init(|_| Default::default()),
            r_cfg_sound: Default::default(),
            r_special: Default::default(),
            r_drops: Default::default(),
            r_bell: Default::default(),
            db: Default::default(),
            db_valid: Default::default(),
            r_apply: Default::default(),
            ring_log2: Default::default(),
            cq_log2: Default::default(),
            lowest: Default::default(),
            set_flag: Default::default(),
            set_rest: Default::default(),
            bell_flag: Default::default(),
            wakes: Default::default(),
            number: array_init(|i| Constant::new((i as u64).into())),
            doorbell_word: page_register(regs::tx_doorbell::OFFSET),
            ctrl_word: page_register(regs::tx_ctrl::OFFSET),
            cfg_word: page_register(regs::tx_cfg::OFFSET),
            ring_lo_word: page_register(regs::tx_sq_base_lo::OFFSET),
            ring_hi_word: page_register(regs::tx_sq_base_hi::OFFSET),
            cq_lo_word: page_register(regs::tx_cq_base_lo::OFFSET),
            cq_hi_word: page_register(regs::tx_cq_base_hi::OFFSET),
        }
    }
}

impl Logic for QueuePages {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            r_cfg_sound,
            r_special,
            r_drops,
            r_bell,
            db,
            db_valid,
            r_apply
        );
        // Set-up: a bit of each queue is written at a time.
        self.lowest.next = 1.into();
        self.set_flag.next = self.lowest.val() << bit_cast::<4, 2>(self.bus.place.val());
        self.set_rest.next = !self.set_flag.val();
        self.set_cfg.next = self.bus.write.val() & (self.bus.word.val() == self.cfg_word.val());
        self.set_ring_lo.next =
            self.bus.write.val() & (self.bus.word.val() == self.ring_lo_word.val());
        self.set_ring_hi.next =
            self.bus.write.val() & (self.bus.word.val() == self.ring_hi_word.val());
        self.set_cq_lo.next = self.bus.write.val() & (self.bus.word.val() == self.cq_lo_word.val());
        self.set_cq_hi.next = self.bus.write.val() & (self.bus.word.val() == self.cq_hi_word.val());
        self.ring_log2.next = bit_cast::<4, 32>(self.bus.data.val());
        self.cq_log2.next = self.bus.data.val().get_bits::<4>(8);
        if self.bus.write.val() & (self.bus.word.val() == self.cfg_word.val()) {
            self.r_cfg_sound.d.next = self.r_cfg_sound.q.val() & self.set_rest.val();
            if (self.ring_log2.val() >= 4)
                & (self.ring_log2.val() <= 14)
                & (self.cq_log2.val() >= 4)
                & (self.cq_log2.val() <= 14)
            {
                self.r_cfg_sound.d.next = self.r_cfg_sound.q.val() | self.set_flag.val();
            }
            self.r_special.d.next = self.r_special.q.val() & self.set_rest.val();
            if self.bus.data.val().get_bit(24) {
                self.r_special.d.next = self.r_special.q.val() | self.set_flag.val();
            }
            self.r_drops.d.next = self.r_drops.q.val() & self.set_rest.val();
            if self.bus.data.val().get_bit(25) {
                self.r_drops.d.next = self.r_drops.q.val() | self.set_flag.val();
            }
        }
        self.cfg_sound.next = self.r_cfg_sound.q.val();
        self.special.next = self.r_special.q.val();
        self.drops.next = self.r_drops.q.val();

        // Each queue's state.
        self.active.next = bit_cast::<4, 1>(self.control[0].active.val().into())
            | (bit_cast::<4, 1>(self.control[1].active.val().into()) << 1)
            | (bit_cast::<4, 1>(self.control[2].active.val().into()) << 2)
            | (bit_cast::<4, 1>(self.control[3].active.val().into()) << 3);
        self.start.next = bit_cast::<4, 1>(self.control[0].start.val().into())
            | (bit_cast::<4, 1>(self.control[1].start.val().into()) << 1)
            | (bit_cast::<4, 1>(self.control[2].start.val().into()) << 2)
            | (bit_cast::<4, 1>(self.control[3].start.val().into()) << 3);
        self.running.next = bit_cast::<4, 1>(self.control[0].status.val().get_bit(4).into())
            | (bit_cast::<4, 1>(self.control[1].status.val().get_bit(4).into()) << 1)
            | (bit_cast::<4, 1>(self.control[2].status.val().get_bit(4).into()) << 2)
            | (bit_cast::<4, 1>(self.control[3].status.val().get_bit(4).into()) << 3);
        self.failed.next = bit_cast::<4, 1>(self.control[0].failed.val().into())
            | (bit_cast::<4, 1>(self.control[1].failed.val().into()) << 1)
            | (bit_cast::<4, 1>(self.control[2].failed.val().into()) << 2)
            | (bit_cast::<4, 1>(self.control[3].failed.val().into()) << 3);
        self.bell_flag.next = self.lowest.val() << bit_cast::<4, 2>(self.r_bell.q.val());
        self.wakes.next = (bit_cast::<4, 1>(self.control[0].active.val().into())
            | (bit_cast::<4, 1>(self.control[1].active.val().into()) << 1)
            | (bit_cast::<4, 1>(self.control[2].active.val().into()) << 2)
            | (bit_cast::<4, 1>(self.control[3].active.val().into()) << 3))
            & self.bell_flag.val();
        self.bus.status.next = self.control[0].status.val();
        for i in 0..4 {
            self.control[i].clock.next = self.clock.val();
            self.control[i].reset.next = self.reset.val();
            self.control[i].set_ctrl.next = self.bus.write.val()
                & (self.bus.word.val() == self.ctrl_word.val())
                & (self.bus.place.val() == self.number[i].val());
            self.control[i].enable.next = self.bus.data.val().get_bit(0);
            self.control[i].sound.next =
                self.r_cfg_sound.q.val().get_bit(i) & self.sound.val().get_bit(i);
            self.control[i].bad_index.next =
                self.db_valid.q.val() & self.bell_flag.val().get_bit(i) & self.bad_index.val();
            self.control[i].bad_read.next = self.bad_read.val().get_bit(i);
            self.control[i].bad_slot.next = self.bad_slot.val().get_bit(i);
            self.control[i].drained.next = self.drained.val().get_bit(i);
            if self.bus.look.val() == self.number[i].val() {
                self.bus.status.next = self.control[i].status.val();
            }
        }

        // Doorbells are at least two cycles apart: a write TLP has two beats.
        self.db_valid.d.next =
            self.bus.write.val() & (self.bus.word.val() == self.doorbell_word.val());
        if self.bus.write.val() & (self.bus.word.val() == self.doorbell_word.val()) {
            self.r_bell.d.next = self.bus.place.val();
            self.db.d.next = self.bus.data.val();
        }
        self.r_apply.d.next =
            self.db_valid.q.val() & self.wakes.val().any() & !self.bad_index.val();
        self.apply.next = self.r_apply.q.val();
        self.bell.next = self.r_bell.q.val();
        self.producer.next = bit_cast::<15, 32>(self.db.q.val());
        self.consumer.next = self.db.q.val().get_bits::<15>(16);
        self.arm.next = self.db.q.val().get_bit(31);
        self.busy.next = self.db_valid.q.val()
            | self.r_apply.q.val()
            | self.control[0].busy.val()
            | self.control[1].busy.val()
            | self.control[2].busy.val()
            | self.control[3].busy.val();
        if self.reset.val() {
            self.r_cfg_sound.d.next = 0.into();
            self.r_special.d.next = 0.into();
            self.r_drops.d.next = 0.into();
            self.db_valid.d.next = false;
            self.r_apply.d.next = false;
        }
    }
}
