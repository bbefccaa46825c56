//! What Verilator's own writer makes of a waveform, on its way to the file: the header is made anew as [`super`] has it, the rest passes.
use std::collections::HashSet;
use std::io::{self, Read as _};
use std::path::Path;

use ::vcd::{IdCode, Parser, Scope, ScopeItem, Var};

use super::{parts, EngineError, Hierarchy, Output};

/// What ends a header.
const END: &[u8] = b"$enddefinitions $end";

/// A waveform that comes as text.
pub(crate) struct Relay {
    out: Output,
    top: String,
    /// The header so far; none once it has passed.
    header: Option<Vec<u8>>,
}

impl Relay {
    /// Starts the file at `path` anew; the design's outermost module is `top`.
    ///
    /// # Errors
    /// [`EngineError::Trace`] if it cannot be created.
    pub(crate) fn create(path: &Path, top: &str) -> Result<Self, EngineError> {
        Ok(Self {
            out: Output::create(path)?,
            top: top.to_owned(),
            header: Some(vec![]),
        })
    }

    /// The next piece.
    pub(crate) fn write(&mut self, data: &[u8]) {
        let Some(header) = &mut self.header else {
            return self.out.write(data);
        };
        let looked_at = header.len().saturating_sub(END.len());
        header.extend(data);
        let found = header[looked_at..]
            .windows(END.len())
            .position(|w| w == END);
        if let Some(at) = found {
            let rest = header.split_off(looked_at + at + END.len());
            let header = self.header.take().unwrap_or_default();
            self.definitions(&header);
            self.out.write(&rest);
        }
    }

    fn definitions(&mut self, header: &[u8]) {
        match translate(header, &self.top) {
            Ok(hierarchy) => {
                let result = hierarchy.write(&mut self.out.file);
                self.out.keep(result);
            }
            Err(e) => {
                tracing::warn!(
                    "the waveform keeps Verilator's names, as its header is not understood: {e}"
                );
                self.out.write(header);
            }
        }
    }

    /// Ends the file.
    ///
    /// # Errors
    /// [`EngineError::Trace`] if not all of it could be written.
    pub(crate) fn finish(mut self) -> Result<(), EngineError> {
        if let Some(header) = self.header.take() {
            self.out.write(&header);
        }
        self.out.finish()
    }
}

/// The signals of a header that has the design's outermost module inside a wrapper, under their own codes.
fn translate(header: &[u8], top: &str) -> io::Result<Hierarchy> {
    // The parser wants a word's end to be seen.
    let header = Parser::new(header.chain(&b"\n"[..])).parse_header()?;
    let mut into = Translation {
        hierarchy: Hierarchy::new(top),
        codes: HashSet::new(),
    };
    // The design first: its ports are the wrapper's, too.
    let mut outside = vec![];
    for item in &header.items {
        let ScopeItem::Scope(wrapper) = item else {
            continue;
        };
        if wrapper.identifier == top {
            into.scope(wrapper, &mut vec![]);
            continue;
        }
        for item in &wrapper.children {
            match item {
                ScopeItem::Scope(scope) if scope.identifier == top => {
                    into.scope(scope, &mut vec![])
                }
                other => outside.push(other),
            }
        }
    }
    for item in outside {
        into.item(item, &mut vec![]);
    }
    Ok(into.hierarchy)
}

struct Translation {
    hierarchy: Hierarchy,
    codes: HashSet<IdCode>,
}

impl Translation {
    fn scope(&mut self, scope: &Scope, path: &mut Vec<String>) {
        for item in &scope.children {
            self.item(item, path);
        }
    }

    /// Declares a variable, unless another has its path.
    fn declare(&mut self, path: Vec<String>, var: &Var) {
        let signal = self.hierarchy.insert(path, var.size, var.code);
        self.codes.insert(self.hierarchy.signals[signal.0].1);
    }

    fn item(&mut self, item: &ScopeItem, path: &mut Vec<String>) {
        match item {
            ScopeItem::Scope(scope) => {
                path.push(scope.identifier.clone());
                self.scope(scope, path);
                path.pop();
            }
            ScopeItem::Var(var) => {
                path.push(var.reference.clone());
                let mut names = parts(path);
                path.pop();
                self.declare(names.clone(), var);
                let name = names.pop().unwrap_or_default();
                // A code that is nowhere declared would make the changes that follow unreadable: it gets a name beside the other's.
                let mut n = 2;
                while !self.codes.contains(&var.code) {
                    let other = [&names[..], &[format!("{name}${n}")]].concat();
                    self.declare(other, var);
                    n += 1;
                }
            }
        }
    }
}
