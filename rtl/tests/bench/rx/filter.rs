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

/// Clocks `n` cycles.
fn clock(dut: &mut Native<MacFilter>, n: usize) {
    for _ in 0..n {
        dut.u.clock.next = false.into();
        dut.settle();
        dut.u.clock.next = true.into();
        dut.settle();
    }
}

/// Writes a word of the multicast tables.
fn write(dut: &mut Native<MacFilter>, place: u32, word: u32) {
    dut.u.table_write.next = true;
    dut.u.table_place.next = u64::from(place).into();
    dut.u.table_data.next = u64::from(word).into();
    clock(dut, 1);
    dut.u.table_write.next = false;
}

/// Whether a frame to this address passes once the search is over.
fn passes(dut: &mut Native<MacFilter>, to: [u8; 6]) -> bool {
    ask(dut, OWN, to, 0, 0);
    clock(dut, 17);
    dut.u.pass.val()
}

/// The hash by a CRC-32 that is not ours.
fn hash(address: [u8; 6]) -> u32 {
    (!crc32fast::hash(&address)).reverse_bits() >> 26
}

#[test]
fn each_of_sixteen_multicast_addresses_passes_and_no_neighbour_of_theirs() {
    let mut dut = Native::<MacFilter>::default();
    let group = |n: u8| [0x01, 0x80, 0xC2 ^ (n & 3), n, 0x40 | n, n >> 2];
    for n in 0..16 {
        let (lo, hi) = mac_words(group(n));
        write(&mut dut, 2 * u32::from(n), lo);
        write(&mut dut, 2 * u32::from(n) + 1, hi);
    }
    let mut r = Rng(4);
    for n in (0..16).chain([0, 15, 1]) {
        assert!(passes(&mut dut, group(n)), "address {n}");
        let mut other = group(n);
        // Any bit but the one that makes it a group's.
        let bit = 1 + r.below(47);
        other[bit / 8] ^= 1 << (bit % 8);
        assert!(!passes(&mut dut, other), "{other:x?}");
        // A frame to somebody else ends the search of the one before at once.
        ask(&mut dut, OWN, group(15), 0, 0);
        assert!(!ask(&mut dut, OWN, [2, 0, 0, 0, 0, 1], 0, 0));
        clock(&mut dut, 20);
        assert!(!dut.u.pass.val());
    }
    // An address that is taken out, and one that takes its place.
    write(&mut dut, 2 * 15, 0);
    assert!(!passes(&mut dut, group(15)));
    write(&mut dut, 2 * 15, mac_words(group(15)).0);
    assert!(passes(&mut dut, group(15)));
}

#[test]
fn each_bit_of_the_hash_lets_its_addresses_pass_and_no_other() {
    let mut r = Rng(5);
    let mut dut = Native::<MacFilter>::default();
    for bit in 0..64 {
        write(&mut dut, 32, (1_u64 << bit) as u32);
        write(&mut dut, 33, (1_u64 << bit >> 32) as u32);
        let mut found = 0;
        while found < 3 {
            let mut address: [u8; 6] = r.bytes(6).try_into().expect("six");
            address[0] |= 1;
            let wanted = hash(address) == bit;
            assert_eq!(hash(address), ferrule_abi::regs::multicast_hash(address));
            if wanted || r.percent(2) {
                assert_eq!(passes(&mut dut, address), wanted, "{address:x?}, bit {bit}");
                found += u32::from(wanted);
            }
        }
    }
    // Not for the broadcast address, nor for a station's.
    write(&mut dut, 32, u32::MAX);
    write(&mut dut, 33, u32::MAX);
    assert!(!passes(&mut dut, [0xFF; 6]));
    assert!(!passes(&mut dut, [2, 0, 0, 0, 0, 1]));
}

#[test]
fn verilator_accepts_the_verilog() {
    let text = ferrule_rtl::verilog::emit::<MacFilter>("mac_filter").expect("emits");
    crate::common::verilator_lint("mac_filter", &text);
}
