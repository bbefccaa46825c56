//! A script as it is run: what it needs, its setup, and its steps in order.

use std::path::Path;
use std::time::Duration;

use crate::call::{self, Call};
use crate::packet::Packet;
use crate::parse_packet;
use crate::setup::Setup;
use crate::source::{self, Line, Place, Trouble};
use crate::words::Words;

/// A script.
#[derive(Debug)]
pub(crate) struct Script {
    /// Features without which it cannot hold.
    pub(crate) needs: Vec<String>,
    pub(crate) setup: Setup,
    pub(crate) steps: Vec<Step>,
}

/// One line of it.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) place: Place,
    pub(crate) text: String,
    /// Earliest and latest time after the step before.
    pub(crate) after: (Duration, Duration),
    pub(crate) action: Action,
}

/// What happens.
#[derive(Debug)]
pub(crate) enum Action {
    /// A packet arrives.
    In(Packet),
    /// The stack sends a packet.
    Out(Packet),
    /// The stack may send a packet at once, or not.
    Perhaps(Packet),
    /// What is sent now is not looked at.
    Drain,
    /// Time passes and nothing is sent.
    Quiet,
    /// The program calls.
    Call(Call),
}

/// Reads a script.
pub(crate) fn parse(name: &str, text: &str, start: &Path) -> Result<Script, Trouble> {
    let lines = source::expand(name, text, start)?;
    let trouble = |line: &Line, what| Trouble {
        place: line.place.clone(),
        what,
    };
    let nowhere = |what| Trouble {
        place: Place {
            file: name.to_string(),
            line: 1,
        },
        what,
    };
    if !text.starts_with("# ") {
        return Err(nowhere("the first line says which rule this is".into()));
    }
    let mut script = Script {
        needs: Vec::new(),
        setup: Setup::new().map_err(nowhere)?,
        steps: Vec::new(),
    };
    for line in &lines {
        script.line(line).map_err(|what| trouble(line, what))?;
    }
    match script.steps.is_empty() {
        true => Err(nowhere("nothing happens in this script".into())),
        false => Ok(script),
    }
}

impl Script {
    fn line(&mut self, line: &Line) -> Result<(), String> {
        let mut words = Words::new(&line.text)?;
        let begun = !self.steps.is_empty();
        if words.take("needs") {
            self.needs.push(words.next("a feature")?);
            return words.end();
        }
        if words.take("config") {
            if begun {
                return Err("`config` belongs before the first step".into());
            }
            self.setup.apply(&mut words)?;
            return words.end();
        }
        let mut after = (Duration::ZERO, Duration::ZERO);
        if let Some(time) = words.peek().and_then(|w| w.strip_prefix('+')) {
            let (low, high) = time.split_once("..").unwrap_or((time, time));
            after = (duration(low)?, duration(high)?);
            words.next("")?;
        }
        let action = if words.take("<") {
            Action::In(parse_packet::packet(&mut words)?)
        } else if words.take(">") {
            Action::Out(parse_packet::packet(&mut words)?)
        } else if words.take(">?") {
            Action::Perhaps(parse_packet::packet(&mut words)?)
        } else if words.take("quiet") {
            Action::Quiet
        } else if words.take("drain") {
            Action::Drain
        } else {
            Action::Call(call::parse(&mut words)?)
        };
        words.end()?;
        if after.0 > after.1 || after.0 != after.1 && !matches!(action, Action::Out(_)) {
            return Err("only a packet that is sent may have a range of times".into());
        }
        self.steps.push(Step {
            place: line.place.clone(),
            text: line.text.clone(),
            after,
            action,
        });
        Ok(())
    }
}

/// `1.5`, `1.5s`, `20ms` or `7us`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let (number, nanos_each) = match text {
        _ if text.ends_with("ms") => (text.strip_suffix("ms"), 1e6),
        _ if text.ends_with("us") => (text.strip_suffix("us"), 1e3),
        _ => (text.strip_suffix('s').or(Some(text)), 1e9),
    };
    let value: Option<f64> = number.and_then(|n| n.parse().ok());
    value
        .filter(|v| (0.0..1e9).contains(v))
        .map(|v| Duration::from_nanos((v * nanos_each).round() as u64))
        .ok_or_else(|| format!("`{text}` is not a time"))
}
