//! `cargo xtask bench`: what is measured, each by name, ours and its peer in one run.
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use clap::{Args, ValueEnum};
use rustix::time::{clock_gettime, ClockId};

use crate::row;

mod engines;
mod latency;
mod ring;
mod sockets;
mod stack;
mod tlps;
mod traffic;
mod uart;

/// Arguments of `cargo xtask bench`.
#[derive(Args)]
pub(crate) struct BenchArgs {
    /// What to measure
    #[arg(required_unless_present = "list")]
    name: Option<Name>,
    /// Say what each measures and how long it takes
    #[arg(long)]
    list: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// The benchmarks.
#[derive(Clone, Copy, ValueEnum)]
enum Name {
    /// Cycles per CPU second of each engine on the whole NIC, start-up, frames looped, ping, TCP over the model (30 s)
    Engines,
    /// TLPs and PCIe bytes per 64-byte frame sent and one received, doorbells per 16 packets (5 s)
    Tlps,
    /// Cycles from the end of a frame on the wire to its completion on PCIe, on an idle NIC (2 s)
    Latency,
    /// Cycles and instructions (with valgrind) of a packet in the driver, on a device in plain Rust, beside virtio-drivers (15 s)
    Ring,
    /// Round trips, bulk and connections by our sockets, beside the Linux kernel's over veth (root, iproute2, ethtool) (20 s)
    Sockets,
    /// CPU time, instructions (with valgrind) and memory of the TCP/IP stack beside smoltcp (90 s)
    Stack,
    /// Frames a second and bits a second that a UART at 3 Mbaud carries, by simulated time, through a simulated Arty at its pins (2 min)
    Uart,
}

/// CPU time of this thread so far.
fn thread_cpu_seconds() -> f64 {
    let t = clock_gettime(ClockId::ThreadCPUTime);
    t.tv_sec as f64 + t.tv_nsec as f64 / 1e9
}

/// Builds a benchmark's own package; the program that has its name.
fn build(package: &str) -> Result<PathBuf, Box<dyn Error>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--quiet", "--package", package])
        .status()?;
    if !built.success() {
        return Err(format!("{package} was not built").into());
    }
    // It lies beside this one, which is built in release mode as well.
    Ok(std::env::current_exe()?.with_file_name(package))
}

/// Measures and prints.
pub(crate) fn run(args: &BenchArgs) -> Result<(), Box<dyn Error>> {
    let rows = match args.name {
        Some(name) if !args.list => match name {
            Name::Engines => engines::measure()?,
            Name::Tlps => tlps::measure()?,
            Name::Latency => latency::measure()?,
            Name::Ring => ring::measure()?,
            Name::Sockets => sockets::measure()?,
            Name::Stack => stack::measure()?,
            Name::Uart => uart::measure()?,
        },
        _ => {
            let mut out = std::io::stdout().lock();
            for name in Name::value_variants() {
                if let Some(value) = name.to_possible_value() {
                    let help = value.get_help().map(ToString::to_string);
                    writeln!(out, "{:8} {}", value.get_name(), help.unwrap_or_default())?;
                }
            }
            return Ok(());
        }
    };
    row::print(&rows, args.json)?;
    Ok(())
}
