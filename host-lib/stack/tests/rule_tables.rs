//! The tables in `docs` that say which rule is kept where name code and tests that exist.

use std::path::{Path, PathBuf};

/// What stands between backquotes in a line.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

fn missing(table: &str, folders: &[&str]) -> Vec<String> {
    let stack = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = stack.join("../../docs").join(table);
    let text = std::fs::read_to_string(&path).expect("the table");
    let candidates =
        |name: &str| -> Vec<PathBuf> { folders.iter().map(|f| stack.join(f).join(name)).collect() };
    let rows: Vec<&str> = text.lines().filter(|l| l.starts_with("| RFC")).collect();
    assert!(rows.len() > 10, "{table} has its rows");
    rows.into_iter()
        .flat_map(|row| row.split('|').skip(3).flat_map(quoted).collect::<Vec<_>>())
        .filter(|name| !name.starts_with("struct "))
        .filter(|name| !candidates(name).iter().any(|path| path.exists()))
        .map(|name| format!("{table}: {name}"))
        .collect()
}

#[test]
fn every_code_and_test_they_name_exists() {
    let mut all = missing("ipv4-udp.md", &["src", "tests", "tests/hosts"]);
    all.extend(missing(
        "tcp.md",
        &[
            "src/tcp",
            "src",
            "tests",
            "tests/hosts",
            "tests/script/cases",
        ],
    ));
    assert!(all.is_empty(), "{all:#?}");
}

#[test]
fn every_folder_of_scripts_about_tcp_is_in_the_table() {
    let stack = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tables: String = ["tcp.md", "ipv4-udp.md"]
        .map(|t| std::fs::read_to_string(stack.join("../../docs").join(t)).expect("the table"))
        .concat();
    let named: Vec<&str> = tables.lines().flat_map(quoted).collect();
    // What is not about one protocol alone.
    let others = ["calls", "fragments", "icmp", "ip", "udp"];
    let folders = std::fs::read_dir(stack.join("tests/script/cases")).expect("the scripts");
    for folder in folders {
        let folder = folder.expect("an entry");
        let name = folder.file_name().into_string().expect("UTF-8");
        if folder.path().is_dir() && !others.contains(&name.as_str()) {
            assert!(named.contains(&name.as_str()), "{name} is in no table");
        }
    }
}
