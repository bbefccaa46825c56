//! What is wrong with a Verilog text, and where.
use std::fmt;

use thiserror::Error;

/// A place in a text: line and column, both from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pos {
    /// Line.
    pub line: u32,
    /// Column in characters.
    pub column: u32,
}

impl fmt::Display for Pos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Why a Verilog text cannot be simulated. Shown as `FILE:LINE:COLUMN: what is wrong`.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{file}:{pos}: {fault}")]
pub struct VerilogError {
    /// Name of the text, as the caller gave it.
    pub file: String,
    /// Where in it.
    pub pos: Pos,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Fault {
    /// Valid Verilog that this simulator does not take.
    #[error("{0} is outside the subset of Verilog that can be simulated here")]
    Outside(String),
    /// Not Verilog.
    #[error("{found} where {wanted} should be")]
    Syntax {
        /// What stands there.
        found: String,
        /// What should.
        wanted: &'static str,
    },
    /// A name that nothing declares.
    #[error("`{0}` is not declared")]
    Undeclared(String),
    /// A name that is declared twice.
    #[error("`{0}` is declared twice")]
    Redeclared(String),
    /// No module of that name.
    #[error("there is no module `{0}`")]
    NoModule(String),
    /// A module that contains itself.
    #[error("module `{0}` contains itself")]
    Recursive(String),
    /// A port that the module does not have.
    #[error("module `{module}` has no port `{port}`")]
    NoPort {
        /// The module.
        module: String,
        /// The port.
        port: String,
    },
    /// An expression that must be constant and is not.
    #[error("{0} must be a constant")]
    NotConstant(&'static str),
    /// A select beyond what is declared.
    #[error("bits {msb}:{lsb} of `{name}`, which has {width}")]
    OutOfRange {
        /// The signal.
        name: String,
        /// Highest bit selected.
        msb: u64,
        /// Lowest bit selected.
        lsb: u64,
        /// Bits there are.
        width: u32,
    },
    /// A signal with more than one driver.
    #[error("`{name}` is driven here and at {other} too")]
    TwoDrivers {
        /// The signal, with its hierarchy.
        name: String,
        /// The other place.
        other: Pos,
    },
    /// A combinational signal that keeps its value on some path.
    #[error("`{0}` is not assigned on every path through this block: a latch")]
    Latch(String),
    /// Combinational logic that feeds itself.
    #[error("combinational loop: {}", .0.join(" -> "))]
    Loop(Vec<String>),
    /// A clock that is no input of the top module.
    #[error(
        "the clock `{0}` is no input of the top module: derived clocks are outside the subset"
    )]
    DerivedClock(String),
    /// The text nests deeper than the parser goes.
    #[error("nested more than {0} levels deep")]
    TooDeep(u32),
    /// Machine code could not be made.
    #[error("no machine code could be made: {0}")]
    Machine(String),
}

/// A fault and its place, before the name of the text is known.
#[derive(Clone, Debug)]
pub(crate) struct At {
    pub(crate) pos: Pos,
    pub(crate) fault: Fault,
}

impl At {
    pub(crate) fn new(pos: Pos, fault: Fault) -> Self {
        Self { pos, fault }
    }
    pub(crate) fn outside(pos: Pos, what: impl Into<String>) -> Self {
        Self::new(pos, Fault::Outside(what.into()))
    }
    pub(crate) fn in_file(self, file: &str) -> VerilogError {
        VerilogError {
            file: file.into(),
            pos: self.pos,
            fault: self.fault,
        }
    }
}

pub(crate) type Result<T> = std::result::Result<T, At>;
