//! Statements of `always` and `initial` blocks.
use super::Parser;
use crate::ast::*;
use crate::error::Result;

impl Parser {
    pub(super) fn statement(&mut self) -> Result<Stmt> {
        self.nested(Self::statement_here)
    }

    fn statement_here(&mut self) -> Result<Stmt> {
        if self.sign(";") {
            return Ok(Stmt::Block(vec![]));
        }
        if self.word("begin") {
            let mut body = vec![];
            while !self.word("end") {
                body.push(self.statement()?);
            }
            return Ok(Stmt::Block(body));
        }
        if self.word("if") {
            self.expect("(")?;
            let condition = self.expression()?;
            self.expect(")")?;
            let then = Box::new(self.statement()?);
            let otherwise = match self.word("else") {
                true => self.statement()?,
                false => Stmt::Block(vec![]),
            };
            return Ok(Stmt::If {
                condition,
                then,
                otherwise: Box::new(otherwise),
            });
        }
        if self.word("case") {
            return self.case().map(Stmt::Case);
        }
        let pos = self.pos();
        let target = self.target()?;
        let blocking = self.sign("=");
        if !blocking {
            self.expect("<=")?;
        }
        let assignment = Assignment {
            pos,
            target,
            value: self.expression()?,
        };
        self.expect(";")?;
        Ok(match blocking {
            true => Stmt::Blocking(assignment),
            false => Stmt::NonBlocking(assignment),
        })
    }

    fn case(&mut self) -> Result<Case> {
        self.expect("(")?;
        let subject = self.expression()?;
        self.expect(")")?;
        let (mut arms, mut default) = (vec![], None);
        while !self.word("endcase") {
            if default.is_none() && self.word("default") {
                self.sign(":");
                default = Some(Box::new(self.statement()?));
                continue;
            }
            let mut items = vec![self.expression()?];
            while self.sign(",") {
                items.push(self.expression()?);
            }
            self.expect(":")?;
            arms.push((items, self.statement()?));
        }
        Ok(Case {
            subject,
            arms,
            default,
        })
    }

    pub(super) fn assignment(&mut self, sign: &'static str) -> Result<Assignment> {
        let pos = self.pos();
        let target = self.target()?;
        self.expect(sign)?;
        Ok(Assignment {
            pos,
            target,
            value: self.expression()?,
        })
    }

    /// What may be assigned to: a primary, so that `<=` is not taken for a comparison.
    fn target(&mut self) -> Result<Expr> {
        self.primary()
    }
}
