//! Packet scripts: what arrives, what must be sent and when, what calls must give; each script is one rule of an RFC.
//!
//! The scripts are the `.pkt` files under `cases`; `README.md` there says how to write one. `FERRULE_SCRIPT=substring`
//! runs those whose path contains it.

mod always;
mod build;
mod call;
mod check;
mod flow;
mod option;
mod packet;
mod parse_packet;
mod refusals;
mod run;
mod script;
mod seen;
mod setup;
mod sockets;
mod source;
mod sum;
mod words;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use script::Script;
use source::{Place, Trouble};

/// Features that the stack has, of those that scripts name with `needs`.
const PRESENT: &[&str] = &[
    "autotuning",
    "cork",
    "cubic",
    "dsack",
    "ecn",
    "frto",
    "keepalive",
    "linux_options",
    "prr",
    "quick_ack",
    "rack",
    "sack",
    "syncookies",
    "timestamps",
    "tlp",
    "user_timeout",
];

/// Scripts that fail because the stack breaks their rule, and how. One that passes must not be here.
const KNOWN_FAILURES: &[(&str, &str)] = &[];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/script")
}

/// All scripts by their path below `cases`, without the ending.
fn scripts(folder: &Path, found: &mut BTreeMap<String, String>) {
    let entries = std::fs::read_dir(folder).expect("the folder of scripts");
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            scripts(&path, found);
        } else if path.extension().is_some_and(|e| e == "pkt") {
            let name = path
                .strip_prefix(root().join("cases"))
                .expect("below the root");
            let name = name.with_extension("").display().to_string();
            found.insert(
                name,
                std::fs::read_to_string(&path).expect("a readable file"),
            );
        }
    }
}

fn is_present(script: &Script) -> bool {
    script.needs.iter().all(|n| PRESENT.contains(&n.as_str()))
}

/// A panic of the stack is a failure of that script only.
fn unwound(name: &str, f: impl FnOnce() -> Result<(), Trouble>) -> Result<(), Trouble> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).unwrap_or_else(|_| {
        Err(Trouble {
            place: Place {
                file: format!("{name}.pkt"),
                line: 1,
            },
            what: "the stack panicked".into(),
        })
    })
}

#[test]
fn every_script_holds() {
    let mut found = BTreeMap::new();
    scripts(&root().join("cases"), &mut found);
    let wanted = std::env::var("FERRULE_SCRIPT").unwrap_or_default();
    found.retain(|name, _| name.contains(&wanted));
    let (mut held, mut failures) = (0, Vec::new());
    let mut waiting: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let start = root().join("start");
    for (name, text) in &found {
        let known = KNOWN_FAILURES.iter().find(|(n, _)| n == name);
        let outcome =
            script::parse(&format!("{name}.pkt"), text, &start).and_then(
                |script| match is_present(&script) {
                    true => unwound(name, || run::run(&script)).map(|()| true),
                    false => {
                        let needs = script.needs.join(", ");
                        waiting.entry(needs).or_default().push(name.clone());
                        Ok(false)
                    }
                },
            );
        match (outcome, known) {
            (Ok(true), None) => held += 1,
            (Ok(false), None) | (Err(_), Some(_)) => {}
            (Ok(_), Some(_)) => failures.push(format!(
                "{name}: holds, or does not run, and is listed among the known failures"
            )),
            (Err(trouble), None) => {
                failures.push(format!("{}: {}", trouble.place, trouble.what));
            }
        }
    }
    for (name, _) in KNOWN_FAILURES {
        if name.contains(&wanted) && !found.contains_key(*name) {
            failures.push(format!(
                "{name}: listed among the known failures, no script"
            ));
        }
    }
    println!("{held} of {} scripts hold", found.len());
    for (needs, names) in &waiting {
        println!("{} wait for {needs}: {}", names.len(), names.join(" "));
    }
    assert!(!found.is_empty(), "no script is called like {wanted}");
    assert!(
        failures.is_empty(),
        "{} scripts failed:\n\n{}\n",
        failures.len(),
        failures.join("\n\n")
    );
}
