//! Widths and signs of expressions (IEEE 1364-2005 clauses 5.4 and 5.5).
//!
//! An operand whose size its context determines is extended to that context's size before the operation; it is extended with its
//! sign only if every operand of the whole expression is signed.
use super::{Names, Symbol};
use crate::ast::{BinaryOp, Bitwise, Expr as Ast, ExprKind, UnaryOp};
use crate::error::{At, Fault, Pos, Result};
use crate::lex::MAX_WIDTH;
use crate::netlist::{Direction, Expr, Kind, Op, Reduction, Relation};
use crate::value::{Bits, LIMB};

/// Size and sign of an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) width: u32,
    pub(super) signed: bool,
}

impl Shape {
    fn bit() -> Self {
        Self {
            width: 1,
            signed: false,
        }
    }
    /// Of an operation on both.
    fn join(self, other: Self) -> Self {
        Self {
            width: self.width.max(other.width),
            signed: self.signed && other.signed,
        }
    }
}

fn expr(width: u32, kind: Kind) -> Expr {
    Expr { width, kind }
}

impl Names<'_> {
    /// Size and sign of an expression by itself (table 5-22).
    pub(super) fn shape(&self, e: &Ast) -> Result<Shape> {
        Ok(match &e.kind {
            ExprKind::Number(n) => Shape {
                width: n.value.width(),
                signed: n.signed,
            },
            ExprKind::Name(name) => match self.symbol(e.pos, name)? {
                Symbol::Net(net) => Shape {
                    width: self.nets[*net].width,
                    signed: self.nets[*net].signed,
                },
                Symbol::Constant(bits, signed) => Shape {
                    width: bits.width(),
                    signed: *signed,
                },
                Symbol::Memory(_) => {
                    return Err(At::outside(
                        e.pos,
                        format!("the memory `{name}` without an index"),
                    ))
                }
            },
            ExprKind::Index(name, _) => match self.symbol(e.pos, name)? {
                Symbol::Memory(memory) => Shape {
                    width: self.memories[*memory].width,
                    signed: self.memories[*memory].signed,
                },
                _ => Shape::bit(),
            },
            ExprKind::Part(_, msb, lsb) => {
                let (msb, lsb) = (self.constant_u64(msb)?, self.constant_u64(lsb)?);
                self.part_shape(e.pos, msb.checked_sub(lsb).map(|n| n + 1))?
            }
            ExprKind::IndexedPart { width, .. } => {
                self.part_shape(e.pos, Some(self.constant_u64(width)?))?
            }
            ExprKind::Unary(UnaryOp::Plus | UnaryOp::Minus | UnaryOp::Not, of) => self.shape(of)?,
            ExprKind::Unary(UnaryOp::LogicNot | UnaryOp::Reduce(..), _) => Shape::bit(),
            ExprKind::Binary(op, a, b) => match op {
                BinaryOp::Add
                | BinaryOp::Sub
                | BinaryOp::Mul
                | BinaryOp::Bitwise(_)
                | BinaryOp::Xnor => self.shape(a)?.join(self.shape(b)?),
                BinaryOp::ShiftLeft | BinaryOp::ShiftRight | BinaryOp::ShiftRightSigned => {
                    self.shape(a)?
                }
                _ => Shape::bit(),
            },
            ExprKind::Conditional(of) => self.shape(&of[1])?.join(self.shape(&of[2])?),
            ExprKind::Concat(parts) => Shape {
                width: self.total_width(e.pos, parts, 1)?,
                signed: false,
            },
            ExprKind::Repeat(count, parts) => Shape {
                width: self.total_width(e.pos, parts, self.constant_u64(count)?)?,
                signed: false,
            },
            ExprKind::Cast { signed, of } => Shape {
                width: self.shape(of)?.width,
                signed: *signed,
            },
        })
    }

    fn part_shape(&self, pos: Pos, width: Option<u64>) -> Result<Shape> {
        match width {
            Some(width) if (1..=u64::from(MAX_WIDTH)).contains(&width) => Ok(Shape {
                width: width as u32,
                signed: false,
            }),
            _ => Err(At::outside(pos, "a select of no bits or more than 65536")),
        }
    }

    fn total_width(&self, pos: Pos, parts: &[Ast], count: u64) -> Result<u32> {
        let mut total = 0u64;
        for part in parts {
            total += u64::from(self.shape(part)?.width);
        }
        Ok(self.part_shape(pos, total.checked_mul(count))?.width)
    }

    /// The expression by itself: its own size and sign.
    pub(super) fn own(&self, e: &Ast) -> Result<Expr> {
        let shape = self.shape(e)?;
        self.sized(e, shape)
    }

    /// One bit: whether the expression is not zero.
    pub(super) fn truth(&self, e: &Ast) -> Result<Expr> {
        Ok(self.own(e)?.truth())
    }

    /// The expression in the context of an assignment to `width` bits.
    pub(super) fn assigned(&self, e: &Ast, width: u32) -> Result<Expr> {
        let own = self.shape(e)?;
        let context = Shape {
            width: own.width.max(width),
            signed: own.signed,
        };
        Ok(self.sized(e, context)?.slice(0, width))
    }

    pub(super) fn constant(&self, e: &Ast, what: &'static str) -> Result<Bits> {
        match self.own(e)?.as_const() {
            Some(bits) => Ok(bits.clone()),
            None => Err(At::new(e.pos, Fault::NotConstant(what))),
        }
    }

    pub(super) fn constant_u64(&self, e: &Ast) -> Result<u64> {
        let bits = self.constant(e, "a bound, size or count")?;
        bits.to_u64()
            .ok_or_else(|| At::outside(e.pos, "a bound, size or count of more than 64 bits"))
    }

    /// The expression in a context of a size, at least its own, and a sign.
    pub(super) fn sized(&self, e: &Ast, context: Shape) -> Result<Expr> {
        let Shape { width, signed } = context;
        let both = |a: &Ast, b: &Ast| -> Result<(Box<Expr>, Box<Expr>)> {
            Ok((
                Box::new(self.sized(a, context)?),
                Box::new(self.sized(b, context)?),
            ))
        };
        let binary = |op, a: &Ast, b: &Ast| -> Result<Expr> {
            let (a, b) = both(a, b)?;
            Ok(fold(op, a, b))
        };
        // What does not depend on its context is extended once it is there.
        let own = |kind: Kind, own_width: u32| Ok(expr(own_width, kind).resize(width, signed));
        match &e.kind {
            ExprKind::Number(n) => Ok(Expr::constant(n.value.resize(width, signed))),
            ExprKind::Name(name) => match self.symbol(e.pos, name)? {
                Symbol::Net(net) => own(Kind::Net(*net), self.nets[*net].width),
                Symbol::Constant(bits, _) => Ok(Expr::constant(bits.resize(width, signed))),
                Symbol::Memory(_) => Err(At::outside(
                    e.pos,
                    format!("the memory `{name}` without an index"),
                )),
            },
            ExprKind::Index(name, index) => {
                Ok(self.index(e.pos, name, index)?.resize(width, signed))
            }
            ExprKind::Part(name, _, lsb) => {
                let (lsb, part) = (self.constant_u64(lsb)?, self.shape(e)?.width);
                let of = self.vector(e.pos, name)?;
                let lsb = in_range(e.pos, name, &of, lsb, part)?;
                Ok(of.slice(lsb, part).resize(width, signed))
            }
            ExprKind::IndexedPart { name, base, up, .. } => {
                let part = self.shape(e)?.width;
                let of = self.vector(e.pos, name)?;
                let base = self.own(base)?;
                let below = if *up { 0 } else { part - 1 };
                let selected = match base.as_const().map(Bits::to_u64) {
                    Some(base) => {
                        let lsb = base.and_then(|base| base.checked_sub(below.into()));
                        let lsb = in_range(e.pos, name, &of, lsb.unwrap_or(u64::MAX), part)?;
                        of.slice(lsb, part)
                    }
                    // With zeros below it, the lowest bit that is wanted is never a negative one.
                    None if below > 0 => {
                        let wider = concat(vec![of, Expr::constant(Bits::new(below, 0))]);
                        expr(part, Kind::Select(Box::new(wider), Box::new(base)))
                    }
                    None => expr(part, Kind::Select(Box::new(of), Box::new(base))),
                };
                Ok(selected.resize(width, signed))
            }
            ExprKind::Unary(op, of) => match op {
                UnaryOp::Plus => self.sized(of, context),
                UnaryOp::Minus => Ok(expr(
                    width,
                    Kind::Negate(Box::new(self.sized(of, context)?)),
                )),
                UnaryOp::Not => Ok(not(self.sized(of, context)?)),
                UnaryOp::LogicNot => Ok(not(self.truth(of)?).resize(width, signed)),
                UnaryOp::Reduce(how, inverted) => {
                    let how = match how {
                        Bitwise::And => Reduction::All,
                        Bitwise::Or => Reduction::Any,
                        Bitwise::Xor => Reduction::Odd,
                    };
                    let reduced = expr(1, Kind::Reduce(how, Box::new(self.own(of)?)));
                    let result = if *inverted { not(reduced) } else { reduced };
                    Ok(result.resize(width, signed))
                }
            },
            ExprKind::Binary(op, a, b) => match op {
                BinaryOp::Add => binary(Op::Add, a, b),
                BinaryOp::Sub => binary(Op::Sub, a, b),
                BinaryOp::Mul if width > LIMB => {
                    Err(At::outside(e.pos, "a product of more than 64 bits"))
                }
                BinaryOp::Mul => binary(Op::Mul, a, b),
                BinaryOp::Bitwise(Bitwise::And) => binary(Op::And, a, b),
                BinaryOp::Bitwise(Bitwise::Or) => binary(Op::Or, a, b),
                BinaryOp::Bitwise(Bitwise::Xor) => binary(Op::Xor, a, b),
                BinaryOp::Xnor => Ok(not(binary(Op::Xor, a, b)?)),
                BinaryOp::ShiftLeft | BinaryOp::ShiftRight | BinaryOp::ShiftRightSigned => {
                    let direction = match op {
                        BinaryOp::ShiftLeft => Direction::Left,
                        BinaryOp::ShiftRightSigned if signed => Direction::RightSigned,
                        _ => Direction::Right,
                    };
                    let (of, by) = (self.sized(a, context)?, self.own(b)?);
                    Ok(expr(
                        width,
                        Kind::Shift(direction, Box::new(of), Box::new(by)),
                    ))
                }
                BinaryOp::LogicAnd | BinaryOp::LogicOr => {
                    let op = if *op == BinaryOp::LogicAnd {
                        Op::And
                    } else {
                        Op::Or
                    };
                    let result = fold(op, Box::new(self.truth(a)?), Box::new(self.truth(b)?));
                    Ok(result.resize(width, signed))
                }
                _ => Ok(self.comparison(*op, a, b)?.resize(width, signed)),
            },
            ExprKind::Conditional(of) => {
                let condition = self.truth(&of[0])?;
                let (then, otherwise) =
                    (self.sized(&of[1], context)?, self.sized(&of[2], context)?);
                Ok(match condition.as_const() {
                    Some(bits) if bits.bit(0) => then,
                    Some(_) => otherwise,
                    None => expr(width, Kind::Mux(Box::new([condition, then, otherwise]))),
                })
            }
            ExprKind::Concat(parts) => {
                let parts = parts
                    .iter()
                    .map(|p| self.own(p))
                    .collect::<Result<Vec<_>>>()?;
                Ok(concat(parts).resize(width, signed))
            }
            ExprKind::Repeat(count, parts) => {
                self.shape(e)?;
                let once = parts
                    .iter()
                    .map(|p| self.own(p))
                    .collect::<Result<Vec<_>>>()?;
                let count = self.constant_u64(count)?;
                let all = (0..count).flat_map(|_| once.iter().cloned()).collect();
                Ok(concat(all).resize(width, signed))
            }
            ExprKind::Cast { of, .. } => Ok(self.own(of)?.resize(width, signed)),
        }
    }

    /// Operands of a comparison have the larger of their sizes, and are signed if both are.
    fn comparison(&self, op: BinaryOp, a: &Ast, b: &Ast) -> Result<Expr> {
        let context = self.shape(a)?.join(self.shape(b)?);
        let (a, b) = (
            Box::new(self.sized(a, context)?),
            Box::new(self.sized(b, context)?),
        );
        let (less, less_equal) = match context.signed {
            true => (Relation::LessSigned, Relation::LessEqualSigned),
            false => (Relation::Less, Relation::LessEqual),
        };
        Ok(expr(
            1,
            match op {
                BinaryOp::Equal => Kind::Compare(Relation::Equal, a, b),
                BinaryOp::NotEqual => Kind::Compare(Relation::NotEqual, a, b),
                BinaryOp::Less => Kind::Compare(less, a, b),
                BinaryOp::LessEqual => Kind::Compare(less_equal, a, b),
                BinaryOp::Greater => Kind::Compare(less, b, a),
                _ => Kind::Compare(less_equal, b, a),
            },
        ))
    }

    /// A vector that may be selected from.
    fn vector(&self, pos: Pos, name: &str) -> Result<Expr> {
        match self.symbol(pos, name)? {
            Symbol::Net(net) => Ok(expr(self.nets[*net].width, Kind::Net(*net))),
            Symbol::Constant(bits, _) => Ok(Expr::constant(bits.clone())),
            Symbol::Memory(_) => Err(At::outside(pos, format!("a part of the memory `{name}`"))),
        }
    }

    fn index(&self, pos: Pos, name: &str, index: &Ast) -> Result<Expr> {
        if let Symbol::Memory(memory) = self.symbol(pos, name)? {
            let index = self.word_index(*memory, index)?;
            let width = self.memories[*memory].width;
            return Ok(expr(width, Kind::Word(*memory, Box::new(index))));
        }
        let of = self.vector(pos, name)?;
        let index = self.own(index)?;
        match index.as_const().map(Bits::to_u64) {
            Some(at) => {
                let lsb = in_range(pos, name, &of, at.unwrap_or(u64::MAX), 1)?;
                Ok(of.slice(lsb, 1))
            }
            None => Ok(expr(1, Kind::Select(Box::new(of), Box::new(index)))),
        }
    }

    /// Index of a memory's word, from its first word on.
    pub(super) fn word_index(&self, memory: usize, index: &Ast) -> Result<Expr> {
        let index = self.own(index)?;
        let first = self.memories[memory].first;
        if first == 0 {
            return Ok(index);
        }
        // With more bits than the index, what lies below the first word is beyond the last.
        let width = index.width.max(64) + 1;
        let first = Box::new(Expr::constant(Bits::new(width, first)));
        Ok(fold(Op::Sub, Box::new(index.resize(width, false)), first))
    }
}

/// The lowest bit of a select, if all of it is there.
pub(super) fn in_range(pos: Pos, name: &str, of: &Expr, lsb: u64, part: u32) -> Result<u32> {
    if lsb.saturating_add(part.into()) <= u64::from(of.width) {
        return Ok(lsb as u32);
    }
    Err(At::new(
        pos,
        Fault::OutOfRange {
            name: name.into(),
            msb: lsb.saturating_add(u64::from(part) - 1),
            lsb,
            width: of.width,
        },
    ))
}

fn not(of: Expr) -> Expr {
    expr(of.width, Kind::Not(Box::new(of)))
}

fn concat(mut parts: Vec<Expr>) -> Expr {
    match parts.len() {
        1 => parts.remove(0),
        _ => expr(parts.iter().map(|p| p.width).sum(), Kind::Concat(parts)),
    }
}

/// The operation, done at once where it is plain: sums of short constants (bounds and bases), and masks of ones.
fn fold(op: Op, a: Box<Expr>, b: Box<Expr>) -> Expr {
    let width = a.width;
    if let (Op::Add | Op::Sub | Op::Mul, Some(x), Some(y)) = (op, a.as_const(), b.as_const()) {
        if let (Some(x), Some(y), true) = (x.to_u64(), y.to_u64(), width <= 64) {
            let value = match op {
                Op::Add => x.wrapping_add(y),
                Op::Sub => x.wrapping_sub(y),
                _ => x.wrapping_mul(y),
            };
            return Expr::constant(Bits::new(width, value));
        }
    }
    let ones = Bits::from_limbs(width, vec![u64::MAX; crate::value::limbs(width)]);
    match op {
        Op::And if b.as_const() == Some(&ones) => *a,
        Op::And if a.as_const() == Some(&ones) => *b,
        _ => expr(width, Kind::Binary(op, a, b)),
    }
}
