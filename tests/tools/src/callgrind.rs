//! Instructions counted by Callgrind in a child process.
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::Command;

const VECTOR_COPIES: &str = "glibc.cpu.x86_rep_movsb_threshold=1073741824";

/// Runs `program` with `arguments` and returns the instructions that it spent in the functions that match `functions` and what they called;
/// `None` where Valgrind is not installed.
///
/// # Errors
/// When it cannot be run, or has counted nothing.
pub fn instructions(
    program: &Path,
    arguments: &[impl AsRef<OsStr>],
    functions: &str,
) -> io::Result<Option<u64>> {
    let output = Command::new("valgrind")
        // glibc copies long runs with `rep movsb`, which Callgrind counts as an instruction for each byte.
        .env("GLIBC_TUNABLES", VECTOR_COPIES)
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--toggle-collect={functions}"))
        .arg(program)
        .args(arguments)
        .output();
    let output = match output {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let text = String::from_utf8_lossy(&output.stderr);
    // "==pid== Collected : 123456"
    let collected = text
        .lines()
        .find_map(|line| line.split_once("Collected :"))
        .and_then(|(_, count)| count.trim().parse::<u64>().ok())
        .filter(|count| output.status.success() && *count > 0);
    let nothing = || io::Error::other(format!("valgrind counted nothing:\n{text}"));
    collected.ok_or_else(nothing).map(Some)
}
