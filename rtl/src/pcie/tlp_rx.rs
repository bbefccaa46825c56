//! Takes TLPs apart: register accesses of the host are carried out and answered, writes to the push window and completions passed on.
//!
//! PCIe base specification 2.1: section 2.2.1 (headers), 2.2.7 (requests), 2.2.9 and 2.3.1 (completions, Unsupported Request).
//! Beats: PG054, 64-bit AXI4-Stream.
use super::cells::SwapBytes;
use super::internal::{CompletionSource, ReplySource};
use super::ports::{PushSource, RegAccessSource, TlpSink};
use array_init::array_init;
use ferrule_abi::{counter, regs, BAR_MSIX, BAR_REGS};
use rust_hdl::prelude::*;

/// State of [`TlpRx`].
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum RxState {
    /// DW0 and DW1 come next.
    Head,
    /// DW2 and DW3 (or the first payload DW) come next.
    Address,
    /// The rest of a request.
    Rest,
    /// A request has been read whole.
    Judge,
    /// A register is being accessed.
    Access,
    /// Byte count and lower address of a refused read: what the first byte enables take away.
    TrimFirst,
    /// What the last byte enables take away.
    TrimLast,
    /// The answer waits to be sent.
    Reply,
    /// The first beat of a completion, held in registers.
    FirstBeat,
    /// Later beats of a completion pass through.
    Beats,
    /// The first beat of a write to the push window, held in registers.
    FirstPush,
    /// Later beats of it pass through.
    Pushes,
    /// A TLP is read and thrown away.
    Drain,
}

/// The receiver. One TLP at a time; requests stop the stream until they are answered, which takes some ten cycles.
///
/// A register access is a memory request for one DW with all bytes enabled, not poisoned, in a BAR that exists. Any other request that
/// wants an answer gets Unsupported Request; a write is ignored; both pulse `bad_access`. While the push window is open, it takes writes
/// of any length with all bytes enabled, at one beat a cycle.
#[derive(LogicBlock)]
pub struct TlpRx {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// Bus, device, function of this endpoint: completions for another requester are not ours.
    pub completer_id: Signal<In, Bits<16>>,
    /// The TLPs.
    pub tlp: TlpSink,
    /// Accesses of BAR0.
    pub regs: RegAccessSource,
    /// Accesses of the MSI-X BAR.
    pub msix: RegAccessSource,
    /// Writes to the push window.
    pub push: PushSource,
    /// Answers to the host.
    pub reply: ReplySource,
    /// Completions for reads of ours.
    pub completion: CompletionSource,
    /// Pulse: a request was refused.
    pub bad_access: Signal<Out, Bit>,
    /// Pulses for TLP_UNEXPECTED.
    pub events: Signal<Out, Bits<32>>,
    /// A TLP is being worked on.
    pub busy: Signal<Out, Bit>,
    state: DFF<RxState>,
    dw0: DFF<Bits<32>>,
    dw1: DFF<Bits<32>>,
    addr: DFF<Bits<32>>,
    data: DFF<Bits<32>>,
    bar: DFF<Bits<3>>,
    tag: DFF<Bits<3>>,
    /// Payload DWs that the header announces and that have not come.
    left: DFF<Bits<11>>,
    /// `left` is 0, 1, 2: what a beat may hold is known early in the cycle.
    none_left: DFF<Bit>,
    one_left: DFF<Bit>,
    two_left: DFF<Bit>,
    /// The TLP does not have the length its header says.
    malformed: DFF<Bit>,
    first_count: DFF<Bits<2>>,
    first_last: DFF<Bit>,
    /// Byte count of the answer.
    bytes: DFF<Bits<12>>,
    lower: DFF<Bits<7>>,
    with_data: DFF<Bit>,
    swap0: SwapBytes,
    swap1: SwapBytes,
    count: Signal<Local, Bits<2>>,
    left_next: Signal<Local, Bits<11>>,
    forward: Signal<Local, Bits<2>>,
    excess: Signal<Local, Bit>,
    fits: Signal<Local, Bit>,
    target: Signal<Local, Bits<32>>,
    partial: Signal<Local, Bit>,
    after: Signal<Local, Bits<11>>,
    length: Signal<Local, Bits<10>>,
    skip: Signal<Local, Bits<7>>,
    quad: Signal<Local, Bits<12>>,
    enables: Signal<Local, Bits<4>>,
    id: Signal<Local, Bits<32>>,
    pattern: [Constant<Bits<4>>; 16],
    /// Disabled bytes below the first enabled one.
    lead: [Constant<Bits<7>>; 16],
    /// Disabled bytes above the last enabled one; 3 where none is (PCIe table 2-34: byte count 1).
    trail: [Constant<Bits<7>>; 16],
    /// Type fields of requests that want an answer, but for memory reads.
    nonposted: [Constant<Bits<32>>; 8],
    bar_regs: Constant<Bits<3>>,
    bar_msix: Constant<Bits<3>>,
    /// Bits 19:11 of an address in the push window.
    window: Constant<Bits<9>>,
    pulse: Constant<Bits<32>>,
}

impl Default for TlpRx {
    fn default() -> Self {
        // PCIe 2.1 table 2-3: MRdLk, IORd/IOWr, CfgRd0/CfgWr0, CfgRd1/CfgWr1, TCfgRd/TCfgWr, FetchAdd, Swap, CAS.
        const NONPOSTED: [u64; 8] = [
            0b0_0001, 0b0_0010, 0b0_0100, 0b0_0101, 0b1_1011, 0b0_1100, 0b0_1101, 0b0_1110,
        ];
        let lowest = |be: usize| {
            if be == 0 {
                0
            } else {
                u64::from(be.trailing_zeros())
            }
        };
        let above = |be: usize| {
            if be == 0 {
                3
            } else {
                u64::from((be as u8).leading_zeros()) - 4
            }
        };
        Self {
            clock: Default::default(),
            reset: Default::default(),
            completer_id: Default::default(),
            tlp: Default::default(),
            regs: Default::default(),
            msix: Default::default(),
            push: Default::default(),
            reply: Default::default(),
            completion: Default::default(),
            bad_access: Default::default(),
            events: Default::default(),
            busy: Default::default(),
            state: Default::default(),
            dw0: Default::default(),
            dw1: Default::default(),
            addr: Default::default(),
            data: Default::default(),
            bar: Default::default(),
            tag: Default::default(),
            left: Default::default(),
            none_left: Default::default(),
            one_left: Default::default(),
            two_left: Default::default(),
            malformed: Default::default(),
            first_count: Default::default(),
            first_last: Default::default(),
            bytes: Default::default(),
            lower: Default::default(),
            with_data: Default::default(),
            swap0: Default::default(),
            swap1: Default::default(),
            count: Default::default(),
            left_next: Default::default(),
            forward: Default::default(),
            excess: Default::default(),
            fits: Default::default(),
            target: Default::default(),
            partial: Default::default(),
            after: Default::default(),
            length: Default::default(),
            skip: Default::default(),
            quad: Default::default(),
            enables: Default::default(),
            id: Default::default(),
            pattern: array_init(|i| Constant::new((i as u64).into())),
            lead: array_init(|i| Constant::new(lowest(i).into())),
            trail: array_init(|i| Constant::new(above(i).into())),
            nonposted: array_init(|i| Constant::new((NONPOSTED[i] << 24).into())),
            bar_regs: Constant::new(u64::from(BAR_REGS).into()),
            bar_msix: Constant::new(u64::from(BAR_MSIX).into()),
            window: Constant::new(u64::from(regs::push_window(0) / regs::PUSH_WINDOW_BYTES).into()),
            pulse: Constant::new((1_u64 << counter::TLP_UNEXPECTED).into()),
        }
    }
}

impl Logic for TlpRx {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            state,
            dw0,
            dw1,
            addr,
            data,
            bar,
            tag,
            left,
            none_left,
            one_left,
            two_left,
            malformed,
            first_count,
            first_last,
            bytes,
            lower,
            with_data
        );
        self.busy.next = self.state.q.val() != RxState::Head;
        self.events.next = 0.into();
        self.bad_access.next = false;
        self.tlp.ready.next = false;
        self.swap0.x.next = self.tlp.d0.val();
        self.swap1.x.next = self.tlp.d1.val();
        self.regs.bar.next = self.bar.q.val();
        self.regs.addr.next = bit_cast::<20, 32>(self.addr.q.val()) & 0xF_FFFC;
        self.regs.write.next = self.dw0.q.val().get_bit(30);
        self.regs.wdata.next = self.data.q.val();
        self.regs.valid.next = false;
        self.msix.bar.next = self.bar.q.val();
        self.msix.addr.next = bit_cast::<20, 32>(self.addr.q.val()) & 0xF_FFFC;
        self.msix.write.next = self.dw0.q.val().get_bit(30);
        self.msix.wdata.next = self.data.q.val();
        self.msix.valid.next = false;
        self.push.offset.next = self.addr.q.val().get_bits::<9>(2);
        self.push.d0.next = self.data.q.val();
        self.push.d1.next = self.swap1.y.val();
        self.push.count.next = self.first_count.q.val();
        self.push.first.next = false;
        self.push.last.next = self.first_last.q.val();
        self.push.bad.next = self.malformed.q.val();
        self.push.valid.next = false;
        self.reply.dw0.next = 0.into();
        self.reply.dw1.next = 0.into();
        self.reply.dw2.next = 0.into();
        self.reply.data.next = self.data.q.val();
        self.reply.valid.next = false;
        self.completion.dw0.next = self.dw0.q.val();
        self.completion.dw1.next = self.dw1.q.val();
        self.completion.tag.next = self.tag.q.val();
        self.completion.d0.next = self.data.q.val();
        self.completion.d1.next = self.swap1.y.val();
        self.completion.count.next = self.first_count.q.val();
        self.completion.last.next = self.first_last.q.val();
        self.completion.bad.next = self.malformed.q.val();
        self.completion.valid.next = false;
        // Payload DWs in the beat, and how they fit what the header announced; a digest (TD) may follow the payload.
        self.count.next = 2.into();
        if self.tlp.half.val() & self.tlp.last.val() {
            self.count.next = 1.into();
        }
        if self.state.q.val() == RxState::Address {
            // DW2 comes first; a 4-DW header fills the beat.
            self.count.next = self.count.val() - 1;
            if self.dw0.q.val().get_bit(29) {
                self.count.next = 0.into();
            }
        }
        self.forward.next = self.count.val();
        self.after.next = self.left.q.val() - bit_cast::<11, 2>(self.count.val());
        self.excess.next = (self.none_left.q.val() & self.count.val().any())
            | (self.one_left.q.val() & (self.count.val() == 2));
        if self.excess.val() {
            self.forward.next = bit_cast::<2, 1>(self.one_left.q.val().into());
            self.after.next = 0.into();
        }
        self.fits.next = (self.none_left.q.val() & (self.count.val() == 0))
            | (self.one_left.q.val() & (self.count.val() == 1))
            | (self.two_left.q.val() & (self.count.val() == 2));
        if self.dw0.q.val().get_bit(15) {
            self.fits.next = (self.none_left.q.val() & (self.count.val() == 1))
                | (self.one_left.q.val() & (self.count.val() == 2));
        }
        // A header cut off within its fourth DW.
        if (self.state.q.val() == RxState::Address)
            & self.dw0.q.val().get_bit(29)
            & self.tlp.half.val()
            & self.tlp.last.val()
        {
            self.fits.next = false;
        }
        if self.malformed.q.val() {
            self.fits.next = false;
        }
        self.length.next = bit_cast::<10, 32>(self.tlp.d0.val());
        self.skip.next = 0.into();
        self.quad.next = 0.into();
        self.enables.next = 0.into();
        self.id.next = 0.into();
        self.left_next.next = self.left.q.val();
        self.target.next = self.tlp.d0.val();
        if self.dw0.q.val().get_bit(29) {
            self.target.next = self.tlp.d1.val();
        }
        // A write of several DWs enables all bytes of the first and of the last.
        self.partial.next = (self.dw1.q.val() & 0xFF) != 0xFF;
        if (self.dw0.q.val() & 0x3FF) == 1 {
            self.partial.next = (self.dw1.q.val() & 0xFF) != 0x0F;
        }
        match self.state.q.val() {
            RxState::Head => {
                self.tlp.ready.next = true;
                self.dw0.d.next = self.tlp.d0.val();
                self.dw1.d.next = self.tlp.d1.val();
                self.bar.d.next = self.tlp.bar.val();
                self.malformed.d.next = false;
                self.left_next.next = 0.into();
                if self.tlp.d0.val().get_bit(30) {
                    self.left_next.next = bit_cast::<11, 10>(self.length.val());
                    if self.length.val() == 0 {
                        self.left_next.next = 1024.into();
                    }
                }
                if self.tlp.valid.val() {
                    self.state.d.next = RxState::Address;
                    if self.tlp.last.val() {
                        self.events.next = self.pulse.val();
                        self.state.d.next = RxState::Head;
                    }
                }
            }
            RxState::Address => {
                self.tlp.ready.next = true;
                self.addr.d.next = self.target.val();
                self.data.d.next = self.swap1.y.val();
                self.first_count.d.next = self.forward.val();
                self.first_last.d.next = self.tlp.last.val();
                if self.tlp.valid.val() {
                    self.left_next.next = self.after.val();
                    self.malformed.d.next = self.excess.val();
                    self.state.d.next = RxState::Rest;
                    if self.tlp.last.val() {
                        self.malformed.d.next = !self.fits.val();
                        self.state.d.next = RxState::Judge;
                    }
                    if ((self.dw0.q.val() & 0xDF00_0000_u64) == 0x4000_0000)
                        & (self.bar.q.val() == self.bar_regs.val())
                        & (self.target.val().get_bits::<9>(11) == self.window.val())
                        & self.push.open.val()
                    {
                        self.state.d.next = RxState::FirstPush;
                    }
                    // Cpl or CplD.
                    if (self.dw0.q.val() & 0xBF00_0000_u64) == 0x0A00_0000 {
                        self.id.next = bit_cast::<32, 16>(self.completer_id.val()) << 16;
                        self.tag.d.next = self.tlp.d0.val().get_bits::<3>(8);
                        if (self.tlp.d0.val() & 0xFFFF_F800_u64) == self.id.val() {
                            self.state.d.next = RxState::FirstBeat;
                        } else {
                            self.events.next = self.pulse.val();
                            self.state.d.next = RxState::Drain;
                            if self.tlp.last.val() {
                                self.state.d.next = RxState::Head;
                            }
                        }
                    }
                }
            }
            RxState::Rest => {
                self.tlp.ready.next = true;
                if self.tlp.valid.val() {
                    self.left_next.next = self.after.val();
                    if self.dw0.q.val().get_bit(29) & (self.left.q.val() == 1) {
                        self.data.d.next = self.swap0.y.val();
                    }
                    if self.excess.val() {
                        self.malformed.d.next = true;
                    }
                    if self.tlp.last.val() {
                        self.malformed.d.next = !self.fits.val();
                        self.state.d.next = RxState::Judge;
                    }
                }
            }
            RxState::Judge => {
                // Unless one of the cases below: a message, a locked completion, or no type we know.
                self.state.d.next = RxState::Head;
                self.length.next = bit_cast::<10, 32>(self.dw0.q.val());
                self.quad.next = bit_cast::<12, 10>(self.length.val()) << 2;
                self.bytes.d.next = 4.into();
                self.lower.d.next = 0.into();
                self.with_data.d.next = false;
                if self.malformed.q.val() {
                    self.events.next = self.pulse.val();
                } else if (self.dw0.q.val() & 0x9F00_0000_u64) == 0 {
                    // Memory request, either header.
                    if (self.length.val() == 1)
                        & ((self.dw1.q.val() & 0xFF) == 0x0F)
                        & !(self.dw0.q.val().get_bit(30) & self.dw0.q.val().get_bit(14))
                        & ((self.bar.q.val() == self.bar_regs.val())
                            | (self.bar.q.val() == self.bar_msix.val()))
                    {
                        self.lower.d.next = bit_cast::<7, 32>(self.addr.q.val()) & 0x7C;
                        self.with_data.d.next = true;
                        self.state.d.next = RxState::Access;
                    } else {
                        self.bad_access.next = true;
                        if !self.dw0.q.val().get_bit(30) {
                            self.bytes.d.next = self.quad.val();
                            self.lower.d.next = bit_cast::<7, 32>(self.addr.q.val()) & 0x7C;
                            self.state.d.next = RxState::TrimFirst;
                        }
                    }
                } else {
                    self.events.next = self.pulse.val();
                    for i in 0..8 {
                        if (self.dw0.q.val() & 0x9F00_0000_u64) == self.nonposted[i].val() {
                            self.events.next = 0.into();
                            self.bad_access.next = true;
                            self.state.d.next = RxState::Reply;
                        }
                    }
                }
            }
            RxState::Access => {
                if self.bar.q.val() == self.bar_regs.val() {
                    self.regs.valid.next = true;
                    if self.regs.done.val() {
                        self.state.d.next = RxState::Head;
                        if !self.dw0.q.val().get_bit(30) {
                            self.data.d.next = self.regs.rdata.val();
                            self.state.d.next = RxState::Reply;
                        }
                    }
                } else {
                    self.msix.valid.next = true;
                    if self.msix.done.val() {
                        self.state.d.next = RxState::Head;
                        if !self.dw0.q.val().get_bit(30) {
                            self.data.d.next = self.msix.rdata.val();
                            self.state.d.next = RxState::Reply;
                        }
                    }
                }
            }
            RxState::TrimFirst => {
                self.enables.next = bit_cast::<4, 32>(self.dw1.q.val());
                for i in 0..16 {
                    if self.enables.val() == self.pattern[i].val() {
                        self.skip.next = self.lead[i].val();
                    }
                }
                self.lower.d.next = self.lower.q.val() + self.skip.val();
                self.bytes.d.next = self.bytes.q.val() - bit_cast::<12, 7>(self.skip.val());
                self.state.d.next = RxState::TrimLast;
            }
            RxState::TrimLast => {
                self.enables.next = self.dw1.q.val().get_bits::<4>(4);
                if (self.dw1.q.val() & 0xF0) == 0 {
                    self.enables.next = bit_cast::<4, 32>(self.dw1.q.val());
                }
                for i in 0..16 {
                    if self.enables.val() == self.pattern[i].val() {
                        self.skip.next = self.trail[i].val();
                    }
                }
                self.bytes.d.next = self.bytes.q.val() - bit_cast::<12, 7>(self.skip.val());
                self.state.d.next = RxState::Reply;
            }
            RxState::Reply => {
                self.reply.valid.next = true;
                // TC and attributes are those of the request.
                self.reply.dw0.next = (self.dw0.q.val() & 0x0070_3000) | 0x0A00_0000;
                self.reply.dw1.next = bit_cast::<32, 12>(self.bytes.q.val()) | 0x2000;
                if self.with_data.q.val() {
                    self.reply.dw0.next = (self.dw0.q.val() & 0x0070_3000) | 0x4A00_0001;
                    self.reply.dw1.next = bit_cast::<32, 12>(self.bytes.q.val());
                }
                self.reply.dw2.next =
                    (self.dw1.q.val() & 0xFFFF_FF00_u64) | bit_cast::<32, 7>(self.lower.q.val());
                if self.reply.ready.val() {
                    self.state.d.next = RxState::Head;
                }
            }
            RxState::FirstBeat => {
                self.completion.valid.next = true;
                if self.completion.ready.val() {
                    self.state.d.next = RxState::Beats;
                    if self.first_last.q.val() {
                        self.state.d.next = RxState::Head;
                    }
                }
            }
            RxState::Beats => {
                self.completion.d0.next = self.swap0.y.val();
                self.completion.count.next = self.forward.val();
                self.completion.last.next = self.tlp.last.val();
                self.completion.bad.next = !self.fits.val();
                self.completion.valid.next = self.tlp.valid.val();
                self.tlp.ready.next = self.completion.ready.val();
                if self.tlp.valid.val() & self.completion.ready.val() {
                    self.left_next.next = self.after.val();
                    if self.excess.val() {
                        self.malformed.d.next = true;
                    }
                    if self.tlp.last.val() {
                        self.state.d.next = RxState::Head;
                    }
                }
            }
            RxState::FirstPush => {
                self.push.first.next = true;
                self.state.d.next = RxState::Pushes;
                if self.first_last.q.val() {
                    self.state.d.next = RxState::Head;
                }
                if self.partial.val() | self.dw0.q.val().get_bit(14) {
                    self.bad_access.next = true;
                    if !self.first_last.q.val() {
                        self.state.d.next = RxState::Drain;
                    }
                } else {
                    self.push.valid.next = true;
                    if self.first_last.q.val() & self.malformed.q.val() {
                        self.events.next = self.pulse.val();
                    }
                }
            }
            RxState::Pushes => {
                self.tlp.ready.next = true;
                self.push.d0.next = self.swap0.y.val();
                self.push.count.next = self.forward.val();
                self.push.last.next = self.tlp.last.val();
                self.push.bad.next = !self.fits.val();
                self.push.valid.next = self.tlp.valid.val();
                if self.tlp.valid.val() {
                    self.left_next.next = self.after.val();
                    if self.excess.val() {
                        self.malformed.d.next = true;
                    }
                    if self.tlp.last.val() {
                        self.state.d.next = RxState::Head;
                        if !self.fits.val() {
                            self.events.next = self.pulse.val();
                        }
                    }
                }
            }
            RxState::Drain => {
                self.tlp.ready.next = true;
                if self.tlp.valid.val() & self.tlp.last.val() {
                    self.state.d.next = RxState::Head;
                }
            }
            _ => {
                self.state.d.next = RxState::Head;
            }
        }
        self.left.d.next = self.left_next.val();
        self.none_left.d.next = self.left_next.val() == 0;
        self.one_left.d.next = self.left_next.val() == 1;
        self.two_left.d.next = self.left_next.val() == 2;
        if self.reset.val() {
            self.state.d.next = RxState::Head;
        }
    }
}
