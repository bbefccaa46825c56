//! Engines: what evaluates the hardware clock by clock. One trait, chosen at run time.
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ferrule_rtl::pins::{Clocks, Inputs, Outputs};
use rust_hdl::prelude::Block;
use thiserror::Error;

pub mod binding;
pub mod compiled;
pub mod native;
mod nic;
pub mod vcd;
pub mod verilated;
pub mod verilator;
pub mod window;

pub use binding::Top;
use window::{TraceWindow, Windowed};

/// The Verilog module name of an exported core.
pub const TOP: &str = "ferrule_nic";
/// All clocks low: the first half of a step.
const LOW: Clocks = Clocks {
    core: false,
    rx: false,
    tx: false,
};
/// Time from the rising edge to the falling edge in a waveform.
const HIGH_PHASE_PS: u64 = 4_000;
const PS_PER_NS: u64 = 1_000;

/// Evaluates the core.
pub trait Engine: Send {
    /// One step: clocks low, `inputs` applied, everything settles, outputs are sampled; then the clocks of the mask rise and everything
    /// settles again. All engines agree on every step.
    fn step(&mut self, clocks: Clocks, inputs: &Inputs) -> Outputs;
    /// The engine's name, as on the command line.
    fn name(&self) -> &'static str;
    /// Rising edges of the core's clock so far.
    fn cycles(&self) -> u64;
    /// Starts a waveform (VCD, times in ps, see [`vcd`]) at `path` anew; one that runs is ended.
    ///
    /// # Errors
    /// [`EngineError::Trace`], [`EngineError::NoTracing`].
    fn trace_start(&mut self, path: &Path) -> Result<(), EngineError>;
    /// Ends the waveform, if one runs.
    ///
    /// # Errors
    /// [`EngineError::Trace`] if not all of it could be written.
    fn trace_stop(&mut self) -> Result<(), EngineError>;
}

/// Why there is no engine, or no waveform.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The design cannot be exported.
    #[error("exporting the design as Verilog: {0}")]
    Export(String),
    /// A program that is needed is not there.
    #[error("the verilated engine needs `{tool}`, which cannot be run ({source}); install verilator and g++, or use the engine `compiled`")]
    ToolMissing {
        /// The program.
        tool: &'static str,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// A program reports a failure.
    #[error("`{tool}` failed on the exported design:\n{log}")]
    ToolFailed {
        /// The program.
        tool: &'static str,
        /// What it printed.
        log: String,
    },
    /// The folder of built models cannot be used.
    #[error("the folder of built models {}: {source}; set FERRULE_CACHE to a folder that can be written", path.display())]
    Cache {
        /// The folder or file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The exported design is outside what the compiled engine takes.
    #[error("compiling the exported design: {0}")]
    Verilog(#[from] ferrule_verilog::VerilogError),
    /// The design is no NIC.
    #[error("the design has {} where the NIC has a port `{name}` of {bits} bit(s)", found.map_or("none".into(), |bits| format!("one of {bits}")))]
    Port {
        /// The port.
        name: String,
        /// Its width in the NIC.
        bits: u32,
        /// Its width here, if there is one.
        found: Option<u32>,
    },
    /// A built model cannot be loaded.
    #[error("loading the built model {}: {reason}; remove that folder and try again", path.display())]
    Load {
        /// The shared object.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The waveform cannot be written.
    #[error("writing the waveform {}: {source}", path.display())]
    Trace {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The engine was made without [`Options::tracing`].
    #[error("this engine was built without waveforms; ask for them when it is opened")]
    NoTracing,
    /// The model was asked for what only the hardware description has.
    #[error("the model has no clock and no signals; choose another engine, native for one")]
    NoCycles,
}

/// Which engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// rust-hdl's own evaluation; always there.
    Native,
    /// The exported Verilog, compiled to machine code at start-up; always there.
    Compiled,
    /// The exported Verilog, compiled by Verilator and g++.
    Verilated,
    /// The NIC as plain Rust behind the same registers, rings and wire: see [`crate::model`].
    Model,
    /// The fastest that is always there: `Compiled`.
    #[default]
    Auto,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 5] = [
        Self::Native,
        Self::Compiled,
        Self::Verilated,
        Self::Model,
        Self::Auto,
    ];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Native => "native",
            Self::Compiled => "compiled",
            Self::Verilated => "verilated",
            Self::Model => "model",
            Self::Auto => "auto",
        })
    }
}

/// A name that is no engine's.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("no engine is called `{0}`; there are native, compiled, verilated, model and auto")]
pub struct UnknownKind(String);

impl FromStr for Kind {
    type Err = UnknownKind;
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|k| k.to_string() == name)
            .ok_or_else(|| UnknownKind(name.into()))
    }
}

/// What an engine must be able to do.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Waveforms: the verilated engine is built for them then, which makes it slower.
    pub tracing: bool,
    /// The part of the run that waveforms show; all of it without one.
    pub window: Option<TraceWindow>,
    /// An existing folder in which the verilated engine, when it is dropped, leaves a file of what it covered: lines reached and bits that
    /// changed, as `verilator_coverage` reads it. Makes it slower.
    pub coverage: Option<PathBuf>,
    /// Folder of built models instead of [`verilator::cache_dir`].
    pub cache: Option<PathBuf>,
}

/// Opens an engine for the core `T`.
///
/// # Errors
/// See [`EngineError`]; `Native` has none. The model is no engine of this kind: [`crate::station::Core::open`] has it.
pub fn open<T: Top + Block + Default + Send + 'static>(
    kind: Kind,
    options: &Options,
) -> Result<Box<dyn Engine>, EngineError> {
    let engine: Box<dyn Engine> = match kind {
        Kind::Native => Box::new(native::NativeEngine::<T>::default()),
        Kind::Compiled | Kind::Auto => Box::new(compiled::Compiled::open::<T>(options)?),
        Kind::Verilated => {
            // No export where it is of no use.
            verilator::version()?;
            let text = ferrule_rtl::verilog::emit::<T>(TOP).map_err(EngineError::Export)?;
            Box::new(verilated::Verilated::build(&text, TOP, options)?)
        }
        Kind::Model => return Err(EngineError::NoCycles),
    };
    Ok(match options.window {
        Some(window) => Box::new(Windowed::new(engine, window)),
        None => engine,
    })
}

/// The times of a waveform: one per phase, never twice the same.
#[derive(Clone, Copy, Debug, Default)]
struct TraceTime {
    last_ps: Option<u64>,
}

impl TraceTime {
    /// Time of the phase in which inputs change and clocks are low.
    fn low(&mut self, time_ns: u64) -> u64 {
        self.at(time_ns.saturating_mul(PS_PER_NS))
    }
    /// Time of the rising edge that follows.
    fn high(&mut self) -> u64 {
        self.at(self.last_ps.unwrap_or(0) + HIGH_PHASE_PS)
    }
    fn at(&mut self, ps: u64) -> u64 {
        let ps = self.last_ps.map_or(ps, |last| ps.max(last + 1));
        self.last_ps = Some(ps);
        ps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_back() {
        for kind in Kind::ALL {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        let error = "fast".parse::<Kind>().unwrap_err().to_string();
        assert!(
            error.contains("fast") && error.contains("native"),
            "{error}"
        );
    }

    #[test]
    fn waveform_times_only_grow() {
        let mut t = TraceTime::default();
        assert_eq!((t.low(0), t.high()), (0, 4_000));
        assert_eq!((t.low(8), t.high()), (8_000, 12_000));
        assert_eq!((t.low(8), t.high()), (12_001, 16_001));
        assert_eq!(t.low(1_000), 1_000_000);
    }
}
