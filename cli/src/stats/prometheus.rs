//! Counters in Prometheus' text-based exposition format, version 0.0.4.
use std::fmt::{self, Display, Formatter};

use super::Moment;

/// Displays as the text.
pub(super) struct Exposition<'a> {
    /// The value of the label `device`.
    pub(super) device: &'a str,
    /// What there is to tell.
    pub(super) moment: &'a Moment,
}

/// A label's value: backslash, quote and new line are escaped.
fn label(text: &str) -> String {
    let text = text.replace('\\', r"\\").replace('"', "\\\"");
    text.replace('\n', "\\n")
}

/// A help text: backslash and new line are escaped.
fn help(text: &str) -> String {
    text.replace('\\', r"\\").replace('\n', "\\n")
}

impl Display for Exposition<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let device = label(self.device);
        let mut metric = |name: &str, kind: &str, meaning: &str, value: &dyn Display| {
            writeln!(f, "# HELP ferrule_{name} {}", help(meaning))?;
            writeln!(f, "# TYPE ferrule_{name} {kind}")?;
            writeln!(f, "ferrule_{name}{{device=\"{device}\"}} {value}")
        };
        for count in &self.moment.counters {
            let name = format!("{}_total", count.name);
            metric(&name, "counter", count.meaning, &count.value)?;
        }
        let up = u8::from(self.moment.link_up);
        metric("link_up", "gauge", "Whether the link is up.", &up)?;
        let speed = u64::from(self.moment.speed_mbps) * 1_000_000;
        let meaning = "Speed of the link in bits a second.";
        metric("link_speed_bits_per_second", "gauge", meaning, &speed)?;
        let seconds = self.moment.time_ns as f64 / 1e9;
        metric("clock_seconds", "gauge", "The NIC's clock.", &seconds)
    }
}
