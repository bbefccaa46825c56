//! A host around `Neigh`: drives it cycle by cycle and collects what it sends.
use crate::lockstep::Trace;
use ferrule_abi::regs;
use ferrule_rtl::native::Native;
use ferrule_rtl::neigh::engine::Neigh;
use rust_hdl::prelude::*;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
};
use std::net::Ipv4Addr;

pub(super) const OWN_MAC: [u8; 6] = [0x02, 0xFE, 0x11, 0x22, 0x33, 0x44];
const FLUSH: u32 = regs::arpctl::FLUSH.mask();
/// Reset value of ARPTIME.
pub(super) const AGE: u32 = 57_184;
/// Reset value of ARPTIME.
pub(super) const RETRY: u32 = 954;

pub(super) fn lo(mac: [u8; 6]) -> u32 {
    u32::from_le_bytes([mac[0], mac[1], mac[2], mac[3]])
}
pub(super) fn hi(mac: [u8; 6]) -> u16 {
    u16::from_le_bytes([mac[4], mac[5]])
}
pub(super) fn word(v: u32) -> Bits<32> {
    u64::from(v).into()
}
fn half(v: u16) -> Bits<16> {
    u64::from(v).into()
}

/// A small generator for stalls (xorshift), seeded by the test.
pub(super) struct Dice(u64);
impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }
    pub(super) fn percent(&mut self, p: u64) -> bool {
        self.next() % 100 < p
    }
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }
}

/// The answer to a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Hit([u8; 6]),
    Miss(Ipv4Addr),
}

/// An event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Notice {
    Resolved(Ipv4Addr),
    Failed(Ipv4Addr),
    Conflict(Ipv4Addr, [u8; 6]),
}

/// An ARP packet to be received.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arp {
    pub(super) op: u16,
    pub(super) sha: [u8; 6],
    pub(super) spa: Ipv4Addr,
    pub(super) tpa: Ipv4Addr,
}

pub(super) struct Bench {
    pub(super) dut: Native<Neigh>,
    pub(super) now: u32,
    pub(super) frames: Vec<Vec<u8>>,
    pub(super) notices: Vec<Notice>,
    pub(super) counts: [u64; 32],
    /// Per cent of the cycles in which the MAC takes a beat.
    pub(super) frame_ready: u64,
    /// Per cent of the cycles in which the event queue takes an event.
    pub(super) notice_ready: u64,
    /// Per cent of the cycles in which the register file takes a word of a result.
    pub(super) result_ready: u64,
    /// What ARP_ENTRY_ADDR to ARP_ENTRY hold.
    pub(super) entry: [u32; 4],
    pub(super) dice: Dice,
    pub(super) cycles: u64,
    partial: Vec<u8>,
    held: Option<(u64, u64, u64, bool)>,
    pub(super) answer: Option<Answer>,
    asking: bool,
    /// Every cycle's ports, where a test asks for it.
    pub(super) trace: Option<Trace>,
}

/// Whether an output means anything in this cycle.
fn counts(u: &Neigh, port: &str) -> bool {
    let (answer, hit) = (u.lookup.done.val(), u.lookup.hit.val());
    match port {
        "lookup$hit" => answer,
        "lookup$mac_lo" | "lookup$mac_hi" => answer && hit,
        "lookup$address" => answer && !hit,
        "notice$failed" | "notice$address" | "notice$conflict" => u.notice.valid.val(),
        "notice$mac_lo" | "notice$mac_hi" => u.notice.valid.val() && u.notice.conflict.val(),
        "result$word" | "result$data" => u.result.valid.val(),
        "deadline" => u.deadline_valid.val(),
        _ => true,
    }
}

impl Bench {
    /// 10.0.0.1/24 is local, gateway 1 is 10.0.0.254, registers as after reset.
    pub(super) fn new() -> Self {
        let mut b = Self::untouched();
        b.reset();
        b
    }

    /// The same before its first reset.
    pub(super) fn untouched() -> Self {
        let mut b = Self {
            dut: Native::default(),
            now: 1000,
            frames: Vec::new(),
            notices: Vec::new(),
            counts: [0; 32],
            frame_ready: 100,
            notice_ready: 100,
            result_ready: 100,
            entry: [0; 4],
            dice: Dice::new(1),
            cycles: 0,
            partial: Vec::new(),
            held: None,
            answer: None,
            asking: false,
            trace: None,
        };
        let u = &mut b.dut.u;
        u.enable.next = true;
        u.mac_lo.next = word(lo(OWN_MAC));
        u.mac_hi.next = half(hi(OWN_MAC));
        u.arpctl.next = word(7);
        u.arptime.next = word(0x03BA_DF60);
        b.local(0, "10.0.0.1", 24);
        b.gateway(1, "10.0.0.254");
        b
    }

    pub(super) fn reset(&mut self) {
        self.dut.u.reset.next = true;
        self.cycle();
        self.dut.u.reset.next = false;
        self.idle();
    }

    pub(super) fn local(&mut self, n: usize, ip: &str, prefix: u32) {
        let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
        for (place, value) in [(2 * n, addr(ip).to_bits()), (2 * n + 1, mask)] {
            self.dut.u.local_write.next = true;
            self.table(place, value);
        }
        self.dut.u.local_write.next = false;
    }

    /// What the host writes to a table, of which the strobe is set.
    fn table(&mut self, place: usize, value: u32) {
        self.dut.u.table_place.next = (place as u64).into();
        self.dut.u.table_data.next = word(value);
        self.cycle();
    }

    pub(super) fn gateway(&mut self, n: usize, ip: &str) {
        self.dut.u.gateway_write.next = true;
        self.table(n, addr(ip).to_bits());
        self.dut.u.gateway_write.next = false;
    }

    pub(super) fn arpctl(&mut self, bits: u32) {
        self.dut.u.arpctl.next = word(bits);
    }

    /// One clock cycle; the inputs were set through `dut.u`.
    pub(super) fn cycle(&mut self) {
        let take_frame = self.dice.percent(self.frame_ready);
        let take_notice = self.dice.percent(self.notice_ready);
        let take_result = self.dice.percent(self.result_ready);
        let u = &mut self.dut.u;
        u.clock.next = false.into();
        u.now.next = word(self.now);
        u.frame.ready.next = take_frame;
        u.notice.ready.next = take_notice;
        u.result.ready.next = take_result;
        self.dut.settle();
        let u = &self.dut.u;
        if let Some(trace) = &mut self.trace {
            trace.record_where(&**u, |_| true, |port| counts(u, port));
        }
        if u.frame.valid.val() {
            let beat = (
                u.frame.d0.val().to_u64(),
                u.frame.d1.val().to_u64(),
                u.frame.keep.val().to_u64(),
                u.frame.last.val(),
            );
            assert!(
                self.held.is_none_or(|h| h == beat),
                "a beat changed while it waited"
            );
            self.held = Some(beat);
            if take_frame {
                self.held = None;
                let bytes = (beat.0 | beat.1 << 32).to_le_bytes();
                self.partial
                    .extend(&bytes[..beat.2.trailing_ones() as usize]);
                assert!(beat.3 || beat.2 == 0xFF);
                if beat.3 {
                    self.frames.push(std::mem::take(&mut self.partial));
                }
            }
        } else {
            assert!(self.held.is_none(), "a beat went away");
        }
        if u.notice.valid.val() && take_notice {
            let ip = Ipv4Addr::from_bits(u.notice.address.val().to_u32());
            self.notices.push(if u.notice.conflict.val() {
                let [a, b, c, d] = u.notice.mac_lo.val().to_u32().to_le_bytes();
                let [e, f] = u.notice.mac_hi.val().to_u16().to_le_bytes();
                Notice::Conflict(ip, [a, b, c, d, e, f])
            } else if u.notice.failed.val() {
                Notice::Failed(ip)
            } else {
                Notice::Resolved(ip)
            });
        }
        if u.result.valid.val() && take_result {
            let word = u.result.word.val().to_u64() as usize;
            self.entry[word] = u.result.data.val().to_u32();
        }
        for (bit, count) in self.counts.iter_mut().enumerate() {
            *count += u64::from(u.events.val().get_bit(bit));
        }
        if u.lookup.done.val() {
            assert!(self.asking, "an answer that nobody asked for");
            let mac_lo = u.lookup.mac_lo.val().to_u32().to_le_bytes();
            let mac_hi = u.lookup.mac_hi.val().to_u16().to_le_bytes();
            self.answer = Some(if u.lookup.hit.val() {
                Answer::Hit([
                    mac_lo[0], mac_lo[1], mac_lo[2], mac_lo[3], mac_hi[0], mac_hi[1],
                ])
            } else {
                Answer::Miss(Ipv4Addr::from_bits(u.lookup.address.val().to_u32()))
            });
        }
        self.dut.u.clock.next = true.into();
        self.dut.settle();
        if self.answer.is_some() {
            self.dut.u.lookup.valid.next = false;
            self.asking = false;
        }
        self.dut.u.arp.valid.next = false;
        self.dut.u.table_write.next = false;
        let ctl = self.dut.u.arpctl.val().to_u32();
        self.dut.u.arpctl.next = word(ctl & !FLUSH);
        self.cycles += 1;
    }

    pub(super) fn busy(&self) -> bool {
        self.dut.u.busy.val()
    }

    /// Runs until nothing is in flight.
    pub(super) fn idle(&mut self) {
        for _ in 0..100_000 {
            self.cycle();
            if !self.busy() {
                return;
            }
        }
        panic!("never idle");
    }

    /// Puts a question; the answer appears in `answer`.
    pub(super) fn ask(&mut self, ip: Ipv4Addr, next_hop: u64) {
        assert!(!self.asking);
        self.answer = None;
        self.asking = true;
        self.dut.u.lookup.ip.next = word(ip.to_bits());
        self.dut.u.lookup.next_hop.next = next_hop.into();
        self.dut.u.lookup.valid.next = true;
    }

    /// Asks and waits for the answer only.
    pub(super) fn lookup_via(&mut self, ip: &str, next_hop: u64) -> Answer {
        self.ask(addr(ip), next_hop);
        for _ in 0..10_000 {
            self.cycle();
            if let Some(a) = self.answer.take() {
                return a;
            }
        }
        panic!("no answer for {ip}");
    }

    pub(super) fn lookup(&mut self, ip: &str) -> Answer {
        self.lookup_via(ip, 0)
    }

    /// Presents a received packet in the next cycle.
    pub(super) fn present(&mut self, p: Arp) {
        let u = &mut self.dut.u;
        u.arp.op.next = half(p.op);
        u.arp.sha_lo.next = word(lo(p.sha));
        u.arp.sha_hi.next = half(hi(p.sha));
        u.arp.spa.next = word(p.spa.to_bits());
        u.arp.tpa.next = word(p.tpa.to_bits());
        u.arp.valid.next = true;
    }

    /// Receives a packet and runs until it is dealt with.
    pub(super) fn receive(&mut self, op: u16, sha: [u8; 6], spa: &str, tpa: &str) {
        self.receive_raw(op, sha, spa, tpa);
        self.idle();
    }

    /// Presents a packet without waiting.
    pub(super) fn receive_raw(&mut self, op: u16, sha: [u8; 6], spa: &str, tpa: &str) {
        self.present(Arp {
            op,
            sha,
            spa: addr(spa),
            tpa: addr(tpa),
        });
    }

    /// Writes a register at 0x100 to 0x1FF in the next cycle.
    pub(super) fn write(&mut self, offset: u32, value: u32) {
        let u = &mut self.dut.u;
        u.table_write.next = true;
        u.table_place.next = u64::from((offset - 0x100) / 4).into();
        u.table_data.next = word(value);
        self.cycle();
    }

    /// Begins a command: writes ARP_ADDR, ARP_MAC and ARP_CMD.
    pub(super) fn command(&mut self, op: u32, ip: &str, mac: [u8; 6]) {
        self.write(regs::arp_addr::OFFSET, addr(ip).to_bits());
        self.write(regs::arp_mac_lo::OFFSET, lo(mac));
        self.write(regs::arp_mac_hi::OFFSET, hi(mac).into());
        self.write(regs::arp_cmd::OFFSET, regs::arp_cmd::OP.of(op));
    }

    /// Adds or deletes an entry; ARP_ENTRY.RESULT.
    pub(super) fn obey(&mut self, op: u32, ip: &str, mac: [u8; 6]) -> u32 {
        self.command(op, ip, mac);
        self.idle();
        regs::arp_entry::RESULT.get(self.entry[3])
    }

    /// Reads an entry: the words ARP_ENTRY_ADDR to ARP_ENTRY.
    pub(super) fn read(&mut self, place: u32) -> [u32; 4] {
        let read = regs::arp_cmd::OP.of(regs::arp_op::READ) | regs::arp_cmd::PLACE.of(place);
        self.entry = [u32::MAX; 4];
        self.write(regs::arp_cmd::OFFSET, read);
        self.idle();
        self.entry
    }

    /// Writes FLUSH in the next cycle.
    pub(super) fn flush(&mut self) {
        let ctl = self.dut.u.arpctl.val().to_u32();
        self.arpctl(ctl | FLUSH);
    }

    /// FLUSH, and waits until it is done.
    pub(super) fn flush_now(&mut self) {
        self.flush();
        self.idle();
    }

    pub(super) fn deadline(&self) -> Option<u32> {
        let u = &self.dut.u;
        u.deadline_valid.val().then(|| u.deadline.val().to_u32())
    }

    /// Lets time pass the way the simulator does: from deadline to deadline.
    pub(super) fn advance(&mut self, ticks: u32) {
        let target = self.now.wrapping_add(ticks);
        self.idle();
        while let Some(d) = self.deadline() {
            if target.wrapping_sub(d) > u32::MAX / 2 {
                break;
            }
            assert!(
                (d.wrapping_sub(self.now) as i32) > 0,
                "a deadline that has passed"
            );
            self.now = d;
            self.idle();
        }
        self.now = target;
        self.idle();
    }

    /// What was sent since the last call, as smoltcp reads it; checks the Ethernet header too.
    pub(super) fn sent(&mut self) -> Vec<ArpRepr> {
        std::mem::take(&mut self.frames)
            .iter()
            .map(|f| parse(f))
            .collect()
    }
}

/// Reads an ARP frame with smoltcp and holds its Ethernet header against it.
pub(super) fn parse(bytes: &[u8]) -> ArpRepr {
    assert_eq!(bytes.len(), 42);
    let frame = EthernetFrame::new_checked(bytes).expect("frame");
    assert_eq!(frame.ethertype(), EthernetProtocol::Arp);
    assert_eq!(frame.src_addr(), EthernetAddress(OWN_MAC));
    let repr = ArpRepr::parse(&ArpPacket::new_checked(frame.payload()).expect("packet"))
        .expect("Ethernet and IPv4");
    let ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr,
        target_hardware_addr,
        ..
    } = repr
    else {
        panic!("{repr:?}")
    };
    assert_eq!(source_hardware_addr, EthernetAddress(OWN_MAC));
    let to = if operation == ArpOperation::Request {
        EthernetAddress::BROADCAST
    } else {
        target_hardware_addr
    };
    assert_eq!(frame.dst_addr(), to);
    repr
}

/// The request that asks for `tpa` on behalf of `spa`; target hardware address zero (RFC 5227 section 1.1).
pub(super) fn request(spa: &str, tpa: &str) -> ArpRepr {
    ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: EthernetAddress(OWN_MAC),
        source_protocol_addr: addr(spa),
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: addr(tpa),
    }
}

/// The reply that tells `tha`, `tpa` our MAC address for `spa`.
pub(super) fn reply(spa: &str, tha: [u8; 6], tpa: &str) -> ArpRepr {
    ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Reply,
        source_hardware_addr: EthernetAddress(OWN_MAC),
        source_protocol_addr: addr(spa),
        target_hardware_addr: EthernetAddress(tha),
        target_protocol_addr: addr(tpa),
    }
}

pub(super) fn addr(text: &str) -> Ipv4Addr {
    text.parse().expect("an IPv4 address")
}
