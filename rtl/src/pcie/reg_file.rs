//! The register file of BAR0, made from the tables of `ferrule_abi::regs`.
//!
//! Every register lives in a memory, which is what reads see, beside memories of write masks and reset values; what other modules need
//! all the time is in registers too; STATUS, BAD_ACCESS and the queues' STATUS are made when they are read. The shadow of the counters
//! and of the clock is the memory itself: a snapshot writes it. Accesses wait while a snapshot or a reset's walk is under way (some
//! hundred cycles), so SNAPSHOT_BUSY is never seen set.
use super::ports::{QueueBusSource, RegAccessSink};
use super::reg_map::{entries, port_word, Entry, WORDS};
use crate::neigh::ports::EntrySink;
use crate::phy::ports::MdioSource;
use array_init::array_init;
use ferrule_abi::regs;
use rust_hdl::prelude::*;
use std::collections::BTreeMap;

/// State of [`RegFile`].
#[derive(Copy, Clone, Debug, PartialEq, LogicState)]
pub enum RegState {
    /// Reset values are written to the memory.
    Walk,
    /// Nothing is being done, or a reset waits for DMA to end.
    Idle,
    /// The memories are being read.
    Lookup,
    /// What they hold is loaded: it comes late in the cycle.
    Load,
    /// The access is carried out.
    Execute,
    /// The clock is copied, low half.
    TimeLow,
    /// The clock is copied, high half.
    TimeHigh,
    /// The counters are copied.
    Counters,
    /// `soft_reset` is high.
    Hold,
}

/// The words of the registers that are outputs.
const OUTPUTS: [usize; 7] = [
    port_word(regs::ctrl::OFFSET),
    port_word(regs::mac_lo::OFFSET),
    port_word(regs::mac_hi::OFFSET),
    port_word(regs::rxctl::OFFSET),
    port_word(regs::arpctl::OFFSET),
    port_word(regs::arptime::OFFSET),
    port_word(regs::flow::OFFSET),
];

/// A table of something about each register; zero where there is none, which the Verilog would otherwise leave unknown.
fn rom<const N: usize>(pairs: u32, of: impl Fn(&Entry) -> u64) -> SyncROM<Bits<N>, 9> {
    let mut words: BTreeMap<_, _> = (0..512_u64).map(|w| (w.into(), 0.into())).collect();
    for e in entries(pairs) {
        words.insert((e.word as u64).into(), of(&e).into());
    }
    SyncROM::new(words)
}

fn word(w: usize) -> Constant<Bits<9>> {
    Constant::new((w as u64).into())
}

fn reset(w: usize) -> Constant<Bits<32>> {
    let value = entries(regs::QUEUE_PAIRS)
        .iter()
        .find(|e| e.word == w)
        .map_or(0, |e| e.reset);
    Constant::new(u64::from(value).into())
}

/// The register file.
#[derive(LogicBlock)]
pub struct RegFile {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous reset.
    pub reset: Signal<In, Bit>,
    /// The clock as the host has set it, in nanoseconds, bits 31:0.
    pub now_lo: Signal<In, Bits<32>>,
    /// The clock in nanoseconds, bits 63:32.
    pub now_hi: Signal<In, Bits<32>>,
    /// MAC address to start with, bytes 0 to 3.
    pub board_mac_lo: Signal<In, Bits<32>>,
    /// MAC address to start with, bytes 4 and 5.
    pub board_mac_hi: Signal<In, Bits<16>>,
    /// The PHY reports a link.
    pub link_up: Signal<In, Bit>,
    /// STATUS.SPEED.
    pub link_speed: Signal<In, Bits<2>>,
    /// Accesses of BAR0.
    pub access: RegAccessSink,
    /// Pulse: an access was refused elsewhere.
    pub bad_access: Signal<In, Bit>,
    /// No TLP of a queue is being sent and no read is outstanding.
    pub dma_quiet: Signal<In, Bit>,
    /// A reset is under way: no DMA is to be started.
    pub quiesce: Signal<Out, Bit>,
    /// High for 32 cycles when CTRL.RESET takes effect.
    pub soft_reset: Signal<Out, Bit>,
    /// The counters are to be copied; high until `snapshot_done`.
    pub snapshot: Signal<Out, Bit>,
    /// A word of the copy is there.
    pub snapshot_valid: Signal<In, Bit>,
    /// Its number in the COUNTER registers.
    pub snapshot_index: Signal<In, Bits<6>>,
    /// The word.
    pub snapshot_data: Signal<In, Bits<32>>,
    /// With the last word.
    pub snapshot_done: Signal<In, Bit>,
    /// Transfers on the PHY's management interface.
    pub mdio: MdioSource,
    /// Results of the ARP cache's commands.
    pub entry: EntrySink,
    /// ARP_ENTRY.BUSY.
    pub entry_busy: Signal<In, Bit>,
    /// Page of the event queue.
    pub events_bus: QueueBusSource,
    /// Pages of the transmit queues.
    pub tx_bus: QueueBusSource,
    /// Pages of the receive queues.
    pub rx_bus: QueueBusSource,
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
    /// ARPCTL; FLUSH is high for one cycle.
    pub arpctl: Signal<Out, Bits<32>>,
    /// ARPTIME.
    pub arptime: Signal<Out, Bits<32>>,
    /// FLOW.
    pub flow: Signal<Out, Bits<2>>,
    /// A word of the tables at 0x100 to 0x1FF is written; whoever uses a table keeps it. A reset writes all of them.
    pub table_write: Signal<Out, Bit>,
    /// A word of LOCAL_ADDR or LOCAL_MASK is written, for those who keep them as a table; so does a reset.
    pub local_write: Signal<Out, Bit>,
    /// High for one cycle: a word of the indirection table is written, and so is what follows.
    pub steer_write: Signal<Out, Bit>,
    /// High for one cycle: a gateway is written, and so is what follows.
    pub gateway_write: Signal<Out, Bit>,
    /// The word's number from 0x100 on; with `local_write`, bits 3:0 are its number from 0x080 on, with `steer_write`
    /// bits 2:0 that from 0x0E0 on, with `gateway_write` the gateway's number.
    pub table_place: Signal<Out, Bits<6>>,
    /// The word.
    pub table_data: Signal<Out, Bits<32>>,
    /// An access, a snapshot or a reset is under way.
    pub busy: Signal<Out, Bit>,
    state: DFF<RegState>,
    /// The word that is being accessed, or the next one of the walk.
    index: DFF<Bits<9>>,
    /// The word whose reset value has been read.
    walked: DFF<Bits<9>>,
    mapped: DFF<Bit>,
    /// Of the register that is accessed: it exists, its write mask, what its memory holds.
    exists: DFF<Bit>,
    mask: DFF<Bits<32>>,
    held: DFF<Bits<32>>,
    resetting: DFF<Bit>,
    hold: DFF<Bits<6>>,
    bad_count: DFF<Bits<16>>,
    now_hi_copy: DFF<Bits<32>>,
    flush: DFF<Bit>,
    /// MDIO_CMD of the transfer under way.
    mdio_cmd: DFF<Bits<27>>,
    mdio_busy: DFF<Bit>,
    told: DFF<Bit>,
    told_local: DFF<Bit>,
    told_steer: DFF<Bit>,
    told_gateway: DFF<Bit>,
    told_events: DFF<Bit>,
    told_tx: DFF<Bit>,
    told_rx: DFF<Bit>,
    told_rx_place: Signal<Local, Bits<2>>,
    look_rx: Signal<Local, Bits<2>>,
    /// STATUS of the queue whose page is accessed; its setup may not be written now.
    queue_status: Signal<Local, Bits<5>>,
    frozen: Signal<Local, Bit>,
    /// A doorbell is written; a queue is told.
    rings: Signal<Local, Bit>,
    tells: Signal<Local, Bit>,
    /// Bits of a queue's number that there are.
    pairs: Constant<Bits<2>>,
    /// Offset of the first queue page.
    pages: Constant<Bits<20>>,
    told_place: DFF<Bits<8>>,
    told_data: DFF<Bits<32>>,
    /// Registers that other modules see all the time, in the order of `OUTPUTS`.
    value: [DFF<Bits<32>>; 7],
    /// Every register, as a read finds it.
    storage: RAM<Bits<32>, 9>,
    store_at: Signal<Local, Bits<9>>,
    store_data: Signal<Local, Bits<32>>,
    stores: Signal<Local, Bit>,
    masks: SyncROM<Bits<32>, 9>,
    resets: SyncROM<Bits<32>, 9>,
    known: SyncROM<Bits<1>, 9>,
    masked: Signal<Local, Bits<32>>,
    bad: Signal<Local, Bit>,
    status: Signal<Local, Bits<32>>,
    value_word: [Constant<Bits<9>>; 7],
    value_reset: [Constant<Bits<32>>; 7],
    walk_end: Constant<Bits<9>>,
    mac_lo_word: Constant<Bits<9>>,
    mac_hi_word: Constant<Bits<9>>,
    ctrl_word: Constant<Bits<9>>,
    status_word: Constant<Bits<9>>,
    snapshot_word: Constant<Bits<9>>,
    arpctl_word: Constant<Bits<9>>,
    bad_word: Constant<Bits<9>>,
    time_lo_word: Constant<Bits<9>>,
    time_hi_word: Constant<Bits<9>>,
    counter_word: Constant<Bits<9>>,
    flush_bit: Constant<Bits<32>>,
    mdio_cmd_word: Constant<Bits<9>>,
    mdio_word: Constant<Bits<9>>,
    mdio_busy_bit: Constant<Bits<32>>,
    entry_first: Constant<Bits<9>>,
    entry_word: Constant<Bits<9>>,
}

impl Default for RegFile {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            now_lo: Default::default(),
            now_hi: Default::default(),
            board_mac_lo: Default::default(),
            board_mac_hi: Default::default(),
            link_up: Default::default(),
            link_speed: Default::default(),
            access: Default::default(),
            bad_access: Default::default(),
            dma_quiet: Default::default(),
            quiesce: Default::default(),
            soft_reset: Default::default(),
            snapshot: Default::default(),
            snapshot_valid: Default::default(),
            snapshot_index: Default::default(),
            snapshot_data: Default::default(),
            snapshot_done: Default::default(),
            mdio: Default::default(),
            entry: Default::default(),
            entry_busy: Default::default(),
            events_bus: Default::default(),
            tx_bus: Default::default(),
            rx_bus: Default::default(),
            rx_enable: Default::default(),
            tx_enable: Default::default(),
            loopback: Default::default(),
            mac_lo: Default::default(),
            mac_hi: Default::default(),
            rxctl: Default::default(),
            arpctl: Default::default(),
            arptime: Default::default(),
            flow: Default::default(),
            table_write: Default::default(),
            local_write: Default::default(),
            steer_write: Default::default(),
            gateway_write: Default::default(),
            table_place: Default::default(),
            table_data: Default::default(),
            busy: Default::default(),
            state: Default::default(),
            index: Default::default(),
            walked: Default::default(),
            mapped: Default::default(),
            exists: Default::default(),
            mask: Default::default(),
            held: Default::default(),
            resetting: Default::default(),
            hold: Default::default(),
            bad_count: Default::default(),
            now_hi_copy: Default::default(),
            flush: Default::default(),
            mdio_cmd: Default::default(),
            mdio_busy: Default::default(),
            told: Default::default(),
            told_local: Default::default(),
            told_steer: Default::default(),
            told_gateway: Default::default(),
            told_events: Default::default(),
            told_tx: Default::default(),
            told_rx: Default::default(),
            told_rx_place: Default::default(),
            look_rx: Default::default(),
            queue_status: Default::default(),
            frozen: Default::default(),
            rings: Default::default(),
            tells: Default::default(),
            pairs: Constant::new(3.into()),
            pages: Constant::new(u64::from(regs::QUEUE_PAGES).into()),
            told_place: Default::default(),
            told_data: Default::default(),
            value: array_init(|_| Default::default()),
            storage: Default::default(),
            store_at: Default::default(),
            store_data: Default::default(),
            stores: Default::default(),
            masks: rom(regs::QUEUE_PAIRS, |e| u64::from(e.mask)),
            resets: rom(regs::QUEUE_PAIRS, |e| u64::from(e.reset)),
            known: rom(regs::QUEUE_PAIRS, |_| 1),
            masked: Default::default(),
            bad: Default::default(),
            status: Default::default(),
            value_word: array_init(|i| word(OUTPUTS[i])),
            value_reset: array_init(|i| reset(OUTPUTS[i])),
            walk_end: word(WORDS + 1),
            mac_lo_word: word(port_word(regs::mac_lo::OFFSET)),
            mac_hi_word: word(port_word(regs::mac_hi::OFFSET)),
            ctrl_word: word(port_word(regs::ctrl::OFFSET)),
            status_word: word(port_word(regs::status::OFFSET)),
            snapshot_word: word(port_word(regs::snapshot::OFFSET)),
            arpctl_word: word(port_word(regs::arpctl::OFFSET)),
            bad_word: word(port_word(regs::bad_access::OFFSET)),
            time_lo_word: word(port_word(regs::time_lo::OFFSET)),
            time_hi_word: word(port_word(regs::time_hi::OFFSET)),
            counter_word: word(port_word(regs::counters::OFFSET)),
            flush_bit: Constant::new(u64::from(regs::arpctl::FLUSH.mask()).into()),
            mdio_cmd_word: word(port_word(regs::mdio_cmd::OFFSET)),
            mdio_word: word(port_word(regs::mdio::OFFSET)),
            mdio_busy_bit: Constant::new(u64::from(regs::mdio::BUSY.mask()).into()),
            entry_first: word(port_word(regs::arp_entry_addr::OFFSET)),
            entry_word: word(port_word(regs::arp_entry::OFFSET)),
        }
    }
}

impl RegFile {
    /// Says in CAPS that there is PUSH mode alone, and leaves one queue pair.
    pub(super) fn only_push(&mut self) {
        let caps = port_word(regs::caps::OFFSET);
        self.resets = rom(1, |e| match e.word == caps {
            true => regs::CAPS_PUSH_ONLY.into(),
            false => e.reset.into(),
        });
        self.known = rom(1, |_| 1);
        self.pairs = Constant::new(0.into());
    }
}

impl Logic for RegFile {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            state,
            index,
            walked,
            mapped,
            exists,
            mask,
            held,
            resetting,
            hold,
            bad_count,
            now_hi_copy,
            flush,
            mdio_cmd,
            mdio_busy,
            told,
            told_local,
            told_steer,
            told_gateway,
            told_events,
            told_tx,
            told_rx,
            told_place,
            told_data
        );
        self.table_write.next = self.told.q.val();
        self.local_write.next = self.told_local.q.val();
        self.table_place.next = self.told_place.q.val().get_bits::<6>(0);
        self.table_data.next = self.told_data.q.val();
        self.told.d.next = false;
        self.told_local.d.next = false;
        self.told_steer.d.next = false;
        self.told_gateway.d.next = false;
        self.told_events.d.next = false;
        self.told_tx.d.next = false;
        self.told_rx.d.next = false;
        for i in 0..7 {
            self.value[i].clock.next = self.clock.val();
            self.value[i].d.next = self.value[i].q.val();
        }
        self.rx_enable.next = self.value[0].q.val().get_bit(1);
        self.tx_enable.next = self.value[0].q.val().get_bit(2);
        self.loopback.next = self.value[0].q.val().get_bit(3);
        self.mac_lo.next = self.value[1].q.val();
        self.mac_hi.next = bit_cast::<16, 32>(self.value[2].q.val());
        self.rxctl.next = self.value[3].q.val();
        self.arpctl.next = self.value[4].q.val();
        if self.flush.q.val() {
            self.arpctl.next = self.value[4].q.val() | self.flush_bit.val();
        }
        self.arptime.next = self.value[5].q.val();
        self.flow.next = self.value[6].q.val().get_bits::<2>(0);
        self.mdio.wdata.next = bit_cast::<16, 27>(self.mdio_cmd.q.val());
        self.mdio.register.next = self.mdio_cmd.q.val().get_bits::<5>(16);
        self.mdio.phy.next = self.mdio_cmd.q.val().get_bits::<5>(21);
        self.mdio.write.next = self.mdio_cmd.q.val().get_bit(26);
        self.mdio.valid.next = self.mdio_busy.q.val();
        self.steer_write.next = self.told_steer.q.val();
        self.gateway_write.next = self.told_gateway.q.val();
        // Page 0 is the event queue's, the odd ones are those of the transmit queues, the even ones those of the receive queues.
        self.told_rx_place.next = self.told_place.q.val().get_bits::<2>(5) - 1;
        self.look_rx.next = self.index.q.val().get_bits::<2>(5) - 1;
        self.events_bus.place.next = 0.into();
        self.events_bus.word.next = self.told_place.q.val().get_bits::<4>(0);
        self.events_bus.data.next = self.told_data.q.val();
        self.events_bus.write.next = self.told_events.q.val();
        self.events_bus.look.next = 0.into();
        self.tx_bus.place.next = self.told_place.q.val().get_bits::<2>(5) & self.pairs.val();
        self.tx_bus.word.next = self.told_place.q.val().get_bits::<4>(0);
        self.tx_bus.data.next = self.told_data.q.val();
        self.tx_bus.write.next = self.told_tx.q.val();
        self.tx_bus.look.next = self.index.q.val().get_bits::<2>(5) & self.pairs.val();
        self.rx_bus.place.next = self.told_rx_place.val() & self.pairs.val();
        self.rx_bus.word.next = self.told_place.q.val().get_bits::<4>(0);
        self.rx_bus.data.next = self.told_data.q.val();
        self.rx_bus.write.next = self.told_rx.q.val();
        self.rx_bus.look.next = self.look_rx.val() & self.pairs.val();
        self.queue_status.next = self.rx_bus.status.val();
        if self.index.q.val().get_bit(4) {
            self.queue_status.next = self.tx_bus.status.val();
        } else if !self.index.q.val().get_bits::<4>(4).any() {
            self.queue_status.next = self.events_bus.status.val();
        }
        self.frozen.next = self.index.q.val().get_bit(8)
            & (self.index.q.val().get_bits::<4>(0) > 2)
            & self.queue_status.val().get_bit(4);
        self.rings.next = false;

        self.quiesce.next = self.resetting.q.val();
        self.soft_reset.next = self.state.q.val() == RegState::Hold;
        self.snapshot.next = self.state.q.val() == RegState::Counters;
        self.busy.next = (self.state.q.val() != RegState::Idle)
            | self.resetting.q.val()
            | self.told_events.q.val()
            | self.told_tx.q.val()
            | self.told_rx.q.val()
            | self.told_steer.q.val()
            | self.told_gateway.q.val()
            | self.flush.q.val()
            | self.mdio_busy.q.val()
            | self.told.q.val()
            | self.told_local.q.val();
        self.storage.read_clock.next = self.clock.val();
        self.storage.write_clock.next = self.clock.val();
        self.storage.read_address.next = self.index.q.val();
        self.store_at.next = self.index.q.val();
        self.store_data.next = 0.into();
        self.stores.next = false;
        self.masks.clock.next = self.clock.val();
        self.masks.address.next = self.index.q.val();
        self.resets.clock.next = self.clock.val();
        self.resets.address.next = self.index.q.val();
        self.known.clock.next = self.clock.val();
        self.known.address.next = self.index.q.val();
        self.access.rdata.next = 0.into();
        self.access.done.next = false;
        self.entry.ready.next = false;
        self.flush.d.next = false;
        self.bad.next = self.bad_access.val();
        self.masked.next = 0.into();
        self.status.next = 0.into();
        match self.state.q.val() {
            RegState::Walk => {
                self.index.d.next = self.index.q.val() + 1;
                // A reset value is written two cycles after it was asked for.
                self.walked.d.next = self.index.q.val() - 1;
                self.held.d.next = self.resets.data.val();
                self.store_at.next = self.walked.q.val();
                self.store_data.next = self.held.q.val();
                self.stores.next = self.index.q.val() > 1;
                if self.walked.q.val() == self.mac_lo_word.val() {
                    self.store_data.next = self.value[1].q.val();
                }
                if self.walked.q.val() == self.mac_hi_word.val() {
                    self.store_data.next = self.value[2].q.val();
                }
                if self.index.q.val() == self.walk_end.val() {
                    self.resetting.d.next = false;
                    self.state.d.next = RegState::Idle;
                }
            }
            RegState::Idle => {
                if self.mdio_busy.q.val() & self.mdio.done.val() {
                    self.store_at.next = self.mdio_word.val();
                    self.store_data.next = bit_cast::<32, 16>(self.mdio.rdata.val());
                    self.stores.next = true;
                    self.mdio_busy.d.next = false;
                } else {
                    self.entry.ready.next = true;
                    if self.entry.valid.val() {
                        self.store_at.next =
                            self.entry_first.val() | bit_cast::<9, 2>(self.entry.word.val());
                        self.store_data.next = self.entry.data.val();
                        self.stores.next = true;
                    }
                }
                if self.resetting.q.val() & self.dma_quiet.val() {
                    self.hold.d.next = 0.into();
                    self.state.d.next = RegState::Hold;
                } else if self.access.valid.val() {
                    self.mapped.d.next = (self.access.addr.val() & 0xF_FC00) == 0;
                    self.index.d.next = bit_cast::<9, 8>(self.access.addr.val().get_bits::<8>(2));
                    // Pages lie 4 KiB apart from 64 KiB on; what there is of them, `known` tells.
                    if (self.access.addr.val() & 0xF_0FC0) == self.pages.val() {
                        self.mapped.d.next = true;
                        self.index.d.next =
                            (bit_cast::<9, 4>(self.access.addr.val().get_bits::<4>(12)) << 4)
                                | bit_cast::<9, 4>(self.access.addr.val().get_bits::<4>(2))
                                | 256;
                    }
                    self.state.d.next = RegState::Lookup;
                }
            }
            RegState::Lookup => {
                self.state.d.next = RegState::Load;
            }
            RegState::Load => {
                self.exists.d.next = self.mapped.q.val() & self.known.data.val().any();
                self.mask.d.next = self.masks.data.val();
                self.held.d.next = self.storage.read_data.val();
                self.state.d.next = RegState::Execute;
            }
            RegState::Execute => {
                self.state.d.next = RegState::Idle;
                self.access.done.next = true;
                if !self.exists.q.val() {
                    self.bad.next = true;
                    self.access.rdata.next = 0xFFFF_FFFF_u64.into();
                } else if self.access.write.val() {
                    self.masked.next = self.access.wdata.val() & self.mask.q.val();
                    self.store_data.next = self.masked.val();
                    self.stores.next = self.mask.q.val().any() & !self.frozen.val();
                    self.rings.next =
                        self.index.q.val().get_bit(8) & !self.index.q.val().get_bits::<4>(0).any();
                    for i in 0..7 {
                        if self.index.q.val() == self.value_word[i].val() {
                            self.value[i].d.next = self.masked.val();
                        }
                    }
                    if self.index.q.val() == self.arpctl_word.val() {
                        self.flush.d.next = (self.access.wdata.val() & self.flush_bit.val()).any();
                    }
                    if (self.index.q.val() == self.mdio_cmd_word.val())
                        & self.access.wdata.val().get_bit(31)
                        & !self.mdio_busy.q.val()
                    {
                        self.mdio_cmd.d.next = bit_cast::<27, 32>(self.access.wdata.val());
                        self.mdio_busy.d.next = true;
                    }
                    if (self.index.q.val() == self.ctrl_word.val())
                        & self.access.wdata.val().get_bit(0)
                    {
                        self.resetting.d.next = true;
                    }
                    if (self.index.q.val() == self.snapshot_word.val())
                        & self.access.wdata.val().get_bit(0)
                    {
                        self.state.d.next = RegState::TimeLow;
                    }
                } else {
                    self.access.rdata.next = self.held.q.val();
                    if self.index.q.val() == self.bad_word.val() {
                        self.access.rdata.next = bit_cast::<32, 16>(self.bad_count.q.val());
                    }
                    // Both have BUSY in bit 31.
                    if ((self.index.q.val() == self.mdio_word.val()) & self.mdio_busy.q.val())
                        | ((self.index.q.val() == self.entry_word.val()) & self.entry_busy.val())
                    {
                        self.access.rdata.next = self.held.q.val() | self.mdio_busy_bit.val();
                    }
                    if self.index.q.val() == self.status_word.val() {
                        self.status.next = bit_cast::<32, 2>(self.link_speed.val()) << 2;
                        if self.link_up.val() {
                            self.status.next = self.status.val() | 2;
                        }
                        if self.resetting.q.val() {
                            self.status.next = self.status.val() | 1;
                        }
                        self.access.rdata.next = self.status.val();
                    } else if self.index.q.val().get_bit(8)
                        & (self.index.q.val().get_bits::<4>(0) == 2)
                    {
                        self.access.rdata.next =
                            (bit_cast::<32, 4>(self.queue_status.val().get_bits::<4>(0)) << 4)
                                | bit_cast::<32, 1>(self.queue_status.val().get_bits::<1>(4));
                    }
                }
            }
            RegState::TimeLow => {
                self.store_at.next = self.time_lo_word.val();
                self.store_data.next = self.now_lo.val();
                self.stores.next = true;
                self.now_hi_copy.d.next = self.now_hi.val();
                self.state.d.next = RegState::TimeHigh;
            }
            RegState::TimeHigh => {
                self.store_at.next = self.time_hi_word.val();
                self.store_data.next = self.now_hi_copy.q.val();
                self.stores.next = true;
                self.state.d.next = RegState::Counters;
            }
            RegState::Counters => {
                self.store_at.next =
                    self.counter_word.val() | bit_cast::<9, 6>(self.snapshot_index.val());
                self.store_data.next = self.snapshot_data.val();
                self.stores.next = self.snapshot_valid.val();
                if self.snapshot_done.val() {
                    self.state.d.next = RegState::Idle;
                }
            }
            RegState::Hold => {
                self.bad_count.d.next = 0.into();
                self.bad.next = false;
                for i in 0..7 {
                    self.value[i].d.next = self.value_reset[i].val();
                }
                self.value[1].d.next = self.value[1].q.val();
                self.value[2].d.next = self.value[2].q.val();
                self.index.d.next = 0.into();
                self.hold.d.next = self.hold.q.val() + 1;
                if self.hold.q.val() == 31 {
                    self.state.d.next = RegState::Walk;
                }
            }
            _ => {
                self.state.d.next = RegState::Walk;
            }
        }
        self.storage.write_address.next = self.store_at.val();
        self.storage.write_data.next = self.store_data.val();
        self.storage.write_enable.next = self.stores.val();
        // What is written at 0x100 to 0x1FF and at 0x080 to 0x0BF is told to whoever keeps a table.
        self.told.d.next = self.stores.val() & (self.store_at.val().get_bits::<3>(6) == 1);
        self.told_local.d.next = self.stores.val() & (self.store_at.val().get_bits::<5>(4) == 2);
        self.told_steer.d.next = self.stores.val() & (self.store_at.val().get_bits::<6>(3) == 7);
        self.told_gateway.d.next = self.stores.val() & (self.store_at.val().get_bits::<6>(3) == 6);
        // A queue is told of what is written to its page; of doorbells, which are not stored, too.
        self.tells.next = self.rings.val() | (self.stores.val() & self.store_at.val().get_bit(8));
        self.told_tx.d.next = self.tells.val() & self.store_at.val().get_bit(4);
        self.told_events.d.next = self.tells.val() & !self.store_at.val().get_bits::<4>(4).any();
        self.told_rx.d.next = self.tells.val()
            & !self.store_at.val().get_bit(4)
            & self.store_at.val().get_bits::<4>(4).any();
        if self.stores.val() | self.rings.val() {
            self.told_place.d.next = self.store_at.val().get_bits::<8>(0);
            self.told_data.d.next = self.store_data.val();
        }
        if self.rings.val() {
            self.told_data.d.next = self.access.wdata.val();
        }
        if self.bad.val() & (self.bad_count.q.val() != 0xFFFF) {
            self.bad_count.d.next = self.bad_count.q.val() + 1;
        }
        if self.reset.val() {
            self.state.d.next = RegState::Walk;
            self.index.d.next = 0.into();
            self.resetting.d.next = false;
            self.bad_count.d.next = 0.into();
            self.flush.d.next = false;
            self.mdio_busy.d.next = false;
            self.told.d.next = false;
            self.told_local.d.next = false;
            self.told_steer.d.next = false;
            self.told_gateway.d.next = false;
            self.told_events.d.next = false;
            self.told_tx.d.next = false;
            self.told_rx.d.next = false;
            for i in 0..7 {
                self.value[i].d.next = self.value_reset[i].val();
            }
            self.value[1].d.next = self.board_mac_lo.val();
            self.value[2].d.next = bit_cast::<32, 16>(self.board_mac_hi.val());
        }
    }
}
