//! Engines for tests: the native one always, and with it the verilated one where Verilator is installed.
use std::path::Path;
use std::sync::Mutex;

use ferrule_rtl::nic::Nic;
use ferrule_rtl::pins::{Clocks, Inputs, Outputs};
use ferrule_sim::engine::{open, Engine, EngineError, Kind, Options};

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
    match open::<Nic>(Kind::Verilated, &Options::default()) {
        Ok(engine) => Some(engine),
        Err(e @ EngineError::ToolMissing { .. }) => {
            ferrule_test_tools::missing(&e.to_string());
            None
        }
        Err(e) => panic!("the verilated engine: {e}"),
    }
}

/// Both engines in lockstep where both can be had; else the native one.
///
/// # Panics
/// As [`native`] and [`verilated`].
pub fn both() -> Box<dyn Engine> {
    match verilated() {
        Some(verilated) => Box::new(Lockstep {
            one: native(),
            other: verilated,
        }),
        None => native(),
    }
}

/// Two engines with the same inputs, whose outputs must be the same in every cycle.
pub struct Lockstep {
    one: Box<dyn Engine>,
    other: Box<dyn Engine>,
}

impl Engine for Lockstep {
    /// # Panics
    /// If the engines differ.
    fn step(&mut self, clocks: Clocks, inputs: &Inputs) -> Outputs {
        let one = self.one.step(clocks, inputs);
        let other = self.other.step(clocks, inputs);
        if one != other {
            panic!(
                "cycle {}:\n{:10} {one:?}\n{:10} {other:?}\nwith       {inputs:?}",
                self.one.cycles(),
                self.one.name(),
                self.other.name(),
            );
        }
        one
    }
    fn name(&self) -> &'static str {
        "native and verilated"
    }
    fn cycles(&self) -> u64 {
        self.one.cycles()
    }
    fn trace_start(&mut self, path: &Path) -> Result<(), EngineError> {
        self.one.trace_start(path)
    }
    fn trace_stop(&mut self) -> Result<(), EngineError> {
        self.one.trace_stop()
    }
}
