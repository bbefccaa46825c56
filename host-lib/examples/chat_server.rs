//! A chat over a Ferrule NIC: one thread and one epoll for everyone. What somebody says is sent to all others, line by line.
//!
//!     FERRULE_DEVICE=vfio-user:/tmp/nic.sock FERRULE_ADDRESS=10.0.0.2/24 cargo run --example chat_server -- 0.0.0.0:6667
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use ferrule::framing::{Border, Decoder};
use ferrule::{TcpListener, TcpStream};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

/// The listener's mark in the epoll; clients count from 1.
const LISTENER: u64 = 0;
/// The longest line.
const MAX_LINE: usize = 1_000;
/// Bytes that may wait for a client that does not read; beyond them it is shown the door.
const MAX_WAITING: usize = 64 * 1_024;

struct Client {
    stream: TcpStream,
    lines: Decoder,
    /// What it has not taken yet.
    waiting: Vec<u8>,
}

/// The server: everybody who is there.
pub(crate) struct Chat {
    epoll: Epoll,
    listener: TcpListener,
    clients: BTreeMap<u64, Client>,
    next: u64,
}

/// The descriptor that is readable when [`Chat::turn`] has something to do.
impl AsFd for Chat {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}

impl Chat {
    /// Nobody is there yet.
    pub(crate) fn new(listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
        Ok(Self {
            epoll,
            listener,
            clients: BTreeMap::new(),
            next: LISTENER + 1,
        })
    }

    /// Waits for something to happen, `wait` at most, and does what follows from it; how many are there.
    pub(crate) fn turn(&mut self, wait: EpollTimeout) -> io::Result<usize> {
        let mut events = [EpollEvent::empty(); 64];
        let n = self.epoll.wait(&mut events, wait)?;
        for event in &events[..n] {
            if event.data() == LISTENER {
                self.welcome()?;
                continue;
            }
            let stays = self.hear(event.data()).unwrap_or(false) && self.flush(event.data());
            if !stays {
                self.clients.remove(&event.data());
            }
        }
        Ok(self.clients.len())
    }

    fn welcome(&mut self) -> io::Result<()> {
        loop {
            let (stream, _) = match self.listener.accept() {
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                accepted => accepted?,
            };
            stream.set_nonblocking(true)?;
            // Edge-triggered: told once of each change, and read until there is nothing.
            let changes = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLET;
            self.epoll
                .add(&stream, EpollEvent::new(changes, self.next))?;
            let client = Client {
                stream,
                lines: Decoder::new(Border::delimiter(b"\n", MAX_LINE)),
                waiting: Vec::new(),
            };
            self.clients.insert(self.next, client);
            self.next += 1;
        }
    }

    /// Reads what a client says and passes it on; whether it goes on.
    fn hear(&mut self, speaker: u64) -> io::Result<bool> {
        let Some(client) = self.clients.get_mut(&speaker) else {
            return Ok(false);
        };
        let mut said = vec![];
        let mut buffer = [0; 4_096];
        let goes_on = loop {
            match client.stream.read(&mut buffer) {
                Ok(0) => break false,
                Ok(n) => client.lines.push(&buffer[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break true,
                Err(e) => return Err(e),
            }
            while let Some(line) = client.lines.next().map_err(io::Error::other)? {
                said.extend_from_slice(format!("{speaker}: ").as_bytes());
                said.extend_from_slice(&line);
                said.push(b'\n');
            }
        };
        let others: Vec<u64> = self
            .clients
            .keys()
            .copied()
            .filter(|n| *n != speaker)
            .collect();
        for other in others {
            if let Some(client) = self.clients.get_mut(&other) {
                client.waiting.extend_from_slice(&said);
            }
            if !self.flush(other) {
                self.clients.remove(&other);
            }
        }
        Ok(goes_on)
    }

    /// Sends a client what waits for it, as far as there is room; whether it goes on.
    fn flush(&mut self, to: u64) -> bool {
        let Some(client) = self.clients.get_mut(&to) else {
            return false;
        };
        while !client.waiting.is_empty() {
            match client.stream.write(&client.waiting) {
                Ok(n) => drop(client.waiting.drain(..n)),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    return client.waiting.len() <= MAX_WAITING;
                }
                Err(_) => return false,
            }
        }
        true
    }
}

#[allow(dead_code)] // Tests of examples have a main of their own.
fn main() -> io::Result<()> {
    let address = std::env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("0.0.0.0:6667"))?;
    println!("listening on {}", listener.local_addr()?);
    let mut chat = Chat::new(listener)?;
    loop {
        chat.turn(EpollTimeout::NONE)?;
    }
}
