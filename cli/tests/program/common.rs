//! What the program's tests share: the program itself.
use std::path::Path;
use std::process::{Command, Output};

/// The program under test, run in `dir`.
pub(crate) fn ferrule(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ferrule"));
    command.current_dir(dir);
    command
}

/// What a program wrote, for messages.
pub(crate) fn said(output: &Output) -> String {
    format!(
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
