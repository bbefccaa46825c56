//! `cargo xtask`: what is done to the project rather than with it.
use std::error::Error;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod coverage;
mod document;
mod formal;
mod guest;
mod progress;
mod row;
mod synth;
mod tsan;

#[derive(Parser)]
#[command(
    about = "Tasks of the Ferrule project",
    after_help = "Example: cargo xtask docs"
)]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Print the generated documents anew: docs/registers.md.
    Docs,
    /// Measure: ours and its peer in one run.
    Bench(bench::BenchArgs),
    /// Which branches and bits of the hardware the whole-NIC tests reach, and why not all.
    Coverage(coverage::CoverageArgs),
    /// Prove properties of the hardware, and that seeded faults break them.
    Formal(formal::FormalArgs),
    /// The driver in a QEMU guest, under the kernel's vfio-pci and a virtual IOMMU, on a simulated NIC.
    Guest(guest::GuestArgs),
    /// Size and speed of the hardware by Yosys and nextpnr, beside its peers and against a budget.
    Synth(synth::SynthArgs),
    /// The sockets' threads under ThreadSanitizer.
    Tsan(tsan::TsanArgs),
}

fn run(task: &Task) -> Result<(), Box<dyn Error>> {
    match task {
        Task::Docs => {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/registers.md");
            Ok(std::fs::write(
                path,
                ferrule_abi::reference::Reference.to_string(),
            )?)
        }
        Task::Bench(args) => bench::run(args),
        Task::Coverage(args) => coverage::run(args),
        Task::Formal(args) => formal::run(args),
        Task::Guest(args) => guest::run(args),
        Task::Synth(args) => Ok(synth::run(args)?),
        Task::Tsan(args) => Ok(tsan::run(args)?),
    }
}

fn main() -> ExitCode {
    match run(&Args::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("xtask: {e}");
            ExitCode::FAILURE
        }
    }
}
