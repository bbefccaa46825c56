//! The host side as one block: TLPs on one side, registers, DMA clients and interrupts on the other.
use super::cells::Ticks;
use super::counters::Counters;
use super::internal::{CompletionSource, ReadTlpSource, ReplySource};
use super::msix::Msix;
use super::ports::{
    PushSource, QueueBusSource, ReadDataSource, ReadReqSink, RegAccessSource, TlpSink, TlpSource,
    WriteSink, WriteSource,
};
use super::read_engine::ReadEngine;
use super::reg_file::RegFile;
use super::tlp_rx::TlpRx;
use super::tlp_tx::TlpTx;
use crate::neigh::ports::EntrySink;
use crate::phy::ports::MdioSource;
use rust_hdl::prelude::*;

/// Everything between the TLP streams and the rest of the NIC.
///
/// `reset` is the reset of the whole core. `soft_reset` is high for 32 cycles when CTRL.RESET takes effect, at a time when no TLP of a
/// DMA client is being sent and no read is outstanding: everything outside this block is to be reset by either; what CTRL.RESET clears
/// inside is done here.
#[derive(LogicBlock, Default)]
pub struct HostSide {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// The time in nanoseconds, bits 31:0.
    pub time_lo: Signal<In, Bits<32>>,
    /// The time in nanoseconds, bits 63:32.
    pub time_hi: Signal<In, Bits<32>>,
    /// The clock as the host has set it, in nanoseconds, bits 31:0.
    pub now_lo: Signal<In, Bits<32>>,
    /// Bits 63:32.
    pub now_hi: Signal<In, Bits<32>>,
    /// Bus, device, function of this endpoint.
    pub completer_id: Signal<In, Bits<16>>,
    /// Command register: bus master enable.
    pub bus_master: Signal<In, Bit>,
    /// MSI-X enable.
    pub msix_enable: Signal<In, Bit>,
    /// MSI-X function mask.
    pub msix_mask: Signal<In, Bit>,
    /// See [`Msix`].
    pub msix_others: Signal<In, Bits<8>>,
    /// See [`Msix`].
    pub msix_waits: Signal<Out, Bits<8>>,
    /// TLPs from the host.
    pub tlp_rx: TlpSink,
    /// TLPs to the host.
    pub tlp_tx: TlpSource,
    /// Requests for memory: 0 SQE fetch, 1 RXQ fetch, 2 transmit payload.
    pub read_req: [ReadReqSink; 3],
    /// Their answers.
    pub read_data: [ReadDataSource; 3],
    /// Writes to the push window.
    pub push: PushSource,
    /// Pulse: such a write was for nothing.
    pub stray: Signal<In, Bit>,
    /// Memory writes: 0 receive payload, 1 RXCQ, 2 TXCQ, 3 events.
    pub writes: [WriteSink; 4],
    /// Transfers on the PHY's management interface.
    pub mdio: MdioSource,
    /// Page of the event queue.
    pub events_bus: QueueBusSource,
    /// Pages of the transmit queues.
    pub tx_bus: QueueBusSource,
    /// Pages of the receive queues.
    pub rx_bus: QueueBusSource,
    /// MAC address to start with, bytes 0 to 3.
    pub board_mac_lo: Signal<In, Bits<32>>,
    /// MAC address to start with, bytes 4 and 5.
    pub board_mac_hi: Signal<In, Bits<16>>,
    /// The PHY reports a link.
    pub link_up: Signal<In, Bit>,
    /// 0: 10, 1: 100, 2: 1000 Mbit/s.
    pub link_speed: Signal<In, Bits<2>>,
    /// Counter pulses of everything outside this block.
    pub inc: Signal<In, Bits<32>>,
    /// With the pulse of RX_FRAMES: the frame's bytes.
    pub rx_bytes: Signal<In, Bits<16>>,
    /// With the pulse of TX_FRAMES: the frame's bytes.
    pub tx_bytes: Signal<In, Bits<16>>,
    /// One pulse bit an MSI-X vector.
    pub irq: Signal<In, Bits<8>>,
    /// CTRL.RX_EN.
    pub rx_enable: Signal<Out, Bit>,
    /// CTRL.TX_EN.
    pub tx_enable: Signal<Out, Bit>,
    /// CTRL.LOOPBACK.
    pub loopback: Signal<Out, Bit>,
    /// MAC_LO.
    pub mac_lo: Signal<Out, Bits<32>>,
    /// MAC_HI.
    pub mac_hi: Signal<Out, Bits<16>>,
    /// RXCTL.
    pub rxctl: Signal<Out, Bits<32>>,
    /// ARPCTL; FLUSH (bit 8) is high for one cycle.
    pub arpctl: Signal<Out, Bits<32>>,
    /// ARPTIME.
    pub arptime: Signal<Out, Bits<32>>,
    /// FLOW.
    pub flow: Signal<Out, Bits<2>>,
    /// See [`RegFile`].
    pub table_write: Signal<Out, Bit>,
    /// See [`RegFile`].
    pub local_write: Signal<Out, Bit>,
    /// See [`RegFile`].
    pub steer_write: Signal<Out, Bit>,
    /// See [`RegFile`].
    pub gateway_write: Signal<Out, Bit>,
    /// See [`RegFile`].
    pub table_place: Signal<Out, Bits<6>>,
    /// See [`RegFile`].
    pub table_data: Signal<Out, Bits<32>>,
    /// Results of the ARP cache's commands.
    pub entry: EntrySink,
    /// ARP_ENTRY.BUSY.
    pub entry_busy: Signal<In, Bit>,
    /// The time in ticks of 2^20 ns, for whoever else needs it.
    pub ticks: Signal<Out, Bits<32>>,
    /// Resets everything outside this block; see above.
    pub soft_reset: Signal<Out, Bit>,
    /// A TLP from the host is being worked on.
    pub answering: Signal<Out, Bit>,
    /// Something moves inside.
    pub busy: Signal<Out, Bit>,
    /// When ages of outstanding reads are checked next, in ticks.
    pub deadline: Signal<Out, Bits<32>>,
    /// `deadline` counts.
    pub deadline_valid: Signal<Out, Bit>,
    rx: TlpRx,
    tx: TlpTx,
    engine: ReadEngine,
    regs: RegFile,
    counters: Counters,
    msix: Msix,
    clock_ticks: Ticks,
}

impl HostSide {
    /// Says in CAPS that there is PUSH mode alone.
    pub(crate) fn only_push(&mut self) {
        self.regs.only_push();
    }
}

impl Logic for HostSide {
    #[hdl_gen]
    fn update(&mut self) {
        clock!(self, clock, rx, tx, engine, regs, counters, msix);
        self.rx.reset.next = self.reset.val();
        self.tx.reset.next = self.reset.val();
        self.engine.reset.next = self.reset.val() | self.regs.soft_reset.val();
        self.regs.reset.next = self.reset.val();
        self.counters.reset.next = self.reset.val() | self.regs.soft_reset.val();
        self.msix.reset.next = self.reset.val();
        self.msix.clear.next = self.regs.soft_reset.val();

        self.clock_ticks.time_lo.next = self.time_lo.val();
        self.clock_ticks.time_hi.next = self.time_hi.val();
        self.ticks.next = self.clock_ticks.ticks.val();
        self.engine.ticks.next = self.clock_ticks.ticks.val();

        TlpSink::link(&mut self.tlp_rx, &mut self.rx.tlp);
        TlpSource::link(&mut self.tlp_tx, &mut self.tx.tlp);
        RegAccessSource::join(&mut self.rx.regs, &mut self.regs.access);
        RegAccessSource::join(&mut self.rx.msix, &mut self.msix.access);
        ReplySource::join(&mut self.rx.reply, &mut self.tx.reply);
        PushSource::link(&mut self.push, &mut self.rx.push);
        CompletionSource::join(&mut self.rx.completion, &mut self.engine.completion);
        ReadTlpSource::join(&mut self.engine.read, &mut self.tx.read);
        WriteSource::join(&mut self.msix.message, &mut self.tx.writes[4]);
        for i in 0..4 {
            WriteSink::link(&mut self.writes[i], &mut self.tx.writes[i]);
        }
        for i in 0..3 {
            ReadReqSink::link(&mut self.read_req[i], &mut self.engine.request[i]);
            ReadDataSource::link(&mut self.read_data[i], &mut self.engine.answer[i]);
        }
        MdioSource::link(&mut self.mdio, &mut self.regs.mdio);
        EntrySink::link(&mut self.entry, &mut self.regs.entry);
        self.regs.entry_busy.next = self.entry_busy.val();
        QueueBusSource::link(&mut self.events_bus, &mut self.regs.events_bus);
        QueueBusSource::link(&mut self.tx_bus, &mut self.regs.tx_bus);
        QueueBusSource::link(&mut self.rx_bus, &mut self.regs.rx_bus);

        self.rx.completer_id.next = self.completer_id.val();
        self.tx.completer_id.next = self.completer_id.val();
        self.tx.bus_master.next = self.bus_master.val();
        self.tx.quiesce.next = self.regs.quiesce.val();
        self.engine.quiesce.next = self.regs.quiesce.val();
        self.regs.dma_quiet.next = self.tx.quiet.val() & !self.engine.outstanding.val();
        self.regs.bad_access.next =
            self.rx.bad_access.val() | self.msix.bad_access.val() | self.stray.val();
        self.regs.now_lo.next = self.now_lo.val();
        self.regs.now_hi.next = self.now_hi.val();
        self.regs.board_mac_lo.next = self.board_mac_lo.val();
        self.regs.board_mac_hi.next = self.board_mac_hi.val();
        self.regs.link_up.next = self.link_up.val();
        self.regs.link_speed.next = self.link_speed.val();

        self.counters.inc.next =
            self.inc.val() | self.rx.events.val() | self.tx.events.val() | self.engine.events.val();
        self.counters.rx_bytes.next = self.rx_bytes.val();
        self.counters.tx_bytes.next = self.tx_bytes.val();
        self.counters.snapshot.next = self.regs.snapshot.val();
        self.regs.snapshot_valid.next = self.counters.snapshot_valid.val();
        self.regs.snapshot_index.next = self.counters.snapshot_index.val();
        self.regs.snapshot_data.next = self.counters.snapshot_data.val();
        self.regs.snapshot_done.next = self.counters.snapshot_done.val();

        self.msix.bus_master.next = self.bus_master.val();
        self.msix.enable.next = self.msix_enable.val();
        self.msix.mask.next = self.msix_mask.val();
        self.msix.irq.next = self.irq.val();
        self.msix.others.next = self.msix_others.val();
        self.msix_waits.next = self.msix.waits.val();
        self.answering.next = self.rx.busy.val();

        self.rx_enable.next = self.regs.rx_enable.val();
        self.tx_enable.next = self.regs.tx_enable.val();
        self.loopback.next = self.regs.loopback.val();
        self.mac_lo.next = self.regs.mac_lo.val();
        self.mac_hi.next = self.regs.mac_hi.val();
        self.rxctl.next = self.regs.rxctl.val();
        self.arpctl.next = self.regs.arpctl.val();
        self.arptime.next = self.regs.arptime.val();
        self.flow.next = self.regs.flow.val();
        self.table_write.next = self.regs.table_write.val();
        self.local_write.next = self.regs.local_write.val();
        self.steer_write.next = self.regs.steer_write.val();
        self.gateway_write.next = self.regs.gateway_write.val();
        self.table_place.next = self.regs.table_place.val();
        self.table_data.next = self.regs.table_data.val();
        self.soft_reset.next = self.regs.soft_reset.val();
        self.busy.next = self.rx.busy.val()
            | self.tx.busy.val()
            | self.engine.busy.val()
            | self.regs.busy.val()
            | self.counters.busy.val()
            | self.msix.busy.val();
        self.deadline.next = self.engine.deadline.val();
        self.deadline_valid.next = self.engine.deadline_valid.val();
    }
}
