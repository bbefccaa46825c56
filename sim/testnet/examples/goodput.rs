//! How fast TCP goes from socket to socket between two hosts on a cable, on the machine's clock:
//!
//!     cargo run --release -p ferrule-testnet --example goodput -- 64
//!
//! sends so many MiB.
use std::io::{Read, Write};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mebibytes: usize = std::env::args().nth(1).map_or(Ok(64), |n| n.parse())?;
    let net = ferrule_testnet::new().start()?;
    let to = (net.address(1), 5_001);
    let listener = net.host(1).listen(to, 1)?;
    let total = mebibytes << 20;
    let host = net.host(0).clone();
    let sender = net.spawn(move || -> std::io::Result<()> {
        let mut stream = host.connect(to)?;
        let chunk = vec![0x5A; 1 << 16];
        let mut left = total;
        while left > 0 {
            let n = left.min(chunk.len());
            stream.write_all(&chunk[..n])?;
            left -= n;
        }
        Ok(())
    });
    let (mut stream, _) = listener.accept()?;
    let (started, began) = (Instant::now(), net.now());
    let mut buffer = vec![0; 1 << 16];
    let mut received = 0;
    loop {
        match stream.read(&mut buffer)? {
            0 => break,
            n => received += n,
        }
    }
    let (wall, simulated) = (started.elapsed(), net.now() - began);
    sender.join().map_err(|_| "the sender panicked")??;
    assert_eq!(received, total);
    let rate = |seconds: f64| 8.0 * received as f64 / seconds / 1e6;
    println!(
        "{mebibytes} MiB: {:.0} Mbit/s on the machine's clock, {:.0} Mbit/s on the simulated one",
        rate(wall.as_secs_f64()),
        rate(simulated.as_secs_f64())
    );
    Ok(())
}
