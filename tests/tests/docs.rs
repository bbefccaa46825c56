//! Tables in `docs` that name tests name tests that exist.
use std::path::Path;

/// What stands between backquotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The tests that a cell names and that are not there: files, each followed by functions in it.
fn missing(cell: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let (mut source, mut missing) = (String::new(), vec![]);
    for name in quoted(cell) {
        if name.ends_with(".rs") {
            let folder = match name.starts_with("nic/") {
                true => "tests/tests",
                false => "rtl/tests/bench",
            };
            source = std::fs::read_to_string(root.join(folder).join(name)).unwrap_or_default();
        } else if !source.contains(&format!("fn {name}(")) {
            missing.push(name.to_owned());
        }
    }
    missing
}

#[test]
fn every_test_that_bad_input_names_exists() {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/bad-input.md");
    let text = std::fs::read_to_string(table).expect("the table");
    let cells: Vec<&str> = (text.lines().filter(|line| line.starts_with("| ")))
        .filter_map(|row| row.split(" | ").nth(2))
        .filter(|cell| *cell != "shown by |")
        .collect();
    assert!(cells.len() > 40, "{} rows", cells.len());
    for cell in &cells {
        assert!(quoted(cell).count() >= 2, "no test in {cell}");
    }
    let all: Vec<String> = cells.iter().flat_map(|cell| missing(cell)).collect();
    assert!(all.is_empty(), "{all:#?}");
}
