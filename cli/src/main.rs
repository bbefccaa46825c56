//! The `ferrule` program.
use std::process::ExitCode;

use clap::Parser;

mod args;
mod demo;
mod device;
mod error;
mod map;
mod output;
mod ping;
mod selftest;
mod serve;
mod session;
mod size;
mod verilog;
mod wire;

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("FERRULE_LOG"))
        .with_writer(std::io::stderr)
        .init();
    let cli = args::Cli::parse();
    let result = match &cli.command {
        args::Command::Demo(args) => demo::run(args),
        args::Command::Serve(args) => serve::run(args),
        args::Command::Ping(args) => ping::run(args),
        args::Command::Selftest(args) => selftest::run(args),
        args::Command::Verilog(args) => verilog::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("ferrule: {e}");
            ExitCode::from(e.status())
        }
    }
}
