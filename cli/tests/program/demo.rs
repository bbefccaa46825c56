//! The demo, as a new user runs it, and what tshark, which nobody here wrote, sees in its capture.
use crate::common::{ferrule, said};
use ferrule_test_tools::have;
use std::path::Path;
use std::process::Command;

/// Runs the demo in `dir`; gives its JSON.
fn demo(dir: &Path, args: &[&str]) -> serde_json::Value {
    let output = ferrule(dir)
        .arg("demo")
        .args(args)
        .arg("--json")
        .output()
        .expect("runs");
    assert!(output.status.success(), "{args:?}: {}", said(&output));
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// Rows that tshark prints for `filter`, with every checksum validated.
fn tshark(dir: &Path, filter: &str, fields: &[&str]) -> Vec<String> {
    let mut command = Command::new("tshark");
    command.current_dir(dir).args(["-r", "ferrule-demo.pcapng"]);
    for check in [
        "ip.check_checksum",
        "tcp.check_checksum",
        "udp.check_checksum",
    ] {
        command.args(["-o", &format!("{check}:TRUE")]);
    }
    command.args(["-Y", filter, "-T", "fields", "-e", "frame.number"]);
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.output().expect("tshark runs");
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_owned)
        .collect()
}

fn check_capture(dir: &Path) {
    if !have(&["tshark"]) {
        return;
    }
    let bad = "_ws.malformed || ip.checksum.status == 0 || tcp.checksum.status == 0 || udp.checksum.status == 0 || icmp.checksum.status == 0";
    assert_eq!(tshark(dir, bad, &["_ws.col.Info"]), Vec::<String>::new());
    for (what, filter) in [
        (
            "an ARP request from the NIC",
            "arp.opcode == 1 && arp.src.proto_ipv4 == 192.0.2.10",
        ),
        (
            "an ARP reply to it",
            "arp.opcode == 2 && arp.dst.proto_ipv4 == 192.0.2.10",
        ),
        ("a ping and its answer", "icmp.type == 0 && icmp.resp_to"),
        ("UDP", "udp.port == 7"),
        ("an HTTP request", "http.request.method == GET"),
        ("its response", "http.response.code == 200"),
        ("a SYN from us", "tcp.flags == 0x02 && tcp.dstport == 7"),
        (
            "its SYN-ACK",
            "tcp.flags.syn == 1 && tcp.flags.ack == 1 && tcp.srcport == 7",
        ),
        ("a FIN from us", "tcp.flags.fin == 1 && tcp.dstport == 7"),
        (
            "a FIN from the peer",
            "tcp.flags.fin == 1 && tcp.srcport == 7",
        ),
        (
            "packets to the far host by the gateway's MAC address",
            "ip.dst == 198.51.100.2 && eth.dst == 02:00:00:00:00:01",
        ),
    ] {
        assert!(
            !tshark(dir, filter, &[]).is_empty(),
            "the capture lacks {what}"
        );
    }
    let stray = "ip.dst == 198.51.100.2 && eth.dst != 02:00:00:00:00:01";
    assert_eq!(tshark(dir, stray, &[]), Vec::<String>::new());
    let lost = "tcp.analysis.retransmission || tcp.analysis.lost_segment";
    assert_eq!(
        tshark(dir, lost, &["_ws.col.Info"]),
        Vec::<String>::new(),
        "simulated time never runs ahead"
    );
}

#[test]
fn the_native_demo_is_right_and_its_capture_clean() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let report = demo(dir.path(), &["--engine", "native", "--seed", "3"]);
    assert_eq!(report["ok"], true, "{report:#}");
    assert_eq!(report["engine"], "native");
    assert_eq!(report["tcp_bytes"], 4096);
    assert_eq!(report["counters"]["rx_drop_fcs"], 0);
    check_capture(dir.path());
}

#[test]
fn the_verilated_demo_echoes_a_mebibyte() {
    if !have(&["verilator", "g++"]) {
        return;
    }
    let dir = tempfile::tempdir().expect("temporary folder");
    let report = demo(dir.path(), &["--engine", "verilated", "--bytes", "1MiB"]);
    assert_eq!(report["ok"], true, "{report:#}");
    assert_eq!(report["tcp_bytes"], 1 << 20);
    check_capture(dir.path());
}

#[test]
fn on_a_looped_wire_every_frame_comes_back() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let report = demo(dir.path(), &["--engine", "compiled", "--wire", "loopback"]);
    assert_eq!(report["ok"], true, "{report:#}");
    assert_eq!(report["counters"]["tx_frames"], 6);
    assert_eq!(report["counters"]["rx_frames"], 6);
}

#[test]
fn nothing_to_echo_is_echoed_too() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let report = demo(dir.path(), &["--engine", "compiled", "--bytes", "0"]);
    assert_eq!(report["ok"], true, "{report:#}");
}

#[test]
fn a_waveform_is_written_on_request() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let report = demo(
        dir.path(),
        &["--engine", "compiled", "--bytes", "1", "--vcd"],
    );
    assert_eq!(report["ok"], true, "{report:#}");
    let vcd = std::fs::read_to_string(dir.path().join("ferrule-demo.vcd")).expect("a waveform");
    assert!(
        vcd.contains("$enddefinitions") && vcd.contains("gmii_txd"),
        "{}",
        &vcd[..500]
    );
}

/// Runs the demo in process; gives its capture.
fn in_process(engine: &str, seed: &str, bytes: &str) -> Vec<u8> {
    let dir = tempfile::tempdir().expect("temporary folder");
    let args = ["--device", "sim:", "--engine", engine, "--seed", seed];
    let report = demo(dir.path(), &[&args[..], &["--bytes", bytes]].concat());
    assert_eq!(report["ok"], true, "{report:#}");
    check_capture(dir.path());
    std::fs::read(dir.path().join("ferrule-demo.pcapng")).expect("a capture")
}

#[test]
fn in_process_the_same_seed_gives_the_same_capture_byte_for_byte() {
    let first = in_process("model", "7", "1MiB");
    assert!(first.len() > 2 << 20, "{} bytes", first.len());
    assert!(first == in_process("model", "7", "1MiB"), "two runs differ");
    assert!(
        first != in_process("model", "8", "1MiB"),
        "the seed changes nothing"
    );
}

#[test]
fn in_process_the_hardware_description_runs_the_same_twice() {
    let first = in_process("compiled", "7", "64KiB");
    assert!(
        first == in_process("compiled", "7", "64KiB"),
        "two runs differ"
    );
}

#[test]
fn the_model_holds_the_conversation_behind_a_vfio_user_socket_too() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let report = demo(dir.path(), &["--engine", "model"]);
    assert_eq!(report["ok"], true, "{report:#}");
    assert_eq!(report["engine"], "model");
    check_capture(dir.path());
    let report = demo(dir.path(), &["--engine", "model", "--wire", "loopback"]);
    assert_eq!(report["ok"], true, "{report:#}");
}

#[test]
fn a_window_of_the_waveform_holds_that_part_of_the_run_and_starts_with_all_values() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let mut args = vec![
        "--device", "sim:", "--engine", "native", "--wire", "loopback",
    ];
    args.extend(["--trace-window", "20us..22us"]);
    let report = demo(dir.path(), &args);
    assert_eq!(report["files"][1], "ferrule-demo.vcd");
    let vcd = std::fs::read_to_string(dir.path().join("ferrule-demo.vcd")).expect("a waveform");
    let times: Vec<u64> = vcd
        .lines()
        .filter_map(|l| l.strip_prefix('#')?.parse().ok())
        .collect();
    assert!(!times.is_empty());
    // A cycle that starts within the window rises 4 ns later.
    let in_ps = 20_000_000..22_004_000;
    assert!(times.iter().all(|t| in_ps.contains(t)), "{times:?}");
    let (_, dump) = vcd.split_once("$dumpvars").expect("all values");
    let (dump, _) = dump.split_once("$end").expect("its end");
    let signals = vcd.lines().filter(|l| l.starts_with("$var ")).count();
    assert_eq!(dump.lines().filter(|l| !l.is_empty()).count(), signals);
}

/// What the wire did in one direction, by name.
fn wire(report: &serde_json::Value, direction: &str, what: &str) -> u64 {
    report["impairments"][direction][what]
        .as_u64()
        .unwrap_or_else(|| panic!("no {direction}.{what} in {report:#}"))
}

#[test]
fn the_demo_gets_through_a_lossy_wire_and_its_capture_shows_the_retransmissions() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let mut args = vec!["--device", "sim:", "--engine", "model"];
    args.extend(["--bytes", "1MiB", "--seed", "5", "--impair", "loss=2%"]);
    let report = demo(dir.path(), &args);
    assert_eq!(report["ok"], true, "{report:#}");
    assert_eq!(report["tcp_bytes"], 1 << 20);
    assert!(wire(&report, "to_nic", "lost") > 5, "{report:#}");
    assert!(wire(&report, "from_nic", "lost") > 5, "{report:#}");
    if have(&["tshark"]) {
        // The capture is taken at the NIC: what was lost towards it is not there, what it sent is.
        let sent = tshark(dir.path(), "frame.packet_flags_direction == 2", &[]);
        assert_eq!(sent.len() as u64, wire(&report, "from_nic", "entered"));
        let received = tshark(dir.path(), "frame.packet_flags_direction == 1", &[]);
        assert_eq!(received.len() as u64, wire(&report, "to_nic", "delivered"));
        let again = tshark(dir.path(), "tcp.analysis.retransmission", &[]);
        assert!(again.len() > 5, "{again:?}");
    }
    let capture = dir.path().join("ferrule-demo.pcapng");
    let first = std::fs::read(&capture).expect("a capture");
    demo(dir.path(), &args);
    assert!(
        first == std::fs::read(&capture).expect("another"),
        "the same seed loses the same frames"
    );
}

/// Everything that a wire can do to frames, on an engine and for a seed with which some of each happens.
fn badly_treated(engine: &str) {
    let dir = tempfile::tempdir().expect("temporary folder");
    let mut args = vec!["--device", "sim:", "--engine", engine];
    args.extend(["--bytes", "2KiB", "--seed", "30", "--impair"]);
    args.push("loss=2%,rx.corrupt=6%,bits=3,rx.mangle=6%,dup=5%,reorder=5%,delay=50us,jitter=10us,rate=500Mbit");
    let report = demo(dir.path(), &args);
    assert_eq!(report["ok"], true, "{engine}: {report:#}");
    for what in ["lost", "duplicated", "reordered"] {
        let both = wire(&report, "to_nic", what) + wire(&report, "from_nic", what);
        assert!(both > 0, "{engine}: none {what}: {report:#}");
    }
    assert!(
        wire(&report, "to_nic", "mangled") > 0,
        "{engine}: {report:#}"
    );
    assert!(
        wire(&report, "to_nic", "corrupted") > 0,
        "{engine}: {report:#}"
    );
    let dropped = report["counters"]["rx_drop_fcs"].as_u64();
    assert!(
        dropped >= wire(&report, "to_nic", "corrupted").into(),
        "{engine}: {report:#}"
    );
    if have(&["tshark"]) {
        let marked = tshark(dir.path(), "frame.packet_flags_crc_error == 1", &[]);
        assert_eq!(Some(marked.len() as u64), dropped, "{engine}");
    }
}

#[test]
fn damaged_frames_are_dropped_by_the_hardware_and_marked_in_the_capture() {
    badly_treated("compiled");
}

#[test]
fn damaged_frames_are_dropped_by_the_model_and_marked_in_the_capture() {
    badly_treated("model");
}

#[test]
fn a_looped_wire_may_lose_frames_too() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let mut args = vec![
        "--device", "sim:", "--engine", "model", "--wire", "loopback",
    ];
    args.extend(["--impair", "tx.loss=30%,rx.dup=50%"]);
    let report = demo(dir.path(), &args);
    assert_eq!(report["ok"], true, "{report:#}");
    assert!(wire(&report, "from_nic", "lost") > 0, "{report:#}");
    assert!(wire(&report, "to_nic", "duplicated") > 0, "{report:#}");
}
