//! The device's end of the link as one block: pins on one side, what a PCIe block has on the other.
use super::line_rx::LineRx;
use super::line_tx::LineTx;
use super::packer::Packer;
use super::ports::*;
use super::session::Session;
use super::stuff::{Stuff, Unstuff};
use super::unit_rx::UnitRx;
use super::unit_tx::UnitTx;
use super::unpacker::Unpacker;
use crate::pcie::ports::{TlpSink, TlpSource};
use rust_hdl::prelude::*;

/// The link.
#[derive(LogicBlock, Default)]
pub struct UartLink {
    /// The core's clock.
    pub clock: Signal<In, Clock>,
    /// Its reset.
    pub reset: Signal<In, Bit>,
    /// The time in nanoseconds, bits 31:0.
    pub time_lo: Signal<In, Bits<32>>,
    /// Bits a clock, in units of 2^-16; 0.2 at most.
    pub rate: Signal<In, Bits<16>>,
    /// The line from the host.
    pub uart_rx: Signal<In, Bit>,
    /// The line to the host.
    pub uart_tx: Signal<Out, Bit>,
    /// TLPs to the core.
    pub down: TlpSource,
    /// TLPs from the core.
    pub up: TlpSink,
    /// Resets the core: a session begins.
    pub core_reset: Signal<Out, Bit>,
    /// Bus, device, function of this endpoint.
    pub completer_id: Signal<Out, Bits<16>>,
    /// Bus master enable.
    pub bus_master: Signal<Out, Bit>,
    /// MSI-X enable.
    pub msix_enable: Signal<Out, Bit>,
    /// MSI-X function mask.
    pub msix_mask: Signal<Out, Bit>,
    /// Largest payload: 128 bytes << this.
    pub max_payload: Signal<Out, Bits<3>>,
    /// Largest read request: 128 bytes << this.
    pub max_read: Signal<Out, Bits<3>>,
    /// The host is there.
    pub alive: Signal<Out, Bit>,
    /// Pulse: something came that was no whole unit.
    pub damaged: Signal<Out, Bit>,
    /// Something is not acknowledged, not sent, or just coming.
    pub busy: Signal<Out, Bit>,
    line_rx: LineRx,
    unstuff: Unstuff,
    unit_rx: UnitRx,
    session: Session,
    unit_tx: UnitTx,
    stuff: Stuff,
    line_tx: LineTx,
    packer: Packer,
    unpacker: Unpacker,
    /// The streams begin anew.
    renew: Signal<Local, Bit>,
    held: DFF<Bit>,
}

impl Logic for UartLink {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, held);
        clock!(
            self, clock, line_rx, unstuff, unit_rx, session, unit_tx, stuff, line_tx, packer,
            unpacker
        );
        self.renew.next = self.reset.val() | self.session.renew.val();
        self.held.d.next = self.renew.val();
        self.core_reset.next = self.held.q.val();
        self.line_rx.reset.next = self.reset.val();
        self.unstuff.reset.next = self.reset.val();
        self.unit_rx.reset.next = self.reset.val();
        self.session.reset.next = self.reset.val();
        self.unit_tx.reset.next = self.renew.val();
        self.stuff.reset.next = self.renew.val();
        self.line_tx.reset.next = self.reset.val();
        self.packer.reset.next = self.renew.val();
        self.unpacker.reset.next = self.renew.val();

        self.line_rx.rate.next = self.rate.val();
        self.line_rx.line.next = self.uart_rx.val();
        self.unstuff.data.next = self.line_rx.data.val();
        self.unstuff.valid.next = self.line_rx.valid.val();
        self.unstuff.broken.next = self.line_rx.broken.val();
        self.unit_rx.octet.next = self.unstuff.octet.val();
        self.unit_rx.octet_valid.next = self.unstuff.octet_valid.val();
        self.unit_rx.flag.next = self.unstuff.flag.val();
        self.unit_rx.bad.next = self.unstuff.bad.val();
        self.unit_rx.expected.next = self.session.expected.val();
        self.unit_rx.worked.next = self.unpacker.worked.val();
        self.damaged.next = self.unit_rx.damaged.val();
        HeardSource::join(&mut self.unit_rx.m, &mut self.session.s);
        self.unpacker.place.next = self.unit_rx.place.val();
        self.unpacker.word.next = self.unit_rx.word.val();
        self.unpacker.write.next = self.unit_rx.write.val();
        self.unpacker.accepted.next = self.session.expected.val();
        TlpSource::link(&mut self.down, &mut self.unpacker.tlp);
        self.completer_id.next = self.unpacker.completer_id.val();
        self.bus_master.next = self.unpacker.settings.val().get_bit(0);
        self.msix_enable.next = self.unpacker.settings.val().get_bit(1);
        self.msix_mask.next = self.unpacker.settings.val().get_bit(2);
        self.max_payload.next = self.unpacker.settings.val().get_bits::<3>(3);
        self.max_read.next = self.unpacker.settings.val().get_bits::<3>(6);

        self.session.time_lo.next = self.time_lo.val();
        self.session.written.next = self.packer.written.val();
        self.session.worked.next = self.unpacker.worked.val();
        self.alive.next = self.session.alive.val();
        self.busy.next = self.session.busy.val()
            | (self.unpacker.worked.val() != self.session.expected.val())
            | self.unpacker.busy.val();
        SayingSource::join(&mut self.session.m, &mut self.unit_tx.s);

        TlpSink::link(&mut self.up, &mut self.packer.tlp);
        self.packer.acknowledged.next = self.session.acknowledged.val();
        self.packer.place.next = self.unit_tx.place.val();
        self.unit_tx.word.next = self.packer.word.val();
        OctetSource::join(&mut self.unit_tx.m, &mut self.stuff.s);
        self.line_tx.data.next = self.stuff.data.val();
        self.line_tx.valid.next = self.stuff.valid.val();
        self.stuff.ready.next = self.line_tx.ready.val();
        self.line_tx.rate.next = self.rate.val();
        self.uart_tx.next = self.line_tx.line.val();
    }
}
