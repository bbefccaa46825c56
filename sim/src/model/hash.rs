//! The Toeplitz hash of received packets (Microsoft, "RSS Hashing Functions").
use super::ipv4::Ipv4;
use super::ipv6::Ipv6;

/// Bytes of the key.
pub(super) const KEY_BYTES: usize = 40;

/// The hash of an IPv4 packet with a right header: over its addresses, and its ports if it is unfragmented TCP or UDP that holds them.
pub(super) fn hash(packet: Ipv4<'_>, key: &[u8; KEY_BYTES]) -> u32 {
    let with_ports = packet.has_l4_checksum() && packet.l4_bytes() >= 4;
    let ports = if with_ports { packet.ports() } else { &[] };
    toeplitz(key, packet.addresses().iter().chain(ports))
}

/// The same of an IPv6 packet; ports are those right behind the header.
pub(super) fn hash_ipv6(packet: Ipv6<'_>, key: &[u8; KEY_BYTES]) -> u32 {
    let with_ports = (packet.is_tcp() || packet.is_udp()) && packet.payload() >= 4;
    let ports = if with_ports { packet.ports() } else { &[] };
    toeplitz(key, packet.addresses().iter().chain(ports))
}

/// For each bit of the input that is 1, the 32 bits of the key from its place on.
fn toeplitz<'a>(key: &[u8; KEY_BYTES], input: impl Iterator<Item = &'a u8>) -> u32 {
    // As after a reset; each packet is spared the work then.
    if *key == [0; KEY_BYTES] {
        return 0;
    }
    let (first, rest) = key.split_at(4);
    let mut window = first
        .iter()
        .fold(0, |window, byte| window << 8 | u32::from(*byte));
    let mut hash = 0;
    for (byte, coming) in input.zip(rest) {
        for bit in (0..8).rev() {
            if byte >> bit & 1 == 1 {
                hash ^= window;
            }
            window = window << 1 | u32::from(coming >> bit & 1);
        }
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::toeplitz;

    /// "Verifying the RSS Hash Calculation": the key, and the first and the last of the IPv4 rows.
    #[test]
    fn the_published_vectors() {
        let key = [
            0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
            0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
            0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
        ];
        let first = [66, 9, 149, 187, 161, 142, 100, 80, 0x0a, 0xea, 0x06, 0xe6];
        assert_eq!(toeplitz(&key, first.iter()), 0x51cc_c178);
        assert_eq!(toeplitz(&key, first[..8].iter()), 0x323e_8fc2);
        let last = [153, 39, 163, 191, 202, 188, 127, 2, 0xac, 0xdb, 0x05, 0x17];
        assert_eq!(toeplitz(&key, last.iter()), 0x10e8_28a2);
        assert_eq!(toeplitz(&key, last[..8].iter()), 0x5d18_09c5);
        // The first of the IPv6 rows: 3ffe:2501:200:1fff::7 port 2794 to 3ffe:2501:200:3::1 port 1766.
        let ipv6 = [
            0x3f, 0xfe, 0x25, 0x01, 0x02, 0x00, 0x1f, 0xff, 0, 0, 0, 0, 0, 0, 0, 7, 0x3f, 0xfe,
            0x25, 0x01, 0x02, 0x00, 0x00, 0x03, 0, 0, 0, 0, 0, 0, 0, 1, 0x0a, 0xea, 0x06, 0xe6,
        ];
        assert_eq!(toeplitz(&key, ipv6.iter()), 0x4020_7d3d);
        assert_eq!(toeplitz(&key, ipv6[..32].iter()), 0x2cc1_8cd5);
    }
}
