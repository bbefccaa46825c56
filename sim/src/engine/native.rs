//! The native engine: rust-hdl's own evaluation, nothing to install.
use std::path::Path;

use ferrule_rtl::native::Native;
use ferrule_rtl::pins::{Clocks, Inputs, Outputs};
use rust_hdl::core::atom::{Atom, AtomKind};
use rust_hdl::core::probe::Probe;
use rust_hdl::core::synth::VCDValue;
use rust_hdl::core::type_descriptor::TypeKind;
use rust_hdl::prelude::{clog2, Block};

use super::vcd::{Hierarchy, Signal, Waveform};
use super::{Engine, EngineError, Top, TraceTime, LOW, TOP};

/// A core evaluated by rust-hdl.
pub struct NativeEngine<T: Top + Block> {
    core: Native<T>,
    cycles: u64,
    trace: Option<Trace>,
}

impl<T: Top + Block + Default> Default for NativeEngine<T> {
    fn default() -> Self {
        Self::new(Box::default())
    }
}

impl<T: Top + Block> NativeEngine<T> {
    /// An engine for a core that is not connected yet.
    ///
    /// # Panics
    /// If the design does not pass rust-hdl's checks.
    pub fn new(core: Box<T>) -> Self {
        Self {
            core: Native::new(core),
            cycles: 0,
            trace: None,
        }
    }

    /// The core, for what a test wants to see inside.
    pub fn core(&self) -> &T {
        &self.core.u
    }
}

impl<T: Top + Block + Send> Engine for NativeEngine<T> {
    fn step(&mut self, clocks: Clocks, inputs: &Inputs) -> Outputs {
        self.core.u.clocks(LOW);
        self.core.u.drive(inputs);
        self.core.settle();
        let outputs = self.core.u.sample();
        if let Some(trace) = &mut self.trace {
            let at = trace.time.low(inputs.time_ns);
            trace.change(at, &*self.core.u);
        }
        self.core.u.clocks(clocks);
        self.core.settle();
        if let Some(trace) = &mut self.trace {
            let at = trace.time.high();
            trace.change(at, &*self.core.u);
        }
        self.cycles += u64::from(clocks.core);
        outputs
    }

    fn name(&self) -> &'static str {
        "native"
    }

    fn cycles(&self) -> u64 {
        self.cycles
    }

    fn trace_start(&mut self, path: &Path) -> Result<(), EngineError> {
        self.trace_stop()?;
        self.trace = Some(Trace::start(path, &*self.core.u)?);
        Ok(())
    }

    fn trace_stop(&mut self) -> Result<(), EngineError> {
        self.trace.take().map_or(Ok(()), |t| t.waveform.finish())
    }
}

/// A waveform under way.
struct Trace {
    waveform: Waveform,
    atoms: Vec<Option<Traced>>,
    time: TraceTime,
}

/// An atom of the design in the waveform.
struct Traced {
    signal: Signal,
    kind: TypeKind,
}

impl Trace {
    fn start(path: &Path, design: &dyn Block) -> Result<Self, EngineError> {
        let mut declaring = Declaring {
            hierarchy: Hierarchy::new(TOP),
            path: vec![],
            atoms: vec![],
        };
        design.accept(TOP, &mut declaring);
        Ok(Self {
            waveform: Waveform::create(path, &declaring.hierarchy)?,
            atoms: declaring.atoms,
            time: TraceTime::default(),
        })
    }

    fn change(&mut self, at_ps: u64, design: &dyn Block) {
        self.waveform.time(at_ps);
        let mut sampling = Sampling {
            waveform: &mut self.waveform,
            atoms: self.atoms.iter(),
            bits: vec![],
            words: vec![],
        };
        design.accept(TOP, &mut sampling);
    }
}

/// Finds the signals of a design.
struct Declaring {
    hierarchy: Hierarchy,
    path: Vec<String>,
    atoms: Vec<Option<Traced>>,
}

impl Probe for Declaring {
    fn visit_start_scope(&mut self, name: &str, _: &dyn Block) {
        self.path.push(name.to_owned());
    }
    fn visit_start_namespace(&mut self, name: &str, _: &dyn Block) {
        self.path.push(name.to_owned());
    }
    fn visit_atom(&mut self, name: &str, atom: &dyn Atom) {
        // Constants are parameters of the Verilog.
        let traced = (atom.kind() != AtomKind::Constant).then(|| {
            self.path.push(name.to_owned());
            // The first scope is the design itself.
            let signal = self.hierarchy.signal(&self.path[1..], atom.bits() as u32);
            self.path.pop();
            let kind = atom.descriptor().kind;
            Traced { signal, kind }
        });
        self.atoms.push(traced);
    }
    fn visit_end_namespace(&mut self, _: &str, _: &dyn Block) {
        self.path.pop();
    }
    fn visit_end_scope(&mut self, _: &str, _: &dyn Block) {
        self.path.pop();
    }
}

/// Hands the value of each atom to the waveform; atoms come in the order of [`Declaring`].
struct Sampling<'a> {
    waveform: &'a mut Waveform,
    atoms: std::slice::Iter<'a, Option<Traced>>,
    bits: Vec<bool>,
    words: Vec<u64>,
}

impl Probe for Sampling<'_> {
    fn visit_atom(&mut self, _: &str, atom: &dyn Atom) {
        let Some(Some(traced)) = self.atoms.next() else {
            return;
        };
        self.bits.clear();
        lay_down(&atom.vcd(), &traced.kind, &mut self.bits);
        let word = |bits: &[bool]| bits.iter().rev().fold(0, |w, b| w << 1 | u64::from(*b));
        self.words.clear();
        self.words.extend(self.bits.chunks(64).map(word));
        self.waveform.set(traced.signal, &self.words);
    }
}

/// Appends a value's bits as the Verilog has them, least significant first: the values of an enumeration are numbered, the first field of
/// a structure comes first.
fn lay_down(value: &VCDValue, kind: &TypeKind, bits: &mut Vec<bool>) {
    match (value, kind) {
        (VCDValue::Single(_), _) => bits.push(*value == VCDValue::from(true)),
        (VCDValue::Vector(digits), _) => {
            bits.extend(digits.iter().rev().map(|d| *d == ::vcd::Value::V1));
        }
        (VCDValue::String(label), TypeKind::Enum(labels)) => {
            let is_it = |l: &String| l.rsplit("::").next() == Some(label);
            let number = labels.iter().position(is_it).unwrap_or(0);
            bits.extend((0..clog2(labels.len())).map(|bit| number >> bit & 1 == 1));
        }
        (VCDValue::Composite(values), TypeKind::Composite(fields)) => {
            for (value, field) in values.iter().zip(fields) {
                lay_down(value, &field.kind.kind, bits);
            }
        }
        (VCDValue::String(_) | VCDValue::Composite(_), _) => {}
    }
}
