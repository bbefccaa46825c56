//! `cargo xtask`: what is done to the project rather than with it.
use clap::{Parser, Subcommand};

mod bench;

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
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    match Args::parse().task {
        Task::Docs => {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/registers.md");
            Ok(std::fs::write(
                path,
                ferrule_abi::reference::Reference.to_string(),
            )?)
        }
        Task::Bench(args) => bench::run(&args),
    }
}
