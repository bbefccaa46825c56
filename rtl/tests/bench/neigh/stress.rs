//! The neighbour block under random load: step by step against a model, and all at once against what must always hold.
use super::harness::{addr, hi, lo, parse, word, Answer, Arp, Bench, Notice, OWN_MAC};
use ferrule_abi::counter;
use ferrule_abi::regs::{arp_entry, arp_op, arp_result};
use proptest::prelude::*;
use smoltcp::wire::{ArpOperation, ArpRepr, EthernetAddress};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);

#[derive(Clone, Debug)]
enum Op {
    Lookup(Ipv4Addr, u64),
    Receive(Arp),
    Advance(u64),
    Flush,
    Control(u32),
    Add(Ipv4Addr, [u8; 6]),
    Delete(Ipv4Addr),
}

#[derive(Clone, Copy, Debug)]
enum Entry {
    Pending { sent: u64, turn: u64, tries: u32 },
    Resolved { confirmed: u64, mac: [u8; 6] },
    Static { added: u64, mac: [u8; 6] },
}

/// What the block is to do, with times that do not wrap and a cache without limits (the addresses used never overfill a set).
struct Model {
    now: u64,
    turn: u64,
    ctl: u32,
    age: u64,
    retry: u64,
    /// When a conflict was told of last, in units of 2^10 ticks.
    clash: Option<u64>,
    cache: BTreeMap<Ipv4Addr, Entry>,
    sent: Vec<ArpRepr>,
    notices: Vec<Notice>,
}

fn arp(operation: ArpOperation, spa: Ipv4Addr, tha: [u8; 6], tpa: Ipv4Addr) -> ArpRepr {
    ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr: EthernetAddress(OWN_MAC),
        source_protocol_addr: spa,
        target_hardware_addr: EthernetAddress(tha),
        target_protocol_addr: tpa,
    }
}

impl Model {
    fn onlink(ip: Ipv4Addr) -> bool {
        ip.octets()[..3] == [10, 0, 0]
    }

    fn ask(&mut self, ip: Ipv4Addr, tries: u32) {
        self.turn += 1;
        self.cache.insert(
            ip,
            Entry::Pending {
                sent: self.now,
                turn: self.turn,
                tries,
            },
        );
        self.sent.push(arp(ArpOperation::Request, OWN, [0; 6], ip));
    }

    fn lookup(&mut self, ip: Ipv4Addr, hop: u64) -> Answer {
        let o = ip.octets();
        if ip.is_broadcast() || ip == addr("10.0.0.255") {
            return Answer::Hit([0xFF; 6]);
        }
        if ip.is_multicast() {
            return Answer::Hit([0x01, 0x00, 0x5E, o[1] & 0x7F, o[2], o[3]]);
        }
        if ip == OWN {
            return Answer::Hit(OWN_MAC);
        }
        let next = match hop {
            0 if Self::onlink(ip) => ip,
            0 | 1 => addr("10.0.0.254"),
            2 => addr("10.0.0.253"),
            _ => {
                self.notices.push(Notice::Failed(ip));
                return Answer::Miss(ip);
            }
        };
        match self.cache.get(&next) {
            Some(&Entry::Resolved { confirmed, mac }) if self.now - confirmed <= self.age => {
                return Answer::Hit(mac);
            }
            Some(&Entry::Static { mac, .. }) => return Answer::Hit(mac),
            Some(Entry::Pending { .. }) => {}
            _ => self.ask(next, 1),
        }
        Answer::Miss(next)
    }

    fn receive(&mut self, p: Arp) {
        if p.sha[0] & 1 == 1 || p.sha == [0; 6] || p.sha == OWN_MAC || !(1..=2).contains(&p.op) {
            return;
        }
        let (request, mine) = (p.op == 1, p.tpa == OWN);
        let (learn, refresh) = (self.ctl & 2 != 0, self.ctl & 4 != 0);
        let learnable = request
            && mine
            && learn
            && Self::onlink(p.spa)
            && p.spa != OWN
            && p.spa != addr("10.0.0.255");
        let accepted = match self.cache.get(&p.spa) {
            Some(Entry::Pending { .. }) => {
                let accepted = refresh || learnable || (mine && !request);
                if accepted {
                    self.notices.push(Notice::Resolved(p.spa));
                }
                accepted
            }
            Some(&Entry::Resolved { confirmed, .. }) => {
                learnable || (refresh && self.now - confirmed <= self.age)
            }
            Some(Entry::Static { .. }) => false,
            None => learnable,
        };
        if accepted {
            let entry = Entry::Resolved {
                confirmed: self.now,
                mac: p.sha,
            };
            self.cache.insert(p.spa, entry);
        }
        let unit = self.now >> 10;
        let told = p.spa == OWN && self.clash.is_none_or(|then| (unit - then) % 1024 > 10);
        if told {
            self.clash = Some(unit);
            self.notices.push(Notice::Conflict(OWN, p.sha));
        }
        if told && self.ctl & 8 != 0 {
            self.sent.push(arp(ArpOperation::Request, OWN, [0; 6], OWN));
        } else if request && mine && self.ctl & 1 != 0 {
            self.sent.push(arp(ArpOperation::Reply, OWN, p.sha, p.spa));
        }
    }

    /// ARP_ENTRY.RESULT.
    fn add(&mut self, ip: Ipv4Addr, mac: [u8; 6]) -> u32 {
        if ip.is_unspecified() {
            return arp_result::FULL;
        }
        let added = self.now;
        if let Some(Entry::Pending { .. }) = self.cache.insert(ip, Entry::Static { added, mac }) {
            self.notices.push(Notice::Resolved(ip));
        }
        arp_result::DONE
    }

    /// ARP_ENTRY.RESULT.
    fn delete(&mut self, ip: Ipv4Addr) -> u32 {
        match self.cache.remove(&ip) {
            Some(Entry::Pending { .. }) => self.notices.push(Notice::Failed(ip)),
            Some(_) => {}
            None => return arp_result::ABSENT,
        }
        arp_result::DONE
    }

    /// What the host reads of all entries: the words ARP_ENTRY_ADDR to ARP_ENTRY of those that are not free.
    fn entries(&self) -> BTreeSet<[u32; 4]> {
        let shown = |(ip, entry): (&Ipv4Addr, &Entry)| {
            let (since, mac, flags) = match *entry {
                Entry::Pending { sent, .. } => (sent, [0; 6], arp_entry::PENDING.mask()),
                Entry::Resolved { confirmed, mac } => (confirmed, mac, 0),
                Entry::Static { added, mac } => (added, mac, arp_entry::STATIC.mask()),
            };
            let age = (self.now - since) as u32;
            [ip.to_bits(), age, lo(mac), u32::from(hi(mac)) | flags]
        };
        self.cache.iter().map(shown).collect()
    }

    /// The pending entry that is due next: when, in which order, whose, after how many requests.
    fn next(&self) -> Option<(u64, u64, Ipv4Addr, u32)> {
        self.cache
            .iter()
            .filter_map(|(&ip, e)| match *e {
                Entry::Pending { sent, turn, tries } => Some((sent + self.retry, turn, ip, tries)),
                Entry::Resolved { .. } | Entry::Static { .. } => None,
            })
            .min()
    }

    fn advance(&mut self, ticks: u64) {
        let target = self.now + ticks;
        while let Some((due, _, ip, tries)) = self.next().filter(|n| n.0 <= target) {
            self.now = due;
            if tries == 3 {
                self.cache.remove(&ip);
                self.notices.push(Notice::Failed(ip));
            } else {
                self.ask(ip, tries + 1);
            }
        }
        self.now = target;
    }
}

fn ip() -> impl Strategy<Value = Ipv4Addr> {
    prop_oneof![
        12 => (1_u8..=6).prop_map(|n| Ipv4Addr::new(10, 0, 0, n)),
        3 => prop::sample::select(vec!["10.0.0.254", "10.0.0.253"]).prop_map(addr),
        3 => any::<u32>().prop_map(Ipv4Addr::from_bits),
        1 => prop::sample::select(vec![
            "255.255.255.255", "10.0.0.255", "10.0.0.0", "0.0.0.0", "224.0.0.251",
        ]).prop_map(addr),
    ]
}

fn packet() -> impl Strategy<Value = Arp> {
    let sha = prop_oneof![
        9 => (0_u8..4).prop_map(|n| [0x52, 0x54, 0, 0, 1, n]),
        1 => prop::sample::select(vec![[0; 6], [0xFF; 6], OWN_MAC, [1, 0, 0, 0, 0, 9]]),
    ];
    let tpa = prop_oneof![3 => Just(OWN), 1 => ip()];
    (
        prop_oneof![9 => 1_u16..=2, 1 => any::<u16>()],
        sha,
        ip(),
        tpa,
    )
        .prop_map(|(op, sha, spa, tpa)| Arp { op, sha, spa, tpa })
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (ip(), prop_oneof![6 => Just(0_u64), 1 => 0_u64..8]).prop_map(|(i, h)| Op::Lookup(i, h)),
        6 => packet().prop_map(Op::Receive),
        3 => prop_oneof![0_u64..20, 490_u64..510, 0_u64..4000, 9_000_u64..13_000].prop_map(Op::Advance),
        1 => Just(Op::Flush),
        1 => (0_u32..16).prop_map(Op::Control),
        1 => (ip(), (0_u8..4).prop_map(|n| [0x52, 0x54, 0, 0, 1, n])).prop_map(|(i, m)| Op::Add(i, m)),
        1 => ip().prop_map(Op::Delete),
    ]
}

fn bench(seed: u64, frame_ready: u64, notice_ready: u64) -> Bench {
    let mut b = Bench::new();
    b.gateway(2, "10.0.0.253");
    b.dice = super::harness::Dice::new(seed);
    (b.frame_ready, b.notice_ready) = (frame_ready, notice_ready);
    b
}

proptest! {
    #![proptest_config(crate::common::cases(50))]
    #[test]
    fn does_what_the_model_does(
        ops in prop::collection::vec(op(), 1..60),
        start in prop_oneof![any::<u32>(), (u32::MAX - 5000)..=u32::MAX],
        age in prop_oneof![4 => Just(3000_u64), 1 => 0_u64..3, 1 => Just(65_535)],
        retry in prop_oneof![4 => Just(500_u64), 1 => 0_u64..3, 1 => Just(4095)],
        seed: u64,
        frame_ready in 5_u64..=100,
        notice_ready in 5_u64..=100,
    ) {
        let mut b = bench(seed, frame_ready, notice_ready);
        b.now = start;
        b.dut.u.arptime.next = word((age | retry << 16) as u32);
        let mut m = Model {
            now: u64::from(start), turn: 0, ctl: 7, age, retry, clash: None,
            cache: BTreeMap::new(), sent: Vec::new(), notices: Vec::new(),
        };
        for op in ops {
            match op {
                Op::Lookup(ip, hop) => {
                    let expected = m.lookup(ip, hop);
                    prop_assert_eq!(b.lookup_via(&ip.to_string(), hop), expected, "{:?}", op);
                }
                Op::Receive(p) => {
                    b.present(p);
                    m.receive(p);
                }
                Op::Advance(ticks) => {
                    b.advance(ticks as u32);
                    m.advance(ticks);
                }
                Op::Flush => {
                    b.flush_now();
                    m.cache.retain(|_, e| !matches!(e, Entry::Resolved { .. }));
                }
                Op::Control(bits) => {
                    b.arpctl(bits);
                    m.ctl = bits;
                }
                Op::Add(ip, mac) => {
                    let result = b.obey(arp_op::ADD, &ip.to_string(), mac);
                    prop_assert_eq!(result, m.add(ip, mac), "{:?}", op);
                }
                Op::Delete(ip) => {
                    let result = b.obey(arp_op::DELETE, &ip.to_string(), [0; 6]);
                    prop_assert_eq!(result, m.delete(ip), "{:?}", op);
                }
            }
            b.idle();
            m.advance(0);
            prop_assert_eq!(b.sent(), std::mem::take(&mut m.sent), "{:?}", op);
            prop_assert_eq!(
                std::mem::take(&mut b.notices), std::mem::take(&mut m.notices), "{:?}", op
            );
            prop_assert_eq!(b.deadline(), m.next().map(|n| n.0 as u32), "{:?}", op);
        }
        let read: BTreeSet<[u32; 4]> = (0..256).map(|p| b.read(p)).filter(|e| *e != [0; 4]).collect();
        prop_assert_eq!(read, m.entries());
    }

    /// Lookups, packets, ticks and stalls at the same time, with more neighbours than their set has room for. Each neighbour has one
    /// MAC address, so a hit can be judged; each miss must be followed by an event, and the counters must tell what was sent.
    #[test]
    fn holds_its_promises_under_load(
        seed: u64,
        frame_ready in 3_u64..=100,
        notice_ready in 1_u64..=100,
        arp_load in 0_u64..10,
        tick in 1_u64..20,
    ) {
        let mut b = bench(seed, frame_ready, notice_ready);
        b.local(0, "10.0.0.1", 8);
        b.dut.u.arptime.next = word(200 | 20 << 16);
        // Eight of one set, four of others; the first three never answer.
        let hosts: Vec<Ipv4Addr> = (0..12_u8)
            .map(|n| if n < 8 { Ipv4Addr::new(10, n, 1, 7) } else { Ipv4Addr::new(10, 0, 2, n) })
            .collect();
        let mac = |ip: Ipv4Addr| {
            let o = ip.octets();
            [0x02, 0, o[0], o[1], o[2], o[3]]
        };
        let mut awaited = BTreeSet::new();
        let mut due: Vec<(u64, Ipv4Addr)> = Vec::new();
        let (mut frames, mut notices, mut failed) = (0, 0, 0);
        let (mut requests, mut replies) = (0, 0);
        let mut asked = None;
        for _ in 0..4000 {
            if asked.is_none() && b.dice.percent(20) {
                let ip = hosts[(b.dice.next() % 12) as usize];
                b.ask(ip, 0);
                asked = Some(ip);
            }
            let now = b.cycles;
            if let Some(at) = due.iter().position(|d| d.0 <= now) {
                let (_, spa) = due.swap_remove(at);
                b.present(Arp { op: 2, sha: mac(spa), spa, tpa: OWN });
            } else if b.dice.percent(arp_load) {
                let spa = hosts[(b.dice.next() % 12) as usize];
                let tpa = if b.dice.percent(30) { OWN } else { spa };
                b.present(Arp { op: 1, sha: mac(spa), spa, tpa });
            }
            if b.dice.percent(tick) {
                b.now = b.now.wrapping_add(1);
            }
            if b.dice.next().is_multiple_of(1500) {
                b.flush();
            }
            b.cycle();
            if let (Some(ip), Some(answer)) = (asked, b.answer) {
                match answer {
                    Answer::Hit(m) => prop_assert_eq!(m, mac(ip)),
                    Answer::Miss(a) => {
                        prop_assert_eq!(a, ip);
                        awaited.insert(ip);
                    }
                }
                asked = None;
            }
            for f in &b.frames[frames..] {
                let ArpRepr::EthernetIpv4 { operation, target_protocol_addr, .. } = parse(f) else {
                    panic!()
                };
                if operation == ArpOperation::Request {
                    requests += 1;
                    if !hosts[..3].contains(&target_protocol_addr) {
                        due.push((b.cycles + b.dice.next() % 300, target_protocol_addr));
                    }
                } else {
                    replies += 1;
                }
            }
            frames = b.frames.len();
            for n in &b.notices[notices..] {
                let (Notice::Resolved(ip) | Notice::Failed(ip) | Notice::Conflict(ip, _)) = *n;
                awaited.remove(&ip);
                failed += u64::from(matches!(n, Notice::Failed(_)));
            }
            notices = b.notices.len();
        }
        while asked.is_some() && b.answer.is_none() {
            b.cycle();
        }
        if let (Some(ip), Some(Answer::Miss(_))) = (asked, b.answer) {
            awaited.insert(ip);
        }
        b.advance(20 * 3);
        for f in &b.frames[frames..] {
            let ArpRepr::EthernetIpv4 { operation, .. } = parse(f) else { panic!() };
            *if operation == ArpOperation::Request { &mut requests } else { &mut replies } += 1;
        }
        for n in &b.notices[notices..] {
            let (Notice::Resolved(ip) | Notice::Failed(ip) | Notice::Conflict(ip, _)) = *n;
            awaited.remove(&ip);
            failed += u64::from(matches!(n, Notice::Failed(_)));
        }
        prop_assert!(awaited.is_empty(), "no event for {:?}", awaited);
        prop_assert_eq!(b.deadline(), None);
        prop_assert_eq!(b.counts[counter::ARP_REQUESTS as usize], requests);
        prop_assert_eq!(b.counts[counter::ARP_REPLIES as usize], replies);
        prop_assert_eq!(b.counts[counter::ARP_FAILURES as usize], failed);
        b.frames.clear();
        b.receive(1, [2, 0, 0, 0, 0, 9], "10.0.0.9", "10.0.0.1");
        prop_assert_eq!(b.sent().len(), 1);
    }
}
