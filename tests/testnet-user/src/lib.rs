//! A small service over Ferrule's sockets, such as a user might write: each line that comes is sent back in capitals.
//!
//! What is of interest here is how it is tested: see `tests/`.
#![forbid(unsafe_code)]
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;

use ferrule::{Host, TcpListener, TcpStream};

/// Serves one client until it says no more.
///
/// # Errors
/// When the connection breaks.
pub fn serve(stream: TcpStream) -> io::Result<()> {
    let mut out = stream.try_clone()?;
    for line in BufReader::new(stream).lines() {
        out.write_all(line?.to_uppercase().as_bytes())?;
        out.write_all(b"\n")?;
    }
    Ok(())
}

/// Accepts `clients` and serves one after the other.
///
/// # Errors
/// When a connection breaks.
pub fn serve_all(listener: &TcpListener, clients: usize) -> io::Result<()> {
    for _ in 0..clients {
        serve(listener.accept()?.0)?;
    }
    Ok(())
}

/// A client of the service.
pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects from `host` to a server.
    ///
    /// # Errors
    /// When there is none.
    pub fn connect(host: &Host, server: SocketAddr) -> io::Result<Self> {
        let stream = BufReader::new(host.connect(server)?);
        Ok(Self { stream })
    }

    /// Has a line put into capitals.
    ///
    /// # Errors
    /// When the connection breaks.
    pub fn shout(&mut self, line: &str) -> io::Result<String> {
        writeln!(self.stream.get_mut(), "{line}")?;
        let mut answer = String::new();
        self.stream.read_line(&mut answer)?;
        Ok(answer.trim_end().to_owned())
    }
}
