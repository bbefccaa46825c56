//! "Sticky packets": a stream has no borders. What three writes send may come in one read, and what one sends in three; a length in front
//! of each message, or a delimiter behind, puts the borders back.
//!
//!     cargo run --example message_borders
use std::error::Error;
use std::io::{Read, Write};
use std::net::SocketAddr;

use ferrule::framing::{Border, FrameReader, FrameWriter};
use ferrule::TcpStream;
use ferrule_testnet::Net;

/// What is said, one message each.
pub(crate) const MESSAGES: [&str; 3] = ["buy 100", "sell 20", "stop"];

/// What a receiver made of it.
pub(crate) struct Seen {
    /// What each plain read gave, with room for 64 bytes.
    pub(crate) reads: Vec<String>,
    /// What each gave with room for 5.
    pub(crate) short_reads: Vec<String>,
    /// What came with lengths in front.
    pub(crate) framed: Vec<String>,
    /// What came as lines.
    pub(crate) lines: Vec<String>,
}

fn connection(net: &Net, port: u16) -> std::io::Result<(TcpStream, TcpStream)> {
    let at = SocketAddr::from((net.address(1), port));
    let listener = net.host(1).listen(at, 1)?;
    let near = net.host(0).connect(at)?;
    // Every write is a segment of its own: it makes no difference.
    near.set_nodelay(true)?;
    Ok((near, listener.accept()?.0))
}

fn reads(net: &Net, port: u16, room: usize) -> std::io::Result<Vec<String>> {
    let (mut near, mut far) = connection(net, port)?;
    for message in MESSAGES {
        near.write_all(message.as_bytes())?;
    }
    drop(near);
    // The receiver has something else to do meanwhile.
    net.sleep(std::time::Duration::from_millis(10))?;
    let mut buffer = vec![0; room];
    let mut seen = vec![];
    loop {
        match far.read(&mut buffer)? {
            0 => return Ok(seen),
            n => seen.push(String::from_utf8_lossy(&buffer[..n]).into_owned()),
        }
    }
}

fn framed(net: &Net, port: u16, border: &Border) -> Result<Vec<String>, Box<dyn Error>> {
    let (near, far) = connection(net, port)?;
    let mut writer = FrameWriter::new(near, border.clone());
    for message in MESSAGES {
        writer.write(message.as_bytes())?;
    }
    drop(writer);
    let mut reader = FrameReader::new(far, border.clone());
    let mut seen = vec![];
    while let Some(message) = reader.read()? {
        seen.push(String::from_utf8(message)?);
    }
    Ok(seen)
}

/// Sends the messages in four ways between two hosts.
pub(crate) fn lesson() -> Result<Seen, Box<dyn Error>> {
    let net = ferrule_testnet::new().start()?;
    Ok(Seen {
        reads: reads(&net, 1, 64)?,
        short_reads: reads(&net, 2, 5)?,
        framed: framed(&net, 3, &Border::length(2, 1_000))?,
        lines: framed(&net, 4, &Border::delimiter(b"\n", 1_000))?,
    })
}

#[allow(dead_code)] // Tests of examples have a main of their own.
fn main() -> Result<(), Box<dyn Error>> {
    let seen = lesson()?;
    println!("written:             {MESSAGES:?}");
    println!("read:                {:?}", seen.reads);
    println!("read, 5 at a time:   {:?}", seen.short_reads);
    println!("with lengths before: {:?}", seen.framed);
    println!("as lines:            {:?}", seen.lines);
    Ok(())
}
