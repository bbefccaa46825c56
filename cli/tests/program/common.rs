//! What the program's tests share: the program itself, tools that may be missing, a folder to work in.
use std::path::Path;
use std::process::{Command, Output};

/// The program under test, run in `dir`.
pub(crate) fn ferrule(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ferrule"));
    command.current_dir(dir);
    command
}

/// Whether all `tools` can be run. Where one cannot: says so, and fails under FERRULE_REQUIRE_TOOLS=1.
pub(crate) fn have(tools: &[&str]) -> bool {
    for tool in tools {
        if Command::new(tool).arg("--version").output().is_err() {
            assert!(
                std::env::var_os("FERRULE_REQUIRE_TOOLS").is_none(),
                "{tool} is required and not installed"
            );
            eprintln!("skipped: {tool} is not installed");
            return false;
        }
    }
    true
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
