//! `docs/registers.md` is what the tables say, and the tables do not contradict themselves.
use ferrule_abi::{reference::Reference, regs, Register};

#[test]
fn the_reference_in_docs_is_printed_from_the_tables() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/registers.md");
    let stored = std::fs::read_to_string(path).expect("docs/registers.md exists");
    assert!(
        stored == Reference.to_string(),
        "docs/registers.md is stale: run `cargo xtask docs`"
    );
}

#[test]
fn registers_neither_overlap_nor_leave_their_page() {
    for table in [regs::PORT, regs::EVENT, regs::TX, regs::RX] {
        let mut used = std::collections::BTreeMap::new();
        for r in table {
            for i in 0..r.count {
                let at = r.offset_of(i);
                assert!(at % 4 == 0 && at < 0x1000, "{} at {at:#x}", r.name);
                if let Some(other) = used.insert(at, r.name) {
                    panic!("{} and {other} share {at:#x}", r.name);
                }
            }
        }
    }
}

#[test]
fn fields_neither_overlap_nor_leave_their_register_and_resets_fit_them() {
    let all = [regs::PORT, regs::EVENT, regs::TX, regs::RX].concat();
    for Register {
        name,
        fields,
        reset,
        ..
    } in all
    {
        let mut used = 0u32;
        for f in fields {
            assert!(f.field.lo + f.field.width <= 32, "{name}.{}", f.name);
            assert_eq!(used & f.field.mask(), 0, "{name}.{} overlaps", f.name);
            used |= f.field.mask();
        }
        assert_eq!(reset & !used, 0, "{name}: reserved bits reset to 1");
    }
}

#[test]
fn magic_and_version_in_the_table_are_the_constants() {
    assert_eq!(regs::magic::REGISTER.reset, regs::MAGIC);
    assert_eq!(regs::version::REGISTER.reset, regs::VERSION);
    assert_eq!(&regs::MAGIC.to_le_bytes(), b"FRUL");
}
