//! The payload reader and the realigner, each by itself.
use super::host::{Memory, Reader, Rng};
use crate::common::verilator_lint;
use ferrule_abi::ring::sqe_flags as sf;
use ferrule_rtl::native::Native;
use ferrule_rtl::queue::{payload_reader::PayloadReader, realigner::Realigner};
use proptest::prelude::*;
use std::collections::VecDeque;

/// A read in the list: offset, bytes, flags (RAW, IPCS, L4CS, NEXT_HOP).
fn read_word(offset: u32, bytes: u32, flags: u32) -> u32 {
    offset | bytes << 2 | flags << 11
}
/// A frame's tag in the list.
fn tag_word(tci: u32, flags: u32) -> u32 {
    1 << 30 | 1 << 23 | flags << 16 | tci
}
/// The queue whose frames they are.
const QUEUE: u32 = 2;
/// A frame's end in the list.
fn end_word(index: u32, bad: bool, report: bool, forget: bool) -> u32 {
    let flags = u32::from(bad) | u32::from(report) << 1 | u32::from(forget) << 2;
    1 << 31 | QUEUE << 19 | flags << 15 | index
}

proptest! {
    #![proptest_config(crate::common::cases(10))]
    #[test]
    fn good_sqes_become_reads_and_ends(seed: u64, max_read in 0u64..3) {
        let mut rng = Rng(seed);
        let mut n = Native::<PayloadReader>::default();
        let block = if max_read == 0 { 128u64 } else { 256 };
        // (iova, len, flags, TCI, index) and the list that must come of them.
        let mut sqes = VecDeque::new();
        let (mut words, mut reads) = (vec![], vec![]);
        let mut index = 0u32;
        for _ in 0..40 {
            let parts = 1 + rng.below(3);
            let (mut kept, mut report) = (0, false);
            for part in 0..parts {
                let mut flags = (rng.next() as u32) & (0x1C1C | u32::from(sf::VLAN_INS));
                let tci = rng.below(1 << 16) as u32;
                let iova = 0x1_0000_0000u64 - 0x8000 + rng.below(0x10000);
                let len = 1 + rng.below(900);
                if part == 0 {
                    if rng.percent(10) {
                        flags |= u32::from(sf::TS_REQ);
                        report = true;
                    }
                    kept = flags >> 2 & 7 | (flags >> 10 & 7) << 3 | (flags >> 8 & 1) << 6;
                    flags |= u32::from(sf::SOP);
                    if flags & u32::from(sf::VLAN_INS) != 0 {
                        words.push(tag_word(tci, kept));
                    }
                }
                if rng.percent(40) {
                    flags |= u32::from(sf::CPL_REQ);
                    report |= part + 1 == parts;
                }
                if part + 1 == parts {
                    flags |= u32::from(sf::EOP);
                }
                sqes.push_back((iova, len as u32 | flags << 16, tci, index));
                let mut at = iova;
                while at < iova + len {
                    let stop = ((at / block + 1) * block).min(iova + len);
                    words.push(read_word(at as u32 & 3, (stop - at) as u32, kept));
                    reads.push((at & !3, (stop.div_ceil(4) - at / 4) as u32));
                    at = stop;
                }
                index += 1;
            }
            words.push(end_word(index - 1, false, report, false));
        }
        let (mut got, mut asked) = (vec![], vec![]);
        let mut cycles = 0;
        while got.len() < words.len() {
            cycles += 1;
            prop_assert!(cycles < 50_000, "stuck after {} words", got.len());
            let u = &mut n.u;
            u.clock.next = false.into();
            u.reset.next = cycles == 1;
            u.run.next = cycles > 1;
            u.max_read.next = max_read.into();
            u.owner.next = u64::from(QUEUE).into();
            u.full.next = rng.percent(30);
            let take = rng.percent(50);
            u.req.ready.next = take;
            if let Some(&(iova, lf, tci, index)) = sqes.front() {
                u.addr_lo.next = (iova & 0xFFFF_FFFF).into();
                u.addr_hi.next = (iova >> 32).into();
                u.len_flags.next = u64::from(lf).into();
                u.options.next = u64::from(tci).into();
                u.index.next = u64::from(index).into();
            }
            u.valid.next = cycles > 1 && !sqes.is_empty();
            n.settle();
            let u = &n.u;
            prop_assert!(!(u.push.val() && u.full.val()), "pushes into a full list");
            if u.push.val() {
                got.push(u.word.val().to_u32());
            }
            if u.req.valid.val() && take {
                let addr = u64::from(u.req.addr_lo.val().to_u32()) | u64::from(u.req.addr_hi.val().to_u32()) << 32;
                asked.push((addr, u.req.dwords.val().to_u32()));
                prop_assert!(u.push.val(), "a read without its word");
            }
            if u.valid.val() && u.ready.val() {
                sqes.pop_front();
            }
            n.u.clock.next = true.into();
            n.settle();
        }
        prop_assert_eq!(got, words);
        prop_assert_eq!(asked, reads);
        prop_assert!(n.u.idle.val());
    }

    #[test]
    fn any_pieces_become_contiguous_packets(seed: u64) {
        let mut rng = Rng(seed);
        let mut n = Native::<Realigner>::default();
        let mut memory = Memory::default();
        for at in 0..0x4000 {
            memory.set(at, rng.next() as u8);
        }
        let mut reader = Reader::new(100, 30 + rng.below(71), 3);
        // The list, the reads behind it, and what must come out: bytes and flags, or an abort; a word each.
        let mut list = VecDeque::new();
        let mut queue = VecDeque::new();
        let (mut packets, mut dones) = (vec![], vec![]);
        let aborts = rng.percent(50);
        for index in 0..60u32 {
            let mut bytes: Vec<u8> = vec![];
            let flags = rng.below(128) as u32;
            let tag = rng.percent(40).then(|| rng.below(1 << 16) as u32);
            list.extend(tag.map(|tci| tag_word(tci, flags)));
            for _ in 0..rng.below(6) + 1 {
                let (at, len) = (256 * rng.below(48) + rng.below(200), 1 + rng.below(40));
                list.push_back(read_word(at as u32 & 3, len as u32, flags));
                queue.push_back((at & !3, ((at + len).div_ceil(4) - at / 4) as u32));
                bytes.extend((at..at + len).map(|a| memory.byte(a)));
            }
            let (bad, forget) = (aborts && rng.percent(20), aborts && rng.percent(10));
            let report = rng.percent(50);
            list.push_back(end_word(index, bad, report, forget));
            if !bad && !forget {
                packets.push((bytes, flags, tag));
            }
            let flags = u32::from(bad) | u32::from(report) << 1 | u32::from(forget) << 6;
            dones.push(QUEUE << 19 | flags << 15 | index);
        }
        let ready = 30 + rng.below(71);
        let (mut got, mut done, mut current, mut aborted) = (vec![], vec![], vec![], 0);
        let (mut now, mut quiet) = (0, 0);
        while quiet < 50 {
            now += 1;
            prop_assert!(now < 100_000, "stuck");
            // The reads come as the payload reader asks for them, a few ahead.
            let ask = queue.front().copied().filter(|_| reader.outstanding() < 4);
            let beat = reader.before(now, &mut rng, &memory);
            let u = &mut n.u;
            u.clock.next = false.into();
            u.reset.next = now == 1;
            u.data.d0.next = u64::from(beat.d0).into();
            u.data.d1.next = u64::from(beat.d1).into();
            u.data.last.next = beat.last;
            u.data.valid.next = reader.valid;
            u.item.next = u64::from(list.front().copied().unwrap_or(0)).into();
            u.item_valid.next = now > 1 && !list.is_empty();
            u.done_full.next = rng.percent(20);
            let take = rng.percent(ready);
            u.m.ready.next = take;
            n.settle();
            let u = &n.u;
            if u.done_push.val() {
                prop_assert!(!u.done_full.val());
                done.push(u.done.val().to_u32());
            }
            if u.m.valid.val() && take {
                let word = u64::from(u.m.d0.val().to_u32()) | u64::from(u.m.d1.val().to_u32()) << 32;
                let k = u.m.keep.val().to_u32().count_ones() as usize;
                current.extend_from_slice(&word.to_le_bytes()[..k]);
                if u.m.last.val() {
                    let flags = u32::from(u.m.raw.val())
                        | u32::from(u.m.ipcs.val()) << 1
                        | u32::from(u.m.l4cs.val()) << 2
                        | u.m.next_hop.val().to_u32() << 3
                        | u32::from(u.m.stamp.val()) << 6;
                    let bytes = std::mem::take(&mut current);
                    if u.m.abort.val() {
                        aborted += 1;
                    } else {
                        let tag = u.m.tag.val().then_some(u.m.tci.val().to_u32());
                        got.push((bytes, flags, tag));
                    }
                }
            }
            let pop = u.item_pop.val();
            let took = u.data.ready.val();
            reader.after(now, &mut rng, ask, took);
            if reader.req_ready && ask.is_some() {
                queue.pop_front();
            }
            if pop {
                list.pop_front();
            }
            quiet = if list.is_empty() && !n.u.busy.val() { quiet + 1 } else { 0 };
            n.u.clock.next = true.into();
            n.settle();
        }
        prop_assert_eq!(got, packets);
        prop_assert_eq!(done, dones);
        prop_assert!(aborts || aborted == 0);
        prop_assert!(n.u.idle.val() && current.is_empty());
    }
}

#[test]
fn exports_to_clean_verilog() {
    verilator_lint(
        "payload_reader",
        &ferrule_rtl::verilog::emit::<PayloadReader>("payload_reader").expect("emits"),
    );
    verilator_lint(
        "realigner",
        &ferrule_rtl::verilog::emit::<Realigner>("realigner").expect("emits"),
    );
}
