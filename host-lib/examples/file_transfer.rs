//! A file over TCP on a Ferrule NIC. `write` may take less than it is given; `write_all` (sendall elsewhere) goes on until all is taken, and
//! the length in front tells the receiver whether it got everything.
//!
//!     export FERRULE_DEVICE=vfio-user:/tmp/nic.sock FERRULE_ADDRESS=10.0.0.2/24
//!     cargo run --example file_transfer -- receive 0.0.0.0:9000 copy.bin
//!     cargo run --example file_transfer -- send 10.0.0.1:9000 file.bin
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;

use ferrule::{TcpListener, TcpStream};

/// Bytes read from the file at a time.
const CHUNK: usize = 64 * 1_024;

/// Sends a file: its length in eight bytes, then its bytes. Returns when the receiver says that it has stored them.
pub(crate) fn send(mut stream: TcpStream, path: &Path) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    stream.write_all(&length.to_be_bytes())?;
    let mut buffer = vec![0; CHUNK];
    let mut sent = 0;
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            break;
        }
        stream.write_all(&buffer[..n])?;
        sent += n as u64;
    }
    // That the stream took the bytes does not say that anybody has them.
    let mut stored = [0; 8];
    stream.read_exact(&mut stored)?;
    match u64::from_be_bytes(stored) == sent {
        true => Ok(sent),
        false => Err(ErrorKind::UnexpectedEof.into()),
    }
}

/// Stores what is sent; an error, and no file, if the stream ends too soon.
pub(crate) fn receive(mut stream: TcpStream, path: &Path) -> io::Result<u64> {
    let mut length = [0; 8];
    stream.read_exact(&mut length)?;
    let length = u64::from_be_bytes(length);
    let stored = File::create(path).and_then(|mut file| {
        let stored = io::copy(&mut (&stream).take(length), &mut file)?;
        file.sync_all()?;
        Ok(stored)
    });
    if !matches!(stored, Ok(n) if n == length) {
        std::fs::remove_file(path)?;
        stored?;
        return Err(ErrorKind::UnexpectedEof.into());
    }
    stream.write_all(&length.to_be_bytes())?;
    Ok(length)
}

#[allow(dead_code)] // Tests of examples have a main of their own.
fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let bytes = match &words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["send", address, path] => send(TcpStream::connect(*address)?, path.as_ref())?,
        ["receive", address, path] => {
            receive(TcpListener::bind(*address)?.accept()?.0, path.as_ref())?
        }
        _ => {
            let usage = "send ADDRESS FILE | receive ADDRESS FILE";
            return Err(io::Error::new(ErrorKind::InvalidInput, usage));
        }
    };
    println!("{bytes} bytes");
    Ok(())
}
