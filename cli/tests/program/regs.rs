//! What the program tells of registers is what the register reference says, in the words of a C compiler, an SVD parser and Markdown.
use crate::common::{ferrule, said, stdout, Server};
use ferrule_abi::bank::{places, BANKS};
use ferrule_abi::{counter, regs, Access};
use ferrule_test_tools::have;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use svd_parser::svd;

fn export(dir: &Path, format: &str) -> String {
    stdout(ferrule(dir).args(["regs", "export", "--format", format]))
}

#[test]
fn the_markdown_is_the_register_reference() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let reference = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/registers.md");
    let reference = std::fs::read_to_string(reference).expect("docs/registers.md");
    assert_eq!(export(dir.path(), "md"), reference);
}

/// Lines of C that print a name and a value each, and what they must print.
fn questions() -> (String, Vec<String>) {
    let mut lines = String::new();
    let mut answers = Vec::new();
    let mut ask = |expression: String, value: u32| {
        writeln!(
            lines,
            "  printf(\"%lx\\n\", (unsigned long)({expression}));"
        )
        .expect("memory");
        answers.push(format!("{value:x}"));
    };
    for place in places(1) {
        let (bank, r) = (place.bank.name, place.register);
        let argument = match r.count {
            1 => String::new(),
            _ => format!("({})", place.index),
        };
        let offset = r.offset_of(place.index);
        ask(format!("FERRULE_{bank}_{}{argument}", r.name), offset);
        if place.index == 0 {
            ask(format!("FERRULE_{bank}_{}_RESET", r.name), r.reset);
            for x in r.fields {
                let name = format!("FERRULE_{bank}_{}_{}", r.name, x.name);
                ask(format!("{name}_MASK"), x.field.mask());
                ask(
                    format!("{name}_MASK >> {name}_SHIFT"),
                    x.field.mask() >> x.field.lo,
                );
            }
        }
    }
    for c in counter::ALL {
        ask(
            format!("FERRULE_COUNTER_{}", c.name.to_uppercase()),
            c.index,
        );
    }
    for queue in 0..regs::QUEUE_PAIRS {
        ask(format!("FERRULE_TX_PAGE({queue})"), regs::tx_page(queue));
        ask(format!("FERRULE_RX_PAGE({queue})"), regs::rx_page(queue));
    }
    ask("FERRULE_MAGIC".to_owned(), regs::MAGIC);
    (lines, answers)
}

#[test]
fn a_c_compiler_finds_in_the_header_what_the_tables_hold() {
    if !have(&["cc"]) {
        return;
    }
    let dir = tempfile::tempdir().expect("temporary folder");
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("ferrule.h"), export(dir.path(), "c")).expect("written");
    let (lines, answers) = questions();
    let program = format!(
        "#include \"ferrule.h\"\n#include <stdio.h>\nint main(void) {{\n{lines}  return 0;\n}}\n"
    );
    std::fs::write(at("ask.c"), program).expect("written");
    let flags = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-std=c99"];
    let output = Command::new("cc")
        .current_dir(dir.path())
        .args(flags)
        .args(["-o", "ask", "ask.c"])
        .output()
        .expect("runs");
    assert!(output.status.success(), "{}", said(&output));
    let told = stdout(&mut Command::new(at("ask")));
    assert_eq!(told.lines().collect::<Vec<_>>(), answers);
    if have(&["c++"]) {
        let output = Command::new("c++")
            .current_dir(dir.path())
            .args(["-Wall", "-Wextra", "-Werror", "-pedantic", "-std=c++11"])
            .args(["-fsyntax-only", "-x", "c++", "ask.c"])
            .output()
            .expect("runs");
        assert!(output.status.success(), "{}", said(&output));
    }
    // Entries have the layout that the ring module writes.
    let entry = "#include \"ferrule.h\"\n#include <string.h>\nint main(void) {\n  uint32_t w[4] = {0x11223344u, 0x55667788u, 0x99AA0BCCu, 0xDDEEFF00u};\n  struct ferrule_sqe s;\n  memcpy(&s, w, sizeof s);\n  return !(s.iova == 0x5566778811223344u && s.len == 0x0BCC && s.flags == 0x99AA && s.vlan_tci == 0xFF00 && s.mss == 0xDDEE);\n}\n";
    let words = [0x1122_3344, 0x5566_7788, 0x99AA_0BCC, 0xDDEE_FF00];
    let sqe = ferrule_abi::ring::Sqe::from_words(words);
    assert_eq!(
        (sqe.iova, sqe.len, sqe.flags, sqe.vlan_tci, sqe.mss),
        (0x5566_7788_1122_3344, 0x0BCC, 0x99AA, 0xFF00, 0xDDEE)
    );
    std::fs::write(at("entry.c"), entry).expect("written");
    let output = Command::new("cc")
        .current_dir(dir.path())
        .args(flags)
        .args(["-o", "entry", "entry.c"])
        .output()
        .expect("runs");
    assert!(output.status.success(), "{}", said(&output));
    if cfg!(target_endian = "little") {
        let output = Command::new(at("entry")).output().expect("runs");
        assert!(
            output.status.success(),
            "the members of an SQE lie elsewhere"
        );
    }
}

/// How many of an element there are, and how far apart.
fn dims(dim: Option<&svd::DimElement>) -> (u32, u32) {
    dim.map_or((1, 0), |dim| (dim.dim, dim.dim_increment))
}

#[test]
fn an_svd_parser_finds_every_register_where_it_is() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let xml = export(dir.path(), "svd");
    let config = svd_parser::Config::default().validate_level(svd_parser::ValidateLevel::Strict);
    let device = svd_parser::parse_with_config(&xml, &config).expect("CMSIS-SVD");
    assert_eq!(device.schema_version, "1.3");
    assert_eq!(device.peripherals.len(), BANKS.len());
    let mut found = BTreeMap::new();
    for peripheral in &device.peripherals {
        let (pages, page_stride) = dims(match peripheral {
            svd::Peripheral::Single(_) => None,
            svd::Peripheral::Array(_, dim) => Some(dim),
        });
        for register in peripheral.registers() {
            let (count, stride) = dims(match register {
                svd::Register::Single(_) => None,
                svd::Register::Array(_, dim) => Some(dim),
            });
            for (page, n) in (0..pages).flat_map(|page| (0..count).map(move |n| (page, n))) {
                let within = page * page_stride + register.address_offset + n * stride;
                let offset = peripheral.base_address + u64::from(within);
                found.insert(offset as u32, (peripheral, register));
            }
        }
    }
    assert_eq!(found.len(), places(regs::QUEUE_PAIRS).count());
    for place in places(regs::QUEUE_PAIRS) {
        let (peripheral, register) = found[&place.offset()];
        assert_eq!(peripheral.name.trim_end_matches("%s"), place.bank.name);
        let name = register
            .name
            .trim_end_matches("[%s]")
            .trim_end_matches("%s");
        assert_eq!(name, place.register.name);
        let reset = register.properties.reset_value;
        assert_eq!(reset, Some(place.register.reset.into()), "{place}");
        for (x, field) in place.register.fields.iter().zip(register.fields()) {
            let bits = (field.bit_offset(), field.bit_width());
            assert_eq!(field.name, x.name);
            assert_eq!(bits, (x.field.lo.into(), x.field.width.into()), "{place}");
            let access = match x.access {
                Access::Ro => svd::Access::ReadOnly,
                Access::Rw => svd::Access::ReadWrite,
                Access::Wo => svd::Access::WriteOnly,
            };
            assert_eq!(field.access, Some(access), "{place}");
        }
        assert_eq!(register.fields().count(), place.register.fields.len());
    }
}

#[test]
fn the_json_has_every_register_and_counter() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let map: serde_json::Value = serde_json::from_str(&export(dir.path(), "json")).expect("JSON");
    let banks = map["banks"].as_array().expect("banks");
    let rxctl = banks[0]["registers"].as_array().expect("registers");
    let rxctl = rxctl.iter().find(|r| r["name"] == "RXCTL").expect("RXCTL");
    // docs/registers.md: at 0x038, 0x05EE0002 after reset, MAX_FRAME in bits 29:16.
    assert_eq!(
        (rxctl["offset"].as_u64(), rxctl["reset"].as_u64()),
        (Some(0x38), Some(0x05EE_0002))
    );
    let fields = rxctl["fields"].as_array().expect("fields");
    let last = fields.last().expect("a field");
    assert_eq!(
        (
            last["name"].as_str(),
            last["lo"].as_u64(),
            last["width"].as_u64()
        ),
        (Some("MAX_FRAME"), Some(16), Some(14))
    );
    let tx = banks.iter().find(|b| b["name"] == "TX").expect("TX");
    let pages = ["base", "count", "stride"].map(|key| tx[key].as_u64());
    assert_eq!(pages, [Some(0x1_1000), Some(4), Some(0x2000)]);
    let counters = map["counters"].as_array().expect("counters");
    assert_eq!(counters.len(), counter::ALL.len());
}

#[test]
fn a_dump_shows_what_a_nic_after_reset_holds() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let server = Server::start(dir.path(), &["--engine", "model"]);
    let dump = |more: &[&str]| {
        let mut command = ferrule(dir.path());
        command.args(["regs", "dump", "--device", server.spec()]);
        stdout(command.args(more))
    };
    let all: serde_json::Value = serde_json::from_str(&dump(&["--json", "--all"])).expect("JSON");
    let all = all.as_array().expect("registers");
    assert_eq!(all.len(), places(regs::QUEUE_PAIRS).count());
    let of = |name: &str| all.iter().find(|r| r["name"] == name).expect("a register");
    assert_eq!(of("MAGIC")["value"].as_u64(), Some(regs::MAGIC.into()));
    // The seed's MAC address is 02:b9:7f:4a:7c:15, as `ferrule serve` has it by default.
    assert_eq!(of("MAC_LO")["value"].as_u64(), Some(0x4A7F_B902));
    assert_eq!(of("RXCTL")["fields"]["MAX_FRAME"].as_u64(), Some(1518));
    assert_eq!(
        of("RX3.SLOT_CFG")["fields"]["STRIDE_LOG2"].as_u64(),
        Some(11)
    );
    // docs/registers.md: receive queue 3's page is page 8, at 0x18000.
    assert_eq!(of("RX3.SLOT_CFG")["offset"].as_u64(), Some(0x1_8028));
    assert_eq!(of("EVENT.CFG")["offset"].as_u64(), Some(0x1_000C));
    let text = dump(&[]);
    assert!(
        text.contains("MAX_FRAME=0x5ee") && text.contains("BROADCAST=1"),
        "{text}"
    );
    assert!(!text.contains("LOCAL_ADDR"), "{text}");
}
