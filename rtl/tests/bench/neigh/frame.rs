//! ARP frame builder, against smoltcp's and etherparse's ARP.
use super::harness::{hi, lo, word, Dice};
use crate::common;
use etherparse::{ArpOperation as Op, LinkSlice, NetSlice, SlicedPacket};
use ferrule_rtl::{native::Native, neigh::frame::ArpFrame};
use proptest::prelude::*;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    EthernetRepr,
};
use std::net::Ipv4Addr;

#[derive(Debug, Clone)]
struct Order {
    own: [u8; 6],
    reply: bool,
    target: [u8; 6],
    spa: Ipv4Addr,
    tpa: Ipv4Addr,
}

/// The frame as smoltcp emits it; a request is broadcast with a zero target hardware address (RFC 826, RFC 5227 section 1.1).
fn expected(o: &Order) -> Vec<u8> {
    let (operation, to, tha) = if o.reply {
        (ArpOperation::Reply, EthernetAddress(o.target), o.target)
    } else {
        (ArpOperation::Request, EthernetAddress::BROADCAST, [0; 6])
    };
    let arp = ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr: EthernetAddress(o.own),
        source_protocol_addr: o.spa,
        target_hardware_addr: EthernetAddress(tha),
        target_protocol_addr: o.tpa,
    };
    let mut bytes = vec![0; 14 + arp.buffer_len()];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes);
    EthernetRepr {
        src_addr: EthernetAddress(o.own),
        dst_addr: to,
        ethertype: EthernetProtocol::Arp,
    }
    .emit(&mut frame);
    arp.emit(&mut ArpPacket::new_unchecked(frame.payload_mut()));
    bytes
}

fn build(dut: &mut Native<ArpFrame>, o: &Order, ready: u64, dice: &mut Dice) -> Vec<u8> {
    let u = &mut dut.u;
    u.mac_lo.next = word(lo(o.own));
    u.mac_hi.next = u64::from(hi(o.own)).into();
    u.reply.next = o.reply;
    u.target_lo.next = word(lo(o.target));
    u.target_hi.next = u64::from(hi(o.target)).into();
    u.spa.next = word(o.spa.to_bits());
    u.tpa.next = word(o.tpa.to_bits());
    let mut bytes = Vec::new();
    for cycle in 0..2000 {
        let take = dice.percent(ready);
        dut.u.start.next = cycle == 0;
        dut.u.frame.ready.next = take;
        dut.u.clock.next = false.into();
        dut.settle();
        let u = &dut.u;
        assert_eq!(u.free.val(), cycle == 0);
        let moved = u.frame.valid.val() && take;
        let last = moved && u.frame.last.val();
        if moved {
            let beat = u.frame.d0.val().to_u64() | u.frame.d1.val().to_u64() << 32;
            let count = u.frame.keep.val().to_u64().trailing_ones() as usize;
            assert!(u.frame.last.val() || count == 8);
            bytes.extend(&beat.to_le_bytes()[..count]);
        }
        assert_eq!(u.sent_reply.val(), last && o.reply);
        assert_eq!(u.sent_request.val(), last && !o.reply);
        // What the order said counts in the cycle of `start` only.
        dut.u.clock.next = true.into();
        dut.settle();
        dut.u.spa.next = word(0);
        dut.u.tpa.next = word(0);
        dut.u.target_lo.next = word(0);
        dut.u.reply.next = !o.reply;
        if last {
            assert!(dut.u.free.val());
            return bytes;
        }
    }
    panic!("no frame");
}

fn order() -> impl Strategy<Value = Order> {
    (
        any::<[u8; 6]>(),
        any::<bool>(),
        any::<[u8; 6]>(),
        any::<u32>(),
        any::<u32>(),
    )
        .prop_map(|(own, reply, target, spa, tpa)| Order {
            own,
            reply,
            target,
            spa: Ipv4Addr::from_bits(spa),
            tpa: Ipv4Addr::from_bits(tpa),
        })
}

proptest! {
    #![proptest_config(crate::common::cases(100))]
    #[test]
    fn frames_are_what_smoltcp_and_etherparse_say(
        orders in prop::collection::vec(order(), 1..4),
        ready in 10_u64..=100,
        seed: u64,
    ) {
        let mut dut = Native::<ArpFrame>::default();
        let mut dice = Dice::new(seed);
        for o in &orders {
            let bytes = build(&mut dut, o, ready, &mut dice);
            prop_assert_eq!(&bytes, &expected(o));
            let parsed = SlicedPacket::from_ethernet(&bytes).expect("parses");
            let Some(LinkSlice::Ethernet2(link)) = parsed.link else { panic!() };
            let Some(NetSlice::Arp(arp)) = parsed.net else { panic!() };
            prop_assert_eq!(link.source(), o.own);
            prop_assert_eq!(arp.operation(), if o.reply { Op::REPLY } else { Op::REQUEST });
            prop_assert_eq!(arp.sender_hw_addr(), &o.own[..]);
            prop_assert_eq!(arp.sender_protocol_addr(), &o.spa.octets()[..]);
            prop_assert_eq!(arp.target_protocol_addr(), &o.tpa.octets()[..]);
        }
    }
}

#[test]
fn the_verilog_is_clean() {
    let text = ferrule_rtl::verilog::emit::<ArpFrame>("arp_frame").expect("emits");
    common::verilator_lint("arp_frame", &text);
}
