//! The neighbour block: received ARP packets, lookups of next hops, requests with retries, in the order in which the hardware's sequencer
//! takes them.
use std::collections::VecDeque;

use ferrule_abi::counter;
use ferrule_abi::regs::{arp_addr, arp_cmd, arp_op, arp_result, arpctl, arptime, ctrl, gateway};

use super::arp::{ArpFrame, ArpPacket};
use super::cache::{Cache, Probe, Shown};
use super::io::Io;
use super::registers::Registers;
use super::route::Route;
use super::wire::Wire;

/// Received packets that wait; what does not fit is lost.
const INBOX: usize = 7;
/// Events that wait for the event queue.
const OUTBOX: usize = 15;
/// Requests for one next hop.
const TRIES: u8 = 3;
/// Conflicts are told of when more than so many units of so many ticks have begun since the last, modulo so many.
const CLASH_QUIET: u32 = 10;
const CLASH_TICKS: u32 = 1 << 10;
const CLASH_WRAP: u32 = 1 << 10;
const BROADCAST: u32 = u32::MAX;
/// Class D, and class D or E, by the upper bits.
const MULTICAST_BITS: (u32, u32) = (0xF000_0000, 0xE000_0000);
const RESERVED_BITS: u32 = 0xE000_0000;

/// Answer to a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The MAC address is known.
    Hit([u8; 6]),
    /// It is not; this next hop is being asked for.
    Miss(u32),
}

/// What a command leaves in the registers.
#[derive(Clone, Copy)]
pub(super) enum CommandResult {
    /// READ: the entry, if it is not free.
    Entry(Option<Shown>),
    /// A value of ARP_ENTRY.RESULT.
    Code(u32),
}

/// A neighbour was resolved or given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    Resolved(u32),
    Failed(u32),
    /// Another station claims a local address.
    Conflict(u32, [u8; 6]),
}

/// The block.
pub(super) struct Neigh {
    cache: Cache,
    inbox: VecDeque<ArpPacket>,
    outbox: VecDeque<Notice>,
    /// ARP_CMD of the command under way.
    command: Option<u32>,
    /// When a conflict was told of last, in units of [`CLASH_TICKS`].
    clash: Option<u32>,
}

impl Neigh {
    pub(super) fn new() -> Self {
        Self {
            cache: Cache::new(),
            inbox: VecDeque::with_capacity(INBOX),
            outbox: VecDeque::with_capacity(OUTBOX),
            command: None,
            clash: None,
        }
    }

    /// A packet that passed the receive path.
    pub(super) fn receive(&mut self, packet: ArpPacket) {
        if packet.is_known() && self.inbox.len() < INBOX {
            self.inbox.push_back(packet);
        }
    }

    /// ARPCTL.FLUSH: requests under way go on, since the host waits for their outcome.
    pub(super) fn flush(&mut self) {
        self.cache.forget_resolved();
    }

    /// A write of ARP_CMD.
    pub(super) fn command(&mut self, value: u32) {
        let known = arp_op::READ..=arp_op::PROBE;
        if self.command.is_none() && known.contains(&arp_cmd::OP.get(value)) {
            self.command = Some(value);
        }
    }

    /// ARP_ENTRY.BUSY.
    pub(super) fn is_commanded(&self) -> bool {
        self.command.is_some()
    }

    /// The next event for the host.
    pub(super) fn notice(&self) -> Option<Notice> {
        self.outbox.front().copied()
    }

    /// The event queue has taken that one.
    pub(super) fn take_notice(&mut self) {
        self.outbox.pop_front();
    }

    /// Whether there is room for further news.
    pub(super) fn has_room(&self) -> bool {
        self.outbox.len() < OUTBOX
    }

    fn tell(&mut self, failed: bool, address: u32, io: &mut Io<'_>) {
        self.outbox.push_back(match failed {
            true => {
                io.count(counter::ARP_FAILURES);
                Notice::Failed(address)
            }
            false => Notice::Resolved(address),
        });
    }

    /// Tick of the next retry or time-out.
    pub(super) fn deadline(&self) -> Option<u32> {
        self.cache.due()
    }

    /// Does what is due; whether there was anything that could be done.
    pub(super) fn step(
        &mut self,
        registers: &mut Registers,
        wire: &mut Wire,
        io: &mut Io<'_>,
    ) -> bool {
        let mut moved = false;
        while wire.takes_arp() {
            if let Some(packet) = self.inbox.pop_front() {
                self.heard(&packet, registers, wire, io);
            } else if !self.time_out(registers, wire, io) {
                break;
            }
            moved = true;
        }
        if let Some(command) = self.command {
            if let Some(result) = self.obey(command, registers, wire, io) {
                registers.set_arp_result(result);
                self.command = None;
                moved = true;
            }
        }
        self.cache.load_timer(retry_ticks(registers));
        moved
    }

    /// Carries out a command; none while it has to wait.
    fn obey(
        &mut self,
        command: u32,
        registers: &Registers,
        wire: &mut Wire,
        io: &mut Io<'_>,
    ) -> Option<CommandResult> {
        let now = io.ticks();
        if arp_cmd::OP.get(command) == arp_op::READ {
            let entry = self.cache.show(arp_cmd::PLACE.get(command) as u8, now);
            return Some(CommandResult::Entry((entry.ip != 0).then_some(entry)));
        }
        let ip = registers.port(arp_addr::OFFSET);
        let sender = match arp_cmd::OP.get(command) {
            arp_op::ANNOUNCE => Some(ip),
            arp_op::PROBE => Some(0),
            _ => None,
        };
        if let Some(sender) = sender {
            if !wire.takes_arp() {
                return None;
            }
            if registers.ctrl(ctrl::TX_EN) {
                let frame = ArpFrame {
                    mac: registers.mac(),
                    sender,
                    target: ip,
                    reply_to: None,
                };
                wire.send_arp(frame, io.now_ns);
            }
            return Some(CommandResult::Code(arp_result::DONE));
        }
        let adds = arp_cmd::OP.get(command) == arp_op::ADD;
        let nowhere = match adds {
            true => Some(CommandResult::Code(arp_result::FULL)),
            false => Some(CommandResult::Code(arp_result::ABSENT)),
        };
        if ip == 0 {
            return nowhere;
        }
        let spare = self.cache.spare_for_static(ip, now);
        let mut place = spare;
        if let Probe::Found { slot } = self.cache.probe(ip, now) {
            let pending = self.cache.show(slot, now).mac.is_none();
            if pending && !self.has_room() {
                return None;
            }
            if adds && Cache::is_last_way(slot) && spare.is_none() {
                return nowhere;
            }
            if pending {
                self.cache.drop_timer_of(slot);
                self.tell(!adds, ip, io);
            }
            if !adds || Cache::is_last_way(slot) {
                self.cache.free(slot);
            } else {
                place = Some(slot);
            }
            if !adds {
                return Some(CommandResult::Code(arp_result::DONE));
            }
        }
        let Some(slot) = place.filter(|_| adds) else {
            return nowhere;
        };
        self.cache.fix(slot, ip, registers.arp_mac(), now);
        Some(CommandResult::Code(arp_result::DONE))
    }

    /// Repeats or gives up the request that is due; whether there was one.
    fn time_out(&mut self, registers: &Registers, wire: &mut Wire, io: &mut Io<'_>) -> bool {
        self.cache.load_timer(retry_ticks(registers));
        if !self.has_room() {
            return false;
        }
        let full = self.cache.is_timer_full();
        let Some(pending) = self.cache.take_due(io.ticks()) else {
            return false;
        };
        if pending.tries == TRIES || full {
            self.cache.free(pending.slot);
            self.tell(true, pending.ip, io);
        } else {
            self.ask(
                pending.slot,
                pending.ip,
                pending.tries + 1,
                registers,
                wire,
                io,
            );
        }
        true
    }

    /// An entry becomes, or stays, pending, and its address is asked for.
    fn ask(
        &mut self,
        slot: u8,
        ip: u32,
        tries: u8,
        registers: &Registers,
        wire: &mut Wire,
        io: &mut Io<'_>,
    ) {
        self.cache.pend(slot, ip, tries, io.ticks());
        if registers.ctrl(ctrl::TX_EN) {
            let frame = ArpFrame {
                mac: registers.mac(),
                sender: Route::of(ip, registers).source,
                target: ip,
                reply_to: None,
            };
            wire.send_arp(frame, io.now_ns);
        }
    }

    /// The MAC address that a packet to `ip` goes to; none while that cannot be said yet.
    pub(super) fn lookup(
        &mut self,
        ip: u32,
        next_hop: u8,
        registers: &Registers,
        wire: &mut Wire,
        io: &mut Io<'_>,
    ) -> Option<Answer> {
        self.cache.load_timer(retry_ticks(registers));
        let route = Route::of(ip, registers);
        if ip == BROADCAST || route.broadcast {
            return Some(Answer::Hit([0xFF; 6]));
        }
        if ip & MULTICAST_BITS.0 == MULTICAST_BITS.1 {
            // RFC 1112 section 6.4: 01-00-5E and the low 23 bits of the address.
            let [_, b, c, d] = ip.to_be_bytes();
            return Some(Answer::Hit([0x01, 0x00, 0x5E, b & 0x7F, c, d]));
        }
        if route.own {
            return Some(Answer::Hit(registers.mac()));
        }
        let key = match next_hop {
            0 if route.onlink => ip,
            0 => registers.port(gateway::REGISTER.offset_of(0)),
            n => registers.port(gateway::REGISTER.offset_of(u32::from(n) - 1)),
        };
        if key == 0 {
            // No route: a miss for the destination, then its failure.
            return self.has_room().then(|| {
                self.tell(true, ip, io);
                Answer::Miss(ip)
            });
        }
        let now = io.ticks();
        let can_ask = wire.takes_arp() && !self.cache.is_timer_full();
        let slot = match self.cache.probe(key, now) {
            Probe::Found { slot } => {
                let entry = self.cache.show(slot, now);
                match entry.mac {
                    None => return Some(Answer::Miss(key)),
                    Some(mac) if entry.is_static || entry.age <= age_ticks(registers) => {
                        return Some(Answer::Hit(mac));
                    }
                    Some(_) if can_ask => slot,
                    Some(_) => return None,
                }
            }
            Probe::Absent { .. } if !can_ask => return None,
            Probe::Absent {
                spare: Some(slot), ..
            } => slot,
            Probe::Absent { spare: None, last } => {
                // All four are static or pending: the last, which is never static, has to go.
                if !self.has_room() {
                    return None;
                }
                let evicted = self.cache.show(last, now).ip;
                self.cache.drop_timer_of(last);
                self.tell(true, evicted, io);
                last
            }
        };
        self.ask(slot, key, 1, registers, wire, io);
        self.cache.load_timer(retry_ticks(registers));
        Some(Answer::Miss(key))
    }

    /// A received packet: learn from it, answer it.
    fn heard(
        &mut self,
        packet: &ArpPacket,
        registers: &Registers,
        wire: &mut Wire,
        io: &mut Io<'_>,
    ) {
        let control = registers.port(arpctl::OFFSET);
        let sender_mac = packet.sender_mac;
        let mac = registers.mac();
        // No host has a group address (RFC 1812 section 3.3.2) or none; ours are echoes.
        if sender_mac[0] & 1 != 0 || sender_mac == [0; 6] || sender_mac == mac {
            return;
        }
        let mine = Route::of(packet.target, registers).own;
        let from = Route::of(packet.sender, registers);
        // Only what a lookup could ask for: on link, not ours, no broadcast or class D or E address.
        let learnable = mine
            && packet.is_request()
            && arpctl::LEARN.get(control) != 0
            && from.onlink
            && !from.own
            && !from.broadcast
            && packet.sender & RESERVED_BITS != RESERVED_BITS;
        let defends = from.own && self.clashed(packet, io) && arpctl::DEFEND.get(control) != 0;
        // A sender of 0 is an ARP probe (RFC 5227 section 2.1.1).
        if packet.sender != 0 {
            self.learn(packet, mine, learnable, registers, io);
        }
        let answer = mine && packet.is_request() && arpctl::ANSWER.get(control) != 0;
        if (answer || defends) && registers.ctrl(ctrl::TX_EN) {
            let frame = ArpFrame {
                mac,
                sender: if defends {
                    packet.sender
                } else {
                    packet.target
                },
                target: packet.sender,
                reply_to: (!defends).then_some(sender_mac),
            };
            wire.send_arp(frame, io.now_ns);
        }
    }

    /// RFC 5227 section 2.4: another station claims an address of ours. Whether the host is told of it.
    fn clashed(&mut self, packet: &ArpPacket, io: &mut Io<'_>) -> bool {
        io.count(counter::ARP_CONFLICTS);
        let now = io.ticks() / CLASH_TICKS % CLASH_WRAP;
        let waits = self
            .outbox
            .iter()
            .any(|n| matches!(n, Notice::Conflict(..)));
        let quiet = self
            .clash
            .is_some_and(|then| now.wrapping_sub(then) % CLASH_WRAP <= CLASH_QUIET);
        if quiet || waits || !self.has_room() {
            return false;
        }
        self.clash = Some(now);
        let notice = Notice::Conflict(packet.sender, packet.sender_mac);
        self.outbox.push_back(notice);
        true
    }

    fn learn(
        &mut self,
        packet: &ArpPacket,
        mine: bool,
        learnable: bool,
        registers: &Registers,
        io: &mut Io<'_>,
    ) {
        let refresh = arpctl::REFRESH.get(registers.port(arpctl::OFFSET)) != 0;
        let now = io.ticks();
        let (slot, was_pending) = match self.cache.probe(packet.sender, now) {
            Probe::Found { slot } => {
                let entry = self.cache.show(slot, now);
                match entry.mac {
                    // The answer that was asked for, or the merge of RFC 826.
                    None if self.has_room()
                        && (refresh || learnable || (mine && !packet.is_request())) =>
                    {
                        (slot, true)
                    }
                    Some(_)
                        if !entry.is_static
                            && (learnable || (refresh && entry.age <= age_ticks(registers))) =>
                    {
                        (slot, false)
                    }
                    _ => return,
                }
            }
            Probe::Absent {
                spare: Some(slot), ..
            } if learnable => (slot, false),
            Probe::Absent { .. } => return,
        };
        if was_pending {
            self.cache.drop_timer_of(slot);
            self.tell(false, packet.sender, io);
        }
        self.cache
            .resolve(slot, packet.sender, packet.sender_mac, now);
    }
}

fn age_ticks(registers: &Registers) -> u32 {
    arptime::AGE.get(registers.port(arptime::OFFSET))
}

fn retry_ticks(registers: &Registers) -> u32 {
    arptime::RETRY.get(registers.port(arptime::OFFSET))
}
