//! Counters: what was replayed to a NIC is counted, and a parser of Prometheus' format reads them.
use crate::common::{ferrule, said, stdout, Server};
use ferrule_abi::counter;
use std::path::Path;
use std::process::{Command, Stdio};

/// A capture that others recorded, of IPv4 between Linux hosts.
const CAPTURE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/tests/nic/captures/ipv4.pcap"
);

fn stats(dir: &Path, device: &str, args: &[&str]) -> Command {
    let mut command = ferrule(dir);
    command.args(["stats", "--device", device]).args(args);
    command
}

#[test]
fn frames_that_are_replayed_are_counted_and_shown_with_their_rate() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let bytes = std::fs::read(CAPTURE).expect("the capture");
    let mut reader = pcap_file::pcap::PcapReader::new(&bytes[..]).expect("a pcap");
    let mut lengths = Vec::new();
    while let Some(packet) = reader.next_packet() {
        lengths.push(packet.expect("a packet").data.len() as u64);
    }
    let wire = format!("pcap:{CAPTURE}");
    let server = Server::start(dir.path(), &["--engine", "model", "--wire", &wire]);
    let mut command = stats(
        dir.path(),
        server.spec(),
        &["--up", "--watch", "0.2", "--count", "10", "--json"],
    );
    let text = stdout(&mut command);
    let moments: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("a JSON object a line"))
        .collect();
    assert_eq!(moments.len(), 10);
    let value = |moment: &serde_json::Value, name: &str, what: &str| {
        let all = moment["counters"].as_array().expect("counters").iter();
        let mut named = all.filter(|c| c["name"] == name);
        named.next().expect("the counter")[what].as_f64()
    };
    let last = moments.last().expect("a moment");
    // A frame on the wire has 60 bytes at least.
    let bytes: u64 = lengths.iter().map(|len| *len.max(&60)).sum();
    for (name, want) in [
        ("rx_frames", lengths.len() as u64),
        ("rx_bytes", bytes),
        ("rx_drop_no_slot", 0),
    ] {
        assert_eq!(
            value(last, name, "value"),
            Some(want as f64),
            "{name}: {last}"
        );
    }
    // The rate is the difference over the NIC's own time.
    for pair in moments.windows(2) {
        let (a, b) = (&pair[0], &pair[1]);
        let seconds =
            (b["time_ns"].as_f64().expect("a time") - a["time_ns"].as_f64().expect("a time")) / 1e9;
        let grown = value(b, "rx_frames", "value").expect("a number")
            - value(a, "rx_frames", "value").expect("a number");
        let told = value(b, "rx_frames", "per_second").expect("a rate");
        assert!(
            (told * seconds - grown).abs() < 1e-6 * grown.max(1.0),
            "{a} {b}"
        );
    }
}

#[test]
fn prometheus_reads_every_counter() {
    let dir = tempfile::tempdir().expect("temporary folder");
    // A path with what must be escaped in a label.
    let folder = dir.path().join("a\"b\\c");
    std::fs::create_dir(&folder).expect("a folder");
    let server = Server::start(&folder, &["--engine", "model"]);
    let text = stdout(&mut stats(&folder, server.spec(), &["--prometheus"]));
    let lines = text.lines().map(|line| Ok(line.to_owned()));
    let scrape = prometheus_parse::Scrape::parse(lines).expect("the exposition format");
    for c in counter::ALL {
        let name = format!("ferrule_{}_total", c.name);
        let sample = scrape.samples.iter().find(|s| s.metric == name);
        let sample = sample.unwrap_or_else(|| panic!("{name} is not there"));
        assert_eq!(
            sample.value,
            prometheus_parse::Value::Counter(0.0),
            "{name}"
        );
        assert_eq!(scrape.docs[&name], c.doc);
        assert!(text.contains(&format!(
            "# HELP {name} {}\n# TYPE {name} counter\n{name}{{",
            c.doc
        )));
    }
    let up = scrape
        .samples
        .iter()
        .find(|s| s.metric == "ferrule_link_up");
    let up = up.expect("the link");
    assert_eq!(up.value, prometheus_parse::Value::Gauge(1.0));
    let escaped = server.spec().replace('\\', r"\\").replace('"', "\\\"");
    assert!(
        text.contains(&format!("ferrule_link_up{{device=\"{escaped}\"}} 1\n")),
        "{text}"
    );
}

#[test]
fn a_reader_that_goes_away_ends_a_watch_without_complaint() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let mut child = stats(dir.path(), "sim:", &["--engine", "model", "--watch", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("ends");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        said(&output)
    );
}
