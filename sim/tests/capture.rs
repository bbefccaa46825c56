//! A capture holds every frame with its simulated time and direction, as another reader of pcapng sees it.
use ferrule_sim::capture::{Capture, Direction};
use ferrule_test_tools::have;
use std::process::Command;

#[test]
fn tshark_reads_times_in_nanoseconds_and_directions() {
    if !have(&["tshark"]) {
        return;
    }
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("c.pcapng");
    let mut capture = Capture::create(&path).expect("create");
    capture
        .frame(1_000_000_001, Direction::Sent, &[0x11; 60])
        .expect("write");
    capture
        .frame(1_000_000_250, Direction::Received, &[0x22; 1514])
        .expect("write");
    capture.flush().expect("flush");
    let out = Command::new("tshark")
        .args([
            "-T",
            "fields",
            "-e",
            "frame.time_epoch",
            "-e",
            "frame.len",
            "-e",
            "frame.packet_flags_direction",
            "-r",
        ])
        .arg(&path)
        .output()
        .expect("tshark runs");
    let text = String::from_utf8_lossy(&out.stdout);
    let rows: Vec<Vec<&str>> = text.lines().map(|l| l.split('\t').collect()).collect();
    assert_eq!(rows.len(), 2, "{text}");
    assert_eq!(&rows[0][..2], ["1.000000001", "60"]);
    assert_eq!(&rows[1][..2], ["1.000000250", "1514"]);
    assert_ne!(rows[0][2], rows[1][2], "directions differ: {text}");
}
