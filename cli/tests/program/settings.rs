//! Settings of `ferrule run` and `ferrule stackd` from the command line, the environment and a file.
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::common::{ferrule, said};
use ferrule_test_tools::have;

/// Debian's: what PATH has first may be a shell script that looks for one.
const PYTHON: &str = "/usr/bin/python3";
/// Prints the address that a connection to the simulated LAN's web server comes from.
const FROM: &str =
    "import socket, sys; print(socket.create_connection((sys.argv[1], 80)).getsockname()[0])";

/// `ferrule run` on a simulated NIC, with none of the variables set.
fn run(dir: &Path) -> Command {
    let mut run = ferrule(dir);
    for variable in ["DEVICE", "ADDRESS", "GATEWAY", "CONFIG", "RULES"] {
        run.env_remove(format!("FERRULE_{variable}"));
    }
    run.args(["run", "--engine", "model"]);
    run
}

fn output(command: &mut Command) -> Output {
    command.output().expect("runs")
}

/// Makes sure that a command ends with a status and an error that has all of these in it.
fn refuses(command: &mut Command, status: i32, hints: &[&str], place: &str) {
    let output = output(command);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        output.status.code(),
        Some(status),
        "{place}: {}",
        said(&output)
    );
    for hint in hints {
        assert!(error.contains(hint), "{place}: no {hint:?} in {error}");
    }
}

#[test]
fn a_file_that_makes_no_sense_is_named_with_the_line_and_what_is_right() {
    let dir = tempfile::tempdir().expect("temporary folder");
    for (text, hints) in [
        ("device = 7", ["line 1", "string"]),
        ("\nadress = []", ["line 2", "`addresses`"]),
        ("addresses = [\"10.0.0.2\"]", ["line 1", "192.0.2.10/24"]),
        ("addresses = \"10.0.0.2/24\"", ["line 1", "sequence"]),
        ("\n\ngateway = \"router\"", ["line 3", "gateway"]),
        ("mtu = 9001", ["line 1", "68 to 9000"]),
        ("mtu = -1", ["line 1", "68 to 9000"]),
        ("[[routes]]\nto = \"10.0.0.0/8\"", ["line 1", "`via`"]),
        ("[[routes]]\nto = \"10.0.0.0\"", ["line 2", "prefix length"]),
        ("[ports]\nnic = [80, \"http\"]", ["line 2", "8000-8999"]),
        ("[ports]\nkernel = [0]", ["line 2", "1 to 65535"]),
        ("[ports]\nboth = [80]", ["line 2", "`nic`"]),
        (
            "[programs]\n\nkernel = [\"/bin/ssh\"]",
            ["line 3", "without its folder"],
        ),
        ("mtu = 1500\nmtu = 1500", ["line 2", "duplicate"]),
        ("= 3", ["line 1", "key"]),
    ] {
        fs::write(dir.path().join("nic.toml"), text).expect("a file");
        for command in ["run", "stackd"] {
            let mut ferrule = ferrule(dir.path());
            ferrule.args([command, "--config", "nic.toml"]);
            if command == "run" {
                ferrule.args(["--", "true"]);
            }
            let [first, second] = hints;
            refuses(&mut ferrule, 2, &[first, second, "nic.toml"], text);
        }
    }
    let mut missing = run(dir.path());
    missing.args(["--config", "no.toml", "--", "true"]);
    refuses(&mut missing, 2, &["no.toml", "FERRULE_CONFIG"], "no file");
}

#[test]
fn a_variable_that_makes_no_sense_is_named() {
    let dir = tempfile::tempdir().expect("temporary folder");
    for (variable, value, hint) in [
        ("FERRULE_ADDRESS", "192.0.2.1", "prefix length"),
        ("FERRULE_GATEWAY", "router", "192.0.2.1"),
        ("FERRULE_RULES", "ports.all=80", "ports.kernel="),
        ("FERRULE_DEVICE", "sim:", "simulated time"),
    ] {
        let mut run = run(dir.path());
        run.env(variable, value).args(["--", "true"]);
        refuses(&mut run, 2, &[hint], variable);
    }
    let mut run = run(dir.path());
    run.args(["--route", "203.0.113.0/24=10.0.0.1", "--", "true"]);
    refuses(
        &mut run,
        1,
        &["203.0.113.0/24", "10.0.0.1"],
        "a gateway that is no neighbour",
    );
}

#[test]
fn the_command_line_goes_before_the_environment_and_that_before_the_file() {
    if !have(&[PYTHON]) {
        return;
    }
    let dir = tempfile::tempdir().expect("temporary folder");
    let file = "addresses = [\"192.0.2.77/24\", \"192.0.2.78/24\"]\nmtu = 1000\nbusy-poll = 1\n";
    fs::write(dir.path().join("nic.toml"), file).expect("a file");
    let (file, address) = (Some("nic.toml"), Some("192.0.2.79/24"));
    for (config, variable, option, from) in [
        (None, None, None, "192.0.2.10"),
        (file, None, None, "192.0.2.77"),
        (file, address, None, "192.0.2.79"),
        (file, address, Some("192.0.2.80/24"), "192.0.2.80"),
        (None, None, Some("192.0.2.81/24"), "192.0.2.81"),
    ] {
        let mut run = run(dir.path());
        if let Some(config) = config {
            run.env("FERRULE_CONFIG", config);
        }
        if let Some(address) = variable {
            run.env("FERRULE_ADDRESS", address);
        }
        if let Some(address) = option {
            run.args(["--address", address]);
        }
        let output = output(run.args(["--", PYTHON, "-c", FROM, "192.0.2.2"]));
        assert!(output.status.success(), "{}", said(&output));
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), from);
    }
}

/// The LAN's second subnet is behind its router (ferrule_sim::wire::lan).
#[test]
fn what_is_elsewhere_is_reached_by_a_gateway_or_a_route_or_not_at_all() {
    if !have(&[PYTHON]) {
        return;
    }
    let dir = tempfile::tempdir().expect("temporary folder");
    let own = "addresses = [\"192.0.2.77/24\"]\n";
    let route = format!("{own}[[routes]]\nto = \"198.51.100.0/24\"\nvia = \"192.0.2.1\"\n");
    for (file, works) in [
        (own, true),
        (
            "addresses = [\"192.0.2.77/24\"]\ngateway = \"192.0.2.1\"\n",
            true,
        ),
        (&route, true),
        ("addresses = [\"192.0.3.77/24\"]\n", false),
    ] {
        fs::write(dir.path().join("nic.toml"), file).expect("a file");
        let output = output(run(dir.path()).args([
            "--config",
            "nic.toml",
            "--",
            PYTHON,
            "-c",
            FROM,
            "198.51.100.2",
        ]));
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), works, "{file}: {}", said(&output));
        assert!(works || error.contains("Network is unreachable"), "{error}");
    }
}
