//! MSI-X: the table and the pending bits in their BAR, and the messages (PCI local bus specification 3.0, section 6.8.2).
use super::ports::{RegAccessSink, WriteSource};
use array_init::array_init;
use ferrule_abi::MSIX_PBA_OFFSET;
use rust_hdl::prelude::*;

/// State of [`Msix`].
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum MsixState {
    /// An access or a message may start.
    Idle,
    /// The table is being read for an access.
    Lookup,
    /// The access is answered.
    Execute,
    /// Message address, low half, is being read.
    ReadLow,
    /// Message address, high half, is being read.
    ReadHigh,
    /// Message data are being read.
    ReadData,
    /// The last of them has come.
    Load,
    /// The message waits to be taken.
    Send,
}

/// The unit: eight vectors.
///
/// A vector stays pending while it is masked, by itself or by the function mask, and while MSI-X or bus mastering is off; then its message
/// is sent. Accesses wait while a message is on its way, so that once the host has read back a mask it has set, no further message comes.
#[derive(LogicBlock)]
pub struct Msix {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset: all vectors masked.
    pub reset: Signal<In, Bit>,
    /// Forgets what is pending; the table stays.
    pub clear: Signal<In, Bit>,
    /// Command register: bus master enable.
    pub bus_master: Signal<In, Bit>,
    /// MSI-X enable.
    pub enable: Signal<In, Bit>,
    /// MSI-X function mask.
    pub mask: Signal<In, Bit>,
    /// One pulse bit a vector.
    pub irq: Signal<In, Bits<8>>,
    /// What is pending of eight more vectors of the same function: bits 15:8 of the pending bits.
    pub others: Signal<In, Bits<8>>,
    /// What is pending.
    pub waits: Signal<Out, Bits<8>>,
    /// Accesses of the MSI-X BAR.
    pub access: RegAccessSink,
    /// Pulse: an access beyond the table and the pending bits.
    pub bad_access: Signal<Out, Bit>,
    /// The messages.
    pub message: WriteSource,
    /// A message is on its way or an access under way.
    pub busy: Signal<Out, Bit>,
    state: DFF<MsixState>,
    pending: DFF<Bits<8>>,
    masked: DFF<Bits<8>>,
    vector: DFF<Bits<3>>,
    addr_lo: DFF<Bits<32>>,
    addr_hi: DFF<Bits<32>>,
    data: DFF<Bits<32>>,
    storage: RAM<Bits<32>, 5>,
    word: Signal<Local, Bits<5>>,
    column: Signal<Local, Bits<5>>,
    ready_bits: Signal<Local, Bits<8>>,
    sent: Signal<Local, Bits<8>>,
    in_table: Signal<Local, Bit>,
    is_control: Signal<Local, Bit>,
    flag: [Constant<Bits<8>>; 8],
    number: [Constant<Bits<3>>; 8],
    row: [Constant<Bits<5>>; 8],
    control: [Constant<Bits<12>>; 8],
    pba_lo: Constant<Bits<12>>,
    pba_hi: Constant<Bits<12>>,
}

impl Default for Msix {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            clear: Default::default(),
            bus_master: Default::default(),
            enable: Default::default(),
            mask: Default::default(),
            irq: Default::default(),
            others: Default::default(),
            waits: Default::default(),
            access: Default::default(),
            bad_access: Default::default(),
            message: Default::default(),
            busy: Default::default(),
            state: Default::default(),
            pending: Default::default(),
            masked: Default::default(),
            vector: Default::default(),
            addr_lo: Default::default(),
            addr_hi: Default::default(),
            data: Default::default(),
            storage: Default::default(),
            word: Default::default(),
            column: Default::default(),
            ready_bits: Default::default(),
            sent: Default::default(),
            in_table: Default::default(),
            is_control: Default::default(),
            flag: array_init(|i| Constant::new((1_u64 << i).into())),
            number: array_init(|i| Constant::new((i as u64).into())),
            row: array_init(|i| Constant::new((4 * i as u64).into())),
            control: array_init(|i| Constant::new((16 * i as u64 + 12).into())),
            pba_lo: Constant::new(u64::from(MSIX_PBA_OFFSET).into()),
            pba_hi: Constant::new(u64::from(MSIX_PBA_OFFSET + 4).into()),
        }
    }
}

impl Logic for Msix {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(self, clock, state, pending, masked, vector, addr_lo, addr_hi, data);
        self.storage.read_clock.next = self.clock.val();
        self.storage.write_clock.next = self.clock.val();
        self.message.addr_lo.next = self.addr_lo.q.val();
        self.message.addr_hi.next = self.addr_hi.q.val();
        self.message.dwords.next = 1.into();
        self.message.last_be.next = 15.into();
        self.message.d0.next = self.data.q.val();
        self.message.d1.next = 0.into();
        self.message.last.next = true;
        self.message.valid.next = self.state.q.val() == MsixState::Send;
        self.waits.next = self.pending.q.val();
        self.access.rdata.next = self.storage.read_data.val();
        self.access.done.next = false;
        self.bad_access.next = false;
        self.in_table.next = (self.access.addr.val() & 0xF80) == 0;
        self.is_control.next = self.in_table.val() & ((self.access.addr.val() & 0xC) == 0xC);
        // The word that is read: of the access, or of the message's row.
        self.word.next = 0.into();
        self.column.next = 0.into();
        self.storage.write_address.next = 0.into();
        self.storage.write_data.next = self.access.wdata.val();
        self.storage.write_enable.next = false;
        self.ready_bits.next = 0.into();
        if self.enable.val() & !self.mask.val() & self.bus_master.val() {
            self.ready_bits.next =
                (self.pending.q.val() | self.masked.q.val()) ^ self.masked.q.val();
        }
        self.sent.next = 0.into();
        match self.state.q.val() {
            MsixState::Idle => {
                if self.access.valid.val() {
                    self.word.next = self.access.addr.val().get_bits::<5>(2);
                    self.state.d.next = MsixState::Lookup;
                } else if self.ready_bits.val().any() {
                    for i in 0..8 {
                        if (self.ready_bits.val() & self.flag[i].val()) != 0 {
                            self.vector.d.next = self.number[i].val();
                            self.sent.next = self.flag[i].val();
                        }
                    }
                    self.state.d.next = MsixState::ReadLow;
                }
            }
            MsixState::Lookup => {
                self.word.next = self.access.addr.val().get_bits::<5>(2);
                self.state.d.next = MsixState::Execute;
            }
            MsixState::Execute => {
                self.state.d.next = MsixState::Idle;
                self.access.done.next = true;
                if self.in_table.val() {
                    if self.access.write.val() {
                        if self.is_control.val() {
                            for i in 0..8 {
                                if bit_cast::<12, 20>(self.access.addr.val())
                                    == self.control[i].val()
                                {
                                    self.masked.d.next = self.masked.q.val() | self.flag[i].val();
                                    if !self.access.wdata.val().get_bit(0) {
                                        self.masked.d.next = (self.masked.q.val()
                                            | self.flag[i].val())
                                            ^ self.flag[i].val();
                                    }
                                }
                            }
                        } else {
                            self.storage.write_address.next =
                                self.access.addr.val().get_bits::<5>(2);
                            self.storage.write_enable.next = true;
                            if (self.access.addr.val() & 0xC) == 0 {
                                self.storage.write_data.next =
                                    self.access.wdata.val() & 0xFFFF_FFFC_u64;
                            }
                        }
                    } else if self.is_control.val() {
                        self.access.rdata.next = 0.into();
                        for i in 0..8 {
                            if (bit_cast::<12, 20>(self.access.addr.val()) == self.control[i].val())
                                & ((self.masked.q.val() & self.flag[i].val()) != 0)
                            {
                                self.access.rdata.next = 1.into();
                            }
                        }
                    }
                } else if bit_cast::<12, 20>(self.access.addr.val()) == self.pba_lo.val() {
                    self.access.rdata.next = bit_cast::<32, 8>(self.pending.q.val())
                        | (bit_cast::<32, 8>(self.others.val()) << 8);
                } else if bit_cast::<12, 20>(self.access.addr.val()) == self.pba_hi.val() {
                    self.access.rdata.next = 0.into();
                } else {
                    self.bad_access.next = true;
                    self.access.rdata.next = 0xFFFF_FFFF_u64.into();
                }
            }
            MsixState::ReadLow => {
                self.state.d.next = MsixState::ReadHigh;
            }
            MsixState::ReadHigh => {
                self.addr_lo.d.next = self.storage.read_data.val();
                self.column.next = 1.into();
                self.state.d.next = MsixState::ReadData;
            }
            MsixState::ReadData => {
                self.addr_hi.d.next = self.storage.read_data.val();
                self.column.next = 2.into();
                self.state.d.next = MsixState::Load;
            }
            MsixState::Load => {
                self.data.d.next = self.storage.read_data.val();
                self.state.d.next = MsixState::Send;
            }
            MsixState::Send => {
                if self.message.ready.val() {
                    self.state.d.next = MsixState::Idle;
                }
            }
            _ => {
                self.state.d.next = MsixState::Idle;
            }
        }
        self.storage.read_address.next = self.word.val();
        if (self.state.q.val() == MsixState::ReadLow)
            | (self.state.q.val() == MsixState::ReadHigh)
            | (self.state.q.val() == MsixState::ReadData)
        {
            for i in 0..8 {
                if self.vector.q.val() == self.number[i].val() {
                    self.storage.read_address.next = self.row[i].val() | self.column.val();
                }
            }
        }
        // A pulse while its message is being sent makes the vector pending again.
        self.pending.d.next = (self.pending.q.val() ^ self.sent.val()) | self.irq.val();
        if self.clear.val() {
            self.pending.d.next = 0.into();
        }
        self.busy.next = (self.state.q.val() != MsixState::Idle) | self.ready_bits.val().any();
        if self.reset.val() {
            self.state.d.next = MsixState::Idle;
            self.pending.d.next = 0.into();
            self.masked.d.next = 255.into();
        }
    }
}
