//! The engines agree, on a small core with the NIC's ports.
#![allow(missing_docs, reason = "the derives make items without docs")]
mod common;

use common::Mini;
use ferrule_rtl::pins::{Clocks, Gmii, Inputs, Outputs, TlpBeat};
use ferrule_sim::engine::{self, Engine, EngineError, Kind, Options};
use ferrule_test_tools::have;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Models are kept in the build's own folder for temporary files.
fn options(tracing: bool) -> Options {
    Options {
        tracing,
        cache: Some(concat!(env!("CARGO_TARGET_TMPDIR"), "/verilated").into()),
        ..Options::default()
    }
}

fn random_step(rng: &mut StdRng, time_ns: u64) -> (Clocks, Inputs) {
    let clocks = Clocks {
        core: rng.random_ratio(3, 4),
        rx: rng.random_bool(0.5),
        tx: rng.random_bool(0.5),
    };
    let inputs = Inputs {
        reset: rng.random_ratio(1, 50),
        time_ns,
        mac: rng.random(),
        link_up: rng.random(),
        link_speed: rng.random_range(0..4),
        completer_id: rng.random(),
        bus_master: rng.random(),
        max_payload: rng.random_range(0..8),
        max_read: rng.random_range(0..8),
        msix_enable: rng.random(),
        msix_mask: rng.random(),
        tlp_rx: rng.random_bool(0.7).then(|| TlpBeat {
            d0: rng.random(),
            d1: rng.random(),
            half: rng.random(),
            last: rng.random(),
            bar: rng.random_range(0..8),
        }),
        tlp_tx_ready: rng.random(),
        gmii_rx: Gmii {
            data: rng.random(),
            valid: rng.random(),
            error: rng.random(),
        },
    };
    (clocks, inputs)
}

/// The engines that can be had beside the native one.
fn others() -> Vec<Kind> {
    let verilated = have(&["verilator", "g++"]).then_some(Kind::Verilated);
    [Some(Kind::Compiled), verilated]
        .into_iter()
        .flatten()
        .collect()
}

#[test]
fn all_engines_agree_cycle_by_cycle() {
    let options = options(false);
    for kind in others() {
        let mut native = engine::open::<Mini>(Kind::Native, &options).unwrap();
        let mut other = engine::open::<Mini>(kind, &options).unwrap();
        assert_eq!(
            (native.name(), other.name()),
            ("native", &*kind.to_string())
        );
        for seed in 0..20u64 {
            let mut rng = StdRng::seed_from_u64(seed);
            for n in 0..200u64 {
                let (clocks, inputs) = random_step(&mut rng, (seed << 30) + n * 8);
                let (a, b) = (native.step(clocks, &inputs), other.step(clocks, &inputs));
                assert_eq!(a, b, "{kind} seed {seed} step {n} {clocks:?} {inputs:?}");
            }
        }
        assert_eq!(native.cycles(), other.cycles());
    }
}

/// The core's register for a beat, followed by hand: outputs are those before the edge.
fn one_beat_passes(engine: &mut dyn Engine) {
    let beat = TlpBeat {
        d0: 0x0102_0304,
        d1: 0xFFFF_FFF0,
        half: false,
        last: true,
        bar: 2,
    };
    let reset = Inputs {
        reset: true,
        ..Inputs::default()
    };
    engine.step(Clocks::ALL, &reset);
    let offer = Inputs {
        tlp_rx: Some(beat),
        mac: [0x10, 0, 0, 0, 0, 0],
        ..Inputs::default()
    };
    let first = engine.step(Clocks::ALL, &offer);
    assert!(first.tlp_rx_ready && first.tlp_tx.is_none());
    let held = engine.step(Clocks::ALL, &offer);
    assert!(!held.tlp_rx_ready && held.busy);
    // d0 is passed on, d1 has mac_lo added and wraps.
    assert_eq!(held.tlp_tx, Some(TlpBeat { d1: 0, ..beat }));
    let mut take = offer;
    take.tlp_rx = None;
    take.tlp_tx_ready = true;
    assert!(engine.step(Clocks::ALL, &take).tlp_tx.is_some());
    assert_eq!(
        engine.step(Clocks::ALL, &take),
        Outputs {
            tlp_rx_ready: true,
            ..Outputs::default()
        }
    );
    assert_eq!(engine.cycles(), 5);
}

#[test]
fn outputs_are_sampled_before_the_edge() {
    one_beat_passes(&mut *engine::open::<Mini>(Kind::Native, &Options::default()).unwrap());
    for kind in others() {
        one_beat_passes(&mut *engine::open::<Mini>(kind, &options(false)).unwrap());
    }
}

/// Value changes of a waveform, and its last time.
fn read_vcd(path: &std::path::Path) -> (usize, u64) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains("$enddefinitions"), "a VCD header");
    assert!(
        text.contains("gmii_txd") && text.contains("tlp_tx"),
        "the source's names"
    );
    let times: Vec<u64> = text
        .lines()
        .filter_map(|l| l.strip_prefix('#')?.parse().ok())
        .collect();
    assert!(
        times.windows(2).all(|w| w[0] < w[1]),
        "times grow: {times:?}"
    );
    (text.lines().count(), *times.last().unwrap())
}

#[test]
fn waveforms_of_all_engines_have_names_and_times() {
    let dir = tempfile::tempdir().unwrap();
    let options = options(true);
    for kind in [vec![Kind::Native], others()].concat() {
        let mut engine = engine::open::<Mini>(kind, &options).unwrap();
        let path = dir.path().join(format!("{kind}.vcd"));
        engine.trace_start(&path).unwrap();
        let mut rng = StdRng::seed_from_u64(1);
        for n in 0..20u64 {
            let (_, inputs) = random_step(&mut rng, 1_000 + n * 8);
            engine.step(Clocks::ALL, &inputs);
        }
        engine.trace_stop().unwrap();
        let (lines, last) = read_vcd(&path);
        assert!(lines > 300, "{kind}: {lines} lines");
        assert_eq!(last, (1_000 + 19 * 8) * 1_000 + 4_000, "{kind}");
        let refused = engine.trace_start(&dir.path().join("no/such/folder.vcd"));
        assert!(matches!(refused, Err(EngineError::Trace { .. })), "{kind}");
        // A second waveform of the same engine stands for itself.
        engine.trace_start(&path).unwrap();
        engine.step(
            Clocks::ALL,
            &Inputs {
                time_ns: 5_000,
                ..Inputs::default()
            },
        );
        engine.trace_stop().unwrap();
        assert_eq!(read_vcd(&path).1, 5_004_000, "{kind}");
    }
}

#[test]
fn a_full_disk_is_an_error_at_the_end_of_a_native_waveform() {
    let mut engine = engine::open::<Mini>(Kind::Native, &Options::default()).unwrap();
    engine.trace_start("/dev/full".as_ref()).unwrap();
    engine.step(Clocks::ALL, &Inputs::default());
    assert!(matches!(
        engine.trace_stop(),
        Err(EngineError::Trace { .. })
    ));
}

#[test]
fn a_model_is_built_once_and_nothing_is_left_of_the_building() {
    if !have(&["verilator", "g++"]) {
        return;
    }
    let cache = tempfile::tempdir().unwrap();
    let build = || {
        engine::verilator::build(
            "module m(input a, output q); assign q = a; endmodule",
            "m",
            engine::verilator::Extras::default(),
            cache.path(),
        )
    };
    let (first, second) = std::thread::scope(|s| {
        let other = s.spawn(build);
        (build().unwrap(), other.join().unwrap().unwrap())
    });
    assert_eq!(first, second);
    let time = || std::fs::metadata(&first).unwrap().modified().unwrap();
    let built = time();
    assert_eq!(build().unwrap(), first);
    assert_eq!(time(), built);
    assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 1);
}

#[test]
fn a_model_without_the_nics_ports_is_refused() {
    if !have(&["verilator", "g++"]) {
        return;
    }
    let options = options(false);
    let build = |text: &str| engine::verilated::Verilated::build(text, "m", &options).map(drop);
    let no_port =
        build("module m(input clock, output q); assign q = clock; endmodule").unwrap_err();
    assert!(
        no_port.to_string().contains("no port gmii_rx_clk"),
        "{no_port}"
    );
    let bad = build("module m(input clock; endmodule").unwrap_err();
    assert!(
        matches!(
            bad,
            EngineError::ToolFailed {
                tool: "verilator",
                ..
            }
        ),
        "{bad}"
    );
}
