//! A sound NIC passes the self-test, wherever it is; one that is not sound fails it, and the program says so.
use crate::common::{ferrule, said, Server};
use std::path::Path;
use std::process::Output;

fn selftest(dir: &Path, args: &[&str]) -> Output {
    let mut command = ferrule(dir);
    command.arg("selftest").args(args).output().expect("runs")
}

/// The verdict of each check by its name.
fn verdicts(output: &Output) -> Vec<(String, String)> {
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let checks = report["checks"].as_array().expect("checks").iter();
    let text = |check: &serde_json::Value, key: &str| check[key].as_str().expect("text").to_owned();
    checks
        .map(|c| (text(c, "name"), text(c, "verdict")))
        .collect()
}

#[test]
fn a_sound_nic_passes_every_check_in_process_and_behind_a_socket() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let server = Server::start(dir.path(), &["--engine", "model"]);
    for (device, quick) in [
        (vec!["--engine", "model"], false),
        (vec!["--engine", "compiled"], true),
        (vec!["--device", server.spec()], false),
    ] {
        let mut args = vec!["--json", "--isolation"];
        args.extend(device);
        args.extend(quick.then_some("--quick"));
        let output = selftest(dir.path(), &args);
        assert!(output.status.success(), "{args:?}: {}", said(&output));
        let verdicts = verdicts(&output);
        let bad = verdicts.iter().find(|(_, verdict)| verdict != "pass");
        assert_eq!(bad, None, "{args:?}: {}", said(&output));
        let vectors = verdicts.iter().filter(|(n, _)| n.starts_with("interrupt"));
        assert_eq!(vectors.count(), usize::from(ferrule_abi::MSIX_VECTORS));
    }
}

#[test]
fn the_table_has_a_row_for_each_check_and_a_sum() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let output = selftest(dir.path(), &["--engine", "model", "--quick", "--isolation"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        text.contains("each byte compared") && text.contains("23 passed, 0 failed, 0 skipped"),
        "{text}"
    );
}
