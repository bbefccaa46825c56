//! Cycles per CPU second: the inputs of a run are recorded once and played to each engine, so that only the engine is timed.
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use ferrule_rtl::nic::Nic;
use ferrule_rtl::pins::{Clocks, Inputs, Outputs};
use ferrule_sim::engine::{open, Engine, EngineError, Kind, Options};
use ferrule_tests::bench::Bench;
use ferrule_tests::line_rate;
use rustix::time::{clock_gettime, ClockId};

use super::Row;

/// Frames each way that the fastest engine available is given.
const FRAMES: u64 = 4_096;
/// Frames each way where there is only the native engine to record them.
const FRAMES_NATIVE: u64 = 128;
/// Cycles that are played to the native engine.
const NATIVE_CYCLES: usize = 10_000;
const UNIT: &str = "cycles per CPU second";

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
    let cpu_seconds = || {
        let t = clock_gettime(ClockId::ThreadCPUTime);
        t.tv_sec as f64 + t.tv_nsec as f64 / 1e9
    };
    for inputs in setup {
        engine.step(Clocks::ALL, inputs);
    }
    let start = cpu_seconds();
    for inputs in traffic {
        std::hint::black_box(engine.step(Clocks::ALL, inputs));
    }
    let spent = cpu_seconds() - start;
    traffic.len() as f64 / spent
}

pub(super) fn measure() -> Result<Vec<Row>, Box<dyn std::error::Error>> {
    let verilated = match open::<Nic>(Kind::Verilated, &Options::default()) {
        Ok(engine) => Some(engine),
        Err(e @ EngineError::ToolMissing { .. }) => {
            eprintln!("skipped the verilated engine: {e}");
            None
        }
        Err(e) => return Err(e.into()),
    };
    let frames = if verilated.is_some() {
        FRAMES
    } else {
        FRAMES_NATIVE
    };
    let recorded = Arc::new(Mutex::new(vec![]));
    let recorder = Recorder {
        engine: open::<Nic>(Kind::Auto, &Options::default())?,
        inputs: Arc::clone(&recorded),
    };
    let mut bench = Bench::new(Box::new(recorder), &line_rate::layout());
    let setup = bench.engine.cycles() as usize;
    line_rate::run(&mut bench, frames);
    let recorded = recorded.lock().unwrap_or_else(PoisonError::into_inner);
    let (setup, traffic) = recorded.split_at(setup);

    let mut native = open::<Nic>(Kind::Native, &Options::default())?;
    let some = &traffic[..traffic.len().min(NATIVE_CYCLES)];
    let native = rate(&mut *native, setup, some);
    let mut rows = vec![Row::new("native engine", native, UNIT)];
    if let Some(mut engine) = verilated {
        let rate = rate(&mut *engine, setup, traffic);
        rows.push(Row::new("verilated engine (peer: native)", rate, UNIT).with_peer(native));
    }
    Ok(rows)
}
