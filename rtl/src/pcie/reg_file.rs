//! The register file of BAR0, made from the tables of `ferrule_abi::regs`.
//!
//! Every register lives in a memory, which is what reads see, beside memories of write masks and reset values; what other modules need
//! all the time is in registers too; STATUS, BAD_ACCESS and the queues' STATUS are made when they are read. The shadow of the counters
//! and of the clock is the memory itself: a snapshot writes it. Accesses wait while a snapshot or a reset's walk is under way (some
//! hundred cycles), so SNAPSHOT_BUSY is never seen set.
use super::ports::{QueueCtlSource, RegAccessSink};
use super::reg_map::{entries, page_word, port_word, Entry, PAGES, WORDS};
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
const OUTPUTS: [usize; 49] = outputs();

const fn outputs() -> [usize; 49] {
    let mut w = [0; 49];
    w[0] = port_word(regs::ctrl::OFFSET);
    w[1] = port_word(regs::mac_lo::OFFSET);
    w[2] = port_word(regs::mac_hi::OFFSET);
    w[3] = port_word(regs::rxctl::OFFSET);
    w[4] = port_word(regs::arpctl::OFFSET);
    w[5] = port_word(regs::arptime::OFFSET);
    let mut i = 0;
    while i < 8 {
        w[6 + i] = port_word(regs::local_addr::REGISTER.offset_of(i as u32));
        w[14 + i] = port_word(regs::local_mask::REGISTER.offset_of(i as u32));
        i += 1;
    }
    let mut i = 0;
    while i < 7 {
        w[22 + i] = port_word(regs::gateway::REGISTER.offset_of(i as u32));
        i += 1;
    }
    w[29] = page_word(0, regs::event_ctrl::OFFSET);
    w[30] = page_word(0, regs::event_cfg::OFFSET);
    w[31] = page_word(0, regs::event_cq_base_lo::OFFSET);
    w[32] = page_word(0, regs::event_cq_base_hi::OFFSET);
    w[33] = page_word(1, regs::tx_ctrl::OFFSET);
    w[34] = page_word(1, regs::tx_cfg::OFFSET);
    w[35] = page_word(1, regs::tx_sq_base_lo::OFFSET);
    w[36] = page_word(1, regs::tx_sq_base_hi::OFFSET);
    w[37] = page_word(1, regs::tx_cq_base_lo::OFFSET);
    w[38] = page_word(1, regs::tx_cq_base_hi::OFFSET);
    w[39] = page_word(2, regs::rx_ctrl::OFFSET);
    w[40] = page_word(2, regs::rx_cfg::OFFSET);
    w[41] = page_word(2, regs::rx_rxq_base_lo::OFFSET);
    w[42] = page_word(2, regs::rx_rxq_base_hi::OFFSET);
    w[43] = page_word(2, regs::rx_cq_base_lo::OFFSET);
    w[44] = page_word(2, regs::rx_cq_base_hi::OFFSET);
    w[45] = page_word(2, regs::rx_slot_base_lo::OFFSET);
    w[46] = page_word(2, regs::rx_slot_base_hi::OFFSET);
    w[47] = page_word(2, regs::rx_slot_cfg::OFFSET);
    w[48] = port_word(regs::flow::OFFSET);
    w
}

/// A table of something about each register; zero where there is none, which the Verilog would otherwise leave unknown.
fn rom<const N: usize>(of: impl Fn(&Entry) -> u64) -> SyncROM<Bits<N>, 9> {
    let mut words: BTreeMap<_, _> = (0..512_u64).map(|w| (w.into(), 0.into())).collect();
    for e in entries() {
        words.insert((e.word as u64).into(), of(&e).into());
    }
    SyncROM::new(words)
}

fn word(w: usize) -> Constant<Bits<9>> {
    Constant::new((w as u64).into())
}

fn reset(w: usize) -> Constant<Bits<32>> {
    let value = entries()
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
    pub events_page: QueueCtlSource,
    /// Page of transmit queue 0.
    pub tx_page: QueueCtlSource,
    /// Page of receive queue 0.
    pub rx_page: QueueCtlSource,
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
    /// LOCAL_ADDR.
    pub local_addr: [Signal<Out, Bits<32>>; 8],
    /// LOCAL_MASK.
    pub local_mask: [Signal<Out, Bits<32>>; 8],
    /// GATEWAY.
    pub gateway: [Signal<Out, Bits<32>>; 7],
    /// A word of the tables at 0x100 to 0x1FF is written; whoever uses a table keeps it. A reset writes all of them.
    pub table_write: Signal<Out, Bit>,
    /// A word of LOCAL_ADDR or LOCAL_MASK is written, for those who keep them as a table; so does a reset.
    pub local_write: Signal<Out, Bit>,
    /// The word's number from 0x100 on; with `local_write`, bits 3:0 are its number from 0x080 on.
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
    doorbell: DFF<Bits<32>>,
    ring: DFF<Bits<3>>,
    flush: DFF<Bit>,
    /// MDIO_CMD of the transfer under way.
    mdio_cmd: DFF<Bits<27>>,
    mdio_busy: DFF<Bit>,
    told: DFF<Bit>,
    told_local: DFF<Bit>,
    told_place: DFF<Bits<6>>,
    told_data: DFF<Bits<32>>,
    /// Registers that other modules see all the time, in the order of `OUTPUTS`.
    value: [DFF<Bits<32>>; 49],
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
    /// Offsets of the queue pages in BAR0.
    page: [Constant<Bits<20>>; 3],
    /// Their first words.
    page_first: [Constant<Bits<9>>; 3],
    value_word: [Constant<Bits<9>>; 49],
    value_reset: [Constant<Bits<32>>; 49],
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
    doorbell_word: [Constant<Bits<9>>; 3],
    queue_status_word: [Constant<Bits<9>>; 3],
    bell: [Constant<Bits<3>>; 3],
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
            events_page: Default::default(),
            tx_page: Default::default(),
            rx_page: Default::default(),
            rx_enable: Default::default(),
            tx_enable: Default::default(),
            loopback: Default::default(),
            mac_lo: Default::default(),
            mac_hi: Default::default(),
            rxctl: Default::default(),
            arpctl: Default::default(),
            arptime: Default::default(),
            flow: Default::default(),
            local_addr: array_init(|_| Default::default()),
            local_mask: array_init(|_| Default::default()),
            gateway: array_init(|_| Default::default()),
            table_write: Default::default(),
            local_write: Default::default(),
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
            doorbell: Default::default(),
            ring: Default::default(),
            flush: Default::default(),
            mdio_cmd: Default::default(),
            mdio_busy: Default::default(),
            told: Default::default(),
            told_local: Default::default(),
            told_place: Default::default(),
            told_data: Default::default(),
            value: array_init(|_| Default::default()),
            storage: Default::default(),
            store_at: Default::default(),
            store_data: Default::default(),
            stores: Default::default(),
            masks: rom(|e| u64::from(e.mask)),
            resets: rom(|e| u64::from(e.reset)),
            known: rom(|_| 1),
            masked: Default::default(),
            bad: Default::default(),
            status: Default::default(),
            page: array_init(|i| Constant::new(u64::from(PAGES[i]).into())),
            page_first: array_init(|i| Constant::new((page_word(i, 0) as u64).into())),
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
            doorbell_word: array_init(|i| word(page_word(i, regs::event_doorbell::OFFSET))),
            queue_status_word: array_init(|i| word(page_word(i, regs::event_status::OFFSET))),
            bell: array_init(|i| Constant::new((1_u64 << i).into())),
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
    /// Says in CAPS that there is PUSH mode alone.
    pub(super) fn only_push(&mut self) {
        let caps = port_word(regs::caps::OFFSET);
        self.resets = rom(|e| match e.word == caps {
            true => regs::CAPS_PUSH_ONLY.into(),
            false => e.reset.into(),
        });
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
            doorbell,
            ring,
            flush,
            mdio_cmd,
            mdio_busy,
            told,
            told_local,
            told_place,
            told_data
        );
        self.table_write.next = self.told.q.val();
        self.local_write.next = self.told_local.q.val();
        self.table_place.next = self.told_place.q.val();
        self.table_data.next = self.told_data.q.val();
        self.told.d.next = false;
        self.told_local.d.next = false;
        for i in 0..49 {
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
        self.flow.next = self.value[48].q.val().get_bits::<2>(0);
        for i in 0..8 {
            self.local_addr[i].next = self.value[i + 6].q.val();
            self.local_mask[i].next = self.value[i + 14].q.val();
        }
        for i in 0..7 {
            self.gateway[i].next = self.value[i + 22].q.val();
        }
        self.mdio.wdata.next = bit_cast::<16, 27>(self.mdio_cmd.q.val());
        self.mdio.register.next = self.mdio_cmd.q.val().get_bits::<5>(16);
        self.mdio.phy.next = self.mdio_cmd.q.val().get_bits::<5>(21);
        self.mdio.write.next = self.mdio_cmd.q.val().get_bit(26);
        self.mdio.valid.next = self.mdio_busy.q.val();
        self.events_page.enable.next = self.value[29].q.val().get_bit(0);
        self.events_page.setup.next = self.value[30].q.val();
        self.events_page.ring_lo.next = 0.into();
        self.events_page.ring_hi.next = 0.into();
        self.events_page.cq_lo.next = self.value[31].q.val();
        self.events_page.cq_hi.next = self.value[32].q.val();
        self.events_page.slot_lo.next = 0.into();
        self.events_page.slot_hi.next = 0.into();
        self.events_page.slots.next = 0.into();
        self.events_page.doorbell.next = self.doorbell.q.val();
        self.events_page.ring.next = self.ring.q.val().get_bit(0);
        self.tx_page.enable.next = self.value[33].q.val().get_bit(0);
        self.tx_page.setup.next = self.value[34].q.val();
        self.tx_page.ring_lo.next = self.value[35].q.val();
        self.tx_page.ring_hi.next = self.value[36].q.val();
        self.tx_page.cq_lo.next = self.value[37].q.val();
        self.tx_page.cq_hi.next = self.value[38].q.val();
        self.tx_page.slot_lo.next = 0.into();
        self.tx_page.slot_hi.next = 0.into();
        self.tx_page.slots.next = 0.into();
        self.tx_page.doorbell.next = self.doorbell.q.val();
        self.tx_page.ring.next = self.ring.q.val().get_bit(1);
        self.rx_page.enable.next = self.value[39].q.val().get_bit(0);
        self.rx_page.setup.next = self.value[40].q.val();
        self.rx_page.ring_lo.next = self.value[41].q.val();
        self.rx_page.ring_hi.next = self.value[42].q.val();
        self.rx_page.cq_lo.next = self.value[43].q.val();
        self.rx_page.cq_hi.next = self.value[44].q.val();
        self.rx_page.slot_lo.next = self.value[45].q.val();
        self.rx_page.slot_hi.next = self.value[46].q.val();
        self.rx_page.slots.next = self.value[47].q.val();
        self.rx_page.doorbell.next = self.doorbell.q.val();
        self.rx_page.ring.next = self.ring.q.val().get_bit(2);

        self.quiesce.next = self.resetting.q.val();
        self.soft_reset.next = self.state.q.val() == RegState::Hold;
        self.snapshot.next = self.state.q.val() == RegState::Counters;
        self.busy.next = (self.state.q.val() != RegState::Idle)
            | self.resetting.q.val()
            | self.ring.q.val().any()
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
        self.ring.d.next = 0.into();
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
                    for i in 0..3 {
                        if (self.access.addr.val() & 0xF_FFC0) == self.page[i].val() {
                            self.mapped.d.next = true;
                            self.index.d.next = self.page_first[i].val()
                                | bit_cast::<9, 4>(self.access.addr.val().get_bits::<4>(2));
                        }
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
                    self.stores.next = self.mask.q.val().any();
                    for i in 0..49 {
                        if self.index.q.val() == self.value_word[i].val() {
                            self.value[i].d.next = self.masked.val();
                        }
                    }
                    for i in 0..3 {
                        if self.index.q.val() == self.doorbell_word[i].val() {
                            self.doorbell.d.next = self.access.wdata.val();
                            self.ring.d.next = self.bell[i].val();
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
                    } else if self.index.q.val() == self.queue_status_word[0].val() {
                        self.status.next = bit_cast::<32, 4>(self.events_page.error.val()) << 4;
                        if self.events_page.running.val() {
                            self.status.next = self.status.val() | 1;
                        }
                        self.access.rdata.next = self.status.val();
                    } else if self.index.q.val() == self.queue_status_word[1].val() {
                        self.status.next = bit_cast::<32, 4>(self.tx_page.error.val()) << 4;
                        if self.tx_page.running.val() {
                            self.status.next = self.status.val() | 1;
                        }
                        self.access.rdata.next = self.status.val();
                    } else if self.index.q.val() == self.queue_status_word[2].val() {
                        self.status.next = bit_cast::<32, 4>(self.rx_page.error.val()) << 4;
                        if self.rx_page.running.val() {
                            self.status.next = self.status.val() | 1;
                        }
                        self.access.rdata.next = self.status.val();
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
                for i in 0..49 {
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
        if self.stores.val() {
            self.told_place.d.next = self.store_at.val().get_bits::<6>(0);
            self.told_data.d.next = self.store_data.val();
        }
        if self.bad.val() & (self.bad_count.q.val() != 0xFFFF) {
            self.bad_count.d.next = self.bad_count.q.val() + 1;
        }
        if self.reset.val() {
            self.state.d.next = RegState::Walk;
            self.index.d.next = 0.into();
            self.resetting.d.next = false;
            self.bad_count.d.next = 0.into();
            self.doorbell.d.next = 0.into();
            self.ring.d.next = 0.into();
            self.flush.d.next = false;
            self.mdio_busy.d.next = false;
            self.told.d.next = false;
            self.told_local.d.next = false;
            for i in 0..49 {
                self.value[i].d.next = self.value_reset[i].val();
            }
            self.value[1].d.next = self.board_mac_lo.val();
            self.value[2].d.next = bit_cast::<32, 16>(self.board_mac_hi.val());
        }
    }
}
