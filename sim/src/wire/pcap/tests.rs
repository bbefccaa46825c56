//! Captures written by the crate pcap-file, by our own writer and by hand.
use super::*;
use crate::capture::{Capture, Direction};
use crate::phy::fcs;
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::simple_packet::SimplePacketBlock;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::{DataLink, TsResolution};
use proptest::prelude::*;
use std::borrow::Cow;
use std::time::Duration;

fn frame(n: u8) -> Vec<u8> {
    vec![n; 60 + usize::from(n)]
}

fn pcap(link: DataLink, resolution: TsResolution, packets: &[(Duration, u32, Vec<u8>)]) -> Vec<u8> {
    let header = PcapHeader {
        datalink: link,
        ts_resolution: resolution,
        ..PcapHeader::default()
    };
    let mut writer = PcapWriter::with_header(vec![], header).unwrap();
    for (at, original, data) in packets {
        writer
            .write_packet(&PcapPacket::new(*at, *original, data))
            .unwrap();
    }
    writer.into_writer()
}

/// A pcapng file with one interface and packets of raw time stamps and flags.
fn pcapng(
    link: DataLink,
    options: Vec<InterfaceDescriptionOption<'static>>,
    packets: &[(u64, u32, Vec<u8>)],
) -> Vec<u8> {
    let mut writer = PcapNgWriter::new(vec![]).unwrap();
    let interface = InterfaceDescriptionBlock {
        linktype: link,
        snaplen: 0,
        options,
    };
    writer.write_pcapng_block(interface).unwrap();
    for (stamp, flags, data) in packets {
        let block = EnhancedPacketBlock {
            interface_id: 0,
            timestamp: Duration::from_nanos(*stamp),
            original_len: data.len() as u32,
            data: Cow::Borrowed(data),
            options: vec![EnhancedPacketOption::Flags(*flags)],
        };
        writer.write_pcapng_block(block).unwrap();
    }
    writer.into_inner()
}

/// All that is played, with times from the first frame on.
fn play(bytes: &[u8]) -> Vec<(u64, Arrival)> {
    let mut wire = Replay::of_capture(bytes).unwrap();
    assert_eq!(
        wire.next_deadline(5),
        None,
        "nothing before the receiver is on"
    );
    wire.receiver_on(7_000);
    let (mut now, mut out) = (7_000, vec![]);
    while let Some(at) = wire.next_deadline(now) {
        now = at;
        wire.send(now, &[0; 60]);
        let arrival = wire.arrive(now).expect("due");
        out.push((now - 7_000 - LEAD_NS, arrival));
    }
    assert_eq!(wire.arrive(u64::MAX), None);
    out
}

fn times(bytes: &[u8]) -> Vec<u64> {
    play(bytes).into_iter().map(|(at, _)| at).collect()
}

fn refused(bytes: &[u8]) -> String {
    Replay::of_capture(bytes).unwrap_err().to_string()
}

#[test]
fn a_pcap_file_is_played_with_its_gaps_in_either_resolution() {
    let start = Duration::new(1_700_000_000, 999_999_500);
    let packet = |us, n| {
        (
            start + Duration::from_micros(us),
            frame(n).len() as u32,
            frame(n),
        )
    };
    let packets = [
        packet(0, 1),
        packet(3, 2),
        packet(2_000_000, 3),
        packet(1_999_999, 4),
    ];
    for resolution in [TsResolution::MicroSecond, TsResolution::NanoSecond] {
        let played = play(&pcap(DataLink::ETHERNET, resolution, &packets));
        let expected = [(0, 1), (3_000, 2), (2_000_000_000, 3), (2_000_000_000, 4)];
        let expected = expected.map(|(at, n)| (at, Arrival::from(frame(n))));
        assert_eq!(
            played, expected,
            "{resolution:?}; a time that falls is no gap"
        );
    }
}

#[test]
fn time_stamps_count_what_their_interface_says() {
    use InterfaceDescriptionOption::{IfTsOffset, IfTsResol};
    let packets = [(1_000, 0, frame(1)), (1_512, 0, frame(2))];
    for (options, ns) in [
        (vec![], 512_000),
        (vec![IfTsResol(9)], 512),
        (vec![IfTsResol(3), IfTsOffset(99)], 512_000_000),
        (vec![IfTsResol(0x80 | 10)], 500_000_000),
        (vec![IfTsResol(12)], 0),
        (vec![IfTsResol(0x7F)], 0),
        (vec![IfTsResol(0xFF)], 0),
    ] {
        let text = format!("{options:?}");
        assert_eq!(
            times(&pcapng(DataLink::ETHERNET, options, &packets))[1],
            ns,
            "{text}"
        );
    }
}

#[test]
fn our_own_capture_is_played_without_what_the_nic_sent_and_with_its_damage() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.pcapng");
    let mut capture = Capture::create(&path).unwrap();
    for (at, direction, n) in [
        (1_000, Direction::Sent, 1),
        (2_000, Direction::Received, 2),
        (2_750, Direction::Damaged, 3),
    ] {
        capture.frame(at, direction, &frame(n)).unwrap();
    }
    capture.flush().unwrap();
    let played = play(&std::fs::read(&path).unwrap());
    assert_eq!(played.len(), 2);
    assert_eq!(played[0], (0, frame(2).into()));
    let (at, damaged) = &played[1];
    assert_eq!((*at, &damaged.frame), (750, &frame(3)));
    assert!(damaged.fcs.is_some_and(|sum| sum != fcs(&frame(3))));
    let mut wire = Replay::open(&path).unwrap();
    assert_eq!(
        (wire.len(), wire.is_empty(), wire.length_ns()),
        (2, false, 750)
    );
    wire.receiver_on(0);
    assert_eq!(wire.poll(u64::MAX), Some(frame(2)));
    assert_eq!(
        wire.poll(u64::MAX),
        None,
        "a station takes no damaged frame"
    );
    wire.receiver_on(10);
    assert_eq!(
        wire.next_deadline(10),
        Some(10 + LEAD_NS),
        "from the start again"
    );
}

#[test]
fn a_recorded_fcs_is_the_frames_own_and_not_part_of_it() {
    let good = [&frame(5)[..], &fcs(&frame(5))].concat();
    let mut bad = good.clone();
    bad[20] ^= 1;
    let with_len = vec![InterfaceDescriptionOption::IfFcsLen(4)];
    for (options, flags) in [(with_len, 0), (vec![], 4 << 5)] {
        let packets = [(0, flags, good.clone()), (1, flags, bad.clone())];
        let played = play(&pcapng(DataLink::ETHERNET, options, &packets));
        assert_eq!(played[0].1, frame(5).into());
        assert_eq!(played[1].1.frame, bad[..65]);
        assert_eq!(played[1].1.fcs, Some(fcs(&frame(5))));
    }
}

#[test]
fn packets_without_a_time_follow_the_one_before() {
    let mut writer = PcapNgWriter::new(vec![]).unwrap();
    writer
        .write_pcapng_block(InterfaceDescriptionBlock::new(DataLink::ETHERNET, 0))
        .unwrap();
    for n in [1, 2] {
        let block = SimplePacketBlock {
            original_len: frame(n).len() as u32,
            data: Cow::Owned(frame(n)),
        };
        writer.write_pcapng_block(block).unwrap();
    }
    let played = play(&writer.into_inner());
    assert_eq!(played, [(0, frame(1).into()), (0, frame(2).into())]);
}

#[test]
fn what_cannot_be_replayed_is_refused_with_the_packet_and_the_reason() {
    let at = Duration::ZERO;
    let micro = TsResolution::MicroSecond;
    let good = pcap(
        DataLink::ETHERNET,
        micro,
        &[(at, 61, frame(1)), (at, 62, frame(2))],
    );
    let cases = [
        (vec![], "neither a pcap nor a pcapng"),
        (
            b"GIF89a, not a capture".to_vec(),
            "neither a pcap nor a pcapng",
        ),
        (
            good[..good.len() - 1].to_vec(),
            "after packet 1: it ends in the middle",
        ),
        (good[..10].to_vec(), "after packet 0"),
        (pcap(DataLink::ETHERNET, micro, &[]), "no frame"),
        (
            pcap(DataLink::RAW, micro, &[(at, 61, frame(1))]),
            "packet 1 has link type RAW",
        ),
        (
            pcapng(DataLink::LINUX_SLL, vec![], &[(0, 0, frame(1))]),
            "link type LINUX_SLL",
        ),
        (
            pcap(
                DataLink::ETHERNET,
                micro,
                &[(at, 61, frame(1)), (at, 1_514, frame(2))],
            ),
            "packet 2 was cut to 62 of its 1514",
        ),
        (
            pcap(DataLink::ETHERNET, micro, &[(at, 13, vec![0; 13])]),
            "packet 1 has 13 bytes",
        ),
        (
            pcapng(DataLink::ETHERNET, vec![], &[(0, 2, frame(1))]),
            "no frame towards the NIC",
        ),
    ];
    for (bytes, hint) in cases {
        let said = refused(&bytes);
        assert!(said.contains(hint), "{said}, not {hint}");
    }
    let missing = Replay::open("/no/such/file.pcap".as_ref()).unwrap_err();
    assert!(
        missing.to_string().contains("/no/such/file.pcap"),
        "{missing}"
    );
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(magic in 0..5usize, bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let magics = [&[0x0A, 0x0D, 0x0D, 0x0A][..], &[0xD4, 0xC3, 0xB2, 0xA1], &[0xA1, 0xB2, 0x3C, 0x4D], &[0xA1, 0xB2, 0xC3, 0xD4], &[]];
        let _ = Replay::of_capture(&[magics[magic], &bytes].concat());
    }

    #[test]
    fn no_change_to_a_good_file_makes_the_reader_panic(
        ng: bool,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let packets = [(1_000, 1, frame(1)), (2_000, 4 << 5, frame(9))];
        let options = vec![InterfaceDescriptionOption::IfTsResol(9), InterfaceDescriptionOption::IfFcsLen(4)];
        let mut bytes = if ng {
            pcapng(DataLink::ETHERNET, options, &packets)
        } else {
            pcap(DataLink::ETHERNET, TsResolution::NanoSecond, &[(Duration::ZERO, 61, frame(1)), (Duration::ZERO, 62, frame(2))])
        };
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = Replay::of_capture(&bytes);
        let cut = cut.index(bytes.len());
        let _ = Replay::of_capture(&bytes[..cut]);
    }
}
