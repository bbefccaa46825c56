//! iperf3 both ways, with TCP and UDP: it counts itself what arrived.
use serde_json::Value;

use crate::lan::{said, stdout, Lan, On};

const BYTES: u64 = 4_000_000;
const DATAGRAMS: u64 = 200;

/// One run against a server that ends after it; the client's report.
fn run(lan: &Lan, server: On, client: On, port: u16, args: &[&str]) -> Value {
    let port_arg = port.to_string();
    let mut serve = lan.program(server, "iperf3");
    serve.args(["-4", "-s", "-1", "-p", &port_arg]);
    let serving = lan.start("iperf3", serve);
    lan.wait_for_tcp(port);
    let mut call = lan.program(client, "iperf3");
    call.args(["-4", "-J", "-c", server.address(), "-p", &port_arg]);
    call.args(args);
    let report = stdout(call);
    let output = serving.end();
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&report).expect("a report")
}

fn count(report: &Value, at: &str) -> u64 {
    let count = report.pointer(at).and_then(Value::as_u64);
    count.unwrap_or_else(|| panic!("no {at} in {report}"))
}

#[test]
fn iperf3_moves_bytes_both_ways() {
    let Some(lan) = Lan::new("iperf", &["iperf3"]) else {
        return;
    };
    let bytes = BYTES.to_string();
    let mut port = 5201;
    for (server, client) in [
        (On::Nic, On::Kernel),
        (On::Kernel, On::Nic),
        (On::Nic, On::Nic),
    ] {
        for way in [&[][..], &["-R"]] {
            let args = [&["-n", &bytes][..], way].concat();
            let report = run(&lan, server, client, port, &args);
            let received = count(&report, "/end/sum_received/bytes");
            // Whoever receives ends when the sender says so, on another connection: what is on the way then, as much as all buffers hold, it
            // does not count.
            let sent = count(&report, "/end/sum_sent/bytes");
            assert!(sent >= BYTES, "{server:?} {client:?} {way:?}: {report}");
            assert!(received > 0 && received <= sent, "{report}");
            port += 1;
        }
    }
}

#[test]
fn iperf3_moves_datagrams_both_ways() {
    let Some(lan) = Lan::new("iperf-udp", &["iperf3"]) else {
        return;
    };
    let count_arg = DATAGRAMS.to_string();
    let mut port = 5301;
    for (server, client) in [(On::Nic, On::Kernel), (On::Kernel, On::Nic)] {
        for way in [&[][..], &["-R"]] {
            let args = ["-u", "-b", "5M", "-l", "1000", "-k", &count_arg];
            let report = run(&lan, server, client, port, &[&args[..], way].concat());
            let packets = count(&report, "/end/sum/packets");
            let lost = count(&report, "/end/sum/lost_packets");
            assert!(packets >= DATAGRAMS / 2, "{report}");
            // A machine that is busy with other things may lose some, as with the kernel.
            assert!(lost < packets / 2, "{report}");
            port += 1;
        }
    }
}
