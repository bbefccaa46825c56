//! Many connections between two hosts, both on this thread: each is answered, and a message costs what it costs among few.
//!
//! The server waits for all its connections together, by [`Events`], as one with so many would.
use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use ferrule::{Events, Host, TcpListener, TcpStream};
use ferrule_stack_bench::cpu_ns;

use crate::{cable, open, Error, CLIENT, SERVER};

/// A client has 28,232 ports for each of the server's.
const FIRST_PORT: u16 = 7;
const PORTS: u16 = 8;
/// Connections that are opened, or asked, together: their packets all lie in the rings at once.
const TOGETHER: usize = 64;
/// Calls in which nothing happens after which nothing ever will.
const PATIENCE: usize = 1_000;
const ROUNDS: usize = 20;
const TRIPS: usize = 5_000;
const FEW: usize = 100;
const MANY: usize = 100_000;

/// Two hosts with connections.
pub(crate) struct Crowd {
    hosts: [Host; 2],
    clients: Vec<TcpStream>,
    /// By their keys.
    servers: Vec<TcpStream>,
    events: Events,
    keys: Vec<u64>,
}

impl Crowd {
    /// Opens so many connections.
    ///
    /// # Errors
    /// When a socket fails.
    pub(crate) fn new(count: usize) -> Result<Self, Error> {
        let (a, b) = cable();
        let client = open(a, CLIENT, 1, Duration::ZERO)?;
        let server = open(b, SERVER, 2, Duration::ZERO)?;
        let ports = FIRST_PORT..FIRST_PORT + PORTS;
        let listeners = ports.map(|port| server.listen((SERVER, port), TOGETHER));
        let listeners: Vec<TcpListener> = listeners.collect::<Result<_, _>>()?;
        for listener in &listeners {
            listener.set_nonblocking(true)?;
        }
        let mut crowd = Self {
            events: server.events(),
            hosts: [client, server],
            clients: Vec::with_capacity(count),
            servers: Vec::with_capacity(count),
            keys: vec![],
        };
        while crowd.clients.len() < count {
            let together = TOGETHER.min(count - crowd.clients.len());
            let begun = crowd.clients.len() / TOGETHER;
            crowd.connect(&listeners[begun % listeners.len()], together)?;
        }
        Ok(crowd)
    }

    /// Opens some connections to a listener.
    fn connect(&mut self, listener: &TcpListener, together: usize) -> Result<(), Error> {
        let to = listener.local_addr()?;
        for _ in 0..together {
            let stream = self.hosts[0].tcp_socket()?.connect_nonblocking(to)?;
            stream.set_nodelay(true)?;
            self.clients.push(stream);
        }
        let mut idle = 0;
        while self.servers.len() < self.clients.len() {
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(true)?;
                    stream.set_nodelay(true)?;
                    self.events.watch(&stream, self.servers.len() as u64)?;
                    self.servers.push(stream);
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock && idle < PATIENCE => {
                    idle += 1;
                    // A call lets the client's host take in what has come.
                    self.hosts[0].stack_stats()?;
                }
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    /// Answers all that has come.
    fn serve(&mut self) -> Result<(), Error> {
        self.events.wait(&[], Some(Duration::ZERO))?;
        self.events.take(&mut self.keys);
        for key in self.keys.drain(..) {
            let stream = &mut self.servers[key as usize];
            let mut question = [0; 64];
            loop {
                match stream.read(&mut question) {
                    Ok(0) => return Err(Error::Ended),
                    Ok(n) => stream.write_all(&question[..n])?,
                    Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                    Err(e) => return Err(e.into()),
                }
            }
        }
        Ok(())
    }

    /// Asks on a connection.
    fn ask(&mut self, n: usize, question: u32) -> Result<(), Error> {
        Ok(self.clients[n].write_all(&question.to_le_bytes())?)
    }

    /// Whether the answer is right.
    fn is_answered(&mut self, n: usize, question: u32) -> Result<bool, Error> {
        let mut answer = [0; 4];
        for _ in 0..PATIENCE {
            match self.clients[n].read_exact(&mut answer) {
                Ok(()) => return Ok(u32::from_le_bytes(answer) == question),
                // The server has taken in a part of what has come.
                Err(e) if e.kind() == ErrorKind::WouldBlock => self.serve()?,
                Err(e) => return Err(e.into()),
            }
        }
        Err(Error::Ended)
    }

    /// A message there and back on the connection of a random number.
    fn trip(&mut self, random: u32) -> Result<(), Error> {
        let n = ((u64::from(random) * self.clients.len() as u64) >> 32) as usize;
        self.ask(n, random)?;
        self.serve()?;
        match self.is_answered(n, random)? {
            true => Ok(()),
            false => Err(Error::Ended),
        }
    }
}

/// CPU time of a message there and back, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) among_many_ns: f64,
    pub(crate) among_few_ns: f64,
}

/// Measures both in turn, each time on a connection taken at random; the fastest rounds count.
///
/// # Errors
/// When a socket fails.
pub(crate) fn measure() -> Result<Cost, Error> {
    let mut few = Crowd::new(FEW)?;
    let mut many = Crowd::new(MANY)?;
    let mut best = Cost {
        among_many_ns: f64::INFINITY,
        among_few_ns: f64::INFINITY,
    };
    // xorshift32, Marsaglia 2003.
    let mut random = 0x9E37_79B9_u32;
    let mut round = |crowd: &mut Crowd| {
        let begun = cpu_ns();
        for _ in 0..TRIPS {
            random ^= random << 13;
            random ^= random >> 17;
            random ^= random << 5;
            crowd.trip(random)?;
        }
        Ok::<_, Error>((cpu_ns() - begun) / TRIPS as f64)
    };
    for _ in 0..ROUNDS {
        best.among_few_ns = best.among_few_ns.min(round(&mut few)?);
        best.among_many_ns = best.among_many_ns.min(round(&mut many)?);
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_thousand_connections_at_once_are_all_answered() {
        let mut crowd = Crowd::new(MANY).expect("connections");
        let state = crowd.clients[MANY / 2].state();
        assert_eq!(state.expect("a state"), ferrule::TcpState::Established);
        let all: Vec<usize> = (0..MANY).collect();
        for together in all.chunks(TOGETHER) {
            for n in together {
                crowd.ask(*n, *n as u32).expect("room");
            }
            crowd.serve().expect("answers");
            for n in together {
                let answered = crowd.is_answered(*n, *n as u32);
                assert!(answered.expect("an answer"), "connection {n}");
            }
        }
        // All are still there.
        for random in [0, u32::MAX / 3, u32::MAX] {
            crowd.trip(random).expect("an answer");
        }
        let open = crowd.hosts[1].stack_stats().expect("counters");
        assert_eq!(open.tcp_passive_opens, MANY as u64);
    }
}
