//! Machine code of a design: one pass over its combinational logic, and what a rising edge changes.
use std::collections::BTreeSet;
use std::fmt::Debug;

use cranelift_codegen::ir::{AbiParam, InstBuilder, Signature, Value};
use cranelift_codegen::settings::{self, Configurable};
use cranelift_codegen::Context;
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{FuncId, Module};

use crate::error::{At, Fault, Pos, Result};
use crate::netlist::{assigned, each_expr, Design, Expr, NetId};
use crate::schedule::clocked::{Change, Edge, State};
use crate::schedule::order::{Order, Step};

mod body;
mod layout;
mod vector;

use body::{Body, MASK};
pub(crate) use layout::{Layout, WORD};

/// Size of a function in operations: the compiler takes more than linear time for long ones, and calls cost.
const FUNCTION_SIZE: usize = 1_500;

/// Compiled functions. Those of `settle` take the address of the state, `rise` takes a mask of clocks as well.
pub(crate) struct Code {
    pub(crate) module: JITModule,
    pub(crate) settle: Vec<FuncId>,
    pub(crate) rise: FuncId,
}

/// Everything that is compiled.
pub(crate) struct Plan<'a> {
    pub(crate) design: &'a Design,
    pub(crate) order: &'a Order,
    pub(crate) edge: &'a Edge,
    pub(crate) layout: &'a Layout,
    /// Clocks in the order of their bits in a mask.
    pub(crate) clocks: &'a [NetId],
}

fn machine(error: impl Debug) -> At {
    At::new(
        Pos { line: 1, column: 1 },
        Fault::Machine(format!("{error:?}")),
    )
}

impl Plan<'_> {
    /// Nets that need a place in the state.
    pub(crate) fn placed(design: &Design, order: &Order) -> BTreeSet<NetId> {
        let mut nets = order.live.clone();
        for step in &order.steps {
            if let Step::Slice { nets: made, .. } = step {
                nets.extend(made);
            }
        }
        for process in &design.processes {
            nets.extend(assigned(&process.body));
            nets.extend(
                process
                    .reset
                    .iter()
                    .flat_map(|r| r.values.iter().map(|v| v.0)),
            );
        }
        nets.extend(design.inputs.iter().map(|i| i.1));
        nets
    }

    pub(crate) fn compile(&self) -> Result<Code> {
        let mut flags = settings::builder();
        let verify = if cfg!(debug_assertions) {
            "true"
        } else {
            "false"
        };
        for (name, value) in [
            ("opt_level", "speed"),
            ("enable_verifier", verify),
            ("is_pic", "false"),
        ] {
            flags.set(name, value).map_err(machine)?;
        }
        let isa = cranelift_native::builder()
            .map_err(machine)?
            .finish(settings::Flags::new(flags))
            .map_err(machine)?;
        let mut module = JITModule::new(JITBuilder::with_isa(
            isa,
            cranelift_module::default_libcall_names(),
        ));
        let mut maker = Maker {
            plan: self,
            module: &mut module,
            context: FunctionBuilderContext::new(),
        };
        let mut settle = vec![];
        let mut rest = self.order.steps.as_slice();
        while !rest.is_empty() {
            let mut size = 0;
            let count = rest
                .iter()
                .take_while(|step| {
                    let before = size;
                    size += self.size(step);
                    before == 0 || size <= FUNCTION_SIZE
                })
                .count();
            let (now, later) = rest.split_at(count);
            settle.push(maker.function(false, |body, _| {
                now.iter().for_each(|step| self.step(body, step))
            })?);
            rest = later;
        }
        let rise = maker.function(true, |body, mask| self.rise(body, mask))?;
        module.finalize_definitions().map_err(machine)?;
        Ok(Code {
            module,
            settle,
            rise,
        })
    }

    /// Operations in a step, about.
    fn size(&self, step: &Step) -> usize {
        let Step::Slice { block, nets } = step else {
            return 1;
        };
        let body = &self.design.blocks[*block].body;
        let all = assigned(body).len().max(1);
        let mut size = 0;
        each_expr(body, &mut |e| size += weight(e));
        1 + size * nets.len() / all
    }

    fn step(&self, body: &mut Body<'_, '_>, step: &Step) {
        // Values that are kept for long must be put on the stack, which costs what loading them again does.
        body.known.clear();
        match step {
            Step::Slice { block, nets } => {
                body.only = Some(nets.clone());
                body.statements(&self.design.blocks[*block].body);
                body.only = None;
            }
            Step::Reset { process } => {
                if let Some(reset) = &self.design.processes[*process].reset {
                    body.where_high(reset.net, |body| {
                        for (register, value) in &reset.values {
                            body.set(*register, value);
                        }
                    });
                }
            }
        }
    }

    fn rise(&self, body: &mut Body<'_, '_>, mask: Value) {
        body.aside = true;
        self.changes(body, mask, &self.edge.early);
        body.aside = false;
        self.changes(body, mask, &self.edge.in_place);
        for (bit, clock) in (0..).zip(self.clocks) {
            let late: Vec<NetId> = self
                .edge
                .early
                .iter()
                .filter(|c| c.clock == *clock)
                .filter_map(register)
                .collect();
            if !late.is_empty() {
                body.where_set(mask, bit, |body| {
                    late.iter().for_each(|net| body.bring_back(*net))
                });
            }
        }
    }

    /// Changes in order, those of one clock in a row under one condition.
    fn changes(&self, body: &mut Body<'_, '_>, mask: Value, changes: &[Change]) {
        for run in changes.chunk_by(|a, b| a.clock == b.clock) {
            let Some(bit) = self.clocks.iter().position(|c| *c == run[0].clock) else {
                continue;
            };
            body.where_set(mask, bit as u32, |body| {
                for change in run {
                    self.change(body, change);
                }
            });
        }
    }

    fn change(&self, body: &mut Body<'_, '_>, change: &Change) {
        if let Some(net) = register(change) {
            let mut reads_itself = false;
            each_expr(&change.body, &mut |e| {
                e.each_net(&mut |n| reads_itself |= n == net)
            });
            if body.aside {
                body.start_aside(net);
            } else if reads_itself {
                body.keep(net);
            }
        }
        match change.reset {
            // While it lasts, the pass over the combinational logic keeps the registers at its values.
            Some(reset) => body.where_low(reset, |body| body.statements(&change.body)),
            None => body.statements(&change.body),
        }
        body.before.clear();
    }
}

fn register(change: &Change) -> Option<NetId> {
    match change.state {
        State::Register(net) => Some(net),
        State::Memory(_) => None,
    }
}

fn weight(e: &Expr) -> usize {
    1 + e.operands().into_iter().map(weight).sum::<usize>()
}

struct Maker<'a> {
    plan: &'a Plan<'a>,
    module: &'a mut JITModule,
    context: FunctionBuilderContext,
}

impl Maker<'_> {
    fn function(
        &mut self,
        with_mask: bool,
        write: impl FnOnce(&mut Body<'_, '_>, Value),
    ) -> Result<FuncId> {
        let frontend = self.module.target_config();
        let pointer = frontend.pointer_type();
        let mut signature: Signature = self.module.make_signature();
        signature.params.push(AbiParam::new(pointer));
        if with_mask {
            signature.params.push(AbiParam::new(MASK));
        }
        let mut context: Context = self.module.make_context();
        context.func.signature = signature;
        {
            let mut b = FunctionBuilder::new(&mut context.func, &mut self.context);
            let entry = b.create_block();
            b.append_block_params_for_function_params(entry);
            b.switch_to_block(entry);
            let params = b.block_params(entry).to_vec();
            let state = params[0];
            let mask = params[params.len() - 1];
            let mut body = Body {
                b: &mut b,
                design: self.plan.design,
                layout: self.plan.layout,
                state,
                known: Default::default(),
                before: Default::default(),
                aside: false,
                only: None,
            };
            write(&mut body, mask);
            b.ins().return_(&[]);
            b.seal_all_blocks();
            b.finalize(frontend);
        }
        let id = self
            .module
            .declare_anonymous_function(&context.func.signature)
            .map_err(machine)?;
        self.module
            .define_function(id, &mut context)
            .map_err(machine)?;
        self.module.clear_context(&mut context);
        Ok(id)
    }
}
