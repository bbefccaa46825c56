//! Parser of the subset: modules and their items (IEEE 1364-2005 annex A).
use crate::ast::*;
use crate::error::{At, Fault, Pos, Result};
use crate::lex::{lex, Token};

mod expr;
mod stmt;

/// Deepest nesting of expressions and statements: the parser recurses.
const MAX_DEPTH: u32 = 200;

/// Keywords of Verilog that begin nothing of the subset, so that a message can name them.
const OUTSIDE: &[&str] = &[
    "inout",
    "integer",
    "real",
    "realtime",
    "time",
    "tri",
    "wand",
    "wor",
    "supply0",
    "supply1",
    "parameter",
    "defparam",
    "function",
    "task",
    "generate",
    "genvar",
    "for",
    "while",
    "repeat",
    "forever",
    "wait",
    "fork",
    "casex",
    "casez",
    "specify",
    "primitive",
    "event",
    "force",
    "release",
    "deassign",
    "disable",
    "negedge",
];

pub(crate) struct Parser {
    tokens: Vec<(Pos, Token)>,
    at: usize,
    depth: u32,
}

/// All modules of a text.
pub(crate) fn parse(text: &str) -> Result<Vec<Module>> {
    let mut parser = Parser {
        tokens: lex(text)?,
        at: 0,
        depth: 0,
    };
    let mut modules = vec![];
    while parser.peek() != &Token::End {
        modules.push(parser.module()?);
    }
    Ok(modules)
}

impl Parser {
    fn peek(&self) -> &Token {
        self.peek_at(0)
    }
    fn peek_at(&self, ahead: usize) -> &Token {
        // The last token is the end, and it is never passed.
        let last = self.tokens.len() - 1;
        &self.tokens[(self.at + ahead).min(last)].1
    }
    fn pos(&self) -> Pos {
        self.tokens[self.at.min(self.tokens.len() - 1)].0
    }
    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    /// Takes the sign if it is next.
    fn sign(&mut self, sign: &str) -> bool {
        let is = matches!(self.peek(), Token::Sign(s) if *s == sign);
        if is {
            self.next();
        }
        is
    }
    fn expect(&mut self, sign: &'static str) -> Result<()> {
        if self.sign(sign) {
            return Ok(());
        }
        Err(self.unexpected(sign))
    }
    /// Takes the keyword if it is next.
    fn word(&mut self, word: &str) -> bool {
        let is = matches!(self.peek(), Token::Word(w) if w == word);
        if is {
            self.next();
        }
        is
    }
    fn expect_word(&mut self, word: &'static str) -> Result<()> {
        if self.word(word) {
            return Ok(());
        }
        Err(self.unexpected(word))
    }
    fn name(&mut self) -> Result<String> {
        match self.peek() {
            Token::Word(w) if !OUTSIDE.contains(&w.as_str()) => {
                let name = w.clone();
                self.next();
                Ok(name)
            }
            _ => Err(self.unexpected("a name")),
        }
    }

    /// What stands here is not what should, or is outside the subset.
    fn unexpected(&self, wanted: &'static str) -> At {
        let fault = match self.peek() {
            Token::Word(w) if OUTSIDE.contains(&w.as_str()) => Fault::Outside(format!("`{w}`")),
            Token::System(w) => Fault::Outside(format!("`{w}`")),
            Token::Sign("#") => Fault::Outside("a delay or parameter list `#`".into()),
            token => Fault::Syntax {
                found: token.describe(),
                wanted,
            },
        };
        At::new(self.pos(), fault)
    }

    /// One level deeper for as long as `inner` runs.
    fn nested<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth == MAX_DEPTH {
            return Err(At::new(self.pos(), Fault::TooDeep(MAX_DEPTH)));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn module(&mut self) -> Result<Module> {
        let pos = self.pos();
        self.expect_word("module")?;
        let name = self.name()?;
        let (mut ports, mut items) = (vec![], vec![]);
        if self.sign("(") {
            self.port_list(&mut ports, &mut items)?;
        }
        self.expect(";")?;
        while !self.word("endmodule") {
            self.item(&mut items)?;
        }
        Ok(Module {
            pos,
            name,
            ports,
            items,
        })
    }

    /// Names, or whole declarations, which hold for the names that follow.
    fn port_list(&mut self, ports: &mut Vec<String>, items: &mut Vec<Item>) -> Result<()> {
        if self.sign(")") {
            return Ok(());
        }
        let mut head = None;
        loop {
            if let Some(new) = self.net_head()? {
                head = Some(new);
            }
            let pos = self.pos();
            let name = self.name()?;
            if let Some(head) = &head {
                items.push(Item::Net(head.declare(pos, name.clone(), None, None)));
            }
            ports.push(name);
            if !self.sign(",") {
                return self.expect(")");
            }
        }
    }

    fn item(&mut self, items: &mut Vec<Item>) -> Result<()> {
        let pos = self.pos();
        if let Some(head) = self.net_head()? {
            return self.nets(&head, items);
        }
        if self.word("localparam") {
            return self.constants(items);
        }
        if self.word("assign") {
            loop {
                let assignment = self.assignment("=")?;
                items.push(Item::Assign(assignment));
                if !self.sign(",") {
                    return self.expect(";");
                }
            }
        }
        if self.word("always") {
            let on = self.sensitivity()?;
            let body = self.statement()?;
            items.push(Item::Always { pos, on, body });
            return Ok(());
        }
        if self.word("initial") {
            let body = self.statement()?;
            items.push(Item::Initial(body));
            return Ok(());
        }
        let module = self.name()?;
        items.push(Item::Instance(self.instance(pos, module)?));
        Ok(())
    }

    /// Direction, kind, sign and range of a declaration, if one begins here.
    fn net_head(&mut self) -> Result<Option<NetHead>> {
        let direction = match self.peek() {
            Token::Word(w) if w == "input" => Some(Direction::Input),
            Token::Word(w) if w == "output" => Some(Direction::Output),
            _ => None,
        };
        if direction.is_some() {
            self.next();
        }
        let wire = self.word("wire");
        let variable = !wire && self.word("reg");
        if direction.is_none() && !wire && !variable {
            return Ok(None);
        }
        Ok(Some(NetHead {
            direction,
            variable,
            signed: self.word("signed"),
            range: self.range()?,
        }))
    }

    fn range(&mut self) -> Result<Option<Range>> {
        let pos = self.pos();
        if !self.sign("[") {
            return Ok(None);
        }
        let first = self.expression()?;
        self.expect(":")?;
        let second = self.expression()?;
        self.expect("]")?;
        Ok(Some(Range { pos, first, second }))
    }

    fn nets(&mut self, head: &NetHead, items: &mut Vec<Item>) -> Result<()> {
        loop {
            let pos = self.pos();
            let name = self.name()?;
            let words = self.range()?;
            let init = match self.sign("=") {
                true => Some(self.expression()?),
                false => None,
            };
            let (init, driven) = match head.variable {
                true => (init, None),
                false => (None, init),
            };
            items.push(Item::Net(head.declare(pos, name.clone(), words, init)));
            if let Some(value) = driven {
                let target = Expr {
                    pos,
                    kind: ExprKind::Name(name),
                };
                items.push(Item::Assign(Assignment { pos, target, value }));
            }
            if !self.sign(",") {
                return self.expect(";");
            }
        }
    }

    fn constants(&mut self, items: &mut Vec<Item>) -> Result<()> {
        let signed = self.word("signed");
        let range = self.range()?;
        loop {
            let pos = self.pos();
            let name = self.name()?;
            self.expect("=")?;
            items.push(Item::Constant(ConstantDecl {
                pos,
                name,
                signed,
                range: range.clone(),
                value: self.expression()?,
            }));
            if !self.sign(",") {
                return self.expect(";");
            }
        }
    }

    fn sensitivity(&mut self) -> Result<Sensitivity> {
        self.expect("@")?;
        if self.sign("*") {
            return Ok(Sensitivity::Combinational);
        }
        self.expect("(")?;
        if self.sign("*") {
            self.expect(")")?;
            return Ok(Sensitivity::Combinational);
        }
        let mut edges = vec![];
        loop {
            let pos = self.pos();
            if !self.word("posedge") {
                // Levels would have to be compared with what the block reads.
                return Err(match self.peek() {
                    Token::Word(w) if !OUTSIDE.contains(&w.as_str()) => At::outside(
                        pos,
                        format!("`{w}` in a sensitivity list without `posedge`"),
                    ),
                    _ => self.unexpected("posedge"),
                });
            }
            edges.push((pos, self.name()?));
            if !self.word("or") && !self.sign(",") {
                self.expect(")")?;
                return Ok(Sensitivity::Edges(edges));
            }
        }
    }

    fn instance(&mut self, pos: Pos, module: String) -> Result<Instance> {
        let name = self.name()?;
        self.expect("(")?;
        let mut ports = vec![];
        while !self.sign(")") {
            if !ports.is_empty() {
                self.expect(",")?;
            }
            let pos = self.pos();
            if !self.sign(".") {
                return Err(At::outside(pos, "a connection by position"));
            }
            let port = self.name()?;
            self.expect("(")?;
            let connected = match self.sign(")") {
                true => None,
                false => {
                    let expression = self.expression()?;
                    self.expect(")")?;
                    Some(expression)
                }
            };
            ports.push((pos, port, connected));
        }
        self.expect(";")?;
        Ok(Instance {
            pos,
            module,
            name,
            ports,
        })
    }
}

struct NetHead {
    direction: Option<Direction>,
    /// `reg`: what it is declared with is its first value; with a `wire` it is an assignment.
    variable: bool,
    signed: bool,
    range: Option<Range>,
}

impl NetHead {
    fn declare(&self, pos: Pos, name: String, words: Option<Range>, init: Option<Expr>) -> NetDecl {
        NetDecl {
            pos,
            name,
            direction: self.direction,
            signed: self.signed,
            range: self.range.clone(),
            words,
            init,
        }
    }
}
