//! Packets that the NIC cuts into TCP segments, beside the segments that the Linux kernel makes of the same packets (its generic segmentation).
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use etherparse::{IpNumber, Ipv4Header, Ipv4Options, TcpHeader};
use ferrule_abi::counter;
use ferrule_abi::ring::{cqe_status, sqe_flags};
use ferrule_kernel_wire::{namespace, wait, Tun};
use ferrule_tests::bench::{Bench, Layout};
use ferrule_tests::engines;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Gives packets to the kernel for `wire0` as a virtual machine does: with a virtio-net header that asks for segmentation.
/// A line of input has the MSS, the bytes of the IPv4 header, those of both headers, and the packet in hexadecimal.
const SENDER: &str = r"
import socket, struct, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
s.setsockopt(263, 15, 1)  # SOL_PACKET, PACKET_VNET_HDR
s.setsockopt(socket.SOL_SOCKET, 32, 4 << 20)  # SO_SNDBUFFORCE
s.bind(('wire0', 0x0800))
for line in sys.stdin:
    mss, ip, headers, packet = line.split()
    packet = bytes.fromhex(packet)
    single = len(packet) - int(headers) <= int(mss)
    # VIRTIO_NET_HDR_F_NEEDS_CSUM, VIRTIO_NET_HDR_GSO_TCPV4
    header = struct.pack('<BBHHHH', 1, 0 if single else 1, int(headers), 0 if single else int(mss), int(ip), 16)
    s.send(header + packet)
";

struct Packet {
    bytes: Vec<u8>,
    ip_bytes: usize,
    header_bytes: usize,
    mss: u16,
}

impl Packet {
    /// To everybody, so that no neighbour is asked for. The IPv4 checksum is right and TCP's is the pseudo-header's sum, as the kernel wants it.
    fn random(r: &mut StdRng) -> Self {
        let words = |r: &mut StdRng| match r.random_bool(0.5) {
            // No operation.
            true => vec![1; 4 * r.random_range(0..=10)],
            false => vec![],
        };
        let mut tcp = TcpHeader::new(4000, 80, r.random(), r.random());
        (tcp.ack, tcp.fin, tcp.psh) = (true, r.random(), r.random());
        (tcp.cwr, tcp.ece, tcp.urg) = (r.random(), r.random(), r.random());
        tcp.acknowledgment_number = r.random();
        if r.random_bool(0.3) {
            tcp.sequence_number = u32::MAX - r.random_range(0..3000);
        }
        tcp.set_options_raw(&words(r)).expect("whole words");
        let mss = r.random_range(1..=1380);
        let payload = r.random_range(1..=usize::from(mss) * 11);
        let tcp_bytes = tcp.header_len() + payload;
        let (from, to) = ([10, 9, 0, 2], [255; 4]);
        let mut ip = Ipv4Header::new(0, 64, IpNumber::TCP, from, to).expect("no payload yet");
        ip.options = Ipv4Options::try_from(&words(r)[..]).expect("whole words");
        ip.set_payload_len(tcp_bytes).expect("short enough");
        ip.identification = if r.random_bool(0.3) {
            0xFFFD
        } else {
            r.random()
        };
        // The kernel gives segments of a packet that may not be fragmented numbers of their own, too.
        ip.dont_fragment = r.random();
        ip.header_checksum = ip.calc_header_checksum();
        let pseudo = [from, to, [0, 6, (tcp_bytes >> 8) as u8, tcp_bytes as u8]];
        let sum = pseudo.as_flattened().chunks(2).fold(0_u32, |sum, half| {
            sum + u32::from(u16::from_be_bytes([half[0], half[1]]))
        });
        tcp.checksum = (sum % 0xFFFF) as u16;
        let mut bytes = ip.to_bytes().to_vec();
        let ip_bytes = bytes.len();
        bytes.extend(tcp.to_bytes());
        let header_bytes = bytes.len();
        bytes.extend((0..payload).map(|_| r.random::<u8>()));
        Self {
            bytes,
            ip_bytes,
            header_bytes,
            mss,
        }
    }

    fn line(&self) -> String {
        let hex: String = self.bytes.iter().map(|b| format!("{b:02x}")).collect();
        format!(
            "{} {} {} {hex}\n",
            self.mss, self.ip_bytes, self.header_bytes
        )
    }

    fn segments(&self) -> usize {
        (self.bytes.len() - self.header_bytes).div_ceil(self.mss.into())
    }

    /// Sends it to its end.
    fn post(&self, b: &mut Bench, flags: u16, tci: u16) {
        b.post_segmented(&self.bytes, self.header_bytes, self.mss, flags, tci);
        b.ring_tx(false);
        b.settle();
    }
}

/// The kernel's segments of each packet.
fn kernels(packets: &[Packet]) -> Vec<Vec<Vec<u8>>> {
    namespace::enter().expect("a namespace");
    let mut tun = Tun::open([10, 9, 0, 1].into(), 24).expect("a TUN device");
    let mut sender = Command::new("python3")
        .args(["-c", SENDER])
        .stdin(Stdio::piped())
        .spawn()
        .expect("python3");
    let mut input = sender.stdin.take().expect("its input");
    let mut all = vec![];
    for (n, packet) in packets.iter().enumerate() {
        input
            .write_all(packet.line().as_bytes())
            .expect("python3 reads");
        input.flush().expect("python3 reads");
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut segments = vec![];
        while segments.len() < packet.segments() {
            assert!(
                Instant::now() < deadline,
                "packet {n}: {} segments",
                segments.len()
            );
            wait(&[&tun], Duration::from_millis(50)).expect("poll");
            while let Some(segment) = tun.recv().expect("the device") {
                if segment[9] == 6 {
                    segments.push(segment);
                }
            }
        }
        all.push(segments);
    }
    drop(input);
    assert!(sender.wait().expect("python3").success());
    all
}

#[test]
fn segments_are_those_of_the_kernel() {
    if !ferrule_test_tools::have(&["python3"]) {
        return;
    }
    if let Some(what) = namespace::missing() {
        assert!(!ferrule_test_tools::missing(what));
        return;
    }
    const SEED: u64 = 0x7050;
    let mut random = StdRng::seed_from_u64(SEED);
    let packets: Vec<Packet> = (0..60).map(|_| Packet::random(&mut random)).collect();
    let expected = std::thread::scope(|scope| {
        scope
            .spawn(|| kernels(&packets))
            .join()
            .expect("the kernel's segments")
    });
    let mut b = Bench::new(engines::compiled(), &Layout::default());
    let mut sent = 0;
    for (n, (packet, expected)) in packets.iter().zip(&expected).enumerate() {
        packet.post(&mut b, 0, 0);
        // Without Ethernet header and padding.
        let total = |f: &[u8]| usize::from(u16::from_be_bytes([f[16], f[17]]));
        let segments: Vec<Vec<u8>> = b
            .frames()
            .iter()
            .map(|f| f[14..14 + total(f)].to_vec())
            .collect();
        assert_eq!(&segments, expected, "packet {n} of seed {SEED:#x}");
        sent += expected.len() as u64;
        let done = b.tx_completions();
        assert_eq!(done.iter().map(|c| c.status).collect::<Vec<_>>(), [0]);
    }
    assert_eq!(b.counter(counter::TX_FRAMES), sent);
    b.check_link();
}

#[test]
fn each_segment_gets_the_tag_and_the_last_ones_time_is_told() {
    let mut random = StdRng::seed_from_u64(1);
    let mut packet = Packet::random(&mut random);
    packet.mss = 100;
    let mut b = Bench::new(engines::compiled(), &Layout::default());
    packet.post(&mut b, sqe_flags::VLAN_INS | sqe_flags::TS_REQ, 0x6123);
    let frames = b.frames();
    assert_eq!(frames.len(), packet.segments());
    assert!(frames.len() > 3);
    for frame in &frames {
        assert_eq!(frame[12..18], [0x81, 0x00, 0x61, 0x23, 0x08, 0x00]);
    }
    let done = b.tx_completions();
    assert_eq!(
        done.iter().map(|c| c.status).collect::<Vec<_>>(),
        [cqe_status::TS_VALID]
    );
}

#[test]
fn a_packet_without_a_neighbour_is_one_miss() {
    let mut random = StdRng::seed_from_u64(2);
    let mut packet = Packet::random(&mut random);
    packet.mss = 50;
    let unknown = [192, 0, 2, 77];
    packet.bytes[16..20].copy_from_slice(&unknown);
    let mut b = Bench::new(engines::compiled(), &Layout::default());
    packet.post(&mut b, 0, 0);
    // Only the request for the neighbour goes out.
    let types: Vec<_> = b.frames().iter().map(|f| [f[12], f[13]]).collect();
    assert_eq!(types, [[0x08, 0x06]]);
    let done = b.tx_completions();
    assert_eq!(done.len(), 1);
    assert_eq!(
        (done[0].status, done[0].hash),
        (cqe_status::ARP_MISS, u32::from_be_bytes(unknown))
    );
    assert_eq!(b.counter(counter::ARP_MISSES), 1);
}
