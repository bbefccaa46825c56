//! A design that runs: ports, passes and edges.
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::compile::{Layout, Plan, WORD};
use crate::elaborate::elaborate;
use crate::error::{At, Fault, Pos, Result, VerilogError};
use crate::machine::{Functions, Machine};
use crate::netlist::{Design, NetId};
use crate::parse::parse;
use crate::schedule::{clocked, order};
use crate::value::{last_mask, LIMB};

/// How a model is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// All signals can be read, not only ports: for waveforms. Slower.
    pub keep_all: bool,
}

/// A signal of a model. Belongs to the model that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signal {
    offset: u32,
    width: u32,
}

impl Signal {
    /// Bits.
    pub fn width(self) -> u32 {
        self.width
    }
}

/// An instance of a module in the hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// The instance's name; that of the top is the module's.
    pub name: String,
    /// Index of the instance that contains it; it comes before this one.
    pub parent: Option<usize>,
    /// Signals by name, in the order of their declarations. One that a model without [`Options::keep_all`] does not compute is left out.
    pub signals: Vec<(String, Signal)>,
}

/// A module of a Verilog text as machine code. Clones share it.
#[derive(Clone)]
pub struct Program {
    shared: Arc<Shared>,
}

struct Shared {
    functions: Arc<Functions>,
    /// State before anything runs.
    initial: Vec<u64>,
    inputs: Vec<(String, Signal)>,
    outputs: Vec<(String, Signal)>,
    clocks: Vec<(String, Signal)>,
    scopes: Vec<Scope>,
    reset_by_input: bool,
}

/// A running copy of a [`Program`], with the state of all its registers and memories.
///
/// A cycle is: [`Model::set`] the inputs, [`Model::settle`], [`Model::get`] the outputs, [`Model::rise`]. Values are two-state: what
/// nothing sets starts at 0. All clocks are inputs of the top module, and only rising edges count.
pub struct Model {
    machine: Machine,
    shared: Arc<Shared>,
}

impl Program {
    /// Compiles module `top` of `text`; `file` names the text in messages.
    ///
    /// # Errors
    /// What is wrong with the text, or outside the subset, and where.
    pub fn compile(
        file: &str,
        text: &str,
        top: &str,
        options: Options,
    ) -> std::result::Result<Self, VerilogError> {
        Self::make(text, top, options).map_err(|at| at.in_file(file))
    }

    fn make(text: &str, top: &str, options: Options) -> Result<Self> {
        let modules = parse(text)?;
        let design = elaborate(&modules, top)?;
        let order = order::order(&design, options.keep_all)?;
        let edge = clocked::order(&design)?;
        let clocks: BTreeSet<NetId> = design.processes.iter().map(|p| p.clock).collect();
        let clocks: Vec<NetId> = clocks.into_iter().collect();
        let start = Pos { line: 1, column: 1 };
        if clocks.len() > 32 {
            return Err(At::outside(start, "a design of more than 32 clocks"));
        }
        let mut placed = Plan::placed(&design, &order);
        if options.keep_all {
            placed.extend(design.scopes.iter().flat_map(|s| &s.nets).map(|n| n.1));
        }
        placed.extend(design.outputs.iter().map(|o| o.1));
        let aside = edge.early.iter().filter_map(|c| match c.state {
            clocked::State::Register(net) => Some(net),
            clocked::State::Memory(_) => None,
        });
        let layout = Layout::new(&design, &placed, &aside.collect())
            .ok_or_else(|| At::new(start, Fault::Machine("the state exceeds 2 GiB".into())))?;
        let plan = Plan {
            design: &design,
            order: &order,
            edge: &edge,
            layout: &layout,
            clocks: &clocks,
        };
        let code = plan.compile()?;
        let signal = |net: NetId| signal(&design, &layout, net);
        let named = |list: &[(String, NetId)]| -> Vec<(String, Signal)> {
            list.iter()
                .filter_map(|(name, net)| Some((name.clone(), signal(*net)?)))
                .collect()
        };
        let name_of = |clock: &NetId| {
            design
                .inputs
                .iter()
                .find(|i| i.1 == *clock)
                .map(|i| i.0.clone())
        };
        let initial = layout.initial(&design);
        let shared = Shared {
            functions: Arc::new(Functions::new(code, initial.len())),
            initial,
            inputs: named(&design.inputs),
            outputs: named(&design.outputs),
            clocks: clocks
                .iter()
                .filter_map(|c| Some((name_of(c)?, signal(*c)?)))
                .collect(),
            scopes: design
                .scopes
                .iter()
                .map(|scope| Scope {
                    name: scope.name.clone(),
                    parent: scope.parent,
                    signals: named(&scope.nets),
                })
                .collect(),
            reset_by_input: order.reset_by_input,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// A copy of its own, in the state before anything runs.
    pub fn start(&self) -> Model {
        Model {
            machine: Machine::new(
                Arc::clone(&self.shared.functions),
                self.shared.initial.clone(),
            ),
            shared: Arc::clone(&self.shared),
        }
    }

    /// Inputs of the top module, in order, its clocks among them.
    pub fn inputs(&self) -> &[(String, Signal)] {
        &self.shared.inputs
    }

    /// Outputs of the top module, in order.
    pub fn outputs(&self) -> &[(String, Signal)] {
        &self.shared.outputs
    }

    /// The port of the top module with this name.
    pub fn port(&self, name: &str) -> Option<Signal> {
        let mut all = self.inputs().iter().chain(self.outputs());
        all.find(|p| p.0 == name).map(|p| p.1)
    }

    /// Clocks; the position in this list is the bit in the mask of [`Model::rise`].
    pub fn clocks(&self) -> &[(String, Signal)] {
        &self.shared.clocks
    }

    /// The hierarchy, containing instances first.
    pub fn scopes(&self) -> &[Scope] {
        &self.shared.scopes
    }
}

impl Model {
    /// The lowest 64 bits of a signal.
    pub fn get(&self, signal: Signal) -> u64 {
        let word = self.machine.state()[(signal.offset / 8) as usize];
        match signal.width <= WORD {
            true => word >> (8 * (signal.offset % 8)) & u64::from(u32::MAX),
            false => word,
        }
    }

    /// All bits of a signal, 64 a word, the lowest first; nothing beyond its width is set.
    pub fn words(&self, signal: Signal) -> Vec<u64> {
        if signal.width <= LIMB {
            return vec![self.get(signal)];
        }
        let first = (signal.offset / 8) as usize;
        self.machine.state()[first..first + signal.width.div_ceil(LIMB) as usize].to_vec()
    }

    /// Sets the lowest 64 bits of an input; what does not fit is cut.
    pub fn set(&mut self, signal: Signal, value: u64) {
        let word = &mut self.machine.state_mut()[(signal.offset / 8) as usize];
        if signal.width <= WORD {
            let shift = 8 * (signal.offset % 8);
            let value = value & last_mask(signal.width) & u64::from(u32::MAX);
            *word = *word & !(u64::from(u32::MAX) << shift) | value << shift;
        } else {
            *word = if signal.width < LIMB {
                value & last_mask(signal.width)
            } else {
                value
            };
        }
    }

    /// Sets all bits of an input from 64-bit words, the lowest first; what is missing is 0, what does not fit is cut.
    pub fn set_words(&mut self, signal: Signal, words: &[u64]) {
        let first = (signal.offset / 8) as usize;
        for at in (1..signal.width.div_ceil(LIMB)).rev() {
            let rest = signal.width - at * LIMB;
            let mask = if rest < LIMB {
                last_mask(rest)
            } else {
                u64::MAX
            };
            self.machine.state_mut()[first + at as usize] =
                words.get(at as usize).copied().unwrap_or(0) & mask;
        }
        self.set(signal, words.first().copied().unwrap_or(0));
    }

    /// Evaluates the combinational logic: one pass.
    pub fn settle(&mut self) {
        self.machine.settle();
    }

    /// The rising edge of the clocks in the mask, all at once. What depends on registers is up to date after [`Model::settle`].
    pub fn rise(&mut self, clocks: u32) {
        self.machine.rise(clocks);
        if self.shared.reset_by_input {
            // An asynchronous reset that the edge has set off must be seen even if the next inputs take it back.
            self.machine.settle();
        }
    }
}

fn signal(design: &Design, layout: &Layout, net: NetId) -> Option<Signal> {
    Some(Signal {
        offset: u32::try_from(*layout.nets.get(&net)?).ok()?,
        width: design.nets[net].width,
    })
}
