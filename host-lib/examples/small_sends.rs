//! Small sends: an empty one is nothing on a stream and a message on UDP; two small ones are joined by Nagle's algorithm while something is
//! in flight, and go apart with NODELAY.
//!
//!     cargo run --example small_sends
use std::error::Error;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use ferrule_testnet::Net;

/// Segments and messages that left the sender.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// TCP segments after an empty write.
    pub(crate) of_an_empty_write: u64,
    /// Datagrams that an empty send put on the wire, and bytes that the receiver got with it.
    pub(crate) of_an_empty_message: (u64, usize),
    /// TCP segments of three writes of one byte with Nagle's algorithm: the first, then the other two together.
    pub(crate) with_nagle: u64,
    /// And without.
    pub(crate) with_nodelay: u64,
}

fn segments(net: &Net) -> std::io::Result<u64> {
    Ok(net.host(0).stack_stats()?.tcp_segments_out)
}

/// Talks between two hosts.
pub(crate) fn lesson() -> Result<Seen, Box<dyn Error>> {
    let net = ferrule_testnet::new().start()?;
    let at = SocketAddr::from((net.address(1), 9));
    let listener = net.host(1).listen(at, 1)?;
    let mut near = net.host(0).connect(at)?;
    let mut far = listener.accept()?.0;
    // The peer answers at once, lest we see its delayed acknowledgments instead.
    far.set_quick_ack(true)?;

    let before = segments(&net)?;
    near.write_all(b"")?;
    assert_eq!(near.write(b"")?, 0);
    net.sleep(Duration::from_secs(1))?;
    let of_an_empty_write = segments(&net)? - before;

    let (sender, receiver) = (
        net.host(0).bind_udp("0.0.0.0:0")?,
        net.host(1).bind_udp(at)?,
    );
    let before = net.host(0).stack_stats()?.packets_out;
    sender.send_to(b"", at)?;
    let (bytes, _) = receiver.recv_from(&mut [0; 8])?;
    let of_an_empty_message = (net.host(0).stack_stats()?.packets_out - before, bytes);

    let mut three_writes = |nodelay| -> std::io::Result<u64> {
        near.set_nodelay(nodelay)?;
        let before = segments(&net)?;
        for byte in [b"a", b"b", b"c"] {
            near.write_all(byte)?;
        }
        far.read_exact(&mut [0; 3])?;
        Ok(segments(&net)? - before)
    };
    Ok(Seen {
        of_an_empty_write,
        of_an_empty_message,
        with_nagle: three_writes(false)?,
        with_nodelay: three_writes(true)?,
    })
}

#[allow(dead_code)] // Tests of examples have a main of their own.
fn main() -> Result<(), Box<dyn Error>> {
    let seen = lesson()?;
    println!(
        "segments of an empty write:             {}",
        seen.of_an_empty_write
    );
    println!(
        "packets, bytes of an empty message:     {:?}",
        seen.of_an_empty_message
    );
    println!(
        "segments of three writes, Nagle:        {}",
        seen.with_nagle
    );
    println!(
        "segments of three writes, TCP_NODELAY:  {}",
        seen.with_nodelay
    );
    Ok(())
}
