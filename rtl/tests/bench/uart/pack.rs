//! Beats to DWs and back: the streams' buffers.
use super::peer::Rng;
use ferrule_rtl::native::Native;
use ferrule_rtl::pins::TlpBeat;
use ferrule_rtl::uart::packer::Packer;
use ferrule_rtl::uart::unpacker::Unpacker;
use proptest::prelude::*;
use std::collections::VecDeque;

/// A TLP by PCIe 2.1 section 2.2.1: `fmt` bits 1:0 (data, 4 DWs), digest, payload.
fn tlp(rng: &mut Rng) -> Vec<u32> {
    let (data, long, digest) = (rng.below(2), rng.below(2), u64::from(rng.below(8) == 0));
    let length = if rng.below(60) == 0 {
        1024
    } else {
        1 + rng.below(20)
    };
    let kind = if data + long == 0 && rng.below(3) == 0 {
        0x0A
    } else {
        0
    };
    let head = data << 30 | long << 29 | kind << 24 | digest << 15 | (length & 0x3FF);
    let rest = 2 + long + digest + data * length;
    let mut dwords = vec![head as u32];
    dwords.extend((0..rest).map(|_| rng.next() as u32));
    dwords
}

fn beats(dwords: &[u32], bar: u8) -> Vec<TlpBeat> {
    let last = dwords.len().div_ceil(2) - 1;
    let beat = |(i, pair): (usize, &[u32])| TlpBeat {
        d0: pair[0],
        d1: pair.get(1).copied().unwrap_or(0),
        half: pair.len() == 1,
        last: i == last,
        bar,
    };
    dwords.chunks(2).enumerate().map(beat).collect()
}

proptest! {
    #![proptest_config(crate::common::cases(12))]
    #[test]
    fn the_packer_keeps_every_dword_until_it_is_acknowledged(seed: u64, pace in 1u64..6) {
        let mut rng = Rng(seed);
        let mut dut = Native::<Packer>::default();
        let tlps: Vec<Vec<u32>> = (0..300).map(|_| tlp(&mut rng)).collect();
        let stream: Vec<u32> = tlps.concat();
        let mut queue: VecDeque<TlpBeat> = tlps.iter().flat_map(|t| beats(t, 0)).collect();
        let (mut acknowledged, mut checked, mut clock) = (0usize, 0usize, 0);
        let mut written = 0usize;
        while acknowledged < stream.len() {
            let u = &mut dut.u;
            u.clock.next = false.into();
            u.reset.next = clock == 0;
            let beat = queue.front().copied().filter(|_| clock > 0 && rng.below(4) > 0);
            let b = beat.unwrap_or_default();
            u.tlp.valid.next = beat.is_some();
            u.tlp.d0.next = u64::from(b.d0).into();
            u.tlp.d1.next = u64::from(b.d1).into();
            u.tlp.half.next = b.half;
            u.tlp.last.next = b.last;
            u.acknowledged.next = (acknowledged as u64 & 0xFFF).into();
            u.place.next = (checked as u64 & 0x7FF).into();
            dut.settle();
            if beat.is_some() && dut.u.tlp.ready.val() {
                queue.pop_front();
            }
            dut.u.clock.next = true.into();
            dut.settle();
            let now = dut.u.written.val().to_u64() as usize;
            let before = written;
            written += now.wrapping_sub(written) & 0xFFF;
            prop_assert!(written - before <= 1);
            prop_assert!(written - acknowledged <= 2047, "{} DWs are kept", written - acknowledged);
            // Written in an earlier clock.
            if checked < before {
                prop_assert_eq!(dut.u.word.val().to_u32(), stream[checked]);
                checked += 1;
            }
            if clock % 2_500 < 500 * pace {
                acknowledged = checked;
            }
            clock += 1;
            prop_assert!(clock < 200_000, "it does not end");
        }
        prop_assert_eq!(written, stream.len());
    }

    #[test]
    fn the_unpacker_gives_tlps_with_their_bar_and_settings_in_their_order(seed: u64, stall in 1u64..5) {
        let mut rng = Rng(seed);
        let mut dut = Native::<Unpacker>::default();
        let (mut stream, mut want) = (vec![], VecDeque::new());
        let mut settings = (0u64, 0u64);
        for _ in 0..120 {
            if rng.below(5) == 0 {
                let (id, data) = (rng.next() & 0xFFFF, rng.next() as u32);
                // CfgWr0, PCIe 2.1 section 2.2.7: requester, tag and byte enables, completer and register, data.
                stream.extend([0x4400_0001, rng.next() as u32, (id << 16) as u32 | rng.below(1 << 12) as u32, data]);
                settings = (id, u64::from(data & 0x1FF));
            } else {
                let t = tlp(&mut rng);
                let bar = (t[2] >> 20 & 7) as u8;
                want.extend(beats(&t, bar).into_iter().map(|b| (b, settings)));
                stream.extend(t);
            }
        }
        let (mut accepted, mut filled, mut clock) = (0usize, 0usize, 0);
        let mut worked = 0usize;
        while !want.is_empty() || worked < stream.len() {
            let room = worked + 1023;
            // Pieces as units bring them, written before they are accepted.
            let write = filled < stream.len() && filled < room && clock > 0 && rng.below(3) > 0;
            let u = &mut dut.u;
            u.clock.next = false.into();
            u.reset.next = clock == 0;
            u.place.next = (filled as u64 & 0x3FF).into();
            u.word.next = u64::from(stream.get(filled).copied().unwrap_or(0)).into();
            u.write.next = write;
            u.accepted.next = (accepted as u64 & 0xFFF).into();
            u.tlp.ready.next = rng.below(stall) == 0;
            dut.settle();
            let u = &dut.u;
            if u.tlp.valid.val() && u.tlp.ready.val() {
                let got = TlpBeat {
                    d0: u.tlp.d0.val().to_u32(),
                    d1: if u.tlp.half.val() { 0 } else { u.tlp.d1.val().to_u32() },
                    half: u.tlp.half.val(),
                    last: u.tlp.last.val(),
                    bar: u.tlp.bar.val().to_u64() as u8,
                };
                let set = (u.completer_id.val().to_u64(), u.settings.val().to_u64());
                prop_assert_eq!(want.pop_front(), Some((got, set)));
            }
            filled += usize::from(write);
            dut.u.clock.next = true.into();
            dut.settle();
            worked += (dut.u.worked.val().to_u64() as usize).wrapping_sub(worked) & 0xFFF;
            if rng.below(20) == 0 {
                accepted = filled;
            }
            clock += 1;
            prop_assert!(clock < 100_000, "it does not end");
        }
        let u = &dut.u;
        prop_assert_eq!((u.completer_id.val().to_u64(), u.settings.val().to_u64()), settings);
    }
}
