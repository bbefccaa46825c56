//! The constraints against the top module that they are for: read back from the files, not from the tables that they are written of.
use ferrule_rtl::board::export::files;
use ferrule_rtl::board::BOARDS;
use std::collections::{BTreeMap, BTreeSet};

/// The header's ports of a module, bit by bit, with their direction.
fn ports(verilog: &str, module: &str) -> BTreeMap<String, String> {
    let start = verilog
        .find(&format!("module {module} "))
        .expect("the module");
    let header = &verilog[start..];
    let header = &header[..header.find(");\n").expect("the header's end")];
    let mut all = BTreeMap::new();
    for line in header.lines() {
        let line = line.trim().trim_end_matches(',');
        let line = line.rsplit("*) ").next().expect("something");
        let words: Vec<&str> = line.split_whitespace().collect();
        let [direction @ ("input" | "output" | "inout"), "wire" | "reg", rest @ ..] = &words[..]
        else {
            continue;
        };
        match rest {
            [name] => {
                all.insert((*name).to_owned(), (*direction).to_owned());
            }
            [range, name] => {
                let msb = range.trim_start_matches('[').trim_end_matches(":0]");
                let msb: usize = msb.parse().expect("a range from 0");
                for bit in 0..=msb {
                    all.insert(format!("{name}[{bit}]"), (*direction).to_owned());
                }
            }
            _ => panic!("{line}"),
        }
    }
    all
}

/// One command of a constraint file: its words, those in brackets as one.
fn words(line: &str) -> Vec<String> {
    let (mut all, mut word, mut depth) = (vec![], String::new(), 0);
    for c in line.chars() {
        depth += i32::from(c == '[' || c == '{') - i32::from(c == ']' || c == '}');
        if c.is_whitespace() && depth == 0 {
            all.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
        } else {
            word.push(c);
        }
    }
    assert_eq!(depth, 0, "{line}");
    all.extend((!word.is_empty()).then_some(word));
    all
}

/// What `[get_ports {a}]` and its like name.
fn target<'a>(word: &'a str, command: &str) -> Option<&'a str> {
    let inner = word.strip_prefix('[')?.strip_suffix(']')?;
    let inner = inner.strip_prefix(command)?.trim();
    Some(
        inner
            .strip_prefix('{')
            .and_then(|t| t.strip_suffix('}'))
            .unwrap_or(inner),
    )
}

#[test]
fn every_port_has_a_pin_of_its_own_and_every_clock_a_period() {
    for board in BOARDS {
        let name = board.name;
        let files = files(board).expect("the board is exported");
        let of = |file: String| {
            let found = files.iter().find(|f| f.name == file);
            &found.unwrap_or_else(|| panic!("{name}: {file}")).text
        };
        let module = board.module();
        let (top, xdc) = (of(format!("{module}.v")), of(format!("{module}.xdc")));
        let ports = ports(top, &module);
        assert!(ports.len() > 20, "{name}: {ports:?}");

        let mut properties: BTreeMap<&str, BTreeMap<String, String>> = BTreeMap::new();
        let mut periods = BTreeMap::new();
        let commands: Vec<_> = xdc
            .lines()
            .filter(|l| !l.starts_with('#') && !l.is_empty())
            .map(words)
            .collect();
        for command in &commands {
            let all: Vec<&str> = command.iter().map(String::as_str).collect();
            match all[..] {
                // nextpnr-xilinx wants these four words and no others.
                ["set_property", property, value, port] => {
                    let port = target(port, "get_ports").expect("a port");
                    let of_port = properties.entry(property).or_default();
                    let before = of_port.insert(port.to_owned(), value.to_owned());
                    assert_eq!(before, None, "{name}: {property} of {port} is there twice");
                }
                ["create_clock", "-name", _, "-period", period, port] => {
                    let port = target(port, "get_ports").expect("a port");
                    let period: f64 = period.parse().expect("a period");
                    assert!(period > 0.0);
                    periods.insert(port.to_owned(), period);
                }
                ["set_property" | "create_clock", ..] => panic!("{name}: {all:?}"),
                _ => {}
            }
        }
        let bits: Vec<&String> = ports.keys().collect();
        let pins = &properties["PACKAGE_PIN"];
        assert_eq!(
            pins.keys().collect::<Vec<_>>(),
            bits,
            "{name}: ports and pins"
        );
        let distinct: BTreeSet<&String> = pins.values().collect();
        assert_eq!(distinct.len(), pins.len(), "{name}: a pin is there twice");
        for (port, direction) in &ports {
            // A transceiver's pads have no standard; all others have.
            let transceiver = port.starts_with("pcie_") && port != "pcie_perst_n";
            let standard = properties["IOSTANDARD"].get(port);
            assert_eq!(standard.is_none(), transceiver, "{name}: {port}");
            if direction == "input" && port.contains("clk") && !port.ends_with("_n") {
                assert!(periods.contains_key(port), "{name}: {port} has no period");
            }
            if let Some(fast) = properties["SLEW"].get(port) {
                assert_eq!((fast.as_str(), direction.as_str()), ("FAST", "output"));
                assert!(properties["DRIVE"].contains_key(port), "{name}: {port}");
            }
        }
        // Every output that is sampled by a clock beside it has fast edges.
        for port in ports.keys().filter(|p| {
            p.contains("_tx")
                && !p.starts_with("pcie")
                && !p.starts_with("uart")
                && !p.contains("mii_tx_clk")
                || p.contains("gtx")
        }) {
            assert!(
                properties["SLEW"].contains_key(port) || ports[port] == "input",
                "{name}: {port}"
            );
        }
        exceptions(
            name,
            &commands,
            &files.iter().map(|f| f.text.as_str()).collect::<Vec<_>>(),
        );
    }
}

/// Every two clocks whose domains the NIC crosses have an exception both ways, and all that constraints name is there.
fn exceptions(name: &str, commands: &[Vec<String>], texts: &[&str]) {
    let mut clocks = BTreeSet::new();
    for command in commands {
        if let [what, dash, clock, ..] = &command[..] {
            if (what == "create_clock" || what == "create_generated_clock") && dash == "-name" {
                clocks.insert(clock.as_str());
            }
        }
    }
    let mut crossed = BTreeSet::new();
    for command in commands {
        if command[0] == "set_max_delay" {
            let after = |flag: &str| {
                let at = command.iter().position(|w| w == flag).expect("an end");
                command[at + 1].clone()
            };
            assert!(command.contains(&"-datapath_only".to_owned()), "{name}");
            crossed.insert((after("-from"), after("-to")));
        }
        for word in command {
            for part in word.split('[').skip(1) {
                let names = part.split(']').next().expect("a part");
                let (kind, names) = names.split_once(' ').unwrap_or((names, ""));
                for item in names.trim_matches(['{', '}']).split_whitespace() {
                    match kind {
                        "get_clocks" if !item.starts_with('-') && !item.is_empty() => {
                            assert!(clocks.contains(item), "{name}: no clock {item}");
                        }
                        "get_nets" | "get_pins" => {
                            // The instance, and the net in it; a register's pin is that of its name.
                            for step in item.split('/').map(|s| s.trim_end_matches("_reg")) {
                                let there = texts.iter().any(|t| {
                                    t.split(|c: char| !c.is_alphanumeric() && c != '_')
                                        .any(|w| w == step)
                                });
                                assert!(there || step == "C" || step == "Q", "{name}: {item}");
                            }
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    // The NIC's clock and the two of each PHY's interface.
    let net = |net: &str| format!("[get_clocks -of_objects [get_nets {net}]]");
    let clock = |clock: &str| format!("[get_clocks {clock}]");
    let (core, others) = match name {
        "ax7203" => (
            net("nic/user_clk"),
            vec![clock("rx"), net("tx_clk"), clock("rx1"), net("tx1_clk")],
        ),
        _ if name.starts_with("arty") => (net("clk"), vec![clock("rx"), clock("tx")]),
        _ => (net("nic/user_clk"), vec![clock("rx"), net("tx_clk")]),
    };
    let wanted: BTreeSet<_> = others
        .into_iter()
        .flat_map(|other| [(core.clone(), other.clone()), (other, core.clone())])
        .collect();
    assert_eq!(crossed, wanted, "{name}");
}
