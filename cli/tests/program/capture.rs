//! What a NIC receives is in the capture, byte for byte and in order, as pcap-file and tshark read it.
use crate::common::{ferrule, said, Server};
use ferrule_test_tools::have;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::{Block, PcapNgReader, PcapNgWriter};
use pcap_file::DataLink;
use rustix::process::{kill_process, Pid, Signal};
use std::borrow::Cow;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

/// A capture that others recorded, of IPv4 between Linux hosts.
const CAPTURE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/tests/nic/captures/ipv4.pcap"
);

/// The frames of a pcap file, as long as they are on a wire.
fn recorded() -> Vec<Vec<u8>> {
    let bytes = std::fs::read(CAPTURE).expect("the capture");
    let mut reader = pcap_file::pcap::PcapReader::new(&bytes[..]).expect("a pcap");
    let mut frames = Vec::new();
    while let Some(packet) = reader.next_packet() {
        let mut frame = packet.expect("a packet").data.into_owned();
        frame.resize(frame.len().max(60), 0);
        frames.push(frame);
    }
    frames
}

/// A frame as pcap-file reads it: since 1970, its epb_flags, its bytes.
type Frame = (Duration, u32, Vec<u8>);

fn frames(pcapng: &[u8]) -> Vec<Frame> {
    let mut reader = PcapNgReader::new(pcapng).expect("a pcapng");
    let mut frames = Vec::new();
    while let Some(block) = reader.next_block() {
        if let Block::EnhancedPacket(packet) = block.expect("a block") {
            assert_eq!(packet.original_len as usize, packet.data.len());
            let mut flags = packet.options.iter().filter_map(|option| match option {
                EnhancedPacketOption::Flags(flags) => Some(*flags),
                _ => None,
            });
            let flags = flags.next().expect("flags");
            frames.push((packet.timestamp, flags, packet.data.into_owned()));
        }
    }
    frames
}

/// How many frames are whole in a file that is being written.
fn whole_frames(pcapng: &[u8]) -> usize {
    let Ok(mut reader) = PcapNgReader::new(pcapng) else {
        return 0;
    };
    let mut count = 0;
    while let Some(Ok(block)) = reader.next_block() {
        count += usize::from(matches!(block, Block::EnhancedPacket(_)));
    }
    count
}

fn capture(dir: &Path, server: &Server, args: &[&str]) -> std::process::Output {
    let output = ferrule(dir)
        .args(["capture", "--device", server.spec()])
        .args(args)
        .output()
        .expect("runs");
    assert!(output.status.success(), "{}", said(&output));
    output
}

#[test]
fn every_frame_is_there_with_its_bytes_and_its_time_of_day() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let wire = format!("pcap:{CAPTURE}");
    let server = Server::start(dir.path(), &["--engine", "model", "--wire", &wire]);
    let recorded = recorded();
    let count = recorded.len().to_string();
    let now = || SystemTime::UNIX_EPOCH.elapsed().expect("after 1970");
    let before = now();
    let args = ["--promiscuous", "--count", &count, "-w", "x.pcapng"];
    let output = capture(dir.path(), &server, &args);
    let after = now();
    assert!(said(&output).contains(&format!("{count} frames captured, none lost")));
    let file = std::fs::read(dir.path().join("x.pcapng")).expect("the file");
    let captured = frames(&file);
    let bytes: Vec<_> = captured.iter().map(|(.., bytes)| bytes.clone()).collect();
    assert!(bytes == recorded, "{} of {count}", bytes.len());
    let mut last = before;
    for (n, (time, flags, _)) in captured.iter().enumerate() {
        assert!(
            *time >= last && *time <= after,
            "frame {n}: {time:?} of {last:?} to {after:?}"
        );
        // epb_flags: inbound, and no error (pcapng, section 4.3.1).
        assert_eq!(*flags, 1, "frame {n}");
        last = *time;
    }
    if have(&["tshark"]) {
        let tshark = |filter: &str| {
            let mut command = Command::new("tshark");
            command
                .current_dir(dir.path())
                .args(["-r", "x.pcapng", "-Y", filter]);
            command.args(["-T", "fields", "-e", "frame.interface_name"]);
            let output = command.output().expect("runs");
            assert!(output.status.success(), "{}", said(&output));
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        assert_eq!(tshark("_ws.malformed"), "");
        let names = tshark("eth");
        assert_eq!(names.lines().count(), recorded.len());
        assert!(names.lines().all(|name| name == server.spec()), "{names}");
    }
}

#[test]
fn a_capture_goes_to_standard_output_and_ends_after_its_count() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let wire = format!("pcap:{CAPTURE}");
    let server = Server::start(dir.path(), &["--engine", "model", "--wire", &wire]);
    let output = capture(
        dir.path(),
        &server,
        &["--promiscuous", "--count", "7", "-w", "-"],
    );
    let bytes: Vec<_> = frames(&output.stdout).into_iter().map(|f| f.2).collect();
    assert_eq!(bytes, recorded()[..7]);
}

/// A frame to everybody with this last byte.
fn broadcast(last: u8) -> Vec<u8> {
    let mut frame = vec![0xFF; 6];
    frame.extend([2, 0, 0, 0, 0, 9, 0x88, 0xB5]);
    frame.resize(60, last);
    frame
}

/// A capture of a broadcast frame, one whose FCS is wrong, one to another station, and a broadcast frame.
fn with_bad_frames() -> Vec<u8> {
    let mut writer = PcapNgWriter::new(Vec::new()).expect("memory");
    writer
        .write_pcapng_block(InterfaceDescriptionBlock {
            linktype: DataLink::ETHERNET,
            snaplen: 0,
            // Times are in 10^-9 s.
            options: vec![InterfaceDescriptionOption::IfTsResol(9)],
        })
        .expect("memory");
    let mut other = broadcast(3);
    other[..6].copy_from_slice(&[2, 0, 0, 0, 0, 8]);
    let frames = [
        (broadcast(1), 1),
        (broadcast(2), 1 | 1 << 24),
        (other, 1),
        (broadcast(4), 1),
    ];
    for (n, (frame, flags)) in (0..).zip(frames) {
        writer
            .write_pcapng_block(EnhancedPacketBlock {
                interface_id: 0,
                timestamp: Duration::from_millis(n),
                original_len: frame.len() as u32,
                data: Cow::Owned(frame),
                options: vec![EnhancedPacketOption::Flags(flags)],
            })
            .expect("memory");
    }
    writer.into_inner()
}

#[test]
fn bad_frames_and_those_to_others_are_there_when_they_are_asked_for() {
    let dir = tempfile::tempdir().expect("temporary folder");
    std::fs::write(dir.path().join("bad.pcapng"), with_bad_frames()).expect("written");
    let args = ["--engine", "model", "--wire", "pcap:bad.pcapng"];
    let server = Server::start(dir.path(), &args);
    for (args, want) in [
        (vec!["--count", "2"], vec![(1, 1), (4, 1)]),
        (
            vec!["--count", "3", "--promiscuous"],
            vec![(1, 1), (3, 1), (4, 1)],
        ),
        (
            vec!["--count", "3", "--bad-frames"],
            vec![(1, 1), (2, 1 | 1 << 24), (4, 1)],
        ),
    ] {
        let output = capture(dir.path(), &server, &[&args[..], &["-w", "-"]].concat());
        let got: Vec<_> = frames(&output.stdout)
            .into_iter()
            .map(|(_, flags, bytes)| (bytes[59], flags))
            .collect();
        assert_eq!(got, want, "{args:?}");
    }
}

#[test]
fn ctrl_c_ends_a_capture_whose_file_is_whole() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let wire = format!("pcap:{CAPTURE}");
    let server = Server::start(dir.path(), &["--engine", "model", "--wire", &wire]);
    let child = ferrule(dir.path())
        .args(["capture", "--device", server.spec()])
        .args(["--promiscuous", "-w", "x.pcapng"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("runs");
    // Frames are in the file as soon as they have come, the last one perhaps in part.
    let recorded = recorded();
    let captured = || std::fs::read(dir.path().join("x.pcapng")).unwrap_or_default();
    let began = Instant::now();
    while whole_frames(&captured()) < recorded.len() {
        assert!(
            began.elapsed() < Duration::from_secs(30),
            "too few frames come"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::INT).expect("it runs");
    let output = child.wait_with_output();
    let output = output.expect("it ends");
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        said(&output).contains("frames captured, none lost"),
        "{}",
        said(&output)
    );
    let bytes: Vec<_> = frames(&captured()).into_iter().map(|f| f.2).collect();
    assert!(bytes == recorded, "{} frames", bytes.len());
}

#[test]
fn a_capture_ends_after_its_time_and_a_file_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let run = |args: &[&str]| {
        let mut command = ferrule(dir.path());
        command.args(["capture", "--engine", "model"]).args(args);
        command.output().expect("runs")
    };
    let output = run(&["--duration", "0.5", "-w", "x.pcapng"]);
    assert!(output.status.success(), "{}", said(&output));
    let file = std::fs::read(dir.path().join("x.pcapng")).expect("the file");
    assert!(frames(&file).is_empty());
    let output = run(&["-w", "nowhere/x.pcapng"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("nowhere/x.pcapng: No such file"),
        "{}",
        said(&output)
    );
}
