//! Sends TLPs: completions to the host's reads, memory writes, memory reads; one TLP after the other, round robin.
//!
//! Header formats: PCIe base specification 2.1, section 2.2.1 (3-DW and 4-DW headers), 2.2.7 (memory requests), 2.2.9 (completions).
//! Beats: PG054, 64-bit AXI4-Stream.
use super::cells::SwapBytes;
use super::internal::{ReadTlpSink, ReplySink};
use super::ports::{TlpSource, WriteSink};
use array_init::array_init;
use ferrule_abi::counter;
use rust_hdl::prelude::*;

/// State of [`TlpTx`].
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum TxState {
    /// Nothing is being sent.
    Pick,
    /// DW0 and DW1 of a completion go next.
    ReplyHead,
    /// DW2 and the data of a completion go next.
    ReplyTail,
    /// DW0 and DW1 of a read go next.
    ReadHead,
    /// The address of a read goes next.
    ReadTail,
    /// DW0 and DW1 of a write go next.
    WriteHead,
    /// The address of a write goes next, with the first data DW if the header has 3 DWs.
    WriteAddr,
    /// Payload after a 3-DW header: one DW is carried over from beat to beat.
    Carried,
    /// The carried DW is the last.
    CarriedTail,
    /// Payload after a 4-DW header.
    Straight,
    /// A write is read and thrown away.
    Swallow,
}

/// The arbiter and packer. Clients of `writes`: 0 to 3 the queues' engines, 4 MSI-X.
///
/// A write is picked when its first beat is there and then sent without another TLP in between, so the order of acceptance is the order
/// on the bus, for completions too: a completion never passes a write that was accepted before it.
#[derive(LogicBlock)]
pub struct TlpTx {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// Bus, device, function of this endpoint.
    pub completer_id: Signal<In, Bits<16>>,
    /// The function may master the bus. While low, writes are swallowed and reads refused.
    pub bus_master: Signal<In, Bit>,
    /// No new write of clients 0 to 3 and no read is to be started.
    pub quiesce: Signal<In, Bit>,
    /// No write and no read is being sent.
    pub quiet: Signal<Out, Bit>,
    /// Completions to the host.
    pub reply: ReplySink,
    /// Memory reads.
    pub read: ReadTlpSink,
    /// Memory writes.
    pub writes: [WriteSink; 5],
    /// The TLPs.
    pub tlp: TlpSource,
    /// Pulses for TLP_READS, TLP_WRITES and INTERRUPTS.
    pub events: Signal<Out, Bits<32>>,
    /// A TLP is on its way.
    pub busy: Signal<Out, Bit>,
    state: DFF<TxState>,
    client: DFF<Bits<3>>,
    turn: DFF<Bits<3>>,
    carry: DFF<Bits<32>>,
    out0: DFF<Bits<32>>,
    out1: DFF<Bits<32>>,
    out_half: DFF<Bit>,
    out_last: DFF<Bit>,
    out_valid: DFF<Bit>,
    swap0: SwapBytes,
    swap1: SwapBytes,
    space: Signal<Local, Bit>,
    take: Signal<Local, Bit>,
    addr_lo: Signal<Local, Bits<32>>,
    addr_hi: Signal<Local, Bits<32>>,
    dwords: Signal<Local, Bits<10>>,
    last_be: Signal<Local, Bits<4>>,
    first_be: Signal<Local, Bits<4>>,
    tail_be: Signal<Local, Bits<4>>,
    last: Signal<Local, Bit>,
    valid: Signal<Local, Bit>,
    id: Signal<Local, Bits<32>>,
    head0: Signal<Local, Bits<32>>,
    head1: Signal<Local, Bits<32>>,
    next0: Signal<Local, Bits<32>>,
    next1: Signal<Local, Bits<32>>,
    index: [Constant<Bits<3>>; 7],
    pulse_read: Constant<Bits<32>>,
    pulse_write: Constant<Bits<32>>,
    pulse_irq: Constant<Bits<32>>,
}

impl Default for TlpTx {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            completer_id: Default::default(),
            bus_master: Default::default(),
            quiesce: Default::default(),
            quiet: Default::default(),
            reply: Default::default(),
            read: Default::default(),
            writes: Default::default(),
            tlp: Default::default(),
            events: Default::default(),
            busy: Default::default(),
            state: Default::default(),
            client: Default::default(),
            turn: Default::default(),
            carry: Default::default(),
            out0: Default::default(),
            out1: Default::default(),
            out_half: Default::default(),
            out_last: Default::default(),
            out_valid: Default::default(),
            swap0: Default::default(),
            swap1: Default::default(),
            space: Default::default(),
            take: Default::default(),
            addr_lo: Default::default(),
            addr_hi: Default::default(),
            dwords: Default::default(),
            last_be: Default::default(),
            first_be: Default::default(),
            tail_be: Default::default(),
            last: Default::default(),
            valid: Default::default(),
            id: Default::default(),
            head0: Default::default(),
            head1: Default::default(),
            next0: Default::default(),
            next1: Default::default(),
            index: array_init(|i| Constant::new((i as u64).into())),
            pulse_read: Constant::new((1_u64 << counter::TLP_READS).into()),
            pulse_write: Constant::new((1_u64 << counter::TLP_WRITES).into()),
            pulse_irq: Constant::new(
                (1_u64 << counter::INTERRUPTS | 1_u64 << counter::TLP_WRITES).into(),
            ),
        }
    }
}

impl Logic for TlpTx {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, state, client, turn, carry, out0, out1, out_half, out_last, out_valid
        );
        self.tlp.d0.next = self.out0.q.val();
        self.tlp.d1.next = self.out1.q.val();
        self.tlp.half.next = self.out_half.q.val();
        self.tlp.last.next = self.out_last.q.val();
        self.tlp.valid.next = self.out_valid.q.val();
        self.tlp.bar.next = 0.into();
        self.events.next = 0.into();
        self.reply.ready.next = false;
        self.read.ready.next = false;
        self.read.refuse.next =
            (self.state.q.val() == TxState::Pick) & (!self.bus_master.val() | self.quiesce.val());
        self.quiet.next = (self.state.q.val() == TxState::Pick)
            | (self.state.q.val() == TxState::ReplyHead)
            | (self.state.q.val() == TxState::ReplyTail);
        self.busy.next = (self.state.q.val() != TxState::Pick) | self.out_valid.q.val();
        self.space.next = !self.out_valid.q.val() | self.tlp.ready.val();
        if self.tlp.ready.val() {
            self.out_valid.d.next = false;
        }
        // The picked client's beat.
        self.addr_lo.next = self.writes[0].addr_lo.val();
        self.addr_hi.next = self.writes[0].addr_hi.val();
        self.dwords.next = self.writes[0].dwords.val();
        self.last_be.next = self.writes[0].last_be.val();
        self.swap0.x.next = self.writes[0].d0.val();
        self.swap1.x.next = self.writes[0].d1.val();
        self.last.next = self.writes[0].last.val();
        self.valid.next = self.writes[0].valid.val();
        for i in 1..5 {
            if self.client.q.val() == self.index[i].val() {
                self.addr_lo.next = self.writes[i].addr_lo.val();
                self.addr_hi.next = self.writes[i].addr_hi.val();
                self.dwords.next = self.writes[i].dwords.val();
                self.last_be.next = self.writes[i].last_be.val();
                self.swap0.x.next = self.writes[i].d0.val();
                self.swap1.x.next = self.writes[i].d1.val();
                self.last.next = self.writes[i].last.val();
                self.valid.next = self.writes[i].valid.val();
            }
        }
        // A read has the same header, and a completion's end is that of a short one.
        if self.client.q.val() == self.index[5].val() {
            self.addr_lo.next = self.read.addr_lo.val();
            self.addr_hi.next = self.read.addr_hi.val();
            self.dwords.next = bit_cast::<10, 7>(self.read.dwords.val());
            self.last_be.next = 15.into();
            self.swap0.x.next = 0.into();
        }
        if self.client.q.val() == self.index[6].val() {
            self.addr_lo.next = self.reply.dw2.val();
            self.addr_hi.next = 0.into();
            self.swap0.x.next = self.reply.data.val();
        }
        self.take.next = false;
        self.id.next = bit_cast::<32, 16>(self.completer_id.val()) << 16;
        self.first_be.next = 15.into();
        self.tail_be.next = self.last_be.val();
        if self.dwords.val() == 1 {
            self.first_be.next = self.last_be.val();
            self.tail_be.next = 0.into();
        }
        self.head0.next = bit_cast::<32, 10>(self.dwords.val());
        if self.addr_hi.val().any() {
            self.head0.next = bit_cast::<32, 10>(self.dwords.val()) | 0x2000_0000;
        }
        self.head1.next = self.id.val()
            | (bit_cast::<32, 4>(self.tail_be.val()) << 4)
            | bit_cast::<32, 4>(self.first_be.val());
        // What follows DW1: the address, of one DW or two, and the first of the data if there is room.
        self.next0.next = self.addr_lo.val();
        self.next1.next = self.swap0.y.val();
        if self.addr_hi.val().any() {
            self.next0.next = self.addr_hi.val();
            self.next1.next = self.addr_lo.val();
        }
        match self.state.q.val() {
            TxState::Pick => {
                // The last assignment wins: any client, then one below the client that had the last turn.
                for i in 0..4 {
                    if self.writes[i].valid.val() & !self.quiesce.val() {
                        self.client.d.next = self.index[i].val();
                        self.state.d.next = TxState::WriteHead;
                    }
                }
                if self.writes[4].valid.val() {
                    self.client.d.next = self.index[4].val();
                    self.state.d.next = TxState::WriteHead;
                }
                if self.read.valid.val() & self.bus_master.val() & !self.quiesce.val() {
                    self.client.d.next = self.index[5].val();
                    self.state.d.next = TxState::ReadHead;
                }
                if self.reply.valid.val() {
                    self.client.d.next = self.index[6].val();
                    self.state.d.next = TxState::ReplyHead;
                }
                for i in 0..4 {
                    if self.writes[i].valid.val()
                        & !self.quiesce.val()
                        & (self.index[i].val() < self.turn.q.val())
                    {
                        self.client.d.next = self.index[i].val();
                        self.state.d.next = TxState::WriteHead;
                    }
                }
                if self.writes[4].valid.val() & (self.index[4].val() < self.turn.q.val()) {
                    self.client.d.next = self.index[4].val();
                    self.state.d.next = TxState::WriteHead;
                }
                if self.read.valid.val()
                    & self.bus_master.val()
                    & !self.quiesce.val()
                    & (self.index[5].val() < self.turn.q.val())
                {
                    self.client.d.next = self.index[5].val();
                    self.state.d.next = TxState::ReadHead;
                }
            }
            TxState::ReplyHead => {
                self.turn.d.next = self.client.q.val();
                if self.space.val() {
                    self.out0.d.next = self.reply.dw0.val();
                    self.out1.d.next = self.reply.dw1.val() | self.id.val();
                    self.out_half.d.next = false;
                    self.out_last.d.next = false;
                    self.out_valid.d.next = true;
                    self.state.d.next = TxState::ReplyTail;
                }
            }
            TxState::ReplyTail => {
                if self.space.val() {
                    self.reply.ready.next = true;
                    self.out0.d.next = self.next0.val();
                    self.out1.d.next = self.next1.val();
                    self.out_half.d.next = !self.reply.dw0.val().get_bit(30);
                    self.out_last.d.next = true;
                    self.out_valid.d.next = true;
                    self.state.d.next = TxState::Pick;
                }
            }
            TxState::ReadHead => {
                self.turn.d.next = self.client.q.val();
                if self.space.val() {
                    self.out0.d.next = self.head0.val();
                    self.out1.d.next =
                        self.head1.val() | (bit_cast::<32, 3>(self.read.tag.val()) << 8);
                    self.out_half.d.next = false;
                    self.out_last.d.next = false;
                    self.out_valid.d.next = true;
                    self.state.d.next = TxState::ReadTail;
                }
            }
            TxState::ReadTail => {
                if self.space.val() {
                    self.read.ready.next = true;
                    self.events.next = self.pulse_read.val();
                    self.out0.d.next = self.next0.val();
                    self.out1.d.next = self.next1.val();
                    self.out_half.d.next = !self.addr_hi.val().any();
                    self.out_last.d.next = true;
                    self.out_valid.d.next = true;
                    self.state.d.next = TxState::Pick;
                }
            }
            TxState::WriteHead => {
                self.turn.d.next = self.client.q.val();
                if !self.bus_master.val() {
                    self.state.d.next = TxState::Swallow;
                } else if self.space.val() {
                    self.out0.d.next = self.head0.val() | 0x4000_0000;
                    self.out1.d.next = self.head1.val();
                    self.out_half.d.next = false;
                    self.out_last.d.next = false;
                    self.out_valid.d.next = true;
                    self.state.d.next = TxState::WriteAddr;
                    self.events.next = self.pulse_write.val();
                    if self.client.q.val() == 4 {
                        self.events.next = self.pulse_irq.val();
                    }
                }
            }
            TxState::WriteAddr => {
                if self.space.val() {
                    self.out_half.d.next = false;
                    self.out_last.d.next = false;
                    self.out_valid.d.next = true;
                    self.out0.d.next = self.next0.val();
                    self.out1.d.next = self.next1.val();
                    if self.addr_hi.val().any() {
                        self.state.d.next = TxState::Straight;
                    } else {
                        self.take.next = true;
                        self.carry.d.next = self.swap1.y.val();
                        self.state.d.next = TxState::Carried;
                        if self.last.val() {
                            self.state.d.next = TxState::CarriedTail;
                            if self.dwords.val().get_bit(0) {
                                self.out_last.d.next = true;
                                self.state.d.next = TxState::Pick;
                            }
                        }
                    }
                }
            }
            TxState::Carried => {
                if self.space.val() & self.valid.val() {
                    self.take.next = true;
                    self.out0.d.next = self.carry.q.val();
                    self.out1.d.next = self.swap0.y.val();
                    self.carry.d.next = self.swap1.y.val();
                    self.out_half.d.next = false;
                    self.out_last.d.next = false;
                    self.out_valid.d.next = true;
                    if self.last.val() {
                        self.state.d.next = TxState::CarriedTail;
                        if self.dwords.val().get_bit(0) {
                            self.out_last.d.next = true;
                            self.state.d.next = TxState::Pick;
                        }
                    }
                }
            }
            TxState::CarriedTail => {
                if self.space.val() {
                    self.out0.d.next = self.carry.q.val();
                    self.out1.d.next = 0.into();
                    self.out_half.d.next = true;
                    self.out_last.d.next = true;
                    self.out_valid.d.next = true;
                    self.state.d.next = TxState::Pick;
                }
            }
            TxState::Straight => {
                if self.space.val() & self.valid.val() {
                    self.take.next = true;
                    self.out0.d.next = self.swap0.y.val();
                    self.out1.d.next = self.swap1.y.val();
                    self.out_half.d.next = self.last.val() & self.dwords.val().get_bit(0);
                    self.out_last.d.next = self.last.val();
                    self.out_valid.d.next = true;
                    if self.last.val() {
                        self.state.d.next = TxState::Pick;
                    }
                }
            }
            TxState::Swallow => {
                self.take.next = true;
                if self.valid.val() & self.last.val() {
                    self.state.d.next = TxState::Pick;
                }
            }
            _ => {
                self.state.d.next = TxState::Pick;
            }
        }
        for i in 0..5 {
            self.writes[i].ready.next =
                self.take.val() & (self.client.q.val() == self.index[i].val());
        }
        if self.reset.val() {
            self.state.d.next = TxState::Pick;
            self.client.d.next = 0.into();
            self.turn.d.next = 0.into();
            self.out_valid.d.next = false;
        }
    }
}
