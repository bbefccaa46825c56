//! Indices in the names of a kernel, resolved before rust-hdl turns it into text.
//!
//! For each name with an index rust-hdl's generator compiles a regular expression and runs an evaluator: most of an export's time.
//! Nearly all indices are a number or the variable of a loop, and `cells[2]` is just the net `cells$2`.
use rust_hdl::core::ast::{
    VerilogBlock, VerilogBlockOrConditional, VerilogExpression, VerilogLink, VerilogLoop,
    VerilogStatement,
};

/// Resolves the indices in `block` that are a number or a loop's variable; others are left to rust-hdl.
pub(super) fn resolve(block: &mut VerilogBlock) {
    Loops::default().in_block(block);
}

/// The loops around a statement, outermost first: variable and value.
#[derive(Default)]
struct Loops(Vec<(String, usize)>);

impl Loops {
    fn in_block(&mut self, block: &mut VerilogBlock) {
        for statement in block {
            self.in_statement(statement);
        }
    }

    fn in_statement(&mut self, statement: &mut VerilogStatement) {
        match statement {
            VerilogStatement::Assignment(to, from) => {
                self.in_expression(to);
                self.in_expression(from);
            }
            VerilogStatement::SliceAssignment {
                base,
                width: _,
                offset,
                replacement,
            } => {
                self.in_expression(base);
                self.in_expression(offset);
                self.in_expression(replacement);
            }
            VerilogStatement::If(branch) => {
                self.in_expression(&mut branch.test);
                self.in_block(&mut branch.then);
                match &mut branch.otherwise {
                    VerilogBlockOrConditional::Block(block) => self.in_block(block),
                    VerilogBlockOrConditional::Conditional(branch) => self.in_statement(branch),
                    VerilogBlockOrConditional::None => {}
                }
            }
            VerilogStatement::Match(choice) => {
                self.in_expression(&mut choice.test);
                for case in &mut choice.cases {
                    self.in_block(&mut case.block);
                }
            }
            VerilogStatement::Loop(repeated) => {
                *statement = VerilogStatement::Macro(self.unrolled(repeated));
            }
            VerilogStatement::Macro(block) => self.in_block(block),
            VerilogStatement::Link(links) => links.iter_mut().for_each(|l| self.in_link(l)),
            VerilogStatement::Comment(_) => {}
        }
    }

    /// A loop as one loop for each round: its names differ from round to round, its variable may still stand alone.
    fn unrolled(&mut self, repeated: &VerilogLoop) -> VerilogBlock {
        let rounds = repeated.from.as_usize()..repeated.to.as_usize();
        rounds
            .map(|value| {
                let mut round = VerilogLoop {
                    from: value.into(),
                    to: (value + 1).into(),
                    ..repeated.clone()
                };
                self.0.push((round.index.clone(), value));
                self.in_block(&mut round.block);
                self.0.pop();
                VerilogStatement::Loop(round)
            })
            .collect()
    }

    fn in_link(&self, link: &mut VerilogLink) {
        let (VerilogLink::Forward(l) | VerilogLink::Backward(l) | VerilogLink::Bidirectional(l)) =
            link;
        self.in_name(&mut l.owner_name);
        self.in_name(&mut l.other_name);
    }

    fn in_expression(&self, expression: &mut VerilogExpression) {
        match expression {
            VerilogExpression::Signal(name) => self.in_name(name),
            VerilogExpression::Literal(_) => {}
            VerilogExpression::Cast(of, _)
            | VerilogExpression::Signed(of)
            | VerilogExpression::Unsigned(of)
            | VerilogExpression::Paren(of)
            | VerilogExpression::Unary(_, of) => self.in_expression(of),
            VerilogExpression::Binary(a, _, b)
            | VerilogExpression::Index(a, b)
            | VerilogExpression::Slice(a, _, b) => {
                self.in_expression(a);
                self.in_expression(b);
            }
            VerilogExpression::IndexReplace(a, b, c) => {
                self.in_expression(a);
                self.in_expression(b);
                self.in_expression(c);
            }
        }
    }

    fn in_name(&self, name: &mut String) {
        if let Some(resolved) = self.resolved(name) {
            *name = resolved;
        }
    }

    /// `name` with its only index resolved; none if that is neither a number nor a loop's variable.
    fn resolved(&self, name: &str) -> Option<String> {
        let (array, rest) = name.split_once('[')?;
        let (index, field) = rest.split_once(']')?;
        // With several indices rust-hdl resolves the first one only, which here would become two.
        if field.contains('[') {
            return None;
        }
        let variable = self.0.iter().rev().find(|(variable, _)| variable == index);
        let value = match variable {
            Some((_, value)) => *value,
            None => index.parse().ok()?,
        };
        Some(format!("{array}${value}{field}"))
    }
}

#[cfg(test)]
mod tests {
    use super::Loops;

    #[test]
    fn numbers_and_the_innermost_variable_are_resolved_and_nothing_else() {
        let loops = Loops(
            [("i", 1), ("j", 2), ("i", 3)]
                .map(|(v, n)| (v.into(), n))
                .into(),
        );
        for (name, resolved) in [
            ("a[0].b.next", "a$0.b.next"),
            ("a.b[12]", "a.b$12"),
            ("a[j].b", "a$2.b"),
            ("a[i]", "a$3"),
        ] {
            assert_eq!(loops.resolved(name).as_deref(), Some(resolved));
        }
        for left in ["a", "a[k]", "a[i + 1]", "a[0].b[1]", "a[", "a]0["] {
            assert_eq!(loops.resolved(left), None, "{left}");
        }
    }
}
