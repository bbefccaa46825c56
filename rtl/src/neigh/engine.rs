//! ARP cache and its sequencer: lookups, learning, requests with retries, ageing.
//!
//! The cache holds 256 entries, 64 sets of 4 ways, in four memories read in parallel: IPv4 address (0: free), tick of the last
//! confirmation or request, MAC address bytes 0 to 3, and a word with the state in bit 16 (1: pending) and bit 17 (1: static). Of a
//! resolved or static entry bits 15:0 are MAC address bytes 4 and 5; of a pending one bits 15:8 are its place in the timer queue and
//! bits 1:0 the requests sent.
//! Resolved entries age only when they are looked at, so they need no timer; one that nobody looks at for 2^32 ticks (52 days)
//! passes for fresh for one more AGE.
//!
//! Since all retries are the same time apart, the pending entries' deadlines come in the order in which their requests were sent: a
//! queue of entry numbers is all the timer there is. A queue element whose entry is not waiting in that place any more is skipped.
//!
//! Static entries are kept out of way 3 of each set, so that one way always remains for those that the wire teaches.
//!
//! A command of the host's gives way to a lookup, before it begins and after each way it has looked at, unless the lookup itself waits for
//! something: a lookup never waits for more than the few cycles of a READ.
#![allow(missing_docs, reason = "LogicBlock derives methods without docs")]
use super::{
    command::Command, frame::ArpFrame, inbox::Inbox, outbox::Outbox, ports::EntrySource,
    ports::LookupSink, ports::NeighEventSource, route::Route, state::State,
};
use crate::{rx::ports::ArpPacketSink, stream::FrameSource};
use ferrule_abi::{counter, regs};
use rust_hdl::prelude::*;

/// The neighbour block.
///
/// Answers lookups, ARP requests for local addresses (RFC 826) and resolves next hops. A lookup that misses is answered at once and
/// its next hop asked for, up to three times; the outcome comes as an event.
#[derive(LogicBlock)]
pub struct Neigh {
    /// Core clock.
    pub clock: Signal<In, Clock>,
    /// Synchronous, active high.
    pub reset: Signal<In, Bit>,
    /// CTRL.TX_EN: while low, ARP frames are swallowed; retries and time-outs go on.
    pub enable: Signal<In, Bit>,
    /// Own MAC address, bytes 0 to 3.
    pub mac_lo: Signal<In, Bits<32>>,
    /// Own MAC address, bytes 4 and 5.
    pub mac_hi: Signal<In, Bits<16>>,
    /// Register ARPCTL. Its FLUSH bit is high for one cycle and makes all resolved entries forgotten; requests under way go on, since
    /// the host waits for their outcome.
    pub arpctl: Signal<In, Bits<32>>,
    /// Register ARPTIME.
    pub arptime: Signal<In, Bits<32>>,
    /// The host writes a local address (0.0.0.0 is unused) or its mask, of which bits 3:0 of `table_place` say which.
    pub local_write: Signal<In, Bit>,
    /// The host writes gateway n (0.0.0.0 is none), of which bits 2:0 of `table_place` say which.
    pub gateway_write: Signal<In, Bit>,
    /// Time in ticks of 2^20 ns, modulo 2^32.
    pub now: Signal<In, Bits<32>>,
    /// Received ARP packets.
    pub arp: ArpPacketSink,
    /// Next-hop questions.
    pub lookup: LookupSink,
    /// A lookup waits for room, among the events or for its request: it has no answer yet.
    pub stalled: Signal<Out, Bit>,
    /// High from a lookup's answer until the host will be told of it before any event: holds back the events that come after it.
    pub event_hold: Signal<In, Bit>,
    /// NEIGH_RESOLVED, NEIGH_FAILED and ADDRESS_CONFLICT.
    pub notice: NeighEventSource,
    /// ARP frames.
    pub frame: FrameSource,
    /// The host writes a word of the tables; see [`crate::pcie::reg_file::RegFile`].
    pub table_write: Signal<In, Bit>,
    /// Which.
    pub table_place: Signal<In, Bits<6>>,
    /// The word.
    pub table_data: Signal<In, Bits<32>>,
    /// Results of commands.
    pub result: EntrySource,
    /// ARP_ENTRY.BUSY.
    pub command_busy: Signal<Out, Bit>,
    /// The next retry or time-out of a pending entry, in ticks.
    pub deadline: Signal<Out, Bits<32>>,
    /// `deadline` counts.
    pub deadline_valid: Signal<Out, Bit>,
    /// Pulses of ARP_REPLIES, ARP_REQUESTS, ARP_FAILURES, ARP_CONFLICTS.
    pub events: Signal<Out, Bits<32>>,
    /// Something moves or waits; when low, nothing changes until an input does or `deadline` comes.
    pub busy: Signal<Out, Bit>,
    route: Route,
    gateways: RAM<Bits<32>, 3>,
    inbox: Inbox,
    outbox: Outbox,
    command: Command,
    maker: ArpFrame,
    ip_ram: RAM<Bits<32>, 8>,
    stamp_ram: RAM<Bits<32>, 8>,
    mac_ram: RAM<Bits<32>, 8>,
    meta_ram: RAM<Bits<18>, 8>,
    timer_ram: RAM<Bits<8>, 8>,
    state: DFF<State>,
    // The address that is classified, searched for or asked for.
    key: DFF<Bits<32>>,
    // The entry that is being read.
    entry: DFF<Bits<8>>,
    // The entry whose words the memories show, and the one that is written.
    slot: DFF<Bits<8>>,
    for_arp: DFF<Bit>,
    for_timer: DFF<Bit>,
    for_host: DFF<Bit>,
    // The lookup that waits was taken up and could not go on.
    turned_back: DFF<Bit>,
    wipe: DFF<Bit>,
    // Candidate for a new entry in the set, and how good it is.
    spare: DFF<Bits<8>>,
    has_free: DFF<Bit>,
    has_old: DFF<Bit>,
    oldest: DFF<Bits<32>>,
    // Words of the way that is looked at, and of the entry found. They are reckoned with a cycle after they leave the memory, which
    // takes most of one. `age` holds the tick out of the memory until what has passed since is known.
    ip: DFF<Bits<32>>,
    age: DFF<Bits<32>>,
    meta: DFF<Bits<18>>,
    limit: DFF<Bits<32>>,
    // The answer to a lookup.
    hit: DFF<Bit>,
    unroutable: DFF<Bit>,
    answer_lo: DFF<Bits<32>>,
    answer_hi: DFF<Bits<16>>,
    // What is known of the ARP packet at hand.
    mine: DFF<Bit>,
    learnable: DFF<Bit>,
    // Its answer is an announcement.
    defend: DFF<Bit>,
    // A conflict was told of, and when, in units of 2^10 ticks (1.07 s).
    clash_told: DFF<Bit>,
    clash_time: DFF<Bits<10>>,
    clash_age: Signal<Local, Bits<10>>,
    // The next conflict may be told of: as of the cycle before.
    may_tell: DFF<Bit>,
    clash: Signal<Local, Bit>,
    pulses: Signal<Local, Bits<32>>,
    was_pending: DFF<Bit>,
    // The result of a command, and the word of it that is told.
    outcome: DFF<Bits<2>>,
    tell: DFF<Bits<2>>,
    yields: Signal<Local, Bit>,
    spare_found: Signal<Local, Bit>,
    last_way: Signal<Local, Bit>,
    // Timer queue: indices, and the live element at its head.
    timer_head: DFF<Bits<8>>,
    timer_tail: DFF<Bits<8>>,
    head_valid: DFF<Bit>,
    head_slot: DFF<Bits<8>>,
    head_ip: DFF<Bits<32>>,
    head_due: DFF<Bits<32>>,
    head_tries: DFF<Bits<2>>,
    tries: DFF<Bits<2>>,
    // Whether its head is due, and whether it is full, each as of the cycle before: no state that asks follows directly on one that
    // makes them true.
    ripe: DFF<Bit>,
    timer_full: DFF<Bit>,
    timer_next: Signal<Local, Bits<8>>,
    late: Signal<Local, Bits<32>>,
    due: Signal<Local, Bit>,
    ones: Constant<Bits<32>>,
    half_ones: Constant<Bits<16>>,
    last_entry: Constant<Bits<8>>,
    multicast_lo: Constant<Bits<32>>,
    multicast_ip: Constant<Bits<32>>,
    class_mask: Constant<Bits<32>>,
    class_d: Constant<Bits<32>>,
    reserved_mask: Constant<Bits<32>>,
    pending: Constant<Bits<18>>,
    fixed: Constant<Bits<18>>,
    pending_bit: Constant<Bits<32>>,
    absent: Constant<Bits<2>>,
    no_way: Constant<Bits<2>>,
    replies_bit: Constant<Bits<32>>,
    requests_bit: Constant<Bits<32>>,
    failures_bit: Constant<Bits<32>>,
    conflicts_bit: Constant<Bits<32>>,
}

impl Default for Neigh {
    fn default() -> Self {
        Self {
            clock: Default::default(),
            reset: Default::default(),
            enable: Default::default(),
            mac_lo: Default::default(),
            mac_hi: Default::default(),
            arpctl: Default::default(),
            arptime: Default::default(),
            local_write: Default::default(),
            gateway_write: Default::default(),
            gateways: Default::default(),
            now: Default::default(),
            arp: Default::default(),
            lookup: Default::default(),
            stalled: Default::default(),
            event_hold: Default::default(),
            notice: Default::default(),
            frame: Default::default(),
            table_write: Default::default(),
            table_place: Default::default(),
            table_data: Default::default(),
            result: Default::default(),
            command_busy: Default::default(),
            deadline: Default::default(),
            deadline_valid: Default::default(),
            events: Default::default(),
            busy: Default::default(),
            route: Default::default(),
            inbox: Default::default(),
            outbox: Default::default(),
            command: Default::default(),
            maker: Default::default(),
            ip_ram: Default::default(),
            stamp_ram: Default::default(),
            mac_ram: Default::default(),
            meta_ram: Default::default(),
            timer_ram: Default::default(),
            state: Default::default(),
            key: Default::default(),
            entry: Default::default(),
            slot: Default::default(),
            for_arp: Default::default(),
            for_timer: Default::default(),
            for_host: Default::default(),
            turned_back: Default::default(),
            wipe: Default::default(),
            spare: Default::default(),
            has_free: Default::default(),
            has_old: Default::default(),
            oldest: Default::default(),
            ip: Default::default(),
            age: Default::default(),
            meta: Default::default(),
            limit: Default::default(),
            hit: Default::default(),
            unroutable: Default::default(),
            answer_lo: Default::default(),
            answer_hi: Default::default(),
            mine: Default::default(),
            learnable: Default::default(),
            defend: Default::default(),
            clash_told: Default::default(),
            clash_time: Default::default(),
            clash_age: Default::default(),
            may_tell: Default::default(),
            clash: Default::default(),
            pulses: Default::default(),
            was_pending: Default::default(),
            outcome: Default::default(),
            tell: Default::default(),
            yields: Default::default(),
            spare_found: Default::default(),
            last_way: Default::default(),
            timer_head: Default::default(),
            timer_tail: Default::default(),
            head_valid: Default::default(),
            head_slot: Default::default(),
            head_ip: Default::default(),
            head_due: Default::default(),
            head_tries: Default::default(),
            tries: Default::default(),
            ripe: Default::default(),
            timer_full: Default::default(),
            timer_next: Default::default(),
            late: Default::default(),
            due: Default::default(),
            ones: Constant::new(0xFFFF_FFFF_u64.into()),
            half_ones: Constant::new(0xFFFF_u64.into()),
            last_entry: Constant::new(255_u64.into()),
            // RFC 1112 section 6.4: 01-00-5E and the low 23 bits of the address.
            multicast_lo: Constant::new(
                u64::from(u32::from_le_bytes([0x01, 0x00, 0x5E, 0])).into(),
            ),
            multicast_ip: Constant::new(0x007F_0000_u64.into()),
            class_mask: Constant::new(0xF000_0000_u64.into()),
            class_d: Constant::new(0xE000_0000_u64.into()),
            reserved_mask: Constant::new(0xE000_0000_u64.into()),
            pending: Constant::new(0x1_0000_u64.into()),
            fixed: Constant::new(0x2_0000_u64.into()),
            pending_bit: Constant::new(u64::from(regs::arp_entry::PENDING.mask()).into()),
            absent: Constant::new(u64::from(regs::arp_result::ABSENT).into()),
            no_way: Constant::new(u64::from(regs::arp_result::FULL).into()),
            replies_bit: Constant::new((1_u64 << counter::ARP_REPLIES).into()),
            requests_bit: Constant::new((1_u64 << counter::ARP_REQUESTS).into()),
            failures_bit: Constant::new((1_u64 << counter::ARP_FAILURES).into()),
            conflicts_bit: Constant::new((1_u64 << counter::ARP_CONFLICTS).into()),
        }
    }
}

impl Logic for Neigh {
    #[hdl_gen]
    fn update(&mut self) {
        dff_setup!(
            self,
            clock,
            state,
            key,
            entry,
            slot,
            for_arp,
            for_timer,
            for_host,
            turned_back,
            wipe,
            spare,
            has_free,
            has_old,
            oldest,
            ip,
            age,
            meta,
            limit,
            hit,
            unroutable,
            answer_lo,
            answer_hi,
            mine,
            learnable,
            defend,
            clash_told,
            clash_time,
            may_tell,
            was_pending,
            outcome,
            tell,
            timer_head,
            timer_tail,
            head_valid,
            head_slot,
            head_ip,
            head_due,
            head_tries,
            tries,
            ripe,
            timer_full
        );
        clock!(self, clock, route, inbox, outbox, command, maker);
        self.route.reset.next = self.reset.val();
        self.inbox.reset.next = self.reset.val();
        self.outbox.reset.next = self.reset.val();
        self.command.reset.next = self.reset.val();
        self.maker.reset.next = self.reset.val();
        ArpPacketSink::link(&mut self.arp, &mut self.inbox.arp);
        NeighEventSource::link(&mut self.notice, &mut self.outbox.source);
        FrameSource::link(&mut self.frame, &mut self.maker.frame);
        EntrySource::link(&mut self.result, &mut self.command.result);
        self.command.table_write.next = self.table_write.val();
        self.command.table_place.next = self.table_place.val();
        self.command.table_data.next = self.table_data.val();
        self.command_busy.next = self.command.busy.val();
        self.route.local_write.next = self.local_write.val();
        self.route.local_place.next = self.table_place.val().get_bits::<4>(0);
        self.route.local_data.next = self.table_data.val();
        // The gateway of a lookup comes out of its memory long before it is known whether it is needed. Automatic is gateway 1.
        self.gateways.read_clock.next = self.clock.val();
        self.gateways.write_clock.next = self.clock.val();
        self.gateways.read_address.next = self.lookup.next_hop.val();
        if self.lookup.next_hop.val() == 0 {
            self.gateways.read_address.next = 1.into();
        }
        self.gateways.write_address.next = self.table_place.val().get_bits::<3>(0);
        self.gateways.write_data.next = self.table_data.val();
        self.gateways.write_enable.next = self.gateway_write.val();
        self.route.ip.next = self.key.q.val();
        self.route.start.next = false;
        self.inbox.take.next = false;
        self.outbox.push.next = false;
        self.outbox.failed.next = true;
        self.outbox.conflict.next = false;
        self.outbox.mac_lo.next = self.inbox.sha_lo.val();
        self.outbox.mac_hi.next = self.inbox.sha_hi.val();
        self.outbox.address.next = self.key.q.val();
        self.outbox.hold.next = self.event_hold.val();
        self.maker.mac_lo.next = self.mac_lo.val();
        self.maker.mac_hi.next = self.mac_hi.val();
        self.maker.start.next = false;
        self.maker.reply.next = false;
        self.maker.target_lo.next = self.inbox.sha_lo.val();
        self.maker.target_hi.next = self.inbox.sha_hi.val();
        self.maker.spa.next = self.route.source.val();
        self.maker.tpa.next = self.key.q.val();

        self.ip_ram.read_clock.next = self.clock.val();
        self.ip_ram.write_clock.next = self.clock.val();
        self.stamp_ram.read_clock.next = self.clock.val();
        self.stamp_ram.write_clock.next = self.clock.val();
        self.mac_ram.read_clock.next = self.clock.val();
        self.mac_ram.write_clock.next = self.clock.val();
        self.meta_ram.read_clock.next = self.clock.val();
        self.meta_ram.write_clock.next = self.clock.val();
        self.timer_ram.read_clock.next = self.clock.val();
        self.timer_ram.write_clock.next = self.clock.val();
        self.ip_ram.read_address.next = self.entry.q.val();
        self.stamp_ram.read_address.next = self.entry.q.val();
        self.mac_ram.read_address.next = self.slot.q.val();
        self.meta_ram.read_address.next = self.entry.q.val();
        self.timer_ram.read_address.next = self.timer_head.q.val();
        self.ip_ram.write_address.next = self.slot.q.val();
        self.stamp_ram.write_address.next = self.slot.q.val();
        self.mac_ram.write_address.next = self.slot.q.val();
        self.meta_ram.write_address.next = self.slot.q.val();
        self.timer_ram.write_address.next = self.timer_tail.q.val();
        self.ip_ram.write_data.next = self.key.q.val();
        self.stamp_ram.write_data.next = self.now.val();
        self.mac_ram.write_data.next = self.inbox.sha_lo.val();
        self.meta_ram.write_data.next = bit_cast::<18, 16>(self.inbox.sha_hi.val());
        if self.for_host.q.val() {
            self.mac_ram.write_data.next = self.command.mac_lo.val();
            self.meta_ram.write_data.next =
                self.fixed.val() | bit_cast::<18, 16>(self.command.mac_hi.val());
        }
        self.timer_ram.write_data.next = self.slot.q.val();
        self.ip_ram.write_enable.next = false;
        self.stamp_ram.write_enable.next = false;
        self.mac_ram.write_enable.next = false;
        self.meta_ram.write_enable.next = false;
        self.timer_ram.write_enable.next = false;

        self.lookup.done.next = false;
        self.lookup.hit.next = self.hit.q.val();
        self.lookup.mac_lo.next = self.answer_lo.q.val();
        self.lookup.mac_hi.next = self.answer_hi.q.val();
        self.lookup.address.next = self.key.q.val();

        self.command.say.next = false;
        self.command.again.next = false;
        self.command.say_word.next = self.tell.q.val();
        // Of a free entry the words are zero, of a pending one those of its MAC address; and so they are where no entry is read.
        self.command.say_data.next = 0.into();
        if self.tell.q.val() == 3 {
            if self.command.reads.val() & (self.ip.q.val() != 0) {
                if self.meta.q.val().get_bit(16) {
                    self.command.say_data.next = self.pending_bit.val();
                } else {
                    self.command.say_data.next = bit_cast::<32, 18>(self.meta.q.val());
                }
            }
            if !self.command.reads.val() {
                self.command.say_data.next = bit_cast::<32, 2>(self.outcome.q.val()) << 24;
            }
        } else if self.ip.q.val() != 0 {
            if self.tell.q.val() == 0 {
                self.command.say_data.next = self.ip.q.val();
            } else if self.tell.q.val() == 1 {
                self.command.say_data.next = self.age.q.val();
            } else if !self.meta.q.val().get_bit(16) {
                self.command.say_data.next = self.mac_ram.read_data.val();
            }
        }
        // Ten such units may be a little less than eleven that were begun.
        self.clash_age.next = self.now.val().get_bits::<10>(10) - self.clash_time.q.val();
        self.may_tell.d.next = (!self.clash_told.q.val() | (self.clash_age.val() > 10))
            & !self.outbox.conflict_waits.val()
            & self.outbox.room.val();
        self.clash.next = false;
        self.yields.next = self.lookup.valid.val() & !self.turned_back.q.val();
        self.stalled.next = self.lookup.valid.val() & self.turned_back.q.val();
        self.last_way.next = self.slot.q.val().get_bit(0) & self.slot.q.val().get_bit(1);
        self.spare_found.next = self.has_free.q.val() | self.has_old.q.val();

        // Ticks wrap: `late` is negative as long as the deadline is ahead.
        self.deadline.next = self.head_due.q.val();
        self.deadline_valid.next = self.head_valid.q.val();
        self.late.next = self.now.val() - self.head_due.q.val();
        self.timer_next.next = self.timer_tail.q.val() + 1;
        self.timer_full.d.next = self.timer_next.val() == self.timer_head.q.val();
        self.due.next =
            self.head_valid.q.val() & (!self.late.val().get_bit(31) | self.timer_full.q.val());
        self.ripe.d.next = self.due.val();

        self.busy.next = (self.state.q.val() != State::Idle)
            | self.wipe.q.val()
            | self.arpctl.val().get_bit(8)
            | self.due.val()
            | (!self.head_valid.q.val() & (self.timer_head.q.val() != self.timer_tail.q.val()))
            | self.lookup.valid.val()
            | self.inbox.busy.val()
            | self.outbox.busy.val()
            | self.command.busy.val()
            | !self.maker.free.val();

        match self.state.q.val() {
            State::Clear => {
                self.ip_ram.write_data.next = 0.into();
                self.ip_ram.write_enable.next = true;
                self.slot.d.next = self.slot.q.val() + 1;
                if self.slot.q.val() == self.last_entry.val() {
                    self.state.d.next = State::Idle;
                }
            }
            State::Idle => {
                self.for_arp.d.next = false;
                self.for_timer.d.next = false;
                self.for_host.d.next = false;
                self.defend.d.next = false;
                self.outcome.d.next = 0.into();
                self.tell.d.next = 3.into();
                self.unroutable.d.next = false;
                self.has_free.d.next = false;
                self.has_old.d.next = false;
                self.oldest.d.next = 0.into();
                self.tries.d.next = 1.into();
                if self.wipe.q.val() {
                    self.wipe.d.next = false;
                    self.entry.d.next = 0.into();
                    self.state.d.next = State::FlushFill;
                } else if self.inbox.valid.val() & self.maker.free.val() {
                    self.for_arp.d.next = true;
                    self.key.d.next = self.inbox.tpa.val();
                    self.route.start.next = true;
                    self.state.d.next = State::Target;
                } else if !self.head_valid.q.val()
                    & (self.timer_head.q.val() != self.timer_tail.q.val())
                {
                    self.state.d.next = State::HeadRead;
                } else if self.ripe.q.val() & self.maker.free.val() & self.outbox.room.val() {
                    self.for_timer.d.next = true;
                    self.head_valid.d.next = false;
                    self.timer_head.d.next = self.timer_head.q.val() + 1;
                    self.key.d.next = self.head_ip.q.val();
                    self.slot.d.next = self.head_slot.q.val();
                    self.tries.d.next = self.head_tries.q.val() + 1;
                    if (self.head_tries.q.val() == 3) | self.timer_full.q.val() {
                        self.state.d.next = State::GiveUp;
                    } else {
                        self.state.d.next = State::Pend;
                    }
                } else if self.command.valid.val() & !self.yields.val() {
                    self.for_host.d.next = true;
                    self.key.d.next = self.command.address.val();
                    self.entry.d.next = self.command.entry.val();
                    self.state.d.next = State::Choose;
                    if self.command.reads.val() {
                        self.tell.d.next = 0.into();
                        self.state.d.next = State::ProbeFill;
                    }
                    if self.command.sends.val() {
                        self.state.d.next = State::HostSend;
                    }
                } else if self.lookup.valid.val() {
                    self.key.d.next = self.lookup.ip.val();
                    self.route.start.next = true;
                    self.state.d.next = State::Destination;
                }
            }
            State::FlushFill => {
                self.slot.d.next = self.entry.q.val();
                self.entry.d.next = self.entry.q.val() + 1;
                self.state.d.next = State::FlushLoad;
            }
            State::FlushLoad => {
                self.meta.d.next = self.meta_ram.read_data.val();
                self.entry.d.next = self.entry.q.val() + 1;
                self.state.d.next = State::Flush;
            }
            State::Flush => {
                self.ip_ram.write_data.next = 0.into();
                if !self.meta.q.val().get_bit(16) & !self.meta.q.val().get_bit(17) {
                    self.ip_ram.write_enable.next = true;
                }
                self.meta.d.next = self.meta_ram.read_data.val();
                self.slot.d.next = self.slot.q.val() + 1;
                self.entry.d.next = self.entry.q.val() + 1;
                if self.slot.q.val() == self.last_entry.val() {
                    self.state.d.next = State::Idle;
                }
            }
            State::HeadRead => {
                self.entry.d.next = self.timer_ram.read_data.val();
                self.state.d.next = State::HeadFill;
            }
            State::HeadFill => {
                self.slot.d.next = self.entry.q.val();
                self.state.d.next = State::HeadLoad;
            }
            State::HeadLoad => {
                self.ip.d.next = self.ip_ram.read_data.val();
                self.age.d.next = self.stamp_ram.read_data.val();
                self.meta.d.next = self.meta_ram.read_data.val();
                self.state.d.next = State::HeadCheck;
            }
            State::HeadCheck => {
                self.head_slot.d.next = self.slot.q.val();
                self.head_ip.d.next = self.ip.q.val();
                self.head_tries.d.next = self.meta.q.val().get_bits::<2>(0);
                self.head_due.d.next =
                    self.age.q.val() + bit_cast::<32, 12>(self.arptime.val().get_bits::<12>(16));
                if self.meta.q.val().get_bit(16)
                    & (self.meta.q.val().get_bits::<8>(8) == self.timer_head.q.val())
                {
                    self.head_valid.d.next = true;
                } else {
                    self.timer_head.d.next = self.timer_head.q.val() + 1;
                }
                self.state.d.next = State::Idle;
            }
            State::GiveUp => {
                self.ip_ram.write_data.next = 0.into();
                self.ip_ram.write_enable.next = true;
                self.outbox.push.next = true;
                self.state.d.next = State::Idle;
            }
            State::Destination => {
                if self.route.done.val() {
                    self.hit.d.next = true;
                    self.state.d.next = State::Answer;
                    if (self.key.q.val() == self.ones.val()) | self.route.broadcast.val() {
                        self.answer_lo.d.next = self.ones.val();
                        self.answer_hi.d.next = self.half_ones.val();
                    } else if (self.key.q.val() & self.class_mask.val()) == self.class_d.val() {
                        self.answer_lo.d.next = self.multicast_lo.val()
                            | ((self.key.q.val() & self.multicast_ip.val()) << 8);
                        self.answer_hi.d.next =
                            (bit_cast::<16, 8>(self.key.q.val().get_bits::<8>(0)) << 8)
                                | bit_cast::<16, 8>(self.key.q.val().get_bits::<8>(8));
                    } else if self.route.own.val() {
                        self.answer_lo.d.next = self.mac_lo.val();
                        self.answer_hi.d.next = self.mac_hi.val();
                    } else {
                        self.hit.d.next = false;
                        self.state.d.next = State::Choose;
                        // NEXT_HOP 0, automatic: on-link destinations are their own next hop, the rest goes to gateway 1.
                        if (self.lookup.next_hop.val() != 0) | !self.route.onlink.val() {
                            self.key.d.next = self.gateways.read_data.val();
                        }
                    }
                }
            }
            State::Target => {
                if self.route.done.val() {
                    self.mine.d.next = self.route.own.val();
                    self.learnable.d.next = false;
                    self.key.d.next = self.inbox.spa.val();
                    self.route.start.next = true;
                    self.state.d.next = State::Sender;
                    // No host has a group address (RFC 1812 section 3.3.2) or none; ours are echoes.
                    if self.inbox.sha_lo.val().get_bit(0)
                        | ((self.inbox.sha_lo.val() == 0) & (self.inbox.sha_hi.val() == 0))
                        | ((self.inbox.sha_lo.val() == self.mac_lo.val())
                            & (self.inbox.sha_hi.val() == self.mac_hi.val()))
                    {
                        self.inbox.take.next = true;
                        self.route.start.next = false;
                        self.state.d.next = State::Idle;
                    }
                }
            }
            State::Sender => {
                if self.route.done.val() {
                    // Only what a lookup could ask for: on link, not ours, no broadcast or class D or E address.
                    self.learnable.d.next = self.mine.q.val()
                        & self.inbox.is_request.val()
                        & self.arpctl.val().get_bit(1)
                        & self.route.onlink.val()
                        & !self.route.own.val()
                        & !self.route.broadcast.val()
                        & ((self.key.q.val() & self.reserved_mask.val())
                            != self.reserved_mask.val());
                    self.state.d.next = State::Choose;
                    // RFC 5227 section 2.4: another station claims an address of ours.
                    if self.route.own.val() {
                        self.clash.next = true;
                        if self.may_tell.q.val() {
                            self.outbox.push.next = true;
                            self.outbox.failed.next = false;
                            self.outbox.conflict.next = true;
                            self.clash_told.d.next = true;
                            self.clash_time.d.next = self.now.val().get_bits::<10>(10);
                            self.defend.d.next = self.arpctl.val().get_bit(3);
                        }
                    }
                }
            }
            State::Choose => {
                self.entry.d.next =
                    (self.key.q.val().get_bits::<8>(0) ^ self.key.q.val().get_bits::<8>(8)) << 2;
                self.state.d.next = State::ProbeFill;
                if self.key.q.val() == 0 {
                    if self.for_arp.q.val() {
                        // An ARP probe (RFC 5227 section 2.1.1).
                        self.state.d.next = State::Respond;
                    } else if self.for_host.q.val() {
                        self.state.d.next = State::HostAbsent;
                    } else {
                        // No route: the host gets a miss for the destination, then its failure.
                        self.key.d.next = self.lookup.ip.val();
                        self.unroutable.d.next = true;
                        self.turned_back.d.next = true;
                        self.state.d.next = State::Idle;
                        if self.outbox.room.val() {
                            self.state.d.next = State::Answer;
                        }
                    }
                }
            }
            State::ProbeFill => {
                self.slot.d.next = self.entry.q.val();
                self.limit.d.next = bit_cast::<32, 16>(self.arptime.val().get_bits::<16>(0));
                self.state.d.next = State::ProbeLoad;
            }
            State::ProbeLoad => {
                self.entry.d.next = self.entry.q.val() + 1;
                self.ip.d.next = self.ip_ram.read_data.val();
                self.age.d.next = self.stamp_ram.read_data.val();
                self.meta.d.next = self.meta_ram.read_data.val();
                self.state.d.next = State::ProbeAge;
            }
            State::ProbeAge => {
                self.age.d.next = self.now.val() - self.age.q.val();
                self.state.d.next = State::Probe;
            }
            State::Probe => {
                if self.for_host.q.val() & self.command.reads.val() {
                    self.state.d.next = State::Tell;
                } else if self.for_host.q.val() & self.yields.val() {
                    self.state.d.next = State::Idle;
                } else if self.ip.q.val() == self.key.q.val() {
                    self.state.d.next = State::LookupFound;
                    if self.for_arp.q.val() {
                        self.state.d.next = State::ArpFound;
                    }
                    if self.for_host.q.val() {
                        self.state.d.next = State::HostFound;
                    }
                } else {
                    if self.ip.q.val() == 0 {
                        if !self.for_host.q.val() | !self.last_way.val() {
                            self.has_free.d.next = true;
                            self.spare.d.next = self.slot.q.val();
                        }
                    } else if !self.meta.q.val().get_bit(16)
                        & !self.meta.q.val().get_bit(17)
                        & !self.has_free.q.val()
                        & (!self.for_host.q.val() | !self.last_way.val())
                        & (!self.has_old.q.val() | (self.age.q.val() > self.oldest.q.val()))
                    {
                        self.has_old.d.next = true;
                        self.oldest.d.next = self.age.q.val();
                        self.spare.d.next = self.slot.q.val();
                    }
                    if self.last_way.val() {
                        self.state.d.next = State::LookupAbsent;
                        if self.for_arp.q.val() {
                            self.state.d.next = State::ArpAbsent;
                        }
                        if self.for_host.q.val() {
                            self.state.d.next = State::HostAbsent;
                        }
                    } else {
                        self.slot.d.next = self.slot.q.val() + 1;
                        self.state.d.next = State::ProbeLoad;
                    }
                }
            }
            State::LookupFound => {
                self.state.d.next = State::Answer;
                if !self.meta.q.val().get_bit(16) {
                    if (self.age.q.val() <= self.limit.q.val()) | self.meta.q.val().get_bit(17) {
                        self.hit.d.next = true;
                        self.answer_lo.d.next = self.mac_ram.read_data.val();
                        self.answer_hi.d.next = self.meta.q.val().get_bits::<16>(0);
                    } else if self.maker.free.val() & !self.timer_full.q.val() {
                        self.state.d.next = State::Pend;
                    } else {
                        self.turned_back.d.next = true;
                        self.state.d.next = State::Idle;
                    }
                }
            }
            State::LookupAbsent => {
                // What cannot go on now begins anew: the question stays, and packets and timers go first.
                self.turned_back.d.next = true;
                self.state.d.next = State::Idle;
                if self.maker.free.val() & !self.timer_full.q.val() {
                    if self.spare_found.val() {
                        self.slot.d.next = self.spare.q.val();
                        self.state.d.next = State::Pend;
                    } else if self.outbox.room.val() {
                        // All four are static or pending: the last, which is never static, has to go.
                        self.outbox.push.next = true;
                        self.outbox.address.next = self.ip.q.val();
                        if self.head_slot.q.val() == self.slot.q.val() {
                            self.head_valid.d.next = false;
                        }
                        self.state.d.next = State::Pend;
                    }
                }
            }
            State::ArpFound => {
                self.was_pending.d.next = self.meta.q.val().get_bit(16);
                self.state.d.next = State::Respond;
                if self.meta.q.val().get_bit(16) {
                    // The answer that was asked for, or the merge of RFC 826.
                    if (self.arpctl.val().get_bit(2)
                        | self.learnable.q.val()
                        | (self.mine.q.val() & !self.inbox.is_request.val()))
                        & self.outbox.room.val()
                    {
                        self.state.d.next = State::Learn;
                    }
                } else if !self.meta.q.val().get_bit(17)
                    & (self.learnable.q.val()
                        | (self.arpctl.val().get_bit(2) & (self.age.q.val() <= self.limit.q.val())))
                {
                    self.state.d.next = State::Learn;
                }
            }
            State::ArpAbsent => {
                self.was_pending.d.next = false;
                self.slot.d.next = self.spare.q.val();
                self.state.d.next = State::Respond;
                if self.learnable.q.val() & self.spare_found.val() {
                    self.state.d.next = State::Learn;
                }
            }
            State::Learn => {
                self.ip_ram.write_enable.next = true;
                self.stamp_ram.write_enable.next = true;
                self.mac_ram.write_enable.next = true;
                self.meta_ram.write_enable.next = true;
                if self.was_pending.q.val() {
                    self.outbox.push.next = true;
                    self.outbox.failed.next = false;
                    if self.head_slot.q.val() == self.slot.q.val() {
                        self.head_valid.d.next = false;
                    }
                }
                self.state.d.next = State::Respond;
                if self.for_host.q.val() {
                    self.state.d.next = State::Tell;
                }
            }
            State::Respond => {
                self.maker.reply.next = !self.defend.q.val();
                self.maker.spa.next = self.inbox.tpa.val();
                if self.defend.q.val() {
                    self.maker.spa.next = self.key.q.val();
                }
                self.maker.start.next = ((self.mine.q.val()
                    & self.inbox.is_request.val()
                    & self.arpctl.val().get_bit(0))
                    | self.defend.q.val())
                    & self.enable.val();
                self.inbox.take.next = true;
                self.state.d.next = State::Idle;
            }
            State::Pend => {
                self.ip_ram.write_enable.next = true;
                self.stamp_ram.write_enable.next = true;
                self.meta_ram.write_data.next = self.pending.val()
                    | (bit_cast::<18, 8>(self.timer_tail.q.val()) << 8)
                    | bit_cast::<18, 2>(self.tries.q.val());
                self.meta_ram.write_enable.next = true;
                self.timer_ram.write_enable.next = true;
                self.timer_tail.d.next = self.timer_next.val();
                self.route.start.next = true;
                self.state.d.next = State::Ask;
            }
            State::Ask => {
                if self.route.done.val() {
                    self.maker.start.next = self.enable.val();
                    self.state.d.next = State::Answer;
                    if self.for_timer.q.val() {
                        self.state.d.next = State::Idle;
                    }
                }
            }
            State::Answer => {
                self.lookup.done.next = true;
                self.outbox.push.next = self.unroutable.q.val();
                self.turned_back.d.next = false;
                self.state.d.next = State::Idle;
            }
            State::HostFound => {
                self.ip_ram.write_data.next = 0.into();
                self.outbox.failed.next = !self.command.adds.val();
                self.was_pending.d.next = false;
                self.state.d.next = State::Learn;
                if self.meta.q.val().get_bit(16) & !self.outbox.room.val() {
                    self.state.d.next = State::Idle;
                } else if self.command.adds.val() & self.last_way.val() & !self.spare_found.val() {
                    self.state.d.next = State::HostAbsent;
                } else {
                    if self.meta.q.val().get_bit(16) {
                        self.outbox.push.next = true;
                        if self.head_slot.q.val() == self.slot.q.val() {
                            self.head_valid.d.next = false;
                        }
                    }
                    // Not pending any more, for the timer queue.
                    self.meta_ram.write_enable.next = true;
                    if !self.command.adds.val() {
                        self.ip_ram.write_enable.next = true;
                        self.state.d.next = State::Tell;
                    } else if self.last_way.val() {
                        // It moves to a way for static entries.
                        self.ip_ram.write_enable.next = true;
                        self.state.d.next = State::HostAbsent;
                    }
                }
            }
            State::HostAbsent => {
                self.was_pending.d.next = false;
                self.state.d.next = State::Tell;
                self.outcome.d.next = self.absent.val();
                if self.command.adds.val() {
                    self.outcome.d.next = self.no_way.val();
                    if self.spare_found.val() {
                        self.outcome.d.next = 0.into();
                        self.slot.d.next = self.spare.q.val();
                        self.state.d.next = State::Learn;
                    }
                }
            }
            State::HostSend => {
                self.state.d.next = State::Idle;
                if self.maker.free.val() {
                    self.maker.start.next = self.enable.val();
                    self.maker.spa.next = self.key.q.val();
                    if self.command.probes.val() {
                        self.maker.spa.next = 0.into();
                    }
                    self.state.d.next = State::Tell;
                }
            }
            State::Tell => {
                if self.command.room.val() {
                    self.command.say.next = true;
                    self.tell.d.next = self.tell.q.val() + 1;
                    if self.tell.q.val() == 3 {
                        self.state.d.next = State::Idle;
                    }
                } else if self.lookup.valid.val() {
                    self.command.again.next = true;
                    self.state.d.next = State::Idle;
                }
            }
            _ => {
                self.state.d.next = State::Idle;
            }
        }

        self.pulses.next = 0.into();
        if self.maker.sent_reply.val() {
            self.pulses.next = self.replies_bit.val();
        }
        if self.maker.sent_request.val() {
            self.pulses.next = self.requests_bit.val();
        }
        if self.outbox.push.val() & self.outbox.failed.val() {
            self.pulses.next = self.failures_bit.val();
            if self.maker.sent_reply.val() {
                self.pulses.next = self.failures_bit.val() | self.replies_bit.val();
            }
            if self.maker.sent_request.val() {
                self.pulses.next = self.failures_bit.val() | self.requests_bit.val();
            }
        }
        self.events.next = self.pulses.val();
        if self.clash.val() {
            self.events.next = self.pulses.val() | self.conflicts_bit.val();
        }
        if self.arpctl.val().get_bit(8) {
            self.wipe.d.next = true;
        }
        if self.reset.val() {
            self.state.d.next = State::Clear;
            self.slot.d.next = 0.into();
            self.wipe.d.next = false;
            self.turned_back.d.next = false;
            self.clash_told.d.next = false;
            self.timer_head.d.next = 0.into();
            self.timer_tail.d.next = 0.into();
            self.head_valid.d.next = false;
            self.ripe.d.next = false;
        }
    }
}
