//! Sends a pattern to a TCP echo server over a Ferrule NIC and compares what comes back.
//!
//!     FERRULE_DEVICE=vfio-user:/tmp/nic.sock FERRULE_ADDRESS=10.0.0.2/24 cargo run --example tcp_echo_client -- 10.0.0.1:7 65536
//!
//! A third number is the largest IP packet in bytes, up to 9,000.
use std::io::{Error, Read, Write};
use std::net::Shutdown;

use ferrule::{Cidr, Host, TcpStream};

fn pattern(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|i| (i * 31 + i / 251) as u8).collect()
}

/// Sends the pattern and the end.
pub(crate) fn send(mut stream: TcpStream, bytes: usize) -> std::io::Result<()> {
    stream.write_all(&pattern(bytes))?;
    stream.shutdown(Shutdown::Write)
}

/// Reads until the end, and compares.
pub(crate) fn check(mut stream: &TcpStream, bytes: usize) -> std::io::Result<()> {
    let mut received = Vec::new();
    stream.read_to_end(&mut received)?;
    if received != pattern(bytes) {
        return Err(Error::other(format!(
            "{} of {bytes} bytes came back, or not the same",
            received.len()
        )));
    }
    Ok(())
}

/// A host on the device and with the address that the environment names, as the library makes one by itself, but for its MTU.
fn host(mtu: u16) -> std::io::Result<Host> {
    let setting =
        |name: &str| std::env::var(name).map_err(|e| Error::other(format!("{name}: {e}")));
    let text = setting("FERRULE_ADDRESS")?;
    let parts = text.split_once('/');
    let address = parts.and_then(|(addr, len)| Cidr::new(addr.parse().ok()?, len.parse().ok()?));
    let builder = Host::builder()
        .device_spec(&setting("FERRULE_DEVICE")?)
        .address(address.ok_or_else(|| Error::other(format!("{text}: no ADDRESS/LENGTH")))?)
        .mtu(mtu);
    builder.open().map_err(Error::other)
}

#[allow(dead_code)] // Tests of examples have a main of their own.
fn main() -> std::io::Result<()> {
    let mut args = std::env::args().skip(1);
    let peer = args.next().unwrap_or_else(|| "192.0.2.2:7".to_owned());
    let bytes: usize = args
        .next()
        .map_or(Ok(65_536), |n| n.parse())
        .map_err(Error::other)?;
    let stream = match args.next() {
        None => TcpStream::connect(peer.as_str())?,
        Some(mtu) => host(mtu.parse().map_err(Error::other)?)?.connect(peer.as_str())?,
    };
    let writer = stream.try_clone()?;
    // By a thread of its own: else both ends might wait until the other reads.
    let sender = std::thread::spawn(move || send(writer, bytes));
    check(&stream, bytes)?;
    sender
        .join()
        .map_err(|_| Error::other("the sending thread panicked"))??;
    println!("{bytes} bytes came back as they were sent, from {peer}");
    Ok(())
}
