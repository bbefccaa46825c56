//! `cargo xtask tsan`: the sockets' threads under ThreadSanitizer, which first has to find a race that is there on purpose.
//!
//! Everything is compiled for it but the standard library, which comes compiled: locks are others meanwhile (`driver/src/lock.rs`), and what it
//! would report of the rest of it is left out by `tsan.supp`, which says why.
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};

use clap::Args;

const SUPPRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tsan.supp");
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// Two hosts on NICs in memory: what else simulates a NIC takes long to compile, and lets one thread run at a time.
const PACKAGE: &str = "ferrule-socket-bench";
const TEST: &str = "stress";
const RACE: &str = "a_race_that_is_there_on_purpose";

/// Arguments of `cargo xtask tsan`.
#[derive(Args)]
#[command(after_help = "Example: cargo xtask tsan --seconds 60")]
pub(crate) struct TsanArgs {
    /// How long each stress of the sockets takes
    #[arg(long, default_value_t = 8, value_name = "SECONDS")]
    seconds: u64,
    /// Folder of what is compiled
    #[arg(long, default_value = "target/tsan", value_name = "FOLDER")]
    output: PathBuf,
}

#[derive(Debug, thiserror::Error)]
enum TsanError {
    #[error("cargo cannot be started: {0}")]
    Cargo(#[source] io::Error),
    #[error("the tests do not compile ({0}); see above")]
    Build(ExitStatus),
    #[error("a race that is there on purpose was not reported, but the test ended with {0}: nothing here can be relied on")]
    Blind(ExitStatus),
    #[error("a test failed, or ThreadSanitizer has reported something ({0}); see above")]
    Failed(ExitStatus),
}

/// Cargo for the tests, compiled for ThreadSanitizer.
fn cargo(args: &TsanArgs) -> Command {
    // With a target of its own, what runs in the compiler is not compiled for it.
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut options = OsString::from("suppressions=");
    options.push(SUPPRESSIONS);
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["test", "--locked", "--package", PACKAGE, "--test", TEST])
        .args(["--target", &target, "--target-dir"])
        .arg(&args.output)
        .current_dir(ROOT)
        // The sanitizer ships with the stable compiler, its switch does not.
        .env("RUSTC_BOOTSTRAP", "1")
        .env(
            "RUSTFLAGS",
            "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer --cfg ferrule_tsan",
        )
        .env("TSAN_OPTIONS", options)
        .env("FERRULE_STRESS_SECONDS", args.seconds.to_string())
        .stdin(Stdio::null());
    cargo
}

fn status(command: &mut Command) -> Result<ExitStatus, TsanError> {
    command.status().map_err(TsanError::Cargo)
}

/// Compiles the tests and runs them.
pub(crate) fn run(args: &TsanArgs) -> Result<(), Box<dyn std::error::Error>> {
    let built = status(cargo(args).arg("--no-run"))?;
    if !built.success() {
        return Err(TsanError::Build(built).into());
    }
    let mut race = cargo(args);
    race.args(["--", "--nocapture", "--ignored", RACE]);
    let seen = race.output().map_err(TsanError::Cargo)?;
    let report = String::from_utf8_lossy(&seen.stderr);
    if seen.status.success() || !report.contains("WARNING: ThreadSanitizer: data race") {
        return Err(TsanError::Blind(seen.status).into());
    }
    eprintln!("ThreadSanitizer has found the race that is there on purpose");
    let mut tests = cargo(args);
    tests.args(["--", "--nocapture", "--test-threads=1"]);
    let tested = status(&mut tests)?;
    match tested.success() {
        true => Ok(()),
        false => Err(TsanError::Failed(tested).into()),
    }
}
