//! nc and socat on either side, and programs that use no network.
use std::fs::File;
use std::process::{Command, Stdio};

use crate::lan::{assert_same, said, stdout, Lan, On};

const LEN: usize = 1_000_000;
/// The sides of a conversation: who serves, who calls.
const SIDES: [(On, On); 3] = [
    (On::Nic, On::Kernel),
    (On::Kernel, On::Nic),
    (On::Nic, On::Nic),
];

/// A caller whose standard input is a file.
fn fed(lan: &Lan, mut command: Command, file: &str) -> Command {
    let file = File::open(lan.path(file)).expect("a file");
    command.stdin(Stdio::from(file));
    command
}

#[test]
fn nc_carries_a_file_over_tcp() {
    let Some(lan) = Lan::new("nc", &["nc"]) else {
        return;
    };
    let file = lan.file("file", LEN);
    for (port, (server, caller)) in (5000u16..).zip(SIDES) {
        let port_arg = port.to_string();
        let mut listen = lan.program(server, "nc");
        let listener = lan.start("nc", {
            listen.args(["-l", &port_arg]);
            listen
        });
        lan.wait_for_tcp(port);
        let mut call = lan.program(caller, "nc");
        call.args(["-N", server.address(), &port_arg]);
        stdout(fed(&lan, call, "file"));
        let output = listener.end();
        assert!(output.status.success(), "{}", said(&output));
        assert_same(&output.stdout, &file, &format!("{server:?} {caller:?}"));
    }
}

#[test]
fn nc_carries_a_datagram() {
    let Some(lan) = Lan::new("nc-udp", &["nc"]) else {
        return;
    };
    std::fs::write(lan.path("word"), "a datagram\n").expect("writes a file");
    for (port, (server, caller)) in (5100u16..).zip(SIDES) {
        let port_arg = port.to_string();
        let mut listen = lan.program(server, "nc");
        listen.args(["-u", "-l", "-W", "1", &port_arg]);
        let listener = lan.start("nc", listen);
        lan.wait_for_udp(port);
        let mut call = lan.program(caller, "nc");
        call.args(["-u", "-w", "1", server.address(), &port_arg]);
        stdout(fed(&lan, call, "word"));
        // -W 1: it ends after one datagram.
        let output = listener.end();
        assert!(output.status.success(), "{}", said(&output));
        assert_eq!(output.stdout, b"a datagram\n");
    }
}

#[test]
fn socat_serves_many_with_a_process_each() {
    let Some(lan) = Lan::new("socat", &["socat"]) else {
        return;
    };
    let file = lan.file("file", LEN);
    for (port, (server, caller)) in (5200u16..).zip(SIDES) {
        let mut listen = lan.program(server, "socat");
        listen.args([&format!("TCP-LISTEN:{port},reuseaddr,fork"), "EXEC:cat"]);
        let _listener = lan.start("socat", listen);
        lan.wait_for_tcp(port);
        let there = format!("TCP:{}:{port}", server.address());
        for _ in 0..3 {
            let mut call = lan.program(caller, "socat");
            // Half a connection stays open until cat has said all.
            call.args(["-t", "30", "-", &there]);
            let back = stdout(fed(&lan, call, "file"));
            assert_same(&back, &file, &format!("{server:?} {caller:?}"));
        }
    }
}

#[test]
fn socat_answers_datagrams() {
    let Some(lan) = Lan::new("socat-udp", &["socat"]) else {
        return;
    };
    std::fs::write(lan.path("word"), "a datagram\n").expect("writes a file");
    for (port, (server, caller)) in (5300u16..).zip(SIDES) {
        let mut listen = lan.program(server, "socat");
        listen.args([&format!("UDP-RECVFROM:{port},fork"), "EXEC:cat"]);
        let _listener = lan.start("socat", listen);
        lan.wait_for_udp(port);
        let there = format!("UDP:{}:{port}", server.address());
        for _ in 0..2 {
            let mut call = lan.program(caller, "socat");
            call.args(["-t", "2", "-", &there]);
            let back = stdout(fed(&lan, call, "word"));
            assert_eq!(back, b"a datagram\n", "{server:?} {caller:?}");
        }
    }
}

#[test]
fn programs_without_a_network_are_as_they_were() {
    let Some(lan) = Lan::new("plain", &["ssh", "sh", "sort"]) else {
        return;
    };
    let version = |on| {
        let output = lan.program(on, "ssh").arg("-V").output().expect("ssh runs");
        assert!(output.status.success(), "{}", said(&output));
        output.stderr
    };
    let (ours, theirs) = (version(On::Nic), version(On::Kernel));
    assert!(
        ours.starts_with(b"OpenSSH"),
        "{}",
        String::from_utf8_lossy(&ours)
    );
    assert_eq!(ours, theirs);
    let pipeline = |on| {
        let mut sh = lan.program(on, "sh");
        sh.args(["-c", "for i in 3 1 2; do echo $i; done | sort | tr 123 abc; exec 5<>/dev/null; ls /proc/self/fd | wc -l"]);
        stdout(sh)
    };
    let ours = pipeline(On::Nic);
    assert!(ours.starts_with(b"a\nb\nc\n"));
    assert_eq!(ours, pipeline(On::Kernel));
}
