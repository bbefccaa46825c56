//! Prints one JSON object for each thing measured, or does one job for Callgrind to count.

use std::error::Error;
use std::io::Write;

use clap::{Parser, Subcommand};
use ferrule_stack_bench::{callgrind, measure, JobKind, StackKind};

#[derive(Parser)]
#[command(about = "ferrule-stack beside smoltcp, both ends on one thread")]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Do one job; Callgrind counts the instructions of its operations
    Run {
        stack: StackKind,
        job: JobKind,
        connections: usize,
        operations: u64,
    },
}

fn main() -> Result<(), Box<dyn Error>> {
    match Args::parse().command {
        Some(Command::Run {
            stack,
            job,
            connections,
            operations,
        }) => Ok(callgrind::child(stack, job, connections, operations)?),
        None => {
            let program = std::env::current_exe()?;
            let mut out = std::io::stdout().lock();
            for record in measure(&program)? {
                writeln!(out, "{}", serde_json::to_string(&record)?)?;
            }
            Ok(())
        }
    }
}
