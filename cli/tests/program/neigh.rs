//! The ARP cache by the program: what is added is static, who answers is learned, what is not there is said.
use crate::common::{ferrule, said, stdout};
use std::process::Output;

fn neigh(args: &[&str]) -> Output {
    let dir = tempfile::tempdir().expect("temporary folder");
    let mut command = ferrule(dir.path());
    command.arg("neigh").args(args).args(["--engine", "model"]);
    command.output().expect("runs")
}

/// The cache as `--json` prints it.
fn entries(args: &[&str]) -> Vec<serde_json::Value> {
    let output = neigh(&[args, &["--json"]].concat());
    assert!(output.status.success(), "{args:?}: {}", said(&output));
    serde_json::from_slice(&output.stdout).expect("a JSON array")
}

#[test]
fn an_entry_that_is_added_is_static() {
    let entries = entries(&["add", "192.0.2.7", "02:00:00:00:00:77"]);
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!(entries[0]["address"], "192.0.2.7");
    assert_eq!(entries[0]["mac"], "02:00:00:00:00:77");
    assert_eq!(entries[0]["state"], "static");
}

#[test]
fn who_answers_on_the_simulated_lan_is_learned_with_its_mac_address() {
    let entries = entries(&["ask", "192.0.2.2"]);
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!(entries[0]["address"], "192.0.2.2");
    assert_eq!(entries[0]["state"], "learned");
    // As the hosts of the simulated LAN have it: sim/src/wire/lan.
    let mac = ferrule_driver::nic::mac_text(&ferrule_sim::wire::lan::PEER_MAC);
    assert_eq!(entries[0]["mac"], mac);
    assert!(entries[0]["age_seconds"]
        .as_f64()
        .is_some_and(|age| age < 60.0));
}

#[test]
fn nobody_who_answers_and_nothing_to_delete_are_said() {
    for (args, status, hint) in [
        (
            &["ask", "192.0.2.99"][..],
            1,
            "nobody answers for 192.0.2.99",
        ),
        (&["ask", "198.51.100.2"], 2, "--address"),
        (&["del", "192.0.2.7"], 1, "no entry for 192.0.2.7"),
        (
            &["add", "224.0.0.1", "02:00:00:00:00:77"],
            1,
            "not the address of a host",
        ),
        (&["add", "192.0.2.7", "01:00:00:00:00:77"], 1, "a group's"),
        (&["add", "192.0.2.7", "2:0:0:0:0:1"], 2, "no MAC address"),
    ] {
        let output = neigh(args);
        assert_eq!(
            output.status.code(),
            Some(status),
            "{args:?}: {}",
            said(&output)
        );
        assert!(said(&output).contains(hint), "{args:?}: {}", said(&output));
    }
}

#[test]
fn an_empty_cache_is_said_to_be_empty_and_a_flush_leaves_it_so() {
    let dir = tempfile::tempdir().expect("temporary folder");
    for action in ["show", "flush"] {
        let mut command = ferrule(dir.path());
        let text = stdout(command.args(["neigh", action, "--engine", "model"]));
        assert_eq!(text, "the ARP cache is empty\n");
    }
}
