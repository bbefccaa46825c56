//! `MacFilter` against smoltcp's classes of addresses.
use super::frames::{mac_words, Rng, OWN};
use ferrule_rtl::{native::Native, rx::filter::MacFilter};
use smoltcp::wire::EthernetAddress;

fn ask(dut: &mut Native<MacFilter>, own: [u8; 6], to: [u8; 6], rest: u16, modes: usize) -> bool {
    let (mac_lo, mac_hi) = mac_words(own);
    let (d0, high) = mac_words(to);
    dut.u.clock.next = false.into();
    dut.u.mac_lo.next = u64::from(mac_lo).into();
    dut.u.mac_hi.next = u64::from(mac_hi).into();
    dut.u.promiscuous.next = modes & 1 != 0;
    dut.u.broadcast.next = modes & 2 != 0;
    dut.u.all_multicast.next = modes & 4 != 0;
    dut.u.d0.next = u64::from(d0).into();
    dut.u.d1.next = u64::from(high | u32::from(rest) << 16).into();
    dut.u.first.next = true;
    dut.settle();
    dut.u.clock.next = true.into();
    dut.settle();
    // What follows the first beat has no say.
    dut.u.clock.next = false.into();
    dut.u.d0.next = 0.into();
    dut.u.first.next = false;
    dut.settle();
    dut.u.clock.next = true.into();
    dut.settle();
    dut.u.pass.val()
}

#[test]
fn each_mode_lets_its_addresses_pass_and_no_other() {
    let mut r = Rng(3);
    let mut dut = Native::<MacFilter>::default();
    for _ in 0..2000 {
        let mut to = match r.below(4) {
            0 => [0xFF; 6],
            1 => [0x33, 0x33, 0, 0, 0, r.next() as u8],
            _ => OWN,
        };
        if r.percent(40) {
            to[r.below(6)] ^= 1 << r.below(8);
        }
        let modes = r.below(8);
        let address = EthernetAddress(to);
        let want = modes & 1 != 0
            || to == OWN
            || modes & 2 != 0 && address.is_broadcast()
            || modes & 4 != 0 && address.is_multicast() && !address.is_broadcast();
        let got = ask(&mut dut, OWN, to, r.next() as u16, modes);
        assert_eq!(got, want, "to {address}, modes {modes:03b}");
    }
}

#[test]
fn verilator_accepts_the_verilog() {
    let text = ferrule_rtl::verilog::emit::<MacFilter>("mac_filter").expect("emits");
    crate::common::verilator_lint("mac_filter", &text);
}
