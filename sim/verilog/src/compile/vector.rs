//! Vectors of bits in registers of the machine, and the operations on them.
//!
//! Up to 32 bits are one 32-bit value, up to 64 one 64-bit value, more are 64-bit limbs, the least significant first. Bits beyond the
//! width are always 0: each operation that may set them clears them.
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::types::{I32, I64};
use cranelift_codegen::ir::{InstBuilder, Type, Value};
use cranelift_frontend::FunctionBuilder;

use super::layout::{limb_type, WORD};
use crate::netlist::{Direction, Op, Reduction, Relation};
use crate::value::{last_mask, limbs, Bits, LIMB};

/// A vector. `limbs` has as many values as [`limbs`] says.
#[derive(Clone, Debug)]
pub(crate) struct Vector {
    pub(crate) width: u32,
    pub(crate) limbs: Vec<Value>,
}

/// Writes operations.
pub(crate) struct Ops<'a, 'b> {
    pub(crate) b: &'a mut FunctionBuilder<'b>,
}

impl Ops<'_, '_> {
    fn int(&mut self, ty: Type, value: u64) -> Value {
        let value = if ty == I32 {
            i64::from(value as u32)
        } else {
            value as i64
        };
        self.b.ins().iconst(ty, value)
    }

    pub(crate) fn constant(&mut self, bits: &Bits) -> Vector {
        let ty = limb_type(bits.width());
        Vector {
            width: bits.width(),
            limbs: bits
                .limbs()
                .iter()
                .map(|limb| self.int(ty, *limb))
                .collect(),
        }
    }

    fn zero(&mut self, width: u32) -> Vector {
        self.constant(&Bits::new(width, 0))
    }

    /// Clears what an operation may have set beyond the width.
    fn clean(&mut self, mut v: Vector) -> Vector {
        let full = if v.width <= WORD { WORD } else { LIMB };
        if !v.width.is_multiple_of(full) {
            let mask = self.int(limb_type(v.width), last_mask(v.width));
            if let Some(last) = v.limbs.last_mut() {
                *last = self.b.ins().band(*last, mask);
            }
        }
        v
    }

    /// One limb of 64 bits, or 0 beyond the last.
    fn limb64(&mut self, v: &Vector, at: usize) -> Value {
        match v.limbs.get(at) {
            Some(limb) if v.width <= WORD => self.b.ins().uextend(I64, *limb),
            Some(limb) => *limb,
            None => self.int(I64, 0),
        }
    }

    /// As `width` bits from 64-bit limbs, as many as it needs; what is beyond the width may be anything.
    fn from64(&mut self, width: u32, limbs64: Vec<Value>) -> Vector {
        let limbs = match limbs64.first() {
            Some(low) if width <= WORD => vec![self.b.ins().ireduce(I32, *low)],
            _ => limbs64,
        };
        self.clean(Vector { width, limbs })
    }

    pub(crate) fn zero_extend(&mut self, v: &Vector, width: u32) -> Vector {
        if limb_type(width) == limb_type(v.width) && v.limbs.len() == limbs(width) {
            return Vector {
                width,
                limbs: v.limbs.clone(),
            };
        }
        let limbs = (0..limbs(width)).map(|at| self.limb64(v, at)).collect();
        Vector { width, limbs }
    }

    pub(crate) fn sign_extend(&mut self, v: &Vector, width: u32) -> Vector {
        let ty = limb_type(v.width);
        let unused = (ty.bits() - v.width % ty.bits()) % ty.bits();
        let mut limbs = v.limbs.clone();
        let Some(last) = limbs.last_mut() else {
            return v.clone();
        };
        *last = self.b.ins().ishl_imm_u(*last, i64::from(unused));
        *last = self.b.ins().sshr_imm_u(*last, i64::from(unused));
        if ty == I32 && limb_type(width) == I64 {
            *last = self.b.ins().sextend(I64, *last);
        }
        let top = *last;
        if limbs.len() < self::limbs(width) {
            let fill = self.b.ins().sshr_imm_u(top, i64::from(LIMB - 1));
            limbs.resize(self::limbs(width), fill);
        }
        self.clean(Vector { width, limbs })
    }

    pub(crate) fn slice(&mut self, v: &Vector, lsb: u32, width: u32) -> Vector {
        if v.width <= LIMB {
            let Some(&limb) = v.limbs.first() else {
                return v.clone();
            };
            let mut limb = match lsb {
                0 => limb,
                _ => self.b.ins().ushr_imm_u(limb, i64::from(lsb)),
            };
            if v.width > WORD && width <= WORD {
                limb = self.b.ins().ireduce(I32, limb);
            }
            let v_rest = v.width - lsb;
            let sliced = Vector {
                width,
                limbs: vec![limb],
            };
            return if v_rest == width {
                sliced
            } else {
                self.clean(sliced)
            };
        }
        let (first, by) = ((lsb / LIMB) as usize, lsb % LIMB);
        let mut parts = vec![];
        for at in first..first + limbs(width) {
            let mut part = self.limb64(v, at);
            if by > 0 {
                part = self.b.ins().ushr_imm_u(part, i64::from(by));
                let above = self.limb64(v, at + 1);
                let above = self.b.ins().ishl_imm_u(above, i64::from(LIMB - by));
                part = self.b.ins().bor(part, above);
            }
            parts.push(part);
        }
        self.from64(width, parts)
    }

    pub(crate) fn not(&mut self, v: &Vector) -> Vector {
        let limbs = v
            .limbs
            .iter()
            .map(|limb| self.b.ins().bnot(*limb))
            .collect();
        self.clean(Vector {
            width: v.width,
            limbs,
        })
    }

    pub(crate) fn negate(&mut self, v: &Vector) -> Vector {
        let zero = self.zero(v.width);
        self.binary(Op::Sub, &zero, v)
    }

    /// Products have at most 64 bits.
    pub(crate) fn binary(&mut self, op: Op, a: &Vector, c: &Vector) -> Vector {
        let width = a.width;
        let pairs = a.limbs.iter().copied().zip(c.limbs.iter().copied());
        let mut carry: Option<Value> = None;
        let mut limbs = vec![];
        for (x, y) in pairs {
            limbs.push(match op {
                Op::And => self.b.ins().band(x, y),
                Op::Or => self.b.ins().bor(x, y),
                Op::Xor => self.b.ins().bxor(x, y),
                Op::Mul => self.b.ins().imul(x, y),
                Op::Add if width <= LIMB => self.b.ins().iadd(x, y),
                Op::Sub if width <= LIMB => self.b.ins().isub(x, y),
                Op::Add | Op::Sub => {
                    let (sum, out) = self.add_limb(op, x, y, carry);
                    carry = Some(out);
                    sum
                }
            });
        }
        let result = Vector { width, limbs };
        match op {
            Op::And | Op::Or | Op::Xor => result,
            Op::Add | Op::Sub | Op::Mul => self.clean(result),
        }
    }

    /// A limb of a sum or difference, and what it carries or borrows.
    fn add_limb(&mut self, op: Op, x: Value, y: Value, carry: Option<Value>) -> (Value, Value) {
        let step = |ops: &mut Self, x: Value, y: Value| {
            if op == Op::Add {
                let sum = ops.b.ins().iadd(x, y);
                (sum, ops.b.ins().icmp(IntCC::UnsignedLessThan, sum, x))
            } else {
                let difference = ops.b.ins().isub(x, y);
                (difference, ops.b.ins().icmp(IntCC::UnsignedLessThan, x, y))
            }
        };
        let (sum, out) = step(self, x, y);
        let Some(carry) = carry else {
            return (sum, out);
        };
        let carry = self.b.ins().uextend(I64, carry);
        let (sum, second) = step(self, sum, carry);
        (sum, self.b.ins().bor(out, second))
    }

    /// Shift by a constant, less than the width.
    fn shift_by(&mut self, direction: Direction, v: &Vector, by: u32) -> Vector {
        match direction {
            _ if by == 0 => v.clone(),
            Direction::Right => {
                let rest = self.slice(v, by, v.width - by);
                self.zero_extend(&rest, v.width)
            }
            Direction::RightSigned => {
                let rest = self.slice(v, by, v.width - by);
                self.sign_extend(&rest, v.width)
            }
            Direction::Left => {
                let low = self.zero(by);
                let rest = self.slice(v, 0, v.width - by);
                self.concat(&[rest, low])
            }
        }
    }

    /// Shift by any amount: from the width on, nothing (or the sign) is left.
    pub(crate) fn shift(&mut self, direction: Direction, v: &Vector, by: &Vector) -> Vector {
        let gone = match direction {
            Direction::RightSigned => {
                let sign = self.slice(v, v.width - 1, 1);
                self.sign_extend(&sign, v.width)
            }
            _ => self.zero(v.width),
        };
        let limit = Bits::new(by.width.max(32), u64::from(v.width));
        let amount = self.zero_extend(by, limit.width());
        let limit = self.constant(&limit);
        let stays = self.compare(Relation::Less, &amount, &limit);
        let shifted = match (v.limbs.first(), v.width <= LIMB) {
            (Some(&limb), true) => {
                let ty = limb_type(v.width);
                // A machine shifts by the amount modulo its word: larger ones are not taken.
                let by = amount.limbs[0];
                let unused = i64::from(ty.bits() - v.width);
                let shifted = match direction {
                    Direction::Left => self.b.ins().ishl(limb, by),
                    Direction::Right => self.b.ins().ushr(limb, by),
                    Direction::RightSigned => {
                        let high = self.b.ins().ishl_imm_u(limb, unused);
                        let high = self.b.ins().sshr_imm_u(high, unused);
                        self.b.ins().sshr(high, by)
                    }
                };
                self.clean(Vector {
                    width: v.width,
                    limbs: vec![shifted],
                })
            }
            // A stage for each bit of the amount.
            _ => {
                let mut stage = v.clone();
                for bit in 0..by.width.min(u32::BITS - v.width.leading_zeros()) {
                    let distance = 1 << bit;
                    if distance >= v.width {
                        break;
                    }
                    let further = self.shift_by(direction, &stage, distance);
                    let set = self.slice(by, bit, 1);
                    stage = self.select(set.limbs[0], &further, &stage);
                }
                stage
            }
        };
        self.select(stays, &shifted, &gone)
    }

    /// The first where `condition` is not zero, else the second.
    pub(crate) fn select(&mut self, condition: Value, a: &Vector, c: &Vector) -> Vector {
        let pairs: Vec<_> = a
            .limbs
            .iter()
            .copied()
            .zip(c.limbs.iter().copied())
            .collect();
        let limbs = pairs
            .into_iter()
            .map(|(x, y)| self.b.ins().select(condition, x, y))
            .collect();
        Vector {
            width: a.width,
            limbs,
        }
    }

    /// A truth value of the machine.
    pub(crate) fn compare(&mut self, relation: Relation, a: &Vector, c: &Vector) -> Value {
        if matches!(relation, Relation::LessSigned | Relation::LessEqualSigned) {
            let (a, c) = (self.flip_sign(a), self.flip_sign(c));
            let relation = match relation {
                Relation::LessSigned => Relation::Less,
                _ => Relation::LessEqual,
            };
            return self.compare(relation, &a, &c);
        }
        let pairs = a.limbs.iter().copied().zip(c.limbs.iter().copied());
        let mut result: Option<Value> = None;
        for (x, y) in pairs {
            let last = |ops: &mut Self, code| ops.b.ins().icmp(code, x, y);
            result = Some(match (relation, result) {
                (Relation::Equal, None) => last(self, IntCC::Equal),
                (Relation::NotEqual, None) => last(self, IntCC::NotEqual),
                (Relation::Less, None) => last(self, IntCC::UnsignedLessThan),
                (_, None) => last(self, IntCC::UnsignedLessThanOrEqual),
                (Relation::Equal, Some(below)) => {
                    let here = last(self, IntCC::Equal);
                    self.b.ins().band(here, below)
                }
                (Relation::NotEqual, Some(below)) => {
                    let here = last(self, IntCC::NotEqual);
                    self.b.ins().bor(here, below)
                }
                (_, Some(below)) => {
                    let (less, equal) = (
                        last(self, IntCC::UnsignedLessThan),
                        last(self, IntCC::Equal),
                    );
                    let tie = self.b.ins().band(equal, below);
                    self.b.ins().bor(less, tie)
                }
            });
        }
        match result {
            Some(result) => result,
            None => self.int(I32, 0),
        }
    }

    /// Signed order is unsigned order with the sign bit turned over.
    fn flip_sign(&mut self, v: &Vector) -> Vector {
        let at = v.width - 1;
        let mut sign = vec![0; limbs(v.width)];
        sign[(at / LIMB) as usize] = 1 << (at % LIMB);
        let sign = self.constant(&Bits::from_limbs(v.width, sign));
        self.binary(Op::Xor, v, &sign)
    }

    /// A truth value of the machine as one bit.
    pub(crate) fn bit(&mut self, truth: Value) -> Vector {
        let limb = match self.b.func.dfg.value_type(truth) {
            I32 => truth,
            _ => self.b.ins().uextend(I32, truth),
        };
        Vector {
            width: 1,
            limbs: vec![limb],
        }
    }

    /// A truth value of the machine.
    pub(crate) fn reduce(&mut self, how: Reduction, v: &Vector) -> Value {
        match how {
            Reduction::Any => {
                let zero = self.zero(v.width);
                self.compare(Relation::NotEqual, v, &zero)
            }
            Reduction::All => {
                let ones = Bits::from_limbs(v.width, vec![u64::MAX; limbs(v.width)]);
                let ones = self.constant(&ones);
                self.compare(Relation::Equal, v, &ones)
            }
            Reduction::Odd => {
                let mut all: Option<Value> = None;
                for limb in &v.limbs {
                    all = Some(match all {
                        None => *limb,
                        Some(all) => self.b.ins().bxor(all, *limb),
                    });
                }
                let all = match all {
                    Some(all) => all,
                    None => self.int(I32, 0),
                };
                let count = self.b.ins().popcnt(all);
                let odd = self.b.ins().band_imm_u(count, 1);
                match self.b.func.dfg.value_type(odd) {
                    I32 => odd,
                    _ => self.b.ins().ireduce(I32, odd),
                }
            }
        }
    }

    /// The first part in the highest bits.
    pub(crate) fn concat(&mut self, parts: &[Vector]) -> Vector {
        let width = parts.iter().map(|p| p.width).sum();
        let mut result = self.zero(width);
        let mut lsb = 0;
        for part in parts.iter().rev() {
            result = self.or_at(&result, part, lsb);
            lsb += part.width;
        }
        result
    }

    /// `v` with the bits of `part` set from `lsb` on.
    fn or_at(&mut self, v: &Vector, part: &Vector, lsb: u32) -> Vector {
        let mut limbs = v.limbs.clone();
        if v.width <= LIMB {
            let wide = self.zero_extend(part, v.width);
            let moved = match lsb {
                0 => wide.limbs[0],
                _ => self.b.ins().ishl_imm_u(wide.limbs[0], i64::from(lsb)),
            };
            limbs[0] = self.b.ins().bor(limbs[0], moved);
        } else {
            let (first, by) = ((lsb / LIMB) as usize, lsb % LIMB);
            for at in 0..self::limbs(part.width) {
                let limb = self.limb64(part, at);
                let low = self.b.ins().ishl_imm_u(limb, i64::from(by));
                limbs[first + at] = self.b.ins().bor(limbs[first + at], low);
                if by > 0 && first + at + 1 < limbs.len() {
                    let high = self.b.ins().ushr_imm_u(limb, i64::from(LIMB - by));
                    limbs[first + at + 1] = self.b.ins().bor(limbs[first + at + 1], high);
                }
            }
        }
        Vector {
            width: v.width,
            limbs,
        }
    }

    /// `v` with its bits from `lsb` on replaced by `part`.
    pub(crate) fn replace(&mut self, v: &Vector, part: &Vector, lsb: u32) -> Vector {
        let mut mask = Bits::new(v.width, 0).limbs().to_vec();
        for at in lsb..lsb + part.width {
            mask[(at / LIMB) as usize] |= 1 << (at % LIMB);
        }
        let mask = self.constant(&Bits::from_limbs(v.width, mask));
        let others = self.not(&mask);
        let kept = self.binary(Op::And, v, &others);
        self.or_at(&kept, part, lsb)
    }

    /// As [`Ops::replace`], from any bit on; bits beyond `v` are lost.
    pub(crate) fn replace_at(&mut self, v: &Vector, part: &Vector, index: &Vector) -> Vector {
        let width = v.width.max(part.width);
        let wide = self.zero_extend(part, width);
        let ones = Bits::from_limbs(part.width, vec![u64::MAX; limbs(part.width)]);
        let ones = self.constant(&ones.resize(width, false));
        let (moved, mask) = (
            self.shift(Direction::Left, &wide, index),
            self.shift(Direction::Left, &ones, index),
        );
        let (moved, mask) = (
            self.slice(&moved, 0, v.width),
            self.slice(&mask, 0, v.width),
        );
        let others = self.not(&mask);
        let kept = self.binary(Op::And, v, &others);
        self.binary(Op::Or, &kept, &moved)
    }
}
