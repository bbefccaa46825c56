//! Goodput of our sender and of the kernel's over the same delayed wire that loses; medians of several seeds.

use std::error::Error;
use std::io::Write;
use std::time::Duration;

use clap::Parser;
use ferrule_kernel_wire::{namespace, Wire};
use ferrule_stack_bench::recovery::{goodput, Sender};
use ferrule_stack_bench::{Limit, Record};

#[derive(Parser)]
#[command(about = "Goodput over a wire that loses, beside the Linux kernel's. Needs root")]
struct Args {
    /// Length of each run
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Runs of each sender
    #[arg(long, default_value_t = 5)]
    seeds: u64,
    /// First seed
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// Round-trip time
    #[arg(long, default_value_t = 20)]
    rtt_ms: u64,
    /// Packets lost of 10,000, each way
    #[arg(long, default_value_t = 100)]
    loss: u32,
    /// Bits a second of the wire; 0 is no limit
    #[arg(long, default_value_t = 0)]
    rate: u64,
    /// Bytes that wait for a wire of limited rate
    #[arg(long, default_value_t = 250_000)]
    queue: u64,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let mid = values.len() / 2;
    match values.len() % 2 {
        1 => values[mid],
        _ => (values[mid - 1] + values[mid]) / 2.0,
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    if args.seeds == 0 || args.seconds == 0 {
        return Err("--seeds and --seconds must be at least 1".into());
    }
    if let Some(what) = namespace::missing() {
        return Err(what.into());
    }
    let wire = Wire {
        delay: Duration::from_micros(args.rtt_ms * 500),
        loss: args.loss,
        rate_bits: args.rate,
        queue_bytes: args.queue,
        ..Wire::default()
    };
    let time = Duration::from_secs(args.seconds);
    let (mut ours, mut kernel) = (Vec::new(), Vec::new());
    for seed in args.first_seed..args.first_seed + args.seeds {
        // One after the other, so that what else the machine does falls on both.
        ours.push(goodput(Sender::Ours, wire, seed, time)?);
        kernel.push(goodput(Sender::Kernel, wire, seed, time)?);
        if !args.json {
            let (ours, kernel) = (ours[ours.len() - 1], kernel[kernel.len() - 1]);
            let mut out = std::io::stdout().lock();
            writeln!(
                out,
                "seed {seed}: ours {ours:.2} Mbit/s, kernel {kernel:.2} Mbit/s"
            )?;
        }
    }
    let (ours, kernel) = (median(&mut ours), median(&mut kernel));
    let mut out = std::io::stdout().lock();
    if args.json {
        let loss = f64::from(args.loss) / 100.0;
        let what = format!("goodput at {} ms and {loss}% loss", args.rtt_ms);
        let record = Record::new(what, ours, "Mbit/s").with_peer(kernel);
        let record = record.limit(Limit::AtLeastTimes(1.0));
        writeln!(out, "{}", serde_json::to_string(&record)?)?;
    } else {
        writeln!(
            out,
            "median: ours {ours:.2} Mbit/s, kernel {kernel:.2} Mbit/s, ratio {:.3}",
            ours / kernel
        )?;
    }
    Ok(())
}
