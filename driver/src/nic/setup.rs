//! What the queues are told before they start: their rings, their interrupts, their slots.
use super::config::NicConfig;
use super::layout::Layout;
use super::pair::{Lanes, Pair};
use super::queue::{Disabled, Lane, QueueName};
use super::recovery::Rings;
use super::{Mapping, NicError};
use crate::ring::completion::CompletionRing;
use crate::ring::receive::ReceiveRing;
use crate::ring::slots::SlotPool;
use crate::ring::submission::SubmissionRing;
use crate::{DmaBuf, Registers};
use ferrule_abi::regs;
use std::sync::Arc;

/// MSI-X vectors. Pair 0 has one for each direction, as [`Nic::irq_fds`](super::Nic::irq_fds) has them; others have one for both, behind those.
const VECTOR_EVENTS: u32 = 0;
const VECTOR_TX: u32 = 1;
const VECTOR_RX: u32 = 2;

/// The vectors of a pair's transmit and receive queues.
fn vectors(pair: u8) -> (u32, u32) {
    match u32::from(pair) {
        0 => (VECTOR_TX, VECTOR_RX),
        n => (VECTOR_RX + n, VECTOR_RX + n),
    }
}

/// Offsets that all kinds of queue page share; `queue` relies on it.
const _: () = {
    assert!(regs::tx_ctrl::OFFSET == regs::event_ctrl::OFFSET);
    assert!(regs::rx_ctrl::OFFSET == regs::event_ctrl::OFFSET);
    assert!(regs::tx_status::OFFSET == regs::event_status::OFFSET);
    assert!(regs::rx_status::OFFSET == regs::event_status::OFFSET);
    assert!(regs::tx_doorbell::OFFSET == regs::event_doorbell::OFFSET);
    assert!(regs::rx_doorbell::OFFSET == regs::event_doorbell::OFFSET);
};

fn low(address: u64) -> u32 {
    address as u32
}
fn high(address: u64) -> u32 {
    (address >> 32) as u32
}

/// Where everything is that the queues share with the device.
pub(super) struct Plan<'a> {
    config: &'a NicConfig,
    memory: &'a DmaBuf,
    iova: u64,
    layout: Layout,
}

impl<'a> Plan<'a> {
    pub(super) fn new(config: &'a NicConfig, mapping: &'a Mapping) -> Self {
        Self {
            config,
            memory: &mapping.memory,
            iova: mapping.iova,
            layout: Layout::new(config),
        }
    }

    fn at(&self, offset: usize) -> u64 {
        self.iova + offset as u64
    }

    fn ring(&self, offset: usize, log2: u8) -> CompletionRing {
        CompletionRing::new(self.memory.clone(), offset, log2)
    }

    /// Starts the event queue.
    pub(super) fn start_events(&self, registers: &mut dyn Registers) -> Result<Lane, NicError> {
        let (config, base) = (self.config, self.layout.events);
        let events = self.ring(base, config.event_log2);
        let size = regs::event_cfg::CQ_LOG2.of(config.event_log2.into());
        let setup = [
            (
                regs::event_cfg::OFFSET,
                size | regs::event_cfg::VECTOR.of(VECTOR_EVENTS),
            ),
            (regs::event_cq_base_lo::OFFSET, low(self.at(base))),
            (regs::event_cq_base_hi::OFFSET, high(self.at(base))),
        ];
        let queue = Disabled(QueueName::Events).start(registers, &setup)?;
        Ok(Lane::new(queue, events))
    }

    /// Starts the queues of a pair with the rings that it has, or else with new ones. If that fails it has its rings, and whichever of its queues runs a
    /// reset must end.
    pub(super) fn start(
        &self,
        pair: &mut Pair,
        registers: &mut dyn Registers,
    ) -> Result<(), NicError> {
        let kept = pair.rings.take();
        let mut rings = kept.unwrap_or_else(|| self.new_rings(pair.number));
        match self.start_queues(pair.number, &mut rings, registers) {
            Ok([tx, rx]) => {
                let Rings {
                    submission,
                    receive,
                } = rings;
                pair.lanes = Some(Lanes {
                    tx,
                    rx,
                    submission,
                    receive,
                });
                Ok(())
            }
            Err(e) => {
                pair.rings = Some(rings);
                Err(e)
            }
        }
    }

    /// Rings that hold nothing, in the NIC's memory.
    fn new_rings(&self, pair: u8) -> Rings {
        let (config, memory) = (self.config, self.memory);
        let layout = self.layout.pairs[usize::from(pair)];
        let submission = SubmissionRing::new(
            memory.clone(),
            self.iova,
            layout.sq,
            layout.buffers,
            config.sq_log2,
            config.push,
        );
        let pool = SlotPool::new(memory.clone(), layout.slots, config.slot_log2, config.slots);
        let receive = ReceiveRing::new(
            memory.clone(),
            layout.rxq,
            config.rxq_log2,
            Arc::new(pool),
            config.slots,
            config.push,
        );
        Rings {
            submission,
            receive,
        }
    }

    /// Sets a pair's queues up and starts them: those for transmission and reception.
    fn start_queues(
        &self,
        pair: u8,
        rings: &mut Rings,
        registers: &mut dyn Registers,
    ) -> Result<[Lane; 2], NicError> {
        let config = self.config;
        let layout = self.layout.pairs[usize::from(pair)];
        let (tx_vector, rx_vector) = vectors(pair);

        let completions = self.ring(layout.txcq, config.txcq_log2);
        let sizes = regs::tx_cfg::SQ_LOG2.of(config.sq_log2.into())
            | regs::tx_cfg::CQ_LOG2.of(config.txcq_log2.into());
        let setup = [
            (
                regs::tx_cfg::OFFSET,
                sizes
                    | regs::tx_cfg::VECTOR.of(tx_vector)
                    | regs::tx_cfg::PUSH.of(config.push.into()),
            ),
            (regs::tx_sq_base_lo::OFFSET, low(self.at(layout.sq))),
            (regs::tx_sq_base_hi::OFFSET, high(self.at(layout.sq))),
            (regs::tx_cq_base_lo::OFFSET, low(self.at(layout.txcq))),
            (regs::tx_cq_base_hi::OFFSET, high(self.at(layout.txcq))),
        ];
        let queue = Disabled(QueueName::Transmit(pair)).start(registers, &setup)?;
        let tx = Lane::new(queue, completions);

        let completions = self.ring(layout.rxcq, config.rxcq_log2);
        let sizes = regs::rx_cfg::RXQ_LOG2.of(config.rxq_log2.into())
            | regs::rx_cfg::CQ_LOG2.of(config.rxcq_log2.into());
        let slots = regs::rx_slot_cfg::STRIDE_LOG2.of(config.slot_log2.into())
            | regs::rx_slot_cfg::COUNT.of(config.slots.into());
        // A frame without a slot must not hold up those of other pairs behind it.
        let drop = config.queue_pairs > 1;
        let setup = [
            (
                regs::rx_cfg::OFFSET,
                sizes
                    | regs::rx_cfg::VECTOR.of(rx_vector)
                    | regs::rx_cfg::IN_ORDER.of(config.push.into())
                    | regs::rx_cfg::DROP.of(drop.into()),
            ),
            (regs::rx_rxq_base_lo::OFFSET, low(self.at(layout.rxq))),
            (regs::rx_rxq_base_hi::OFFSET, high(self.at(layout.rxq))),
            (regs::rx_cq_base_lo::OFFSET, low(self.at(layout.rxcq))),
            (regs::rx_cq_base_hi::OFFSET, high(self.at(layout.rxcq))),
            (regs::rx_slot_base_lo::OFFSET, low(self.at(layout.slots))),
            (regs::rx_slot_base_hi::OFFSET, high(self.at(layout.slots))),
            (regs::rx_slot_cfg::OFFSET, slots),
        ];
        let queue = Disabled(QueueName::Receive(pair)).start(registers, &setup)?;
        let mut rx = Lane::new(queue, completions);
        rings.receive.refill();
        rx.ring_doorbell(registers, rings.receive.producer(), false)?;
        Ok([tx, rx])
    }
}
