//! The queues of a listener: connect returns, and data goes, before anybody has called accept; beyond the backlog nobody gets in until one
//! is accepted; and handshakes that do not end wait in the SYN queue.
//!
//!     cargo run --example backlog
use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

use ferrule::ListenQueue;
use ferrule_testnet::Wire;

/// What was seen.
#[derive(Debug)]
pub(crate) struct Seen {
    /// Connections that were open, with data sent on each, before accept was called: the backlog and one more.
    pub(crate) before_accept: usize,
    /// The queue then.
    pub(crate) full: ListenQueue,
    /// How the next one failed.
    pub(crate) one_too_many: ErrorKind,
    /// What was waiting on the first when it was accepted.
    pub(crate) waiting: String,
    /// Connections whose last handshake segment never comes: the SYN queue.
    pub(crate) half_open: usize,
}

/// The listener's backlog.
pub(crate) const BACKLOG: usize = 2;

/// A cable of which the sender's end can be cut after the first frame of each connection.
struct OneWay(Box<dyn Wire>, Arc<AtomicBool>);

impl Wire for OneWay {
    fn send(&mut self, now_ns: u64, frame: &[u8]) {
        self.0.send(now_ns, frame);
    }

    fn poll(&mut self, now_ns: u64) -> Option<Vec<u8>> {
        // What comes back is lost: no SYN is answered as far as its sender knows.
        let frame = self.0.poll(now_ns)?;
        (!self.1.load(Ordering::SeqCst)).then_some(frame)
    }

    fn next_deadline(&mut self, now_ns: u64) -> Option<u64> {
        self.0.next_deadline(now_ns)
    }
}

/// Talks between two hosts.
pub(crate) fn lesson() -> Result<Seen, Box<dyn Error>> {
    let deaf = Arc::new(AtomicBool::new(false));
    let ears = Arc::clone(&deaf);
    let net = ferrule_testnet::new()
        .wires(move |host, wire| match host {
            0 => Box::new(OneWay(wire, Arc::clone(&ears))),
            _ => wire,
        })
        .start()?;
    let at = SocketAddr::from((net.address(1), 80));
    let listener = net.host(1).listen(at, BACKLOG)?;
    let patience = Duration::from_millis(500);
    let mut clients = vec![];
    let one_too_many = loop {
        match net.host(0).connect_timeout(&at, patience) {
            Ok(mut client) => {
                client.write_all(format!("client {}", clients.len()).as_bytes())?;
                clients.push(client);
            }
            Err(e) => break e.kind(),
        }
    };
    net.sleep(patience)?;
    let full = listener.queue()?;
    let (mut first, _) = listener.accept()?;
    let mut buffer = [0; 64];
    let n = first.read(&mut buffer)?;
    let waiting = String::from_utf8_lossy(&buffer[..n]).into_owned();
    while listener.queue()?.waiting > 0 {
        listener.accept()?;
    }
    deaf.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        // In vain, as no answer is heard.
        let attempt = net.host(0).connect_timeout(&at, patience);
        assert!(attempt.is_err());
    }
    Ok(Seen {
        before_accept: clients.len(),
        full,
        one_too_many,
        waiting,
        half_open: listener.queue()?.half_open,
    })
}

#[allow(dead_code)] // Tests of examples have a main of their own.
fn main() -> Result<(), Box<dyn Error>> {
    let seen = lesson()?;
    println!("backlog:                          {BACKLOG}");
    println!("open before anybody accepts:      {}", seen.before_accept);
    println!("the queue then:                   {:?}", seen.full);
    println!("one more:                         {}", seen.one_too_many);
    println!("sent before it was accepted:      {:?}", seen.waiting);
    println!("handshakes that nobody completes: {}", seen.half_open);
    Ok(())
}
