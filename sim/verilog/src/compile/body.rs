//! Expressions and statements as machine code.
use std::collections::{BTreeMap, BTreeSet, HashMap};

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Type, Value};
use cranelift_frontend::{FunctionBuilder, Switch};

use super::layout::{limb_type, stored_type, word_bytes, Layout};
use super::vector::{Ops, Vector};
use crate::netlist::{
    assigned, Design, Direction, Expr, Kind, MemoryId, NetId, Relation, Stmt, Target,
};
use crate::value::{limbs, Bits};

/// Fewest arms of a case that are found by a search instead of one comparison after the other.
const SEARCHED_ARMS: usize = 4;

/// Writes one function.
pub(crate) struct Body<'a, 'b> {
    pub(crate) b: &'a mut FunctionBuilder<'b>,
    pub(crate) design: &'a Design,
    pub(crate) layout: &'a Layout,
    /// Address of the state.
    pub(crate) state: Value,
    /// Values of nets that were loaded or stored on the way here.
    pub(crate) known: HashMap<NetId, Vector>,
    /// Values before the edge, which is what is read however often they are assigned.
    pub(crate) before: BTreeMap<NetId, Vector>,
    /// The registers that are put aside.
    pub(crate) aside: bool,
    /// Of all assignments, those to these nets are made; none: all.
    pub(crate) only: Option<BTreeSet<NetId>>,
}

impl<'b> Body<'_, 'b> {
    fn ops(&mut self) -> Ops<'_, 'b> {
        Ops { b: self.b }
    }

    fn flags() -> MemFlagsData {
        // The state is one allocation, every offset lies in it and is aligned.
        MemFlagsData::trusted()
    }

    fn load(&mut self, at: i32, width: u32) -> Vector {
        let ty = limb_type(width);
        let limbs = (0..limbs(width) as i32)
            .map(|n| self.b.ins().load(ty, Self::flags(), self.state, at + 8 * n))
            .collect();
        Vector { width, limbs }
    }

    fn store(&mut self, at: i32, value: &Vector) {
        for (n, limb) in (0..).zip(&value.limbs) {
            self.b
                .ins()
                .store(Self::flags(), *limb, self.state, at + 8 * n);
        }
    }

    /// Copies what was put aside to its place.
    pub(crate) fn bring_back(&mut self, net: NetId) {
        let (from, to) = (self.layout.aside[&net], self.layout.nets[&net]);
        let value = self.load(from, self.design.nets[net].width);
        self.store(to, &value);
    }

    pub(crate) fn net(&mut self, net: NetId) -> Vector {
        if let Some(value) = self.before.get(&net).or_else(|| self.known.get(&net)) {
            return value.clone();
        }
        let width = self.design.nets[net].width;
        let Some(at) = self.layout.nets.get(&net) else {
            // Nothing drives it.
            let init = self.design.nets[net].init.clone();
            let bits = init.unwrap_or_else(|| Bits::new(width, 0));
            return self.ops().constant(&bits);
        };
        let value = self.load(*at, width);
        self.known.insert(net, value.clone());
        value
    }

    /// A truth value of the machine, of an expression of one bit.
    fn truth(&mut self, e: &Expr) -> Value {
        match &e.kind {
            Kind::Compare(relation, a, c) => {
                let (a, c) = (self.expr(a), self.expr(c));
                self.ops().compare(*relation, &a, &c)
            }
            Kind::Reduce(how, of) => {
                let of = self.expr(of);
                self.ops().reduce(*how, &of)
            }
            _ => self.expr(e).limbs[0],
        }
    }

    pub(crate) fn expr(&mut self, e: &Expr) -> Vector {
        match &e.kind {
            Kind::Const(bits) => self.ops().constant(bits),
            Kind::Net(net) => self.net(*net),
            Kind::Word(memory, index) => {
                let index = self.expr(index);
                self.word(*memory, &index)
            }
            Kind::Slice(of, lsb) => {
                let of = self.expr(of);
                self.ops().slice(&of, *lsb, e.width)
            }
            Kind::Select(of, index) => {
                let (of, index) = (self.expr(of), self.expr(index));
                let mut ops = self.ops();
                let wide = ops.zero_extend(&of, of.width.max(e.width));
                let moved = ops.shift(Direction::Right, &wide, &index);
                ops.slice(&moved, 0, e.width)
            }
            Kind::ZeroExtend(of) => {
                let of = self.expr(of);
                self.ops().zero_extend(&of, e.width)
            }
            Kind::SignExtend(of) => {
                let of = self.expr(of);
                self.ops().sign_extend(&of, e.width)
            }
            Kind::Not(of) => {
                let of = self.expr(of);
                self.ops().not(&of)
            }
            Kind::Negate(of) => {
                let of = self.expr(of);
                self.ops().negate(&of)
            }
            Kind::Binary(op, a, c) => {
                let (a, c) = (self.expr(a), self.expr(c));
                self.ops().binary(*op, &a, &c)
            }
            Kind::Shift(direction, of, by) => {
                let (of, by) = (self.expr(of), self.expr(by));
                self.ops().shift(*direction, &of, &by)
            }
            Kind::Compare(..) | Kind::Reduce(..) => {
                let truth = self.truth(e);
                self.ops().bit(truth)
            }
            Kind::Mux(of) => {
                let condition = self.truth(&of[0]);
                let (then, otherwise) = (self.expr(&of[1]), self.expr(&of[2]));
                self.ops().select(condition, &then, &otherwise)
            }
            Kind::Concat(parts) => {
                let parts: Vec<Vector> = parts.iter().map(|p| self.expr(p)).collect();
                self.ops().concat(&parts)
            }
        }
    }

    /// Whether an index may lie beyond a memory.
    fn may_miss(&self, memory: MemoryId, index: &Vector) -> bool {
        index.width >= 64 || 1 << index.width > self.design.memories[memory].words
    }

    /// One bit: whether a word is there.
    fn is_there(&mut self, memory: MemoryId, index: &Vector) -> Value {
        let words = Bits::new(index.width.max(64), self.design.memories[memory].words);
        let mut ops = self.ops();
        let wide = ops.zero_extend(index, words.width());
        let words = ops.constant(&words);
        ops.compare(Relation::Less, &wide, &words)
    }

    /// Address of a word that is there.
    fn address(&mut self, memory: MemoryId, index: Value) -> Value {
        let size = word_bytes(self.design.memories[memory].width) as i64;
        let scaled = match size {
            1 => index,
            _ => self.b.ins().imul_imm_u(index, size),
        };
        self.b.ins().iadd(self.state, scaled)
    }

    fn word(&mut self, memory: MemoryId, index: &Vector) -> Vector {
        let width = self.design.memories[memory].width;
        let at = self.layout.memories[&memory];
        let there = self
            .may_miss(memory, index)
            .then(|| self.is_there(memory, index));
        let mut low = self.ops().zero_extend(index, index.width.max(64)).limbs[0];
        if let Some(there) = there {
            let first = self.b.ins().iconst(I64, 0);
            low = self.b.ins().select(there, low, first);
        }
        let address = self.address(memory, low);
        let (stored, ty) = (stored_type(width), limb_type(width));
        let word = Vector {
            width,
            limbs: (0..limbs(width) as i32)
                .map(|n| self.load_as(stored, ty, address, at + 8 * n))
                .collect(),
        };
        match there {
            None => word,
            Some(there) => {
                let mut ops = self.ops();
                let zero = ops.constant(&Bits::new(width, 0));
                ops.select(there, &word, &zero)
            }
        }
    }

    fn load_as(&mut self, stored: Type, ty: Type, address: Value, at: i32) -> Value {
        let value = self.b.ins().load(stored, Self::flags(), address, at);
        match stored == ty {
            true => value,
            false => self.b.ins().uextend(ty, value),
        }
    }

    fn store_word(&mut self, memory: MemoryId, index: &Vector, value: &Vector) {
        if !self.may_miss(memory, index) {
            self.store_word_there(memory, index, value);
            return;
        }
        let there = self.is_there(memory, index);
        let (store, end) = (self.b.create_block(), self.b.create_block());
        self.b.ins().brif(there, store, &[], end, &[]);
        self.enter(store);
        self.store_word_there(memory, index, value);
        self.b.ins().jump(end, &[]);
        self.enter(end);
    }

    fn store_word_there(&mut self, memory: MemoryId, index: &Vector, value: &Vector) {
        let low = self.ops().zero_extend(index, index.width.max(64)).limbs[0];
        let address = self.address(memory, low);
        let at = self.layout.memories[&memory];
        let stored = stored_type(value.width);
        for (n, limb) in (0..).zip(&value.limbs) {
            let limb = match stored == limb_type(value.width) {
                true => *limb,
                false => self.b.ins().ireduce(stored, *limb),
            };
            self.b.ins().store(Self::flags(), limb, address, at + 8 * n);
        }
    }

    fn enter(&mut self, block: cranelift_codegen::ir::Block) {
        self.b.switch_to_block(block);
    }

    /// Whether statements do anything here.
    fn matter(&self, body: &[Stmt]) -> bool {
        body.iter().any(|stmt| match stmt {
            Stmt::Assign { target, .. } => self.wanted(target),
            Stmt::If {
                then, otherwise, ..
            } => self.matter(then) || self.matter(otherwise),
            Stmt::Case { arms, default, .. } => {
                arms.iter().any(|arm| self.matter(&arm.1))
                    || self.matter(default.as_deref().unwrap_or_default())
            }
        })
    }

    fn wanted(&self, target: &Target) -> bool {
        match (&self.only, target.net()) {
            (Some(only), Some(net)) => only.contains(&net),
            _ => true,
        }
    }

    pub(crate) fn statements(&mut self, body: &[Stmt]) {
        for stmt in body {
            match stmt {
                Stmt::Assign { target, value } => {
                    if self.wanted(target) {
                        self.assign(target, value);
                    }
                }
                Stmt::If {
                    condition,
                    then,
                    otherwise,
                } => {
                    if self.matter(then) || self.matter(otherwise) {
                        self.branch(condition, then, otherwise);
                    }
                }
                Stmt::Case {
                    subject,
                    arms,
                    default,
                } => {
                    if self.matter(std::slice::from_ref(stmt)) {
                        self.case(subject, arms, default.as_deref().unwrap_or_default());
                    }
                }
            }
        }
    }

    fn assign(&mut self, target: &Target, value: &Expr) {
        let value = self.expr(value);
        let (net, value) = match target {
            Target::Net(net) => (*net, value),
            Target::Part { net, lsb } => {
                let old = self.pending(*net);
                (*net, self.ops().replace(&old, &value, *lsb))
            }
            Target::Dynamic { net, index } => {
                let index = self.expr(index);
                let old = self.pending(*net);
                (*net, self.ops().replace_at(&old, &value, &index))
            }
            Target::Word { memory, index } => {
                let index = self.expr(index);
                self.store_word(*memory, &index, &value);
                return;
            }
        };
        if let Some(at) = self.slot(net) {
            self.store(at, &value);
            // What is put aside is not read before it is brought back.
            if !self.aside {
                self.known.insert(net, value);
            }
        }
    }

    fn slot(&self, net: NetId) -> Option<i32> {
        let slots = if self.aside {
            &self.layout.aside
        } else {
            &self.layout.nets
        };
        slots.get(&net).copied()
    }

    /// What a net has been assigned so far.
    fn pending(&mut self, net: NetId) -> Vector {
        match (self.before.contains_key(&net) || self.aside, self.slot(net)) {
            (true, Some(at)) => self.load(at, self.design.nets[net].width),
            _ => self.net(net),
        }
    }

    /// Runs `inner` where nothing that it learns holds afterwards; what it changes is not known any more.
    fn scoped(&mut self, inner: impl FnOnce(&mut Self)) {
        let known = self.known.clone();
        inner(self);
        self.known = known;
    }

    fn forget(&mut self, bodies: &[&[Stmt]]) {
        for body in bodies {
            for net in assigned(body) {
                if self.only.as_ref().is_none_or(|only| only.contains(&net)) {
                    self.known.remove(&net);
                }
            }
        }
    }

    fn branch(&mut self, condition: &Expr, then: &[Stmt], otherwise: &[Stmt]) {
        let condition = self.truth(condition);
        let (yes, end) = (self.b.create_block(), self.b.create_block());
        let no = match self.matter(otherwise) {
            true => self.b.create_block(),
            false => end,
        };
        self.b.ins().brif(condition, yes, &[], no, &[]);
        for (block, body) in [(yes, then), (no, otherwise)] {
            if block != end {
                self.enter(block);
                self.scoped(|b| b.statements(body));
                self.b.ins().jump(end, &[]);
            }
        }
        self.enter(end);
        self.forget(&[then, otherwise]);
    }

    fn case(&mut self, subject: &Expr, arms: &[(Vec<Expr>, Vec<Stmt>)], default: &[Stmt]) {
        let value = self.expr(subject);
        let end = self.b.create_block();
        let other = self.b.create_block();
        let blocks: Vec<_> = arms.iter().map(|_| self.b.create_block()).collect();
        let constants: Option<Vec<(u64, usize)>> = arms
            .iter()
            .enumerate()
            .flat_map(|(n, arm)| {
                arm.0
                    .iter()
                    .map(move |item| Some((item.as_const()?.to_u64()?, n)))
            })
            .collect();
        match constants {
            Some(constants) if subject.width <= 64 && constants.len() >= SEARCHED_ARMS => {
                let mut switch = Switch::new();
                let mut seen = BTreeSet::new();
                for (item, arm) in constants {
                    // The first arm that fits counts.
                    if seen.insert(item) {
                        switch.set_entry(item.into(), blocks[arm]);
                    }
                }
                switch.emit(self.b, value.limbs[0], other);
            }
            // What one comparison loads is not there on the way through another.
            _ => self.scoped(|b| {
                for (arm, block) in arms.iter().zip(&blocks) {
                    for item in &arm.0 {
                        let item = b.expr(item);
                        let equal = b.ops().compare(Relation::Equal, &value, &item);
                        let next = b.b.create_block();
                        b.b.ins().brif(equal, *block, &[], next, &[]);
                        b.enter(next);
                    }
                }
                b.b.ins().jump(other, &[]);
            }),
        }
        let bodies = arms.iter().map(|arm| arm.1.as_slice()).chain([default]);
        for (block, body) in blocks.into_iter().chain([other]).zip(bodies) {
            self.enter(block);
            self.scoped(|b| b.statements(body));
            self.b.ins().jump(end, &[]);
        }
        self.enter(end);
        let bodies: Vec<&[Stmt]> = arms
            .iter()
            .map(|arm| arm.1.as_slice())
            .chain([default])
            .collect();
        self.forget(&bodies);
    }

    /// Runs `inner` only where bit `bit` of `mask` is set.
    pub(crate) fn where_set(&mut self, mask: Value, bit: u32, inner: impl FnOnce(&mut Self)) {
        let chosen = self.b.ins().band_imm_u(mask, 1 << bit);
        self.where_true(chosen, inner);
    }

    /// Runs `inner` only where a net is 0.
    pub(crate) fn where_low(&mut self, net: NetId, inner: impl FnOnce(&mut Self)) {
        let value = self.net(net).limbs[0];
        let zero = self.b.ins().icmp_imm_u(IntCC::Equal, value, 0);
        self.where_true(zero, inner);
    }

    /// Runs `inner` only where a net is not 0.
    pub(crate) fn where_high(&mut self, net: NetId, inner: impl FnOnce(&mut Self)) {
        let value = self.net(net).limbs[0];
        self.where_true(value, inner);
    }

    fn where_true(&mut self, condition: Value, inner: impl FnOnce(&mut Self)) {
        let (yes, end) = (self.b.create_block(), self.b.create_block());
        self.b.ins().brif(condition, yes, &[], end, &[]);
        self.enter(yes);
        let before = self.before.clone();
        self.scoped(inner);
        self.before = before;
        self.b.ins().jump(end, &[]);
        self.enter(end);
    }

    /// Sets a register to a constant.
    pub(crate) fn set(&mut self, net: NetId, bits: &Bits) {
        let Some(at) = self.layout.nets.get(&net).copied() else {
            return;
        };
        let value = self.ops().constant(bits);
        self.store(at, &value);
    }

    /// Keeps what a register holds now, for all reads.
    pub(crate) fn keep(&mut self, net: NetId) {
        let value = self.net(net);
        self.before.insert(net, value);
    }

    /// Copies a register to where its next value is put aside.
    pub(crate) fn start_aside(&mut self, net: NetId) {
        let value = self.net(net);
        if let Some(at) = self.layout.aside.get(&net) {
            self.store(*at, &value);
        }
    }
}

/// Type of a mask of clocks.
pub(crate) const MASK: Type = I32;
