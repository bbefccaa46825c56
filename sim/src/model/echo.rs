//! ICMP echo requests that the NIC answers by itself, and their answers (RFC 792, RFC 1122 section 3.2.2.6).
use ferrule_abi::regs;

use super::checksum::Sum;
use super::ipv4::{Ipv4, L2_BYTES};
use super::registers::Registers;

/// Bytes of an IPv4 header without options, and of an ICMP echo header.
const HEADER_BYTES: usize = 20;
const ICMP_BYTES: usize = 8;
/// Longest packet that is answered.
const MOST_BYTES: usize = 1_500;
const ICMP: u8 = 1;
const ECHO_REQUEST: [u8; 2] = [8, 0];
/// The request's checksum does not tell the answer's (RFC 1624 section 3).
const AMBIGUOUS: [u8; 2] = [0xF7, 0xFF];
const TTL: u8 = 64;

/// The answer to `frame`, which holds an unfragmented IPv4 packet with a right header and no tag, if the NIC gives one.
pub(super) fn answer(frame: &[u8], registers: &Registers) -> Option<Vec<u8>> {
    let packet = Ipv4::new(frame)?;
    let bytes = packet.header_bytes() + packet.l4_bytes();
    let fits = packet.header_bytes() == HEADER_BYTES
        && (HEADER_BYTES + ICMP_BYTES..=MOST_BYTES).contains(&bytes);
    let stations = frame[..6] == registers.mac() && frame[6] & 1 == 0;
    if !fits || !stations || frame[L2_BYTES + 9] != ICMP {
        return None;
    }
    let icmp = &frame[L2_BYTES + HEADER_BYTES..L2_BYTES + bytes];
    let request = icmp[..2] == ECHO_REQUEST && icmp[2..4] != AMBIGUOUS;
    if !request || !Sum::default().bytes(icmp).is_right() {
        return None;
    }
    let (source, target) = packet.addresses().split_at(4);
    let is_local = target[0] != 0 && locals(registers).any(|l| l.0.to_be_bytes() == target);
    let number = u32::from_be_bytes([source[0], source[1], source[2], source[3]]);
    if !is_local || is_strange(number, registers) {
        return None;
    }
    let mut reply = [&frame[6..12], &frame[..6], &frame[12..L2_BYTES + bytes]].concat();
    let (header, icmp) = reply[L2_BYTES..].split_at_mut(HEADER_BYTES);
    header[8] = TTL;
    header[10..12].fill(0);
    header[12..16].copy_from_slice(target);
    header[16..20].copy_from_slice(source);
    let checksum = Sum::default().bytes(header).checksum();
    header[10..12].copy_from_slice(&checksum);
    icmp[..4].fill(0);
    let checksum = Sum::default().bytes(icmp).checksum();
    icmp[2..4].copy_from_slice(&checksum);
    Some(reply)
}

/// The local addresses with their masks, used or not.
fn locals(registers: &Registers) -> impl Iterator<Item = (u32, u32)> + '_ {
    (0..regs::LOCAL_ADDRESSES).map(|n| {
        (
            registers.port(regs::local_addr::REGISTER.offset_of(n)),
            registers.port(regs::local_mask::REGISTER.offset_of(n)),
        )
    })
}

/// Nobody is to be answered there: it is no other host's address (RFC 1122 section 3.2.1.3).
fn is_strange(source: u32, registers: &Registers) -> bool {
    let first = source >> 24;
    // Subnets of /31 and /32 have no broadcast address (RFC 3021): bit 1 of the mask tells.
    let of_subnet = |(address, mask): (u32, u32)| {
        let broadcast = (address ^ source) & mask == 0 && source | mask == u32::MAX;
        address == source || broadcast && mask & 2 == 0
    };
    first == 0 || first == 127 || first >= 224 || locals(registers).any(of_subnet)
}
