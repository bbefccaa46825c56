//! What the engines do: cycles per CPU second, start-up, frames looped through the whole NIC, a ping's round trip, TCP over the model.
//!
//! For cycles per CPU second the inputs of a run are recorded once and played to each engine, so that only the engine is timed.
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ferrule_rtl::nic::Nic;
use ferrule_rtl::pins::{Clocks, Inputs, Outputs};
use ferrule_sim::engine::{open, Engine, EngineError, Kind, Options};
use ferrule_tests::bench::Bench;
use ferrule_tests::line_rate;

use super::thread_cpu_seconds;
use super::traffic;
use crate::row::Row;

/// Frames each way that are recorded.
const FRAMES: u64 = 4_096;
/// Cycles that are played to the native engine.
const NATIVE_CYCLES: usize = 10_000;
const UNIT: &str = "cycles per CPU second";
/// Targets of the compiled engine.
const TIMES_NATIVE: f64 = 100.0;
const TIMES_VERILATED: f64 = 0.5;
const START_UP_SECONDS: f64 = 2.0;
/// Frames a second, looped.
const COMPILED_FRAMES: f64 = 1_000.0;
const VERILATED_FRAMES: f64 = 2_000.0;
const MODEL_FRAMES: f64 = 150_000.0;
const PING_MS: f64 = 3.0;
const MODEL_MBIT_PER_S: f64 = 1_000.0;

/// An engine that keeps the inputs of every step.
struct Recorder {
    engine: Box<dyn Engine>,
    inputs: Arc<Mutex<Vec<Inputs>>>,
}

impl Engine for Recorder {
    fn step(&mut self, clocks: Clocks, inputs: &Inputs) -> Outputs {
        self.inputs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(*inputs);
        self.engine.step(clocks, inputs)
    }
    fn name(&self) -> &'static str {
        self.engine.name()
    }
    fn cycles(&self) -> u64 {
        self.engine.cycles()
    }
    fn trace_start(&mut self, path: &Path) -> Result<(), EngineError> {
        self.engine.trace_start(path)
    }
    fn trace_stop(&mut self) -> Result<(), EngineError> {
        self.engine.trace_stop()
    }
}

/// Cycles per second of this thread's CPU time.
fn rate(engine: &mut dyn Engine, setup: &[Inputs], traffic: &[Inputs]) -> f64 {
    for inputs in setup {
        engine.step(Clocks::ALL, inputs);
    }
    let start = thread_cpu_seconds();
    for inputs in traffic {
        std::hint::black_box(engine.step(Clocks::ALL, inputs));
    }
    traffic.len() as f64 / (thread_cpu_seconds() - start)
}

/// The verilated engine, where its tools are installed.
fn verilated() -> Result<Option<Box<dyn Engine>>, EngineError> {
    match open::<Nic>(Kind::Verilated, &Options::default()) {
        Ok(engine) => Ok(Some(engine)),
        Err(e @ EngineError::ToolMissing { .. }) => {
            eprintln!("skipped the verilated engine: {e}");
            Ok(None)
        }
        Err(e) => Err(e),
    }
}

pub(super) fn measure() -> Result<Vec<Row>, Box<dyn std::error::Error>> {
    // First of all: later engines of this process share what the first has made.
    let start = thread_cpu_seconds();
    let mut compiled = open::<Nic>(Kind::Compiled, &Options::default())?;
    let start_up = thread_cpu_seconds() - start;

    let recorded = Arc::new(Mutex::new(vec![]));
    let recorder = Recorder {
        engine: open::<Nic>(Kind::Compiled, &Options::default())?,
        inputs: Arc::clone(&recorded),
    };
    let mut bench = Bench::new(Box::new(recorder), &line_rate::layout());
    let setup = bench.engine.cycles() as usize;
    line_rate::run(&mut bench, FRAMES);
    let recorded = recorded.lock().unwrap_or_else(PoisonError::into_inner);
    let (setup, traffic) = recorded.split_at(setup);

    let mut native = open::<Nic>(Kind::Native, &Options::default())?;
    let native = rate(&mut *native, setup, &traffic[..NATIVE_CYCLES]);
    let compiled = rate(&mut *compiled, setup, traffic);
    let verilated = verilated()?.map(|mut engine| rate(&mut *engine, setup, traffic));

    let mut rows = vec![
        Row::new("native engine", native, UNIT),
        Row::new("compiled engine (peer: native)", compiled, UNIT)
            .with_peer(native)
            .at_least_times(TIMES_NATIVE),
    ];
    if let Some(verilated) = verilated {
        rows.push(
            Row::new("compiled engine (peer: verilated)", compiled, UNIT)
                .with_peer(verilated)
                .at_least_times(TIMES_VERILATED),
        );
    }
    rows.push(
        Row::new("start-up of the compiled engine", start_up, "CPU seconds")
            .at_most(START_UP_SECONDS),
    );
    let mut looped = vec![
        (Kind::Compiled, COMPILED_FRAMES),
        (Kind::Model, MODEL_FRAMES),
    ];
    if verilated.is_some() {
        looped.push((Kind::Verilated, VERILATED_FRAMES));
    }
    for (kind, target) in looped {
        rows.push(
            Row::new(
                format!("64-byte frames from the driver through the NIC and back, {kind}"),
                traffic::looped(kind)?,
                "frames per CPU second",
            )
            .at_least(target),
        );
    }
    rows.push(
        Row::new(
            "round trip of a ping from stack to driver, RTL, LAN and back, compiled",
            traffic::ping_ms(Kind::Compiled)?,
            "ms of wall time, median",
        )
        .at_most(PING_MS),
    );
    rows.push(
        Row::new(
            format!(
                "TCP from socket to socket over link, model, interrupts after {:?}",
                traffic::MODERATION
            ),
            traffic::tcp_mbit_per_s(Kind::Model)?,
            "Mbit/s of wall time",
        )
        .at_least(MODEL_MBIT_PER_S),
    );
    Ok(rows)
}
