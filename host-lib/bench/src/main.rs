//! Prints one JSON object for each thing measured, or is one side of a job.
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use ferrule_socket_bench::{measure, side, Job};

#[derive(Parser)]
#[command(about = "Our sockets beside the Linux kernel's")]
struct Args {
    /// The library to preload, to measure preloaded programs too
    #[arg(long)]
    library: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Be one side of a job, with the C library's sockets
    Side {
        /// serve or ask
        side: String,
        /// What
        job: Job,
        /// The server's port
        port: u16,
        /// How often
        units: usize,
    },
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    if let Some(Command::Side {
        side: which,
        job,
        port,
        units,
    }) = args.command
    {
        return Ok(side(&which, job, port, units)?);
    }
    let program = std::env::current_exe()?;
    let mut out = std::io::stdout().lock();
    for record in measure(&program, args.library.as_deref())? {
        writeln!(out, "{}", serde_json::to_string(&record)?)?;
    }
    Ok(())
}
