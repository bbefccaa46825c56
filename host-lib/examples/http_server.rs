//! Serves one small page over HTTP/1.1 on a Ferrule NIC.
//!
//!     FERRULE_DEVICE=vfio-user:/tmp/nic.sock FERRULE_ADDRESS=10.0.0.2/24 cargo run --example http_server -- 0.0.0.0:80
use std::io::{BufRead, BufReader, Write};

use ferrule::{TcpListener, TcpStream};

/// What is at `/`.
pub(crate) const PAGE: &str = "<!doctype html>\n<title>Ferrule</title>\n<h1>Served by user-space TCP over a Ferrule NIC</h1>\n";

/// Answers one request.
pub(crate) fn answer(stream: TcpStream) -> std::io::Result<()> {
    let mut lines = BufReader::new(&stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let (status, body) = match request.split(' ').collect::<Vec<_>>()[..] {
        ["GET", "/", _] => ("200 OK", PAGE),
        ["GET", ..] => ("404 Not Found", "not found\n"),
        _ => ("405 Method Not Allowed", "GET only\n"),
    };
    let length = body.len();
    write!(
        &stream,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

#[allow(dead_code)] // Tests of examples have a main of their own.
fn main() -> std::io::Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "0.0.0.0:80".to_owned());
    let listener = TcpListener::bind(address.as_str())?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, peer) = listener.accept()?;
        if let Err(e) = answer(stream) {
            eprintln!("{peer}: {e}");
        }
    }
}
