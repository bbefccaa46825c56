//! The host's commands for the cache: registers ARP_ADDR to ARP_CMD, and the way of their results back to ARP_ENTRY_ADDR to ARP_ENTRY.
#![allow(missing_docs, reason = "LogicBlock derives methods without docs")]
use super::ports::EntrySource;
use ferrule_abi::regs::{self, arp_op};
use rust_hdl::prelude::*;

/// The word of the tables that a register is.
const fn place(offset: u32) -> u64 {
    (offset / 4 % 64) as u64
}

/// Takes a command, one at a time, and gives the register file the words of its result, of which the last one ends the command.
#[derive(LogicBlock)]
pub struct Command {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// The host writes a word of the tables; see [`crate::pcie::reg_file::RegFile`].
    pub table_write: Signal<In, Bit>,
    /// Which.
    pub table_place: Signal<In, Bits<6>>,
    /// The word.
    pub table_data: Signal<In, Bits<32>>,
    /// A command waits to be carried out.
    pub valid: Signal<Out, Bit>,
    /// It is READ.
    pub reads: Signal<Out, Bit>,
    /// It is ADD; otherwise, if it is none of the others, DELETE.
    pub adds: Signal<Out, Bit>,
    /// It is ANNOUNCE or PROBE.
    pub sends: Signal<Out, Bit>,
    /// With `sends`: it is PROBE.
    pub probes: Signal<Out, Bit>,
    /// Entry to be read.
    pub entry: Signal<Out, Bits<8>>,
    /// ARP_ADDR.
    pub address: Signal<Out, Bits<32>>,
    /// ARP_MAC_LO.
    pub mac_lo: Signal<Out, Bits<32>>,
    /// ARP_MAC_HI.
    pub mac_hi: Signal<Out, Bits<16>>,
    /// A word of the result is there; only while `room`.
    pub say: Signal<In, Bit>,
    /// Which: 0 ARP_ENTRY_ADDR to 3 ARP_ENTRY, with which the command ends.
    pub say_word: Signal<In, Bits<2>>,
    /// The word.
    pub say_data: Signal<In, Bits<32>>,
    /// A word of the result can be taken.
    pub room: Signal<Out, Bit>,
    /// High for one cycle: the words said so far are to be forgotten; the command waits again.
    pub again: Signal<In, Bit>,
    /// To the register file.
    pub result: EntrySource,
    /// A command is under way: ARP_ENTRY.BUSY.
    pub busy: Signal<Out, Bit>,
    ip: DFF<Bits<32>>,
    lo: DFF<Bits<32>>,
    hi: DFF<Bits<16>>,
    number: DFF<Bits<8>>,
    is_read: DFF<Bit>,
    is_add: DFF<Bit>,
    is_send: DFF<Bit>,
    is_probe: DFF<Bit>,
    under_way: DFF<Bit>,
    // The word that the register file is given.
    full: DFF<Bit>,
    word: DFF<Bits<2>>,
    data: DFF<Bits<32>>,
    ip_place: Constant<Bits<6>>,
    lo_place: Constant<Bits<6>>,
    hi_place: Constant<Bits<6>>,
    command_place: Constant<Bits<6>>,
    read_op: Constant<Bits<3>>,
    add_op: Constant<Bits<3>>,
    delete_op: Constant<Bits<3>>,
    announce_op: Constant<Bits<3>>,
    probe_op: Constant<Bits<3>>,
}

impl Default for Command {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            table_write: Default::default(),
            table_place: Default::default(),
            table_data: Default::default(),
            valid: Default::default(),
            reads: Default::default(),
            adds: Default::default(),
            sends: Default::default(),
            probes: Default::default(),
            entry: Default::default(),
            address: Default::default(),
            mac_lo: Default::default(),
            mac_hi: Default::default(),
            say: Default::default(),
            say_word: Default::default(),
            say_data: Default::default(),
            room: Default::default(),
            again: Default::default(),
            result: Default::default(),
            busy: Default::default(),
            ip: Default::default(),
            lo: Default::default(),
            hi: Default::default(),
            number: Default::default(),
            is_read: Default::default(),
            is_add: Default::default(),
            is_send: Default::default(),
            is_probe: Default::default(),
            under_way: Default::default(),
            full: Default::default(),
            word: Default::default(),
            data: Default::default(),
            ip_place: Constant::new(place(regs::arp_addr::OFFSET).into()),
            lo_place: Constant::new(place(regs::arp_mac_lo::OFFSET).into()),
            hi_place: Constant::new(place(regs::arp_mac_hi::OFFSET).into()),
            command_place: Constant::new(place(regs::arp_cmd::OFFSET).into()),
            read_op: Constant::new(u64::from(arp_op::READ).into()),
            add_op: Constant::new(u64::from(arp_op::ADD).into()),
            delete_op: Constant::new(u64::from(arp_op::DELETE).into()),
            announce_op: Constant::new(u64::from(arp_op::ANNOUNCE).into()),
            probe_op: Constant::new(u64::from(arp_op::PROBE).into()),
        }
    }
}

impl Logic for Command {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self, clock, ip, lo, hi, number, is_read, is_add, is_send, is_probe, under_way, full,
            word, data
        );
        if self.table_write.val() {
            if self.table_place.val() == self.ip_place.val() {
                self.ip.d.next = self.table_data.val();
            }
            if self.table_place.val() == self.lo_place.val() {
                self.lo.d.next = self.table_data.val();
            }
            if self.table_place.val() == self.hi_place.val() {
                self.hi.d.next = bit_cast::<16, 32>(self.table_data.val());
            }
        }
        self.valid.next = self.under_way.q.val() & !self.full.q.val();
        self.reads.next = self.is_read.q.val();
        self.adds.next = self.is_add.q.val();
        self.sends.next = self.is_send.q.val();
        self.probes.next = self.is_probe.q.val();
        self.entry.next = self.number.q.val();
        self.address.next = self.ip.q.val();
        self.mac_lo.next = self.lo.q.val();
        self.mac_hi.next = self.hi.q.val();
        self.busy.next = self.under_way.q.val();
        self.room.next = !self.full.q.val() | self.result.ready.val();
        self.result.valid.next = self.full.q.val();
        self.result.word.next = self.word.q.val();
        self.result.data.next = self.data.q.val();

        if self.full.q.val() & self.result.ready.val() {
            self.full.d.next = false;
            if self.word.q.val() == 3 {
                self.under_way.d.next = false;
            }
        }
        self.data.d.next = self.say_data.val();
        if self.full.q.val() & !self.result.ready.val() {
            self.data.d.next = self.data.q.val();
        }
        if self.say.val() {
            self.full.d.next = true;
            self.word.d.next = self.say_word.val();
        }
        if self.again.val() {
            self.full.d.next = false;
        }
        if self.table_write.val()
            & (self.table_place.val() == self.command_place.val())
            & !self.under_way.q.val()
        {
            self.is_read.d.next = self.table_data.val().get_bits::<3>(0) == self.read_op.val();
            self.is_add.d.next = self.table_data.val().get_bits::<3>(0) == self.add_op.val();
            self.is_probe.d.next = self.table_data.val().get_bits::<3>(0) == self.probe_op.val();
            self.is_send.d.next = (self.table_data.val().get_bits::<3>(0)
                == self.announce_op.val())
                | (self.table_data.val().get_bits::<3>(0) == self.probe_op.val());
            self.number.d.next = self.table_data.val().get_bits::<8>(8);
            self.under_way.d.next = (self.table_data.val().get_bits::<3>(0) == self.read_op.val())
                | (self.table_data.val().get_bits::<3>(0) == self.add_op.val())
                | (self.table_data.val().get_bits::<3>(0) == self.delete_op.val())
                | (self.table_data.val().get_bits::<3>(0) == self.announce_op.val())
                | (self.table_data.val().get_bits::<3>(0) == self.probe_op.val());
        }
        if self.reset.val() {
            self.under_way.d.next = false;
            self.full.d.next = false;
        }
    }
}
