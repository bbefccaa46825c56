//! The AXI4-Stream and configuration interfaces of the 7-series integrated block (PG054), as the core's TLP streams and settings.
use super::ports::{TlpSink, TlpSource};
use super::slice::TlpSlice;
use array_init::array_init;
use rust_hdl::prelude::*;

/// Joins the block's 64-bit streams with the core's; a register slice in each direction keeps the block's timing to itself.
///
/// What the block says beside a TLP in `m_axis_rx_tuser`: bit 0 its ECRC is wrong (at its end), bit 1 it is poisoned, bits 9:2 the BAR that it hit, one
/// bit each, BAR 6 the expansion ROM. Poison becomes the EP bit of its header, which the core heeds; a TLP that hit no BAR has number 7, which
/// the core has nothing behind. TLPs to the host are stored in the block before they go (`s_axis_tx_tuser` 0: not streamed), so that they may have gaps.
#[derive(LogicBlock)]
pub struct PcieAxi {
    /// The block's user_clk_out.
    pub clock: Signal<In, Clock>,
    /// The core's reset: user_reset_out, or no user_lnk_up. What is under way is lost.
    pub reset: Signal<In, Bit>,
    /// m_axis_rx_tdata, bits 31:0.
    pub rx_d0: Signal<In, Bits<32>>,
    /// m_axis_rx_tdata, bits 63:32.
    pub rx_d1: Signal<In, Bits<32>>,
    /// m_axis_rx_tkeep: all ones, or 0x0F in a last beat.
    pub rx_keep: Signal<In, Bits<8>>,
    /// m_axis_rx_tlast.
    pub rx_last: Signal<In, Bit>,
    /// m_axis_rx_tvalid.
    pub rx_valid: Signal<In, Bit>,
    /// m_axis_rx_tready.
    pub rx_ready: Signal<Out, Bit>,
    /// m_axis_rx_tuser.
    pub rx_user: Signal<In, Bits<22>>,
    /// s_axis_tx_tdata, bits 31:0.
    pub tx_d0: Signal<Out, Bits<32>>,
    /// s_axis_tx_tdata, bits 63:32.
    pub tx_d1: Signal<Out, Bits<32>>,
    /// s_axis_tx_tkeep.
    pub tx_keep: Signal<Out, Bits<8>>,
    /// s_axis_tx_tlast.
    pub tx_last: Signal<Out, Bit>,
    /// s_axis_tx_tvalid.
    pub tx_valid: Signal<Out, Bit>,
    /// s_axis_tx_tready.
    pub tx_ready: Signal<In, Bit>,
    /// tx_err_drop: the block threw a TLP of ours away.
    pub tx_dropped: Signal<In, Bit>,
    /// cfg_bus_number.
    pub cfg_bus: Signal<In, Bits<8>>,
    /// cfg_device_number.
    pub cfg_device: Signal<In, Bits<5>>,
    /// cfg_function_number.
    pub cfg_function: Signal<In, Bits<3>>,
    /// cfg_command: the Command register.
    pub cfg_command: Signal<In, Bits<16>>,
    /// cfg_dcommand: the Device Control register.
    pub cfg_dcommand: Signal<In, Bits<16>>,
    /// TLPs from the host.
    pub from_host: TlpSource,
    /// TLPs to the host.
    pub to_host: TlpSink,
    /// Bus, device, function.
    pub completer_id: Signal<Out, Bits<16>>,
    /// Bus master enable.
    pub bus_master: Signal<Out, Bit>,
    /// Maximum payload size code.
    pub max_payload: Signal<Out, Bits<3>>,
    /// Maximum read request size code.
    pub max_read: Signal<Out, Bits<3>>,
    /// Pulse: a TLP came with a wrong ECRC, or one of ours was thrown away.
    pub error: Signal<Out, Bit>,
    rx: TlpSlice,
    tx: TlpSlice,
    /// The next beat is not the first of a TLP.
    mid_tlp: DFF<Bit>,
    failed: DFF<Bit>,
    takes: Signal<Local, Bit>,
    hit: Signal<Local, Bits<8>>,
    place: [Constant<Bits<3>>; 7],
    whole: Constant<Bits<8>>,
    half: Constant<Bits<8>>,
    poison: Constant<Bits<32>>,
}

impl Default for PcieAxi {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            rx_d0: Default::default(),
            rx_d1: Default::default(),
            rx_keep: Default::default(),
            rx_last: Default::default(),
            rx_valid: Default::default(),
            rx_ready: Default::default(),
            rx_user: Default::default(),
            tx_d0: Default::default(),
            tx_d1: Default::default(),
            tx_keep: Default::default(),
            tx_last: Default::default(),
            tx_valid: Default::default(),
            tx_ready: Default::default(),
            tx_dropped: Default::default(),
            cfg_bus: Default::default(),
            cfg_device: Default::default(),
            cfg_function: Default::default(),
            cfg_command: Default::default(),
            cfg_dcommand: Default::default(),
            from_host: Default::default(),
            to_host: Default::default(),
            completer_id: Default::default(),
            bus_master: Default::default(),
            max_payload: Default::default(),
            max_read: Default::default(),
            error: Default::default(),
            rx: Default::default(),
            tx: Default::default(),
            mid_tlp: Default::default(),
            failed: Default::default(),
            takes: Default::default(),
            hit: Default::default(),
            place: array_init(|i| Constant::new((i as u64).into())),
            whole: Constant::new(0xFF_u64.into()),
            half: Constant::new(0x0F_u64.into()),
            // EP of the first DW (PCIe 2.1, section 2.2.1).
            poison: Constant::new((1_u64 << 14).into()),
        }
    }
}

impl Logic for PcieAxi {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, mid_tlp, failed);
        clock!(self, clock, rx, tx);
        self.rx.reset.next = self.reset.val();
        self.tx.reset.next = self.reset.val();

        self.rx.s.d0.next = self.rx_d0.val();
        if self.rx_user.val().get_bit(1) & !self.mid_tlp.q.val() {
            self.rx.s.d0.next = self.rx_d0.val() | self.poison.val();
        }
        self.rx.s.d1.next = self.rx_d1.val();
        self.rx.s.half.next = !self.rx_keep.val().get_bit(4);
        self.rx.s.last.next = self.rx_last.val();
        // In reset nothing is taken: it waits in the block, which throws away by itself what a reset of its own makes void.
        self.takes.next = self.rx.s.ready.val() & !self.reset.val();
        self.rx.s.valid.next = self.rx_valid.val() & !self.reset.val();
        self.rx_ready.next = self.takes.val();
        self.hit.next = self.rx_user.val().get_bits::<8>(2);
        // All BARs have 32 bits, so that one is hit at most.
        self.rx.s.bar.next = 7.into();
        for i in 0..7 {
            if self.hit.val().get_bit(i) {
                self.rx.s.bar.next = self.place[i].val();
            }
        }
        if self.rx_valid.val() & self.takes.val() {
            self.mid_tlp.d.next = !self.rx_last.val();
        }
        TlpSource::link(&mut self.from_host, &mut self.rx.m);

        TlpSink::link(&mut self.to_host, &mut self.tx.s);
        self.tx_d0.next = self.tx.m.d0.val();
        self.tx_d1.next = self.tx.m.d1.val();
        self.tx_keep.next = self.whole.val();
        if self.tx.m.half.val() & self.tx.m.last.val() {
            self.tx_keep.next = self.half.val();
        }
        self.tx_last.next = self.tx.m.last.val();
        self.tx_valid.next = self.tx.m.valid.val();
        self.tx.m.ready.next = self.tx_ready.val();

        self.completer_id.next = (bit_cast::<16, 8>(self.cfg_bus.val()) << 8)
            | (bit_cast::<16, 5>(self.cfg_device.val()) << 3)
            | bit_cast::<16, 3>(self.cfg_function.val());
        self.bus_master.next = self.cfg_command.val().get_bit(2);
        self.max_payload.next = self.cfg_dcommand.val().get_bits::<3>(5);
        self.max_read.next = self.cfg_dcommand.val().get_bits::<3>(12);

        self.failed.d.next = self.tx_dropped.val()
            | (self.rx_valid.val()
                & self.takes.val()
                & self.rx_last.val()
                & self.rx_user.val().get_bit(0));
        self.error.next = self.failed.q.val();
        if self.reset.val() {
            self.mid_tlp.d.next = false;
            self.failed.d.next = false;
        }
    }
}
