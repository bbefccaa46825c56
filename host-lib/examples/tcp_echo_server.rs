//! A TCP echo server over a Ferrule NIC: one thread a connection.
//!
//!     FERRULE_DEVICE=vfio-user:/tmp/nic.sock FERRULE_ADDRESS=10.0.0.2/24 cargo run --example tcp_echo_server -- 0.0.0.0:7
use std::io::{Read, Write};

use ferrule::{TcpListener, TcpStream};

/// Sends back all that comes; how many bytes that was.
pub(crate) fn echo(mut stream: TcpStream) -> std::io::Result<u64> {
    let mut buffer = [0; 16 * 1024];
    let mut total = 0;
    loop {
        let n = stream.read(&mut buffer)?;
        if n == 0 {
            return Ok(total);
        }
        stream.write_all(&buffer[..n])?;
        total += n as u64;
    }
}

#[allow(dead_code)] // Tests of examples have a main of their own.
fn main() -> std::io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "0.0.0.0:7".to_owned());
    let listener = TcpListener::bind(address.as_str())?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, peer) = listener.accept()?;
        std::thread::spawn(move || match echo(stream) {
            Ok(bytes) => println!("{peer}: {bytes} bytes echoed"),
            Err(e) => eprintln!("{peer}: {e}"),
        });
    }
}
