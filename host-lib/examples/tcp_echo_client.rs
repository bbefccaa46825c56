//! Sends a pattern to a TCP echo server over a Ferrule NIC and compares what comes back.
//!
//!     FERRULE_DEVICE=vfio-user:/tmp/nic.sock FERRULE_ADDRESS=10.0.0.2/24 cargo run --example tcp_echo_client -- 10.0.0.1:7 65536
use std::io::{Error, Read, Write};
use std::net::Shutdown;

use ferrule::TcpStream;

fn main() -> std::io::Result<()> {
    let mut args = std::env::args().skip(1);
    let peer = args.next().unwrap_or_else(|| "192.0.2.2:7".to_owned());
    let bytes: usize = args
        .next()
        .map_or(Ok(65_536), |n| n.parse())
        .map_err(Error::other)?;
    let sent: Vec<u8> = (0..bytes).map(|i| (i * 31 + i / 251) as u8).collect();

    let stream = TcpStream::connect(peer.as_str())?;
    let mut writer = stream.try_clone()?;
    let outgoing = sent.clone();
    let sender = std::thread::spawn(move || {
        writer.write_all(&outgoing)?;
        writer.shutdown(Shutdown::Write)
    });
    let mut received = Vec::new();
    (&stream).read_to_end(&mut received)?;
    sender
        .join()
        .map_err(|_| Error::other("the sending thread panicked"))??;
    if received != sent {
        return Err(Error::other(format!(
            "{} of {bytes} bytes came back, or not the same",
            received.len()
        )));
    }
    println!(
        "{bytes} bytes came back as they were sent, from {}",
        stream.peer_addr()?
    );
    Ok(())
}
