//! Programs that the guest's making needs: run to the end, their output kept for when they fail.
use std::process::Command;

use super::error::GuestError;

/// Runs `command` and gives what it wrote on standard output.
///
/// # Errors
/// When it cannot be run, with `mend`, or fails, with what it wrote.
pub(super) fn output(command: &mut Command, mend: &'static str) -> Result<String, GuestError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|source| GuestError::Program {
        program: program.clone(),
        source,
        mend,
    })?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let arguments: Vec<_> = command.get_args().map(|a| a.to_string_lossy()).collect();
    Err(GuestError::Failed {
        what: format!("{program} {}", arguments.join(" ")),
        status: output.status,
        output: text + &String::from_utf8_lossy(&output.stderr),
    })
}
