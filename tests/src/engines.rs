//! Engines for tests: the native and the compiled one always, and with them the verilated one where Verilator is installed.
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use ferrule_rtl::nic::Nic;
use ferrule_rtl::pins::{Clocks, Inputs, Outputs};
use ferrule_sim::engine::{open, Engine, EngineError, Kind, Options};

/// The folder for what the verilated engine covers: `FERRULE_COVERAGE`, which `cargo xtask coverage` sets.
fn coverage() -> Option<PathBuf> {
    std::env::var_os("FERRULE_COVERAGE").map(PathBuf::from)
}

/// The native engine on the whole NIC.
///
/// # Panics
/// If the design does not pass rust-hdl's checks.
pub fn native() -> Box<dyn Engine> {
    match open::<Nic>(Kind::Native, &Options::default()) {
        Ok(engine) => engine,
        Err(e) => panic!("the native engine: {e}"),
    }
}

/// The verilated engine on the whole NIC. Where Verilator is not installed: says so, and gives none.
///
/// # Panics
/// If the model cannot be built, and under `FERRULE_REQUIRE_TOOLS=1` if a tool is missing.
pub fn verilated() -> Option<Box<dyn Engine>> {
    // Tests that run at once wait for one build instead of each doing it.
    static BUILDING: Mutex<()> = Mutex::new(());
    let _one = BUILDING.lock();
    let options = Options {
        coverage: coverage(),
        ..Options::default()
    };
    match open::<Nic>(Kind::Verilated, &options) {
        Ok(engine) => Some(engine),
        Err(e @ EngineError::ToolMissing { .. }) => {
            ferrule_test_tools::missing(&e.to_string());
            None
        }
        Err(e) => panic!("the verilated engine: {e}"),
    }
}

/// The compiled engine on the whole NIC.
///
/// # Panics
/// If the design cannot be compiled.
pub fn compiled() -> Box<dyn Engine> {
    match open::<Nic>(Kind::Compiled, &Options::default()) {
        Ok(engine) => engine,
        Err(e) => panic!("the compiled engine: {e}"),
    }
}

/// All engines that can be had, in lockstep. Where coverage is measured, the native one, which takes most of the time, has nothing to add.
///
/// # Panics
/// As [`native`], [`compiled`] and [`verilated`].
pub fn all() -> Box<dyn Engine> {
    let others = [Some(compiled()), verilated()].into_iter().flatten();
    if coverage().is_some() {
        return lockstep(compiled(), others.skip(1).collect());
    }
    lockstep(native(), others.collect())
}

/// Engines in lockstep.
pub fn lockstep(first: Box<dyn Engine>, others: Vec<Box<dyn Engine>>) -> Box<dyn Engine> {
    Box::new(Lockstep { first, others })
}

/// Engines with the same inputs, whose outputs must be the same in every cycle.
pub struct Lockstep {
    first: Box<dyn Engine>,
    others: Vec<Box<dyn Engine>>,
}

impl Engine for Lockstep {
    /// # Panics
    /// If the engines differ.
    fn step(&mut self, clocks: Clocks, inputs: &Inputs) -> Outputs {
        let expected = self.first.step(clocks, inputs);
        for engine in &mut self.others {
            let got = engine.step(clocks, inputs);
            if got != expected {
                panic!(
                    "cycle {}:\n{:10} {expected:?}\n{:10} {got:?}\nwith       {inputs:?}",
                    self.first.cycles(),
                    self.first.name(),
                    engine.name(),
                );
            }
        }
        expected
    }
    fn name(&self) -> &'static str {
        "all"
    }
    fn cycles(&self) -> u64 {
        self.first.cycles()
    }
    fn trace_start(&mut self, path: &Path) -> Result<(), EngineError> {
        self.first.trace_start(path)
    }
    fn trace_stop(&mut self) -> Result<(), EngineError> {
        self.first.trace_stop()
    }
}
