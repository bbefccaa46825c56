//! Expressions, by precedence (IEEE 1364-2005 table 5-4).
use super::Parser;
use crate::ast::*;
use crate::error::{At, Fault, Result};
use crate::lex::Token;

/// Most operators of one level in a row.
const MAX_CHAIN: u32 = 500;

/// Binary operators from the weakest to the strongest.
const LEVELS: &[&[(&str, BinaryOp)]] = &[
    &[("||", BinaryOp::LogicOr)],
    &[("&&", BinaryOp::LogicAnd)],
    &[("|", BinaryOp::Bitwise(Bitwise::Or))],
    &[
        ("^", BinaryOp::Bitwise(Bitwise::Xor)),
        ("^~", BinaryOp::Xnor),
        ("~^", BinaryOp::Xnor),
    ],
    &[("&", BinaryOp::Bitwise(Bitwise::And))],
    &[
        ("==", BinaryOp::Equal),
        ("!=", BinaryOp::NotEqual),
        ("===", BinaryOp::Equal),
        ("!==", BinaryOp::NotEqual),
    ],
    &[
        ("<", BinaryOp::Less),
        ("<=", BinaryOp::LessEqual),
        (">", BinaryOp::Greater),
        (">=", BinaryOp::GreaterEqual),
    ],
    &[
        ("<<", BinaryOp::ShiftLeft),
        ("<<<", BinaryOp::ShiftLeft),
        (">>", BinaryOp::ShiftRight),
        (">>>", BinaryOp::ShiftRightSigned),
    ],
    &[("+", BinaryOp::Add), ("-", BinaryOp::Sub)],
    &[("*", BinaryOp::Mul)],
];

const UNARY: &[(&str, UnaryOp)] = &[
    ("+", UnaryOp::Plus),
    ("-", UnaryOp::Minus),
    ("!", UnaryOp::LogicNot),
    ("~", UnaryOp::Not),
    ("&", UnaryOp::Reduce(Bitwise::And, false)),
    ("|", UnaryOp::Reduce(Bitwise::Or, false)),
    ("^", UnaryOp::Reduce(Bitwise::Xor, false)),
    ("~&", UnaryOp::Reduce(Bitwise::And, true)),
    ("~|", UnaryOp::Reduce(Bitwise::Or, true)),
    ("~^", UnaryOp::Reduce(Bitwise::Xor, true)),
    ("^~", UnaryOp::Reduce(Bitwise::Xor, true)),
];

impl Parser {
    pub(super) fn expression(&mut self) -> Result<Expr> {
        self.nested(|p| {
            let pos = p.pos();
            let condition = p.binary(0)?;
            if !p.sign("?") {
                return Ok(condition);
            }
            let then = p.expression()?;
            p.expect(":")?;
            let otherwise = p.expression()?;
            Ok(Expr {
                pos,
                kind: ExprKind::Conditional(Box::new([condition, then, otherwise])),
            })
        })
    }

    fn binary(&mut self, level: usize) -> Result<Expr> {
        let Some(operators) = LEVELS.get(level) else {
            return self.unary();
        };
        let mut left = self.binary(level + 1)?;
        // What comes after the parser recurses over the tree, which a chain makes deep as well.
        for _ in 0..MAX_CHAIN {
            let found = match self.peek() {
                Token::Sign(s @ ("/" | "%" | "**")) => {
                    return Err(At::outside(self.pos(), format!("the operator `{s}`")))
                }
                Token::Sign(s) => operators.iter().find(|(sign, _)| sign == s),
                _ => None,
            };
            let Some((_, op)) = found else {
                return Ok(left);
            };
            let pos = self.pos();
            self.next();
            let right = self.binary(level + 1)?;
            left = Expr {
                pos,
                kind: ExprKind::Binary(*op, Box::new(left), Box::new(right)),
            };
        }
        Err(At::new(self.pos(), Fault::TooDeep(MAX_CHAIN)))
    }

    fn unary(&mut self) -> Result<Expr> {
        let pos = self.pos();
        let found = match self.peek() {
            Token::Sign(s) => UNARY.iter().find(|(sign, _)| sign == s),
            _ => None,
        };
        let Some((_, op)) = found else {
            return self.primary();
        };
        self.next();
        let operand = self.nested(Self::unary)?;
        Ok(Expr {
            pos,
            kind: ExprKind::Unary(*op, Box::new(operand)),
        })
    }

    pub(super) fn primary(&mut self) -> Result<Expr> {
        let pos = self.pos();
        if self.sign("(") {
            let inner = self.expression()?;
            self.expect(")")?;
            return Ok(inner);
        }
        let kind = match self.peek().clone() {
            Token::Number(number) => {
                self.next();
                ExprKind::Number(number)
            }
            Token::System(name) if name == "$signed" || name == "$unsigned" => {
                self.next();
                self.expect("(")?;
                let of = Box::new(self.expression()?);
                self.expect(")")?;
                ExprKind::Cast {
                    signed: name == "$signed",
                    of,
                }
            }
            Token::Text(_) => return Err(At::outside(pos, "a string")),
            Token::Sign("{") => self.concatenation()?,
            _ => {
                let name = self.name()?;
                self.selected(name)?
            }
        };
        Ok(Expr { pos, kind })
    }

    fn concatenation(&mut self) -> Result<ExprKind> {
        self.expect("{")?;
        let first = self.expression()?;
        if self.sign("{") {
            let parts = self.list()?;
            self.expect("}")?;
            return Ok(ExprKind::Repeat(Box::new(first), parts));
        }
        let mut parts = vec![first];
        if self.sign(",") {
            parts.extend(self.list()?);
        } else {
            self.expect("}")?;
        }
        Ok(ExprKind::Concat(parts))
    }

    /// Expressions up to `}`.
    fn list(&mut self) -> Result<Vec<Expr>> {
        let mut parts = vec![self.expression()?];
        while self.sign(",") {
            parts.push(self.expression()?);
        }
        self.expect("}")?;
        Ok(parts)
    }

    /// A name with what may follow it in brackets.
    fn selected(&mut self, name: String) -> Result<ExprKind> {
        if !self.sign("[") {
            return Ok(ExprKind::Name(name));
        }
        let first = Box::new(self.expression()?);
        let kind = if self.sign(":") {
            ExprKind::Part(name, first, Box::new(self.expression()?))
        } else if self.sign("+:") {
            self.indexed(name, first, true)?
        } else if self.sign("-:") {
            self.indexed(name, first, false)?
        } else {
            ExprKind::Index(name, first)
        };
        self.expect("]")?;
        if matches!(self.peek(), Token::Sign("[")) {
            return Err(At::outside(self.pos(), "a select of a select"));
        }
        Ok(kind)
    }

    fn indexed(&mut self, name: String, base: Box<Expr>, up: bool) -> Result<ExprKind> {
        Ok(ExprKind::IndexedPart {
            name,
            base,
            width: Box::new(self.expression()?),
            up,
        })
    }
}
