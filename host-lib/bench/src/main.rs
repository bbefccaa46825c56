//! Prints one JSON object for each thing measured.
use std::error::Error;
use std::io::Write;

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    for record in ferrule_socket_bench::measure()? {
        writeln!(out, "{}", serde_json::to_string(&record)?)?;
    }
    Ok(())
}
