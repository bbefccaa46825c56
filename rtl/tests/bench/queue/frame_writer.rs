//! The frame writer: bytes of a frame in its slot and nowhere else.
use super::host::{sample_writer, Memory, Rng, Writer};
use crate::common::verilator_lint;
use ferrule_rtl::{native::Native, queue::frame_writer::FrameWriter};
use proptest::prelude::*;

proptest! {
    #![proptest_config(crate::common::cases(12))]
    #[test]
    fn frames_land_in_their_slots(seed: u64, stride_log2 in 11u32..13, payload in 0u64..5) {
        let mut rng = Rng(seed);
        let mut n = Native::<FrameWriter>::default();
        let mut memory = Memory::default();
        let base = 0x1_0000_0000u64 - 3 * 2048;
        let stride = 1u64 << stride_log2;
        let mut writer = Writer::new(30 + rng.below(71));
        writer.max_payload = 128 << payload;
        let offer = 30 + rng.below(71);
        n.u.reset.next = true;
        n.u.base_lo.next = u64::from(base as u32).into();
        n.u.base_hi.next = (base >> 32).into();
        n.u.stride_log2.next = u64::from(stride_log2).into();
        n.u.max_payload.next = payload.into();
        n.settle();
        n.u.clock.next = true.into();
        n.settle();
        n.u.reset.next = false;
        for round in 0..25 {
            let len = match rng.below(3) {
                0 => 1 + rng.below(20),
                1 => stride - 9 + rng.below(30),
                _ => 1 + rng.below(1600),
            } as usize;
            let bytes: Vec<u8> = (0..len).map(|_| rng.next() as u8).collect();
            let slot = rng.below(0x8000);
            let skip = rng.percent(15);
            let at = base + slot * stride;
            let written = if skip { 0 } else { len.min(stride as usize) };
            writer.allowed.clear();
            if !skip {
                writer.allowed.push(at..at + stride);
            }
            let (mut beat, mut begun, mut patience) = (0, false, 0);
            loop {
                patience += 1;
                prop_assert!(patience < 40_000, "round {} never ends", round);
                let more = 8 * beat < len;
                let valid = more && (beat == 0 || rng.percent(offer));
                writer.before(&mut rng);
                let u = &mut n.u;
                u.clock.next = false.into();
                u.m.ready.next = writer.ready;
                u.slot.next = slot.into();
                u.go.next = !begun && !skip;
                u.skip.next = !begun && skip;
                // A valid beat stays: gaps only between beats.
                u.s.valid.next = valid;
                u.s.len.next = (len as u64).into();
                if more {
                    let rest = &bytes[8 * beat..];
                    let mut word = [0x11; 8];
                    let k = rest.len().min(8);
                    word[..k].copy_from_slice(&rest[..k]);
                    let word = u64::from_le_bytes(word);
                    u.s.d0.next = (word & 0xFFFF_FFFF).into();
                    u.s.d1.next = (word >> 32).into();
                    u.s.last.next = rest.len() <= 8;
                }
                n.settle();
                let offered = valid && n.u.m.valid.val() && !writer.ready;
                sample_writer!(n.u.m, writer, &mut memory);
                if valid && n.u.s.ready.val() {
                    beat += 1;
                }
                n.u.clock.next = true.into();
                n.settle();
                // Hold a beat that was offered and not taken.
                if offered {
                    loop {
                        n.u.clock.next = false.into();
                        writer.before(&mut rng);
                        n.u.m.ready.next = writer.ready;
                        n.settle();
                        sample_writer!(n.u.m, writer, &mut memory);
                        n.u.clock.next = true.into();
                        n.settle();
                        if writer.ready {
                            beat += 1;
                            break;
                        }
                    }
                }
                begun = true;
                if 8 * beat >= len && n.u.idle.val() {
                    break;
                }
            }
            for (i, &want) in bytes[..written].iter().enumerate() {
                prop_assert_eq!(memory.byte(at + i as u64), want, "byte {} of round {}", i, round);
            }
            prop_assert!(skip || n.u.truncated.val() == (len as u64 > stride));
            let total: u32 = writer.log.drain(..).map(|w| w.1).sum();
            prop_assert_eq!(total as usize, written);
        }
    }
}

#[test]
fn exports_to_clean_verilog() {
    verilator_lint(
        "frame_writer",
        &ferrule_rtl::verilog::emit::<FrameWriter>("frame_writer").expect("emits"),
    );
}
