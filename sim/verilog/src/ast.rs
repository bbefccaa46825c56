//! A Verilog text as a tree: what is written, before names and widths mean anything.
use crate::error::Pos;
use crate::lex::Number;

/// A module.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) pos: Pos,
    pub(crate) name: String,
    /// Ports in order, by name.
    pub(crate) ports: Vec<String>,
    pub(crate) items: Vec<Item>,
}

/// What a module is made of.
#[derive(Debug)]
pub(crate) enum Item {
    Net(NetDecl),
    /// `localparam`
    Constant(ConstantDecl),
    /// `assign`
    Assign(Assignment),
    Always {
        pos: Pos,
        on: Sensitivity,
        body: Stmt,
    },
    Initial(Stmt),
    Instance(Instance),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Input,
    Output,
}

/// A net, variable or memory; a port if it has a direction.
#[derive(Debug)]
pub(crate) struct NetDecl {
    pub(crate) pos: Pos,
    pub(crate) name: String,
    pub(crate) direction: Option<Direction>,
    pub(crate) signed: bool,
    pub(crate) range: Option<Range>,
    /// Of a memory.
    pub(crate) words: Option<Range>,
    pub(crate) init: Option<Expr>,
}

/// `[first:second]`
#[derive(Clone, Debug)]
pub(crate) struct Range {
    pub(crate) pos: Pos,
    pub(crate) first: Expr,
    pub(crate) second: Expr,
}

#[derive(Debug)]
pub(crate) struct ConstantDecl {
    pub(crate) pos: Pos,
    pub(crate) name: String,
    pub(crate) signed: bool,
    pub(crate) range: Option<Range>,
    pub(crate) value: Expr,
}

#[derive(Debug)]
pub(crate) struct Assignment {
    pub(crate) pos: Pos,
    pub(crate) target: Expr,
    pub(crate) value: Expr,
}

/// `@(...)`
#[derive(Debug)]
pub(crate) enum Sensitivity {
    /// `@(*)`
    Combinational,
    /// `@(posedge a or posedge b)`
    Edges(Vec<(Pos, String)>),
}

#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) pos: Pos,
    pub(crate) module: String,
    pub(crate) name: String,
    /// `.port(expression)`; no expression: not connected.
    pub(crate) ports: Vec<(Pos, String, Option<Expr>)>,
}

#[derive(Debug)]
pub(crate) enum Stmt {
    Block(Vec<Stmt>),
    /// `=`
    Blocking(Assignment),
    /// `<=`
    NonBlocking(Assignment),
    If {
        condition: Expr,
        then: Box<Stmt>,
        otherwise: Box<Stmt>,
    },
    Case(Case),
}

#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) subject: Expr,
    pub(crate) arms: Vec<(Vec<Expr>, Stmt)>,
    pub(crate) default: Option<Box<Stmt>>,
}

#[derive(Clone, Debug)]
pub(crate) struct Expr {
    pub(crate) pos: Pos,
    pub(crate) kind: ExprKind,
}

#[derive(Clone, Debug)]
pub(crate) enum ExprKind {
    Number(Number),
    Name(String),
    /// `name[index]`: a bit or a word of a memory.
    Index(String, Box<Expr>),
    /// `name[msb:lsb]`
    Part(String, Box<Expr>, Box<Expr>),
    /// `name[base +: width]`, or `-:`
    IndexedPart {
        name: String,
        base: Box<Expr>,
        width: Box<Expr>,
        up: bool,
    },
    Unary(UnaryOp, Box<Expr>),
    Binary(BinaryOp, Box<Expr>, Box<Expr>),
    Conditional(Box<[Expr; 3]>),
    Concat(Vec<Expr>),
    /// `{count{...}}`
    Repeat(Box<Expr>, Vec<Expr>),
    /// `$signed(...)`, `$unsigned(...)`
    Cast {
        signed: bool,
        of: Box<Expr>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnaryOp {
    Plus,
    Minus,
    /// `!`
    LogicNot,
    /// `~`
    Not,
    /// `&`, `|`, `^` over all bits of one operand, then inverted or not.
    Reduce(Bitwise, bool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bitwise {
    And,
    Or,
    Xor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BinaryOp {
    Add,
    Sub,
    Mul,
    Bitwise(Bitwise),
    /// `^~`
    Xnor,
    /// `<<`, `<<<`
    ShiftLeft,
    /// `>>`
    ShiftRight,
    /// `>>>`
    ShiftRightSigned,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    /// `&&`
    LogicAnd,
    /// `||`
    LogicOr,
}
