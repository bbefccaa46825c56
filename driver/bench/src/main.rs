//! Prints one JSON object for each thing measured, or does one job for Callgrind to count.
use std::error::Error;
use std::io::Write;

use clap::{Parser, Subcommand};
use ferrule_driver_bench::{child, measure, Job};

#[derive(Parser)]
#[command(about = "What a packet costs the driver, beside virtio-drivers")]
struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Do one job; Callgrind counts the instructions of the driver
    Run {
        /// What
        job: Job,
        /// How many packets at a time: 8 or 32
        batch: usize,
        /// How many times
        batches: usize,
    },
}

fn main() -> Result<(), Box<dyn Error>> {
    match Args::parse().command {
        Some(Command::Run {
            job,
            batch,
            batches,
        }) => Ok(child(job, batch, batches)?),
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
