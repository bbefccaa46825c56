//! The whole NIC core: MAC on one side, TLPs on the other.
use crate::clock::adjust::AdjustableClock;
use crate::flow::sender::PauseSender;
use crate::flow::timer::PauseTimer;
use crate::mac::top::Mac;
use crate::neigh::engine::Neigh;
use crate::neigh::ports::*;
use crate::pcie::host_side::HostSide;
use crate::pcie::ports::*;
use crate::phy::ports::MdioSource;
use crate::queue::queues::Queues;
use crate::rx::ports::*;
use crate::rx::RxPath;
use crate::stream::*;
use crate::tx::ports::*;
use crate::tx::TxPath;
use rust_hdl::prelude::*;

/// One port of the NIC, without clock buffers, PHY pins and the PCIe block: those are a board's business.
///
/// All ports belong to `clock` but the GMII ones. `pins` has the same ports as plain values.
#[derive(LogicBlock, Default)]
pub struct Nic {
    /// The core's clock, 125 MHz at a gigabit.
    pub clock: Signal<In, Clock>,
    /// GMII RX_CLK.
    pub gmii_rx_clk: Signal<In, Clock>,
    /// GMII GTX_CLK.
    pub gmii_tx_clk: Signal<In, Clock>,
    /// Synchronous reset of the core's clock domain.
    pub reset: Signal<In, Bit>,
    /// The time in nanoseconds, bits 31:0.
    pub time_lo: Signal<In, Bits<32>>,
    /// The time in nanoseconds, bits 63:32.
    pub time_hi: Signal<In, Bits<32>>,
    /// The MAC address to start with, bytes 0 to 3.
    pub mac_lo: Signal<In, Bits<32>>,
    /// The MAC address to start with, bytes 4 and 5.
    pub mac_hi: Signal<In, Bits<16>>,
    /// The PHY reports a link.
    pub link_up: Signal<In, Bit>,
    /// 0: 10, 1: 100, 2: 1000 Mbit/s. At 10 and 100 the GMII pins carry MII: nibbles in bits 3:0.
    pub link_speed: Signal<In, Bits<2>>,
    /// Transfers that the host wants on the PHY's management interface; `phy::manager` does them.
    pub mdio: MdioSource,
    /// Bus, device, function of this endpoint.
    pub completer_id: Signal<In, Bits<16>>,
    /// Command register: bus master enable.
    pub bus_master: Signal<In, Bit>,
    /// Device control: maximum payload size code.
    pub max_payload: Signal<In, Bits<3>>,
    /// Device control: maximum read request size code.
    pub max_read: Signal<In, Bits<3>>,
    /// MSI-X enable.
    pub msix_enable: Signal<In, Bit>,
    /// MSI-X function mask.
    pub msix_mask: Signal<In, Bit>,
    /// What is pending of a second port's vectors; see [`crate::pcie::msix::Msix`]. 0 where there is one port.
    pub msix_others: Signal<In, Bits<8>>,
    /// What is pending of its own.
    pub msix_waits: Signal<Out, Bits<8>>,
    /// TLPs from the host.
    pub tlp_rx: TlpSink,
    /// TLPs to the host.
    pub tlp_tx: TlpSource,
    /// GMII RXD.
    pub gmii_rxd: Signal<In, Bits<8>>,
    /// GMII RX_DV.
    pub gmii_rx_dv: Signal<In, Bit>,
    /// GMII RX_ER.
    pub gmii_rx_er: Signal<In, Bit>,
    /// GMII TXD.
    pub gmii_txd: Signal<Out, Bits<8>>,
    /// GMII TX_EN.
    pub gmii_tx_en: Signal<Out, Bit>,
    /// GMII TX_ER.
    pub gmii_tx_er: Signal<Out, Bit>,
    /// Memory of the host was asked for and has not come whole yet: Transactions Pending of the Device Status register.
    pub reading: Signal<Out, Bit>,
    /// A TLP from the host is being worked on.
    pub answering: Signal<Out, Bit>,
    /// Something moves or waits inside; without it nothing changes before `deadline` while all inputs are idle.
    pub busy: Signal<Out, Bit>,
    /// The earliest timer, in ticks of 2^20 ns.
    pub deadline: Signal<Out, Bits<32>>,
    /// A timer runs.
    pub deadline_valid: Signal<Out, Bit>,
    adjusted: AdjustableClock,
    host: HostSide,
    queues: Queues,
    mac: Mac,
    rx: RxPath,
    tx: TxPath,
    neigh: Neigh,
    pause_timer: PauseTimer,
    pause_sender: PauseSender,
    /// Reset of everything but the host side.
    core_reset: DFF<Bit>,
    /// The neighbours' deadline less the reads': negative if it comes first.
    difference: Signal<Local, Bits<32>>,
}

impl Nic {
    /// Makes it one for slow links: PUSH mode and slots in their order alone, as CAPS says, so that it reads no memory of the host, and is smaller.
    pub fn only_push(&mut self) {
        self.host.only_push();
        self.queues.only_push();
    }
}

impl Logic for Nic {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, core_reset);
        clock!(
            self,
            clock,
            adjusted,
            host,
            queues,
            mac,
            rx,
            tx,
            neigh,
            pause_timer,
            pause_sender
        );
        self.mac.gmii_rx_clk.next = self.gmii_rx_clk.val();
        self.mac.gmii_tx_clk.next = self.gmii_tx_clk.val();

        self.core_reset.d.next = self.reset.val() | self.host.soft_reset.val();
        self.host.reset.next = self.reset.val();
        self.queues.reset.next = self.core_reset.q.val();
        self.mac.reset.next = self.core_reset.q.val();
        self.rx.reset.next = self.core_reset.q.val();
        self.tx.reset.next = self.core_reset.q.val();
        self.neigh.reset.next = self.core_reset.q.val();
        self.pause_timer.reset.next = self.core_reset.q.val();
        self.pause_sender.reset.next = self.core_reset.q.val();

        self.host.time_lo.next = self.time_lo.val();
        self.host.time_hi.next = self.time_hi.val();
        self.adjusted.reset.next = self.core_reset.q.val();
        self.adjusted.time_lo.next = self.time_lo.val();
        self.adjusted.time_hi.next = self.time_hi.val();
        self.adjusted.table_write.next = self.host.table_write.val();
        self.adjusted.table_place.next = self.host.table_place.val();
        self.adjusted.table_data.next = self.host.table_data.val();
        self.host.now_lo.next = self.adjusted.now_lo.val();
        self.host.now_hi.next = self.adjusted.now_hi.val();
        self.host.board_mac_lo.next = self.mac_lo.val();
        self.host.board_mac_hi.next = self.mac_hi.val();
        self.host.link_up.next = self.link_up.val();
        self.host.link_speed.next = self.link_speed.val();
        self.host.completer_id.next = self.completer_id.val();
        self.host.bus_master.next = self.bus_master.val();
        self.host.msix_enable.next = self.msix_enable.val();
        self.host.msix_mask.next = self.msix_mask.val();
        self.host.msix_others.next = self.msix_others.val();
        self.msix_waits.next = self.host.msix_waits.val();
        self.answering.next = self.host.answering.val();
        MdioSource::link(&mut self.mdio, &mut self.host.mdio);
        TlpSink::link(&mut self.tlp_rx, &mut self.host.tlp_rx);
        TlpSource::link(&mut self.tlp_tx, &mut self.host.tlp_tx);

        ReadReqSource::join(&mut self.queues.sq_req, &mut self.host.read_req[0]);
        ReadReqSource::join(&mut self.queues.rq_req, &mut self.host.read_req[1]);
        ReadReqSource::join(&mut self.queues.pay_req, &mut self.host.read_req[2]);
        ReadDataSource::join(&mut self.host.read_data[0], &mut self.queues.sq_data);
        ReadDataSource::join(&mut self.host.read_data[1], &mut self.queues.rq_data);
        ReadDataSource::join(&mut self.host.read_data[2], &mut self.queues.pay_data);
        WriteSource::join(&mut self.queues.rx_payload, &mut self.host.writes[0]);
        WriteSource::join(&mut self.queues.rx_cq, &mut self.host.writes[1]);
        WriteSource::join(&mut self.queues.tx_cq, &mut self.host.writes[2]);
        WriteSource::join(&mut self.queues.event_cq, &mut self.host.writes[3]);
        QueueBusSource::join(&mut self.host.events_bus, &mut self.queues.event_bus);
        QueueBusSource::join(&mut self.host.tx_bus, &mut self.queues.tx_bus);
        QueueBusSource::join(&mut self.host.rx_bus, &mut self.queues.rx_bus);
        PushSource::join(&mut self.host.push, &mut self.queues.push);
        self.host.stray.next = self.queues.stray.val();
        self.queues.now_lo.next = self.adjusted.now_lo.val();
        self.queues.max_payload.next = self.max_payload.val();
        self.queues.max_read.next = self.max_read.val();
        self.queues.link_up.next = self.link_up.val();
        self.queues.rx_waiting.next = self.rx.waiting.val();
        self.queues.rx_incoming.next = self.mac.receiving.val();
        // The pulse of the counter RX_DROP_OVERFLOW.
        self.queues.rx_overflow.next = self.rx.events.val().get_bit(11);
        self.host.irq.next = self.queues.irq.val();

        self.mac.gmii_rxd.next = self.gmii_rxd.val();
        self.mac.gmii_rx_dv.next = self.gmii_rx_dv.val();
        self.mac.gmii_rx_er.next = self.gmii_rx_er.val();
        self.gmii_txd.next = self.mac.gmii_txd.val();
        self.gmii_tx_en.next = self.mac.gmii_tx_en.val();
        self.gmii_tx_er.next = self.mac.gmii_tx_er.val();
        self.mac.link_speed.next = self.link_speed.val();
        // RXCTL.MAX_FRAME
        self.mac.max_frame.next = self.host.rxctl.val().get_bits::<14>(16);
        self.mac.loopback.next = self.host.loopback.val();

        self.rx.enable.next = self.host.rx_enable.val();
        self.rx.mac_lo.next = self.host.mac_lo.val();
        self.rx.mac_hi.next = self.host.mac_hi.val();
        self.rx.rxctl.next = self.host.rxctl.val();
        self.rx.local_write.next = self.host.local_write.val();
        self.rx.steer_write.next = self.host.steer_write.val();
        self.rx.table_write.next = self.host.table_write.val();
        self.rx.table_place.next = self.host.table_place.val();
        self.rx.table_data.next = self.host.table_data.val();
        self.rx.now_lo.next = self.adjusted.now_lo.val();
        RxBeatSource::join(&mut self.mac.rx, &mut self.rx.rx);
        RxPacketSource::join(&mut self.rx.packet, &mut self.queues.rx_packet);
        ArpPacketSource::join(&mut self.rx.arp, &mut self.neigh.arp);

        self.tx.enable.next = self.host.tx_enable.val();
        self.tx.now_lo.next = self.adjusted.now_lo.val();
        self.tx.left.next = self.mac.left.val();
        self.mac.mark.next = self.tx.mark.val();
        self.tx.mac_lo.next = self.host.mac_lo.val();
        self.tx.mac_hi.next = self.host.mac_hi.val();
        TxPacketSource::join(&mut self.queues.tx_packet, &mut self.tx.packet);
        TxVerdictSource::join(&mut self.tx.verdict, &mut self.queues.tx_verdict);
        LookupSource::join(&mut self.tx.lookup, &mut self.neigh.lookup);
        FrameSource::join(&mut self.neigh.frame, &mut self.tx.arp);
        FrameSource::join(&mut self.rx.reply, &mut self.tx.echo);
        FrameSource::join(&mut self.tx.frame, &mut self.mac.tx);

        // FLOW
        self.rx.pauses.next = self.host.flow.val().get_bit(0);
        self.pause_timer.enable.next = self.host.flow.val().get_bit(0);
        self.pause_timer.set.next = self.rx.pause.val();
        self.pause_timer.quanta.next = self.rx.quanta.val();
        self.pause_timer.link_speed.next = self.link_speed.val();
        self.pause_timer.time_lo.next = self.time_lo.val();
        self.pause_timer.time_hi.next = self.time_hi.val();
        self.tx.hold.next = self.pause_timer.active.val();
        self.pause_sender.enable.next = self.host.flow.val().get_bit(1);
        self.pause_sender.sending.next = self.host.tx_enable.val();
        self.pause_sender.high.next = self.rx.high.val();
        self.pause_sender.low.next = self.rx.low.val();
        self.pause_sender.time_lo.next = self.time_lo.val();
        self.pause_sender.mac_lo.next = self.host.mac_lo.val();
        self.pause_sender.mac_hi.next = self.host.mac_hi.val();
        FrameSource::join(&mut self.pause_sender.frame, &mut self.tx.pause);

        self.neigh.enable.next = self.host.tx_enable.val();
        self.neigh.mac_lo.next = self.host.mac_lo.val();
        self.neigh.mac_hi.next = self.host.mac_hi.val();
        self.neigh.arpctl.next = self.host.arpctl.val();
        self.neigh.arptime.next = self.host.arptime.val();
        self.neigh.local_write.next = self.host.local_write.val();
        self.neigh.gateway_write.next = self.host.gateway_write.val();
        self.queues.stalled.next = self.neigh.stalled.val();
        self.neigh.table_write.next = self.host.table_write.val();
        self.neigh.table_place.next = self.host.table_place.val();
        self.neigh.table_data.next = self.host.table_data.val();
        EntrySource::join(&mut self.neigh.result, &mut self.host.entry);
        self.host.entry_busy.next = self.neigh.command_busy.val();
        self.neigh.now.next = self.host.ticks.val();
        // A miss must be with the transmit queue before an event about its next hop may follow it.
        self.neigh.event_hold.next = self.tx.verdict.valid.val();
        NeighEventSource::join(&mut self.neigh.notice, &mut self.queues.neigh);

        self.host.inc.next = self.queues.events.val()
            | self.mac.events.val()
            | self.rx.events.val()
            | self.tx.events.val()
            | self.neigh.events.val();
        self.host.rx_bytes.next = self.rx.rx_bytes.val();
        self.host.tx_bytes.next = self.tx.tx_bytes.val();

        self.busy.next = self.host.busy.val()
            | self.queues.busy.val()
            | self.mac.busy.val()
            | self.rx.busy.val()
            | self.tx.busy.val()
            | self.neigh.busy.val()
            | self.pause_timer.busy.val()
            | self.pause_sender.busy.val()
            | self.core_reset.q.val();
        // The reads' deadline runs while one is under way.
        self.reading.next = self.host.deadline_valid.val();
        self.difference.next = self.neigh.deadline.val() - self.host.deadline.val();
        self.deadline.next = self.host.deadline.val();
        if self.neigh.deadline_valid.val()
            & (!self.host.deadline_valid.val() | self.difference.val().get_bit(31))
        {
            self.deadline.next = self.neigh.deadline.val();
        }
        // A pause looks at the time with every tick; nothing is due before the next.
        if self.pause_timer.active.val() {
            self.deadline.next = self.host.ticks.val() + 1;
        }
        self.deadline_valid.next = self.neigh.deadline_valid.val()
            | self.host.deadline_valid.val()
            | self.pause_timer.active.val();
    }
}
