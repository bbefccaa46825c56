//! Waveforms as Value Change Dumps (IEEE 1364-2005, section 18): the same scopes, names and times from every engine.
//!
//! The Verilog of rust-hdl flattens interfaces and arrays into names with `$`, and shows the ports of an instance to the module around it
//! in the same way: `tlp_rx$d0`, `gateway$3`, `host$busy`. A waveform shows them as the source has them: `tlp_rx.d0`, `gateway[3]`, and
//! `host.busy`, which is the port itself and is there once.
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use ::vcd::{IdCode, ReferenceIndex, TimescaleUnit, VarType, Writer};

use super::EngineError;

pub(super) mod relay;
#[cfg(test)]
mod tests;

const BITS_PER_WORD: u32 = u64::BITS;

/// A signal of a [`Hierarchy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Signal(usize);

/// A variable as it is declared.
#[derive(Debug)]
struct Var {
    name: String,
    bits: u32,
    code: IdCode,
}

/// A scope with what it holds, in the order in which it came.
#[derive(Debug, Default)]
struct Scope {
    vars: Vec<Var>,
    scopes: Vec<(String, Scope)>,
}

impl Scope {
    /// The scope of that name in this one, made where it is missing.
    fn inner(&mut self, name: &str) -> &mut Self {
        // Signals come scope by scope: the last one is the likeliest.
        let at = self.scopes.iter().rposition(|(n, _)| n == name);
        let at = at.unwrap_or_else(|| {
            self.scopes.push((name.to_owned(), Self::default()));
            self.scopes.len() - 1
        });
        &mut self.scopes[at].1
    }

    fn write<W: Write>(&self, name: &str, writer: &mut Writer<W>) -> io::Result<()> {
        writer.add_module(name)?;
        for Var { name, bits, code } in &self.vars {
            let range = (*bits > 1).then(|| ReferenceIndex::Range(bits - 1, 0));
            writer.var_def(VarType::Wire, *bits, *code, name, range)?;
        }
        for (name, scope) in &self.scopes {
            scope.write(name, writer)?;
        }
        writer.upscope()
    }
}

/// The signals of a waveform, each in its scope.
#[derive(Debug)]
pub struct Hierarchy {
    top: String,
    scopes: Scope,
    /// Which signal has a path.
    known: HashMap<String, Signal>,
    /// Width in bits and code of each signal, by its number.
    signals: Vec<(u32, IdCode)>,
}

/// The parts of names that rust-hdl joined with `$`; numbers become indices.
fn parts<S: AsRef<str>>(path: &[S]) -> Vec<String> {
    let mut out: Vec<String> = vec![];
    for part in path.iter().flat_map(|name| name.as_ref().split('$')) {
        let is_index = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        match out.last_mut() {
            Some(last) if is_index => *last = format!("{last}[{part}]"),
            _ => out.push(part.to_owned()),
        }
    }
    out
}

impl Hierarchy {
    /// A design without signals whose outermost scope is called `top`.
    pub fn new(top: &str) -> Self {
        Self {
            top: top.to_owned(),
            scopes: Scope::default(),
            known: HashMap::new(),
            signals: vec![],
        }
    }

    /// The signal of `bits` bits at `path`: the scopes below the outermost one, and its name. A path that is there already, as that of an
    /// instance's port seen from outside, gives the signal it has.
    pub fn signal<S: AsRef<str>>(&mut self, path: &[S], bits: u32) -> Signal {
        let code = IdCode::from(self.signals.len() as u64);
        self.insert(parts(path), bits, code)
    }

    /// Puts a variable into its scope unless its path is taken; gives the signal that has the path.
    fn insert(&mut self, mut path: Vec<String>, bits: u32, code: IdCode) -> Signal {
        let whole = path.join(".");
        if let Some(signal) = self.known.get(&whole) {
            return *signal;
        }
        let signal = Signal(self.signals.len());
        self.known.insert(whole, signal);
        self.signals.push((bits, code));
        let name = path.pop().unwrap_or_default();
        let scope = path.iter().fold(&mut self.scopes, |s, name| s.inner(name));
        scope.vars.push(Var { name, bits, code });
        signal
    }

    fn write<W: Write>(&self, file: W) -> io::Result<()> {
        let mut writer = Writer::new(file);
        writer.version(concat!("Ferrule ", env!("CARGO_PKG_VERSION")))?;
        writer.timescale(1, TimescaleUnit::PS)?;
        self.scopes.write(&self.top, &mut writer)?;
        writer.enddefinitions()
    }
}

/// A waveform under way. What the operating system refuses is kept for [`Waveform::finish`], so that a full disk ends no simulation.
pub struct Waveform {
    out: Output,
    /// Code, width and place in `values` of each signal.
    signals: Vec<Traced>,
    /// Values of all signals, least significant word first.
    values: Vec<u64>,
    /// Time and what is due before the first change at it.
    stage: Stage,
    line: Vec<u8>,
}

struct Traced {
    code: Box<str>,
    bits: u32,
    at: usize,
    /// Whether it has a value yet.
    is_known: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No time has come yet.
    Header,
    /// The first time, with the values of all signals.
    Dump,
    /// Changes.
    Changes,
}

impl Waveform {
    /// Starts the file at `path` anew.
    ///
    /// # Errors
    /// [`EngineError::Trace`] if it cannot be created.
    pub fn create(path: &Path, hierarchy: &Hierarchy) -> Result<Self, EngineError> {
        let mut out = Output::create(path)?;
        let result = hierarchy.write(&mut out.file);
        out.keep(result);
        let mut at = 0;
        let mut signals = vec![];
        for (bits, code) in &hierarchy.signals {
            signals.push(Traced {
                code: code.to_string().into(),
                bits: *bits,
                at,
                is_known: false,
            });
            at += words(*bits);
        }
        Ok(Self {
            out,
            signals,
            values: vec![0; at],
            stage: Stage::Header,
            line: vec![],
        })
    }

    /// What follows happens at `time_ps`, which only grows.
    pub fn time(&mut self, time_ps: u64) {
        if self.stage == Stage::Dump {
            self.out.write(b"$end\n");
        }
        self.out.write(format!("#{time_ps}\n").as_bytes());
        self.stage = match self.stage {
            Stage::Header => {
                self.out.write(b"$dumpvars\n");
                Stage::Dump
            }
            Stage::Dump | Stage::Changes => Stage::Changes,
        };
    }

    /// A signal's value now, least significant word first; missing words are 0. Only a change takes room in the file.
    pub fn set(&mut self, signal: Signal, value: &[u64]) {
        let Some(traced) = self.signals.get_mut(signal.0) else {
            return;
        };
        let words = words(traced.bits);
        let held = &mut self.values[traced.at..traced.at + words];
        let new = value.iter().copied().chain(std::iter::repeat(0));
        if traced.is_known && held.iter().copied().eq(new.clone().take(words)) {
            return;
        }
        traced.is_known = true;
        held.iter_mut().zip(new).for_each(|(h, n)| *h = n);
        self.line.clear();
        let digit = |bit: u32| {
            b'0' + (held[(bit / BITS_PER_WORD) as usize] >> (bit % BITS_PER_WORD) & 1) as u8
        };
        if traced.bits == 1 {
            self.line.push(digit(0));
        } else {
            self.line.push(b'b');
            // A reader extends a value with zeros.
            let digits = (0..traced.bits).rev().map(digit);
            self.line.extend(digits.skip_while(|d| *d == b'0'));
            if self.line.len() == 1 {
                self.line.push(b'0');
            }
            self.line.push(b' ');
        }
        self.line.extend(traced.code.as_bytes());
        self.line.push(b'\n');
        self.out.write(&self.line);
    }

    /// Ends the file.
    ///
    /// # Errors
    /// [`EngineError::Trace`] if not all of it could be written.
    pub fn finish(mut self) -> Result<(), EngineError> {
        if self.stage == Stage::Dump {
            self.out.write(b"$end\n");
        }
        self.out.finish()
    }
}

fn words(bits: u32) -> usize {
    bits.div_ceil(BITS_PER_WORD) as usize
}

/// A file whose first error is kept for the end.
struct Output {
    path: PathBuf,
    file: BufWriter<File>,
    error: Option<io::Error>,
}

impl Output {
    fn create(path: &Path) -> Result<Self, EngineError> {
        let file = File::create(path).map_err(|source| EngineError::Trace {
            path: path.into(),
            source,
        })?;
        Ok(Self {
            path: path.into(),
            file: BufWriter::new(file),
            error: None,
        })
    }

    fn write(&mut self, data: &[u8]) {
        if self.error.is_none() {
            let result = self.file.write_all(data);
            self.keep(result);
        }
    }

    fn keep(&mut self, result: io::Result<()>) {
        if let Err(e) = result {
            self.error.get_or_insert(e);
        }
    }

    fn finish(mut self) -> Result<(), EngineError> {
        let result = self.file.flush();
        self.keep(result);
        match self.error {
            None => Ok(()),
            Some(source) => Err(EngineError::Trace {
                path: self.path,
                source,
            }),
        }
    }
}
