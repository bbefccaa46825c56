//! The flat design: nets, memories, combinational blocks and clocked processes, every width and sign resolved.
use std::collections::BTreeSet;

use crate::error::Pos;
use crate::value::Bits;

/// Index of a net.
pub(crate) type NetId = usize;
/// Index of a memory.
pub(crate) type MemoryId = usize;

#[derive(Debug)]
pub(crate) struct Net {
    /// With its hierarchy.
    pub(crate) name: String,
    pub(crate) pos: Pos,
    pub(crate) width: u32,
    pub(crate) signed: bool,
    /// Value before anything is driven.
    pub(crate) init: Option<Bits>,
}

#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) name: String,
    pub(crate) width: u32,
    pub(crate) signed: bool,
    /// Lowest index.
    pub(crate) first: u64,
    pub(crate) words: u64,
    /// Words that do not start at 0, by distance from the first.
    pub(crate) init: Vec<(u64, Bits)>,
}

/// An instance of a module, with what is declared in it.
#[derive(Debug)]
pub(crate) struct Scope {
    pub(crate) name: String,
    pub(crate) parent: Option<usize>,
    pub(crate) nets: Vec<(String, NetId)>,
}

#[derive(Debug, Default)]
pub(crate) struct Design {
    pub(crate) nets: Vec<Net>,
    pub(crate) memories: Vec<Memory>,
    /// Parents before children; the first is the top.
    pub(crate) scopes: Vec<Scope>,
    /// Ports of the top, in order.
    pub(crate) inputs: Vec<(String, NetId)>,
    pub(crate) outputs: Vec<(String, NetId)>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) processes: Vec<Process>,
}

/// `assign`, or `always @(*)`.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) pos: Pos,
    pub(crate) body: Vec<Stmt>,
}

/// `always @(posedge ...)`; all its assignments are non-blocking.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) pos: Pos,
    pub(crate) clock: NetId,
    pub(crate) reset: Option<Reset>,
    pub(crate) body: Vec<Stmt>,
}

/// An asynchronous reset, active high.
#[derive(Debug)]
pub(crate) struct Reset {
    pub(crate) net: NetId,
    /// Registers and the constants they take.
    pub(crate) values: Vec<(NetId, Bits)>,
}

#[derive(Clone, Debug)]
pub(crate) enum Stmt {
    Assign {
        target: Target,
        value: Expr,
    },
    If {
        condition: Expr,
        then: Vec<Stmt>,
        otherwise: Vec<Stmt>,
    },
    Case {
        subject: Expr,
        arms: Vec<(Vec<Expr>, Vec<Stmt>)>,
        default: Option<Vec<Stmt>>,
    },
}

#[derive(Clone, Debug)]
pub(crate) enum Target {
    Net(NetId),
    /// The bits from `lsb` on, as many as the value has.
    Part {
        net: NetId,
        lsb: u32,
    },
    /// The bits from an index on; those beyond the net are lost.
    Dynamic {
        net: NetId,
        index: Expr,
    },
    /// A word; beyond the memory it is lost.
    Word {
        memory: MemoryId,
        index: Expr,
    },
}

/// An expression. Its value has exactly `width` bits.
#[derive(Clone, Debug)]
pub(crate) struct Expr {
    pub(crate) width: u32,
    pub(crate) kind: Kind,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Const(Bits),
    Net(NetId),
    /// A word of a memory; 0 beyond it.
    Word(MemoryId, Box<Expr>),
    /// Bits from `lsb` on.
    Slice(Box<Expr>, u32),
    /// Bits from an index on; 0 beyond the operand.
    Select(Box<Expr>, Box<Expr>),
    /// Wider, filled with zeros.
    ZeroExtend(Box<Expr>),
    /// Wider, filled with the sign.
    SignExtend(Box<Expr>),
    Not(Box<Expr>),
    Negate(Box<Expr>),
    /// Operands as wide as the result.
    Binary(Op, Box<Expr>, Box<Expr>),
    /// The first operand as wide as the result.
    Shift(Direction, Box<Expr>, Box<Expr>),
    /// Operands of one width; the result has one bit.
    Compare(Relation, Box<Expr>, Box<Expr>),
    /// One bit: whether all, any, or an odd number of the operand's bits are 1.
    Reduce(Reduction, Box<Expr>),
    /// The first operand has one bit.
    Mux(Box<[Expr; 3]>),
    /// The first operand in the highest bits.
    Concat(Vec<Expr>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    And,
    Or,
    Xor,
    Add,
    Sub,
    Mul,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Left,
    Right,
    RightSigned,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    LessSigned,
    LessEqualSigned,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reduction {
    All,
    Any,
    Odd,
}

impl Expr {
    pub(crate) fn constant(bits: Bits) -> Self {
        Self {
            width: bits.width(),
            kind: Kind::Const(bits),
        }
    }

    pub(crate) fn as_const(&self) -> Option<&Bits> {
        match &self.kind {
            Kind::Const(bits) => Some(bits),
            _ => None,
        }
    }

    /// The lowest `width` bits from `lsb` on.
    pub(crate) fn slice(self, lsb: u32, width: u32) -> Self {
        if lsb == 0 && width == self.width {
            return self;
        }
        let kind = match self.kind {
            Kind::Const(bits) => Kind::Const(bits.slice(lsb, width)),
            Kind::Slice(inner, at) => Kind::Slice(inner, at + lsb),
            _ => Kind::Slice(Box::new(self), lsb),
        };
        Self { width, kind }
    }

    /// As wide as `width`: cut, or filled.
    pub(crate) fn resize(self, width: u32, signed: bool) -> Self {
        if width <= self.width {
            return self.slice(0, width);
        }
        let kind = match self.kind {
            Kind::Const(bits) => Kind::Const(bits.resize(width, signed)),
            _ if signed => Kind::SignExtend(Box::new(self)),
            _ => Kind::ZeroExtend(Box::new(self)),
        };
        Self { width, kind }
    }

    /// One bit: whether any bit is 1.
    pub(crate) fn truth(self) -> Self {
        match self.width {
            1 => self,
            _ => Self {
                width: 1,
                kind: Kind::Reduce(Reduction::Any, Box::new(self)),
            },
        }
    }

    /// The operands.
    pub(crate) fn operands(&self) -> Vec<&Expr> {
        match &self.kind {
            Kind::Const(_) | Kind::Net(_) => vec![],
            Kind::Word(_, a)
            | Kind::Slice(a, _)
            | Kind::ZeroExtend(a)
            | Kind::SignExtend(a)
            | Kind::Not(a)
            | Kind::Negate(a)
            | Kind::Reduce(_, a) => vec![a],
            Kind::Select(a, b)
            | Kind::Binary(_, a, b)
            | Kind::Shift(_, a, b)
            | Kind::Compare(_, a, b) => vec![a, b],
            Kind::Mux(of) => of.iter().collect(),
            Kind::Concat(parts) => parts.iter().collect(),
        }
    }

    fn operands_mut(&mut self) -> Vec<&mut Expr> {
        match &mut self.kind {
            Kind::Const(_) | Kind::Net(_) => vec![],
            Kind::Word(_, a)
            | Kind::Slice(a, _)
            | Kind::ZeroExtend(a)
            | Kind::SignExtend(a)
            | Kind::Not(a)
            | Kind::Negate(a)
            | Kind::Reduce(_, a) => vec![a],
            Kind::Select(a, b)
            | Kind::Binary(_, a, b)
            | Kind::Shift(_, a, b)
            | Kind::Compare(_, a, b) => vec![a, b],
            Kind::Mux(of) => of.iter_mut().collect(),
            Kind::Concat(parts) => parts.iter_mut().collect(),
        }
    }

    /// Calls `see` with every net that is read.
    pub(crate) fn each_net(&self, see: &mut impl FnMut(NetId)) {
        if let Kind::Net(net) = self.kind {
            see(net);
        }
        for operand in self.operands() {
            operand.each_net(see);
        }
    }

    /// Calls `see` with every memory that is read.
    pub(crate) fn each_memory(&self, see: &mut impl FnMut(MemoryId)) {
        if let Kind::Word(memory, _) = self.kind {
            see(memory);
        }
        for operand in self.operands() {
            operand.each_memory(see);
        }
    }

    pub(crate) fn rename(&mut self, name: &impl Fn(NetId) -> NetId) {
        if let Kind::Net(net) = &mut self.kind {
            *net = name(*net);
        }
        for operand in self.operands_mut() {
            operand.rename(name);
        }
    }
}

impl Target {
    pub(crate) fn net(&self) -> Option<NetId> {
        match self {
            Self::Net(net) | Self::Part { net, .. } | Self::Dynamic { net, .. } => Some(*net),
            Self::Word { .. } => None,
        }
    }
    pub(crate) fn index(&self) -> Option<&Expr> {
        match self {
            Self::Dynamic { index, .. } | Self::Word { index, .. } => Some(index),
            _ => None,
        }
    }
    fn rename(&mut self, name: &impl Fn(NetId) -> NetId) {
        match self {
            Self::Net(net) | Self::Part { net, .. } => *net = name(*net),
            Self::Dynamic { net, index } => {
                *net = name(*net);
                index.rename(name);
            }
            Self::Word { index, .. } => index.rename(name),
        }
    }
}

/// Calls `see` with every expression that statements evaluate.
pub(crate) fn each_expr(body: &[Stmt], see: &mut impl FnMut(&Expr)) {
    for stmt in body {
        match stmt {
            Stmt::Assign { target, value } => {
                if let Some(index) = target.index() {
                    see(index);
                }
                see(value);
            }
            Stmt::If {
                condition,
                then,
                otherwise,
            } => {
                see(condition);
                each_expr(then, see);
                each_expr(otherwise, see);
            }
            Stmt::Case {
                subject,
                arms,
                default,
            } => {
                see(subject);
                for (items, body) in arms {
                    items.iter().for_each(&mut *see);
                    each_expr(body, see);
                }
                each_expr(default.as_deref().unwrap_or_default(), see);
            }
        }
    }
}

/// Calls `see` with every assignment's target.
pub(crate) fn each_target(body: &[Stmt], see: &mut impl FnMut(&Target)) {
    for stmt in body {
        match stmt {
            Stmt::Assign { target, .. } => see(target),
            Stmt::If {
                then, otherwise, ..
            } => {
                each_target(then, see);
                each_target(otherwise, see);
            }
            Stmt::Case { arms, default, .. } => {
                for (_, body) in arms {
                    each_target(body, see);
                }
                each_target(default.as_deref().unwrap_or_default(), see);
            }
        }
    }
}

/// Nets that statements assign.
pub(crate) fn assigned(body: &[Stmt]) -> BTreeSet<NetId> {
    let mut nets = BTreeSet::new();
    each_target(body, &mut |target| nets.extend(target.net()));
    nets
}

pub(crate) fn rename(body: &mut [Stmt], name: &impl Fn(NetId) -> NetId) {
    for stmt in body {
        match stmt {
            Stmt::Assign { target, value } => {
                target.rename(name);
                value.rename(name);
            }
            Stmt::If {
                condition,
                then,
                otherwise,
            } => {
                condition.rename(name);
                rename(then, name);
                rename(otherwise, name);
            }
            Stmt::Case {
                subject,
                arms,
                default,
            } => {
                subject.rename(name);
                for (items, body) in arms {
                    items.iter_mut().for_each(|item| item.rename(name));
                    rename(body, name);
                }
                if let Some(body) = default {
                    rename(body, name);
                }
            }
        }
    }
}
