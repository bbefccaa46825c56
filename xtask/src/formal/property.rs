//! What a property is, and what a seeded fault is.
use std::fmt;

use super::modules::Module;

/// A promise of a module.
#[derive(Debug)]
pub(super) struct Property {
    /// Its checker is `rtl/formal/NAME.sv`, with a module of that name.
    pub(super) name: &'static str,
    pub(super) promise: &'static str,
    pub(super) module: Module,
    /// Text of the checker.
    pub(super) checker: &'static str,
    pub(super) set: Set,
    pub(super) mode: Mode,
    /// The module has several clocks, which then run independently of each other.
    pub(super) several_clocks: bool,
    pub(super) mutants: &'static [Mutant],
}

/// Which run checks a property.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Set {
    /// Each.
    Core,
    /// One with `--deep`.
    Deep,
}

/// How a property is proved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Mode {
    /// For all time: it holds in that many cycles from reset on, and after that many cycles in which it holds in the next one too.
    Induction(u32),
    /// The same, one assertion after the other, each with those before it known in the same cycle: of many at once the solver makes heavy work.
    Parts(u32),
    /// In that many cycles from reset on.
    Bounded(u32),
}

/// A seeded fault.
#[derive(Debug)]
pub(super) struct Mutant {
    pub(super) name: &'static str,
    /// Text of the exported Verilog, there once; white space between words does not matter.
    pub(super) from: &'static str,
    /// What stands there instead.
    pub(super) to: &'static str,
    /// The assertion that must fail.
    pub(super) breaks: &'static str,
    pub(super) reach: Reach,
}

/// Where a fault must show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Reach {
    /// Within that many cycles from reset on.
    Reset(u32),
    /// In the step of the induction: a state that keeps all invariants is followed by one that does not. For what takes thousands
    /// of cycles to come about, such as a full buffer.
    Step,
}

impl Mode {
    /// Cycles from reset on that are checked.
    pub(super) fn depth(self) -> u32 {
        match self {
            Self::Induction(depth) | Self::Parts(depth) | Self::Bounded(depth) => depth,
        }
    }

    /// What is known if it succeeds.
    pub(super) fn success(self) -> String {
        match self {
            Self::Induction(depth) => format!("proven by induction ({depth})"),
            Self::Parts(depth) => format!("proven by induction in parts ({depth})"),
            Self::Bounded(depth) => format!("holds to depth {depth}"),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Induction(depth) => write!(f, "induction ({depth})"),
            Self::Parts(depth) => write!(f, "induction in parts ({depth})"),
            Self::Bounded(depth) => write!(f, "bounded ({depth})"),
        }
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Core => "core",
            Self::Deep => "deep",
        })
    }
}
