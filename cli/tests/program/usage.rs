//! A command line that makes no sense gets one clear sentence and exit status 2; every command explains itself.
use crate::common::{ferrule, said};

#[test]
fn nonsense_is_refused_with_a_sentence_and_status_2() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let cases: [(&[&str], &str); 25] = [
        (&["frobnicate"], "frobnicate"),
        (&["demo", "--bytes", "many"], "not an amount of data"),
        (&["demo", "--engine", "steam"], "steam"),
        (&["demo", "--wire", "string"], "there is no wire"),
        (&["demo", "--wire", "tap:"], "interface's name"),
        (&["demo", "--device", "pci:0000:01:00.0"], "sim:"),
        (
            &["demo", "--device", "sim:", "--wire", "tap:none"],
            "the machine's time",
        ),
        (&["demo", "--trace-window", "20us"], "FROM..TO"),
        (&["demo", "--trace-window", "9us..2us"], "is empty"),
        (&["demo", "--impair", "lose=1%"], "choose loss"),
        (&["serve", "--socket", "s", "--impair", "loss=2"], "0.5%"),
        (
            &[
                "ping",
                "--device",
                "vfio-user:s",
                "--impair",
                "loss=2%",
                "192.0.2.2",
            ],
            "cannot be used with",
        ),
        (&["serve", "--socket", "s", "--wire", "pcap:"], "pcap:FILE"),
        (&["demo", "--wire", "pcap:x.pcap"], "ferrule serve"),
        (
            &["ping", "--wire", "pcap:x.pcap", "192.0.2.2"],
            "ferrule serve",
        ),
        (&["ping"], "HOST"),
        (
            &["ping", "--address", "192.0.2.10", "192.0.2.2"],
            "prefix length",
        ),
        (&["serve"], "--socket"),
        (&["selftest", "--wire", "tap:none"], "ferrule serve"),
        (&["capture"], "--write"),
        (&["stats", "--watch", "0"], "no time in seconds"),
        (&["stats", "--count", "3"], "--watch"),
        (&["regs", "export", "--format", "vhdl"], "svd"),
        (&["verilog", "-o", "out", "--board", "ac702"], "ac701"),
        (
            &["selftest", "--device", "vfio-user:s", "--impair", "loss=2%"],
            "ferrule serve",
        ),
    ];
    for (args, hint) in cases {
        let output = ferrule(dir.path()).args(args).output().expect("runs");
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", said(&output));
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(
            error.contains(hint),
            "{args:?} does not mention {hint:?}: {error}"
        );
        assert!(output.stdout.is_empty(), "{args:?}: {}", said(&output));
    }
}

#[test]
fn every_command_has_help_with_an_example() {
    let dir = tempfile::tempdir().expect("temporary folder");
    for command in [
        "demo",
        "serve",
        "ping",
        "list",
        "bind",
        "unbind",
        "selftest",
        "info",
        "regs",
        "regs dump",
        "regs export",
        "stats",
        "capture",
        "neigh",
        "neigh show",
        "neigh add",
        "neigh del",
        "neigh flush",
        "neigh ask",
        "run",
        "stackd",
        "verilog",
        "boards",
    ] {
        let output = ferrule(dir.path())
            .args(command.split(' ').chain(["--help"]))
            .output()
            .expect("runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{command}: {}", said(&output));
        assert!(
            text.contains("Example") && text.contains(&format!("ferrule {command}")),
            "{command}: {text}"
        );
    }
}

#[test]
fn a_capture_that_cannot_be_written_is_named_with_the_reason() {
    let dir = tempfile::tempdir().expect("temporary folder");
    std::fs::create_dir(dir.path().join("ferrule-demo.pcapng")).expect("a folder in the way");
    let output = ferrule(dir.path())
        .args(["demo", "--engine", "native"])
        .output()
        .expect("runs");
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        error.contains("ferrule-demo.pcapng") && error.contains("directory"),
        "{error}"
    );
}

#[test]
fn a_capture_that_cannot_be_replayed_is_named_with_the_reason() {
    let dir = tempfile::tempdir().expect("temporary folder");
    std::fs::write(dir.path().join("x.pcap"), "not a capture").expect("written");
    for (file, hint) in [
        ("x.pcap", "neither a pcap nor a pcapng"),
        ("y.pcap", "No such file"),
    ] {
        let output = ferrule(dir.path())
            .args(["serve", "--socket", "s", "--wire", &format!("pcap:{file}")])
            .output()
            .expect("runs");
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains(file) && error.contains(hint), "{error}");
    }
}

#[test]
fn a_device_that_is_not_there_is_named_with_what_to_do() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let output = ferrule(dir.path())
        .args(["ping", "--device", "vfio-user:./nobody.sock", "192.0.2.2"])
        .output()
        .expect("runs");
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        error.contains("nobody.sock") && error.contains("ferrule serve"),
        "{error}"
    );
    let output = ferrule(dir.path())
        .args(["ping", "--device", "eth0", "192.0.2.2"])
        .output()
        .expect("runs");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        error.contains("pci:") && error.contains("vfio-user:"),
        "{error}"
    );
}
