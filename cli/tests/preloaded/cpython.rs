//! CPython's own tests of sockets, with the NIC's address in the place of localhost: what docs/preload.md says of each is what comes out.
use std::collections::BTreeMap;
use std::path::Path;

use crate::lan::{said, Lan, On, NIC, PYTHON};
use ferrule_test_tools::missing;

const MODULES: [&str; 5] = [
    "test_socket",
    "test_selectors",
    "test_epoll",
    "test_poll",
    "test_socketserver",
];
/// Where Debian's libpython3.11-testsuite has them.
const FOLDER: &str = "/usr/lib/python3.11/test";
const DOCUMENT: &str = include_str!("../../../docs/preload.md");

/// What came of a module's tests.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    /// Passed, with sockets of the NIC.
    nic: usize,
    /// Passed without them, or left out because the machine lacks something.
    through: usize,
    /// Not passed.
    failed: usize,
}

/// The cells of a table's row.
fn cells(line: &str) -> Vec<&str> {
    let inner = line.strip_prefix('|').and_then(|l| l.strip_suffix('|'));
    inner.map_or(vec![], |inner| inner.split('|').map(str::trim).collect())
}

/// A name in the font of code.
fn code(cell: &str) -> Option<&str> {
    cell.strip_prefix('`')?.strip_suffix('`')
}

/// What the document says: the modules' rows, and the tests that fail with the reasons.
fn documented() -> (BTreeMap<String, Outcome>, BTreeMap<String, String>) {
    let (mut modules, mut failures) = (BTreeMap::new(), BTreeMap::new());
    for line in DOCUMENT.lines() {
        match cells(line)[..] {
            [name, nic, through, failed] => {
                let number = |cell: &str| cell.parse().expect("a number");
                let Some(name) = code(name).filter(|name| MODULES.contains(name)) else {
                    continue;
                };
                let outcome = Outcome {
                    nic: number(nic),
                    through: number(through),
                    failed: number(failed),
                };
                modules.insert(name.to_owned(), outcome);
            }
            [name, reason] => {
                if let Some(name) = code(name).filter(|name| name.starts_with("test.")) {
                    assert!(reason.len() > 10, "{name} fails without a reason");
                    failures.insert(name.to_owned(), reason.to_owned());
                }
            }
            _ => {}
        }
    }
    (modules, failures)
}

#[test]
fn cpythons_own_tests_come_out_as_the_document_says() {
    let there = Path::new(FOLDER).join("test_socket.py").exists();
    if !(there || missing("libpython3.11-testsuite is not installed")) {
        return;
    }
    let Some(lan) = Lan::new("cpython", &[PYTHON]) else {
        return;
    };
    let (modules, failures) = documented();
    // Most of their time they sleep.
    let started: Vec<_> = MODULES
        .into_iter()
        .map(|module| {
            let mut run = lan.script(On::Nic, "cpython.py");
            run.args([NIC, module]);
            (module, lan.start(module, run))
        })
        .collect();
    let mut wrong = String::new();
    for (module, run) in started {
        let output = run.end();
        assert!(output.status.success(), "{module}: {}", said(&output));
        let mut outcome = Outcome::default();
        let text = String::from_utf8_lossy(&output.stdout);
        for line in text.lines().filter_map(|l| l.strip_prefix("outcome: ")) {
            let words: Vec<&str> = line.splitn(4, ' ').collect();
            match words[..] {
                ["pass", "nic", _, _] => outcome.nic += 1,
                ["pass" | "skip", _, _, _] => outcome.through += 1,
                ["fail", _, name, _] => {
                    outcome.failed += 1;
                    if !failures.contains_key(name) {
                        wrong += &format!("fails without a reason: {line}\n");
                    }
                }
                _ => panic!("{module}: {line}"),
            }
        }
        if modules.get(module) != Some(&outcome) {
            wrong += &format!("{module}: {outcome:?}\n");
        }
        if !wrong.is_empty() {
            wrong += &text;
        }
    }
    assert!(wrong.is_empty(), "docs/preload.md says otherwise:\n{wrong}");
}
