//! The compiled engine: the exported Verilog as machine code, made at start-up with nothing installed.
use std::any::TypeId;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use ferrule_rtl::pins::{Clocks, Inputs, Outputs};
use ferrule_verilog::{Model, Program, Signal};
use rust_hdl::prelude::Block;

use super::binding::{Access, Ports};
use super::vcd::{self, Hierarchy, Waveform};
use super::{Engine, EngineError, Options, TraceTime, LOW, TOP};

impl Access<Signal> for Model {
    #[inline]
    fn set(&mut self, port: &Signal, value: u32) {
        Self::set(self, *port, value.into());
    }
    #[inline]
    fn get(&self, port: &Signal) -> u32 {
        Self::get(self, *port) as u32
    }
}

/// A core evaluated by machine code of its own.
pub struct Compiled {
    ports: Ports<Signal>,
    /// Bits of the core's, the receive and the transmit clock in a mask; 0 where nothing depends on it.
    clocks: [u32; 3],
    model: Model,
    program: Program,
    can_trace: bool,
    trace: Option<Trace>,
    cycles: u64,
}

/// A waveform under way.
struct Trace {
    waveform: Waveform,
    signals: Vec<(Signal, vcd::Signal)>,
    time: TraceTime,
}

impl Trace {
    fn start(path: &Path, program: &Program) -> Result<Self, EngineError> {
        let mut hierarchy = Hierarchy::new(TOP);
        let mut paths: Vec<Vec<&str>> = vec![];
        let (mut signals, mut seen) = (vec![], HashSet::new());
        for scope in program.scopes() {
            // The outermost scope is the design itself.
            let path = match scope.parent {
                Some(parent) => [&paths[parent][..], &[&scope.name]].concat(),
                None => vec![],
            };
            for (name, signal) in &scope.signals {
                let whole = [&path[..], &[name]].concat();
                let traced = hierarchy.signal(&whole, signal.width());
                // A port is there from inside and from outside.
                if seen.insert(traced) {
                    signals.push((*signal, traced));
                }
            }
            paths.push(path);
        }
        Ok(Self {
            waveform: Waveform::create(path, &hierarchy)?,
            signals,
            time: TraceTime::default(),
        })
    }

    fn change(&mut self, at_ps: u64, model: &Model) {
        self.waveform.time(at_ps);
        for (signal, traced) in &self.signals {
            if signal.width() <= u64::BITS {
                self.waveform.set(*traced, &[model.get(*signal)]);
            } else {
                self.waveform.set(*traced, &model.words(*signal));
            }
        }
    }
}

/// Programs made in this process so far. What they are made of does not change while it runs.
static PROGRAMS: Mutex<Option<HashMap<(TypeId, bool), Program>>> = Mutex::new(None);

/// The program of a core; `tracing`: with all its signals.
pub(crate) fn program<T: Block + Default + 'static>(tracing: bool) -> Result<Program, EngineError> {
    let mut programs = PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
    let programs = programs.get_or_insert_default();
    let key = (TypeId::of::<T>(), tracing);
    if let Some(program) = programs.get(&key) {
        return Ok(program.clone());
    }
    let text = ferrule_rtl::verilog::emit::<T>(TOP).map_err(EngineError::Export)?;
    let program = compile(&text, TOP, tracing)?;
    programs.insert(key, program.clone());
    Ok(program)
}

fn compile(text: &str, top: &str, tracing: bool) -> Result<Program, EngineError> {
    let options = ferrule_verilog::Options { keep_all: tracing };
    Ok(Program::compile(&format!("{top}.v"), text, top, options)?)
}

impl Compiled {
    /// An engine for the core `T`. All engines of one core in a process share its machine code.
    ///
    /// # Errors
    /// [`EngineError::Export`]; [`EngineError::Verilog`] if the design is outside what can be compiled.
    pub fn open<T: Block + Default + 'static>(options: &Options) -> Result<Self, EngineError> {
        Self::new(&program::<T>(options.tracing)?, options.tracing)
    }

    /// An engine for module `top` of a text, whose ports are those of the NIC.
    ///
    /// # Errors
    /// [`EngineError::Verilog`], [`EngineError::Port`].
    pub fn of_verilog(text: &str, top: &str, options: &Options) -> Result<Self, EngineError> {
        Self::new(&compile(text, top, options.tracing)?, options.tracing)
    }

    fn new(program: &Program, can_trace: bool) -> Result<Self, EngineError> {
        let ports = Ports::find(|name, bits| match program.port(name) {
            Some(signal) if signal.width() == bits => Ok(signal),
            other => Err(EngineError::Port {
                name: name.into(),
                bits,
                found: other.map(Signal::width),
            }),
        })?;
        let bit = |name| {
            let at = program.clocks().iter().position(|(clock, _)| clock == name);
            at.map_or(0, |at| 1 << at)
        };
        Ok(Self {
            ports,
            clocks: ["clock", "gmii_rx_clk", "gmii_tx_clk"].map(bit),
            model: program.start(),
            program: program.clone(),
            can_trace,
            trace: None,
            cycles: 0,
        })
    }

    fn mask(&self, clocks: Clocks) -> u32 {
        let rises = [clocks.core, clocks.rx, clocks.tx];
        let bits = self.clocks.iter().zip(rises);
        bits.filter(|(_, rises)| *rises).map(|(bit, _)| bit).sum()
    }
}

impl Engine for Compiled {
    fn step(&mut self, clocks: Clocks, inputs: &Inputs) -> Outputs {
        self.ports.drive(&mut self.model, inputs);
        if self.trace.is_some() {
            // Only a waveform looks at the clocks' values.
            self.ports.clocks(&mut self.model, LOW);
        }
        self.model.settle();
        let outputs = self.ports.sample(&self.model);
        if let Some(trace) = &mut self.trace {
            let at = trace.time.low(inputs.time_ns);
            trace.change(at, &self.model);
        }
        self.model.rise(self.mask(clocks));
        if let Some(trace) = &mut self.trace {
            self.ports.clocks(&mut self.model, clocks);
            self.model.settle();
            let at = trace.time.high();
            trace.change(at, &self.model);
        }
        self.cycles += u64::from(clocks.core);
        outputs
    }

    fn name(&self) -> &'static str {
        "compiled"
    }

    fn cycles(&self) -> u64 {
        self.cycles
    }

    fn trace_start(&mut self, path: &Path) -> Result<(), EngineError> {
        if !self.can_trace {
            return Err(EngineError::NoTracing);
        }
        self.trace_stop()?;
        self.trace = Some(Trace::start(path, &self.program)?);
        Ok(())
    }

    fn trace_stop(&mut self) -> Result<(), EngineError> {
        self.trace.take().map_or(Ok(()), |t| t.waveform.finish())
    }
}
