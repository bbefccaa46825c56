//! What the program writes on standard output.
use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;

use crate::error::Error;

/// Writes a line.
///
/// # Errors
/// [`Error::NoReader`] if the reader has gone away, as `head` does; otherwise why it cannot be written.
pub(crate) fn line(text: &str) -> Result<(), Error> {
    write(&format_args!("{text}\n"))
}

/// Writes a text that has its own new lines.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn text(text: &impl Display) -> Result<(), Error> {
    let text = text.to_string();
    line(text.strip_suffix('\n').unwrap_or(&text))
}

fn write(text: &dyn Display) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    write!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(|e| match e.kind() {
            io::ErrorKind::BrokenPipe => Error::NoReader,
            _ => Error::doing("writing to standard output")(e),
        })
}

/// Writes one JSON value.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Error::Wrong(e.to_string()))?;
    line(&text)
}

/// Writes one JSON value in one line.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn json_line(value: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_string(value).map_err(|e| Error::Wrong(e.to_string()))?;
    line(&text)
}
