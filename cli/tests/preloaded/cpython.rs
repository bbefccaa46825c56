//! CPython's own tests of sockets, with the NIC's address in the place of localhost: what docs/preload.md says of each is what comes out.
use std::collections::{BTreeMap, BTreeSet};
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

/// What a module's tests have used.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    /// Sockets of the NIC.
    nic: usize,
    /// None of them, or they were left out because the machine lacks something.
    through: usize,
}

/// What the document says.
#[derive(Debug, Default)]
struct Documented {
    modules: BTreeMap<String, Outcome>,
    /// Tests that do not pass; those in the second not always.
    fail: BTreeSet<String>,
    may_fail: BTreeSet<String>,
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

fn documented() -> Documented {
    let mut all = Documented::default();
    for line in DOCUMENT.lines() {
        let [name, second, third] = cells(line)[..] else {
            continue;
        };
        let Some(name) = code(name) else { continue };
        if MODULES.contains(&name) {
            let number = |cell: &str| cell.parse().expect("a number");
            let outcome = Outcome {
                nic: number(second),
                through: number(third),
            };
            all.modules.insert(name.to_owned(), outcome);
        } else if name.starts_with("test.") {
            assert!(third.len() > 10, "{name} fails without a reason");
            match second {
                "always" => all.fail.insert(name.to_owned()),
                "sometimes" => all.may_fail.insert(name.to_owned()),
                other => panic!("{name} fails {other:?}"),
            };
        }
    }
    all
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
    let mut documented = documented();
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
            let [verdict, place, name, _] = words[..] else {
                panic!("{module}: {line}");
            };
            match (verdict, place) {
                ("pass" | "fail", "nic") => outcome.nic += 1,
                _ => outcome.through += 1,
            }
            let expected = documented.fail.remove(name);
            let right = match verdict {
                "pass" => !expected,
                "fail" => expected || documented.may_fail.contains(name),
                _ => true,
            };
            if !right {
                wrong += &format!("{line}\n");
            }
        }
        if documented.modules.get(module) != Some(&outcome) {
            wrong += &format!("{module}: {outcome:?}\n");
        }
    }
    for test in documented.fail {
        wrong += &format!("{test} is not there\n");
    }
    assert!(wrong.is_empty(), "docs/preload.md says otherwise:\n{wrong}");
}
