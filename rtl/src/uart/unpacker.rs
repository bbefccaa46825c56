//! The stream from the host back into TLPs for the core, and settings.
use crate::pcie::ports::TlpSource;
use rust_hdl::prelude::*;

/// What [`Unpacker`] takes next.
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum UnpackState {
    /// A TLP's first DW.
    First,
    /// The second.
    Second,
    /// The third is looked at, for the BAR.
    Third,
    /// The fourth of a configuration write.
    Settings,
    /// The first of a later beat.
    Even,
    /// The second of it.
    Odd,
    /// A beat waits for the core.
    Offer,
}

/// A buffer of 4 KiB, and the TLPs out of it: how long each is says its first DW (PCIe 2.1 section 2.2.1).
///
/// Bits 22:20 of a request's address are its BAR. Configuration writes are settings.
#[derive(LogicBlock, Default)]
pub struct Unpacker {
    /// The clock.
    pub clock: Signal<In, Clock>,
    /// Its reset: the stream begins anew, and all settings are 0.
    pub reset: Signal<In, Bit>,
    /// Place to write.
    pub place: Signal<In, Bits<10>>,
    /// What is written there.
    pub word: Signal<In, Bits<32>>,
    /// Write it.
    pub write: Signal<In, Bit>,
    /// The position behind what was accepted.
    pub accepted: Signal<In, Bits<12>>,
    /// The position that is read next.
    pub worked: Signal<Out, Bits<12>>,
    /// To the core.
    pub tlp: TlpSource,
    /// Bus, device, function of this endpoint.
    pub completer_id: Signal<Out, Bits<16>>,
    /// The settings, as in the configuration write.
    pub settings: Signal<Out, Bits<9>>,
    /// In the middle of a TLP.
    pub busy: Signal<Out, Bit>,
    ram: RAM<Bits<32>, 10>,
    state: DFF<UnpackState>,
    rd: DFF<Bits<12>>,
    shown: DFF<Bit>,
    d0: DFF<Bits<32>>,
    d1: DFF<Bits<32>>,
    half: DFF<Bit>,
    last: DFF<Bit>,
    bar: DFF<Bits<3>>,
    /// DWs of the TLP that are not taken.
    left: DFF<Bits<11>>,
    completer: DFF<Bits<16>>,
    set: DFF<Bits<9>>,
    front: Signal<Local, Bits<32>>,
    rd_next: Signal<Local, Bits<12>>,
    take: Signal<Local, Bit>,
    length: Signal<Local, Bits<11>>,
    ends: Signal<Local, Bit>,
}

impl Logic for Unpacker {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, state, rd, shown, d0, d1, half, last, bar, left, completer, set);
        self.ram.read_clock.next = self.clock.val();
        self.ram.write_clock.next = self.clock.val();
        self.ram.write_address.next = self.place.val();
        self.ram.write_data.next = self.word.val();
        self.ram.write_enable.next = self.write.val();
        self.worked.next = self.rd.q.val();
        self.tlp.d0.next = self.d0.q.val();
        self.tlp.d1.next = self.d1.q.val();
        self.tlp.half.next = self.half.q.val();
        self.tlp.last.next = self.last.q.val();
        self.tlp.bar.next = self.bar.q.val();
        self.tlp.valid.next = self.state.q.val() == UnpackState::Offer;
        self.busy.next = self.state.q.val() != UnpackState::First;
        self.completer_id.next = self.completer.q.val();
        self.settings.next = self.set.q.val();
        self.front.next = self.ram.read_data.val();
        // Behind the first DW: the rest of the header, the payload, a digest.
        self.length.next = 0.into();
        if self.front.val().get_bit(30) {
            self.length.next = bit_cast::<11, 10>(self.front.val().get_bits::<10>(0));
            if self.front.val().get_bits::<10>(0) == 0 {
                self.length.next = 1024.into();
            }
        }
        self.ends.next = self.left.q.val() == 1;
        self.take.next = false;
        match self.state.q.val() {
            UnpackState::First => {
                self.half.d.next = false;
                self.last.d.next = false;
                self.d0.d.next = self.front.val();
                self.left.d.next = self.length.val()
                    + bit_cast::<11, 1>(self.front.val().get_bits::<1>(29))
                    + bit_cast::<11, 1>(self.front.val().get_bits::<1>(15))
                    + 2;
                if self.shown.q.val() {
                    self.take.next = true;
                    self.state.d.next = UnpackState::Second;
                }
            }
            UnpackState::Second => {
                self.d1.d.next = self.front.val();
                if self.shown.q.val() {
                    self.take.next = true;
                    self.left.d.next = self.left.q.val() - 1;
                    self.state.d.next = UnpackState::Third;
                }
            }
            UnpackState::Third => {
                self.bar.d.next = self.front.val().get_bits::<3>(20);
                if self.shown.q.val() {
                    self.state.d.next = UnpackState::Offer;
                    if self.d0.q.val().get_bits::<8>(24) == 0x44 {
                        self.take.next = true;
                        self.completer.d.next = self.front.val().get_bits::<16>(16);
                        self.state.d.next = UnpackState::Settings;
                    }
                }
            }
            UnpackState::Settings => {
                if self.shown.q.val() {
                    self.take.next = true;
                    self.set.d.next = bit_cast::<9, 32>(self.front.val());
                    self.state.d.next = UnpackState::First;
                }
            }
            UnpackState::Even => {
                self.d0.d.next = self.front.val();
                if self.shown.q.val() {
                    self.take.next = true;
                    self.left.d.next = self.left.q.val() - 1;
                    self.half.d.next = self.ends.val();
                    self.last.d.next = self.ends.val();
                    self.state.d.next = UnpackState::Odd;
                    if self.ends.val() {
                        self.state.d.next = UnpackState::Offer;
                    }
                }
            }
            UnpackState::Odd => {
                self.d1.d.next = self.front.val();
                if self.shown.q.val() {
                    self.take.next = true;
                    self.left.d.next = self.left.q.val() - 1;
                    self.last.d.next = self.ends.val();
                    self.state.d.next = UnpackState::Offer;
                }
            }
            UnpackState::Offer => {
                if self.tlp.ready.val() {
                    self.state.d.next = UnpackState::Even;
                    if self.last.q.val() {
                        self.state.d.next = UnpackState::First;
                    }
                }
            }
            _ => {
                self.state.d.next = UnpackState::First;
            }
        }
        // The memory's output belongs to the address of the clock before.
        self.rd_next.next = self.rd.q.val();
        if self.take.val() {
            self.rd_next.next = self.rd.q.val() + 1;
        }
        self.rd.d.next = self.rd_next.val();
        self.ram.read_address.next = bit_cast::<10, 12>(self.rd_next.val());
        self.shown.d.next = self.rd_next.val() != self.accepted.val();
        if self.reset.val() {
            self.state.d.next = UnpackState::First;
            self.rd.d.next = 0.into();
            self.shown.d.next = false;
            self.completer.d.next = 0.into();
            self.set.d.next = 0.into();
        }
    }
}
