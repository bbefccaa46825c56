//! `cargo xtask`: what is done to the project rather than with it.
use clap::{Parser, Subcommand};

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
}

fn main() -> std::io::Result<()> {
    match Args::parse().task {
        Task::Docs => {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/registers.md");
            std::fs::write(path, ferrule_abi::reference::Reference.to_string())
        }
    }
}
