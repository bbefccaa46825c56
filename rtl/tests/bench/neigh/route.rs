//! Address classification, against smoltcp's CIDR arithmetic.
use super::harness::word;
use crate::common;
use ferrule_rtl::{native::Native, neigh::route::Route};
use proptest::prelude::*;
use smoltcp::wire::Ipv4Cidr;
use std::net::Ipv4Addr;

#[derive(Debug, PartialEq, Eq)]
struct Class {
    own: bool,
    onlink: bool,
    broadcast: bool,
    source: Ipv4Addr,
}

fn run(dut: &mut Native<Route>, locals: &[Option<(Ipv4Addr, u8)>; 8], ip: Ipv4Addr) -> Class {
    for (n, local) in locals.iter().enumerate() {
        let (a, m) = local.map_or((0, 0), |(a, p)| {
            (a.to_bits(), Ipv4Cidr::new(a, p).netmask().to_bits())
        });
        for (place, value) in [(2 * n, a), (2 * n + 1, m)] {
            dut.u.local_write.next = true;
            dut.u.local_place.next = (place as u64).into();
            dut.u.local_data.next = word(value);
            dut.u.clock.next = false.into();
            dut.settle();
            dut.u.clock.next = true.into();
            dut.settle();
        }
    }
    dut.u.local_write.next = false;
    dut.u.ip.next = word(ip.to_bits());
    for cycle in 0..20 {
        dut.u.start.next = cycle == 0;
        dut.u.clock.next = false.into();
        dut.settle();
        if dut.u.done.val() {
            let class = Class {
                own: dut.u.own.val(),
                onlink: dut.u.onlink.val(),
                broadcast: dut.u.broadcast.val(),
                source: Ipv4Addr::from_bits(dut.u.source.val().to_u32()),
            };
            dut.u.clock.next = true.into();
            dut.settle();
            assert!(!dut.u.busy.val());
            return class;
        }
        dut.u.clock.next = true.into();
        dut.settle();
        assert!(dut.u.busy.val());
    }
    panic!("not done");
}

fn expected(locals: &[Option<(Ipv4Addr, u8)>; 8], ip: Ipv4Addr) -> Class {
    let cidrs: Vec<_> = locals
        .iter()
        .flatten()
        .map(|&(a, p)| Ipv4Cidr::new(a, p))
        .collect();
    let holder = cidrs.iter().find(|c| c.contains_addr(&ip));
    Class {
        own: cidrs.iter().any(|c| c.address() == ip),
        onlink: holder.is_some(),
        // RFC 3021: none in a /31; smoltcp agrees for both /31 and /32.
        broadcast: cidrs.iter().any(|c| c.broadcast() == Some(ip)),
        source: holder
            .or(cidrs.first())
            .map_or(Ipv4Addr::UNSPECIFIED, |c| c.address()),
    }
}

/// Addresses close to each other, so that subnets overlap and their borders are met.
fn near() -> impl Strategy<Value = Ipv4Addr> {
    (
        0_u32..3,
        prop_oneof![Just(0_u32), Just(255), Just(127), 0_u32..=255],
    )
        .prop_map(|(net, host)| Ipv4Addr::from_bits(0x0A00_0000 | net << 8 | host))
}

proptest! {
    #![proptest_config(crate::common::cases(400))]
    #[test]
    fn agrees_with_smoltcp(
        locals in prop::array::uniform8(prop::option::of((
            near().prop_filter("used", |a| !a.is_unspecified()),
            prop_oneof![20_u8..=32, 1_u8..=32],
        ))),
        ip in prop_oneof![8 => near(), 1 => any::<u32>().prop_map(Ipv4Addr::from_bits)],
        again in near(),
    ) {
        let mut dut = Native::<Route>::default();
        prop_assert_eq!(run(&mut dut, &locals, ip), expected(&locals, ip));
        prop_assert_eq!(run(&mut dut, &locals, again), expected(&locals, again));
    }
}

#[test]
fn the_verilog_is_clean() {
    let text = ferrule_rtl::verilog::emit::<Route>("route").expect("emits");
    common::verilator_lint("route", &text);
}
