//! `ArpDecode` against packets that smoltcp made.
use super::frames::{self, Rng};
use super::harness::beats;
use ferrule_rtl::{native::Native, rx::arp::ArpDecode};
use smoltcp::wire::{ArpPacket, ArpRepr};

/// Shows a frame and fires; gives op, sender MAC, sender IP and target IP if a packet comes out.
fn show(
    dut: &mut Native<ArpDecode>,
    r: &mut Rng,
    frame: &[u8],
) -> Option<(u16, Vec<u8>, u32, u32)> {
    let all = beats(frame);
    let mut got = None;
    for step in 0..all.len() * 3 + 2 {
        let (beat, fire) = match step {
            s if s < all.len() * 3 && s % 3 == 0 => (Some(all[s / 3]), false),
            s => (None, s == all.len() * 3 + 1),
        };
        let (d0, d1, ..) = beat.unwrap_or((r.next() as u32, r.next() as u32, 0, false));
        dut.u.clock.next = false.into();
        dut.u.d0.next = u64::from(d0).into();
        dut.u.d1.next = u64::from(d1).into();
        dut.u.beat.next = (step as u64 / 3).into();
        dut.u.valid.next = beat.is_some();
        dut.u.fire.next = fire;
        dut.settle();
        let p = &dut.u.packet;
        if p.valid.val() {
            let lo = p.sha_lo.val().to_u32().to_le_bytes();
            let hi = p.sha_hi.val().to_u16().to_le_bytes();
            let sha = [&lo[..], &hi].concat();
            assert!(fire && got.is_none());
            got = Some((
                p.op.val().to_u16(),
                sha,
                p.spa.val().to_u32(),
                p.tpa.val().to_u32(),
            ));
        }
        dut.u.clock.next = true.into();
        dut.settle();
    }
    got
}

#[test]
fn all_fields_come_out_in_the_order_of_their_bytes() {
    let mut r = Rng(4);
    let mut dut = Native::<ArpDecode>::default();
    for _ in 0..100 {
        let arp = frames::arp(&mut r);
        let ArpRepr::EthernetIpv4 {
            operation,
            source_hardware_addr,
            source_protocol_addr,
            target_protocol_addr,
            ..
        } = ArpRepr::parse(&ArpPacket::new_unchecked(&arp[..])).expect("ARP")
        else {
            panic!("Ethernet and IPv4")
        };
        let mut frame = [&r.bytes(12)[..], &[8, 6], &arp].concat();
        frame.resize(60, 0xA5);
        let want = (
            operation.into(),
            source_hardware_addr.as_bytes().to_vec(),
            source_protocol_addr.to_bits(),
            target_protocol_addr.to_bits(),
        );
        assert_eq!(show(&mut dut, &mut r, &frame), Some(want));
    }
}

#[test]
fn other_types_and_lengths_are_not_arp() {
    let mut r = Rng(5);
    let mut dut = Native::<ArpDecode>::default();
    // EtherType, hardware type, protocol type, both lengths: each byte counts.
    for at in 12..20 {
        let mut frame = [&r.bytes(12)[..], &[8, 6], &frames::arp(&mut r)].concat();
        frame.resize(60, 0);
        assert!(show(&mut dut, &mut r, &frame).is_some());
        frame[at] ^= 1 << r.below(8);
        assert_eq!(show(&mut dut, &mut r, &frame), None, "byte {at}");
    }
}

#[test]
fn verilator_accepts_the_verilog() {
    let text = ferrule_rtl::verilog::emit::<ArpDecode>("arp_decode").expect("emits");
    crate::common::verilator_lint("arp_decode", &text);
}
