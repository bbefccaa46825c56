//! UDP echo over a Ferrule NIC: each message goes back to whoever sent it.
//!
//!     export FERRULE_DEVICE=vfio-user:/tmp/nic.sock FERRULE_ADDRESS=10.0.0.2/24
//!     cargo run --example udp_echo -- serve 0.0.0.0:7
//!     cargo run --example udp_echo -- ask 10.0.0.1:7 hello
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use ferrule::{Host, UdpSocket};

/// Longer than any message of UDP.
const LONGEST: usize = 65_536;

/// Sends back so many messages.
pub(crate) fn serve(socket: &UdpSocket, messages: u64) -> io::Result<()> {
    let mut buffer = vec![0; LONGEST];
    for _ in 0..messages {
        let (n, from) = socket.recv_from(&mut buffer)?;
        socket.send_to(&buffer[..n], from)?;
    }
    Ok(())
}

/// Sends a message and gives the answer.
pub(crate) fn ask(host: &Host, server: SocketAddr, message: &[u8]) -> io::Result<Vec<u8>> {
    let socket = host.bind_udp("0.0.0.0:0")?;
    // Errors of this server's, such as that nobody listens, are for this socket then.
    socket.connect(server)?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    socket.send(message)?;
    let mut buffer = vec![0; LONGEST];
    let n = socket.recv(&mut buffer)?;
    buffer.truncate(n);
    Ok(buffer)
}

#[allow(dead_code)] // Tests of examples have a main of their own.
fn main() -> io::Result<()> {
    let wrong = || {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            "serve ADDRESS | ask ADDRESS TEXT",
        )
    };
    let words: Vec<String> = std::env::args().skip(1).collect();
    match &words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", address] => serve(&UdpSocket::bind(*address)?, u64::MAX),
        ["ask", address, text] => {
            let server = address.parse().map_err(|_| wrong())?;
            let answer = ask(&Host::default_host()?, server, text.as_bytes())?;
            println!("{}", String::from_utf8_lossy(&answer));
            Ok(())
        }
        _ => Err(wrong()),
    }
}
