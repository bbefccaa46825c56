//! Prints one JSON object for each thing measured, is one side of a job, or does one job alone for a profiler to watch.
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use ferrule_socket_bench::{alone, measure, side, Job};

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
    /// Do one job with our sockets alone, for a profiler to watch
    Alone {
        /// What; round trips with both hosts on one thread if it is left out
        #[arg(long)]
        job: Option<Job>,
        /// How often
        #[arg(long, default_value_t = 20_000)]
        units: usize,
    },
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    match args.command {
        Some(Command::Side {
            side: which,
            job,
            port,
            units,
        }) => return Ok(side(&which, job, port, units)?),
        Some(Command::Alone { job, units }) => return Ok(alone(job, units)?),
        None => {}
    }
    let program = std::env::current_exe()?;
    let mut out = std::io::stdout().lock();
    for record in measure(&program, args.library.as_deref())? {
        writeln!(out, "{}", serde_json::to_string(&record)?)?;
    }
    Ok(())
}
