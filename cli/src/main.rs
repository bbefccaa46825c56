//! The `ferrule` program.
use std::process::ExitCode;

use clap::Parser;

mod args;
mod boards;
mod bridge;
mod capture;
mod demo;
mod device;
mod error;
mod info;
mod neigh;
mod output;
mod pci;
mod ping;
mod regs;
mod run;
mod selftest;
mod serial;
mod serve;
mod session;
mod settings;
mod signal;
mod size;
mod stackd;
mod stats;
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
        args::Command::Bridge(args) => bridge::run(args),
        args::Command::Ping(args) => ping::run(args),
        args::Command::Capture(args) => capture::run(args),
        args::Command::Neigh(args) => neigh::run(args),
        args::Command::List(args) => pci::list(args),
        args::Command::Bind(args) => pci::bind(args),
        args::Command::Unbind(args) => pci::unbind(args),
        args::Command::Info(args) => info::run(args),
        args::Command::Regs(args) => regs::run(args),
        args::Command::Stats(args) => stats::run(args),
        args::Command::Selftest(args) => selftest::run(args),
        args::Command::Run(args) => match run::run(args) {
            Ok(status) => return status,
            Err(e) => Err(e),
        },
        args::Command::Stackd(args) => stackd::run(args),
        args::Command::Verilog(args) => verilog::run(args),
        args::Command::Boards(args) => boards::run(args),
    };
    match result {
        Ok(()) | Err(error::Error::NoReader) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("ferrule: {e}");
            ExitCode::from(e.status())
        }
    }
}
