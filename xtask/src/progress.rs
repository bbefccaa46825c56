//! What long work shows of itself: what it is at, and for how long.
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar that turns, with a message and the time that has passed.
pub(crate) fn spinner() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    bar.set_style(
        ProgressStyle::with_template("{spinner} {msg} {elapsed}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner()),
    );
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
