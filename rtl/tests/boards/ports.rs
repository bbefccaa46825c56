//! The switch between a function's TLPs and its two ports: each TLP arrives whole where it belongs, in its order, whatever the gaps and stalls.
use crate::stream::{beats, goes};
use ferrule_rtl::native::Native;
use ferrule_rtl::pcie::port_switch::PortSwitch;
use ferrule_rtl::pins::TlpBeat;
use proptest::prelude::*;

/// A TLP: its DWs, the number of the BAR that it hit, whose it is, and its DWs as that port must see them.
#[derive(Clone, Debug)]
struct Told {
    dwords: Vec<u32>,
    bar: u8,
    port: usize,
    seen: Vec<u32>,
}

/// A memory request (PCIe 2.1 figures 2-13 to 2-16), with a 4-DW header or one of 3, for an address in a BAR of the function.
fn request() -> impl Strategy<Value = Told> {
    let place = prop_oneof![
        // Registers: one MiB a port.
        (0_usize..2, 0_u32..1 << 18).prop_map(|(port, word)| (
            0,
            port,
            (port as u32) << 20 | word << 2,
            0
        )),
        // The vectors' table: eight entries of 16 bytes a port.
        (0_usize..2, 0_u32..32).prop_map(|(port, word)| {
            let moved = (port as u32) << 7;
            (2, port, moved | word << 2, moved)
        }),
        // The pending bits, and what is behind either: the first port's to tell or refuse.
        (64_u32..1024).prop_map(|word| (2, 0, word << 2, 0)),
        // Another BAR, or none.
        (prop_oneof![Just(1_u8), Just(6), Just(7)], any::<u32>()).prop_map(|(bar, address)| (
            bar,
            0,
            address & !3,
            0
        )),
    ];
    let payload = prop_oneof![
        Just(None),
        prop::collection::vec(any::<u32>(), 1..8).prop_map(Some)
    ];
    (place, any::<u32>(), any::<bool>(), payload, any::<u16>()).prop_map(
        |((bar, port, offset, moved), base, four, payload, id)| {
            // BARs lie at multiples of their size: 2 MiB and 4 KiB.
            let address = match bar {
                0 => base & !0x1F_FFFF | offset,
                2 => base & !0xFFF | offset,
                _ => offset,
            };
            let words = payload.as_ref().map_or(1, Vec::len) as u32;
            let format = u32::from(payload.is_some()) << 1 | u32::from(four);
            let with = |address: u32| {
                let mut dwords = vec![format << 29 | words, u32::from(id) << 8 | 0x0F];
                dwords.extend(four.then_some(0));
                dwords.push(address);
                dwords.extend(payload.iter().flatten());
                dwords
            };
            Told {
                dwords: with(address),
                bar,
                port,
                seen: with(address - moved),
            }
        },
    )
}

/// A completion with data (figure 2-28) for a tag that a port may have used: three bits of it the port's own.
fn completion() -> impl Strategy<Value = Told> {
    (
        0_usize..2,
        0_u32..8,
        prop::collection::vec(any::<u32>(), 0..9),
    )
        .prop_map(|(port, tag, data)| {
            let with = |tag: u32| {
                let mut dwords = vec![
                    (if data.is_empty() { 0x0A } else { 0x4A }) << 24 | data.len() as u32,
                    4 * data.len() as u32,
                    0x0300 << 16 | tag << 8,
                ];
                dwords.extend(&data);
                dwords
            };
            Told {
                dwords: with((port as u32) << 3 | tag),
                bar: 0,
                port,
                seen: with(tag),
            }
        })
}

/// A message (section 2.2.8), a request of another kind, or a header that is cut off: the first port refuses and counts it.
fn other() -> impl Strategy<Value = Told> {
    let first = prop_oneof![
        Just(0x3400_0000_u32),
        Just(0x7400_0001),
        Just(0x0200_0001),
        Just(0x0400_0001),
        Just(0x0B00_0000)
    ];
    (first, any::<u32>(), 1_usize..6).prop_map(|(first, word, count)| {
        // Of a header that is cut off nobody knows whose it is.
        let first = if count < 3 { word & 0x7F00_0001 } else { first };
        let dwords: Vec<u32> = [first, word]
            .into_iter()
            .chain((0..count as u32).map(|i| word ^ i))
            .take(count)
            .collect();
        Told {
            seen: dwords.clone(),
            dwords,
            bar: 0,
            port: 0,
        }
    })
}

/// What a port sends, as it is and as the host must see it: bit 3 of a read's tag is the port.
fn sent(port: usize) -> impl Strategy<Value = (Vec<u32>, Vec<u32>)> {
    let first = prop_oneof![
        // Reads and writes with both headers, completions.
        Just(0x0000_0010_u32),
        Just(0x2000_0010),
        Just(0x4000_0004),
        Just(0x6000_0004),
        Just(0x4A00_0001),
        Just(0x0A00_0000),
    ];
    (first, any::<u32>(), 1_usize..9, any::<u32>()).prop_map(move |(first, second, rest, word)| {
        let second = second & !0x800;
        let read = first >> 24 & 0xDF == 0;
        let with = |second: u32| {
            let rest = (0..rest as u32).map(|i| word.rotate_left(i));
            [first, second].into_iter().chain(rest).collect()
        };
        let changed = second | if read && port == 1 { 1 << 11 } else { 0 };
        (with(second), with(changed))
    })
}

/// A stream's beats, of which one is shown until it is taken.
struct Giver {
    beats: Vec<TlpBeat>,
    at: usize,
    shows: bool,
}

impl Giver {
    fn new(beats: Vec<TlpBeat>) -> Self {
        Self {
            beats,
            at: 0,
            shows: false,
        }
    }
    fn show(&mut self, goes: bool) -> Option<TlpBeat> {
        self.shows = self.at < self.beats.len() && (self.shows || goes);
        self.beats.get(self.at).copied().filter(|_| self.shows)
    }
    fn taken(&mut self) {
        self.at += 1;
        self.shows = false;
    }
}

macro_rules! give {
    ($to:expr, $beat:expr) => {
        let beat: Option<TlpBeat> = $beat;
        $to.valid.next = beat.is_some();
        let beat = beat.unwrap_or_default();
        $to.d0.next = u64::from(beat.d0).into();
        $to.d1.next = u64::from(beat.d1).into();
        $to.half.next = beat.half;
        $to.last.next = beat.last;
        $to.bar.next = u64::from(beat.bar).into();
    };
}

macro_rules! see {
    ($from:expr) => {
        TlpBeat {
            d0: $from.d0.val().to_u32(),
            d1: $from.d1.val().to_u32(),
            half: $from.half.val(),
            last: $from.last.val(),
            bar: $from.bar.val().to_u8(),
        }
    };
}

fn rise(n: &mut Native<PortSwitch>) {
    n.settle();
    n.u.clock.next = true.into();
    n.settle();
    n.u.clock.next = false.into();
    n.settle();
}

fn new() -> Native<PortSwitch> {
    let mut n = Native::<PortSwitch>::default();
    n.u.reset.next = true;
    rise(&mut n);
    n.u.reset.next = false;
    n
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn each_tlp_arrives_whole_where_it_belongs_and_no_request_overtakes(
        told in prop::collection::vec(prop_oneof![4 => request(), 2 => completion(), 1 => other()], 1..12),
        sent_by in [prop::collection::vec(sent(0), 0..6), prop::collection::vec(sent(1), 0..6)],
        patterns in prop::array::uniform6(prop_oneof![Just(u32::MAX), Just(0x5555_5555), Just(0), any::<u32>()]),
        works in 0_usize..12,
    ) {
        let mut n = new();
        let mut from_host = Giver::new(told.iter().flat_map(|t| beats(&t.dwords, t.bar)).collect());
        let mut from_port = [0, 1].map(|p: usize| Giver::new(sent_by[p].iter().flat_map(|(as_is, _)| beats(as_is, 0)).collect()));
        // What each port got; of whole TLPs, in which order they began; who works on one until when.
        let (mut got, mut began, mut until) = ([vec![], vec![]], vec![], [0_usize; 2]);
        let (mut middle, mut to_host) = ([false; 2], vec![]);
        for cycle in 0..3_000 {
            let u = &mut n.u;
            give!(u.from_host, from_host.show(goes(patterns[0], cycle)));
            give!(u.from_port[0], from_port[0].show(goes(patterns[1], cycle)));
            give!(u.from_port[1], from_port[1].show(goes(patterns[2], cycle)));
            u.to_host.ready.next = goes(patterns[3], cycle);
            for p in 0..2 {
                u.answering[p].next = cycle < until[p];
                // A port that works takes nothing.
                u.to_port[p].ready.next = cycle >= until[p] && goes(patterns[4 + p], cycle);
            }
            n.settle();
            let u = &n.u;
            prop_assert!(!(u.to_port[0].valid.val() && u.to_port[1].valid.val()));
            for p in 0..2 {
                if u.to_port[p].valid.val() && u.to_port[p].ready.val() {
                    let beat = see!(u.to_port[p]);
                    if !middle[p] {
                        let is_completion = beat.d0 >> 24 & 0xBF == 0x0A;
                        prop_assert!(is_completion || cycle >= until[1 - p], "a request passes the one before");
                        began.push(p);
                    }
                    middle[p] = !beat.last;
                    if beat.last {
                        until[p] = cycle + 1 + works;
                    }
                    got[p].push(beat);
                }
            }
            if u.to_host.valid.val() && u.to_host.ready.val() {
                to_host.push(see!(u.to_host));
            }
            let taken = from_host.shows && u.from_host.ready.val();
            let left = [0, 1].map(|p: usize| from_port[p].shows && u.from_port[p].ready.val());
            rise(&mut n);
            if taken {
                from_host.taken();
            }
            for p in 0..2 {
                if left[p] {
                    from_port[p].taken();
                }
            }
        }
        let order: Vec<usize> = told.iter().map(|t| t.port).collect();
        prop_assert_eq!(began, order);
        for (p, got) in got.iter().enumerate() {
            let expected: Vec<TlpBeat> = told.iter().filter(|t| t.port == p).flat_map(|t| beats(&t.seen, t.bar)).collect();
            prop_assert_eq!(got, &expected, "to port {}", p);
        }
        // Whole TLPs, each the next of one port's.
        let mut left: Vec<_> = sent_by.iter().map(|all| all.iter().map(|(_, seen)| beats(seen, 0)).collect::<std::collections::VecDeque<_>>()).collect();
        let mut rest = &to_host[..];
        while !rest.is_empty() {
            let from = (0..2).find(|p| left[*p].front().is_some_and(|tlp| rest.starts_with(tlp)));
            let Some(tlp) = from.and_then(|p| left[p].pop_front()) else {
                return Err(TestCaseError::fail(format!("to the host: {rest:x?}")));
            };
            rest = &rest[tlp.len()..];
        }
        prop_assert!(left.iter().all(|l| l.is_empty()), "not all went to the host: {left:x?}");
    }
}

#[test]
fn every_cycle_can_carry_a_beat_each_way_and_both_ports_have_their_turn() {
    let mut n = new();
    let write = |port: u32| beats(&[0x4000_0001, 0x0F, port << 20, 7], 0);
    let mut from_host = Giver::new((0..100).flat_map(|i| write(i / 50)).collect());
    let mut from_port = [0, 1].map(|_| Giver::new((0..50).flat_map(|_| write(0)).collect()));
    let (mut taken, mut left) = (0, [0; 2]);
    for _ in 0..101 {
        give!(n.u.from_host, from_host.show(true));
        give!(n.u.from_port[0], from_port[0].show(true));
        give!(n.u.from_port[1], from_port[1].show(true));
        n.u.to_host.ready.next = true;
        for p in 0..2 {
            n.u.to_port[p].ready.next = true;
        }
        n.settle();
        let takes = n.u.from_host.ready.val();
        let goes = [0, 1].map(|p: usize| n.u.from_port[p].ready.val());
        rise(&mut n);
        if takes {
            from_host.taken();
            taken += 1;
        }
        for p in 0..2 {
            if goes[p] {
                from_port[p].taken();
                left[p] += 1;
            }
        }
    }
    assert_eq!(taken, 101);
    assert_eq!(left[0] + left[1], 101);
    assert!((50..=52).contains(&left[0]), "{left:?}");
}

#[test]
fn a_reset_in_the_middle_of_a_tlp_leaves_nothing_of_it() {
    let mut n = new();
    n.u.to_port[1].ready.next = true;
    n.u.to_host.ready.next = true;
    // Two beats of four for the second port, and one that it sends.
    for beat in &beats(&[0x4000_0004, 0xFF, 1 << 20, 1, 2, 3, 4], 0)[..2] {
        give!(n.u.from_host, Some(*beat));
        give!(n.u.from_port[1], Some(*beat));
        rise(&mut n);
    }
    give!(n.u.from_host, None);
    give!(n.u.from_port[1], None);
    n.u.reset.next = true;
    rise(&mut n);
    n.u.reset.next = false;
    rise(&mut n);
    assert!(!n.u.to_port[0].valid.val() && !n.u.to_port[1].valid.val());
    // What comes then is a TLP's first beat, and the first port's turn.
    let read = beats(&[0x0000_0001, 0x0F, 0x40], 0);
    for beat in &read {
        give!(n.u.from_host, Some(*beat));
        give!(n.u.from_port[0], Some(read[0]));
        rise(&mut n);
    }
    assert!(n.u.to_port[0].valid.val() && !n.u.to_port[1].valid.val());
    assert_eq!(see!(n.u.to_port[0]), read[0]);
    assert!(n.u.to_host.valid.val());
}
