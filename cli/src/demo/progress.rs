//! Live progress: a line a step, a bar for the bulk.
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(100);

/// What is shown while the demo runs; nothing where there is no terminal or it is not wanted.
pub(crate) struct Progress {
    shown: bool,
}

/// One step's line.
pub(crate) struct Line {
    bar: ProgressBar,
    name: &'static str,
}

impl Progress {
    /// Shown or not.
    pub(crate) fn new(shown: bool) -> Self {
        Self { shown }
    }

    /// Starts a step; with `bytes` it gets a bar.
    pub(crate) fn start(&self, name: &'static str, bytes: Option<u64>) -> Line {
        let bar = match (self.shown, bytes) {
            (false, _) => ProgressBar::hidden(),
            (true, None) => ProgressBar::new_spinner(),
            (true, Some(n)) => ProgressBar::new(n),
        };
        let template = match bytes {
            Some(_) => "{spinner} {prefix} {bar:32} {bytes}/{total_bytes} {binary_bytes_per_sec}",
            None => "{spinner} {prefix} {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(name);
        if self.shown {
            bar.enable_steady_tick(TICK);
        }
        Line { bar, name }
    }
}

impl Line {
    /// That many bytes are done.
    pub(crate) fn at(&self, bytes: u64) {
        self.bar.set_position(bytes);
    }

    /// Ends the step's line with what was found.
    pub(crate) fn end(self, ok: bool, detail: &str) {
        let mark = if ok { "✓" } else { "✗" };
        self.bar.println(format!("{mark} {}: {detail}", self.name));
        self.bar.finish_and_clear();
    }
}
