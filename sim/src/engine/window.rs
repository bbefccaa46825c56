//! A waveform of a part of the run only, so that its file stays small: `10us..20us` of simulated time.
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ferrule_rtl::pins::{Clocks, Inputs, Outputs};
use thiserror::Error;

use super::{Engine, EngineError};
use crate::units::{parse_ns, Nanoseconds, UnitError};

/// A part of simulated time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceWindow {
    /// Its first moment, in nanoseconds.
    pub from_ns: u64,
    /// The first moment after it; none if it never ends.
    pub to_ns: Option<u64>,
}

/// A text that is no window.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum WindowError {
    /// There are no two ends.
    #[error("{0:?} is not a window of time: write FROM..TO, such as 10us..20us, 10us.. or ..20us")]
    Form(String),
    /// An end is not a time.
    #[error(transparent)]
    Time(#[from] UnitError),
    /// Nothing is between the ends.
    #[error("the window {0:?} is empty: its end must come after its start")]
    Empty(String),
}

impl FromStr for TraceWindow {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, WindowError> {
        let form = || WindowError::Form(text.to_owned());
        let (from, to) = text.split_once("..").ok_or_else(form)?;
        let end = |text: &str| (!text.is_empty()).then(|| parse_ns(text)).transpose();
        let (from_ns, to_ns) = (end(from)?.unwrap_or(0), end(to)?);
        if to_ns.is_some_and(|to| to <= from_ns) {
            return Err(WindowError::Empty(text.to_owned()));
        }
        Ok(Self { from_ns, to_ns })
    }
}

impl fmt::Display for TraceWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..", Nanoseconds(self.from_ns))?;
        self.to_ns
            .map_or(Ok(()), |to| write!(f, "{}", Nanoseconds(to)))
    }
}

impl TraceWindow {
    fn holds(&self, time_ns: u64) -> bool {
        time_ns >= self.from_ns && self.to_ns.is_none_or(|to| time_ns < to)
    }
}

/// Where a windowed waveform stands.
enum Stage {
    Before(PathBuf),
    Within,
    Over,
}

/// An engine whose waveforms show a window of time. Outside of it the engine runs at its full speed.
pub struct Windowed {
    engine: Box<dyn Engine>,
    window: TraceWindow,
    stage: Stage,
    error: Option<EngineError>,
}

impl Windowed {
    /// `engine`, which must have been opened for waveforms.
    pub fn new(engine: Box<dyn Engine>, window: TraceWindow) -> Self {
        Self {
            engine,
            window,
            stage: Stage::Over,
            error: None,
        }
    }

    fn enter(&mut self, path: &Path) {
        self.stage = match self.engine.trace_start(path) {
            Ok(()) => Stage::Within,
            Err(e) => {
                self.error.get_or_insert(e);
                Stage::Over
            }
        };
    }

    fn leave(&mut self) {
        self.stage = Stage::Over;
        if let Err(e) = self.engine.trace_stop() {
            self.error.get_or_insert(e);
        }
    }
}

impl Engine for Windowed {
    fn step(&mut self, clocks: Clocks, inputs: &Inputs) -> Outputs {
        let inside = self.window.holds(inputs.time_ns);
        match &self.stage {
            Stage::Before(path) if inside => {
                let path = path.clone();
                self.enter(&path);
            }
            Stage::Within if !inside => self.leave(),
            Stage::Before(_) | Stage::Within | Stage::Over => {}
        }
        self.engine.step(clocks, inputs)
    }

    fn name(&self) -> &'static str {
        self.engine.name()
    }

    fn cycles(&self) -> u64 {
        self.engine.cycles()
    }

    /// The waveform starts when its window does; that it can be written is found out at once.
    fn trace_start(&mut self, path: &Path) -> Result<(), EngineError> {
        self.trace_stop()?;
        self.engine.trace_start(path)?;
        self.engine.trace_stop()?;
        self.stage = Stage::Before(path.into());
        Ok(())
    }

    fn trace_stop(&mut self) -> Result<(), EngineError> {
        if let Stage::Before(path) = &self.stage {
            tracing::warn!(
                "the waveform {} holds no values: the run ended before its window {}",
                path.display(),
                self.window
            );
        }
        self.leave();
        self.error.take().map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// What was asked of an engine, and when.
    type Log = Arc<Mutex<Vec<(u64, &'static str)>>>;

    /// An engine that takes notes.
    #[derive(Default)]
    struct Noting {
        log: Log,
        now_ns: u64,
        refuses: bool,
    }

    impl Engine for Noting {
        fn step(&mut self, _: Clocks, inputs: &Inputs) -> Outputs {
            self.now_ns = inputs.time_ns;
            Outputs::default()
        }
        fn name(&self) -> &'static str {
            "noting"
        }
        fn cycles(&self) -> u64 {
            0
        }
        fn trace_start(&mut self, _: &Path) -> Result<(), EngineError> {
            self.log.lock().unwrap().push((self.now_ns, "start"));
            if self.refuses {
                return Err(EngineError::NoTracing);
            }
            Ok(())
        }
        fn trace_stop(&mut self) -> Result<(), EngineError> {
            self.log.lock().unwrap().push((self.now_ns, "stop"));
            Ok(())
        }
    }

    fn step(engine: &mut Windowed, time_ns: u64) {
        let inputs = Inputs {
            time_ns,
            ..Inputs::default()
        };
        engine.step(Clocks::ALL, &inputs);
    }

    #[test]
    fn windows_are_read_printed_and_nonsense_is_refused() {
        for text in ["10us..20us", "0ns..", "0ns..5ms", "1500ns..2s"] {
            assert_eq!(text.parse::<TraceWindow>().unwrap().to_string(), text);
        }
        assert_eq!("..".parse(), Ok(TraceWindow::default()));
        let to_2us = TraceWindow {
            from_ns: 0,
            to_ns: Some(2_000),
        };
        assert_eq!("..2us".parse(), Ok(to_2us));
        for text in ["", "10us", "10..20", "a..b", "..5", "3us..3us", "4us..3us"] {
            let error = text.parse::<TraceWindow>().unwrap_err().to_string();
            assert!(
                error.contains("us") || error.contains("ms"),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn the_inner_waveform_runs_within_the_window_only() {
        let inner = Noting::default();
        let log = inner.log.clone();
        let window = "100ns..200ns".parse().unwrap();
        let mut engine = Windowed::new(Box::new(inner), window);
        engine.trace_start("w.vcd".as_ref()).unwrap();
        log.lock().unwrap().clear();
        for time in (0..400).step_by(8) {
            step(&mut engine, time);
        }
        // Asked for in the first step of the window, after the last one before it; likewise at its end.
        assert_eq!(*log.lock().unwrap(), [(96, "start"), (192, "stop")]);
        engine.trace_stop().unwrap();
    }

    #[test]
    fn what_the_engine_refuses_is_said_at_once() {
        let refusing = Noting {
            refuses: true,
            ..Noting::default()
        };
        let mut engine = Windowed::new(Box::new(refusing), TraceWindow::default());
        let refused = engine.trace_start("w.vcd".as_ref());
        assert!(matches!(refused, Err(EngineError::NoTracing)));
        engine.trace_stop().unwrap();
    }
}
