//! Four queue pairs and the event queue together.
use super::event::EventQueue;
use super::rx::RxQueues;
use super::tx::TxQueues;
use crate::neigh::ports::NeighEventSink;
use crate::pcie::ports::{PushSink, QueueBusSink, ReadDataSink, ReadReqSource, WriteSource};
use crate::rx::ports::RxPacketSink;
use crate::tx::ports::{TxPacketSource, TxVerdictSink};
use rust_hdl::prelude::*;

/// The queue engines between the host side and the packet paths.
///
/// Writes must reach the bus in the order in which they are accepted, whatever port they came from: a payload before its completion, a
/// completion before the event and the interrupt that follow it.
#[derive(LogicBlock, Default)]
pub struct Queues {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// Bits 31:0 of the clock in nanoseconds.
    pub now_lo: Signal<In, Bits<32>>,
    /// Negotiated payload as PCIe encodes it: 0 is 128 bytes.
    pub max_payload: Signal<In, Bits<3>>,
    /// MRRS as PCIe encodes it: 0 is 128 bytes.
    pub max_read: Signal<In, Bits<3>>,
    /// Registers of the event queue (page 0).
    pub event_bus: QueueBusSink,
    /// Registers of the transmit queues (pages 1, 3, 5, 7).
    pub tx_bus: QueueBusSink,
    /// Registers of the receive queues (pages 2, 4, 6, 8).
    pub rx_bus: QueueBusSink,
    /// Read client 0: SQs.
    pub sq_req: ReadReqSource,
    /// Answers to read client 0.
    pub sq_data: ReadDataSink,
    /// Read client 1: RXQs.
    pub rq_req: ReadReqSource,
    /// Answers to read client 1.
    pub rq_data: ReadDataSink,
    /// Read client 2: payload to transmit.
    pub pay_req: ReadReqSource,
    /// Answers to read client 2.
    pub pay_data: ReadDataSink,
    /// Write client 0: received payload.
    pub rx_payload: WriteSource,
    /// Write client 1: RXCQs.
    pub rx_cq: WriteSource,
    /// Write client 2: TXCQs.
    pub tx_cq: WriteSource,
    /// Write client 3: events.
    pub event_cq: WriteSource,
    /// Writes of the host to the push window.
    pub push: PushSink,
    /// Pulse: such a write was for nothing.
    pub stray: Signal<Out, Bit>,
    /// Frames out of the receive buffer.
    pub rx_packet: RxPacketSink,
    /// Packets to the transmit path.
    pub tx_packet: TxPacketSource,
    /// What became of them.
    pub tx_verdict: TxVerdictSink,
    /// See [`TxQueues`].
    pub stalled: Signal<In, Bit>,
    /// Events of neighbours.
    pub neigh: NeighEventSink,
    /// The link is up.
    pub link_up: Signal<In, Bit>,
    /// The receive buffer holds a frame.
    pub rx_waiting: Signal<In, Bit>,
    /// A frame comes in from the wire.
    pub rx_incoming: Signal<In, Bit>,
    /// High for one cycle: the receive buffer dropped a frame for want of room (the counter RX_DROP_OVERFLOW's pulse).
    pub rx_overflow: Signal<In, Bit>,
    /// MSI-X vectors to raise, one pulse bit each.
    pub irq: Signal<Out, Bits<8>>,
    /// Counter pulses: TX_BAD_DESC, TX_DMA_ERR, RX_TRUNCATED, RX_DROP_NO_SLOT.
    pub events: Signal<Out, Bits<32>>,
    /// Something is under way.
    pub busy: Signal<Out, Bit>,
    tx: TxQueues,
    rx: RxQueues,
    event_queue: EventQueue,
}

impl Queues {
    /// Has them read no memory of the host: PUSH mode and slots in their order, whatever CFG says.
    pub(crate) fn only_push(&mut self) {
        self.tx.only_push();
        self.rx.only_in_order();
    }
}

impl Logic for Queues {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, tx, rx, event_queue);
        self.tx.reset.next = self.reset.val();
        self.rx.reset.next = self.reset.val();
        self.event_queue.reset.next = self.reset.val();
        self.tx.max_read.next = self.max_read.val();
        self.rx.max_payload.next = self.max_payload.val();
        self.event_queue.now_lo.next = self.now_lo.val();
        QueueBusSink::link(&mut self.event_bus, &mut self.event_queue.bus);
        QueueBusSink::link(&mut self.tx_bus, &mut self.tx.bus);
        QueueBusSink::link(&mut self.rx_bus, &mut self.rx.bus);
        ReadReqSource::link(&mut self.sq_req, &mut self.tx.sq_req);
        ReadDataSink::link(&mut self.sq_data, &mut self.tx.sq_data);
        ReadReqSource::link(&mut self.rq_req, &mut self.rx.rq_req);
        ReadDataSink::link(&mut self.rq_data, &mut self.rx.rq_data);
        ReadReqSource::link(&mut self.pay_req, &mut self.tx.pay_req);
        ReadDataSink::link(&mut self.pay_data, &mut self.tx.pay_data);
        WriteSource::link(&mut self.rx_payload, &mut self.rx.payload);
        WriteSource::link(&mut self.rx_cq, &mut self.rx.cq);
        WriteSource::link(&mut self.tx_cq, &mut self.tx.cq);
        WriteSource::link(&mut self.event_cq, &mut self.event_queue.m);
        PushSink::link(&mut self.push, &mut self.tx.window);
        self.stray.next = self.tx.stray.val();
        RxPacketSink::link(&mut self.rx_packet, &mut self.rx.packet);
        TxPacketSource::link(&mut self.tx_packet, &mut self.tx.packet);
        TxVerdictSink::link(&mut self.tx_verdict, &mut self.tx.verdict);
        NeighEventSink::link(&mut self.neigh, &mut self.event_queue.neigh);
        self.event_queue.link_up.next = self.link_up.val();
        self.event_queue.tx_failed.next = self.tx.failed.val();
        self.event_queue.rx_failed.next = self.rx.failed.val();
        self.tx.stalled.next = self.stalled.val();
        self.tx.barrier.next = self.event_queue.barrier.val();
        self.event_queue.barrier_done.next = self.tx.barrier_done.val();
        self.rx.waiting.next = self.rx_waiting.val();
        self.rx.incoming.next = self.rx_incoming.val();
        self.rx.overflow.next = self.rx_overflow.val();
        self.irq.next = self.tx.irq.val() | self.rx.irq.val() | self.event_queue.irq.val();
        self.events.next = self.tx.events.val() | self.rx.events.val();
        self.busy.next = self.tx.busy.val() | self.rx.busy.val() | self.event_queue.busy.val();
    }
}
