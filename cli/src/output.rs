//! What the program writes on standard output.
use std::io::{self, Write};

use serde::Serialize;

use crate::error::Error;

/// Writes a line. A reader that has gone away, as `head` does, is none to complain to.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn line(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::doing("writing to standard output")(e))
        }
        _ => Ok(()),
    }
}

/// Writes one JSON value.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Error::Wrong(e.to_string()))?;
    line(&text)
}
