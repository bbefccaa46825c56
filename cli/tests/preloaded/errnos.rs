//! Calls in wrong states and with wrong arguments: preloaded they give what the kernel's give, but for what docs/preload.md lists.
use std::env;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::calls::{datagrams, opening, streams, Table};
use crate::lan::{stdout, Lan, On};
use crate::side::Kernels;

/// What has the table's program use this address.
const ADDRESS: &str = "FERRULE_ERRNO_ADDRESS";
/// Before each line of the table, among those of the test's own program.
const MARK: &str = "outcome: ";
/// What is under way is there after this time, on a machine that does other things too.
const SETTLES_IN: Duration = Duration::from_millis(100);
const DOCUMENT: &str = include_str!("../../../docs/preload.md");

/// Calls of which docs/preload.md says that they differ: what was tried, with the NIC's outcome and the kernel's.
fn documented() -> Vec<[String; 3]> {
    let rows = DOCUMENT.lines().filter_map(|line| {
        let row = line.strip_prefix("| `")?.strip_suffix('|')?;
        let mut cells = row.split('|').map(|cell| cell.trim().trim_matches('`'));
        let row = [cells.next()?, cells.next()?, cells.next()?];
        let reason = cells.next()?;
        assert!(!reason.is_empty(), "{line}: no reason");
        Some(row.map(str::to_owned))
    });
    rows.collect()
}

/// The lines that differ, each as what was tried, the NIC's outcome and the kernel's.
fn differences(ours: &str, kernels: &str) -> Vec<[String; 3]> {
    let ours: Vec<&str> = ours.lines().collect();
    let kernels: Vec<&str> = kernels.lines().collect();
    assert_eq!(ours.len(), kernels.len());
    let differ = ours
        .iter()
        .zip(kernels)
        .filter(|(ours, kernels)| *ours != kernels);
    differ
        .map(|(ours, kernels)| {
            let ours = ours.rsplit_once(": ").expect("an outcome");
            let kernels = kernels.rsplit_once(": ").expect("an outcome");
            assert_eq!(ours.0, kernels.0);
            [ours.0, ours.1, kernels.1].map(str::to_owned)
        })
        .collect()
}

/// Those that no pattern of the document covers: a star stands for any text.
fn unexpected(differences: Vec<[String; 3]>) -> Vec<[String; 3]> {
    let documented = documented();
    let covers = |pattern: &String, text: &String| match pattern.split_once('*') {
        None => pattern == text,
        Some((begin, end)) => {
            text.len() >= begin.len() + end.len() && text.starts_with(begin) && text.ends_with(end)
        }
    };
    let known = |difference: &[String; 3]| {
        let all = |row: &[String; 3]| row.iter().zip(difference).all(|(p, t)| covers(p, t));
        documented.iter().any(all)
    };
    differences.into_iter().filter(|d| !known(d)).collect()
}

/// The table of the native library's test, as a program of the C library's sockets.
#[test]
#[ignore = "the program of another test, which runs it on either side"]
fn the_table_as_a_program() {
    let address: Ipv4Addr = env::var(ADDRESS).expect("an address").parse().expect("one");
    let side = Kernels::on(address, SETTLES_IN);
    let [a, b, c, _] = address.octets();
    let tables = [
        ("on connections", streams(&side)),
        ("opening", opening(&side)),
        ("of UDP", datagrams(&side, Ipv4Addr::new(a, b, c, 255))),
    ];
    for (which, Table(lines)) in tables {
        for (tried, outcome) in lines {
            let outcome = match outcome {
                Ok(n) => n.to_string(),
                Err(errno) => format!("{errno:?}"),
            };
            println!("{MARK}{which}, {tried}: {outcome}");
        }
    }
}

#[test]
fn the_native_librarys_table_comes_out_as_the_kernels() {
    let Some(lan) = Lan::new("table", &[]) else {
        return;
    };
    let table = |on: On| {
        let mut program = lan.program(on, env::current_exe().expect("this program"));
        let test = "errnos::the_table_as_a_program";
        program.args(["--ignored", "--exact", test, "--nocapture"]);
        program.env(ADDRESS, on.address());
        let said = String::from_utf8(stdout(program)).expect("text");
        let lines = said.lines().filter_map(|line| line.strip_prefix(MARK));
        lines.collect::<Vec<_>>().join("\n")
    };
    let kernels = table(On::Kernel);
    assert!(kernels.lines().count() > 70, "{kernels}");
    let unexpected = unexpected(differences(&table(On::Nic), &kernels));
    assert!(unexpected.is_empty(), "{unexpected:#?}");
}

#[test]
fn calls_of_c_fail_as_the_kernels_in_every_state() {
    let Some(lan) = Lan::new("errnos", &[]) else {
        return;
    };
    let table = |on: On| {
        let mut program = lan.script(on, "errnos.py");
        program.arg(on.address());
        String::from_utf8(stdout(program)).expect("text")
    };
    let kernels = table(On::Kernel);
    assert!(kernels.lines().count() > 1_000, "{kernels}");
    let unexpected = unexpected(differences(&table(On::Nic), &kernels));
    assert!(unexpected.is_empty(), "{unexpected:#?}");
}
