//! What real programs and the Linux kernel put on a cable, replayed to the whole NIC: what it delivers and what it drops is what etherparse
//! says of the same bytes. The captures and the script that records them are in `captures/`.
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use etherparse::checksum::Sum16BitWords;
use etherparse::{
    EtherType, Ethernet2Slice, IpNumber, Ipv4Slice, Ipv6HeaderSlice, SingleVlanSlice, TcpSlice,
    UdpSlice,
};
use ferrule_abi::counter;
use ferrule_driver::nic::{Checksum, RxFrame, Transport};
use ferrule_driver::{Clock, Nic, NicConfig};
use ferrule_sim::engine::{Kind, Options};
use ferrule_sim::local::{LocalSimulator, NicSetup};
use ferrule_sim::station::Core;
use ferrule_sim::wire::pcap::{Replay, LEAD_NS};
use ferrule_test_tools::have;
use ferrule_tests::bench::MAC;
use ferrule_tests::engines;
use pcap_file::pcap::{PcapPacket, PcapReader, PcapWriter};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// A capture: its name and its bytes, in the pcap format.
type Capture = (&'static str, &'static [u8]);

/// TCP with its options, pings, fragments, IP options, DNS, datagrams with and without checksums, resets, ARP.
const IPV4: Capture = ("ipv4", include_bytes!("captures/ipv4.pcap"));
/// Neighbour discovery, MLD, TCP, UDP and fragments over IPv6.
const IPV6: Capture = ("ipv6", include_bytes!("captures/ipv6.pcap"));
/// IGMP, mDNS, SSDP, a broadcast.
const MULTICAST: Capture = ("multicast", include_bytes!("captures/multicast.pcap"));
/// Frames of up to 9,014 bytes.
const JUMBO: Capture = ("jumbo", include_bytes!("captures/jumbo.pcap"));
/// 802.1Q tags of VLAN 5, and some frames without.
const VLAN: Capture = ("vlan", include_bytes!("captures/vlan.pcap"));
/// Checksums that the kernel has left to a NIC: wrong ones.
const OFFLOAD: Capture = ("offload", include_bytes!("captures/offload.pcap"));
const ALL: [Capture; 6] = [IPV4, IPV6, MULTICAST, JUMBO, VLAN, OFFLOAD];

/// Bytes of the FCS, which captures do not have.
const FCS: usize = 4;
/// Shortest frame without it.
const SHORTEST: usize = 60;
/// The group of mDNS, which a host joins.
const GROUP: [u8; 6] = [0x01, 0x00, 0x5E, 0x00, 0x00, 0xFB];
/// How often the host looks for frames. On the wire fewer than 256, which is how many slots there are, come in that time.
const LOOK_NS: u64 = 100_000;
/// How much longer than their recorded times frames may take to come in, where these are closer than a gigabit per second.
const LATE_NS: u64 = 5_000_000;

/// The frames of a pcap file, none of which is cut.
fn frames((name, file): Capture) -> Vec<Vec<u8>> {
    let mut reader = PcapReader::new(file).expect(name);
    let mut frames = vec![];
    while let Some(packet) = reader.next_packet() {
        let packet = packet.expect(name);
        assert_eq!(packet.orig_len as usize, packet.data.len(), "{name}: cut");
        frames.push(packet.data.into_owned());
    }
    assert!(!frames.is_empty());
    frames
}

/// A pcap file of frames, a microsecond after each other.
fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut writer = PcapWriter::new(vec![]).expect("a header");
    for (frame, at_us) in frames.iter().zip(0..) {
        let at = Duration::from_micros(at_us);
        let packet = PcapPacket::new(at, frame.len() as u32, frame);
        writer.write_packet(&packet).expect("a packet");
    }
    writer.into_writer()
}

/// What is delivered of a frame: its bytes, padded, and what the completion says of them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Delivered {
    bytes: Vec<u8>,
    vlan: Option<u16>,
    ipv4: bool,
    ipv6: bool,
    header_ok: bool,
    transport: Option<Transport>,
    checksum: Checksum,
    fragment: bool,
    l3_offset: Option<u16>,
    l4_offset: Option<u16>,
}

impl Delivered {
    fn of(frame: &RxFrame) -> Self {
        assert!(!frame.truncated && !frame.bad_fcs && !frame.dropped_before);
        assert!(frame.timestamp.is_some());
        Self {
            bytes: frame.to_vec(),
            vlan: frame.vlan,
            ipv4: frame.ipv4,
            ipv6: frame.ipv6,
            header_ok: frame.ip_header_ok,
            transport: frame.transport,
            checksum: frame.checksum,
            fragment: frame.fragment,
            l3_offset: frame.l3_offset,
            l4_offset: frame.l4_offset,
        }
    }
}

/// What becomes of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    Delivered(Delivered),
    /// Longer than the host wants.
    TooLong,
    /// To somebody else, or in a VLAN of somebody else.
    NotOurs,
    /// ARP for the NIC itself.
    Arp,
    /// A wrong header, length or checksum.
    Bad,
}

/// What etherparse says of an IP packet with a right header.
struct Ip {
    fragment: bool,
    transport: Option<Transport>,
    /// Where L4 begins in the packet, if that is told.
    l4_at: Option<usize>,
    /// The checksum of L4 is right, if it is looked at.
    right: Option<bool>,
}

/// None if the header is wrong, or the packet is longer than what holds it.
fn ipv4(bytes: &[u8]) -> Option<Ip> {
    let packet = Ipv4Slice::from_slice(bytes).ok()?;
    let header = packet.header().to_header();
    // Over the bytes: the parsed header lacks the reserved flag.
    let sum = Sum16BitWords::new().add_slice(packet.header().slice());
    if sum.ones_complement() != 0 {
        return None;
    }
    let (from, to) = (header.source, header.destination);
    let l4 = packet.payload().payload;
    let fragment = packet.is_payload_fragmented();
    let transport = transport(header.protocol);
    let right = transport
        .filter(|_| !fragment)
        .map(|transport| match transport {
            Transport::Tcp => TcpSlice::from_slice(l4)
                .is_ok_and(|tcp| Ok(tcp.checksum()) == tcp.calc_checksum_ipv4(from, to)),
            Transport::Udp => UdpSlice::from_slice(l4).is_ok_and(|udp| {
                let header = udp.to_header();
                let sum = header.calc_checksum_ipv4_raw(from, to, udp.payload());
                udp.checksum() == 0 || Ok(udp.checksum()) == sum
            }),
        });
    Some(Ip {
        fragment,
        transport,
        l4_at: (!fragment).then_some(header.header_len()),
        right,
    })
}

/// The same of an IPv6 packet; what is behind extension headers is not looked at.
fn ipv6(bytes: &[u8]) -> Option<Ip> {
    let header = Ipv6HeaderSlice::from_slice(bytes).ok()?;
    let l4_at = header.slice().len();
    let l4 = bytes[l4_at..].get(..header.payload_length().into())?;
    let (from, to) = (header.source(), header.destination());
    let transport = transport(header.next_header());
    let right = transport.map(|transport| match transport {
        Transport::Tcp => TcpSlice::from_slice(l4)
            .is_ok_and(|tcp| Ok(tcp.checksum()) == tcp.calc_checksum_ipv6(from, to)),
        Transport::Udp => UdpSlice::from_slice(l4).is_ok_and(|udp| {
            let header = udp.to_header();
            let sum = header.calc_checksum_ipv6_raw(from, to, udp.payload());
            Ok(udp.checksum()) == sum
        }),
    });
    Some(Ip {
        fragment: header.next_header() == IpNumber::IPV6_FRAGMENTATION_HEADER,
        transport,
        l4_at: transport.map(|_| l4_at),
        right,
    })
}

fn transport(number: IpNumber) -> Option<Transport> {
    match number {
        IpNumber::TCP => Some(Transport::Tcp),
        IpNumber::UDP => Some(Transport::Udp),
        _ => None,
    }
}

/// What a NIC that is set up by `config`, and has joined [`GROUP`], ought to do with a frame, by etherparse.
fn judge(frame: &[u8], config: &NicConfig) -> Fate {
    let mut bytes = frame.to_vec();
    bytes.resize(bytes.len().max(SHORTEST), 0);
    if bytes.len() + FCS > usize::from(config.max_frame) {
        return Fate::TooLong;
    }
    let link = Ethernet2Slice::from_slice_without_fcs(&bytes).expect("a header");
    let to = link.destination();
    let ours = config.promiscuous || [MAC, GROUP, [0xFF; 6]].contains(&to);
    let (mut kind, mut payload) = (link.ether_type(), link.payload_slice());
    let mut tag = None;
    if kind == EtherType::VLAN_TAGGED_FRAME {
        let vlan = SingleVlanSlice::from_slice(payload).expect("a tag");
        let id = vlan.vlan_identifier().value();
        if config.vlans.as_ref().is_some_and(|all| !all.contains(&id)) {
            return Fate::NotOurs;
        }
        let drop_eligible = u16::from(vlan.drop_eligible_indicator());
        tag = Some(u16::from(vlan.priority_code_point().value()) << 13 | drop_eligible << 12 | id);
        (kind, payload) = (vlan.ether_type(), vlan.payload_slice());
    }
    if !ours {
        return Fate::NotOurs;
    }
    if kind == EtherType::ARP && tag.is_none() && !config.deliver_arp {
        return Fate::Arp;
    }
    let stripped = config.vlan_strip && tag.is_some();
    // With a tag taken out, its control information is where the offsets would be.
    let l3 = (bytes.len() - payload.len()) as u16;
    let offset = |at: u16| (!stripped).then_some(at);
    let mut delivered = Delivered {
        vlan: tag.filter(|_| stripped),
        ipv4: kind == EtherType::IPV4,
        ipv6: kind == EtherType::IPV6,
        header_ok: false,
        transport: None,
        checksum: Checksum::NotChecked,
        fragment: false,
        l3_offset: None,
        l4_offset: None,
        bytes: vec![],
    };
    let ip = match kind {
        EtherType::IPV4 => Some(ipv4(payload)),
        EtherType::IPV6 => Some(ipv6(payload)),
        _ => None,
    };
    if let Some(ip) = ip {
        let Some(ip) = ip.filter(|ip| ip.right != Some(false) || config.keep_bad_l4) else {
            return Fate::Bad;
        };
        delivered.header_ok = true;
        delivered.fragment = ip.fragment;
        delivered.transport = ip.transport;
        delivered.l3_offset = offset(l3);
        delivered.l4_offset = ip.l4_at.and_then(|at| offset(l3 + at as u16));
        delivered.checksum = match ip.right {
            None => Checksum::NotChecked,
            Some(true) => Checksum::Good,
            Some(false) => Checksum::Bad,
        };
    }
    if stripped {
        bytes.drain(12..16);
    }
    delivered.bytes = bytes;
    Fate::Delivered(delivered)
}

/// What a NIC has made of a capture.
struct Outcome {
    delivered: Vec<Delivered>,
    too_long: u64,
    not_ours: u64,
    arp: u64,
    bad: u64,
}

/// Plays a capture to a NIC of `kind`; `record` is where the simulator writes what passed. None where the engine needs a tool that is missing.
fn replay(
    kind: Kind,
    capture: &[u8],
    config: &NicConfig,
    record: Option<&Path>,
) -> Option<Outcome> {
    let core = match kind {
        Kind::Verilated => Core::from(engines::verilated()?),
        kind => Core::open(kind, &Options::default()).expect("an engine"),
    };
    let wire = Replay::of_capture(capture).expect("a capture");
    let length_ns = wire.length_ns();
    let mut builder = LocalSimulator::builder().nic(NicSetup::new(core, Box::new(wire)).mac(MAC));
    if let Some(path) = record {
        builder = builder.capture(path);
    }
    let simulator = builder.start().expect("starts");
    let time = Arc::new(simulator.clock());
    let _attached = time.attach();
    let device = Box::new(simulator.device(0).expect("a device"));
    let clock = Arc::clone(&time) as Arc<dyn Clock>;
    let mut nic = Nic::open(device, clock, config).expect("opens");
    nic.join_multicast(GROUP).expect("joins");
    let end = time.now() + LEAD_NS + length_ns + LATE_NS;
    let mut delivered = vec![];
    while time.now() < end {
        let soon = time.now() + LOOK_NS;
        time.wait(&[], Some(soon)).expect("waits");
        let mut got = vec![];
        while nic.rx_batch(64, &mut got).expect("receives") > 0 {}
        delivered.extend(got.iter().map(Delivered::of));
    }
    let stats = nic.stats().expect("counters");
    let sum = |of: &[u32]| of.iter().map(|index| stats.get(*index)).sum();
    let outcome = Outcome {
        delivered,
        too_long: sum(&[counter::RX_DROP_OVERSIZE]),
        not_ours: sum(&[counter::RX_DROP_FILTER]),
        arp: sum(&[counter::RX_ARP]),
        bad: sum(&[
            counter::RX_DROP_IP_HEADER,
            counter::RX_DROP_LENGTH,
            counter::RX_DROP_L4_CSUM,
        ]),
    };
    drop(nic);
    simulator.stop().expect("stops");
    Some(outcome)
}

/// Plays frames to the model and to the engines, and compares what becomes of them with etherparse's judgement.
fn check(what: &str, capture: &[u8], frames: &[Vec<u8>], config: &NicConfig) -> Vec<Fate> {
    let fates: Vec<Fate> = frames.iter().map(|f| judge(f, config)).collect();
    let count = |fate: &Fate| fates.iter().filter(|f| *f == fate).count() as u64;
    let wanted = fates.iter().filter_map(|fate| match fate {
        Fate::Delivered(delivered) => Some(delivered),
        _ => None,
    });
    let wanted: Vec<&Delivered> = wanted.collect();
    for kind in [Kind::Model, Kind::Compiled, Kind::Verilated] {
        let Some(got) = replay(kind, capture, config, None) else {
            continue;
        };
        for (n, (got, wanted)) in got.delivered.iter().zip(&wanted).enumerate() {
            assert_eq!(
                &got, wanted,
                "{what}, {kind}: number {n} of those delivered"
            );
        }
        assert_eq!(got.delivered.len(), wanted.len(), "{what}, {kind}");
        assert_eq!(
            (got.too_long, got.not_ours, got.bad),
            (
                count(&Fate::TooLong),
                count(&Fate::NotOurs),
                count(&Fate::Bad)
            ),
            "{what}, {kind}: too long, not ours, bad"
        );
        if !config.deliver_arp {
            assert_eq!(got.arp, count(&Fate::Arp), "{what}, {kind}: ARP");
        }
    }
    fates
}

/// A host that sees everything on the cable.
fn promiscuous() -> NicConfig {
    NicConfig {
        promiscuous: true,
        deliver_arp: true,
        max_frame: 9_022,
        slot_log2: 14,
        ..NicConfig::default()
    }
}

#[test]
fn a_promiscuous_host_gets_every_frame_of_real_programs_as_it_was_recorded() {
    for capture in ALL {
        let fates = check(capture.0, capture.1, &frames(capture), &promiscuous());
        let bad = fates.iter().filter(|f| **f == Fate::Bad).count();
        let delivered = fates
            .iter()
            .filter(|f| matches!(f, Fate::Delivered(_)))
            .count();
        assert_eq!(bad + delivered, fates.len());
        assert_eq!(bad > 0, capture == OFFLOAD, "{}: {bad} bad", capture.0);
    }
}

#[test]
fn bad_checksums_of_real_programs_are_delivered_and_told_where_the_host_wants_them() {
    let config = NicConfig {
        keep_bad_l4: true,
        ..promiscuous()
    };
    for capture in [IPV4, OFFLOAD] {
        let fates = check(capture.0, capture.1, &frames(capture), &config);
        let is_bad = |f: &&Fate| matches!(f, Fate::Delivered(d) if d.checksum == Checksum::Bad);
        assert_eq!(fates.iter().filter(is_bad).count() > 0, capture == OFFLOAD);
    }
}

#[test]
fn a_host_gets_the_frames_of_real_programs_that_are_for_it() {
    for capture in ALL {
        let fates = check(
            capture.0,
            capture.1,
            &frames(capture),
            &NicConfig::default(),
        );
        let some = |fate: Fate| fates.contains(&fate);
        assert!(some(Fate::NotOurs));
        assert!(fates.iter().any(|f| matches!(f, Fate::Delivered(_))) || capture == IPV6);
        assert_eq!(some(Fate::TooLong), [JUMBO, VLAN].contains(&capture));
        assert_eq!(
            some(Fate::Arp),
            [IPV4, JUMBO, VLAN, OFFLOAD].contains(&capture)
        );
    }
}

#[test]
fn tags_of_real_programs_are_taken_out_or_stay_and_their_vlan_chosen() {
    for vlans in [None, Some(vec![5]), Some(vec![4, 6])] {
        for vlan_strip in [false, true] {
            let config = NicConfig {
                vlan_strip,
                vlans: vlans.clone(),
                max_frame: 1_522,
                ..NicConfig::default()
            };
            let fates = check(
                &format!("{vlans:?}, stripped {vlan_strip}"),
                VLAN.1,
                &frames(VLAN),
                &config,
            );
            let tags = |f: &&Fate| matches!(f, Fate::Delivered(d) if d.vlan == Some(3 << 13 | 5));
            let stripped = fates.iter().filter(tags).count();
            assert_eq!(stripped > 10, vlan_strip && vlans != Some(vec![4, 6]));
        }
    }
}

/// A bit of each packet is turned over, behind the Ethernet header and with the FCS made right again: what a broken switch does.
#[test]
fn damage_to_packets_of_real_programs_is_found_where_etherparse_finds_it() {
    let config = promiscuous();
    for (seed, capture) in (0..).zip([IPV4, MULTICAST, JUMBO, VLAN]) {
        let mut random = StdRng::seed_from_u64(seed);
        let mut frames = frames(capture);
        for frame in &mut frames {
            let link = Ethernet2Slice::from_slice_without_fcs(frame).expect("a header");
            let behind = match link.ether_type() {
                EtherType::IPV4 => 14,
                EtherType::VLAN_TAGGED_FRAME => 18,
                _ => continue,
            };
            // Half of the time in the headers.
            let end = if random.random() {
                frame.len()
            } else {
                frame.len().min(behind + 28)
            };
            frame[random.random_range(behind..end)] ^= 1 << random.random_range(0..8);
        }
        let what = format!("{} damaged by seed {seed}", capture.0);
        let fates = check(&what, &pcap(&frames), &frames, &config);
        assert!(fates.contains(&Fate::Bad), "{what}");
    }
}

/// Numbers of the frames of `file` for which tshark, with every checksum validated, finds `filter` to hold.
fn tshark(file: &Path, filter: &str) -> Vec<usize> {
    let mut command = Command::new("tshark");
    command.arg("-r").arg(file);
    for protocol in ["ip", "tcp", "udp"] {
        command.args(["-o", &format!("{protocol}.check_checksum:TRUE")]);
    }
    command.args(["-Y", filter, "-T", "fields", "-e", "frame.number"]);
    let output = command.output().expect("tshark runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| line.trim().parse().expect("a number"))
        .collect()
}

#[test]
fn tshark_finds_nothing_wrong_with_what_passes_and_as_many_bad_checksums_as_the_nic() {
    const WRONG: &str = "_ws.malformed || ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0 || \
                         icmp.checksum.status == 0 || icmpv6.checksum.status == 0 || igmp.checksum.status == 0";
    if !have(&["tshark"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    for capture in ALL {
        let record = folder.path().join(format!("{}.pcapng", capture.0));
        let config = promiscuous();
        let got = replay(Kind::Compiled, capture.1, &config, Some(&record)).expect("always there");
        let frames = frames(capture);
        // epb_flags: 1 is inbound.
        let passed = tshark(&record, "frame.packet_flags_direction == 1");
        assert_eq!(passed.len(), frames.len(), "{}", capture.0);
        let wrong = tshark(&record, WRONG).len() as u64;
        assert_eq!(wrong, got.bad, "{}", capture.0);
        assert_eq!(wrong > 0, capture == OFFLOAD, "{}", capture.0);
    }
}
