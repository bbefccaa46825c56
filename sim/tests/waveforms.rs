//! Waveforms have the source's scopes and signals, whichever engine wrote them, and the same values at the same times.
#![allow(missing_docs, reason = "the derives make items without docs")]
mod common;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use common::Mini;
use ferrule_rtl::nic::Nic;
use ferrule_rtl::pins::{Clocks, Gmii, Inputs, TlpBeat};
use ferrule_sim::engine::{self, Engine, Kind, Options, TOP};
use ferrule_test_tools::have;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use vcd::{Command, IdCode, Parser, ScopeItem, Value};

/// A waveform as the crate `vcd` reads it.
struct Read {
    /// Width and code of each signal, by its path with dots.
    signals: BTreeMap<String, (u32, IdCode)>,
    /// Value of each code, as digits, after each time.
    values: BTreeMap<u64, HashMap<IdCode, String>>,
}

fn digits(value: impl IntoIterator<Item = Value>) -> String {
    let text: String = value.into_iter().map(|v| v.to_string()).collect();
    match text.trim_start_matches('0') {
        "" => "0".to_owned(),
        short => short.to_owned(),
    }
}

fn read(path: &Path) -> Read {
    fn walk(items: &[ScopeItem], path: &str, out: &mut BTreeMap<String, (u32, IdCode)>) {
        for item in items {
            match item {
                ScopeItem::Var(v) => {
                    let name = format!("{path}{}", v.reference);
                    let twice = out.insert(name.clone(), (v.size, v.code));
                    assert_eq!(twice, None, "{name} is there once");
                }
                ScopeItem::Scope(s) => {
                    walk(&s.children, &format!("{path}{}.", s.identifier), out);
                }
            }
        }
    }
    let text = std::fs::read(path).expect("a waveform");
    let mut parser = Parser::new(&text[..]);
    let header = parser.parse_header().expect("a header");
    assert_eq!(header.timescale, Some((1, vcd::TimescaleUnit::PS)));
    let mut signals = BTreeMap::new();
    walk(&header.items, "", &mut signals);
    let declared: BTreeSet<IdCode> = signals.values().map(|(_, code)| *code).collect();
    let (mut values, mut now, mut at) = (BTreeMap::new(), HashMap::new(), None);
    for command in parser {
        match command.expect("well formed") {
            Command::Timestamp(t) => {
                if let Some(at) = at.replace(t) {
                    assert!(at < t, "times grow");
                    values.insert(at, now.clone());
                }
            }
            Command::ChangeScalar(code, v) => {
                assert!(declared.contains(&code), "{code} is declared");
                now.insert(code, digits([v]));
            }
            Command::ChangeVector(code, v) => {
                assert!(declared.contains(&code), "{code} is declared");
                now.insert(code, digits(v));
            }
            _ => {}
        }
    }
    values.extend(at.map(|at| (at, now)));
    Read { signals, values }
}

fn random_inputs(rng: &mut StdRng, time_ns: u64) -> Inputs {
    Inputs {
        reset: rng.random_ratio(1, 20),
        time_ns,
        mac: rng.random(),
        completer_id: rng.random(),
        tlp_rx: rng.random_bool(0.7).then(|| TlpBeat {
            d0: rng.random(),
            d1: rng.random(),
            bar: rng.random_range(0..8),
            ..TlpBeat::default()
        }),
        tlp_tx_ready: rng.random(),
        gmii_rx: Gmii {
            data: rng.random(),
            valid: rng.random(),
            error: rng.random(),
        },
        ..Inputs::default()
    }
}

/// A waveform of `steps` random steps from `from_ns` on.
fn record(engine: &mut dyn Engine, path: &Path, from_ns: u64, steps: u64) {
    engine.trace_start(path).expect("starts");
    let mut rng = StdRng::seed_from_u64(5);
    for n in 0..steps {
        let inputs = random_inputs(&mut rng, from_ns + n * 8);
        engine.step(Clocks::ALL, &inputs);
    }
    engine.trace_stop().expect("ends");
}

/// A name of rust-hdl's Verilog with dots and indices instead of `$`.
fn dotted(name: &str) -> String {
    let mut out = String::new();
    for part in name.split('$') {
        match part.parse::<u32>() {
            Ok(index) => out += &format!("[{index}]"),
            Err(_) if out.is_empty() => out += part,
            Err(_) => out += &format!(".{part}"),
        }
    }
    out
}

/// The signals of a module of the export and of all it holds, by path: read from the text's declarations and instances.
fn of_verilog(text: &str, module: &str, path: &str, out: &mut BTreeMap<String, u32>) {
    let start = text.find(&format!("module {module}(")).expect("the module");
    let body = &text[start..];
    let body = &body[..body.find("endmodule").expect("its end")];
    let open = body.find('(').expect("ports");
    let close = body.find(");").expect("the end of its ports");
    let ports = body[open + 1..close].split(',');
    let locals = body[close..].split(['\n', ';']);
    for declaration in ports.chain(locals) {
        let words: Vec<&str> = declaration.split_whitespace().collect();
        let rest: Vec<&str> = words
            .iter()
            .copied()
            .skip_while(|w| matches!(*w, "input" | "output" | "inout" | "wire" | "reg" | "signed"))
            .collect();
        if rest.len() == words.len() {
            // An instance: `kind name(.port(..`.
            if let [kind, instance, ..] = rest[..] {
                let name = instance.split('(').next().unwrap_or_default();
                if text.contains(&format!("module {kind}(")) && !name.is_empty() {
                    of_verilog(text, kind, &format!("{path}{}.", dotted(name)), out);
                }
            }
            continue;
        }
        let (bits, names) = match rest.split_first() {
            Some((range, names)) if range.starts_with('[') => {
                let msb = range[1..].split(':').next().expect("a range");
                (msb.parse::<u32>().expect("a number") + 1, names)
            }
            _ => (1, &rest[..]),
        };
        let Some(name) = names.first() else { continue };
        // A memory is no signal.
        if names.iter().any(|n| n.contains('[')) {
            continue;
        }
        out.insert(format!("{path}{}", dotted(name)), bits);
    }
}

fn widths(read: &Read) -> BTreeMap<String, u32> {
    let width = |(name, (bits, _)): (&String, &(u32, IdCode))| (name.clone(), *bits);
    read.signals.iter().map(width).collect()
}

#[test]
fn the_native_waveform_of_the_nic_has_the_signals_of_its_verilog() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("nic.vcd");
    let mut engine = engine::open::<Nic>(Kind::Native, &Options::default()).expect("native");
    record(&mut *engine, &path, 0, 3);
    let native = read(&path);
    let text = ferrule_rtl::verilog::emit::<Nic>(TOP).expect("exports");
    let mut verilog = BTreeMap::new();
    of_verilog(&text, TOP, &format!("{TOP}."), &mut verilog);
    let native = widths(&native);
    let unknown: Vec<_> = native
        .iter()
        .filter(|(n, _)| !verilog.contains_key(*n))
        .collect();
    assert!(unknown.is_empty(), "not in the Verilog: {unknown:?}");
    let differ: Vec<_> = native.iter().filter(|(n, w)| verilog[*n] != **w).collect();
    assert!(differ.is_empty(), "of another width: {differ:?}");
    let lacking: Vec<_> = verilog
        .keys()
        .filter(|n| !native.contains_key(*n) && !is_by_hand(n))
        .collect();
    assert!(lacking.is_empty(), "not in the waveform: {lacking:?}");
    for name in [
        "host.tlp_rx.d0",
        "host.read_req[1].valid",
        "tx.finish.state.q",
        "gmii_txd",
    ] {
        assert!(native.contains_key(&format!("{TOP}.{name}")), "{name}");
    }
}

/// Registers of Verilog written by hand have no counterpart in Rust: those of synchronisers and of the clock's sum.
fn is_by_hand(name: &str) -> bool {
    [".first", ".second"].iter().any(|end| name.ends_with(end)) || name.contains(".adjusted.sum.")
}

/// Names, widths and values at every time are those of `native`, but for registers and memories of Verilog written by hand.
fn agrees(native: &Read, other: &Read, what: &str) {
    let extra = |name: &&String| !native.signals.contains_key(*name);
    for name in other.signals.keys().filter(extra) {
        assert!(
            is_by_hand(name) || name.ends_with(']'),
            "{what} alone has {name}"
        );
    }
    let times = |read: &Read| read.values.keys().copied().collect::<Vec<_>>();
    assert_eq!(times(native), times(other), "{what}");
    for (name, (bits, code)) in &native.signals {
        let Some((width, theirs)) = other.signals.get(name) else {
            panic!("{what} lacks {name}");
        };
        assert_eq!(bits, width, "{what}: {name}");
        for (time, values) in &native.values {
            let theirs = other.values[time].get(theirs);
            assert_eq!(values.get(code), theirs, "{what}: {name} at {time} ps");
        }
    }
}

fn of_engine<T: engine::Top + rust_hdl::prelude::Block + Default + Send + 'static>(
    kind: Kind,
    steps: u64,
) -> Read {
    let dir = tempfile::tempdir().expect("temporary folder");
    let options = Options {
        tracing: true,
        cache: Some(concat!(env!("CARGO_TARGET_TMPDIR"), "/verilated").into()),
        ..Options::default()
    };
    let mut engine = engine::open::<T>(kind, &options).expect("an engine");
    let path = dir.path().join("w.vcd");
    record(&mut *engine, &path, 1_000, steps);
    read(&path)
}

#[test]
fn waveforms_of_all_engines_agree_on_names_widths_and_values_at_every_time() {
    let native = of_engine::<Mini>(Kind::Native, 300);
    assert!(native.signals.contains_key("ferrule_nic.history[1].q"));
    assert!(native.signals.contains_key("ferrule_nic.tlp_rx.d0"));
    let step = native.signals["ferrule_nic.step.q"].0;
    assert_eq!(step, 2, "an enumeration is a number");
    assert_eq!(native.values.len(), 600, "two phases a step");
    agrees(&native, &of_engine::<Mini>(Kind::Compiled, 300), "compiled");
    if have(&["verilator", "g++"]) {
        agrees(
            &native,
            &of_engine::<Mini>(Kind::Verilated, 300),
            "verilated",
        );
    }
}

#[test]
fn native_and_compiled_waveforms_of_the_nic_agree() {
    let native = of_engine::<Nic>(Kind::Native, 40);
    agrees(&native, &of_engine::<Nic>(Kind::Compiled, 40), "compiled");
}
