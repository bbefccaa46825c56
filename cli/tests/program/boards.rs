//! Boards: listed for people and programs, and each written with all that its bitstream is made of.
use crate::common::{ferrule, said};
use std::collections::BTreeSet;

fn listed() -> Vec<serde_json::Value> {
    let dir = tempfile::tempdir().expect("temporary folder");
    let output = ferrule(dir.path()).args(["boards", "--json"]).output();
    let output = output.expect("runs");
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout).expect("a JSON array")
}

#[test]
fn none_is_said_to_have_run_on_silicon() {
    let boards = listed();
    let names: Vec<_> = boards.iter().map(|b| b["name"].as_str()).collect();
    for name in ["arty-a7-35", "arty-a7-100", "ac701", "ax7203", "kc705"] {
        assert!(names.contains(&Some(name)), "{names:?}");
    }
    for board in &boards {
        assert_eq!(board["tested"]["silicon"], false, "{board}");
        let guide = board["guide"].as_str().expect("a path");
        let guide = format!("{}/../{guide}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&guide).unwrap_or_else(|e| panic!("{guide}: {e}"));
        let part = board["part"].as_str().expect("a part");
        assert!(text.contains(part), "{guide} does not name {part}");
    }
    let dir = tempfile::tempdir().expect("temporary folder");
    let output = ferrule(dir.path()).arg("boards").output().expect("runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", said(&output));
    assert!(text.contains("None of them has run on silicon"), "{text}");
    for name in names.into_iter().flatten() {
        assert!(text.contains(name), "{text}");
    }
}

#[test]
fn each_is_written_with_all_that_its_script_reads() {
    for board in listed() {
        let name = board["name"].as_str().expect("a name");
        let dir = tempfile::tempdir().expect("temporary folder");
        let output = ferrule(dir.path())
            .args(["verilog", "--board", name, "-o", "out"])
            .output()
            .expect("runs");
        assert!(output.status.success(), "{}", said(&output));
        let entries = std::fs::read_dir(dir.path().join("out")).expect("a folder");
        let files: BTreeSet<String> = entries
            .map(|e| {
                e.expect("an entry")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        let module = name.replace('-', "_");
        let script = dir.path().join(format!("out/{module}.tcl"));
        let script = std::fs::read_to_string(script).expect("the script");
        let mut read: BTreeSet<String> = script
            .lines()
            .filter_map(|l| {
                l.strip_prefix("read_verilog ")
                    .or(l.strip_prefix("read_xdc "))
            })
            .map(str::to_owned)
            .collect();
        assert!(read.len() >= 3, "{script}");
        read.insert(format!("{module}.tcl"));
        assert!(read.is_subset(&files), "{name}: {read:?} of {files:?}");
    }
}
