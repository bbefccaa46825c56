//! Lint of the hardware's sources: kernels that would mean something else in Verilog than in the native simulation.
mod keywords;
mod order;
mod rules;

use rules::{check, Class};
use std::path::{Path, PathBuf};

fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

#[test]
fn every_kernel_translates_to_what_it_says() {
    let mut files = Vec::new();
    sources(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut files,
    );
    files.sort();
    assert!(files.iter().any(|f| f.ends_with("mac/rx.rs")));
    let mut report = String::new();
    for file in files {
        let source = std::fs::read_to_string(&file).expect("a source file");
        for f in check(&source).expect("Rust") {
            report += &format!(
                "{}:{}:{}: {:?}\n",
                file.display(),
                f.line,
                f.column,
                f.class
            );
        }
    }
    assert!(report.is_empty(), "see the classes in rules.rs:\n{report}");
}

/// A class, a line of a kernel that has it, and the way to say it right.
const EXAMPLES: &[(Class, &str, &str)] = &[
    (
        Class::MatchGuard,
        "match self.s.q.val() { S::A if self.x.val() => {} _ => {} }",
        "match self.s.q.val() { S::A => {} _ => {} }",
    ),
    (
        Class::OrPattern,
        "match self.s.q.val() { S::A | S::B => {} _ => {} }",
        "match self.s.q.val() { S::A => {} S::B => {} _ => {} }",
    ),
    (
        Class::MatchLiteral,
        "match self.s.q.val() { 0x10 => {} _ => {} }",
        "match self.s.q.val() { 16 => {} _ => {} }",
    ),
    (
        Class::NoDefaultArm,
        "match self.s.q.val() { S::A => {} S::B => {} }",
        "match self.s.q.val() { S::A => {} _ => {} }",
    ),
    (
        Class::ClosedRange,
        "for i in 0..=3 { self.a[i].next = true; }",
        "for i in 0..4 { self.a[i].next = true; }",
    ),
    (
        Class::Precedence,
        "self.a.next = self.b.val() & self.c.val() == self.d.val();",
        "self.a.next = self.b.val() & (self.c.val() == self.d.val());",
    ),
    (
        Class::WideCompare,
        "self.a.next = (self.b.val() + self.c.val()) == 0;",
        "self.sum.next = self.b.val() + self.c.val(); self.a.next = self.sum.val() == 0;",
    ),
    (
        Class::WideCompare,
        "self.a.next = !self.b.val() == self.c.val();",
        "self.a.next = self.b.val() != self.c.val();",
    ),
    (
        Class::WideShift,
        "self.a.next = (self.b.val() + self.c.val()) >> 1;",
        "self.a.next = self.sum.val() >> 1;",
    ),
    (
        Class::WideCast,
        "self.a.next = bit_cast::<16, 8>(self.b.val() + self.c.val());",
        "self.a.next = bit_cast::<16, 8>(self.sum.val());",
    ),
    (
        Class::WideCast,
        "self.a.next = bit_cast::<4, 1>((!self.b.val() & self.c.val()).into());",
        "self.a.next = bit_cast::<4, 1>(self.d.val().into());",
    ),
    (
        Class::CastOfIndexed,
        "for i in 0..4 { self.a.next = bit_cast::<16, 8>(self.b[i].val()); }",
        "for i in 0..4 { self.a.next = self.b[i].val(); }",
    ),
    (
        Class::Call,
        "self.a.next = bits_of(self.b.val());",
        "self.a.next = bits::<8>(3);",
    ),
    (
        Class::SliceOfExpression,
        "self.a.next = (self.b.val() ^ self.c.val()).get_bit(3);",
        "self.a.next = self.b.val().get_bit(3);",
    ),
    (
        Class::AllOfExpression,
        "self.a.next = (self.b.val() ^ self.c.val()).all();",
        "self.a.next = self.b.val().all();",
    ),
    (
        Class::FreeName,
        "self.a.next = LIMIT.into();",
        "self.a.next = self.limit.val();",
    ),
    (
        Class::LongPath,
        "self.s.d.next = state::S::A;",
        "self.s.d.next = S::A;",
    ),
    (
        Class::Index,
        "self.a.next = self.b[N - 1].val();",
        "for i in 0..4 { self.a.next = self.b[i + 1].val(); }",
    ),
    (
        Class::DoubleIndex,
        "for i in 0..4 { self.a.next = self.b[i][0].val(); }",
        "self.a.next = self.b[0].val();",
    ),
    (
        Class::Macro,
        "println!(\"x\");",
        "clock!(self, clock, fifo); dff_setup!(self, clock, a, b);",
    ),
    (
        Class::EarlyRead,
        "self.l.next = false; self.a.next = self.l.val(); if self.b.val() { self.l.next = true; }",
        "self.l.next = false; if self.b.val() { self.l.next = true; } self.a.next = self.l.val();",
    ),
    (
        Class::EarlyRead,
        "if self.o.val() { self.a.next = true; } self.o.next = self.b.val();",
        "self.o.next = self.b.val(); if self.o.val() { self.a.next = true; }",
    ),
    (
        Class::EarlyRead,
        "self.l.next = self.l.val() & self.b.val();",
        "self.l.next = true; self.l.next = self.l.val() & self.b.val(); self.a.next = self.l.val();",
    ),
    (
        Class::EarlyRead,
        "self.l.next = true; match self.s.q.val() { S::A => { self.a.next = self.l.val(); } _ => {} } match self.s.q.val() { S::B => { self.l.next = false; } _ => {} }",
        "self.l.next = true; match self.s.q.val() { S::A => { self.a.next = self.l.val(); } S::B => { self.l.next = false; } _ => {} }",
    ),
    (
        Class::EarlyRead,
        "self.a.next = self.m[3].val(); for i in 0..4 { self.m[i].next = self.b[i].val(); }",
        "self.m[0].next = self.b.val(); for i in 0..3 { self.m[i + 1].next = self.m[i].val() ^ self.b[i].val(); } self.a.next = self.m[3].val();",
    ),
    (
        Class::EarlyRead,
        "for i in 0..4 { self.a.next = self.m[i].val(); self.m[i].next = self.b[i].val(); }",
        "self.l.next = true; for i in 0..4 { self.m[i].next = self.l.val(); self.l.next = self.l.val() & self.b[i].val(); }",
    ),
    (
        Class::EarlyRead,
        "self.m[1].next = false; self.a.next = self.m[1].val(); self.m[1].next = true;",
        "self.m[1].next = false; self.a.next = self.m[1].val(); self.m[2].next = true;",
    ),
];

fn kernel(line: &str) -> String {
    format!("struct T {{ l: Signal<Local, Bit>, m: [Signal<Local, Bit>; 4], o: Signal<Out, Bit> }} impl Logic for T {{ #[hdl_gen] fn update(&mut self) {{ XSource::join(&mut self.p.m, &mut self.q.s); {line} }} }}")
}

#[test]
fn each_class_is_found_where_it_is_and_not_where_it_is_not() {
    for (class, bad, good) in EXAMPLES {
        let found = check(&kernel(bad)).expect(bad);
        assert!(found.iter().any(|f| f.class == *class), "{bad}: {found:?}");
        assert!(found.iter().all(|f| f.class == *class), "{bad}: {found:?}");
        let found = check(&kernel(good)).expect(good);
        assert!(found.is_empty(), "{good}: {found:?}");
    }
}

#[test]
fn keywords_are_found_in_the_fields_of_blocks_only() {
    let fields = "{ pub byte: Signal<Local, Bit>, plain: Signal<Local, Bit> }";
    let found = check(&format!("#[derive(LogicBlock, Default)] struct T {fields}")).expect("Rust");
    assert_eq!(
        found.iter().map(|f| f.class).collect::<Vec<_>>(),
        [Class::Keyword]
    );
    assert!(check(&format!("#[derive(Default)] struct T {fields}"))
        .expect("Rust")
        .is_empty());
}

#[test]
fn only_kernels_are_looked_at() {
    let plain = "impl T { fn f(&self) -> u32 { println!(\"{}\", LIMIT); g(1) } }";
    assert!(check(plain).expect("Rust").is_empty());
}
