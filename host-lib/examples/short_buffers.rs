//! Buffers that are too short. A datagram that does not fit loses its rest, and recvmsg tells so; a stream keeps it for the next read. A
//! send into a full buffer takes what there is room for, and says how much: nothing is lost if the rest is sent later.
//!
//!     cargo run --example short_buffers
use std::error::Error;
use std::io::{ErrorKind, IoSliceMut, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

/// What was seen.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Two messages, received into 4 bytes each.
    pub(crate) messages: [String; 2],
    /// The true length of a third, and whether it was cut.
    pub(crate) told: (usize, bool),
    /// Two writes, read by 4 bytes.
    pub(crate) stream: Vec<String>,
    /// Bytes that each write took until there was no room.
    pub(crate) taken: Vec<usize>,
    /// Bytes that had been taken in the end, and those that came, in order.
    pub(crate) sent_and_received: (usize, usize),
}

/// Bytes offered at a time.
pub(crate) const OFFERED: usize = 10_000;
/// The sender's buffer.
pub(crate) const ROOM: usize = 25_000;

/// The byte at a place in the stream.
fn pattern(at: usize) -> u8 {
    (at % 251) as u8
}

/// Talks between two hosts.
pub(crate) fn lesson() -> Result<Seen, Box<dyn Error>> {
    let net = ferrule_testnet::new().start()?;
    let at = SocketAddr::from((net.address(1), 9));
    let (sender, receiver) = (
        net.host(0).bind_udp("0.0.0.0:0")?,
        net.host(1).bind_udp(at)?,
    );
    for message in ["one and more", "two", "three and more"] {
        sender.send_to(message.as_bytes(), at)?;
    }
    let mut four = [0; 4];
    let mut receive = || -> std::io::Result<String> {
        let (n, _) = receiver.recv_from(&mut four)?;
        Ok(String::from_utf8_lossy(&four[..n]).into_owned())
    };
    let messages = [receive()?, receive()?];
    let got = receiver.recv_message(&mut [IoSliceMut::new(&mut four)])?;
    let told = (got.len, got.is_truncated());

    let listener = net.host(1).listen(at, 1)?;
    listener.set_recv_buffer_size(ROOM)?;
    let mut near = net.host(0).connect(at)?;
    let mut far = listener.accept()?.0;
    let writes = [&b"one and more"[..], b"two"];
    for bytes in writes {
        near.write_all(bytes)?;
    }
    let mut stream = vec![];
    let mut left = writes.concat().len();
    while left > 0 {
        let n = far.read(&mut four)?;
        stream.push(String::from_utf8_lossy(&four[..n]).into_owned());
        left -= n;
    }

    // What is acknowledged no longer takes room; acknowledgments come up to 40 ms late.
    net.sleep(Duration::from_millis(100))?;
    near.set_send_buffer_size(ROOM)?;
    near.set_nonblocking(true)?;
    let (mut sent, mut received) = (0, 0);
    let mut taken = vec![];
    let offer = |from: usize| -> Vec<u8> { (from..from + OFFERED).map(pattern).collect() };
    loop {
        match near.write(&offer(sent)) {
            Ok(n) => {
                sent += n;
                taken.push(n);
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => break,
            Err(e) => return Err(e.into()),
        }
    }
    // Now somebody reads, and the rest goes on from where the last write ended.
    far.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut buffer = [0; 4_096];
    while received < sent {
        let n = far.read(&mut buffer)?;
        if let Some(wrong) = (0..n).find(|i| buffer[*i] != pattern(received + i)) {
            return Err(format!("byte {} is not what was sent", received + wrong).into());
        }
        received += n;
        if sent < 10 * OFFERED {
            match near.write(&offer(sent)) {
                Ok(n) => sent += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) => return Err(e.into()),
            }
        }
    }
    Ok(Seen {
        messages,
        told,
        stream,
        taken,
        sent_and_received: (sent, received),
    })
}

#[allow(dead_code)] // Tests of examples have a main of their own.
fn main() -> Result<(), Box<dyn Error>> {
    let seen = lesson()?;
    println!("messages in 4 bytes each:  {:?}", seen.messages);
    println!("length of another, cut:    {:?}", seen.told);
    println!("a stream, by 4 bytes:      {:?}", seen.stream);
    println!("writes of {OFFERED} into {ROOM}: {:?}", seen.taken);
    println!("sent and received at last: {:?}", seen.sent_and_received);
    Ok(())
}
