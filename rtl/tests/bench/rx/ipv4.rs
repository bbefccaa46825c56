//! `Ipv4Parse`: fields as etherparse sees them, sums as smoltcp's checksum.
use super::frames::{self, Rng};
use super::harness::beats;
use etherparse::Ipv4HeaderSlice;
use ferrule_rtl::{
    native::Native,
    rx::{fields::Ipv4Fields, ipv4::Ipv4Parse, lanes::Ipv4Lanes},
};
use smoltcp::wire::checksum;

/// Shows a frame with random gaps and waits until the sums are there.
fn show(dut: &mut Native<Ipv4Parse>, r: &mut Rng, frame: &[u8], skip: bool) {
    let mut pending: Vec<_> = beats(frame).into_iter().enumerate().collect();
    pending.reverse();
    let mut after = 0;
    while after < 4 {
        let next = if r.percent(20) && !pending.is_empty() {
            None
        } else {
            pending.pop()
        };
        let valid = next.is_some();
        let (number, (d0, d1, ..)) =
            next.unwrap_or((r.below(50), (r.next() as u32, r.next() as u32, 0, false)));
        dut.u.clock.next = false.into();
        dut.u.skip_checksums.next = skip;
        dut.u.d0.next = u64::from(d0).into();
        dut.u.d1.next = u64::from(d1).into();
        dut.u.beat.next = (number as u64).into();
        dut.u.valid.next = valid;
        dut.settle();
        dut.u.clock.next = true.into();
        dut.settle();
        if pending.is_empty() {
            after += 1;
        }
    }
}

/// The folded sum as a number in network order.
fn folded(mut sum: u32) -> u16 {
    while sum >> 16 != 0 {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    (sum as u16).swap_bytes()
}

fn ethernet(ip: &[u8], padding: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0], ip, padding].concat()
}

#[test]
fn fields_and_sums_are_right_whatever_came_before() {
    let mut r = Rng(6);
    let mut dut = Native::<Ipv4Parse>::default();
    for round in 0..400 {
        if round % 3 == 1 {
            // Rubbish of any kind must not be remembered.
            let mut frame = frames::frame(&mut r, 100);
            frames::corrupt(&mut r, &mut frame);
            show(&mut dut, &mut r, &frame, false);
        }
        let ip = frames::ipv4(&mut r, 300);
        let padding = r.below(20);
        let padding = r.bytes(padding);
        let frame = ethernet(&ip, &padding);
        let skip = r.percent(50);
        show(&mut dut, &mut r, &frame, skip);

        let header = Ipv4HeaderSlice::from_slice(&ip).expect("a header");
        let fragment = header.is_fragmenting_payload();
        let (hlen, proto) = (header.slice().len(), header.protocol().0);
        let u = &dut.u;
        let at = format!("round {round}, {frame:02x?}");
        assert_eq!(u.ether_type.val().to_u16(), 0x0800, "{at}");
        assert!(u.version_ok.val(), "{at}");
        assert_eq!(u.ihl.val().to_u8(), header.ihl(), "{at}");
        assert_eq!(u.total.val().to_u16(), header.total_len(), "{at}");
        assert_eq!(u.fragment.val(), fragment, "{at}");
        assert_eq!(u.protocol.val().to_u8(), proto, "{at}");
        assert_eq!(
            (u.icmp.val(), u.tcp.val(), u.udp.val()),
            (proto == 1, proto == 6, proto == 17),
            "{at}"
        );

        let mut head = ip[..hlen].to_vec();
        if skip {
            head[10..12].fill(0);
        }
        assert_eq!(
            folded(u.header_sum.val().to_u32()),
            checksum::data(&head),
            "{at}"
        );
        if u.icmp.val() && !skip {
            // No pseudo-header (RFC 792).
            let want = checksum::data(&ip[hlen..]);
            assert_eq!(folded(u.l4_sum.val().to_u32()), want, "{at}");
        }
        if !(u.tcp.val() || u.udp.val()) || fragment {
            continue;
        }
        let mut l4 = ip[hlen..].to_vec();
        if u.udp.val() {
            let field = u16::from_be_bytes([l4[4], l4[5]]);
            assert_eq!(u.udp_len.val().to_u16(), field, "{at}");
            assert_eq!(u.udp_zero.val(), l4[6..8] == [0, 0], "{at}");
            l4.truncate(usize::from(field));
        }
        if skip {
            let field = if u.udp.val() { 6 } else { 16 };
            l4[field..field + 2].fill(0);
        }
        let want = checksum::combine(&[checksum::data(&ip[12..20]), checksum::data(&l4)]);
        assert_eq!(folded(u.l4_sum.val().to_u32()), want, "{at}");
    }
}

#[test]
fn another_version_or_a_short_header_is_seen() {
    let mut r = Rng(7);
    let mut dut = Native::<Ipv4Parse>::default();
    for first in 0..=255 {
        let mut ip = frames::ipv4(&mut r, 60);
        ip[0] = first;
        show(&mut dut, &mut r, &ethernet(&ip, &[0; 60]), false);
        let want = first >> 4 == 4 && first & 15 >= 5;
        assert_eq!(dut.u.version_ok.val(), want, "first byte {first:#x}");
    }
}

#[test]
fn verilator_accepts_the_verilog() {
    let fields = ferrule_rtl::verilog::emit::<Ipv4Fields>("ipv4_fields").expect("emits");
    crate::common::verilator_lint("ipv4_fields", &fields);
    let lanes = ferrule_rtl::verilog::emit::<Ipv4Lanes>("ipv4_lanes").expect("emits");
    crate::common::verilator_lint("ipv4_lanes", &lanes);
    let parse = ferrule_rtl::verilog::emit::<Ipv4Parse>("ipv4_parse").expect("emits");
    crate::common::verilator_lint("ipv4_parse", &parse);
}
