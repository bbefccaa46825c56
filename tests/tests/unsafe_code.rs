//! Where `unsafe` is: in the modules that docs/architecture.md names, and nowhere else. That each block has its reason is clippy's part.
use std::fs;
use std::path::{Path, PathBuf};

/// The modules that map memory, talk to the kernel's VFIO, and call code that was made at run time; functions that take the place of the C
/// library's; and the peer of a benchmark, whose interface is unsafe.
const ALLOWED: [&str; 15] = [
    "driver/bench/src/virtio.rs",
    "driver/src/dma.rs",
    "driver/src/dma/contiguous.rs",
    "driver/src/mmio.rs",
    "driver/src/vfio/ioctls.rs",
    "host-lib/preload/src/ancillary.rs",
    "host-lib/preload/src/control.rs",
    "host-lib/preload/src/data.rs",
    "host-lib/preload/src/datagram.rs",
    "host-lib/preload/src/descriptors.rs",
    "host-lib/preload/src/next.rs",
    "host-lib/preload/src/sys.rs",
    "sim/src/dma.rs",
    "sim/src/engine/verilated.rs",
    "sim/verilog/src/machine.rs",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() {
            if name != "target" && !name.to_string_lossy().starts_with('.') {
                sources(&path, found);
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Whether a line has the keyword, outside comments, strings and the names of lints.
fn is_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or_default();
    let outside: String = code.split('"').step_by(2).collect();
    outside
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .any(|word| word == "unsafe")
}

#[test]
fn the_keyword_is_told_from_its_mention() {
    let quote = char::from(0x22);
    let text = format!("    let text = {quote}unsafe{quote};");
    for (line, expected) in [
        ("        unsafe { word.write_volatile(0) };", true),
        ("unsafe fn read_bytes(from: *const u8) {", true),
        ("#![deny(unsafe_code)]", false),
        ("// nothing unsafe here", false),
        (&text, false),
    ] {
        assert_eq!(is_unsafe(line), expected, "{line}");
    }
}

#[test]
fn unsafe_is_where_it_may_be() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let root = root.canonicalize().expect("the project");
    let mut files = vec![];
    sources(&root, &mut files);
    assert!(files.len() > 300, "{} files are too few", files.len());
    let mut found: Vec<String> = files
        .iter()
        .filter(|path| {
            let text = fs::read_to_string(path).expect("text");
            text.lines().any(is_unsafe)
        })
        .map(|path| {
            let inside = path.strip_prefix(&root).expect("of the project");
            inside.to_string_lossy().into_owned()
        })
        .collect();
    found.sort();
    assert_eq!(found, ALLOWED);
}

#[test]
fn each_crate_forbids_it_or_allows_it_by_module() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = vec![];
    sources(&root, &mut files);
    for path in files.iter().filter(|path| path.ends_with("src/lib.rs")) {
        let text = fs::read_to_string(path).expect("text");
        let says = ["#![forbid(unsafe_code)]", "#![deny(unsafe_code)]"];
        assert!(
            says.iter().any(|s| text.contains(s)),
            "{} says neither",
            path.display()
        );
    }
}
